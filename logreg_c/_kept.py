# SPDX-License-Identifier: BSD-3-Clause
"""Memory that stays: NumPy's arrays of a fit from pieces that earlier ones had.

What the system hands out anew it clears a page at a time, which was a tenth of the time of large
fits.
"""

from __future__ import annotations

from . import _kernels

# Entries from which a float64 array is kept; smaller ones NumPy is quicker with.
KEPT = 16_384


class MemoryThatStays:
    """While it is entered NumPy takes the memory of what this thread makes from there.

    Not if the largest array has fewer `entries` than are kept.
    """

    def __init__(self, entries: int = KEPT) -> None:
        self._stays = entries >= KEPT
        self._before: object = None

    def __enter__(self) -> None:
        if self._stays:
            self._before = _kernels.kernels.allocate_by(_kernels.kernels.ALLOCATOR)

    def __exit__(self, *exception: object) -> None:
        if self._stays:
            _kernels.kernels.allocate_by(self._before)
