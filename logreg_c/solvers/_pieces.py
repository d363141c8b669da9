# SPDX-License-Identifier: BSD-3-Clause
r"""A step in pieces, each class's weights of some columns, which have lengths of their own.

Hessians of single classes say nothing of how classes go together, nor how far a quadratic model
holds for these columns and for those. With the margins :math:`u_j` of the pieces :math:`s_j` of a
direction, which together take the one read of X that its own margins do,

.. math::

    \min_c\; J(\theta + \sum_j c_j s_j)

takes no further read, and a few rounds of Newton's method: the search of SESOP (Narkiss,
Zibulevsky 2005). J and its gradient by c are those of all rows, the Hessian is that of a sample.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._arrays import diagonal_of, inner, plain_gram
from .._factor import Factor
from .._objective import Objective, Point
from .._sampling import by_importance
from .._validation import Floats

# Neighbouring columns in a group, and the most pieces: their margins take memory.
WIDTH, MOST = 56, 200
# Rows for their Hessian, in parts of all; never fewer than so many a piece.
SAMPLED, FEWEST = 0.1, 10
# Rounds of Newton's method, and the part of what was gained that is not worth another.
ROUNDS, GAINED = 2, 1e-2
# The shortest step that is tried, and the part of a decrement that it has to bring.
SHORTEST, DECREASE = 1e-3, 0.1


class Moved(NamedTuple):
    """Where a step led, and the margins of the direction that was cut up."""

    point: Point
    margins: Floats


class Pieces:
    """The pieces of one direction after another; their margins (groups, K, n) stay in place."""

    def __init__(self, objective: Objective, random: np.random.Generator) -> None:
        d = objective.D - 1
        groups = max(1, min(round(d / WIDTH), MOST // objective.K))
        self.ends = np.linspace(0, d, groups + 1).astype(np.intp)
        self.margins = np.empty((groups, objective.K, objective.n))
        self._random = random

    def draw(self, leverage: Floats) -> None:
        """Draw the rows that Hessians are made of from here on, by their leverages."""
        n = len(leverage)
        m = max(int(SAMPLED * n), FEWEST * self.margins.shape[0] * self.margins.shape[1])
        self.sample = by_importance(leverage.copy(), min(m, n), self._random)

    def advance(self, objective: Objective, point: Point, s: Floats) -> Moved | None:
        """Step to about the minimum along the pieces of s; None if nothing lower is found.

        Reads X once, as a step along s does.
        """
        if not inner(point.gradient, s) < 0.0:
            return None
        objective.piece_margins(s, self.ends, self.margins)
        search = _Search(self, objective, point, s)
        full = search.at(np.ones(search.slope.shape))
        found = search.minimum(full)
        if found is None:
            return None
        theta = objective.project(point.theta + search.step(found.c))
        new = objective.at_residuals(theta, found.Z, found.loss, found.R)
        return Moved(new, full.Z - point.Z) if new.J < point.J else None


def _shorter(start: float, end: float) -> float:
    """Return the part of a step to try next, by the slopes at both ends.

    Where rows that were sure of their labels turn over, J is steep and straight.
    """
    return 0.5 if start == end else min(max(0.1, start / (start - end)), 0.5)


class _At(NamedTuple):
    """What there is at coefficients c: J and its gradient by c, margins, loss and residuals."""

    c: Floats
    J: float
    gradient: Floats
    Z: Floats
    loss: float
    R: Floats


class _Search:
    """J along the pieces of a direction, by their coefficients c of shape (groups, K)."""

    def __init__(self, pieces: Pieces, objective: Objective, point: Point, s: Floats) -> None:
        self._objective, self._point, self._s = objective, point, s
        self._ends, self._margins = pieces.ends, pieces.margins
        self._rows, weight = pieces.sample
        data, K, begins = objective.data, len(s), pieces.ends[:-1]
        # The penalty is that of a step whose classes add up to zero, which is what it ends as.
        theta = objective.project(point.theta)
        apart = np.eye(K) - (1.0 / K if K > 1 else 0.0)
        weighted = objective.quadratic * s
        products = np.add.reduceat(weighted[:, None] * s, begins, axis=2) * apart[:, :, None]
        self._products = np.ascontiguousarray(products.transpose(2, 0, 1))
        self.slope = np.ascontiguousarray(np.add.reduceat(weighted * theta, begins, axis=1).T)
        self._ridge = 0.5 * inner(objective.quadratic * theta, theta)
        share = weight / data.total
        weights = data.sample_weight
        self._share = share if weights is None else share * weights[self._rows]

    def step(self, c: Floats) -> Floats:
        """Return the step with these coefficients; the bias goes with the last group."""
        widths = np.diff(self._ends)
        widths[-1] += 1
        return np.asarray(self._s * np.repeat(c.T, widths, axis=1))

    def minimum(self, at: _At) -> _At | None:
        """Return where J is about least, from here on; None if nothing lower is found."""
        start, slope = self._point.J, inner(self._point.gradient, self._s)
        while not at.J < start:
            if at.c[0, 0] < SHORTEST:
                return None
            at = self.at(at.c * _shorter(slope, float(at.gradient.sum())))
        sampled = self._margins.transpose(2, 0, 1)[self._rows]
        for _ in range(ROUNDS):
            d, decrement = Factor(self._hessian(at, sampled), 1).step(at.gradient)
            if not decrement > GAINED * (start - at.J):
                break
            t, new = 1.0, self.at(at.c + d)
            while not new.J <= at.J - DECREASE * t * decrement and t > SHORTEST:
                t *= _shorter(-2.0 * decrement, inner(new.gradient, d))
                new = self.at(at.c + t * d)
            if not new.J < at.J:
                break
            at = new
        return at

    def at(self, c: Floats) -> _At:
        """Return what there is at these coefficients."""
        loss, gradient, Z, R = self._objective.data.along_pieces(self._point.Z, self._margins, c)
        bent = (self._products * c[:, None, :]).sum(axis=2)
        J = loss + self._ridge + inner(c, self.slope + 0.5 * bent)
        return _At(c, J, gradient + self.slope + bent, Z, loss, R)

    def _hessian(self, at: _At, sampled: Floats) -> Floats:
        """Return J's Hessian by c, given the sample's margins of the pieces (rows, groups, K)."""
        m, G, K = sampled.shape
        a = self._objective.data.predictions(np.ascontiguousarray(at.Z[:, self._rows]))
        if K == 1:
            H = self._gram(sampled[:, :, 0], self._share * (a[0] * (1.0 - a[0])))
        else:
            H = self._gram((sampled * a.T[:, None, :]).reshape(m, G * K), -self._share)
        H = H.reshape(G, K, G, K)
        for k in range(K if K > 1 else 0):
            H[:, k, :, k] += self._gram(sampled[:, :, k], self._share * a[k])
        for g in range(G):
            H[g, :, g, :] += self._products[g]
        H = H.reshape(G * K, G * K)
        # A piece that is zero moves nothing.
        diagonal_of(H)[np.diagonal(H) == 0.0] = 1.0
        return H

    def _gram(self, A: Floats, h: Floats) -> Floats:
        """Return A' diag(h) A."""
        out = plain_gram(np.ascontiguousarray(A), h, self._objective.data.threads)
        return np.ascontiguousarray(out)
