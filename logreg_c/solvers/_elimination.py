# SPDX-License-Identifier: BSD-3-Clause
r"""The whole Hessian of one-hot data, factored after the levels of one field are eliminated.

No row has two levels of a field, so their block E of the Hessian is diagonal, and with V the block
between them and the other columns

.. math::

    H = \begin{pmatrix} E & V \\ V' & B \end{pmatrix}, \qquad S = B - V' E^{-1} V,

only S, of the columns outside the field, has to be factored. V is sparse: a level has entries in
the columns of its own rows alone. Its lines, as rows of their own with a negative weight each, go
through the same Gram matrix as those of X.
"""

from __future__ import annotations

import math

import numpy as np

from .. import _kernels
from .._arrays import and_bias, diagonal_of, floored, hold_bias
from .._compressed import Compressed
from .._entries import scattered
from .._factor import Factor
from .._objective import Objective, Point
from .._sparse import margins
from .._validation import Floats
from ._price import price_of_factor, price_of_step
from .newton_cg import conjugate_gradients

# Columns outside the field that are factored, at most.
MOST_OTHERS = 5000
# Products with the Hessian that a bound may take: where making it anew takes long, a few conjugate
# gradients with it as it was leave little.
PRODUCTS = 16


class Elimination:
    """An inverse of the Hessian, for two classes, as it was at the point of the last `refresh`.

    Parameters
    ----------
    objective : Objective
        Over sparse data with one-hot fields.
    first, last : int
        The field whose levels are eliminated.
    """

    pays = math.inf

    def __init__(self, objective: Objective, first: int, last: int) -> None:
        self._objective = objective
        self._levels = slice(first, last)
        D = objective.D
        row, at, values = objective.sparse.triplets()
        values *= objective.scale[at]
        inside = (first <= at) & (at < last)
        # Each row's only entry in the field.
        self._level, self._value = at[inside] - first, values[inside]
        self._others = np.append(np.arange(first), np.arange(last, D - 1))
        k = len(self._others)
        place = np.full(D, -1)
        place[self._others] = np.arange(k)
        at, row, values = place[at[~inside]], row[~inside], values[~inside]
        if objective.fit_bias:
            ones = np.ones(objective.n)
            at = np.append(at, np.full(len(ones), k))
            row = np.append(row, np.arange(len(ones)))
            values = np.append(values, ones)
        # The entries of V, each a sum over rows with this level and this column.
        cell = self._level[row] * (k + 1) + at
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
        self._starts = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
        self._row, self._x = row[order], values[order]
        line, column = np.divmod(cell[self._starts], k + 1)
        indptr = np.searchsorted(line, np.arange(last - first + 1))
        self._shape = (last - first, k + 1)
        self._pattern = indptr, column.astype(np.int32)

    @staticmethod
    def largest(objective: Objective) -> tuple[int, int] | None:
        """Return the field to eliminate, None if too many columns are left."""
        fields = objective.sparse.fields
        if fields is None or objective.K > 1:
            return None
        f = int(np.argmax(fields.last - fields.first))
        first, last = int(fields.first[f]), int(fields.last[f])
        return (first, last) if objective.D - (last - first) <= MOST_OTHERS else None

    def refresh(self, point: Point) -> None:
        """Take the Hessian at a point."""
        objective, threads = self._objective, self._objective.data.threads
        h = objective.mean_curvature(point)
        entries = np.add.reduceat((h * self._value)[self._row] * self._x, self._starts)
        self._V = Compressed(*self._pattern, entries, self._shape, True, True)
        curved = np.bincount(self._level, h * self._value**2, self._shape[0])
        # A level without a penalty, of rows that are all sure of their labels, has nothing.
        self._E = floored(objective.quadratic[self._levels] + curved)
        self._factor = Factor(self._complement(h), threads)

    def _complement(self, h: Floats) -> Floats:
        """Return S."""
        objective, threads = self._objective, self._objective.data.threads
        m = self._shape[1]
        S = objective.head_gram(None, h, self._others)
        within = np.empty((m + 1, m + 1))
        places = np.arange(m, dtype=np.int32)
        _kernels.kernels.head_gram(self._V, None, -1.0 / self._E, places, within, threads)
        S += within[:-1, :-1]
        diagonal_of(S)[:] += objective.quadratic[and_bias(self._others, objective.D)]
        if not objective.fit_bias:
            hold_bias(S)
        return S

    def apply(self, g: Floats) -> Floats:
        """Return the inverse of the Hessian times g."""
        threads = self._objective.data.threads
        others = and_bias(self._others, self._objective.D)
        level = g[:, self._levels] / self._E
        out = np.empty_like(g)
        y = self._factor.solve(g[:, others] - scattered(self._V, level, threads)[:, :-1])
        out[:, others] = y
        moved = margins(self._V, np.append(y, [[0.0]], axis=1), None, threads)
        out[:, self._levels] = level - moved / self._E
        return out

    def grow(self, count: int) -> bool:
        """Return that there is no more to know."""
        return False

    def lower_bound(self, point: Point, gap: float) -> float:
        """Return the bound of a Newton step by conjugate gradients."""
        found = conjugate_gradients(self._objective, point, self.apply, 1e-8, gap, PRODUCTS)
        return found.lower


def price(objective: Objective, first: int, last: int) -> float:
    """Return how many iterations a `refresh` takes as long as, about."""
    return price_of_factor(objective.D - (last - first)) / price_of_step(objective)
