# SPDX-License-Identifier: BSD-3-Clause
"""Newton on the columns that matter: for an L1 penalty and many columns.

Most weights of the optimum are zero. The problem of some columns, those with a weight and those
whose gradient is largest beside the penalty, is solved by proximal Newton steps; one product of X'
then finds the columns that are missing, and gives the certificate. That product is taken not at
the predictions but where the last Newton step would move them, which is right to second order: a
column whose weight stays zero shows it long before the weights of others have come to rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .._arrays import and_bias, inner
from .._balanced import moved_along
from .._certificate import about_bound, bound_at
from .._entries import places_among
from .._objective import Objective, Point
from .._sparse import Sparse
from .._validation import Floats, Indices
from ._driver import Goal, Iterate, Task
from ._head_and_tail import HEAD_COLUMNS, rows_for
from ._memory import Memory
from ._orthant import (
    Face,
    Inverse,
    face,
    factored_direction,
    learnt_direction,
    newton_direction,
    orthant_step,
    shrinking_step,
)
from ._price import hessian_in_steps
from ._proximal import PROVABLE, Solved, scores, solve
from ._strengths import at_penalty, grown, strengths

# Columns at first, and how many for each one with a weight.
FIRST, SPARE = 400, 2
# Parameters whose Hessian is made, and what it may cost, in products with it.
FACTORED_PART = 2000
WORTH = 40.0
# A smaller problem is solved to this part of what could be proved before it, and further than its
# predecessor by this factor.
ENOUGH, FURTHER = 0.005, 0.03
# A decrement of this part of what is to be proved proves it, even while the columns with a weight
# still change.
SURE = 1e-3
# Steps with the same columns where there is no Hessian, the pairs of them that are kept, and after
# how many what they start from is made anew.
STEPS, PAIRS, RENEWED = 200, 6, 15
# How many times what a Hessian and its factor cost is too much for what they would spare, and the
# passes, times that, which are never too many.
MANY, FEWEST_STEPS = 2.0, 12
# Parameters up to which the model of all columns takes over where steps are many: there any number
# of weights gets to zero or leaves it at once.
WHOLE = 8000
# How far the problems of stronger penalties are solved: they are where the next one begins.
ROUGHLY = Goal(0.1)

# What iterations leave of the bias's gradient, and its weight can make up for in a proof.
UNSOLVED = 1e-8

PartSolver = Callable[[Objective, Point, float, float], Solved]


def working_set(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a product with X'."""
    objective, point = task.objective, task.begin()
    unfactored, stronger = Unfactored(objective), strengths(objective, point)
    for strength in stronger:
        stage = objective.stronger(strength)
        here = grown(stage, at_penalty(objective, stage, point))
        for iterate in _iterates(stage, ROUGHLY, here, False, unfactored):
            here = iterate.point
            point = at_penalty(stage, objective, here)
            yield Iterate(point, -math.inf)
            if ROUGHLY.reached(here.J, iterate.lower):
                break
    if stronger:
        point = grown(objective, point)
    yield from _iterates(objective, task.goal, point, not stronger, unfactored)


def _iterates(
    objective: Objective, goal: Goal, point: Point, exact: bool, unfactored: Unfactored
) -> Iterator[Iterate]:
    """Yield iterates of one penalty from a point, whose gradient may be exact, or nearly."""
    nonsmooth = objective.nonsmooth
    assert nonsmooth is not None
    enough, before = ENOUGH * point.J, math.inf
    among: Indices = np.zeros(0, dtype=np.intp)
    part: Objective | None = None
    group: Indices | None = None
    while True:
        # The columns with a weight, and those that are to get one.
        score = scores(objective, point, nonsmooth.l1[:-1])
        needed = np.flatnonzero((point.theta[:, :-1] != 0.0).any(axis=0) | (score > 1.0))
        # With columns missing there is nothing to prove yet.
        settled = bool(np.isin(needed, among).all())
        if part is None or not settled:
            chosen = choose_columns(objective, point, score)
            before = before if np.array_equal(chosen, among) else math.inf
            unfactored.move(places_of(chosen, among, objective))
            among, settled = chosen, len(chosen) == objective.data.d
            part, group = objective, None
            if not settled:
                part, group = objective.columns(among).condensed()
        least = 0.3 * goal.gap(point.J)
        start: Point | Floats = point.theta
        if part is objective:
            # No product with other columns is waited for.
            enough, start = least, point if exact else point.theta
        last = solve_part(
            objective, part, among, start, solver_for(part, len(needed), unfactored),
            max(enough, least), least if settled else 0.0, group,
        )  # fmt: skip
        found = prove(objective, and_bias(among, objective.D), last, goal)
        point = found.point
        yield Iterate(point, found.lower)
        exact = False
        # Nothing lower with the same columns, though it was to be solved further.
        if before <= point.J and not unfactored.give_up(part):
            return
        before = point.J
        enough = min(ENOUGH * found.about, FURTHER * last.decrement)


