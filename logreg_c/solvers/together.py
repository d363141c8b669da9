# SPDX-License-Identifier: BSD-3-Clause
"""Newton's method for several small problems at once: two classes, one X, different weights.

The folds of a cross-validation, where calls cost more than data. A round makes a Hessian for each
problem, and has one product with X for the margins of all of them and one with X' for all their
gradients, as if they were classes. Steps and proofs are those of `newton`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._certificate import bound_at
from .._factor import Factor
from .._objective import Objective, Point, inner
from .._validation import Floats
from ._driver import Goal
from ._line_search import FLAT, advance

# Rounds; what is not solved by then is solved alone.
MOST = 20


class Reached(NamedTuple):
    """Where a problem has got to, a proved lower bound on J*, and in how many rounds."""

    point: Point
    lower: float
    rounds: int


def together(objectives: Sequence[Objective], points: Sequence[Point], goal: Goal) -> list[Reached]:
    """Minimise smooth objectives for two classes, whose X, centre and scale are the same.

    Each from its point, until it is proved to have reached the goal, or finds nothing lower.
    """
    found = [Reached(point, -math.inf, 0) for point in points]
    active = [k for k, point in enumerate(points) if math.isfinite(point.J)]
    for _ in range(MOST):
        if not active:
            break
        before = [found[k].point for k in active]
        a, steps = newton_steps([objectives[k] for k in active], before)
        ends = evaluate_all(
            [objectives[k] for k in active],
            np.concatenate([p.theta + s for p, s in zip(before, steps, strict=True)]),
        )
        going, provable = [], []
        for k, old, s, new, row in zip(active, before, steps, ends, a, strict=True):
            slope = inner(old.gradient, s)
            if not (new.J <= old.J and abs(inner(new.gradient, s)) <= -FLAT * slope):
                step = advance(objectives[k], old, s)
                if step is None:
                    continue
                new = step.point
            elif abs(new.J - old.J - 0.5 * slope) <= goal.gap(new.J):
                provable.append((k, old, row[None], new.Z - old.Z))
            found[k] = Reached(new, -math.inf, found[k].rounds + 1)
            going.append(k)
        for k, lower in prove_all(objectives, provable):
            found[k] = found[k]._replace(lower=lower)
        active = [
            k for k in going if found[k].point.J - found[k].lower > goal.gap(found[k].point.J)
        ]
    return found


def newton_steps(
    objectives: Sequence[Objective], points: Sequence[Point]
) -> tuple[Floats, list[Floats]]:
    """Return the predictions at the points, (m, n), and Newton's steps from them. Reads X once."""
    first = objectives[0]
    Z = np.concatenate([point.Z for point in points])
    a = first.data.predictions(Z.reshape(1, -1)).reshape(Z.shape)
    bent = [o.data.curvatures(row[None]) for o, row in zip(objectives, a, strict=True)]
    steps = [
        -Factor(objective.finished(gram), objective.data.threads).solve(point.gradient)
        for objective, gram, point in zip(
            objectives, first.grams(np.concatenate(bent)), points, strict=True
        )
    ]
    return a, steps


def evaluate_all(objectives: Sequence[Objective], theta: Floats) -> list[Point]:
    """Return the point of each objective at its row of theta. Reads X twice."""
    first = objectives[0]
    Z = first.data.margins(first.to_raw(theta), offset=False)
    if first.data.offset is not None:
        Z += first.data.offset
    losses = np.empty(len(theta))
    R = np.empty_like(Z)
    for k, objective in enumerate(objectives):
        losses[k], R[k : k + 1] = objective.data.residuals(Z[k : k + 1])
    gradients = first.pull_back(R)
    points = []
    for k, objective in enumerate(objectives):
        row = slice(k, k + 1)
        pull = objective.quadratic * theta[row]
        J = float(losses[k]) + 0.5 * inner(pull, theta[row])
        points.append(Point(theta[row], Z[row], J, gradients[row] + pull))
    return points


def prove_all(
    objectives: Sequence[Objective], steps: Sequence[tuple[int, Point, Floats, Floats]]
) -> list[tuple[int, float]]:
    """Return the bounds that steps give, each from a point, its predictions and its margins U.

    Reads X once.
    """
    if not steps:
        return []
    moves, divergences = [], []
    for k, _, a, U in steps:
        divergence, outside, change = objectives[k].data.dual_step(a, U)
        divergences.append(math.inf if outside else divergence)
        moves.append(change)
    pulled = objectives[0].pull_back(np.concatenate(moves))
    bounds = []
    for row, (k, point, *_) in enumerate(steps):
        if math.isfinite(divergences[row]):
            objective = objectives[k]
            residual = point.gradient + pulled[row : row + 1]
            lower = bound_at(objective, point.J, point.theta, residual, divergences[row])
            bounds.append((k, lower))
    return bounds
