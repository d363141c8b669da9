# SPDX-License-Identifier: BSD-3-Clause
"""Newton on the columns that matter: for an L1 penalty and many columns.

Most weights of the optimum are zero. The problem of some columns, those with a weight and those
whose gradient is largest beside the penalty, is solved by proximal Newton steps; one product of X'
then finds the columns that are missing, and gives the certificate. That product is taken not at
the predictions but where the last Newton step would move them, which is right to second order: a
column whose weight stays zero shows it long before the weights of others have come to rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._certificate import bound_at
from .._examples import Rows
from .._objective import Objective, Point
from .._quadratic import model_step
from .._validation import Floats
from ._driver import Iterate, Task
from ._line_search import advance

# Columns at first, and how many for each one with a weight.
FIRST, SPARE = 400, 2
# Parameters whose Hessian is made, unless more have a weight.
MOST = 2000
# A smaller problem is solved to this part of what could be proved before it, and further than its
# predecessor by this factor.
ENOUGH, FURTHER = 0.03, 0.1


class Solved(NamedTuple):
    """The last Newton step of a smaller problem: from where, with which margins, to where."""

    before: Point
    s: Floats
    U: Floats
    decrement: float
    after: Point


def working_set(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a product with X'."""
    objective, goal = task.objective, task.goal
    point = task.begin()
    enough, before = ENOUGH * point.J, None
    while True:
        among = choose_columns(objective, point)
        part = objective.columns(among)
        coordinates = np.append(among, objective.D - 1)
        theta = np.ascontiguousarray(point.theta[:, coordinates])
        last = solve(part, theta, max(enough, 0.3 * goal.gap(point.J)))
        passes = part.data.meter.reads * len(among) / objective.data.d
        objective.data.meter.add(int(passes * objective.n))
        point, lower = prove(objective, coordinates, last)
        yield Iterate(point, lower)
        enough = min(ENOUGH * (point.J - lower), FURTHER * last.decrement)
        # Nothing lower with the same columns, though it was to be solved further.
        now = (point.J, among)
        if before is not None and before[0] <= now[0] and np.array_equal(before[1], now[1]):
            return
        before = now


def choose_columns(objective: Objective, point: Point) -> Rows:
    """Return the columns with a weight and those whose gradient is largest beside the penalty."""
    nonsmooth = objective.nonsmooth
    assert nonsmooth is not None
    g = point.gradient[:, :-1]
    movable = np.where(g > 0.0, nonsmooth.lower[:-1] < 0.0, nonsmooth.upper[:-1] > 0.0)
    size = np.where(movable, np.abs(g), 0.0).max(axis=0)
    penalty = nonsmooth.l1[:-1]
    score = np.divide(size, penalty, out=np.full(len(size), np.inf), where=penalty > 0.0)
    kept = (point.theta[:, :-1] != 0.0).any(axis=0) | (penalty == 0.0)
    score[kept] = np.inf
    count = int(np.count_nonzero(kept))
    wanted = max(count, min(max(FIRST, SPARE * count), MOST // objective.K))
    if wanted >= len(score):
        return np.arange(len(score))
    return np.sort(np.argpartition(-score, wanted)[:wanted])


def solve(part: Objective, theta: Floats, enough: float) -> Solved:
    """Minimise over these columns until a step promised no more than `enough`."""
    point = part.evaluate(theta)
    while True:
        a = part.data.predictions(point.Z)
        s, decrement = model_step(part, part.hessian(a), point)
        step = advance(part, point, s)
        if step is None:
            return Solved(point, s, part.direction_margins(s), decrement, point)
        if decrement <= enough:
            return Solved(point, s, step.margins(point), decrement, step.point)
        point = step.point


def prove(objective: Objective, coordinates: Rows, last: Solved) -> tuple[Point, float]:
    """Return the point with all columns, and a lower bound on J*. A product with X'.

    The bound is one for the point before the last step. The gradient is that where a full step
    leads to, to second order.
    """
    before, s, theta = objective.start(), objective.start(), objective.start()
    before[:, coordinates] = last.before.theta
    s[:, coordinates] = last.s
    theta[:, coordinates] = last.after.theta
    data = objective.data
    _, R = data.residuals(last.before.Z)
    divergence, outside, change = data.dual_step(data.predictions(last.before.Z), last.U)
    if outside or not np.isfinite(divergence):
        s[:], divergence = 0.0, 0.0
    else:
        R += change
    residual = objective.pull_back(R) + objective.quadratic * (before + s)
    lower = bound_at(objective, last.before.J, before, s, residual, divergence)
    return Point(theta, last.after.Z, last.after.J, residual), lower
