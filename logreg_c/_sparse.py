# SPDX-License-Identifier: BSD-3-Clause
"""The passes over a sparse X, by rows (CSR) or by columns (CSC).

Shapes are those of `_examples`. By columns X is its transpose by rows, whose two products change
places: what gathers the one way scatters the other. Columns are never centred, which would fill
them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._compressed import Compressed
from ._entries import Fields, one_hot_fields, scattered, transposed
from ._examples import Examples, Rows
from ._validation import Floats

_ENTRIES_AT_ONCE = 1_000_000


class Sparse(Examples):
    """A sparse X with its labels and weights."""

    X: Compressed
    halved = True
    _fields: list[Fields | None] | None = None
    _by_columns: Compressed | None = None

    def evaluate(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Return the averaged loss, the margins Z and the gradient. Reads X once."""
        if not self.X.by_rows:
            Z = self.margins(theta)
            loss, R = self.residuals(Z)
            return loss, Z, self.transpose_product(R)
        Z = np.empty((self.K, self.n))
        gradient = np.empty_like(theta)
        loss = _kernels.kernels.evaluate(
            self.X, self.y, self.sample_weight, self.total, self.offset, theta, Z, gradient,
            self.threads,
        )  # fmt: skip
        self.meter.add(self.n)
        return loss, Z, gradient

    def margins(self, theta: Floats, offset: bool = True) -> Floats:
        """Return XW' + b, and the offset if wanted. A gather of all entries."""
        used = self.offset if offset else None
        self.meter.add_half(self.n)
        if not self.X.by_rows:
            W = np.ascontiguousarray(theta[:, :-1])
            Z = scattered(self.X.T, W, self.threads)[:, :-1] + theta[:, -1:]
            return Z if used is None else Z + used
        return _gathered(self.X, theta, used, self.threads)

    def transpose_product(self, R: Floats) -> Floats:
        """Return R [X, 1]. A scatter of all entries."""
        self.meter.add_half(self.n)
        if not self.X.by_rows:
            sums = R.sum(axis=1, keepdims=True)
            columns = np.concatenate((R, np.zeros_like(sums)), axis=1)
            return np.concatenate((_gathered(self.X.T, columns, None, self.threads), sums), axis=1)
        return scattered(self.X, R, self.threads)

    def hessian_vector(self, a: Floats, v: Floats, U: Floats | None = None) -> Floats:
        """Return the averaged Hessian at predictions a times v, and fill U = XV'. Reads X once."""
        if not self.X.by_rows:
            margins = self.margins(v, offset=False)
            if U is not None:
                U[...] = margins
            return self.transpose_product(self.dual_step(a, margins)[2])
        out = np.empty_like(v)
        _kernels.kernels.hessian_vector(
            self.X, a, self.sample_weight, self.total, v, U, out, self.threads
        )
        self.meter.add(self.n)
        return out


    def diagonal(self, h: Floats) -> Floats:
        """Return sum_i h_ki v_ij^2 for v_i = [x_i, 1], (K', d + 1). A scatter of all entries."""
        self.meter.add_half(self.n)
        return scattered(self.X, h, self.threads, squared=True)

    @property
    def fields(self) -> Fields | None:
        """The one-hot fields of X, looked for once. X is as `_entries.examined` has it."""
        if self._fields is None:
            self._fields = [one_hot_fields(self.X, np.random.default_rng(0), self.threads)]
            self.meter.add_half(self.n)
        return self._fields[0]

    def evaluate_and_survey(
        self, theta: Floats, center: Floats, inverse: Floats
    ) -> tuple[float, Floats, Floats, Floats, Floats]:
        """As `evaluate`, and the Hessian's diagonal; leverages are not known. Reads X 1.5 times."""
        loss, Z, gradient = self.evaluate(theta)
        a = self.predictions(Z)
        h = a * (1.0 - a) / self.total
        if self.sample_weight is not None:
            h *= self.sample_weight
        return loss, Z, gradient, self.diagonal(h), np.zeros_like(Z)

    def head_gram(self, rows: Rows | None, h: Floats, columns: NDArray[np.intp]) -> Floats:
        """Return the Gram matrix of some columns, which rise, and of one of ones behind them.

        Over the rows (None: all), each with its weight h. X is as `_entries.examined` has it.
        """
        k = len(columns)
        place = np.full(self.d, -1, dtype=np.int32)
        place[columns] = np.arange(k, dtype=np.int32)
        out = np.empty((k + 1, k + 1))
        _kernels.kernels.head_gram(self.X, rows, h, place, out, self.threads)
        self.meter.add(self.n if rows is None else len(rows))
        return out

    @property
    def gram_work(self) -> float:
        """Multiplications of a Gram matrix, about; each is as slow as several of `Dense`."""
        return 10.0 * self.X.entries**2 / self.n

    def gram(self, h: Floats, center: Floats, scale: Floats) -> Floats:
        """Return sum_i h_qi v_i v_i' for each row q of h, v_i the scaled [x_i, 1]. As `Dense`."""
        columns, size = np.arange(self.d), np.append(scale, 1.0)
        grams = [self.head_gram(None, np.ascontiguousarray(row), columns) for row in h]
        return np.stack(grams) * size * size[:, None]

    def columns(self, columns: Rows) -> Sparse:
        """Copy some columns, which rise, of the same examples; their reads are counted apart."""
        if self._by_columns is None:
            self._by_columns = transposed(self.X, self.threads)
            self.meter.add(self.n)
        X = self._by_columns.lines(columns)
        return Sparse(
            transposed(X, self.threads), self.y, self.K, self.sample_weight, self.total,
            self.offset, self.threads,
        )  # fmt: skip

    def weighing(self, sample_weight: Floats | None, total: float) -> Sparse:
        """Return the same examples with other weights that add up to this total."""
        other = Sparse(
            self.X, self.y, self.K, sample_weight, total, self.offset, self.threads, self.meter
        )
        other._fields = self._fields
        return other


