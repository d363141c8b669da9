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

from .._objective import Objective, Point
from .._several import End, Hessians, evaluate_and_prove, minima, predictions_and_curvatures
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
    hessians: Hessians | None


def suits(objective: Objective) -> bool:
    """Whether it is small enough."""
    return price_of_gram(objective) + price_of_factor(objective.D) <= CALLS * STEP


def together(
    objectives: Sequence[Objective],
    points: Sequence[Point],
    goal: Goal,
    about: Hessians | None = None,
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
        alone, a, hessians = len(points) == 1, None, about
        if hessians is None:
            a, h = predictions_and_curvatures(some, before)
            hessians = Hessians(some[0].grams(h), a[0] * (1.0 - a[0]) if alone else None)
        try:
            theta = minima(some, before, hessians.grams)
        except FloatingPointError:
            if about is None:
                break
            about = None
            continue
        going = []
        ends = evaluate_and_prove(some, before, a, hessians.curvature, theta)
        for k, old, end in zip(active, before, ends, strict=True):
            new = end.point if is_good(objectives[k], old, end) else old
            rounds = found[k].rounds + 1
            found[k] = Reached(new, end.lower, rounds, hessians if alone else None)
            if new.J - end.lower <= goal.gap(new.J):
                continue
            if new is old and about is None:
                step = advance(objectives[k], old, end.point.theta - old.theta)
                if step is None:
                    continue
                found[k] = found[k]._replace(point=step.point, lower=-math.inf)
                if step.length < SHORT:
                    continue
            going.append(k)
        active, about = going, None
    return found


def is_good(objective: Objective, before: Point, end: End) -> bool:
    """Whether a full step leads to about the minimum along it."""
    if objective.nonsmooth is not None:
        promised = end.slope + end.kinks
        return promised < 0.0 and end.point.J - before.J <= DECREASE * promised
    return end.point.J <= before.J and abs(end.end_slope) <= -FLAT * end.slope
