# SPDX-License-Identifier: BSD-3-Clause
"""A step along a direction; where the full step is not good, searched on cached margins."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .._arrays import inner
from .._certificate import below
from .._nonsmooth import Nonsmooth
from .._objective import Objective, Point, Ray, is_finite
from .._quadratic import model_step
from .._validation import Floats

# A slope at the end of a step below this part of the one at its start: as good as the minimum.
FLAT = 0.4
# The search is over when the slope is this part of the one at the start.
SEARCHED = 0.05
LONGEST = 16.0
# With an L1 penalty or bounds: the part of the promised decrease that a step has to bring, and the
# shortest step that is tried.
DECREASE, SHORTEST = 1e-2, 1e-6
# A step shorter than this says that its Hessian is not to be trusted.
SHORT = 0.1
# How much surer rows may be in each further Hessian that is made for such a step, and how many
# there are.
SURER, MOST_CARES = 0.1, 12
# A decrease this small beside J is rounding.
ROUNDING = 1e-12
# A point whose margins are rounded by so many times as much as those before it may be no lower.
WORSE = 2.0
# A decrease this large beside J is none of rounding.
PLAIN = 1e-2
# Entries of X from where on the arithmetic of several classes costs more than the calls.
SPLIT = 1e5


class Step(NamedTuple):
    """Where a step along s led: to theta + length · s.

    `left` is the part of the slope that a full step has left, 0 where one was searched.
    """

    point: Point
    length: float
    left: float = 0.0

    def margins(self, before: Point) -> Floats:
        """Return the margins of s itself."""
        U = self.point.Z - before.Z
        if self.length != 1.0:
            U /= self.length
        return U


def advance(objective: Objective, point: Point, s: Floats, flat: float = FLAT) -> Step | None:
    """Step along s to about the minimum; None if nothing lower is found.

    The unit step is tried first: one read of X, and nearly always the last. If J rises or its
    slope is still steep, the margins of both ends are known, so the minimum along s is found
    without reading X, and one more read gives the gradient there. With several classes, whose
    passes take longer than their reads, the two products come apart, with the search in between.
    `flat` is the part of the slope that a full step may leave.
    """
    return believed(objective, point, _advanced(objective, point, s, flat))


def _advanced(objective: Objective, point: Point, s: Floats, flat: float) -> Step | None:
    """As `advance`, whatever J may be rounded by at the end."""
    if objective.nonsmooth is not None:
        return _backtracked(objective, objective.nonsmooth, point, s)
    slope = inner(point.gradient, s)
    if not slope < 0.0:
        return None
    if objective.K > 1 and objective.n * objective.D > SPLIT:
        return _searched(objective, point, s, objective.direction_margins(s), slope)
    new = objective.evaluate(point.theta + s)
    left = inner(new.gradient, s) / slope  # no number if the gradient has one that is not finite
    if abs(left) <= flat and new.J <= point.J:
        return Step(new, 1.0, left)
    return _searched(objective, point, s, new.Z - point.Z, slope, new)


def along(objective: Objective, point: Point, s: Floats, U: Floats) -> Step | None:
    """As `advance`, the margins U of s being known: one product with X'."""
    slope = inner(point.gradient, s)
    if not slope < 0.0:
        return None
    return believed(objective, point, _searched(objective, point, s, U, slope))


def believed(objective: Objective, point: Point, step: Step | None) -> Step | None:
    """Return a step, None if its end may be lower by rounding alone.

    Along a direction that changes no margin but by rounding, weights grow until margins, and J, are
    rounding themselves.
    """
    if step is None or point.J - step.point.J > PLAIN * abs(point.J):
        return step
    rounding = rounding_of(objective, step.point)
    if rounding < point.J - step.point.J:
        return step
    return step if rounding <= WORSE * rounding_of(objective, point) else None


def rounding_of(objective: Objective, point: Point) -> float:
    """Return what J at a point may be rounded by."""
    return point.J - below(objective.n, point.J, 0.0, objective.margin_sizes(point.theta))


def _searched(
    objective: Objective,
    point: Point,
    s: Floats,
    U: Floats,
    slope: float,
    unit: Point | None = None,
) -> Step | None:
    """Step to about the minimum along s, whose margins are U; `unit` is the full step's end."""
    ray = objective.ray(point, s, U)
    length = search(ray, point.J, slope)
    if length is None:
        return None
    if unit is None:
        found = ray.go(length)
    elif length == 1.0:
        found = unit
    else:
        # Not from Z + length · U, which costs as much: U is a difference of margins here, and a
        # length of 4 would make three times the rounding of Z, every step again, until Z has
        # nothing to do with theta.
        found = objective.evaluate(point.theta + length * s)
    return Step(found, length) if found.J < point.J else None


