# SPDX-License-Identifier: BSD-3-Clause
"""The Cholesky factor of a Hessian, whatever the scales of its rows."""

from __future__ import annotations

import numpy as np

from . import _kernels
from ._validation import Floats, Indices


class Factor:
    """H = S^-1 R'R S^-1 with S making the diagonal ones.

    Where H is not positive definite to rounding, a little is added to that diagonal.

    Raises
    ------
    FloatingPointError
        If H is not positive definite, or not finite.
    """

    def __init__(self, H: Floats, threads: int) -> None:
        self._R, self._scale = np.empty(H.shape), np.empty(len(H))
        _kernels.kernels.factor(H, self._R, self._scale, threads)

    def solve(self, v: Floats) -> Floats:
        """Return H^-1 v, in the shape of v."""
        x = v.copy()
        _kernels.kernels.factor_solve(self._R, self._scale, x)
        return x

    def step(self, g: Floats) -> tuple[Floats, float]:
        """Return -H^-1 g, in the shape of g, and g'H^-1 g / 2."""
        s = np.empty(g.shape)
        return s, _kernels.kernels.factor_step(self._R, self._scale, g, s)

    def lower(self) -> Floats:
        """Return the triangular L of H = L L'."""
        return np.ascontiguousarray((self._R / self._scale).T)

    def half_solve(self, v: Floats) -> Floats:
        """Return the x of L'x = v, for every row of v."""
        x = np.array(v, order="C")
        _kernels.kernels.cholesky_half_solve(self._R, x, False)
        return x * self._scale

    def left(self) -> float:
        """Return what is left of a row's diagonal given the rows before it, as -log, on average."""
        return -2.0 * float(np.log(np.diagonal(self._R)).mean())


class BlockFactor:
    """The factors of blocks along the diagonal of a Hessian, block k from ends[k] to ends[k + 1].

    They are kept in single precision, which leaves the inverse symmetric and positive definite, and
    is half as much to read.
    """

    def __init__(self, ends: Indices, threads: int) -> None:
        self._ends, self._threads = ends, threads
        self._R = np.empty((len(ends) - 1, int(np.diff(ends).max()) ** 2), np.float32)
        self._scale = np.empty(ends[-1])

    def make(self, grams: Floats, f: float, diagonal: Floats) -> None:
        """Factor f · grams + diag(diagonal), block k being at the beginning of grams[k]."""
        _kernels.kernels.block_factor(
            grams, f, diagonal, self._ends, self._R, self._scale, self._threads
        )

    def solve(self, v: Floats) -> Floats:
        """Return H^-1 v for every row of v."""
        x = v.copy()
        _kernels.kernels.block_factor_solve(self._R, self._scale, self._ends, x, self._threads)
        return x
