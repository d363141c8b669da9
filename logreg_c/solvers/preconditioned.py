# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS for sparse data, from a matrix that knows the heavy columns and the one-hot fields.

Where that does not know enough, and the largest field leaves few columns, from the whole Hessian.

Each iteration is a gather, which gives the margins of a direction, a search along them that reads
no X, and a scatter, which gives the gradient where it ends. Where full steps have been good enough
the next one is taken without a search, and both products are made while a row is in the cache. The
proof is a combination of what the iterations leave.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from .._arrays import inner
from .._combination import MOST, Combination
from .._objective import Objective, Point
from .._validation import Floats
from ._driver import Goal, Iterate, Task
from ._elimination import Elimination, price
from ._line_search import advance, along
from ._memory import Apply, Memory
from ._partial import Partial
from ._whole import Whole
from .newton_cg import conjugate_gradients

# Iterations at which the initial matrix is made again.
REFRESHED = (4, 12, 30, 60, 100, 150, 200, 300)
# Pairs that are kept; fewer where there are more than so many columns for the entries; more with
# the larger heads of slow fits.
MEMORY, SHORT_MEMORY, LONG_MEMORY = 20, 8, 100
ENTRIES_A_COLUMN = 50
# Points that are combined to a proof where columns are as many. A proof is tried where this part of
# what the last one lacked, in proportion to the decrease there is still to expect, would do.
FEW_POINTS, LIKELY = 6, 0.5
# The next one at the latest where the decrement is this part of what it was.
LEAST = 0.03
# Directions that are added to them, at most, and what one leaves of the bound at most if another is
# to follow.
DIRECTIONS, WORTH = 16, 0.8
# What goes over all rows for a proof is left out where the bound is not to be within so many times
# the goal.
SPARE = 2.0
# Iterations after which a fit is slow, and slower, and slower still.
SLOW = (40, 80, 160)
# How often it is asked whether what is left would take longer than the whole Hessian; how many
# iterations, and as many before them, tell; and by how much such fits slow down on the way.
LOOK, RECENT, LATER = 20, 10, 3.0
# A full step is tried first after as many in a row as there are entries in so many tenths of a row:
# what it saves is for each row, and a scatter is lost if it is not good enough.
ROW = 10
# Iterations after which the margins are computed again, which are added up from those of steps.
DRIFT = 50
# Products with the Hessian that a last proof may take.
PROOF = 40


def preconditioned(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a gather and a scatter."""
    objective, point = task.objective, task.begin()
    matrix: InitialMatrix
    if Whole.serves(objective):
        matrix, field = Whole(objective), None
    else:
        matrix, field = Partial(objective, task.random), Elimination.largest(objective)
    matrix.refresh(point)
    few = objective.sparse.X.entries < ENTRIES_A_COLUMN * objective.D
    threads = objective.data.threads
    memory = Memory(SHORT_MEMORY if few else MEMORY, threads)
    proof = Proof(objective, task.goal, FEW_POINTS if few else MOST)
    proof.add(point)
    count, full, stuck = 0, 0, False
    certain = objective.data.size / (ROW * objective.n)

    def apply(g: Floats) -> Floats:
        return memory.apply(g, matrix.apply)

    while True:
        s = apply(point.gradient)
        np.negative(s, out=s)
        lower = proof.of(point, -0.5 * inner(point.gradient, s), matrix, apply)
        gap = task.goal.gap(point.J)
        if point.J - lower <= gap:
            yield Iterate(point, lower)
            return
        if full > certain:
            step = advance(objective, point, s)
        else:
            step = along(objective, point, s, objective.direction_margins(s))
        if step is None:
            if stuck:
                found = conjugate_gradients(objective, point, matrix.apply, 1e-3, gap, PROOF)
                yield Iterate(point, found.lower)
                return
            # Another matrix may know better.
            stuck = True
            memory.clear()
            point = objective.evaluate(point.theta)
            matrix.refresh(point)
            continue
        stuck = False
        count += 1
        full = full + 1 if step.length == 1.0 else 0
        new = objective.evaluate(step.point.theta) if count % DRIFT == 0 else step.point
        memory.add_step(point, new)
        point = new
        proof.add(point)
        yield Iterate(point, lower)
        if (
            field is not None
            and count % LOOK == 0
            and price(objective, *field) <= max(proof.iterations_left(), count)
        ):
            if not isinstance(matrix, Elimination):
                matrix = Elimination(objective, *field)
            matrix.refresh(point)
            memory.clear()
        elif count in SLOW and matrix.grow(count):
            matrix.refresh(point)
            memory = Memory(LONG_MEMORY, threads, memory)
        elif count in REFRESHED and matrix.pays < math.inf and not proof.nearly_done(matrix.pays):
            matrix.refresh(point)


class InitialMatrix(Protocol):
    """About an inverse of the Hessian, as it was at the point of the last `refresh`."""

    pays: float
    """Iterations that are to be left if another `refresh` is to save what it takes, or inf."""

    def refresh(self, point: Point) -> None:
        """Take the Hessian at a point."""

    def apply(self, g: Floats) -> Floats:
        """Return it times g."""

    def grow(self, count: int) -> bool:
        """Know more from the next refresh on, if it can, as so many iterations have not done."""

    def lower_bound(self, point: Point, gap: float) -> float | None:
        """Return a bound on J* by its own means, if it has any, J being to be this near to it."""


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

    def of(self, point: Point, decrement: float, matrix: InitialMatrix, apply: Apply) -> float:
        """Return a lower bound on J*, -inf if none was tried; `decrement` is what J may yet fall.

        One more direction costs an iteration. Some are taken, while each halves the bound, where
        that, shrinking as the decrements have done, would take more than two, and where the matrix
        has no bound of its own.
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
        own = matrix.lower_bound(point, gap)
        if own is not None:
            lower = max(lower, own)
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
