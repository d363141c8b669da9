# SPDX-License-Identifier: BSD-3-Clause
"""Newton's method for several small problems at once: two classes, one X, different weights.

The folds of a cross-validation, where calls cost more than data. A round makes a Hessian for each
problem, and reads X once for the points where the steps lead and for the proofs. Steps and proofs
are those of `newton`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._factor import Factor
from .._objective import Objective, Point, inner
from .._quadratic import minimum
from .._several import Curved, bend, evaluate_and_prove
from .._validation import Floats
from ._driver import Goal
from ._line_search import DECREASE, FLAT, SHORT, advance
from ._price import STEP, price_of_factor, price_of_gram

# A Hessian that takes no longer than the calls of so many iterations is made in every round. More
# are better saved, by a method that calls more often.
CALLS = 4.0
# Rounds; what is not solved by then is solved alone.
MOST = 20


class Reached(NamedTuple):
    """Where a problem has got to, a proved lower bound on J*, and in how many rounds.

    And, of one alone, the Hessian of the last step.
    """

    point: Point
    lower: float
    rounds: int
    curved: Curved | None


def suits(objective: Objective) -> bool:
    """Whether it is small enough."""
    return price_of_gram(objective) + price_of_factor(objective.D) <= CALLS * STEP


def together(
    objectives: Sequence[Objective],
    points: Sequence[Point],
    goal: Goal,
    about: Curved | None = None,
) -> list[Reached]:
    """Minimise objectives for two classes, whose X, centre and scale are the same.

    Each from its point, until it is proved to have reached the goal, or finds nothing lower. The
    first steps are by Hessians that are `about` those at the points, if these are given.
    """
    found = [Reached(point, -math.inf, 0, None) for point in points]
    active = [k for k, point in enumerate(points) if math.isfinite(point.J)]
    for _ in range(MOST):
        if not active:
            break
        some, before = [objectives[k] for k in active], [found[k].point for k in active]
        a, h = bend(some, before)
        curved = about or Curved(some[0].grams(h), a[0] * (1.0 - a[0]) if len(points) == 1 else None)
        try:
            theta = minima(some, before, curved.grams)
        except FloatingPointError:
            if about is None:
                raise
            about = None
            continue
        ends, bounds = evaluate_and_prove(some, before, a, curved.curvature, theta)
        going = []
        for k, old, end, lower in zip(active, before, ends, bounds, strict=True):
            s = end.theta - old.theta
            new = end if is_good(objectives[k], old, s, end) else old
            rounds = found[k].rounds + 1
            found[k] = Reached(new, lower, rounds, curved if len(points) == 1 else None)
            if new.J - lower <= goal.gap(new.J):
                continue
            if new is old and about is None:
                step = advance(objectives[k], old, s)
                if step is None:
                    continue
                found[k] = found[k]._replace(point=step.point, lower=-math.inf)
                if step.length < SHORT:
                    continue
            going.append(k)
        active, about = going, None
    return found


def is_good(objective: Objective, before: Point, s: Floats, end: Point) -> bool:
    """Whether a full step leads to about the minimum along it."""
    slope = inner(before.gradient, s)
    if objective.nonsmooth is not None:
        kinks = objective.nonsmooth
        promised = slope + kinks.value(end.theta) - kinks.value(before.theta)
        return promised < 0.0 and end.J - before.J <= DECREASE * promised
    return end.J <= before.J and abs(inner(end.gradient, s)) <= -FLAT * slope


def minima(objectives: Sequence[Objective], points: Sequence[Point], grams: Floats) -> Floats:
    """Return theta where the models with these Hessians, less their penalties, are least, (m, D)."""
    theta = np.empty(grams.shape[:2])
    for k, (objective, point) in enumerate(zip(objectives, points, strict=True)):
        H, threads = objective.finished(grams[k].copy()), objective.data.threads
        if objective.nonsmooth is None:
            theta[k] = (point.theta - Factor(H, threads).solve(point.gradient))[0]
        else:
            theta[k] = minimum(H, point.gradient, point.theta, objective.nonsmooth, threads)[0][0]
    return theta
