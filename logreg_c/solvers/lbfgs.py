# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS (Liu and Nocedal 1989) from the Hessian as it is to be expected.

One read of X an iteration. When the predicted decrease is small, what the iterations leave is
combined to a proof, at no read. Where that cannot be, or falls short, conjugate gradients that
start from L-BFGS's own inverse Hessian prove the gap, or improve the step.

Passes that are bound by memory take half as long over an X of float32, and what it is rounded by
matters less than the last iterations do. So after some passes they are those of a copy, until there
is the proof; then X itself is read once for J and once for what the proof is there, and most often
that is all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from .._arrays import floored, inner, reciprocal
from .._certificate import all_held, plain_lower_bound
from .._combination import Combination
from .._data import Dense
from .._objective import Objective, Point, is_finite
from .._validation import Floats
from ._driver import Iterate, Task
from ._expected import Expected
from ._line_search import advance
from ._memory import Apply, Memory
from ._price import MANY_STEPS, compressed_in_steps, hessian_in_steps
from .newton_cg import conjugate_gradients

MEMORY = 20
# The usual condition of L-BFGS on a full step's slope: searching further costs more than it gains.
LOOSE = 0.9
# Points that are combined to a proof: twice as many make it a fifth better, and far fewer of their
# combinations are probabilities.
POINTS = 6
# The next combination is tried where the decrement has fallen by what the last one lacked, within
# these parts of it: a try costs little, the decrement is a guess. SOONEST if there was no proof.
SOONEST, LATEST = 0.9, 0.7
# Products with the Hessian that a proof may take.
PROOF = 40
# The first such proof is tried where the decrement is this part of the goal: where combinations of
# points are tried before it, and where they cannot be.
PRODUCTS_AT, PRODUCTS_ALONE_AT = 1e-4, 0.3
# Passes after which it is Newton's turn, if it follows and its Hessians are expensive: what so many
# of its iterations cost, of which it takes at least five, and no fewer than these.
HESSIANS, PATIENCE = 2.0, 100.0
# The passes before one of these follows are judged by their pace over the last few.
FOLLOWERS, LOOK_BACK = ("blocks", "newton-cg"), 10
# After so many passes it is asked whether so many times as many are to come, which are too many.
# With several classes it is asked after as many divided by rows a column, and no later than after
# LATEST_ASKED: the more rows there are the better is what follows. Where columns are about
# independent there are 20 to 100 passes in all, whatever the scales, and where they are about of
# low rank a thousand.
ASKED_AFTER, LATEST_ASKED, TOO_MANY = 300.0, 100.0, 3.0
# Bytes of an X from where on a copy is worth its time, and up to which it is not too large.
LEAST_ROUNDED, MOST_ROUNDED = 4e6, 2.0**31
# Rows a column up to which fits take enough passes to pay for a copy. With several classes passes
# are not bound by memory.
MANY_PASSES = 20
# A copy costs three passes, so a fit that is done soon does without. Passes before one is made, and
# how many times the goal the decrement must still be then.
COPIED_AFTER, FAR = 6.0, 10.0


def remembering(objective: Objective, initial: Apply) -> tuple[Memory, Apply]:
    """Return a memory and its inverse Hessian, from `initial` at the size of the last pair."""
    memory = Memory(MEMORY, objective.data.threads)

    def apply(g: Floats) -> Floats:
        return memory.apply(g, lambda q: objective.project(memory.scaled(initial, q)))

    return memory, apply


class Heading(NamedTuple):
    """A point, and the step that would come next."""

    point: Point
    s: Floats


def few_passes(
    objective: Objective, point: Point, diagonal: Floats, count: int
) -> Iterator[Heading]:
    """Yield a point, and at most so many more of L-BFGS from the diagonal."""
    inverse = reciprocal(floored(diagonal))
    memory, apply = remembering(objective, lambda q: inverse * q)
    for k in range(count + 1):
        s = -apply(point.gradient)
        yield Heading(point, s)
        step = advance(objective, point, s, LOOSE) if k < count else None
        if step is None:
            return
        memory.add_step(point, step.point)
        point = step.point


