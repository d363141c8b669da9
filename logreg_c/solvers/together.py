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
from .._several import Curved, bend, evaluate_and_prove
from .._validation import Floats
from ._driver import Goal
from ._line_search import FLAT, advance
from ._price import STEP, price_of_factor, price_of_gram

# A Hessian that takes no longer than the calls of so many iterations is made in every round. More
# are better saved, by a method that calls more often.
CALLS = 4.0
# Rounds; what is not solved by then is solved alone.
MOST = 20


class Reached(NamedTuple):
    """Where a problem has got to, a proved lower bound on J*, and in how many rounds.

    And the predictions, (n,), and the Hessian without its penalty, that it had in the last one.
    """

    point: Point
    lower: float
    rounds: int
    a: Floats | None
    gram: Floats | None


def suits(objective: Objective) -> bool:
    """Whether it is small enough."""
    return price_of_gram(objective) + price_of_factor(objective.D) <= CALLS * STEP


def together(
    objectives: Sequence[Objective],
    points: Sequence[Point],
    goal: Goal,
    about: Curved | None = None,
) -> list[Reached]:
    """Minimise smooth objectives for two classes, whose X, centre and scale are the same.

    Each from its point, until it is proved to have reached the goal, or finds nothing lower. The
    first steps are by Hessians that are `about` those at the points, if these are given.
    """
    found = [Reached(point, -math.inf, 0, None, None) for point in points]
    active = [k for k, point in enumerate(points) if math.isfinite(point.J)]
    for _ in range(MOST):
        if not active:
            break
        some, before = [objectives[k] for k in active], [found[k].point for k in active]
        a, h = bend(some, before)
        curved = about or Curved(some[0].grams(h), None)
        try:
            steps = newton_steps(some, before, curved.grams)
        except FloatingPointError:
            if about is None:
                raise
            about = None
            continue
        theta = np.concatenate([point.theta for point in before]) + steps
        ends, bounds = evaluate_and_prove(some, before, a, curved.curvature, theta)
        going = []
        for row, k in enumerate(active):
            old, new, s, lower = before[row], ends[row], steps[row : row + 1], bounds[row]
            slope = inner(old.gradient, s)
            if new.J <= old.J and abs(inner(new.gradient, s)) <= -FLAT * slope:
                found[k] = Reached(new, lower, found[k].rounds + 1, a[row], curved.grams[row])
                if new.J - lower > goal.gap(new.J):
                    going.append(k)
            elif about is not None:
                going.append(k)
            else:
                step = advance(objectives[k], old, s)
                if step is not None:
                    found[k] = found[k]._replace(point=step.point, rounds=found[k].rounds + 1)
                    going.append(k)
        active, about = going, None
    return found


def newton_steps(
    objectives: Sequence[Objective], points: Sequence[Point], grams: Floats
) -> Floats:
    """Return Newton's steps, (m, D), by Hessians that are without their penalties."""
    steps = np.empty(grams.shape[:2])
    for k, (objective, point) in enumerate(zip(objectives, points, strict=True)):
        H = objective.finished(grams[k].copy())
        steps[k] = Factor(H, objective.data.threads).solve(point.gradient)[0]
    np.negative(steps, out=steps)
    return steps
