# SPDX-License-Identifier: BSD-3-Clause
r"""A lower bound on J* from the points that a solver has been at, without a read of X.

Predictions are dual variables, and so are their combinations. From the last point's a to

.. math::

    a' = a + \sum_k c_k \Delta_k, \qquad r = g + \sum_k c_k m_k, \qquad
    m_k = \sum_i p_i x_i \Delta_{ki}

the dual residual r moves by the same combination of what is known already where
:math:`\Delta_k = a_k - a` for an earlier point, for then :math:`m_k` is the difference of the
gradients of the loss. The bound of `_certificate` holds with s = 0. The c that make it least to
second order solve a small system; as :math:`\Delta_k` is nearly the change that a step
:math:`s_k` makes to first order, KL is about :math:`\frac12 \sum_{kl} c_k c_l \langle s_k, m_l
\rangle`. The residual of the bias, which no penalty bounds, is a constraint of that system: it is
zero to rounding.

What is left of r where the penalty is weak beside the curvature may still be worth a hundred
times the true gap. A further change, along a Newton direction of r, costs a gather and a scatter.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from . import _kernels
from ._certificate import WEAKEST, below, bound_of
from ._objective import Objective, Point
from ._validation import Floats

# Points that are combined, at most: more make the bound hardly better, and take memory.
MOST, FEW = 11, 4
# Differences of gradients and predictions are rounded, which a combination with coefficients of
# more than this would make too much of; what is left of that, in parts of the bound.
WILDEST, ROUNDED_TWICE = 1e4, 1e-9


class Change(NamedTuple):
    """A change of the predictions (K, n) to first order along a step, and its residual's move."""

    step: Floats
    move: Floats
    of_predictions: Floats


class Combination:
    """The last points of a solver, and the bound of their combined predictions."""

    def __init__(self, objective: Objective, most: int = MOST) -> None:
        self._objective = objective
        self._points: deque[Point] = deque(maxlen=most)
        # The place of each point's predictions among those kept, -1 if they are not there yet.
        self._places: deque[int] = deque(maxlen=most)
        self._predictions = np.empty((most, objective.K * objective.n))
        self._further: list[Change] = []
        self.residual = np.zeros((objective.K, objective.D))  # of the last bound
        # Other coordinates without a penalty would have to be constraints too.
        self._useful = bool((objective.quadratic[:-1] > WEAKEST).all())

    def add(self, point: Point) -> None:
        """Take a further point, to which the next bound belongs."""
        self._points.appendleft(point)
        self._places.appendleft(-1)
        self._further = []

    def add_direction(self, s: Floats) -> None:
        """Take the change along a step. A gather and a scatter."""
        objective = self._objective
        a = objective.data.predictions(self._points[0].Z)
        U = objective.direction_margins(s)
        _, _, change = objective.data.dual_step(a, U)
        U -= (a * U).sum(axis=0) if objective.K > 1 else a * U
        U *= a
        self._further.append(Change(s, objective.pull_back(change), U))

    def lower_bound(self) -> float:
        """Return a proved lower bound on J*, -inf if there is none."""
        if not self._useful:
            return -math.inf
        # Far from the optimum a combination of many is no probability, and one of few may be one.
        lower = self._bound_of(list(self._points))
        if lower == -math.inf and len(self._points) > FEW:
            lower = self._bound_of(list(self._points)[:FEW])
        return lower

    def _bound_of(self, points: list[Point]) -> float:
        objective, q, further = self._objective, self._objective.quadratic, self._further
        first, *others = points
        K, D = first.theta.shape
        m = len(others) + len(further)
        # The moves of the residual, and the steps; at the end of the moves g.
        moves, steps = np.empty((m + 1, K * D)), np.empty((m, K * D))
        here = first.gradient - q * first.theta
        for k, point in enumerate(others):
            np.subtract(point.theta, first.theta, out=steps[k].reshape(K, D))
            np.subtract(point.gradient - q * point.theta, here, out=moves[k].reshape(K, D))
        for k, direction in enumerate(further, len(others)):
            steps[k], moves[k] = direction.step.ravel(), direction.move.ravel()
        moves[m] = first.gradient.ravel()
        c = np.zeros(m)
        if m:
            inverse = np.tile(np.append(1.0 / q[:-1], 0.0), K)
            gram = self._products(moves, moves[:m] * inverse)
            curved = self._products(moves[:m], steps)
            A = gram[:, :m] + 0.5 * (curved + curved.T)
            c = _least(A, gram[:, m], moves.reshape(m + 1, K, D)[:, :, -1])
        if not float(np.abs(c).sum()) <= WILDEST:
            return -math.inf
        self.residual = self._combined(moves, np.append(c, 1.0)).reshape(K, D)
        change = self._change(c[: len(others)])
        for weight, direction in zip(c[len(others) :], further, strict=True):
            change += weight * direction.of_predictions
        s = objective.data.sample_weight
        share = (1.0 if s is None else s) / objective.data.total
        self.residual[:, -1] = first.gradient[:, -1] + np.add.reduce(change * share, axis=1)
        divergence = objective.data.divergence(first.Z, change)
        bound = bound_of(q, first.theta, self.residual, divergence)
        return below(first.J, (1.0 + ROUNDED_TWICE) * bound, objective.margin_sizes(first.theta))

    def _change(self, c: Floats) -> Floats:
        """Return the combination of the earlier points' changes."""
        weights = np.zeros(len(self._predictions))
        for k, weight in enumerate((-c.sum(), *c)):
            if self._places[k] < 0:
                self._places[k] = min(set(range(len(weights))) - set(self._places))
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

    That residual is the last row of `bias`, and its moves are the others. NaN if there is none.
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
    if not (np.isfinite(system).all() and np.isfinite(right).all()):
        return np.full(m, np.nan)
    try:
        return np.asarray(np.linalg.lstsq(system, right, rcond=1e-15)[0][:m] / size)
    except np.linalg.LinAlgError:
        return np.full(m, np.nan)
