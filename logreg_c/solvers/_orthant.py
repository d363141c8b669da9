# SPDX-License-Identifier: BSD-3-Clause
r"""Steps within an orthant: for an L1 penalty and supports too large to factor.

Where no weight changes its sign the penalty is linear. The weights that are not zero, and those
whose slope is above the penalty, get signs; these move along the direction of L-BFGS, of which what
has been learnt of other weights is left out, and what would pass zero stays there. Newton's system
of the same weights, solved by conjugate gradients on products with the Hessian, gives the
certificate: the dual variables are as far beyond the penalty as its residual tells.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import and_bias, diagonal_of, floored, inner, reciprocal
from .._certificate import REACH
from .._factor import Factor
from .._nonsmooth import Nonsmooth
from .._objective import Objective, Point, is_finite
from .._sparse import Sparse
from .._validation import Floats, Indices
from ._expected import from_means
from ._head_and_tail import HEAD_COLUMNS, HeadAndTail
from ._line_search import DECREASE, Step, advance
from ._memory import Apply, Memory
from ._price import hessian_in_steps, price_of_step, size_of_factor

# Products for a proof: as many as cost what the Hessian and its factor do, within limits.
FEWEST_PRODUCTS, MOST_PRODUCTS = 12, 1000
# Predictions nearer to 0 or 1 will not stay there: their curvature counts as that of these.
SUREST = 0.0125
# Products after which conjugate gradients look whether the face is still the right one, and then
# after twice as many; residuals of more than this part of the penalty do not tell.
LOOK, TELLING = 16, 0.01
# What a head's factor may cost in steps: one is made wherever a column of it comes or goes.
CHEAP = 0.05
# What is added to the diagonal of the head, in parts of it: without a ridge penalty nothing bends J
# along what adds up to zero in all rows, and a sample of rows does not tell how little.
RIDGE = 0.05
# How often a step is halved.
HALVINGS = 8
# Parameters of a face that are factored where conjugate gradients do not get there.
FACTORED_FACE = 3000


class Face(NamedTuple):
    """The coordinates that move, their signs, and J's slope along them, zero elsewhere."""

    moves: NDArray[np.bool_]
    sign: Floats
    slope: Floats


def face(nonsmooth: Nonsmooth, point: Point) -> Face:
    """Return where J falls at once, or may be bent."""
    theta, g = point.theta, point.gradient
    outside = np.abs(g) > nonsmooth.l1
    sign = np.where(theta != 0.0, np.sign(theta), np.where(outside, -np.sign(g), 0.0))
    slope = g + nonsmooth.l1 * sign
    blocked = ((theta <= nonsmooth.lower) & (slope > 0.0)) | (
        (theta >= nonsmooth.upper) & (slope < 0.0)
    )
    moves = ((sign != 0.0) | (nonsmooth.l1 == 0.0)) & ~blocked
    return Face(moves, sign, np.where(moves, slope, 0.0))


class Solution(NamedTuple):
    """A direction within a face, its margins, and whether it is as exact as it was to be."""

    s: Floats
    U: Floats
    exact: bool


class Refaced(NamedTuple):
    """Another face, and a direction within it."""

    face: Face
    s: Floats


# Columns of a head that move, and their factor if there are any.
HeadFactor = tuple[Indices, Factor | None]


class Inverse:
    """About the inverse of the Hessian at a point, within faces; of sparse data with their head.

    Attributes
    ----------
    diagonal : ndarray of shape (K, D)
        That of its diagonal.
    means : ndarray of shape (D - 1,) or None
        What columns count from.
    """

    def __init__(
        self, part: Objective, point: Point, rows: Indices | None, centred: bool = True
    ) -> None:
        self._part = part
        self._hessian: HeadAndTail | None = None
        self.means: Floats | None = None
        if not isinstance(part.data, Sparse):
            self.diagonal = inverse_diagonal(part, point)
            return
        # Several classes share the mean of their curvatures.
        h = part.mean_curvature(point, SUREST)
        k = min(HEAD_COLUMNS, size_of_factor(CHEAP * price_of_step(part)), part.D - 1)
        self._hessian = HeadAndTail(part, h, k, rows, centred)
        self.diagonal = np.tile(self._hessian.inverse, (part.K, 1))
        self.means = self._hessian.means
        self._heads: list[HeadFactor] = []

    def within(self, moves: NDArray[np.bool_]) -> Apply:
        """Return what multiplies by the inverse of the block of some parameters."""
        part, hessian = self._part, self._hessian
        heads = [] if hessian is None else self._heads_of(hessian, moves)

        def split(r: Floats) -> Floats:
            out: Floats = np.where(moves, part.project(self.diagonal * r), 0.0)
            for k, (head, factor) in enumerate(heads):
                if factor is not None:
                    out[k, head] = factor.solve(r[k, head])
            return out

        def apply(r: Floats) -> Floats:
            return from_means(split, self.means, r)

        return apply

    def _heads_of(self, hessian: HeadAndTail, moves: NDArray[np.bool_]) -> list[HeadFactor]:
        """Return the head of each class, of which few columns come and go."""
        before, self._heads = self._heads, []
        for k, row in enumerate(moves[:, hessian.head]):
            among = np.flatnonzero(row)
            head = hessian.head[among]
            if k < len(before) and np.array_equal(head, before[k][0]):
                self._heads.append(before[k])
                continue
            G = np.ascontiguousarray(hessian.G[np.ix_(among, among)])
            diagonal_of(G)[:] *= 1.0 + RIDGE
            factor = Factor(G, self._part.data.threads) if len(among) else None
            self._heads.append((head, factor))
        return self._heads


