# SPDX-License-Identifier: BSD-3-Clause
"""The next penalty of an L1 path: only columns that may come in are looked at.

Where the penalty falls from l to l', a column without a weight whose gradient is below 2 l' - l
hardly ever gets one (the strong rule: Tibshirani et al. 2012). The problem of the others is solved
by the steps of `working_set`, on copies of their columns that serve the next penalties too, and
one product with X' gives the proof for all columns, finds those that the rule was wrong about, and
is what the rule looks at for the penalty after this. Of very many columns it is a product with
those near the penalty, and a bound on all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from .._arrays import and_bias
from .._copied_columns import CopiedColumns
from .._data import Dense
from .._objective import Objective, Point
from .._validation import Floats, Indices
from ._distant import Distant
from ._driver import Iterate, Solver, Task
from ._proximal import Mask, Recall, scores, solve
from .working_set import (
    PartSolver,
    Unfactored,
    places_of,
    prove,
    solve_part,
    solver_for,
)

# The rule's threshold is not below this part of the penalty, however large the step between two.
LEAST = 0.5
# Columns that are copied beside those needed, in parts of them, and the fewest, where a further one
# takes a copy of them all.
SPARE, FEWEST = 0.25, 16
# More copied columns than so many times those needed are too many.
TOO_MANY = 2.0
# The decrement, in parts of J, of the step that is to prove the gap, and what it is divided by
# where that fails. Without a Hessian a step proves no more than it has to, and the decrement is to
# be so many times the gap.
ENOUGH, FURTHER = 1e-3, 30.0
UNFACTORED = 10.0
# Fewer columns than these are not worth a choice.
WORTH = 40


class Screen:
    """The copied columns of one X, and what the last solution says about all."""

    def __init__(self) -> None:
        self._columns: Indices | None = None
        self._held: Mask | None = None
        self._part: Objective | None = None
        self._group: Indices | None = None
        self._copied: CopiedColumns | None = None
        self._repeats = True
        self._unfactored: Unfactored | None = None
        # The columns that `Unfactored` has learnt of, and those of the Hessian that is recalled.
        self._learnt: Indices = np.zeros(0, dtype=np.intp)
        self._recalled: Indices = np.zeros(0, dtype=np.intp)
        self._distant: Distant | None = None
        self.recall = Recall()

    def begin(self) -> None:
        """Go over to the next penalty."""
        if self._unfactored is not None:
            self._unfactored.begin()

    @staticmethod
    def suits(objective: Objective) -> bool:
        """Whether there is an L1 penalty, and there are enough columns."""
        kinks = objective.nonsmooth
        return kinks is not None and bool(kinks.l1.any()) and objective.D > WORTH

    def near(self, objective: Objective, point: Point) -> tuple[Objective, Indices | None]:
        """Return the columns that have to be looked at (None: all), and their objective."""
        distant = self._distant
        if distant is None and Distant.suits(objective):
            distant = self._distant = Distant(objective)
            R = objective.data.residuals(point.Z)[1]
            self.refer(objective, point, R, point.gradient - objective.quadratic * point.theta)
        if distant is None or distant.columns is None:
            return objective, None
        return distant.near(objective), distant.columns

    def refer(self, objective: Objective, point: Point, R: Floats, pulled: Floats) -> None:
        """Choose the columns near anew, from X'R of all."""
        assert self._distant is not None
        used = np.flatnonzero(point.theta[:, :-1].any(axis=0))
        self._distant.refer(objective, R, pulled, used)
        self._columns = self._held = self._part = self._copied = None

    def are_below(self, objective: Objective, R: Floats) -> bool:
        """Whether no other column is above the penalty for the dual variables R."""
        assert self._distant is not None
        assert objective.nonsmooth is not None
        return self._distant.are_below(R, objective.nonsmooth.l1[:-1])

    def part(
        self, objective: Objective, needed: Mask, score: Floats
    ) -> tuple[Indices, Objective, Indices | None]:
        """Return some columns, those needed among them, and the `condensed` objective for these.

        They rise, but for those of `CopiedColumns`.
        """
        columns, held, part = self._columns, self._held, self._part
        count = int(np.count_nonzero(needed))
        if columns is None or held is None or len(columns) > TOO_MANY * count + FEWEST:
            columns = held = self._copied = None
        if columns is None or held is None or (needed > held).any():
            part = None
            if grows(objective):
                if self._copied is None:
                    self._copied = CopiedColumns(objective.dense)
                self._copied.add(np.flatnonzero(needed if held is None else needed > held))
                columns = self._copied.columns
            else:
                columns = with_spare(needed, score, max(FEWEST, int(SPARE * count)))
            held = np.zeros(len(score), dtype=bool)
            held[columns] = True
        if part is None:
            data = None if self._copied is None else self._copied.data()
            # The more columns the fewer rows are the same.
            part, group = objective.columns(columns, data=data).condensed(self._repeats)
            if group is not None or self._repeats:
                self.recall.forget()
            self._group, self._repeats = group, group is not None
        else:
            part = objective.columns(columns, part)
        self._columns, self._held, self._part = columns, held, part
        return columns, part, self._group

    def solver(
        self, objective: Objective, part: Objective, columns: Indices, count: int
    ) -> PartSolver:
        """Return what solves the part with these columns, `count` of which have a weight."""
        if self._unfactored is None:
            self._unfactored = Unfactored(objective)
        if not np.array_equal(columns, self._learnt):
            self._unfactored.move(places_of(columns, self._learnt, objective))
            self._learnt = columns
        solver = solver_for(part, count, self._unfactored)
        if solver is solve and not np.array_equal(columns, self._recalled):
            self.recall.move(part, places_of(columns, self._recalled, objective))
            self._recalled = columns
        return solver


