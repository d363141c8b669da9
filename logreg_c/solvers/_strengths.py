# SPDX-License-Identifier: BSD-3-Clause
"""Penalties from strong to weak: one solution is where the fit of the next begins.

Where a weak L1 penalty is all that keeps weights from growing for ever, predictions are nearly
sure, and have no curvature to tell how far to go: from zero weights it takes hundreds of steps. At
a third of a penalty the solution is nearly that before, all weights a little larger.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from .._arrays import inner
from .._objective import Objective, Point, Ray
from .._validation import Floats
from ._line_search import search
from ._proximal import scores

# A fit is easy where the penalty is this part of the least that makes all weights zero, or the
# ridge that of the largest curvature. Smaller ones come after others, each so many times the next.
EASY, STAGE = 1e-3, 3.0


def strengths(objective: Objective, point: Point) -> list[float]:
    """Return what the penalties are multiplied by before they are what they are, if anything.

    The L1 penalty and the ridge with it; `point` is where the fit starts.
    """
    kinks, q = objective.nonsmooth, objective.quadratic[:-1]
    assert kinks is not None
    held, ridged = kinks.l1[:-1] > 0.0, q > 0.0
    if not held.any():
        return []
    most = float(scores(objective, point, kinks.l1[:-1])[held].max())
    strongest = EASY * min(most, sys.float_info.max)
    if strongest > STAGE and ridged.any():
        surveyed = objective.evaluate_and_survey(point.theta, np.ones_like(point.theta))[1]
        diagonal = surveyed.max(axis=0)[:-1] - q
        strongest = min(strongest, EASY * float((diagonal[ridged] / q[ridged]).max()))
    count = int(math.log(strongest) / math.log(STAGE)) if strongest > STAGE else 0
    return [STAGE**k for k in range(count, 0, -1)]


def at_penalty(objective: Objective, other: Objective, point: Point) -> Point:
    """Turn a point of one penalty into the same of another. Reads nothing."""
    theta, change = point.theta, other.quadratic - objective.quadratic
    J = point.J + 0.5 * inner(change * theta, theta)
    if objective.nonsmooth is not None and other.nonsmooth is not None:
        J += other.nonsmooth.value(theta) - objective.nonsmooth.value(theta)
    return Point(theta, point.Z, J, point.gradient + change * theta)


def grown(objective: Objective, point: Point) -> Point:
    """Return where J is about least if all weights grow by the same factor. Half a pass."""
    kinks, s = objective.nonsmooth, point.theta.copy()
    assert kinks is not None
    s[:, -1] = 0.0
    rise = kinks.value(s)
    slope = inner(point.gradient, s) + rise
    if not (slope < 0.0 and kinks.lets_grow(s)):
        return point
    U = point.Z - objective.data.bias_margins(point.theta[:, -1])
    ray = _Growing(objective, point, s, U, rise)
    length = search(ray, point.J, slope)
    return point if length is None else ray.go(length)


class _Growing(Ray):
    """J along theta's own weights s, whose L1 penalty has a slope, `rise`: no sign changes."""

    def __init__(
        self, objective: Objective, point: Point, s: Floats, U: Floats, rise: float
    ) -> None:
        super().__init__(objective, point, s, U)
        self._rise = rise

    def at(self, t: float) -> tuple[float, float, float]:
        """Return J at t and its two derivatives."""
        J, slope, curvature = super().at(t)
        return J, slope + self._rise, curvature
