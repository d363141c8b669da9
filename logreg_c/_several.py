# SPDX-License-Identifier: BSD-3-Clause
"""Several objectives of one X at once: two classes, other weights of the rows, other penalties.

They have their X, labels, offset, centre and scale in common. What each of them would read X for is
done for all while a block of rows is in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import _kernels
from ._certificate import bound_at
from ._examples import Rows
from ._objective import Objective, Point
from ._validation import Floats


class Curved(NamedTuple):
    """Hessians without their penalties, (m, D, D), and the curvatures of rows that they are for.

    Those are (n,) if they are the same for all, None if they are a (1 - a) at each one's point.
    """

    grams: Floats
    curvature: Floats | None


def bend(objectives: Sequence[Objective], points: Sequence[Point]) -> tuple[Floats, Floats]:
    """Return the predictions at each point, and the rows' weights in a Gram, both (m, n)."""
    a, h = np.empty((2, len(points), objectives[0].n))
    weights, totals = _weights(objectives)
    margins = [point.Z for point in points]
    _kernels.kernels.bend_problems(weights, totals, margins, a, h, objectives[0].data.threads)
    return a, h


def without_rows(
    objective: Objective, curved: Curved, others: Sequence[Objective], rows: Sequence[Rows]
) -> Curved:
    """Return the Hessians of objectives whose weights differ from `objective`'s in some rows.

    All with the curvatures of its own. Reads these rows.
    """
    data, curvature, gram = objective.data, curved.curvature, curved.grams[0]
    assert curvature is not None
    grams = np.empty((len(others), *gram.shape))
    for k, (other, left) in enumerate(zip(others, rows, strict=True)):
        before = 1.0 if data.sample_weight is None else data.sample_weight[left]
        now = 1.0 if other.data.sample_weight is None else other.data.sample_weight[left]
        h = (curvature[left] * (before - now) / data.total)[None]
        np.subtract(gram, objective.grams(h, left)[0], out=grams[k])
        grams[k] *= data.total / other.data.total
    return Curved(grams, curvature)


def evaluate_all(objectives: Sequence[Objective], theta: Floats) -> list[Point]:
    """Return the point of each objective at its row of theta. Reads X once."""
    return _evaluate(objectives, theta, None, None, None)[0]


def evaluate_and_prove(
    objectives: Sequence[Objective],
    points: Sequence[Point],
    a: Floats,
    curvature: Floats | None,
    theta: Floats,
) -> tuple[list[Point], list[float]]:
    """As `evaluate_all`; and lower bounds on each J*, from the steps that lead there.

    Each is from a point, whose predictions are a. These move by what the step adds to the margins
    times the curvatures of the Hessian that it was made with: `_certificate`. Reads X once.
    """
    before = [point.Z for point in points]
    ends, moves, told = _evaluate(objectives, theta, before, a, curvature)
    bounds = []
    for k, (objective, point) in enumerate(zip(objectives, points, strict=True)):
        _, divergence, outside = told[k]
        if outside or not math.isfinite(divergence):
            bounds.append(-math.inf)
            continue
        residual = point.gradient + objective.chain(moves[k : k + 1])
        bounds.append(bound_at(objective, point.J, point.theta, residual, divergence))
    return ends, bounds


def _evaluate(
    objectives: Sequence[Objective],
    theta: Floats,
    before: list[Floats] | None,
    a: Floats | None,
    curvature: Floats | None,
) -> tuple[list[Point], Floats, list[list[float]]]:
    """Return the points at theta; X' of the moves of predictions, and what a kernel tells."""
    first = objectives[0]
    data = first.data
    Z, told = np.empty((len(theta), first.n)), np.empty((len(theta), 3))
    gradient, moves = np.empty((2, *theta.shape))
    _kernels.kernels.evaluate_problems(
        data.X, data.y, *_weights(objectives), data.offset, first.to_raw(theta), before, a,
        curvature, Z, gradient, moves, told, data.threads,
    )  # fmt: skip
    data.meter.add(first.n)
    numbers = told.tolist()
    points = []
    for k, objective in enumerate(objectives):
        row = slice(k, k + 1)
        points.append(objective.point(theta[row], Z[row], numbers[k][0], gradient[row]))
    return points, moves, numbers


def _weights(objectives: Sequence[Objective]) -> tuple[list[Floats | None], list[float]]:
    """Return the weights of the rows, and what they add up to."""
    weights = [objective.data.sample_weight for objective in objectives]
    return weights, [objective.data.total for objective in objectives]
