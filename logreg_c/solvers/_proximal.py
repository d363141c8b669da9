# SPDX-License-Identifier: BSD-3-Clause
"""Proximal Newton on some columns: Hessians where they are worth their price, steps that learn.

A Hessian leaves a small part of the decrement of its step; BFGS leaves more, for the price of a
step alone. The last step is that of a Hessian to rounding, which proves where it starts from. What
it leaves is of third order, so that it is taken as soon as that would be small enough.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._arrays import and_bias
from .._objective import Objective, Point
from .._quadratic import model_step
from .._sparse import Sparse
from .._validation import Floats, Indices
from ._learning_hessian import UpdatedHessian
from ._line_search import SHORT, advance, careful
from ._price import price_of_gram, price_of_step

# What part of the decrement the step of a new Hessian leaves, about.
LEFT = 0.05
# A decrement of so many times what has to be proved is worth the exact Hessian, however large J is.
PROVABLE = 10.0
# A Hessian of no more steps is made for any last step, which may then prove more than it has to.
CHEAP = 1.0
# Columns whose gradient is above this part of the penalty may get a weight in a step.
NEAR = 0.9
# The same where a step is by an earlier problem's Hessian, which has the columns above NEAR then.
NEARLY = 0.98
# What the first such step leaves of its decrement, about, and by how much more the next one leaves.
RECALLED, GROWS = 0.01, 2.0
# A Hessian that costs less than so many steps is not worth being kept for other columns.
KEPT = 3.0
# The columns that are added to a Hessian, at most, in parts of all: more take as long as to make it
# anew, and more memory.
FEW = 0.1
# What it costs to put an entry of a Hessian of some columns in its place, in multiplications.
PLACED = 50.0
# Coordinate descent in models ends at this part of what is enough.
ROUGH = 1e-3

Mask = NDArray[np.bool_]


class Solved(NamedTuple):
    """The last Newton step of a smaller problem: from where, with which margins, to where.

    `bent` are the predictions whose Hessian it was made with, None: those before it.
    """

    before: Point
    s: Floats
    U: Floats
    decrement: float
    after: Point
    bent: Floats | None = None

    def of_all_rows(self, group: Indices) -> Solved:
        """Return the same for rows of which each is one of those that there are."""
        before, after = (
            point._replace(Z=point.Z.take(group, axis=1)) for point in (self.before, self.after)
        )
        bent = None if self.bent is None else self.bent.take(group, axis=1)
        return self._replace(before=before, U=self.U.take(group, axis=1), after=after, bent=bent)


def scores(objective: Objective, point: Point, penalty: Floats) -> Floats:
    """Return each column's gradient, where its weight may move that way, beside a penalty."""
    nonsmooth = objective.nonsmooth
    assert nonsmooth is not None
    score = np.empty(objective.D - 1)
    _kernels.kernels.scores(point.gradient, nonsmooth.lower, nonsmooth.upper, penalty, score)
    return score


def may_move(part: Objective, point: Point, near: float) -> Mask:
    """Return the columns with a weight, and those whose gradient is above `near` of the penalty."""
    assert part.nonsmooth is not None
    moving: Mask = scores(part, point, part.nonsmooth.l1[:-1]) > near
    moving |= (point.theta[:, :-1] != 0.0).any(axis=0)
    return moving


