# SPDX-License-Identifier: BSD-3-Clause
"""The Cholesky factor of a Hessian, whatever the scales of its rows."""

from __future__ import annotations

import numpy as np

from . import _kernels
from ._validation import Floats


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

    @property
    def told(self) -> float:
        """What is left of a row's diagonal given the rows before it, as -log, on average."""
        return -2.0 * float(np.log(np.diagonal(self._R)).mean())