def learnt_direction(where: Face, inverse: Inverse, memory: Memory) -> Floats:
    """Return the direction of L-BFGS within a face."""
    moves = where.moves
    precondition = inverse.within(moves)

    def initial(r: Floats) -> Floats:
        full = np.zeros(moves.shape)
        full[moves] = r[0]
        return precondition(full)[moves][None]

    s = np.zeros(moves.shape)
    slope = where.slope[moves][None]
    known = memory.at(np.flatnonzero(moves), inverse.diagonal[moves])
    scaling = known.scaling(initial)
    if scaling > 0.0:
        # The last step may have gone where it is flat for once, or steep.
        root = math.sqrt(min(scaling, 1.0))
        s[moves] = -known.apply(slope, lambda r: root * initial(r))[0]
    if not inner(where.slope, s) < 0.0:
        # What rows leave that are all sure of their labels may have no factor but for rounding.
        s[moves] = -inverse.diagonal[moves] * where.slope[moves]
    return s


def newton_direction(
    part: Objective, point: Point, where: Face, inverse: Inverse, gap: float, start: Floats
) -> Solution:
    """Solve Newton's system from a start, until the residuals add little to the gap.

    First of a face; what the model has in another one shows on the way, and goes over to it.
    """
    assert part.nonsmooth is not None
    a = part.data.predictions(point.Z)
    l1 = np.where(part.nonsmooth.l1 > 0.0, part.nonsmooth.l1, math.inf)
    held = (part.nonsmooth.l1 == 0.0) & (part.quadratic == 0.0)
    system = System(part, point, a, where, inverse, start)
    price = hessian_in_steps(part, int(np.count_nonzero(where.moves)))
    look = LOOK
    for count in range(int(min(max(price, FEWEST_PRODUCTS), MOST_PRODUCTS))):
        beyond = float((np.abs(system.r) / l1).max())
        free = np.abs(system.r) * held * np.maximum(np.abs(point.theta), 1.0)
        enough = beyond * point.J + REACH * float(free.sum()) <= gap
        if enough or (count >= look and beyond <= TELLING):
            look = 2 * count
            other = system.refaced(gap)
            if other is not None:
                system = System(part, point, a, other.face, inverse, other.s)
                continue
        if enough:
            return Solution(system.s, system.U, True)
        if not system.advance():
            break
    return Solution(system.s, system.U, False)


class System:
    """Newton's system of a face at a point, and conjugate gradients for it.

    Attributes
    ----------
    s, U : ndarray of shape (K, D), (K, n)
        The direction so far, and its margins.
    r : ndarray of shape (K, D)
        What is left of the slope, negative.
    """

    def __init__(
        self, part: Objective, point: Point, a: Floats, where: Face, inverse: Inverse, s: Floats
    ) -> None:
        self._part, self._point, self._a, self._where = part, point, a, where
        self._fill = filled(part, where, inverse.diagonal)
        self._precondition = inverse.within(where.moves)
        self.s, self.U, self._Up = s, np.empty_like(point.Z), np.empty_like(point.Z)
        Hs, filling = self._product(s, self.U)
        # The model's gradient, of all coordinates.
        self._gradient = point.gradient + Hs
        assert part.nonsmooth is not None
        slope = self._gradient + part.nonsmooth.l1 * where.sign + filling
        self.r = np.where(where.moves, -slope, 0.0)
        self._p = z = self._precondition(self.r)
        self._rz = inner(self.r, z)

    def _product(self, p: Floats, Up: Floats) -> tuple[Floats, Floats]:
        """Return the Hessian times p, and what is filled of it within the face."""
        Hp = self._part.hessian_vector(self._a, p, Up)
        return Hp, self._fill * p.sum(axis=0) * self._where.moves

    def advance(self) -> bool:
        """Make a step of conjugate gradients; return whether there is another one."""
        Hp, filling = self._product(self._p, self._Up)
        inside = np.where(self._where.moves, Hp, 0.0) + filling
        curvature = inner(self._p, inside)
        if not (curvature > 0.0 and math.isfinite(curvature)):
            return False
        length = self._rz / curvature
        self.s = self.s + length * self._p
        self.r -= length * inside
        self._gradient += length * Hp
        self.U += length * self._Up
        z = self._precondition(self.r)
        self._rz, before = inner(self.r, z), self._rz
        if not self._rz > 0.0:
            return False
        self._p = z + (self._rz / before) * self._p
        return True

    def refaced(self, gap: float) -> Refaced | None:
        """Return the face that the model is in by now, None if it is this one but for a gap.

        Weights that have passed zero stay there, and those whose slope is above the penalty move.
        """
        nonsmooth, where = self._part.nonsmooth, self._where
        assert nonsmooth is not None
        theta = self._point.theta + self.s
        passed = (theta * where.sign < 0.0) & (nonsmooth.l1 > 0.0)
        theta[passed] = 0.0
        there = face(nonsmooth, self._point._replace(theta=theta, gradient=self._gradient))
        J = self._point.J
        above = J * np.abs(self._gradient) > (J + gap) * nonsmooth.l1
        if not (there.moves & ~where.moves & above).any():
            return None
        return Refaced(there, theta - self._point.theta)


