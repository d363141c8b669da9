# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS from the Hessian of a problem like this one: another penalty, or other rows left out.

On the way through penalties and folds a Hessian changes little, and making one costs as much as
many passes where there are several classes or columns. So the last one made, without its
penalty, is kept as the `LastHessian`: with the new penalty added and factored it is the initial
matrix of L-BFGS. Where that gets on slowly a new one is made. Conjugate gradients preconditioned by
it prove the gap, on some rows if there are many more than columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .._arrays import diagonal_of, inner, reciprocal
from .._certificate import newton_lower_bound, plain_lower_bound
from .._data import Dense
from .._factor import Factor
from .._objective import Objective, Point
from .._sampling import by_importance
from .._validation import Floats, Indices
from . import FACTORED, FACTORED_TWO_CLASSES
from ._driver import Iterate, Solver, Task
from ._line_search import SHORT, advance, careful
from ._memory import Memory
from ._price import price_of_factor, price_of_gram, price_of_step
from .lbfgs import LOOSE
from .newton_cg import conjugate_gradients

MEMORY = 10
# Parameters of sparse data whose Hessian is worth making: a pass there costs far less than a dense
# one, and `preconditioned` needs few.
FACTORED_SPARSE = 500
# A factor serves penalties up to this ratio of its own, and curvatures up to this.
SERVED_PENALTY, SERVED_CURVATURE = 1.05, 1.4
# Seconds, as in `_price`, that an entry of a factor takes in a solve.
SOLVE = 8e-10
# Rows of the sample that proves a gap, for each column, and in parts of all; without weight
# the folds' held-out rows count for nothing.
PROOF_ROWS, PROOF_PART = 100, 0.1
# A Hessian that costs so many steps or less is made rather than multiplied.
CHEAP = 0.7
# Products with the Hessian that a proof may take.
PROOF = 40
# How much smaller than the gap a decrement should be for a proof over all rows to succeed.
TRIGGER = 0.7


class LastHessian:
    """The Hessian that was made last, without a penalty, and a sample of rows to prove by."""

    def __init__(self) -> None:
        self._H: Floats | None = None
        self._scale: Floats | None = None
        self._factor: Factor | None = None
        self._quadratic: Floats | None = None
        self._curvature = self._factored_curvature = 0.0
        self._rows: Indices | None = None
        self._part: Objective | None = None

    @staticmethod
    def suits(objective: Objective) -> bool:
        """Whether a Hessian is small enough to be factored, and the factor is of use."""
        limit = FACTORED if objective.K > 1 else FACTORED_TWO_CLASSES
        if not isinstance(objective.data, Dense):
            limit = FACTORED_SPARSE
        small = objective.K * objective.D <= limit
        return small and 2 * objective.n > objective.D and objective.nonsmooth is None

    @staticmethod
    def price(objective: Objective) -> float:
        """Return what making a Hessian costs, in steps."""
        P = objective.K * objective.D
        made = price_of_gram(objective) + price_of_factor(P)
        return made / (price_of_step(objective) + SOLVE * P**2)

    def serves(self, objective: Objective) -> bool:
        """Whether there is a Hessian in these coordinates."""
        return self._H is not None and self._scale is objective.scale

    def make(self, task: Task, point: Point) -> None:
        """Make it anew, at a point."""
        objective = task.objective
        a = objective.data.predictions(point.Z)
        H = objective.hessian(a)
        diagonal = diagonal_of(H)
        diagonal -= np.tile(objective.quadratic, objective.K)
        if self._scale is not objective.scale:
            self._part = None
        self._H, self._factor, self._scale = H, None, objective.scale
        self._curvature = _total_curvature(objective, point)
        m = max(PROOF_ROWS * objective.D, int(PROOF_PART * objective.n))
        if self._part is None and 2 * m <= objective.n and isinstance(objective.data, Dense):
            inverse = reciprocal(diagonal + np.tile(objective.quadratic, objective.K))
            inverse = inverse.reshape(point.theta.shape)
            leverage = objective.evaluate_and_survey(point.theta, inverse)[2]
            self._rows, _ = by_importance(leverage.sum(axis=0), m, task.random)
            self._part = objective.sample(self._rows, np.ones(len(self._rows)))

    def factor(self, objective: Objective, point: Point) -> Factor:
        """Return the factor with the objective's penalty added, or with one that is about it.

        Curvatures fall on the way to weak penalties, all alike at first: the Hessian is scaled to
        what they add up to at the point.
        """
        q, curvature = objective.quadratic, _total_curvature(objective, point)
        if self._factor is not None and self._quadratic is not None:
            old = self._quadratic
            alike = (q <= SERVED_PENALTY * old).all() and (old <= SERVED_PENALTY * q).all()
            less, more = sorted((curvature, self._factored_curvature))
            if alike and more <= SERVED_CURVATURE * less:
                return self._factor
        assert self._H is not None
        H = self._H * (curvature / self._curvature)
        diagonal_of(H)[:] += np.tile(q, objective.K)
        self._factor, self._quadratic = Factor(H, objective.data.threads), q
        self._factored_curvature = curvature
        return self._factor

    def part(self, objective: Objective) -> tuple[Objective, Indices] | None:
        """Return the sample that proves, with the weights its rows have now."""
        if self._part is None or self._rows is None:
            return None
        return objective.sample_again(self._part, self._rows), self._rows


