# SPDX-License-Identifier: BSD-3-Clause
r"""Newton by conjugate gradients in an orthant: for an L1 penalty and supports too large to factor.

Where no weight changes its sign the penalty is linear. The weights that are not zero, and those
whose slope is above the penalty, get signs; Newton's system of these is solved by conjugate
gradients on products with the Hessian, and what would pass zero stays there. Solved further, the
same system gives the certificate: the dual variables of these weights are as far beyond the penalty
as its residual tells.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._certificate import REACH
from .._factor import Factor
from .._nonsmooth import Nonsmooth
from .._objective import Objective, Point, inner, is_finite, reciprocal
from .._validation import Floats
from ._line_search import DECREASE, Step, advance
from ._price import hessian_in_steps

# What a residual is solved to, in parts of the slope: on the way, and once the face is what it was
# before.
FORCING, SETTLED_FORCING = 0.2, 0.01
# Products for it, at most: as many as cost what the Hessian and its factor do, within limits, of
# which the second is for the way.
FEWEST_PRODUCTS, ON_THE_WAY, MOST_PRODUCTS = 12, 30, 1000
# How often a step is halved.
HALVINGS = 8
# Parameters of a face that are factored where conjugate gradients do not get there.
FACTORED = 3000
# The part of the gap that residuals may add to it.
ADDED = 0.3


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


def newton_direction(
    part: Objective,
    point: Point,
    where: Face,
    inverse: Floats,
    settled: bool,
    gap: float | None = None,
    known: Solution | None = None,
) -> Solution:
    """Solve Newton's system of a face; with a gap, until the residuals add little to it.

    `known` is a solution that is not as exact as that.
    """
    assert part.nonsmooth is not None
    a = part.data.predictions(point.Z)
    l1 = np.where(part.nonsmooth.l1 > 0.0, part.nonsmooth.l1, math.inf)
    held = (part.nonsmooth.l1 == 0.0) & (part.quadratic == 0.0)
    moves = where.moves
    fill = filled(part, where, inverse)

    def precondition(r: Floats) -> Floats:
        return np.where(moves, part.project(inverse * r), 0.0)

    def enough(r: Floats, rz: float) -> bool:
        if gap is None:
            return rz <= least
        beyond = float((np.abs(r) / l1).max()) * point.J
        free = REACH * float((np.abs(r) * held * np.maximum(np.abs(point.theta), 1.0)).sum())
        return beyond + free <= ADDED * gap

    def product(p: Floats, Up: Floats) -> Floats:
        Hp: Floats = np.where(moves, part.hessian_vector(a, p, Up), 0.0)
        Hp += fill * p.sum(axis=0) * moves
        return Hp

    s, U, Up = np.zeros_like(point.theta), np.zeros_like(point.Z), np.empty_like(point.Z)
    r = -where.slope
    if known is not None:
        s = known.s
        r = r - product(s, U)
    p = z = precondition(r)
    rz = inner(r, z)
    forcing = SETTLED_FORCING if settled else FORCING
    least = forcing * forcing * rz
    price = hessian_in_steps(part, int(np.count_nonzero(moves)))
    most = ON_THE_WAY if gap is None and not settled else MOST_PRODUCTS
    for _ in range(int(min(max(price, FEWEST_PRODUCTS), most))):
        if enough(r, rz):
            return Solution(s, U, True)
        Hp = product(p, Up)
        bent = inner(p, Hp)
        if not (bent > 0.0 and math.isfinite(bent)):
            break
        length = rz / bent
        s, r = s + length * p, r - length * Hp
        U += length * Up
        z = precondition(r)
        rz, before = inner(r, z), rz
        if not rz > 0.0:
            break
        p = z + (rz / before) * p
    else:
        return Solution(s, U, most == ON_THE_WAY < price)
    return Solution(s, U, False)


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
    if part.K * (len(among) + 1) > FACTORED:
        return None
    few = part.columns(among)
    coordinates = np.append(among, part.D - 1)
    moves = np.flatnonzero(where.moves[:, coordinates])
    H = few.hessian(part.data.predictions(point.Z))
    H += np.tile(np.diag(filled(part, where, inverse)[coordinates]), (part.K, part.K))
    H = H[np.ix_(moves, moves)]
    step = np.zeros((part.K, len(coordinates)))
    slope = where.slope[:, coordinates].ravel()[moves]
    step.ravel()[moves] = -Factor(H, part.data.threads).solve(slope)
    s = np.zeros_like(point.theta)
    s[:, coordinates] = step
    return Solution(s, few.direction_margins(step), True)


def orthant_step(part: Objective, point: Point, where: Face, s: Floats) -> Step | None:
    """Step along s, or half of it, and so on; weights that would pass zero or a bound stay there.

    Of a shorter step fewer do, which is another path than that to the end of the full one.
    """
    nonsmooth = part.nonsmooth
    assert nonsmooth is not None
    before = nonsmooth.value(point.theta)
    for _ in range(HALVINGS):
        theta = point.theta + s
        passed = (theta * where.sign < 0.0) & (nonsmooth.l1 > 0.0)
        theta = nonsmooth.clip(np.where(passed, 0.0, theta))
        promised = inner(point.gradient, theta - point.theta) + nonsmooth.value(theta) - before
        new = part.evaluate(theta)
        if is_finite(new) and promised < 0.0 and new.J - point.J <= DECREASE * promised:
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
    return reciprocal(np.maximum(diagonal, 1e-12 * float(diagonal.max())))
