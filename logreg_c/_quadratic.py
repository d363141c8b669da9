# SPDX-License-Identifier: BSD-3-Clause
r"""The step to the minimum of a quadratic model of J, with the L1 penalty and bounds as they are.

.. math::

    \min_s\; g \cdot s + \tfrac12 s' H s + \sum_j l_j |\theta_j + s_j|, \qquad
    \text{lower} \le \theta + s \le \text{upper}

Without a penalty of that kind, and without bounds, it is Newton's step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import _kernels
from ._arrays import inner
from ._factor import Factor
from ._nonsmooth import Nonsmooth
from ._objective import Objective, Point
from ._validation import Floats


class ModelStep(NamedTuple):
    """The step to a model's minimum, and by how much the model falls."""

    s: Floats
    decrement: float


def model_step(objective: Objective, H: Floats, point: Point, enough: float = 0.0) -> ModelStep:
    """Return the step to the minimum of the model with the Hessian H, (K D, K D), at a point.

    Coordinate descent may end where no coordinate gains more than `enough`.
    """
    if objective.nonsmooth is None:
        return ModelStep(*Factor(H, objective.data.threads).step(point.gradient))
    x, r = minimum(
        H, point.gradient, point.theta, objective.nonsmooth, objective.data.threads, enough
    )
    s = x - point.theta
    # H s = r - g
    fall = 0.5 * (inner(point.gradient, s) + inner(r, s))
    change = objective.nonsmooth.value(x) - objective.nonsmooth.value(point.theta)
    return ModelStep(s, -(fall + change))


def minimum(
    H: Floats,
    gradient: Floats,
    theta: Floats,
    nonsmooth: Nonsmooth,
    threads: int,
    enough: float = 0.0,
) -> tuple[Floats, Floats]:
    """Return the minimum x of the model, and the gradient of its quadratic part there."""
    K = len(theta)
    l1, lower, upper = nonsmooth if K == 1 else (np.tile(v, K) for v in nonsmooth)
    x, r = np.empty_like(theta), np.empty_like(theta)
    _kernels.kernels.minimise_quadratic(H, gradient, theta, l1, lower, upper, x, r, enough, threads)
    return x, r
