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
from .._objective import combination, inner, products
from .._validation import Floats

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
            k = len(before._order)
            self._order = before._order.copy()
            self._make_room(before._shape)
            self._S[:k], self._Y[:k] = before._S[:k], before._Y[:k]
            self._R[:k, :k] = before._R[:k, :k]

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self._order)

    def _make_room(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._S, self._Y = np.empty((2, self._most, math.prod(shape)))

    def add(self, s: Floats, y: Floats) -> None:
        """Keep a pair if its curvature is positive beyond rounding."""
        if not inner(s, y) > 1e-12 * inner(y, y) ** 0.5 * inner(s, s) ** 0.5:
            return
        if not len(self._S):
            self._make_room(s.shape)
        full = len(self._order) == self._most
        k = self._order.pop(0) if full else len(self._order)
        self._order.append(k)
        self._S[k], self._Y[k] = s.ravel(), y.ravel()
        used = len(self._order)
        self._R[:used, k] = products(self._S[:used], y.reshape(1, -1), self._threads)[0]

    def clear(self) -> None:
        """Forget all pairs."""
        self._order = []

    def apply(self, g: Floats, initial: Apply) -> Floats:
        """Return the inverse Hessian times g, starting from `initial`, which is B."""
        order, threads = self._order, self._threads
        used = len(order)
        if not used:
            return initial(g)
        S, Y = self._S[:used], self._Y[:used]
        R = self._R[np.array(order)[:, None], order]
        places = np.argsort(order)
        solve = _kernels.kernels.cholesky_half_solve
        alpha = products(S, g.reshape(1, -1), threads)[0, order]
        solve(R, alpha, False)
        Bq = initial(g - combination(alpha[places], Y, threads).reshape(g.shape))
        gamma = np.diagonal(R) * alpha - products(Y, Bq.reshape(1, -1), threads)[0, order]
        solve(R, gamma, True)
        return Bq + combination(gamma[places], S, threads).reshape(g.shape)

    def scaling(self, initial: Apply) -> float:
        """Return what makes an initial matrix as large as the last pair says it is."""
        if not self._order:
            return 1.0
        k = self._order[-1]
        y = self._Y[k].reshape(self._shape)
        return float(self._R[k, k]) / inner(y, initial(y))
