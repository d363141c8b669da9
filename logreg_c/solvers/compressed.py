# SPDX-License-Identifier: BSD-3-Clause
r"""Newton in the space of the examples: for fewer rows than columns.

The optimum's weights are a combination of the centred rows, :math:`w = X_c' \beta`. With
:math:`X_c X_c' = L L'` and :math:`u = L' \beta` the margins are :math:`L u + b` and
:math:`\|w\| = \|u\|`: the same problem with n columns, which `newton` solves. X is read once for
the Gram of its rows, twice to give w and J, and three times for the proof. Without a penalty this
is the solution of least norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from .._arrays import EPSILON
from .._certificate import all_held, lower_bound
from .._data import Dense
from .._factor import Factor
from .._objective import Objective, Point
from .._validation import Floats
from ._driver import Iterate, Task
from .newton import newton

Back = Callable[[Floats], Floats]

# Directions with less than this part of the largest eigenvalue are rounding.
RANK = 1e-14


def compressed(task: Task) -> Iterator[Iterate]:
    """Yield an iterate where the rows' problem is solved; without a penalty, for each step there.

    Without one it may be time to stop on the way.
    """
    objective = task.objective
    data, start, held = objective.data, task.begin(), all_held(objective)
    G = objective.dense.row_gram(objective.center)
    full = held and objective.n < objective.D
    rows, back = (_triangular if full else _by_eigenvectors)(G, data.threads)
    few = Dense(
        rows, data.y, data.K, data.sample_weight, data.total, data.offset, data.threads
    )  # its reads are no reads of X
    d = few.d
    small = Objective(few, objective.penalty, np.zeros(d), np.ones(d), objective.fit_bias)
    theta = small.start()
    theta[:, -1] = start.theta[:, -1]

    def weights(u: Floats) -> Floats:
        """Return the theta of a point, or the step of a direction, among the rows."""
        beta = back(u[:, :-1])
        # pull_back gives X_c' beta · scale, and w is X_c' beta = theta · scale.
        theta: Floats = objective.pull_back(beta) / np.append(objective.scale**2, 1.0)
        theta[:, -1] = u[:, -1]
        return theta

    left_out = None  # the last point, if nobody has seen it
    for there, bound, *_ in newton(replace(task, objective=small, theta=theta, point=None)):
        solved = task.goal.reached(there.J, bound)
        if held and not solved:
            left_out = there
            continue
        left_out = None
        point = objective.evaluate(weights(there.theta))
        lower = prove(objective, point, small, there, weights) if solved else -math.inf
        yield Iterate(point, lower)
    if left_out is not None:
        yield Iterate(objective.evaluate(weights(left_out.theta)), -math.inf)


def _triangular(G: Floats, threads: int) -> tuple[Floats, Back]:
    """Return L with G = L L', and what returns the x of L'x = v for every row of v."""
    # A row may be where columns are centred.
    G.flat[:: len(G) + 1] += EPSILON * G.diagonal().max()
    factor = Factor(G, threads)
    return factor.lower(), factor.half_solve


def _by_eigenvectors(G: Floats, threads: int) -> tuple[Floats, Back]:
    """Return the same, of any shape, without directions that are rounding.

    No penalty may hold these, and with more rows than columns most are. It takes several times as
    long.
    """
    values, vectors = np.linalg.eigh(G)
    kept = values > RANK * max(float(values[-1]), 0.0)
    root, some = np.sqrt(values[kept]), vectors[:, kept]
    return np.ascontiguousarray(some * root), lambda v: np.einsum("kr,nr->kn", v / root, some)


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