def solve(
    part: Objective,
    point: Point,
    enough: float,
    least: float,
    curvature: Curvature | None = None,
) -> Solved:
    """Minimise over these columns from a point until a step promised no more than `enough`.

    The last step is that of the Hessian there, to rounding, if it could prove `least`, unless 0.
    """
    curvature = Curvature(part) if curvature is None else curvature
    hessian: UpdatedHessian | None = None
    fresh = False
    before, price = math.inf, curvature.price(point)
    while True:
        if hessian is None:
            hessian, fresh = curvature.hessian(point), True
        cheap = price <= CHEAP
        # What may be the last step is to rounding at once.
        exact = fresh and (cheap or least > 0.0)
        s, decrement = hessian.step(point, 0.0 if exact else ROUGH * enough)
        # A step leaves about decrement^1.5 / J^0.5 of the gap, which here is `least`.
        provable = decrement <= max(PROVABLE * least, point.J ** (1 / 3) * least ** (2 / 3))
        done = decrement <= enough or provable
        if done and not fresh and (cheap or provable):
            hessian = None
            continue
        if done:
            last = last_step(part, point, s, decrement)
            if last is not None:
                return last
        step = advance(part, point, s)
        if fresh and not done and (step is None or step.length < SHORT):
            step = careful(part, point, step)
        if step is None:
            if not fresh:
                hessian = None
                continue
            return Solved(point, s, part.direction_margins(s), decrement, point)
        if done:
            return Solved(point, s, step.margins(point), decrement, step.point)
        ratio = LEFT if fresh else decrement / before
        # As many steps as a Hessian and its own cost would leave more.
        price = curvature.price(step.point)
        slow = ratio > LEFT ** (1.0 / (1.0 + price))
        if step.length < 1.0 or slow:
            hessian = None
        else:
            curvature.complete(hessian)
            hessian.learn(step.length * s, step.point.gradient - point.gradient)
        fresh = False
        before = decrement
        point = step.point


def last_step(part: Objective, point: Point, s: Floats, decrement: float) -> Solved | None:
    """Take a full step without its gradient, which the proof gives; None if J is not lower."""
    assert part.nonsmooth is not None
    if not s.any():
        # Another sum would be another rounding of the same J, which a proof may be above.
        return Solved(point, s, np.zeros_like(point.Z), decrement, point)
    U = part.direction_margins(s)
    J = part.ray(point, s, U).at(1.0)[0]
    if not J <= point.J:
        return None
    theta = part.nonsmooth.clip(point.theta + s)
    return Solved(point, s, U, decrement, Point(theta, point.Z + U, J, point.gradient))


class Made(NamedTuple):
    """A Hessian of some predictions. It owns its arrays, but for `a`: `take` changes them.

    Attributes
    ----------
    H : ndarray of shape (K D, K D)
        With the ridge penalties of `quadratic`.
    columns : ndarray of bool or None
        Those that it has all curvatures of, None: all. Others have none, or the diagonal's.
    a : ndarray of shape (K, n)
        The predictions.
    """

    H: Floats
    quadratic: Floats
    columns: Mask | None
    a: Floats

    def missing(self, part: Objective, point: Point) -> Indices:
        """Return the columns that may move and that it lacks."""
        if self.columns is None:
            return np.zeros(0, dtype=np.intp)
        return np.flatnonzero(may_move(part, point, NEARLY) > self.columns)

    def at(self, places: Indices) -> Made:
        """Return it for other columns; `places` is where their parameters stand now, or -1."""
        known, D = places >= 0, len(places) // len(self.a)
        where = places[known]
        H, quadratic = np.zeros((len(places), len(places))), np.zeros(D)
        columns = known[: D - 1].copy()
        H[np.ix_(known, known)] = self.H[np.ix_(where, where)]
        quadratic[known[:D]] = self.quadratic[places[:D][known[:D]]]
        if self.columns is not None:
            columns[columns] = self.columns[places[: D - 1][columns]]
        return Made(H, quadratic, columns, self.a)

    def take(self, part: Objective, missing: Indices) -> None:
        """Add some columns' curvatures, for two classes."""
        assert self.columns is not None
        self.columns[missing] = True
        rows = part.gram_rows(part.data.curvatures(self.a)[0], missing)
        rows[:, :-1][:, ~self.columns] = 0.0
        self.H[missing], self.H[:, missing] = rows, rows.T
        self.quadratic[missing] = part.quadratic[missing]
        self.H[missing, missing] += part.quadratic[missing]

    def with_ridge_of(self, part: Objective) -> Floats:
        """Return it with a problem's own ridge penalties."""
        more = part.quadratic - self.quadratic
        return self.H + np.diag(np.tile(more, part.K)) if more.any() else self.H


