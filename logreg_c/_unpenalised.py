# SPDX-License-Identifier: BSD-3-Clause
"""What a fit where not all is penalised is asked beside its gap.

A small gap is not all there: the optimum may not be finite (`_separation`), or not unique
(`_collinear`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._certificate import full_lower_bound
from ._collinear import UNSEEN, Dependencies, dependencies, least_norm, pins, unseen_decrease
from ._nonsmooth import Nonsmooth
from ._objective import Objective, Point
from ._separation import Separated, Separation
from ._validation import Floats, Indices
from .solvers import SOLVERS, choose
from .solvers._driver import Goal, Outcome, drive

# A J below this is that of classes that are separated.
NOTHING = 1e-9
# How far some columns are fitted alone, and in how many iterations, to learn whether they separate.
ALONE, MOST_ALONE = 1e-3, 200


class Review(NamedTuple):
    """What is known at the end of a fit.

    Attributes
    ----------
    outcome : Outcome
        The driver's, at the solution of least norm.
    separated : Separated or None
        Why there is no finite optimum, if that is so.
    dependent : tuple of int
        Columns with a part in a dependency.
    """

    outcome: Outcome
    separated: Separated | None
    dependent: tuple[int, ...]


class Unpenalised:
    """The questions, and what has been found so far.

    Weights of columns that depend on each other would grow to fit what these are rounded by. So one
    column of each dependency has a ridge penalty while there is a fit, which changes no optimum:
    the others do all that it could.

    Attributes
    ----------
    objective : Objective
        What to minimise.
    """

    def __init__(self, objective: Objective, goal: Goal, seed: int) -> None:
        self.objective = objective
        self._plain = objective
        self._goal = goal
        self._random = np.random.default_rng(seed)
        self._separation = Separation(objective, self._random)
        self.stop_early = self._separation.stop_early
        self._found = dependencies(objective, None, self._random)
        if self._found is not None:
            self._pins = pins(self._found)
            if len(self._pins):
                quadratic = objective.quadratic.copy()
                quadratic[self._pins] = 1.0
                self.objective = objective.with_terms(quadratic, None)

    def started(self, start: Floats | Point) -> Floats | Point:
        """Return a start without weights of the columns that are held, and the same margins."""
        if self.objective is self._plain:
            return start
        return self._released(start.theta if isinstance(start, Point) else start)

    def _released(self, theta: Floats) -> Floats:
        """Leave what weights of the columns that are held do to the others."""
        assert self._found is not None
        directions = self._found.directions
        own = directions[np.arange(len(directions)), self._pins]
        return theta - theta[:, self._pins] @ (directions / own[:, None])

    def without_hold(self, outcome: Outcome) -> Outcome:
        """Return the same without weights of the columns that are held, nor their penalty."""
        if self.objective is self._plain:
            return outcome
        theta = self._released(outcome.point.theta)
        return outcome.moved(self._plain.evaluate(theta), outcome.lower, self._goal)

    def review(self, outcome: Outcome) -> Review:
        """Say whether the optimum is finite, and choose among many."""
        outcome = self.without_hold(outcome)
        separated = self._separation.at_end(outcome.converged)
        if separated is not None:
            return without_optimum(outcome, separated)
        found = self._found
        if found is None:
            ranges = self._separation.ranges
            rows = None if ranges is None else ranges.rows
            found = dependencies(self._plain, rows, self._random)
        if found is None:
            return Review(outcome, None, ())
        outcome = without_overlooked(self._plain, self._goal, outcome, found)
        if found.columns:
            return self._least_norm(outcome, found)
        return Review(outcome, None, ())

    def _least_norm(self, outcome: Outcome, found: Dependencies) -> Review:
        """Go to the least weights with the same margins, if it is these in fact."""
        theta = least_norm(self._plain, outcome.point.theta, found)
        point, lower = self._plain.evaluate(theta), outcome.lower
        if lower > point.J and not (outcome.converged and as_low(lower, point.J)):
            # The optimum is beyond the reach of a bound from further away.
            lower = 0.0
        if not self._goal.reached(point.J, lower):
            # What it went up by is rounding, if the margins are the same. Weights that have grown
            # along a dependency, to fit its rounding, may have proved nothing.
            proved = full_lower_bound(self._plain, point, found.directions)
            lower = max(lower, min(proved, outcome.point.J))
        reached = self._goal.reached(point.J, lower)
        if not (reached or as_low(point.J, outcome.point.J)):
            return Review(outcome, None, ())
        reason = outcome.reason
        if reached and not outcome.converged:
            reason = self._goal.reason
        elif outcome.converged and not reached:
            reason = "nothing is proved within tol of the shortest solution: the limit of rounding"
        moved = outcome._replace(converged=reached, reason=reason)
        return Review(moved.moved(point, lower, self._goal), None, found.columns)


class OnlyBounded:
    """What a fit that only bounds hold is asked: whether what separates may grow."""

    def __init__(self, objective: Objective, nonsmooth: Nonsmooth, seed: int) -> None:
        self._found: Separated | None = None
        self._objective = objective
        self._nonsmooth = nonsmooth
        self._separation = Separation(objective, np.random.default_rng(seed))

    def stop_early(self, point: Point) -> str | None:
        """Return why a fit cannot go on from a point, if that is so."""
        if self._nonsmooth.lets_grow(point.theta):
            self._found = self._separation.completely(point)
        return None if self._found is None else self._found.reason

    def at_end(self, point: Point) -> Separated | None:
        """Return why there is no finite optimum, if that is so, from where the fit ended."""
        found = self._found or self._separation.by_columns(self._nonsmooth)
        if found is None and point.J < NOTHING:
            # The weights that may grow may be enough, and others no trouble.
            growing = self._nonsmooth.growing(point.theta)
            found = self._separation.completely(self._objective.evaluate(growing))
        return found


def as_low(J: float, other: float) -> bool:
    """Whether J is not above another one but for rounding."""
    return J <= other * (1.0 + 1e-12) + 1e-15


def without_overlooked(
    objective: Objective, goal: Goal, outcome: Outcome, found: Dependencies
) -> Outcome:
    """Take back what was proved too much if J falls along a direction that no Hessian shows."""
    if not len(found.near):
        return outcome
    point, words = outcome.point, found.in_words(objective.data.names)
    gap = point.J - outcome.lower
    fall = unseen_decrease(objective, point, found.near)
    more = float(fall[(found.change < UNSEEN) | (fall > 2.0 * gap)].sum())
    lower = max(outcome.lower - more, 0.0)
    if outcome.converged and goal.reached(point.J, lower):
        return outcome.moved(point, lower, goal)
    if outcome.converged or more > gap:
        lower = 0.0
    reason = f"{outcome.reason}; {words}"
    if outcome.converged:
        reason = (
            f"{words}, and J falls further where their weights grow apart than the "
            "rounding of a Hessian lets see: drop one of them, or give them a penalty"
        )
    return outcome.moved(point, lower, goal)._replace(reason=reason)


def without_optimum(outcome: Outcome, separated: Separated) -> Review:
    """Return what is known of a fit that has no finite optimum."""
    outcome = outcome._replace(converged=False, reason=separated.reason)
    return Review(outcome, separated, ())


def separated_by(objective: Objective, columns: Indices, seed: int) -> Separated | None:
    """Return why there is no finite optimum if these columns, which nothing holds, separate.

    Along a direction of theirs that does, the others' weights can stay where they are, and J falls
    for ever. They are fitted alone to find one.
    """
    d = len(columns)
    part = Objective(
        objective.data.columns(columns), 0.0, objective.center[columns], objective.scale[columns],
        objective.fit_bias,
    )  # fmt: skip
    goal = Goal(ALONE)
    alone = Unpenalised(part, goal, seed)
    solvers = [(name, SOLVERS[name]) for name in choose("auto", part)]
    outcome = drive(
        alone.objective, part.start(), solvers, goal, seed, MOST_ALONE, None, alone.stop_early
    )
    separated = alone.review(outcome).separated
    if separated is None:
        return None
    raw = objective.start()
    raw[:, np.append(columns, -1)] = part.to_raw(separated.direction)
    who = objective.data.names.of_columns(columns.tolist())
    which = "which has" if d == 1 else "which have"
    return Separated(
        f"{who}, {which} no penalty, can separate the classes", objective.from_raw(raw)
    )
