# SPDX-License-Identifier: BSD-3-Clause
r"""A lower bound on J* from the points that a solver has been at, without a read of X.

Predictions are dual variables, and so are their combinations. From the last point's a to

.. math::

    a' = a + \sum_k c_k (a_k - a), \qquad
    r = g + \sum_k c_k \left( (g_k - q \theta_k) - (g - q \theta) \right)

the dual residual r moves by the same combination of the gradients that are there already, and
the bound of `_certificate` holds with s = 0. The c that make it least to second order solve a
small system; along the steps between the points, whose margins were :math:`u_k`, KL is about
:math:`\frac12 \sum_{kl} c_k c_l \langle \theta_k - \theta, H (\theta_l - \theta) \rangle`. The
residual of the bias, which no penalty bounds, is a constraint of that system: it is zero to
rounding.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from . import _kernels
from ._certificate import WEAKEST, below, bound_of
from ._objective import Objective, Point
from ._validation import Floats

# Points that are combined, at most: more make the bound hardly better, and take memory.
MOST = 11


class Combination:
    """The last points of a solver, and the bound of their combined predictions."""

    def __init__(self, objective: Objective, most: int = MOST) -> None:
        self._objective = objective
        self._points: deque[Point] = deque(maxlen=most)
        # The place of each point's predictions among those kept, -1 if they are not there yet.
        self._places: deque[int] = deque(maxlen=most)
        self._predictions = np.empty((most, objective.K * objective.n))
        # Other coordinates without a penalty would have to be constraints too.
        self._useful = bool((objective.quadratic[:-1] > WEAKEST).all())

    def add(self, point: Point) -> None:
        """Take a further point, to which the next bound belongs."""
        self._points.appendleft(point)
        self._places.appendleft(-1)

    def lower_bound(self) -> float:
        """Return a proved lower bound on J*, -inf if the points give none."""
        if not self._useful:
            return -math.inf
        objective, q = self._objective, self._objective.quadratic
        first, *others = self._points
        K, D = first.theta.shape
        m = len(others)
        # The moves of the residual, and the steps; in their last rows g and nothing.
        moves, steps = np.empty((m + 1, K * D)), np.empty((m, K * D))
        here = first.gradient - q * first.theta
        for k, point in enumerate(others):
            steps[k] = (point.theta - first.theta).ravel()
            moves[k] = (point.gradient - q * point.theta - here).ravel()
        moves[m] = first.gradient.ravel()
        c = np.zeros(m)
        if m:
            inverse = np.tile(np.append(1.0 / q[:-1], 0.0), K)
            gram = self._products(moves, moves[:m] * inverse)
            curved = self._products(moves[:m], steps)
            A = gram[:, :m] + 0.5 * (curved + curved.T)
            c = _least(A, gram[:, m], moves.reshape(m + 1, K, D)[:, :, -1])
        residual = self._combined(moves, np.append(c, 1.0)).reshape(K, D)
        change = self._change(c)
        s = objective.data.sample_weight
        share = (1.0 if s is None else s) / objective.data.total
        residual[:, -1] = first.gradient[:, -1] + np.add.reduce(change * share, axis=1)
        divergence = objective.data.divergence(first.Z, change)
        zero = np.zeros_like(first.theta)
        return below(first.J, bound_of(q, first.theta, zero, residual, divergence))

    def _change(self, c: Floats) -> Floats:
        """Return a' - a."""
        weights = np.zeros(len(self._predictions))
        for k, weight in enumerate((-c.sum(), *c)):
            if self._places[k] < 0:
                free = set(range(len(weights))) - set(self._places)
                self._places[k] = min(free)
                a = self._objective.data.predictions(self._points[k].Z)
                self._predictions[self._places[k]] = a.ravel()
            weights[self._places[k]] = weight
        used = max(self._places) + 1
        change = self._combined(self._predictions[:used], weights[:used])
        return change.reshape(self._points[0].Z.shape)

    def _products(self, A: Floats, B: Floats) -> Floats:
        """Return B A' of two sets of long rows."""
        out = np.empty((len(B), len(A) + 1))
        _kernels.kernels.class_transpose_product(A.T, B, out, self._objective.data.threads)
        return out[:, :-1]

    def _combined(self, A: Floats, c: Floats) -> Floats:
        """Return c A, a combination of long rows."""
        out = np.empty((1, A.shape[1]))
        theta = np.append(c, 0.0)[None]
        _kernels.kernels.class_margins_of(A.T, theta, None, out, self._objective.data.threads)
        return out


def _least(A: Floats, slope: Floats, bias: Floats) -> Floats:
    """Return the c of least c'Ac/2 + slope·c whose moves take the bias's residual to zero.

    That residual is the last row of `bias`, and its moves are the others.
    """
    m, K = len(A), bias.shape[1]
    size = np.sqrt(np.maximum(np.diagonal(A), 1e-300))
    scaled = bias[:m] / size[:, None]
    height = np.maximum(np.abs(scaled).max(axis=0), 1e-300)
    system = np.zeros((m + K, m + K))
    system[:m, :m] = A / size / size[:, None]
    system[:m, m:] = scaled / height
    system[m:, :m] = system[:m, m:].T
    right = np.concatenate((-slope / size, -bias[m] / height))
    return np.asarray(np.linalg.lstsq(system, right, rcond=1e-15)[0][:m] / size)