def solve_part(
    objective: Objective,
    part: Objective,
    among: Indices,
    start: Point | Floats,
    solver: PartSolver,
    enough: float,
    least: float,
    group: Indices | None = None,
) -> Solved:
    """Solve the problem of some columns from a point of theirs, or from a theta of all columns.

    `group` is that of `Objective.condensed`, if it is condensed.
    """
    reads = part.data.meter.reads
    if not isinstance(start, Point):
        start = part.evaluate(start.take(and_bias(among, objective.D), axis=1))
    last = solver(part, start, enough, least)
    if group is not None:
        last = last.of_all_rows(group)
    if part is not objective:
        passes = (part.data.meter.reads - reads) * part.data.size / objective.data.size
        objective.data.meter.add(int(passes * objective.n))
    return last


def choose_columns(objective: Objective, point: Point, score: Floats) -> Indices:
    """Return the columns with a weight and those whose gradient is largest beside the penalty."""
    assert objective.nonsmooth is not None
    penalty = objective.nonsmooth.l1[:-1]
    kept = (point.theta[:, :-1] != 0.0).any(axis=0) | (penalty == 0.0)
    count = int(np.count_nonzero(kept))
    outside = int(np.count_nonzero((score > 1.0) & ~kept))
    # No more columns than rows are needed, but for ties.
    wanted = max(SPARE * count, min(max(FIRST, outside), objective.n))
    if wanted >= len(score):
        return np.arange(len(score))
    score = np.where(kept, np.inf, score)
    return np.sort(np.argpartition(-score, wanted)[:wanted])


def places_of(columns: Indices, among: Indices, objective: Objective) -> Indices:
    """Return where the parameters of some columns stand in those of others, -1 if they do not."""
    D = len(among) + 1
    place = places_among(among, objective.D - 1)[columns].astype(np.intp)
    place = np.append(place, D - 1)
    first = D * np.arange(objective.K)[:, None]
    return np.where(place >= 0, first + place, -1).ravel()


def solver_for(part: Objective, count: int, unfactored: Unfactored) -> PartSolver:
    """Return what solves the problem of some columns, of which about `count` have a weight.

    Whether it takes their Hessian is a question of that one's price.
    """
    few = part.K * part.D <= FACTORED_PART
    few = few and hessian_in_steps(part, part.K * min(count + 1, part.D)) <= WORTH
    return solve if few else unfactored