def _copied_at(objective: Objective) -> float:
    """Return after how many passes over X a copy of float32 is worth it, inf if it never is."""
    data = objective.data
    if not isinstance(data, Dense) or not data.is_double or objective.K > 1:
        return math.inf
    many_passes = data.n <= MANY_PASSES * data.d
    if not (all_held(objective) and many_passes and LEAST_ROUNDED <= 8 * data.size <= MOST_ROUNDED):
        return math.inf
    return data.meter.reads + COPIED_AFTER


def _over_copy(objective: Objective, theta: Floats) -> tuple[Objective, Point] | None:
    """Return the objective over a copy of X as float32, and where that is at theta, if it can."""
    try:
        rounded = objective.rounded()
    except MemoryError:
        return None
    point = rounded.evaluate(theta)
    return (rounded, point) if is_finite(point) else None


def _points_from(objective: Objective, point: Point) -> Combination:
    """Return what combines the points from this one on."""
    seen = Combination(objective, POINTS)
    seen.add(point)
    return seen


class Falls:
    """What is left, in parts of the goal, pass by pass; the first `passes` are not judged."""

    def __init__(self, passes: float) -> None:
        self._passes = max(passes, LOOK_BACK)
        self._logs: list[float] = []

    def are_slow(self, left: float) -> bool:
        """Whether it will take far too many passes more at the pace of the last ones."""
        self._logs.append(math.log(max(left, 1e-300)))
        if len(self._logs) <= self._passes or self._logs[-1] <= 0.0:
            return False
        fall = (self._logs[-1 - LOOK_BACK] - self._logs[-1]) / LOOK_BACK
        return self._logs[-1] > TOO_MANY * self._passes * fall


def lbfgs(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a read of X."""
    objective, point = task.objective, task.begin()
    expected = Expected(objective, point, task.random)
    exact, copied_at = objective, _copied_at(objective)
    memory, apply = remembering(objective, expected)
    seen = _points_from(objective, point)
    combined_at = 1.0
    products_at = PRODUCTS_AT if seen.useful else PRODUCTS_ALONE_AT
    retried = False
    meter, patience = objective.data.meter, math.inf
    judged = task.follower in FOLLOWERS
    few = ASKED_AFTER * objective.D / objective.n
    falls = Falls(min(few, LATEST_ASKED) if objective.K > 1 else ASKED_AFTER)
    hessian = hessian_in_steps(objective, objective.K * objective.D)
    if task.follower == "newton" and hessian >= MANY_STEPS:
        patience = meter.reads + max(HESSIANS * hessian, PATIENCE)
    elif task.follower == "compressed":
        patience = meter.reads + compressed_in_steps(objective)
    while meter.reads <= patience:
        expected.adapt(point)
        s = -apply(point.gradient)
        gap = task.goal.gap(point.J)
        left = -0.5 * inner(point.gradient, s) / gap
        if judged and falls.are_slow(left):
            return
        lower = plain_lower_bound(objective, point, gap)
        if left <= combined_at and point.J - lower > gap:
            combined = seen.lower_bound()
            lacked = gap / (point.J - combined) if math.isfinite(combined) else SOONEST
            combined_at = left * min(max(lacked, LATEST), SOONEST)
            lower = max(lower, combined)
        if meter.reads >= copied_at and left > FAR:
            copied_at = math.inf
            over_copy = _over_copy(exact, point.theta)
            if over_copy is not None:
                objective, point = over_copy
                seen = _points_from(objective, point)
                continue
        rounded = objective is not exact
        if rounded and (point.J - lower <= gap or left <= products_at or retried):
            objective, retried = exact, False
            point = exact.evaluate(point.theta)
            lower = plain_lower_bound(exact, point, gap)
            if point.J - lower > gap:
                lower = max(lower, seen.bound_elsewhere(exact, point))
            seen = _points_from(exact, point)
            yield Iterate(point, lower)
            continue
        if left <= products_at and point.J - lower > gap:
            found = conjugate_gradients(objective, point, apply, 1e-3, gap, PROOF)
            s, lower = found.s, max(lower, found.lower)
            products_at *= 0.1
        if point.J - lower <= gap:
            yield Iterate(point, lower)
            return
        step = advance(objective, point, s, LOOSE)
        if step is None:
            if retried:
                yield Iterate(point, lower)
                return
            if not rounded:
                memory.clear()
            retried = True
            continue
        retried = False
        memory.add_step(point, step.point)
        point = step.point
        seen.add(point)
        yield Iterate(point, -math.inf if rounded else lower, rounded)
