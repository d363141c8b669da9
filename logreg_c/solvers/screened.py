# SPDX-License-Identifier: BSD-3-Clause
"""The next penalty of an L1 path: only columns that may come in are looked at.

Where the penalty falls from l to l', a column without a weight whose gradient is below 2 l' - l
hardly ever gets one (the strong rule: Tibshirani et al. 2012). The problem of the others is solved
by the steps of `working_set`, on copies of their columns that serve the next penalties too, and
one product with X' gives the proof for all columns, finds those that the rule was wrong about, and
is what the rule looks at for the penalty after this.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._examples import Rows
from .._objective import Objective, Point
from .._validation import Floats
from ._driver import Iterate, Solver, Task
from .working_set import scores, solve, solve_part, solver_for

Mask = NDArray[np.bool_]

# The rule's threshold is not below this part of the penalty, however large the step between two.
LEAST = 0.5
# Columns that are copied beside those needed, in parts of them, and the fewest.
SPARE, FEWEST = 0.25, 16
# More copied columns than so many times those needed are too many.
TOO_MANY = 2.0
# The decrement, in parts of J, of the step that is to prove the gap, and what it is divided by
# where that fails.
ENOUGH, FURTHER = 1e-3, 30.0
# Fewer columns than these are not worth a choice.
WORTH = 40


class Screen:
    """The copied columns of one X, and what the last solution says about all."""

    def __init__(self) -> None:
        self._columns: Rows | None = None
        self._held: Mask | None = None
        self._part: Objective | None = None

    @staticmethod
    def suits(objective: Objective) -> bool:
        """Whether there is an L1 penalty, and there are enough columns."""
        kinks = objective.nonsmooth
        return kinks is not None and bool(kinks.l1.any()) and objective.D > WORTH

    def part(self, objective: Objective, needed: Mask, score: Floats) -> tuple[Rows, Objective]:
        """Return some columns, those needed among them, and the objective for these."""
        columns, held, part = self._columns, self._held, self._part
        count = int(np.count_nonzero(needed))
        most = TOO_MANY * count + FEWEST
        if columns is None or held is None or len(columns) > most or (needed > held).any():
            wanted = count + max(FEWEST, int(SPARE * count))
            if wanted < len(score):
                score = np.where(needed, np.inf, score)
                columns = np.sort(np.argpartition(-score, wanted)[:wanted])
            else:
                columns = np.arange(len(score))
            held, part = np.zeros(len(score), dtype=bool), None
            held[columns] = True
        self._columns, self._held, self._part = columns, held, objective.columns(columns, part)
        return columns, self._part


def screened(screen: Screen, before: Point, l1: Floats) -> Solver:
    """Return a solver for the penalty after the one of strengths l1, whose solution is known."""

    def solver(task: Task) -> Iterator[Iterate]:
        return _screened(task, screen, before, l1)

    return solver


def _screened(task: Task, screen: Screen, before: Point, l1: Floats) -> Iterator[Iterate]:
    objective, goal, theta = task.objective, task.goal, task.theta
    nonsmooth = objective.nonsmooth
    assert nonsmooth is not None
    now = nonsmooth.l1[:-1]
    threshold = np.maximum(2.0 * now - l1[:-1], LEAST * now)
    point, enough = before, ENOUGH * before.J
    needed = np.zeros(objective.D - 1, dtype=bool)
    while True:
        score = scores(objective, point, threshold)
        used = theta[:, :-1].any(axis=0)
        needed |= (score >= 1.0) | used
        columns, part = screen.part(objective, needed, score)
        solver = solver_for(part, int(np.count_nonzero(used)))
        # The last step of a factored Hessian proves more than what it was to prove.
        least = enough if solver is solve else 0.3 * goal.gap(point.J)
        point, lower, _ = solve_part(objective, part, columns, theta, solver, enough, least)
        yield Iterate(point, lower)
        theta, threshold = point.theta, now
        enough /= FURTHER
        if enough < 1e-3 * goal.gap(point.J):
            return