def _total_curvature(objective: Objective, point: Point) -> float:
    """Return what the curvatures of all rows add up to at a point, which is not 0."""
    return max(float(np.add.reduce(objective.mean_curvature(point))), 1e-300)


def near(last: LastHessian, start: Point | None = None) -> Solver:
    """Return a solver that begins with this Hessian, at `start` if that is given."""

    def solver(task: Task) -> Iterator[Iterate]:
        return _near(task, last, task.begin() if start is None else start)

    return solver


def _near(task: Task, last: LastHessian, point: Point) -> Iterator[Iterate]:
    objective = task.objective
    fresh = not last.serves(objective)
    if fresh:
        last.make(task, point)
    factor = last.factor(objective, point)
    part = last.part(objective)
    memory = Memory(MEMORY, objective.data.threads)
    first = trigger = TRIGGER * (1.0 if part is None else len(part[1]) / objective.n)
    price = last.price(objective)
    before = math.inf

    def apply(g: Floats) -> Floats:
        return objective.project(memory.apply(g, factor.solve))

    while True:
        s = -apply(point.gradient)
        gap = task.goal.gap(point.J)
        decrement = -0.5 * inner(point.gradient, s)
        # The plain bound is never less than the decrement below J.
        lower = plain_lower_bound(objective, point, gap) if decrement <= gap else -math.inf
        if point.J - lower > gap and decrement <= trigger * gap:
            if part is not None and last.price(part[0]) <= CHEAP:
                lower = max(lower, newton_lower_bound(objective, point, *part))
            else:
                rows = (None, None) if part is None else part
                found = conjugate_gradients(objective, point, apply, 1e-8, gap, PROOF, *rows)
                lower = max(lower, found.lower)
                s = found.s if part is None else s
            if point.J - lower > gap:
                trigger *= 0.05
                if part is not None and decrement <= 1e-3 * first * gap:
                    # What the sample does not see: all rows prove it.
                    part, trigger = None, TRIGGER
                    continue
        if point.J - lower <= gap:
            yield Iterate(point, lower)
            return
        ratio = decrement / before
        before = decrement
        slow = not fresh and _slow(ratio, decrement / (trigger * gap), price)
        step = None if slow else advance(objective, point, s, LOOSE)
        if fresh and (step is None or step.length < SHORT):
            step = careful(objective, point, step)
        if step is None:
            if fresh:
                yield Iterate(point, lower)
                return
            last.make(task, point)
            factor, fresh, before = last.factor(objective, point), True, math.inf
            memory.clear()
            continue
        memory.add_step(point, step.point)
        fresh = False
        point = step.point
        yield Iterate(point, lower)


def _slow(ratio: float, excess: float, price: float) -> bool:
    """Whether steps that leave `ratio` of a decrement take longer to the goal than a Hessian."""
    if not 0.0 < ratio < 1.0:
        return ratio >= 1.0
    return math.log(max(excess, 1.0)) > -price * math.log(ratio)