def _gathered(X: Compressed, theta: Floats, offset: Floats | None, threads: int) -> Floats:
    """Return XW' + b of an X by rows."""
    Z = np.empty((len(theta), X.shape[0]))
    _kernels.kernels.class_margins_of(X, theta, offset, Z, threads)
    return Z


def squared_deviations(X: Compressed, dz: Floats, share: Floats, center: Floats) -> Floats:
    """Return the d + 1 sums over rows of (share_i · (dz_i · [x_i, 1] - center))^2, X by rows.

    What the zeros of a column add, share_i^2 center^2 each, is known without visiting them. No
    entry of X may come twice.
    """
    d = X.shape[1]
    squares, covered, entries = np.zeros(d), np.zeros(d), np.zeros(d)
    begin = 0
    while begin < X.shape[0]:
        # As many rows as there are entries to take at once, and at least one.
        until = np.searchsorted(X.indptr, X.indptr[begin] + _ENTRIES_AT_ONCE, side="right") - 1
        rows = slice(begin, max(begin + 1, int(until)))
        begin = rows.stop
        lengths = np.diff(X.indptr[rows.start : rows.stop + 1])
        k = slice(X.indptr[rows.start], X.indptr[rows.stop])
        at = X.indices[k]
        x = 1.0 if X.data is None else X.data[k]
        p = np.repeat(share[rows], lengths)
        deviation = p * (np.repeat(dz[rows], lengths) * x - center[at])
        squares += np.bincount(at, deviation * deviation, d)
        covered += np.bincount(at, p * p, d)
        entries += np.bincount(at, p > 0.0, d)
    # A column without zeros has nothing left, which rounding would not say.
    zeros = np.where(entries < np.count_nonzero(share), np.sum(share * share) - covered, 0.0)
    squares += np.maximum(zeros, 0.0) * center[:d] ** 2
    return np.append(squares, np.sum((share * (dz - center[d])) ** 2))
