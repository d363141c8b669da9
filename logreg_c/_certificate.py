# SPDX-License-Identifier: BSD-3-Clause
r"""Lower bounds on the optimum J*, each with its proof.

Move the dual variables :math:`\alpha_i = a_i - y_i` of some rows S along the margins
:math:`u_i = x_i s` of a direction s, to :math:`a'_i = a_i + (\mathrm{diag}(a_i) - a_i a_i') u_i`,
and leave those of all other rows alone. If every a' is a probability, weak duality (Fenchel,
Rockafellar 1970, theorem 31.1) holds for any such point:

.. math::

    J(\theta) - J^* \le \sum_{i \in S} p_i\, \mathrm{KL}(a'_i \| a_i)
        + \sum_{q_j > 0} \frac{(q_j s_j - r_j)^2}{2 q_j} + \sum_{q_j = 0} |r_j| R_j,
    \qquad r = g + \sum_{i \in S} p_i x_i (a'_i - a_i) + q s,

because :math:`-(\nabla L)` at the moved variables is the gradient of the penalty at
:math:`\theta + s - r / q`. With s solving the Newton system of the rows S, r is rounding and the
sums are about half of :math:`g' H_S^{-1} g`; with s = 0 it is the plain duality gap
:math:`|g|^2 / 2q`. What is not penalised (the bias; everything without a penalty) has no bound
unless r is zero there; the term with :math:`R_j = 10 \max(|\theta_j|, 1)` covers rounding, for
every optimum within ten times the present size. All of it is for the centred and scaled columns,
which are only coordinates.
"""

from __future__ import annotations

import math

import numpy as np

from ._examples import Rows
from ._objective import Objective, Point
from ._validation import Floats

# How far from the present weights the optimum may be where rounding leaves a dual residual.
REACH = 10.0
# A penalty this weak in scaled columns bounds nothing beyond rounding: as if there were none.
WEAKEST = 1e-22
# What J is rounded by, and the bound, which comes from sums over rows whose terms cancel, each in
# parts of its size: a bound from a point where J is large must not be above a small optimum.
ROUNDED = 4.0 * float(np.finfo(np.float64).eps)
BOUND_ROUNDED = 1e-12


def bound_of(
    quadratic: Floats, theta: Floats, s: Floats, residual: Floats, divergence: float
) -> float:
    """Return the right-hand side above."""
    penalised = quadratic > WEAKEST
    q = quadratic[penalised]
    short = q * s[:, penalised] - residual[:, penalised]
    free = np.abs(residual[:, ~penalised]) * np.maximum(np.abs(theta[:, ~penalised]), 1.0)
    bound = divergence + float((short * short / (2.0 * q)).sum()) + REACH * float(free.sum())
    return bound if bound >= 0.0 else math.inf


def below(J: float, bound: float) -> float:
    """Return J - bound, rounded down."""
    return J - ROUNDED * abs(J) - (1.0 + BOUND_ROUNDED) * bound


def lower_bound(
    objective: Objective, point: Point, part: Objective, a: Floats, s: Floats, U: Floats
) -> float:
    """Return a proved lower bound on J*, -inf if this direction gives none.

    Parameters
    ----------
    objective : Objective
        What is minimised, over all rows.
    point : Point
        Where it has been evaluated.
    part : Objective
        Over the rows S, with the shares they have in `objective`; `objective` itself for all.
    a : ndarray of shape (K, m)
        The predictions of these rows at the point.
    s : ndarray of shape (K, d + 1)
        The direction.
    U : ndarray of shape (K, m)
        Its margins on the rows S.
    """
    divergence, outside, change = part.data.dual_step(a, U)
    if outside or not math.isfinite(divergence):
        return -math.inf
    residual = point.gradient + part.pull_back(change) + objective.quadratic * s
    return below(point.J, bound_of(objective.quadratic, point.theta, s, residual, divergence))


def newton_lower_bound(
    objective: Objective, point: Point, part: Objective, rows: Rows | None
) -> float:
    """Return the bound of the Newton direction of `part`, over these rows (None: all)."""
    Z = point.Z if rows is None else np.ascontiguousarray(point.Z[:, rows])
    a = part.data.predictions(Z)
    s = -part.factor(a).solve(point.gradient)
    return lower_bound(objective, point, part, a, s, part.direction_margins(s))


def plain_lower_bound(objective: Objective, point: Point) -> float:
    """Return the bound of s = 0, which costs nothing: J - |g|^2 / 2q."""
    zero = np.zeros_like(point.theta)
    return below(point.J, bound_of(objective.quadratic, point.theta, zero, point.gradient, 0.0))
