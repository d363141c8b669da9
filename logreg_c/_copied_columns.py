# SPDX-License-Identifier: BSD-3-Clause
"""Columns of a dense X, copied one after the other into memory that stays.

A copy of some columns by rows is made anew for each further one, and memory that comes fresh takes
as long as the copy. By columns a further one is written behind the others.
"""

from __future__ import annotations

import numpy as np

from ._data import Dense
from ._validation import Indices

# Rows that are copied at once, so that what is turned over stays in the cache.
ROWS = 4096


class CopiedColumns:
    """Some columns of the examples, in the order in which they came.

    What `data` returned before shares its memory with what it returns later, which has more of it.

    Attributes
    ----------
    columns : ndarray of intp
        Which they are.
    """

    def __init__(self, data: Dense) -> None:
        self._data = data
        self.columns: Indices = np.zeros(0, dtype=np.intp)
        self._lines = np.empty((0, data.n), dtype=data.X.dtype)

    def add(self, columns: Indices) -> None:
        """Copy some more."""
        count, data = len(self.columns), self._data
        total = count + len(columns)
        if total > len(self._lines):
            room = np.empty((min(2 * total, data.d), data.n), dtype=data.X.dtype)
            room[:count] = self._lines[:count]
            self._lines = room
        lines, X = self._lines[count:total], np.asarray(data.X)
        if X.flags.f_contiguous:
            # Indices are in range; where that is to be looked at, NumPy copies `out` twice.
            X.T.take(columns, axis=0, out=lines, mode="clip")
        else:
            for i in range(0, data.n, ROWS):
                lines[:, i : i + ROWS] = X[i : i + ROWS].take(columns, axis=1).T
        self.columns = np.concatenate((self.columns, columns))

    def data(self) -> Dense:
        """Return the examples with these columns; reads of them are counted apart."""
        data = self._data
        X = self._lines[: len(self.columns)].T
        return Dense(X, data.y, data.K, data.sample_weight, data.total, data.offset, data.threads)