def search(ray: Ray, J_there: float, slope: float) -> float | None:
    """Return about where J along a ray is least, by Newton's method or slopes between brackets."""
    low, high, t = 0.0, LONGEST, 1.0
    low_slope, high_slope = slope, math.inf
    by_slopes = False
    best, best_J = None, J_there
    for _ in range(40):
        J, d1, d2 = ray.at(t)
        if math.isfinite(J) and J < best_J:
            best, best_J = t, J
            if abs(d1) <= (FLAT if t == 1.0 else SEARCHED) * -slope:
                break
        if math.isfinite(d1) and d1 <= 0.0:
            low, low_slope = t, d1
        else:
            high, high_slope = t, d1
        step = t - d1 / d2 if d2 > 0.0 and math.isfinite(d1) else math.nan
        if low < step < high:
            by_slopes = False
        elif math.isfinite(high_slope) and not by_slopes:
            # Where rows that were sure of their labels turn over, J is steep and straight: halving
            # would take ten steps to where it begins. Not twice in a row, which may stay at an end.
            by_slopes = True
            step = low + (high - low) * (low_slope / (low_slope - high_slope))
        else:
            by_slopes = False
            step = 0.5 * (low + high)
        t = step
        if high - low <= 1e-3 * high and best is not None:
            break
    return best


def _backtracked(
    objective: Objective, nonsmooth: Nonsmooth, point: Point, s: Floats
) -> Step | None:
    """Step along s, or half of it, and so on, for a decrease in proportion to the promised one.

    J is convex between the ends, and never below what gradient and penalty promise for a short
    step; what lies within the bounds at both ends does so in between.
    """
    end = nonsmooth.clip(point.theta + s)
    promised = inner(point.gradient, s)
    promised += nonsmooth.value(end) - nonsmooth.value(point.theta)
    if not promised < 0.0:
        return None
    full = objective.evaluate(end)
    if is_finite(full) and full.J - point.J <= DECREASE * promised:
        return Step(full, 1.0)
    ray = objective.ray(point, s, full.Z - point.Z)
    length, best, best_J = 0.5, None, point.J
    while length >= SHORTEST:
        J = ray.at(length)[0]
        if J < best_J:
            best, best_J = length, J
        elif best is not None:
            break
        length *= 0.5
    if best is None:
        return Step(full, 1.0) if full.J < point.J else None
    found = objective.evaluate(nonsmooth.clip(point.theta + best * s))
    return Step(found, best) if found.J < point.J else None


def careful(objective: Objective, point: Point, step: Step | None) -> Step | None:
    """Return a step by larger curvatures than there are, if it is lower.

    Where predictions are near 0 and 1 a Hessian tells nothing of how soon they leave. Rows that are
    surer than the average count as it does: they are what makes directions far too long. With
    kinks, where most of a direction is lost by halving it, and where a direction leads nowhere at
    all, the curvatures are at first the largest that the loss can have, then those, and then rows
    may be surer and surer, as long as that leads lower.
    """
    a = objective.data.predictions(point.Z)
    surest = float(np.add.reduce(objective.mean_curvature(point)))
    if objective.nonsmooth is None and step is not None:
        other = _by_curvatures(objective, point, _clipped(a, surest))
    else:
        other = _by_curvatures(objective, point, np.full_like(a, 1.0 / max(objective.K, 2)))
        for _ in range(MOST_CARES):
            further = _by_curvatures(objective, point, _clipped(a, surest))
            if further is None or (other is not None and further.point.J >= other.point.J):
                break
            other = further
            surest *= SURER
    least = point.J - ROUNDING * abs(point.J) if step is None else step.point.J
    return other if other is not None and other.point.J < least else step


def _by_curvatures(objective: Objective, point: Point, a: Floats) -> Step | None:
    """Step by the Hessian that there would be if the predictions were these."""
    return advance(objective, point, model_step(objective, objective.hessian(a), point).s)


def _clipped(a: Floats, surest: float) -> Floats:
    """Return predictions none of which is nearer to 0 or 1 than `surest`."""
    a = np.clip(a, surest, 1.0 - surest)
    return a if len(a) == 1 else np.asarray(a / a.sum(axis=0))