def grows(objective: Objective) -> bool:
    """Whether a further column is best copied behind the others: X by columns will do.

    With several classes passes over X by rows take half as long.
    """
    data = objective.data
    return isinstance(data, Dense) and (data.K == 1 or data.X.flags.f_contiguous)


def with_spare(needed: Mask, score: Floats, spare: int) -> Indices:
    """Return the columns that are needed, and so many others whose score is largest."""
    wanted = int(np.count_nonzero(needed)) + spare
    if wanted >= len(score):
        return np.arange(len(score))
    score = np.where(needed, np.inf, score)
    return np.sort(np.argpartition(-score, wanted)[:wanted])


def screened(screen: Screen, before: Point, l1: Floats) -> Solver:
    """Return a solver for the penalty after the one of strengths l1, whose solution is known."""

    def solver(task: Task) -> Iterator[Iterate]:
        return _screened(task, screen, before, l1)

    return solver


def _screened(task: Task, screen: Screen, before: Point, l1: Floats) -> Iterator[Iterate]:
    objective, goal, theta, point = task.objective, task.goal, task.theta, before
    assert objective.nonsmooth is not None
    enough = ENOUGH * before.J
    screen.begin()
    while True:
        near, columns = screen.near(objective, point)
        assert near.nonsmooth is not None
        now = near.nonsmooth.l1[:-1]
        among, coordinates = point, None
        if columns is not None:
            coordinates = and_bias(columns, objective.D)
            theta, among = theta.take(coordinates, axis=1), _among(point, coordinates)
            l1 = l1[coordinates]
        if np.isnan(among.gradient).any():
            among = near.evaluate(among.theta)
        threshold = np.maximum(2.0 * now - l1[:-1], LEAST * now)
        needed = np.zeros(len(now), dtype=bool)
        proved = True
        while proved:
            score = scores(near, among, threshold)
            used = theta[:, :-1].any(axis=0)
            needed |= (score >= 1.0) | used
            chosen, part, group = screen.part(near, needed, score)
            all_columns = chosen if columns is None else columns[chosen]
            solver = screen.solver(objective, part, all_columns, int(np.count_nonzero(used)))
            gap = goal.gap(among.J)
            least, further = 0.3 * gap, enough
            if solver is solve:
                # The last step of a factored Hessian proves more than what it was to prove.
                least = enough
                solver = partial(screen.recall, gap)
            else:
                further = min(enough, UNFACTORED * gap)
            last = solve_part(near, part, chosen, theta, solver, further, least, group)
            chosen = and_bias(chosen, near.D)
            found = prove(near, chosen, last, goal)
            among, lower = found.point, found.lower
            screen.recall.learn(last, found.about)
            if coordinates is None:
                yield Iterate(among, lower)
            elif screen.are_below(objective, found.R):
                # The bound is one for all columns: those that are not near add nothing to it.
                yield Iterate(_of_all(among, coordinates, objective), lower)
            else:
                proved = False
                found = prove(objective, coordinates[chosen], last, goal)
                point = found.point
                screen.refer(objective, point, found.R, found.pulled)
                yield Iterate(point, found.lower)
            enough /= FURTHER
            if enough < 1e-3 * goal.gap(among.J):
                return
            theta, threshold = among.theta, now
        theta, l1 = point.theta, objective.nonsmooth.l1


def _among(point: Point, coordinates: Indices) -> Point:
    """Return what is known of some coordinates."""
    return point._replace(
        theta=point.theta.take(coordinates, axis=1),
        gradient=point.gradient.take(coordinates, axis=1),
    )


def _of_all(point: Point, coordinates: Indices, objective: Objective) -> Point:
    """Return a point with the weights of all columns; gradients of others are not known."""
    theta, gradient = objective.start(), np.full((objective.K, objective.D), np.nan)
    theta[:, coordinates], gradient[:, coordinates] = point.theta, point.gradient
    return point._replace(theta=theta, gradient=gradient)
