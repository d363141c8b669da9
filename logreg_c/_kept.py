# SPDX-License-Identifier: BSD-3-Clause
"""Memory that stays: NumPy's arrays of a fit from pieces that earlier ones had.

What the system hands out anew it clears a page at a time, which is a tenth of the time of large
sparse fits.
"""

from __future__ import annotations

import math

import numpy as np

from . import _kernels


class MemoryThatStays:
    """While it is entered NumPy takes the memory of what this thread makes from there.

    Not if the largest array, of so many `entries`, is less than what is kept: NumPy is quicker with
    small ones.
    """

    def __init__(self, entries: float = math.inf) -> None:
        self._stays = entries * np.dtype(np.float64).itemsize >= _kernels.kernels.LEAST_KEPT
        self._before: object = None

    def __enter__(self) -> None:
        if self._stays:
            self._before = _kernels.kernels.allocate_by(_kernels.kernels.ALLOCATOR)

    def __exit__(self, *exception: object) -> None:
        if self._stays:
            _kernels.kernels.allocate_by(self._before)