class Unfactored:
    """Does what `solve` does, without a Hessian: by L-BFGS, and conjugate gradients for the proof.

    Where that takes longer than a Hessian of the face and its factor, it is left to `solve`, or if
    there are too many columns for that, steps are by these. What steps have taught, and that they
    were many, is kept from one problem to the next.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective  # with all columns
        self._memory = Memory(PAIRS, objective.data.threads)
        self._inverse: Inverse | None = None
        self._made = 0  # steps since that was made
        self._begun: float | None = None  # reads of the part before its problem
        self._hard = self._given_up = False

    def move(self, places: Indices) -> None:
        """Go over to the problem of other columns; `places` is where its parameters stand now."""
        self._memory, self._inverse = self._memory.at(places), None
        self._hard, self._begun = self._given_up, None

    def begin(self) -> None:
        """Go over to the problem of another penalty."""
        self._begun = None

    def give_up(self, part: Objective) -> bool:
        """Leave this problem to `solve` from here on; return whether that makes a difference."""
        other = not self._given_up and part.K * part.D <= WHOLE
        self._hard = self._given_up = True
        return other

    def __call__(self, part: Objective, point: Point, enough: float, least: float) -> Solved:
        """Solve a problem."""
        assert part.nonsmooth is not None
        memory = self._memory
        last: Face | None = None
        meter = part.data.meter
        if self._begun is None:
            self._begun = meter.reads
        for count in range(STEPS + 1):
            where = face(part.nonsmooth, point)
            self._hard = self._hard or are_many(part, where, meter.reads - self._begun)
            if self._hard and part.K * part.D <= WHOLE:
                return solve(part, point, enough, least)
            inverse = self._inverse_for(part, point)
            found = factored_direction(part, point, where, inverse.diagonal) if self._hard else None
            s = learnt_direction(where, inverse, memory) if found is None else found.s
            decrement = -0.5 * inner(where.slope, s)
            provable = decrement <= PROVABLE * least
            if count == STEPS or (decrement <= enough and not provable):
                break
            if decrement <= enough:
                settled = last is not None and np.array_equal(last.moves, where.moves)
                if settled or found is not None or decrement <= SURE * least:
                    break
            step = orthant_step(part, point, where, s, inverse.means)
            if step is None and found is not None:
                s = learnt_direction(where, inverse, memory)
                step = orthant_step(part, point, where, s, inverse.means)
            if step is None:
                memory.clear()
                step = shrinking_step(part, point, inverse.diagonal)
                if step is None:
                    break
            self._made += 1
            memory.add_step(point, step.point)
            point, last = step.point, where
        if not provable:
            return Solved(point, 0.0 * s, np.zeros_like(point.Z), decrement, point)
        if found is None:
            found = newton_direction(part, point, where, inverse, least, s)
            if not found.exact:
                self._hard = True
                found = factored_direction(part, point, where, inverse.diagonal) or found
        step = orthant_step(part, point, where, found.s, inverse.means)
        return Solved(point, found.s, found.U, decrement, point if step is None else step.point)

    @cached_property
    def _centred(self) -> bool:
        """Whether columns may count from their means: the bias is not a sum of them itself."""
        return not isinstance(self._objective.data, Sparse) or self._objective.data.fields is None

    def _inverse_for(self, part: Objective, point: Point) -> Inverse:
        """Return what steps start from, made anew now and then."""
        if self._inverse is None or self._made >= RENEWED:
            rows = rows_for(HEAD_COLUMNS, part.n, np.random.default_rng(0))
            self._inverse, self._made = Inverse(part, point, rows, self._centred), 0
        return self._inverse


def are_many(part: Objective, where: Face, passes: float) -> bool:
    """Whether so many passes cost far more than a Hessian of the face and its factor."""
    moves = int(np.count_nonzero(where.moves))
    return passes > MANY * max(hessian_in_steps(part, moves), FEWEST_STEPS)


class Proof(NamedTuple):
    """What a product with X' tells of the last step of a smaller problem.

    Attributes
    ----------
    point : Point
        Where it led, with all columns. The gradient is that where a full step leads to, to second
        order.
    lower : float
        A lower bound on J*, -inf if a further pass was not worth it.
    about : float
        How far J may be above J*, if nothing is proved by the reach of the bias.
    R, pulled : ndarray of shapes (K, n) and (K, d + 1)
        The dual point, share · alpha, and X'R.
    """

    point: Point
    lower: float
    about: float
    R: Floats
    pulled: Floats


def prove(objective: Objective, coordinates: Indices, last: Solved, goal: Goal) -> Proof:
    """Return what a product with X' tells of a solved problem with these coordinates.

    The bound is one for the point before the last step.
    """
    before, s, theta = objective.start(), objective.start(), objective.start()
    before[:, coordinates] = last.before.theta
    s[:, coordinates] = last.s
    theta[:, coordinates] = last.after.theta
    data, J, Z = objective.data, last.before.J, last.before.Z

    def bent() -> Floats:
        return data.predictions(Z) if last.bent is None else last.bent

    def move(U: Floats) -> tuple[float, Floats]:
        return data.dual_residuals(Z, U, last.bent)

    divergence, R = moved_along(objective, last.U, bent, move, most=UNSOLVED)
    pulled = objective.pull_back(R)
    residual = pulled + objective.quadratic * before
    gap = goal.gap(last.after.J)
    lower = bound_at(objective, J, before, residual, divergence, most=gap)
    about = last.after.J - lower
    if about == math.inf:
        about = about_bound(objective, J, before, residual, divergence)
    gradient = residual + objective.quadratic * s
    point = Point(theta, last.after.Z, last.after.J, gradient)
    return Proof(point, lower, about, R, pulled)
