# SPDX-License-Identifier: BSD-3-Clause
r"""Newton in the space of the examples: for fewer rows than columns.

The optimum's weights are a combination of the centred rows, :math:`w = X_c' \beta`. With
:math:`X_c X_c' = E \Lambda E'` and :math:`u = \Lambda^{1/2} E' \beta` the margins are
:math:`E \Lambda^{1/2} u + b` and :math:`\|w\| = \|u\|`: the same problem with at most n columns,
which `newton` solves. X is read once for the Gram of its rows, twice an iteration to give w and J,
and three times for the proof. Without a penalty this is the solution of least norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from .._certificate import lower_bound
from .._data import Dense
from .._objective import Objective, Point
from .._validation import Floats
from ._driver import Iterate, Task
from .newton import newton

# Directions with less than this part of the largest eigenvalue are rounding.
RANK = 1e-14


def compressed(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a Newton step among the rows."""
    objective = task.objective
    data, start = objective.data, task.begin()
    values, vectors = np.linalg.eigh(objective.dense.row_gram(objective.center))
    kept = values > RANK * max(float(values[-1]), 0.0)
    root = np.sqrt(values[kept])
    rank = len(root)
    rows = np.ascontiguousarray(vectors[:, kept] * root)
    back = np.ascontiguousarray((vectors[:, kept] / root).T)
    few = Dense(
        rows, data.y, data.K, data.sample_weight, data.total, data.offset, data.threads
    )  # its reads are no reads of X
    small = Objective(few, objective.penalty, np.zeros(rank), np.ones(rank), objective.fit_bias)
    theta = small.start()
    theta[:, -1] = start.theta[:, -1]

    def weights(u: Floats) -> Floats:
        """Return the theta of a point, or the step of a direction, among the rows."""
        beta = np.einsum("kr,rn->kn", u[:, :-1], back)
        # pull_back gives X_c' beta · scale, and w is X_c' beta = theta · scale.
        theta: Floats = objective.pull_back(beta) / np.append(objective.scale**2, 1.0)
        theta[:, -1] = u[:, -1]
        return theta

    for iterate in newton(replace(task, objective=small, theta=theta, point=None)):
        point = objective.evaluate(weights(iterate.point.theta))
        lower = -math.inf
        if point.J - iterate.lower <= task.goal.gap(point.J):
            lower = prove(objective, point, small, iterate.point, weights)
        yield Iterate(point, lower)


def prove(
    objective: Objective,
    point: Point,
    small: Objective,
    there: Point,
    weights: Callable[[Floats], Floats],
) -> float:
    """Return a lower bound on J*, which that of the smaller problem need not be.

    Directions that are rounding beside the largest column may be all there is to learn from a
    small one: the dual residual of all columns knows of them. Reads X three times.
    """
    direction = small.factor(small.data.predictions(there.Z)).step(there.gradient)[0]
    s = weights(direction)
    U = objective.direction_margins(s)
    return lower_bound(objective, point, objective, objective.data.predictions(point.Z), U)
