# SPDX-License-Identifier: BSD-3-Clause
"""Newton's method with conjugate gradients: no Hessian is formed, only multiplied.

The same iteration, started from another method's preconditioner, is the certificate for methods
that have no factor of a Hessian: its direction and residual give a bound after any number of
products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._arrays import floored, inner, reciprocal
from .._certificate import REACH, about_bound, all_held, lower_bound
from .._objective import Objective, Point
from .._validation import Floats, Indices
from ._driver import Iterate, Task
from ._line_search import advance
from ._memory import Apply
from ._price import hessian_in_steps, newton_in_steps

MOST_PRODUCTS = 200
# Up to as many again where the proof lacks no more than this many times the gap.
NEARLY = 10.0
# Products that a Hessian of several classes costs from where on it is Newton's turn last, if it
# follows: after this part of what it costs.
MANY_PRODUCTS, PATIENCE = 12.0, 0.5
# What a residual is solved to, in parts of the gradient, where nothing but a proof is to be had.
FINE = 1e-8


class Direction(NamedTuple):
    """An approximate Newton direction s, and what J* is at least."""

    s: Floats
    lower: float


class Smooth:
    """The combination of the directions so far that about proves the most.

    Of two directions it is the point between, or beyond, where the divergence and half of what the
    dual residual v costs are least; a coordinate without a penalty q costs as one would by which
    `gap` is used up where the bound is.
    """

    def __init__(self, objective: Objective, point: Point, U: Floats, gap: float) -> None:
        q = objective.quadratic
        reach = REACH * np.maximum(np.abs(point.theta), 1.0)
        self._objective, self._q, self._point = objective, q, point
        self._weight = np.where(q > 0.0, reciprocal(q), reach * reach / gap)
        self._s = np.zeros_like(point.theta)
        self._v = -point.gradient
        self.U = U.copy()

    def take(self, s: Floats, r: Floats, U: Floats) -> None:
        """Move towards a direction s with margins U, r being -g - H s."""
        v, g = self._v, self._point.gradient
        ds, dv = s - self._s, r + self._q * s - v
        # (H - q) s = -g - v.
        weighted = self._weight * dv
        slope = inner(weighted, v) - inner(ds, g + v)
        curvature = inner(weighted, dv) - inner(ds, dv)
        part = -slope / curvature if curvature > 0.0 else 1.0
        self._s = self._s + part * ds
        self._v = v + part * dv
        self.U += part * (U - self.U)

    def bound(self) -> tuple[float, float]:
        """Return about what the combination would prove, and the divergence in it."""
        # To second order.
        point = self._point
        divergence = -0.5 * inner(self._s, point.gradient + self._v)
        bound = about_bound(self._objective, point.J, point.theta, self._v, divergence)
        return bound, divergence


def conjugate_gradients(
    objective: Objective,
    point: Point,
    precondition: Apply,
    forcing: float,
    gap: float,
    most: int = MOST_PRODUCTS,
    part: Objective | None = None,
    rows: Indices | None = None,
) -> Direction:
    """Solve H s = -g until |residual| is `forcing` of |g|, or until s proves J - J* <= gap.

    Each product with H reads X once; so does the proof, which is tried when it should succeed. The
    residual, which decides about it, comes and goes by orders of magnitude from one product to the
    next: the proof is by the combination of all s so far that proves the most (residual
    smoothing, as in Zhou and Walker 1994).
    With a `part` over some rows H is its Hessian: a cheaper proof, of a larger gap, and nothing
    else; it is given up where the divergence, which grows as s is solved for, is too large already.
    """
    proof = part is not None
    part = objective if part is None else part
    Z = point.margins_of(rows)
    a = part.data.predictions(Z)
    s = np.zeros_like(point.theta)
    U = np.zeros_like(Z)
    Up = np.empty_like(U)
    r = -point.gradient
    smooth = Smooth(objective, point, U, gap)
    z = precondition(r)
    p = z
    rz = inner(r, z)
    enough = forcing * forcing * rz
    lower, promising = -math.inf, 0.9 * gap
    for products in range(2 * most):
        Hp = part.hessian_vector(a, p, Up)
        pHp = inner(p, Hp)
        if not (pHp > 0.0 and math.isfinite(pHp)):
            break
        length = rz / pHp
        s = s + length * p
        U += length * Up
        r, last = r - length * Hp, r
        smooth.take(s, r, U)
        bound, divergence = smooth.bound()
        if bound <= promising:
            proved = lower_bound(objective, point, part, a, smooth.U, factored=False)
            lower = max(lower, proved)
            if point.J - lower <= gap:
                break
            promising = 0.5 * bound
        if products >= most - 1 and bound > NEARLY * gap:
            break
        if proof and divergence > gap:
            break
        z = precondition(r)
        rz, before = inner(r, z), rz
        if rz <= enough or rz <= 0.0:
            break
        # Less what is zero where the preconditioner is always the same.
        p = z + ((rz - inner(last, z)) / before) * p
    return Direction(s, lower)


def comes_before_newton(objective: Objective) -> bool:
    """Whether several classes' Hessian costs so many products that these are worth a try before."""
    held = objective.K > 1 and all_held(objective)
    return held and hessian_in_steps(objective, objective.K * objective.D) >= MANY_PRODUCTS


def newton_cg(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a Newton system, solved the better the smaller the gradient is."""
    objective, point = task.objective, task.begin()
    meter, D = objective.data.meter, objective.D
    first, patience = -1.0, math.inf
    if task.follower == "newton" and comes_before_newton(objective):
        patience = meter.reads + PATIENCE * newton_in_steps(objective)
    while meter.reads < patience:
        inverse = np.full((objective.K, D), 1.0)
        diagonal = objective.evaluate_and_survey(point.theta, inverse)[1]
        inverse = reciprocal(floored(diagonal))

        def precondition(r: Floats, inverse: Floats = inverse) -> Floats:
            return objective.project(inverse * r)

        size = math.sqrt(inner(point.gradient, inverse * point.gradient))
        first = size if first < 0.0 else first
        forcing = min(0.3, math.sqrt(size / first) if first > 0.0 else 0.3)
        gap = task.goal.gap(point.J)
        most = math.ceil(min(patience - meter.reads, MOST_PRODUCTS))
        found = conjugate_gradients(objective, point, precondition, forcing, gap, most)
        if point.J - found.lower <= gap:
            yield Iterate(point, found.lower)
            return
        step = advance(objective, point, found.s)
        if step is None:
            # At the limit of rounding a better direction may still prove where the point is.
            found = conjugate_gradients(objective, point, precondition, FINE, gap)
            yield Iterate(point, found.lower)
            return
        yield Iterate(step.point, found.lower)
        point = step.point
