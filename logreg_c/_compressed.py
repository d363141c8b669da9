# SPDX-License-Identifier: BSD-3-Clause
"""A sparse X as the kernels read it: the arrays of a CSR or CSC matrix, used as they are."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

# Entries whose places are computed at once.
PLACES = 2**18


class Compressed:
    """The entries of each line, which is a row (CSR) or a column (CSC).

    Attributes
    ----------
    indptr : ndarray of shape (lines + 1,), int32 or int64
        Where a line's entries start.
    indices : ndarray of shape (entries,), int32 or int64
        The place of each entry in its line.
    data : ndarray of shape (entries,), float32 or float64, or None
        The values; None where all are 1.
    shape : tuple of int
        Rows and columns.
    by_rows : bool
        Whether lines are rows.
    sound : bool
        Whether indptr and indices are known to be in range. The kernels look at them themselves
        if not, while they come into the cache, and call `malformed`.
    """

    __slots__ = ("_transposed", "by_rows", "data", "indices", "indptr", "shape", "sound")

    def __init__(
        self,
        indptr: NDArray[Any],
        indices: NDArray[Any],
        data: NDArray[Any] | None,
        shape: tuple[int, int],
        by_rows: bool,
        sound: bool = False,
    ) -> None:
        self.indptr = indptr
        self.indices = indices
        self.data = data
        self.shape = shape
        self.by_rows = by_rows
        self.sound = sound
        self._transposed: Compressed | None = None

    @property
    def T(self) -> Compressed:
        """The transpose: the same arrays, whose lines have changed their name."""
        rows, columns = self.shape
        transpose = Compressed(
            self.indptr, self.indices, self.data, (columns, rows), not self.by_rows, self.sound
        )
        transpose._transposed = self
        return transpose

    @property
    def format(self) -> str:
        """What SciPy calls it."""
        return "csr" if self.by_rows else "csc"

    @property
    def entries(self) -> int:
        """How many entries there are."""
        return int(self.indptr[-1])

    def dense(self) -> NDArray[np.float64]:
        """Return the matrix as a C-ordered array, entries of the same place added up."""
        out = np.zeros(self.shape)
        line, place = (self.shape[1], 1) if self.by_rows else (1, self.shape[1])
        lines = len(self.indptr) - 1
        # The places of all at once would take as much memory as the matrix.
        step = max(1, PLACES * lines // max(self.entries, 1))
        for first in range(0, lines, step):
            starts = self.indptr[first : first + step + 1]
            some = slice(starts[0], starts[-1])
            at = np.repeat(np.arange(len(starts) - 1) + first, np.diff(starts)) * line
            at += self.indices[some] * np.int64(place)
            np.add.at(out.reshape(-1), at, 1.0 if self.data is None else self.data[some])
        return out

    def where(self, k: int) -> tuple[int, int]:
        """Return the row and column of entry k."""
        line = int(np.searchsorted(self.indptr, k, side="right")) - 1
        place = int(self.indices[k])
        return (line, place) if self.by_rows else (place, line)

    def scaled_rows(self, r: NDArray[np.float64]) -> Compressed:
        """Return a copy whose rows are multiplied by r."""
        used = self.entries
        indices = self.indices[:used].copy()
        rows = np.repeat(r, np.diff(self.indptr)) if self.by_rows else r[indices]
        values = rows if self.data is None else rows * self.data[:used]
        return Compressed(self.indptr.copy(), indices, values, self.shape, self.by_rows, True)

    def squared(self) -> Compressed:
        """Return the matrix of the squares, which shares all but the values."""
        values = None if self.data is None else np.square(self.data, dtype=np.float64)
        return Compressed(self.indptr, self.indices, values, self.shape, self.by_rows, self.sound)

    def take(self, rows: NDArray[np.intp]) -> Compressed:
        """Return a copy of some rows, if lines are rows."""
        lengths = np.diff(self.indptr)[rows]
        starts = np.append(0, np.cumsum(lengths))
        k = np.arange(starts[-1]) + np.repeat(self.indptr[:-1][rows] - starts[:-1], lengths)
        values = None if self.data is None else self.data[k]
        shape = (len(rows), self.shape[1])
        return Compressed(starts, self.indices[k], values, shape, self.by_rows, self.sound)

    def malformed(self) -> NoReturn:
        """Raise the error that tells what is wrong with indptr or indices."""
        (self if self._transposed is None else self._transposed).require_sound()
        raise ValueError("X.indptr or X.indices changed while they were read; leave X alone")

    def require_sound(self) -> None:
        """Raise ValueError unless indptr and indices are in range."""
        starts = self.indptr
        line, across = ("row", "column") if self.by_rows else ("column", "row")
        if starts[0] != 0:
            raise ValueError(f"X.indptr[0] is {starts[0]}; the first {line} starts at 0")
        falls = starts[1:] < starts[:-1]
        if falls.any():
            i = int(np.argmax(falls))
            raise ValueError(
                f"X.indptr falls from {starts[i]} to {starts[i + 1]} at {line} {i}; it gives where "
                f"each {line} starts, and the end of the last one"
            )
        if starts[-1] > len(self.indices):
            raise ValueError(
                f"X.indptr ends at {starts[-1]} and X.indices has {len(self.indices)} entries; "
                "give as many entries as indptr says"
            )
        most = self.shape[1] if self.by_rows else self.shape[0]
        used = self.indices[: starts[-1]]
        outside = (used < 0) | (used >= most)
        if outside.any():
            k = int(np.argmax(outside))
            where = self.where(k)[0 if self.by_rows else 1]
            raise ValueError(
                f"X.indices[{k}] is {self.indices[k]}, in {line} {where}; X has {most} {across}s, "
                f"so give {across} indices from 0 to {most - 1}"
            )
