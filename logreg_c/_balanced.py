# SPDX-License-Identifier: BSD-3-Clause
r"""Dual points whose residual of the bias is zero, which the bias, without a penalty, asks for.

A step by a factor of the Hessian leaves nothing of it but rounding. Where more is left, two
classes' margins move by what takes it away, unless too many rows are at an end of [0, 1]. Else the
dual variables :math:`\alpha_i = a'_i - y_i` are mixed with those of probabilities that are the same
for all rows and sure of one class k, :math:`e_k - y_i`:

.. math::

    \alpha''_i = (1 - t)\, \alpha_i + \sum_k t_k (e_k - y_i), \qquad t = \sum_k t_k,

so that a'' is a probability as well. With the classes' sums
:math:`S_k = \sum_i p_i y_{ik} [x_i, 1]`, :math:`S = \sum_k S_k` and their last entries :math:`P_k`
the dual gradient of class k moves to :math:`(1 - t) v_k + t_k S - t S_k`, whose bias is zero for

.. math::

    \frac{t}{1 - t} = \max_k \frac{r_k}{P_k}, \qquad t_k = t P_k - (1 - t) r_k \ge 0.

As KL is convex, the divergence grows to at most
:math:`(1 - t) D + \sum_k t_k \sum_i p_i (-\log a_{ik})`, and these sums are the loss and inner
products with the classes' sums: :math:`-\log a_k` is the loss of a row plus what the margin of its
own class is above that of k.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ._objective import Objective
from ._validation import Floats

# A residual of the bias up to this is rounding.
ROUNDED = 1e-13
# Times that margins move, and how far: further away it is no small change of predictions.
MOVED, FAR = 3, 0.1


def moved_along(
    objective: Objective,
    U: Floats,
    b: Callable[[], Floats],
    move: Callable[[Floats], tuple[float, Floats]],
    gradient: float = 0.0,
    most: float = math.inf,
) -> tuple[float, Floats]:
    """Return what `move` makes of margins U: a divergence, and shares of alpha or its change.

    Of U and as much more for all rows as takes the bias's residual to zero, which is what these
    add up to and the gradient that is given. It moves by the curvatures of the predictions that b
    returns. A residual above `most` stays.
    """
    found = move(U)
    if objective.K > 1 or not objective.fit_bias:
        return found
    left, curvature = gradient + float(found[1].sum()), 0.0
    for _ in range(MOVED):
        if not ROUNDED < abs(left) <= most:
            break
        if not curvature:
            a = b()
            curvature = float((a * (1.0 - a) * objective.data.shares()).sum())
        if not abs(left) <= FAR * curvature:
            break
        U = U - left / curvature
        found = move(U)
        left = gradient + float(found[1].sum())
    return found


def needs_class_sums(objective: Objective, residual: Floats) -> bool:
    """Whether `balanced` is going to read X."""
    rounding = float(np.abs(residual[:, -1]).max()) <= ROUNDED
    return not rounding and objective.data.class_sums is None


def balanced(
    objective: Objective, J: float, theta: Floats, residual: Floats, divergence: float
) -> tuple[Floats, float]:
    """Return the residual and the divergence of the mixture, at theta, where J is known.

    The same if all that the residual has for the bias is rounding. Reads X once for the first one
    of the same examples.
    """
    left = residual[:, -1]
    if not np.isfinite(left).all():
        return residual, math.inf
    if float(np.abs(left).max()) <= ROUNDED:
        return residual, divergence
    sums, offsets = objective.class_sums()
    two = objective.K == 1
    r = np.array([-left[0], left[0]]) if two else left
    P = sums[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        most = float(np.where(r > 0.0, r / P, 0.0).max())
    if not most < math.inf:
        return residual, math.inf  # a class without examples
    t = most / (1.0 + most)
    all_classes = sums.sum(axis=0)
    parts = (t * P - (1.0 - t) * r) / all_classes[-1]
    # What the mean of a class's margins is, over all rows and over its own.
    weights = np.concatenate((0.0 * theta, theta)) if two else theta
    mean = (weights * all_classes).sum(axis=1) + offsets.sum(axis=0)
    own = float((weights * sums).sum() + np.trace(offsets))
    unlikely = np.maximum(objective.loss_of(J, theta) + own - mean, 0.0)
    move = parts[:, None] * all_classes - t * sums
    fixed = objective.quadratic * theta
    if objective.linear is not None:
        fixed = fixed + objective.linear
    mixed = fixed + (1.0 - t) * (residual - fixed) + (move[1:] if two else move)
    return mixed, (1.0 - t) * divergence + float(parts @ unlikely)
