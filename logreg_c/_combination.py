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

import numpy as np

from ._arrays import EPSILON, combination, plain_gram, products, subtract
from ._certificate import PREDICTIONS_ROUNDED, all_held, below, bound_at, bound_of
from ._objective import Objective, Point
from ._validation import Floats

# Points that are combined, at most: more make the bound hardly better, and take memory.
MOST, FEW = 11, 4
# Lines that are added where directions need them.
MORE_LINES = 4
# Differences of gradients and predictions are rounded, which a combination with coefficients of
# more than this would make too much of; what is left of that, in parts of the bound.
WILDEST, ROUNDED_TWICE = 1e4, 1e-9


class Combination:
    """The last points of a solver, and the bound of their combined predictions.

    The differences that are combined are those between a point and the next, each computed once.

    Parameters
    ----------
    objective : Objective
        What is minimised.
    most : int
        Points that are combined, at most.
    """

    def __init__(self, objective: Objective, most: int = MOST) -> None:
        self._objective = objective
        self._points: deque[Point] = deque(maxlen=most)
        # A line for each difference, and behind these for each direction: the step, and the move
        # of the residual. Behind the moves is g.
        size = objective.K * objective.D
        self._steps, self._moves = np.empty((most - 1, size)), np.empty((most, size))
        self._lines: deque[int] = deque(maxlen=most - 1)  # of the differences, the newest first
        self._missing = -1  # differences that have no line yet: one less than new points
        self._further: list[Floats] = []  # what directions change predictions by, to first order
        # Margins whose predictions, with these weights, the last bound is for.
        self._combined: tuple[list[Floats], Floats] = [], np.empty(0)
        # Of the last bound: r, and how far below J it is, or would be if it was not worth its time.
        self.residual: Floats = np.zeros((objective.K, objective.D))
        self.bound = math.inf
        # Other coordinates without a penalty would have to be constraints too.
        self.useful = all_held(objective)

    def add(self, point: Point) -> None:
        """Take a further point, to which the next bound belongs."""
        self._points.appendleft(point)
        self._missing = min(self._missing + 1, len(self._points) - 1)
        self._further = []
        self._combined = [], np.empty(0)

    def add_direction(self, s: Floats) -> None:
        """Take the change along a step. A gather and a scatter."""
        objective = self._objective
        self._take_differences()
        a = objective.data.predictions(self._points[0].Z)
        U = objective.direction_margins(s)
        change = objective.data.turned(a, U)
        line = len(self._lines) + len(self._further)
        if line == len(self._steps):
            self._steps, self._moves = (
                np.concatenate((lines, np.empty((MORE_LINES, lines.shape[1]))))
                for lines in (self._steps, self._moves)
            )
        self._steps[line], self._moves[line] = s.ravel(), objective.pull_back(change).ravel()
        self._further.append(objective.data.turned(a, U, shared=False))

    def _take_differences(self) -> None:
        objective = self._objective
        threads, q = objective.data.threads, np.tile(objective.quadratic, objective.K)
        for k in range(self._missing, 0, -1):
            newer, older = self._points[k - 1], self._points[k]
            full = len(self._lines) == self._lines.maxlen
            line = self._lines[-1] if full else len(self._lines)
            self._lines.appendleft(line)
            step = self._steps[line]
            subtract(older.theta, newer.theta, step, threads)
            subtract(older.gradient, newer.gradient, self._moves[line], threads, q, step)
        self._missing = 0

    def lower_bound(self, most: float = math.inf) -> float:
        """Return a proved lower bound on J*, -inf if there is none.

        Or if to second order it is more than `most` below J: nothing that has a number for each
        row is looked at then.
        """
        self.bound = math.inf
        if not self.useful:
            return -math.inf
        self._take_differences()
        objective, threads = self._objective, self._objective.data.threads
        m = len(self._lines) + len(self._further)
        moves = self._moves[: m + 1]
        moves[m] = self._points[0].gradient.ravel()
        inverse = np.tile(np.append(1.0 / objective.quadratic[:-1], 0.0), objective.K)
        gram = plain_gram(moves.T, inverse, threads)
        slope = gram[:m, m]
        A = gram[:m, :m]
        if m:
            curved = products(self._steps[:m], moves[:m], threads)
            A = A + 0.5 * (curved + curved.T)
        # Far from the optimum a combination of many is no probability, and one of few may be one.
        alone = 0.5 * float(gram[m, m])
        lower = self._bound_of(A, slope, alone, len(self._lines), most)
        if self.bound == math.inf and len(self._lines) >= FEW:
            lower = self._bound_of(A, slope, alone, FEW - 1, most)
        return lower

    def _bound_of(
        self, A: Floats, slope: Floats, alone: float, differences: int, most: float
    ) -> float:
        """Return the bound of so many of the newest differences, and the directions.

        To second order it is the half of c'Ac + 2 slope·c above `alone`.
        """
        objective, first = self._objective, self._points[0]
        m, threads = len(A), objective.data.threads
        moves = self._moves[: m + 1]
        used = np.array([*list(self._lines)[:differences], *range(len(self._lines), m)], dtype=int)
        c = np.zeros(m)
        if len(used):
            bias = moves.reshape(m + 1, objective.K, objective.D)[[*used, m], :, -1]
            c[used] = _least(A[np.ix_(used, used)], slope[used], bias)
        if not float(np.abs(c).sum()) <= WILDEST:
            return -math.inf
        residual = combination(np.append(c, 1.0), moves, threads).reshape(first.theta.shape)
        self.residual = residual
        self.bound = alone + float((slope + 0.5 * (A @ c)) @ c)
        if self.bound > most:
            return -math.inf
        parts = c[list(self._lines)[:differences]]
        of_points = np.append(0.0, parts) - np.append(parts, 0.0)
        weights = np.append(of_points, c[len(self._lines) :])
        margins = [point.Z for point in self._points][: len(of_points)]
        divergence, moved = objective.data.divergence(margins, self._further, weights)
        # What all these gradients are rounded by counts where a penalty is weak.
        times = 1.0 + float(np.abs(c).sum())
        rounded = times * EPSILON * (1.0 + objective.shift)
        if objective.outlying is not None:
            rounded = rounded + times * PREDICTIONS_ROUNDED * objective.outlying
        residual[:, :-1] += np.copysign(rounded, residual[:, :-1])
        if objective.fit_bias:
            residual[:, -1] = first.gradient[:, -1] + moved
        self.bound = bound_of(objective, first.J, first.theta, residual, divergence)
        if not self._further and math.isfinite(self.bound):
            self._combined = margins, np.append(weights[0] + 1.0, weights[1:])
        sizes = objective.margin_sizes(first.theta)
        return below(objective.n, first.J, (1.0 + ROUNDED_TWICE) * self.bound, sizes)

    def bound_elsewhere(self, objective: Objective, point: Point) -> float:
        """Return what the predictions of the last bound, but for directions, prove at a point.

        Of an objective with about the same X: they are probabilities there too. A product with X'.
        -inf if the last point has no bound.
        """
        margins, weights = self._combined
        if not margins:
            return -math.inf
        margins, weights = [point.Z, *margins], np.append(-1.0, weights)
        data = objective.data
        divergence, _ = data.divergence(margins, [], weights)
        change = np.zeros_like(point.Z)
        for Z, weight in zip(margins, weights, strict=True):
            change += weight * data.predictions(Z)
        residual = point.gradient + objective.pull_back(change * data.shares())
        return bound_at(objective, point.J, point.theta, residual, divergence)


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
