# SPDX-License-Identifier: BSD-3-Clause
"""Proofs on the way of `preconditioned`: when one is worth its time, and which."""

from __future__ import annotations

import math
from collections.abc import Callable

from .._combination import Combination
from .._objective import Objective, Point
from ._driver import Goal
from ._memory import Apply

# A proof is tried where this part of what the last one lacked, in proportion to the decrease there
# is still to expect, would do.
LIKELY = 0.5
# The next one at the latest where the decrement is this part of what it was.
LEAST = 0.03
# Directions that are added to the points, at most, and what one leaves of the bound at most if
# another is to follow.
DIRECTIONS, WORTH = 16, 0.8
# What goes over all rows for a proof is left out where the bound is not to be within so many times
# the goal.
SPARE = 2.0
# How many iterations, and as many before them, tell how many are left; and by how much slow fits
# slow down on the way.
RECENT, LATER = 10, 3.0

# The bound that an initial matrix has by its own means, if any, at a point and for a gap.
OwnBound = Callable[[Point, float], float | None]


class Proof:
    """When a bound is worth its time: not before the decreases to expect are near the goal."""

    def __init__(self, objective: Objective, goal: Goal, points: int) -> None:
        self._goal = goal
        self._seen = Combination(objective, points)
        self._decrements: list[float] = []
        self._gap = math.inf
        self._excess = 0.0  # the last bound in parts of the decrement there
        self._values: list[float] = []  # of J
        # The decrements from which on a combination, and one with a direction, may do.
        self._combined_at = self._directed_at = math.inf

    def add(self, point: Point) -> None:
        """Take a further point."""
        self._seen.add(point)
        self._values.append(point.J)

    def _lack(self) -> float:
        """Return what a bound would be now, in proportion to the decrement, as the last one was."""
        return self._excess * self._decrements[-1]

    def nearly_done(self, few: float) -> bool:
        """Whether so few iterations are left, if decrements go on to fall as they have done."""
        first, last, count = self._decrements[0], self._decrements[-1], len(self._decrements) - 1
        to_go = max(last, self._lack()) / self._gap
        if to_go <= 1.0 or not 0.0 < last < first:
            return to_go <= 1.0
        return math.log(to_go) * count <= few * math.log(first / last)

    def iterations_left(self) -> float:
        """Return how many more it may take, going by what J has fallen by in the recent ones.

        J is to come near enough to J*, and so is the bound, which is far above where J hardly falls
        for want of a good matrix.
        """
        if len(self._values) <= 2 * RECENT:
            return 0.0
        first, middle, last = (self._values[-1 - k * RECENT] for k in (2, 1, 0))
        before, now = first - middle, middle - last
        ratio = min(now / before, 0.99) if before > 0.0 else 0.99
        to_go = max(now * ratio / (1.0 - ratio), self._lack()) / self._gap
        if not (ratio > 0.0 and to_go > 1.0):
            return 0.0
        return LATER * RECENT * math.log(to_go) / -math.log(ratio)

    def of(self, point: Point, decrement: float, own: OwnBound, apply: Apply) -> float:
        """Return a lower bound on J*, -inf if none was tried; `decrement` is what J may yet fall.

        One more direction costs an iteration. Some are taken, while each leaves little enough of
        the bound, where that, shrinking as the decrements have done, would take more than two, and
        where the initial matrix has no bound of its `own`.
        """
        self._decrements.append(decrement)
        gap = self._gap = self._goal.gap(point.J)
        directed = decrement <= min(self._directed_at, LIKELY * gap)
        if not (directed or decrement <= min(self._combined_at, gap)):
            return -math.inf
        enough = SPARE * gap
        lower = self._seen.lower_bound(enough)
        bound = self._seen.bound
        self._combined_at = decrement * _fall(gap, LIKELY * bound)
        if math.isfinite(bound) and decrement > 0.0:
            self._excess = bound / decrement
        if point.J - lower <= gap or not directed:
            return lower
        earlier = self._decrements[-4:][0]
        shrinks = (decrement / earlier) ** (1.0 / 3.0) if decrement < earlier else 1.0
        certain = own(point, gap)
        if certain is not None:
            lower = max(lower, certain)
            bound = point.J - lower
        elif bound * shrinks * shrinks > gap:
            for _ in range(DIRECTIONS):
                self._seen.add_direction(-apply(self._seen.residual))
                lower, before = max(lower, self._seen.lower_bound(enough)), bound
                bound = self._seen.bound
                if not gap < bound < WORTH * before:
                    break
        else:
            return lower
        self._directed_at = decrement * _fall(gap, bound)
        return lower


def _fall(gap: float, bound: float) -> float:
    """Return to which part of it a decrement has to fall for another bound, after this one."""
    return min(max(gap / bound, LEAST), 0.5) if bound > gap else 0.5
