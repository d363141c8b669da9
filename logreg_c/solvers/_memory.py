# SPDX-License-Identifier: BSD-3-Clause
r"""The memory of L-BFGS: the last steps and what the gradient changed along them.

With the steps as the rows of S and the changes as those of Y, from the oldest to the newest, and R
the upper triangle of :math:`S Y'`, the two loops of Nocedal (1980) add up to

.. math::

    q = g - Y' \alpha, \quad R \alpha = S g, \qquad
    H g = B q + S' \gamma, \quad R' \gamma = \mathrm{diag}(R) \alpha - Y B q

(Byrd, Nocedal, Schnabel 1994), which reads each of them twice and nothing else of their length.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import _kernels
from .._arrays import PARALLEL, combination, inner, products, reciprocal, subtract
from .._objective import Point
from .._validation import Floats, Indices

# A curvature this small beside its step and change is rounding.
ROUNDING = 1e-12
# A cosine of step and change up to which they tell of no curvature together.
COSINE = 0.1

Apply = Callable[[Floats], Floats]


class Memory:
    """Pairs (s, y) and their inverse Hessian.

    Parameters
    ----------
    most : int
        Pairs that are kept.
    threads : int
        Of the products.
    before : Memory, optional
        Whose pairs it has at first; it has to keep no more than this one.
    """

    def __init__(self, most: int, threads: int, before: Memory | None = None) -> None:
        self._most, self._threads = most, threads
        self._order: list[int] = []  # places of the pairs, from the oldest to the newest
        self._S = self._Y = np.empty((0, 0))
        self._R = np.empty((most, most))  # the products s · y, by places
        if before is not None and before._order:
            lines = before._lines()
            self._order = before._order.copy()
            self._make_room(before._shape)
            self._S[:lines], self._Y[:lines] = before._S[:lines], before._Y[:lines]
            self._R[:lines, :lines] = before._R[:lines, :lines]

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self._order)

    def _lines(self) -> int:
        """Return up to where places are taken; one of them may be free."""
        return max(self._order) + 1

    def _make_room(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._S, self._Y = np.empty((2, self._most, math.prod(shape)))
        if self._S.size < PARALLEL:
            self._threads = 1

    def add(self, s: Floats, y: Floats) -> None:
        """Keep a pair if its curvature is positive beyond rounding."""
        k = self._free(s.shape)
        self._S[k], self._Y[k] = s.ravel(), y.ravel()
        self._keep(k)

    def add_step(self, before: Point, after: Point) -> None:
        """Keep the pair of a step from one point to another, which is written to its place only."""
        k = self._free(after.theta.shape)
        subtract(after.theta, before.theta, self._S[k], self._threads)
        subtract(after.gradient, before.gradient, self._Y[k], self._threads)
        self._keep(k)

    def _free(self, shape: tuple[int, ...]) -> int:
        """Return the place of a further pair, the oldest one's if there is no other.

        The first that is free: what stands below the last one is read, if only to be multiplied
        by 0, and has to be numbers.
        """
        if not len(self._S):
            self._make_room(shape)
        full = len(self._order) == self._most
        return self._order.pop(0) if full else min(set(range(self._most)) - set(self._order))

    def _keep(self, k: int) -> None:
        """Take what stands in a place for a pair if its curvature is positive beyond rounding."""
        s, y = self._S[k], self._Y[k]
        lines = max([k, *self._order]) + 1
        column = products(self._S[:lines], y[None], self._threads)[0]
        if column[k] > ROUNDING * inner(y, y) ** 0.5 * inner(s, s) ** 0.5:
            self._order.append(k)
            self._R[:lines, k] = column

    def at(self, places: Indices, inverse: Floats | None = None) -> Memory:
        """Return what is known of the coordinates at these places, -1 for one that never moved.

        Of a pair cut short like that the change may have little to do with the step. It is left out
        if they are nearly at right angles where the inverse of a diagonal measures changes.
        """
        other, order = Memory(self._most, self._threads), self._order
        if not order or not len(places):
            return other
        known = places >= 0
        S, Y = np.zeros((2, len(order), len(places)))
        for A, some in ((self._S, S), (self._Y, Y)):
            some[:, known] = A[order].take(places[known], axis=1)
        R = products(S, Y, self._threads).T
        inverse = np.ones(len(places)) if inverse is None else inverse
        lengths = np.einsum("ij,ij,j->i", S, S, reciprocal(inverse))
        lengths *= np.einsum("ij,ij,j->i", Y, Y, inverse)
        kept = np.flatnonzero(np.diagonal(R) > COSINE * np.sqrt(lengths))
        other._order = list(range(len(kept)))
        other._make_room((1, len(places)))
        other._S[: len(kept)], other._Y[: len(kept)] = S[kept], Y[kept]
        other._R[: len(kept), : len(kept)] = R[np.ix_(kept, kept)]
        return other

    def clear(self) -> None:
        """Forget all pairs."""
        self._order = []

    def apply(self, g: Floats, initial: Apply) -> Floats:
        """Return the inverse Hessian times g, starting from `initial`, which is B."""
        order, threads = self._order, self._threads
        if not order:
            return initial(g)
        lines = self._lines()
        S, Y = self._S[:lines], self._Y[:lines]
        R = self._R[np.array(order)[:, None], order]
        weights = np.zeros(lines)
        solve = _kernels.kernels.cholesky_half_solve
        flat = g.reshape(1, -1)
        alpha = products(S, flat, threads)[0, order]
        solve(R, alpha, False)
        weights[order] = -alpha
        Bq = initial(combination(weights, Y, threads, flat).reshape(g.shape)).reshape(1, -1)
        gamma = np.diagonal(R) * alpha - products(Y, Bq, threads)[0, order]
        solve(R, gamma, True)
        weights[order] = gamma
        return combination(weights, S, threads, Bq).reshape(g.shape)

    def scaling(self, initial: Apply) -> float:
        """Return what makes an initial matrix as large as the last pair says it is."""
        if not self._order:
            return 1.0
        k = self._order[-1]
        y = self._Y[k].reshape(self._shape)
        return float(self._R[k, k]) / inner(y, initial(y))

    def scaled(self, initial: Apply, g: Floats) -> Floats:
        """Return the initial matrix at that size times g; it is asked for both at once."""
        if not self._order:
            return initial(g)
        k = self._order[-1]
        y = self._Y[k].reshape(self._shape)
        both = initial(np.stack((g, y)))
        return np.asarray(both[0] * (float(self._R[k, k]) / inner(y, both[1])))
