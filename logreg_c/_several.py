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
from ._certificate import LIMITS, below, bound_of_gaps
from ._nonsmooth import Nonsmooth
from ._objective import Objective, Point
from ._validation import Floats, Indices


class Hessians(NamedTuple):
    """Hessians without their penalties, (m, D, D), and the curvatures of rows that they are for.

    Those are (n,) if they are the same for all, None if they are a (1 - a) at each one's point.
    """

    grams: Floats
    curvature: Floats | None


def predictions_and_curvatures(
    objectives: Sequence[Objective], points: Sequence[Point]
) -> tuple[Floats, Floats]:
    """Return the predictions at each point, and the rows' weights in a Gram, both (m, n)."""
    a, h = np.empty((2, len(points), objectives[0].n))
    weights, totals = _weights(objectives)
    margins = [point.Z for point in points]
    _kernels.kernels.bend_problems(weights, totals, margins, a, h, objectives[0].data.threads)
    return a, h


def without_rows(
    objective: Objective, hessians: Hessians, others: Sequence[Objective], rows: Sequence[Indices]
) -> Hessians:
    """Return the Hessians of objectives whose weights differ from `objective`'s in some rows.

    All with the curvatures of its own. Reads these rows.
    """
    data, curvature = objective.data, hessians.curvature
    assert curvature is not None
    starts = np.cumsum([0, *map(len, rows)])
    h, ratios = np.empty(starts[-1]), np.empty((len(others), 1, 1))
    for k, (other, left) in enumerate(zip(others, rows, strict=True)):
        before = 1.0 if data.sample_weight is None else data.sample_weight[left]
        now = 1.0 if other.data.sample_weight is None else other.data.sample_weight[left]
        h[starts[k] : starts[k + 1]] = curvature[left] * (before - now) / data.total
        ratios[k] = data.total / other.data.total
    lost = objective.group_grams(h, np.concatenate(rows), starts)
    return Hessians((hessians.grams - lost) * ratios, curvature)


def minima(objectives: Sequence[Objective], points: Sequence[Point], grams: Floats) -> Floats:
    """Return theta where the models with these Hessians, less their penalties, are least, (m, D).

    FloatingPointError if a Hessian has no factor.
    """
    first, theta = objectives[0], np.empty(grams.shape[:2])
    _kernels.kernels.model_minima(
        grams, *_penalties(objectives), [point.theta for point in points],
        [point.gradient for point in points], first.fit_bias, theta, first.data.threads,
    )  # fmt: skip
    return theta


class End(NamedTuple):
    """Where a step from a point has led.

    Attributes
    ----------
    point : Point
        There.
    lower : float
        A lower bound on J* from the point before.
    slope, end_slope : float
        What is smooth of J along the step, where it begins and ends.
    kinks : float
        What the L1 penalty changes by.
    """

    point: Point
    lower: float
    slope: float
    end_slope: float
    kinks: float


def evaluate_all(objectives: Sequence[Objective], theta: Floats) -> list[Point]:
    """Return the point of each objective at its row of theta. Reads X once."""
    Z, gradient, told, numbers = _evaluate(objectives, theta, None, None, None)
    return [
        _point(theta, Z, told[k][0] + numbers[k][0], gradient, k) for k in range(len(objectives))
    ]


def evaluate_and_prove(
    objectives: Sequence[Objective],
    points: Sequence[Point],
    a: Floats | None,
    curvature: Floats | None,
    theta: Floats,
) -> list[End]:
    """As `evaluate_all`; and lower bounds on each J*, from the steps that lead there.

    Each is from a point, whose predictions are a, if these are known. They move by what the step
    adds to the margins times the curvatures of the Hessian that it was made with: `_certificate`.
    Reads X once.
    """
    Z, gradient, told, numbers = _evaluate(objectives, theta, points, a, curvature)
    ends = []
    for k, (objective, before) in enumerate(zip(objectives, points, strict=True)):
        loss, divergence = told[k]
        terms, slope, end_slope, kinks, shared, gaps, same, size = numbers[k]
        bound = bound_of_gaps(divergence, before.J * shared, gaps)
        if objective.outlying is not None:
            bound = math.inf  # which the kernel knows nothing of
        lower = below(objective.n, before.J, bound, objective.sizes_of(same, size))
        point = _point(theta, Z, loss + terms, gradient, k)
        ends.append(End(point, lower, slope, end_slope, kinks))
    return ends


def _point(theta: Floats, Z: Floats, J: float, gradient: Floats, k: int) -> Point:
    row = slice(k, k + 1)
    return Point(theta[row], Z[row], J, gradient[row])


def _evaluate(
    objectives: Sequence[Objective],
    theta: Floats,
    before: Sequence[Point] | None,
    a: Floats | None,
    curvature: Floats | None,
) -> tuple[Floats, Floats, list[list[float]], list[list[float]]]:
    """Return the margins and gradients at theta, and what two kernels tell of each objective."""
    first, m = objectives[0], len(theta)
    data, kernels = first.data, _kernels.kernels
    Z, told, numbers = np.empty((m, first.n)), np.empty((m, 2)), np.empty((m, 8))
    gradient, moves = np.empty((2, *theta.shape))
    margins = thetas = gradients = Js = None
    if before is not None:
        thetas, margins, Js, gradients = zip(*before, strict=True)
    kernels.evaluate_problems(
        data.X, data.y, *_weights(objectives), data.offset, first.to_raw(theta), margins, a,
        curvature, Z, gradient, moves, told, data.threads,
    )  # fmt: skip
    data.meter.add(first.n)
    kernels.end_problems(
        theta, gradient, moves, *_penalties(objectives), first.center, first.scale, first.plain,
        first.fit_bias, thetas, gradients, Js, *LIMITS, numbers,
    )  # fmt: skip
    return Z, gradient, told.tolist(), numbers.tolist()


def _weights(objectives: Sequence[Objective]) -> tuple[list[Floats | None], list[float]]:
    """Return the weights of the rows, and what they add up to."""
    weights = [objective.data.sample_weight for objective in objectives]
    return weights, [objective.data.total for objective in objectives]


def _penalties(objectives: Sequence[Objective]) -> tuple[list[Floats], list[Nonsmooth | None]]:
    """Return the ridges, and what has kinks."""
    quadratics = [objective.quadratic for objective in objectives]
    return quadratics, [objective.nonsmooth for objective in objectives]
