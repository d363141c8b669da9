# SPDX-License-Identifier: BSD-3-Clause
"""Memory that stays: NumPy's arrays of a fit from pieces that earlier ones had.

What the system hands out anew it clears a page at a time, which was a tenth of the time of large
fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import _kernels


@contextmanager
def memory_that_stays() -> Iterator[None]:
    """Have NumPy take the memory of arrays that are made meanwhile, in this thread, from there."""
    before = _kernels.kernels.allocate_by(_kernels.kernels.ALLOCATOR)
    try:
        yield
    finally:
        _kernels.kernels.allocate_by(before)
