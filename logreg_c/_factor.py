# SPDX-License-Identifier: BSD-3-Clause
"""The Cholesky factor of a Hessian, whatever the scales of its rows."""

from __future__ import annotations

import numpy as np

from . import _kernels
from ._validation import Floats

# Added to the unit diagonal when the matrix is not positive definite to rounding, larger each time.
FIRST_JITTER = 1e-14
MOST_JITTER = 1e-2


class Factor:
    """H = S^-1 L L' S^-1 with S making the diagonal ones; L is factored with jitter if need be.

    Attributes
    ----------
    jitter : float
        What had to be added to the unit diagonal; 0 if H is positive definite to rounding.
    """

    def __init__(self, H: Floats, threads: int) -> None:
        diagonal = H.ravel()[:: len(H) + 1]
        # A row of zeros is a direction without curvature and without a gradient.
        self._scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        A = H * self._scale
        A *= self._scale[:, None]
        A.ravel()[:: len(H) + 1] = 1.0
        self._L = np.empty_like(A)
        self.jitter = 0.0
        while _kernels.kernels.cholesky(A, self._L, threads):
            self.jitter = FIRST_JITTER if self.jitter == 0.0 else 100.0 * self.jitter
            if not self.jitter <= MOST_JITTER:
                raise FloatingPointError("the Hessian is not positive definite, or not finite")
            A.ravel()[:: len(H) + 1] = 1.0 + self.jitter

    def solve(self, v: Floats) -> Floats:
        """Return H^-1 v, in the shape of v."""
        x = v.ravel() * self._scale
        _kernels.kernels.cholesky_solve(self._L, x)
        return (x * self._scale).reshape(v.shape)