class Recall:
    """Solves one problem after another of the same rows, whose penalties and columns differ.

    A Hessian proves steps of the problems after its own as well (`_certificate`), as long as
    curvatures are about the same: what that costs is seen from proof to proof. One that fails is
    the last of its Hessian. Columns that come in are added to it.
    """

    def __init__(self) -> None:
        self._made: Made | None = None
        self._left = RECALLED
        self._gap = 0.0  # what the last step was to prove

    def forget(self) -> None:
        """Go over to other rows."""
        self._made = None

    def move(self, part: Objective, places: Indices) -> None:
        """Go over to other columns; `places` is where their parameters stand now, -1 nowhere."""
        if price_of_gram(part) <= KEPT * price_of_step(part):
            self._made = None
        elif self._made is not None:
            self._made = self._made.at(places)

    def __call__(
        self, gap: float, part: Objective, point: Point, enough: float, least: float
    ) -> Solved:
        """Do what `solve` does, by the last Hessian alone where its step is to prove the gap."""
        last, self._gap = self._step(gap, part, point), gap
        if last is None:
            curvature = Curvature(part)
            last = solve(part, point, enough, least, curvature)
            self._made, self._left = curvature.made, RECALLED
        return last

    def _step(self, gap: float, part: Objective, point: Point) -> Solved | None:
        made = self._made
        if made is None:
            return None
        missing = made.missing(part, point)
        if len(missing):
            few = part.K == 1 and len(missing) <= FEW * part.D
            if not few or Curvature(part).price(point) <= KEPT:
                return None
            made.take(part, missing)
        s, decrement = model_step(part, made.with_ridge_of(part), point)
        if not self._left * decrement <= gap:
            return None
        last = last_step(part, point, s, decrement)
        return None if last is None else last._replace(bent=made.a)

    def learn(self, last: Solved, gap: float) -> None:
        """See what a step has proved."""
        if last.bent is None:
            return
        if gap > self._gap:
            self.forget()
        elif 0.0 < gap < last.decrement:  # if not, both are rounding
            self._left = GROWS * gap / last.decrement


class Curvature:
    """The Hessians of one problem.

    Of sparse X and two classes they are, where that is cheaper, of the columns that may move: those
    with a weight, and those whose gradient is not far below the penalty. The others have the
    diagonal of the first one, if a second step is made with it.
    """

    def __init__(self, part: Objective) -> None:
        self._part = part
        self._narrow = isinstance(part.data, Sparse) and part.K == 1
        self._diagonal: Floats | None = None
        self.made: Made | None = None  # the last one
        # Of the last Hessian: the weights of its rows, and the columns that it lacks.
        self._h: Floats | None = None
        self._others: Indices | None = None

    def hessian(self, point: Point) -> UpdatedHessian:
        """Return the Hessian at a point."""
        part = self._part
        a = part.data.predictions(point.Z)
        columns = self._moving(point)
        self._others = None
        if columns is None:
            self.made = Made(part.hessian(a), part.quadratic.copy(), None, a)
            return UpdatedHessian(part, self.made.H)
        self._h = part.data.curvatures(a)[0]
        coordinates = and_bias(columns, part.D)
        self._others = np.delete(np.arange(part.D), coordinates)
        H = np.zeros((part.D, part.D))
        H[np.ix_(coordinates, coordinates)] = part.head_gram(None, self._h, columns)
        if not part.fit_bias:
            H[-1] = H[:, -1] = 0.0
        has = np.zeros(part.D - 1, dtype=bool)
        has[columns] = True
        self.made = Made(part.finished(H), part.quadratic.copy(), has, a)
        return UpdatedHessian(part, self.made.H)

    def complete(self, hessian: UpdatedHessian) -> None:
        """Give the last Hessian what it lacks to learn from steps."""
        if self._others is None or self._h is None:
            return
        if self._diagonal is None:
            self._diagonal = self._part.mean_diagonal(self._h) + self._part.quadratic
        hessian.fill(self._others, self._diagonal[self._others])
        self._others = None

    def price(self, point: Point) -> float:
        """Return what the Hessian at a point costs, in steps."""
        return price_of_gram(self._part, columns=self._moving(point)) / price_of_step(self._part)

    def _moving(self, point: Point) -> Indices | None:
        """Return the columns that a Hessian at a point is of, None for all."""
        part = self._part
        if not self._narrow:
            return None
        columns = np.flatnonzero(may_move(part, point, NEAR))
        work = part.sparse.gram_work_of(columns) + PLACED * part.D**2
        return columns if work < part.data.gram_work else None
