# SPDX-License-Identifier: BSD-3-Clause
"""The Hessian of sparse data by its heaviest columns and the diagonal of the others.

The *head* is the columns with the largest diagonal in the Hessian, a few hundred of which hold half
of all entries: their block of the Hessian is factored, of a sample of rows rescaled to the exact
diagonal. The *tail* is the diagonal of the others. Columns count from their means: as they are,
entries that are mostly of one sign couple all of them, and the bias, by the product of two means.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .._arrays import and_bias, diagonal_of, hold_bias, reciprocal
from .._factor import Factor
from .._objective import Objective
from .._sampling import spread_out
from .._validation import Floats, Indices
from ._expected import from_means

# Columns of a head that nothing tells more about.
HEAD_COLUMNS = 256
# Rows of the sample that its block comes from: this part of all, so many for each column, and so
# many anyway.
PART, ROWS, FEWEST = 0.1, 4, 10_000
# What is left of the diagonal, at least, of columns that are hardly more than their mean; and of a
# divisor where all rows are sure of their label.
LEAST, TINY = 1e-6, 1e-300


def rows_for(k: int, n: int, random: np.random.Generator) -> Indices | None:
    """Return the rows that the block of k columns comes from, None for all n."""
    m = max(int(PART * n), ROWS * k, FEWEST)
    if m > 0.7 * n:
        return None
    return spread_out(m, n, random)


class HeadAndTail:
    """The Hessian at a point without what couples its head to its tail, and these to each other.

    Parameters
    ----------
    objective : Objective
        Over sparse data.
    h : ndarray of shape (n,)
        The curvature of each row.
    k : int
        Columns of the head.
    rows : ndarray of intp, optional
        Those that the head's block comes from, rescaled to the exact diagonal.
    centred : bool
        Whether columns count from their means, if there is a bias.

    Attributes
    ----------
    h, diagonal : ndarray
        The curvatures, and the diagonal that they add up to.
    means : ndarray of shape (d,) or None
        What columns count from.
    """

    def __init__(
        self, objective: Objective, h: Floats, k: int, rows: Indices | None, centred: bool
    ) -> None:
        self._threads = objective.data.threads
        self.h = h
        diagonal = objective.mean_diagonal(h)
        self.means: Floats | None = None
        if centred and objective.fit_bias:
            total = max(diagonal[-1], TINY)
            self.means = means = objective.mean_column(h, diagonal)[:-1] / total
            squares = diagonal[:-1]
            np.maximum(squares - total * means * means, LEAST * squares, out=squares)
        self.diagonal = diagonal
        exact = diagonal + objective.quadratic
        d = objective.D - 1
        columns = np.arange(d)
        if k < d:
            columns = np.sort(np.argpartition(exact[:d], d - k)[d - k :])
        self.head = and_bias(columns, objective.D)
        weights = h if rows is None else h[rows] * (objective.n / len(rows))
        G = objective.head_gram(rows, weights, columns)
        if self.means is not None:
            G[:-1, :-1] -= np.outer(G[:-1, -1] / max(G[-1, -1], TINY), G[-1, :-1])
            G[-1, :-1] = G[:-1, -1] = 0.0
        if rows is not None or self.means is not None:
            found = np.diagonal(G)
            ratio = np.zeros_like(found)
            np.divide(diagonal[self.head], found, out=ratio, where=found > 0.0)
            root = np.sqrt(ratio)
            G *= root * root[:, None]
            diagonal_of(G)[:] = diagonal[self.head]
        diagonal_of(G)[:] += objective.quadratic[self.head]
        if not objective.fit_bias:
            hold_bias(G)
        self.G = G
        self.inverse = reciprocal(exact)

    @cached_property
    def _factor(self) -> Factor:
        return Factor(self.G, self._threads)

    def apply(self, g: Floats) -> Floats:
        """Return the inverse of the head's block, and the diagonal one of the tail, times g."""
        return from_means(self._split, self.means, g)

    def _split(self, g: Floats) -> Floats:
        out: Floats = self.inverse * g
        head = g[..., self.head]
        rows = [self._factor.solve(row) for row in np.atleast_2d(head)]
        out[..., self.head] = np.stack(rows).reshape(head.shape)
        return out