def filled(part: Objective, where: Face, inverse: Floats) -> Floats:
    """Return the curvature lent to moving all classes alike, which changes no prediction.

    Without a ridge only signs tell how far that goes, and no Newton step sees them change.
    """
    if part.K == 1:
        return np.zeros(part.D)
    flat = where.moves.all(axis=0) & (part.quadratic == 0.0)
    mean = inverse.mean(axis=0)
    fill = np.zeros(part.D)
    np.divide(1.0 / part.K, mean, out=fill, where=flat & (mean > 0.0))
    return fill


def factored_direction(
    part: Objective, point: Point, where: Face, inverse: Floats
) -> Solution | None:
    """Solve Newton's system of a face by its Hessian's factor, None if that is too large."""
    among = np.flatnonzero(where.moves[:, :-1].any(axis=0))
    if part.K * (len(among) + 1) > FACTORED_FACE:
        return None
    few = part.columns(among)
    coordinates = and_bias(among, part.D)
    moves = np.flatnonzero(where.moves[:, coordinates])
    H = few.hessian(part.data.predictions(point.Z))
    H += np.tile(np.diag(filled(part, where, inverse)[coordinates]), (part.K, part.K))
    H = H[np.ix_(moves, moves)]
    step = np.zeros((part.K, len(coordinates)))
    slope = where.slope[:, coordinates].ravel()[moves]
    step.ravel()[moves] = Factor(H, part.data.threads).step(slope)[0]
    s = np.zeros_like(point.theta)
    s[:, coordinates] = step
    return Solution(s, few.direction_margins(step), True)


def orthant_step(
    part: Objective, point: Point, where: Face, s: Floats, means: Floats | None
) -> Step | None:
    """Step along s, or half of it, and so on; weights that would pass zero or a bound stay there.

    Of a shorter step fewer do, which is another path than that to the end of the full one. What
    these would have added to an average margin, of columns with such means, the bias adds.
    """
    nonsmooth = part.nonsmooth
    assert nonsmooth is not None
    before = nonsmooth.value(point.theta)
    for _ in range(HALVINGS):
        theta = point.theta + s
        passed = (theta * where.sign < 0.0) & (nonsmooth.l1 > 0.0)
        stopped = nonsmooth.clip(np.where(passed, 0.0, theta))
        if means is not None:
            stopped[:, -1] += np.einsum("kj,j->k", (theta - stopped)[:, :-1], means)
        theta = stopped
        value = nonsmooth.value(theta)
        promised = inner(point.gradient, theta - point.theta) + value - before
        if promised < 0.0:
            Z = part.data.margins(part.to_raw(theta))
            loss, R = part.data.residuals(Z)
            J = loss + value + 0.5 * inner(part.quadratic * theta, theta)
            if J - point.J <= DECREASE * promised:
                new = part.at_residuals(theta, Z, loss, R)
                if is_finite(new):
                    return Step(new, 1.0)
        s = 0.5 * s
    return None


def shrinking_step(part: Objective, point: Point, inverse: Floats) -> Step | None:
    """Step as if the Hessian were a multiple of its diagonal, the best of a few multiples."""
    nonsmooth = part.nonsmooth
    assert nonsmooth is not None
    factor = 1.0
    for _ in range(8):
        x = point.theta - factor * inverse * point.gradient
        shrunk = np.sign(x) * np.maximum(np.abs(x) - factor * inverse * nonsmooth.l1, 0.0)
        step = advance(part, point, nonsmooth.clip(part.project(shrunk)) - point.theta)
        if step is not None and step.length == 1.0:
            return step
        factor *= 0.25
    return step


def inverse_diagonal(part: Objective, point: Point) -> Floats:
    """Return 1 / the Hessian's diagonal. Reads X."""
    diagonal = part.evaluate_and_survey(point.theta, np.ones_like(point.theta))[1]
    return reciprocal(floored(diagonal))
