# SPDX-License-Identifier: BSD-3-Clause
r"""The step to the minimum of a quadratic model of J, with the L1 penalty and bounds as they are.

.. math::

    \min_s\; g \cdot s + \tfrac12 s' H s + \sum_j l_j |\theta_j + s_j|, \qquad
    \text{lower} \le \theta + s \le \text{upper}

Coordinate descent finds which coordinates are neither zero nor at a bound; a Cholesky factor of
these alone then gives the minimum to rounding, if no sign changes on the way. Where one does, the
step ends there, and coordinate descent goes on. Without a penalty of that kind it is Newton's
step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import _kernels
from ._examples import Rows
from ._factor import Factor
from ._nonsmooth import Nonsmooth
from ._objective import Objective, Point, inner
from ._validation import Floats

# Rounds of coordinate descent between two factors.
ROUNDS = 6
MOST_ROUNDS = 300
# Coordinates whose factor costs no more than a few rounds: it need not wait until they are found.
CHEAP = 64
# How often a factor's step may be stopped by a sign before coordinate descent goes on.
STOPS = 10
# Rows of a factor up to which threads would wait for each other longer than they work.
ALONE = 256
# A change this small beside the first, both of them squares, is rounding.
ENOUGH = 1e-20


class ModelStep(NamedTuple):
    """The step to a model's minimum, and by how much the model falls."""

    s: Floats
    decrement: float


def model_step(objective: Objective, H: Floats, point: Point, enough: float = 0.0) -> ModelStep:
    """Return the step to the minimum of the model with the Hessian H, (K D, K D), at a point.

    Coordinate descent may end where no coordinate gains more than `enough`.
    """
    if objective.nonsmooth is None:
        s = -Factor(H, objective.data.threads).solve(point.gradient)
        return ModelStep(s, -0.5 * inner(point.gradient, s))
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
    l1, lower, upper = (np.tile(v, K) for v in nonsmooth)
    x, r = nonsmooth.clip(theta).ravel(), gradient.ravel().copy()
    start = x - theta.ravel()
    if start.any():
        moved = np.flatnonzero(start)
        _kernels.kernels.add_rows(H, moved, start[moved], r)
    curvature = H.ravel()[:: len(H) + 1]
    before = None
    for _ in range(MOST_ROUNDS // ROUNDS):
        change = _kernels.kernels.descend_coordinates(H, l1, lower, upper, x, r, ROUNDS, enough)
        enough = max(enough, ENOUGH * change)
        if change <= enough:
            break
        inside = _inside(x, l1, lower, upper, curvature)
        if len(inside) <= CHEAP or (before is not None and np.array_equal(inside, before)):
            for _ in range(STOPS):
                if _newton(H, x, r, l1, lower, upper, inside, threads):
                    break
                inside = _inside(x, l1, lower, upper, curvature)
        before = inside
    return x.reshape(theta.shape), r.reshape(theta.shape)


def _inside(x: Floats, l1: Floats, lower: Floats, upper: Floats, curvature: Floats) -> Rows:
    """Return the coordinates that are free to move either way without meeting a kink at once."""
    return np.flatnonzero(
        ((x != 0.0) | (l1 == 0.0)) & (lower < x) & (x < upper) & (curvature > 0.0)
    )


def _newton(
    H: Floats,
    x: Floats,
    r: Floats,
    l1: Floats,
    lower: Floats,
    upper: Floats,
    S: Rows,
    threads: int,
) -> bool:
    """Move x and r towards the minimum over the coordinates S; False if one had to stop before."""
    if not len(S):
        return True
    old = x[S]
    sign = np.sign(old)
    d = -Factor(H[np.ix_(S, S)], threads if len(S) > ALONE else 1).solve(r[S] + l1[S] * sign)
    # Where a coordinate has to stop: at zero if it is penalised, at its bound else.
    stop = np.where(d > 0.0, upper[S], lower[S])
    stop = np.where((l1[S] > 0.0) & (d * sign < 0.0), 0.0, stop)
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.where(d == 0.0, np.inf, (stop - old) / d)
    length = min(float(lengths.min()), 1.0)
    new = old + length * d
    if length < 1.0:
        stopped = lengths <= length
        new[stopped] = stop[stopped]
    x[S] = new
    _kernels.kernels.add_rows(H, S, new - old, r)
    return length == 1.0
