# SPDX-License-Identifier: BSD-3-Clause
"""The passes over a sparse X, by rows (CSR) or by columns (CSC).

Shapes are those of `_examples`. By columns X is its transpose by rows, whose two products change
places: what gathers the one way scatters the other. Columns are never centred, which would fill
them.
"""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._compressed import Compressed
from ._data import Dense, Ranges, labelled
from ._entries import Fields, Tally, one_hot_fields, places_among, scattered, selected, transposed
from ._examples import Examples
from ._validation import Floats, Indices

_ENTRIES_AT_ONCE = 1_000_000
# By how many powers of two an entry is larger than those of its column on the average if it is not
# to count where columns are scaled.
FAR_OUT = 10.0
# This part of a column's entries, or more, are no errors in it, but what it is like.
MOST_OUT = 0.5
# Entries a row below which the loops over rows are too short: processors guess their ends wrong.
SHORT = 12


class Sparse(Examples):
    """A sparse X with its labels and weights."""

    X: Compressed
    halved = True
    _fields: list[Fields | None] | None = None
    _row_wise: Compressed | None = None
    tally: Tally | None = None  # of the columns, if X was looked at for it
    squares: float | None = None  # the sum of those of all entries, if it is known

    def evaluate(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Return the averaged loss, the margins Z and the gradient. Reads X once."""
        # Where most fits start there is nothing to gather.
        nothing = self.X.by_rows and not theta[:, :-1].any()
        if nothing or not self.X.by_rows:
            Z = self.bias_margins(theta[:, -1]) if nothing else self.margins(theta)
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
        self.meter.add_half(self.n)
        return margins(self.X, theta, self.offset if offset else None, self.threads)

    def transpose_product(self, R: Floats) -> Floats:
        """Return R [X, 1]. A scatter of all entries, by columns a gather."""
        self.meter.add_half(self.n)
        if self.X.by_rows:
            return scattered(self.X, R, self.threads)
        return _pulled(self.X, R, self.threads)

    def hessian_vector(self, a: Floats, v: Floats, U: Floats | None = None) -> Floats:
        """Return the averaged Hessian at predictions a times v, and fill U = XV'. Reads X once."""
        if not self.X.by_rows:
            margins = self.margins(v, offset=False)
            if U is not None:
                U[...] = margins
            return self.transpose_product(self.turned(a, margins))
        out = np.empty_like(v)
        _kernels.kernels.hessian_vector(
            self.X, a, self.sample_weight, self.total, v, U, out, self.threads
        )
        self.meter.add(self.n)
        return out

    def diagonal(self, h: Floats) -> Floats:
        """Return sum_i h_ki v_ij^2 for v_i = [x_i, 1], (K', d + 1). Half a pass.

        Or none where a fit starts, with ones in rows that all count the same: they are counted.
        """
        if self.X.data is None and self.tally is not None and (h == h[:, :1]).all():
            counted: Floats = h[:, :1] * np.append(self.tally.counts, self.n)
            return counted
        self.meter.add_half(self.n)
        if self.X.by_rows:
            return scattered(self.X, h, self.threads, squared=True)
        return _pulled(self.X.squared(), h, self.threads)

    @property
    def fields(self) -> Fields | None:
        """The one-hot fields of X, looked for once. X is as `_entries.examined` has it."""
        if self._fields is None:
            read = self.meter.add_half
            self._fields = [one_hot_fields(self.X, self.tally, self.threads, read)]
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

    def head_gram(self, rows: Indices | None, h: Floats, columns: Indices) -> Floats:
        """Return the Gram matrix of some columns, which rise, and of one of ones behind them.

        Over the rows (None: all), each with its weight h. X is as `_entries.examined` or `columns`
        has it.
        """
        k = len(columns)
        place = places_among(columns, self.d)
        out = np.empty((k + 1, k + 1))
        _kernels.kernels.head_gram(self.row_wise, rows, h, place, out, self.threads)
        self.meter.add(self.n if rows is None else len(rows))
        return out

    def gram_rows(self, h: Floats, columns: Indices) -> Floats:
        """Return sum_i h_i x_ij [x_i, 1] for some columns j, which rise, (k, d + 1).

        Reads X to find them, and then the rows that they have an entry in.
        """
        self.meter.add_half(self.n)
        lines = transposed(selected(self.row_wise, columns, self.threads), self.threads)
        rows = lines.indices.astype(np.intp)
        r = h[rows] if lines.data is None else h[rows] * lines.data
        out = np.zeros((len(columns), self.d + 1))
        starts = lines.indptr.astype(np.intp)
        _kernels.kernels.row_sums(self.row_wise, starts, rows, r, out, self.threads)
        return out

    @property
    def size(self) -> int:
        """Entries of X."""
        return self.X.entries

    @property
    def gram_work(self) -> float:
        """What a Gram matrix costs, in multiplications of `Dense.gram`, about."""
        return self._gram_work(self.X.entries, self.d)

    def gram_work_of(self, columns: Indices) -> float:
        """As `gram_work`, of some columns."""
        return self._gram_work(float(self.column_entries[columns].sum()), len(columns))

    def _gram_work(self, entries: float, columns: int) -> float:
        # The larger the matrix the further away is what each pair of entries adds to.
        pair = 20.0 + 0.07 * columns
        return pair * entries**2 / self.n + 150.0 * (columns + 1.0) ** 2

    @cached_property
    def column_entries(self) -> Indices:
        """How many entries each column has, (d,)."""
        if self.tally is not None:
            return self.tally.counts.astype(np.intp)
        if not self.X.by_rows:
            return np.diff(self.X.indptr).astype(np.intp)
        return np.bincount(self.X.indices[: self.X.entries], minlength=self.d)

    def gram(self, h: Floats, center: Floats, scale: Floats) -> Floats:
        """Return sum_i h_qi v_i v_i' for each row q of h, v_i the scaled [x_i, 1]. As `Dense`."""
        columns, size = np.arange(self.d), np.append(scale, 1.0)
        grams = [self.head_gram(None, np.ascontiguousarray(row), columns) for row in h]
        out = grams[0][None] if len(grams) == 1 else np.stack(grams)
        if not (scale == 1.0).all():
            out *= size
            out *= size[:, None]
        return out

    def gram_of(self, rows: Indices, h: Floats, center: Floats, scale: Floats) -> Floats:
        """As `gram`, of some rows with a weight each."""
        return self.take(rows, np.ones(len(rows)), center, scale).gram(h, center, np.ones(self.d))

    def group_grams(
        self, rows: Indices, starts: Indices, h: Floats, center: Floats, scale: Floats
    ) -> Floats:
        """As `gram_of`, of the groups of rows from starts[k] up to starts[k + 1] in `rows`."""
        groups = [slice(*pair) for pair in pairwise(starts)]
        return np.concatenate([self.gram_of(rows[k], h[None, k], center, scale) for k in groups])

    def rows(self, rows: Indices) -> Floats:
        """Return some rows as a dense array."""
        X = self.row_wise
        first, lengths = X.indptr[rows], np.diff(X.indptr)[rows]
        ends = np.cumsum(lengths)
        at = np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - (ends - lengths), lengths)
        out = np.zeros((len(rows), self.d))
        lines = np.repeat(np.arange(len(rows)), lengths)
        out[lines, X.indices[at]] = 1.0 if X.data is None else X.data[at]
        self.meter.add(len(rows))
        return out

    def take(self, rows: Indices, weight: Floats, center: Floats, scale: Floats) -> Dense:
        """Copy rows as `Dense.take` does: they are few, and columns not very many."""
        X = (self.rows(rows) - center) * scale
        return labelled(X, self, rows, weight)

    def triplets(self) -> tuple[Indices, Indices, Floats]:
        """Copy the row, the column and the value of each entry, row by row."""
        X = self.row_wise
        row = np.repeat(np.arange(self.n), np.diff(X.indptr))
        values = np.ones(X.entries) if X.data is None else X.data[: X.entries].astype(np.float64)
        return row, X.indices[: X.entries].astype(np.int64), values

    @property
    def row_length(self) -> float:
        """The root mean square of rows' lengths, or more if they have weights."""
        X, s = self.X, self.sample_weight
        if X.data is None:
            self.squares = float(X.entries)
        elif self.squares is None:
            x = X.data[: X.entries]
            self.squares = float(np.einsum("i,i->", x, x, dtype=np.float64))
        most = 1.0 if s is None else float(s.max())
        return math.sqrt(self.squares * most / self.total)

    def root_mean_squares(self) -> tuple[Floats, Floats | None]:
        """Return the root mean square of each column, (d,); nothing overflows on the way.

        Without entries that are a thousand times as large as most in their column, whose mean size
        over all rows comes second, None if there are none.
        """
        X, d = self.X, self.d
        share = np.repeat(np.ones(self.n) * self.shares(), np.diff(X.indptr))
        if X.data is None:
            return np.sqrt(np.bincount(X.indices, share, d)), None
        values = np.abs(X.data).astype(np.float64)
        used = (values > 0.0) & (share > 0.0)
        exponents = np.frexp(values)[1]
        count = np.bincount(X.indices, used, d)
        typical = np.bincount(X.indices, exponents * used, d) / np.maximum(count, 1.0)
        out = exponents > typical[X.indices] + FAR_OUT
        out &= (np.bincount(X.indices, out, d) < MOST_OUT * count)[X.indices]
        outlying = None
        if out.any():
            outlying = np.asarray(np.bincount(X.indices, share * values * out, d), np.float64)
        share[out] = 0.0
        size = np.zeros(d)
        np.maximum.at(size, X.indices[share > 0.0], values[share > 0.0])
        values /= np.where(size > 0.0, size, 1.0)[X.indices]
        return size * np.sqrt(np.bincount(X.indices, share * values**2, d)), outlying

    def ranges(self, groups: NDArray[np.int32], count: int) -> Ranges:
        """Return the ranges of the columns in groups 0 to count - 1 of the rows, zeros included."""
        X, d = self.row_wise, self.d
        group = np.repeat(groups, np.diff(X.indptr))
        line = np.repeat(np.arange(self.n), np.diff(X.indptr))
        used = np.flatnonzero(group >= 0)
        place = group[used].astype(np.intp) * d + X.indices[used]
        values = np.ones(len(used)) if X.data is None else X.data[used].astype(np.float64)
        low, high = np.full(count * d, np.inf), np.full(count * d, -np.inf)
        np.minimum.at(low, place, values)
        np.maximum.at(high, place, values)
        extremes = np.full((2, count * d), -1)
        for row, ends in zip(extremes, (low, high), strict=True):
            hit = values == ends[place]
            row[place[hit]] = line[used[hit]]
        sizes = np.bincount(groups[groups >= 0], minlength=count)
        absent = np.bincount(place, minlength=count * d) < np.repeat(sizes, d)
        low[absent] = np.minimum(low[absent], 0.0)
        high[absent] = np.maximum(high[absent], 0.0)
        self.meter.add_half(self.n)
        rows = np.unique(extremes[extremes >= 0]).astype(np.intp)
        return Ranges(low.reshape(count, d), high.reshape(count, d), rows)

    @property
    def row_wise(self) -> Compressed:
        """X by rows, turned over once if it is not."""
        if self.X.by_rows:
            return self.X
        if self._row_wise is None:
            self._row_wise = transposed(self.X, self.threads)
        return self._row_wise

    def columns(self, columns: Indices) -> Sparse:
        """Copy some columns, which rise, of the same examples; their reads are counted apart.

        Where rows are left with few entries each the copy is by columns, whose loops are longer.
        """
        X = selected(self.row_wise, columns, self.threads)
        self.meter.add_half(self.n)
        other = Sparse(X, self.y, self.K, self.sample_weight, self.total, self.offset, self.threads)
        if X.entries < SHORT * self.n:
            other.X, other._row_wise = transposed(X, self.threads), X
        return other

    def weighing(self, sample_weight: Floats | None, total: float) -> Sparse:
        """Return the same examples with other weights that add up to this total."""
        other = Sparse(
            self.X, self.y, self.K, sample_weight, total, self.offset, self.threads, self.meter
        )
        other._fields, other.tally, other.squares = self._fields, self.tally, self.squares
        return other


def margins(X: Compressed, theta: Floats, offset: Floats | None, threads: int) -> Floats:
    """Return XW' + b, and the offset if there is one, (K, n)."""
    if X.by_rows:
        return _gathered(X, theta, offset, threads)
    W = np.ascontiguousarray(theta[:, :-1])
    Z = scattered(X.T, W, threads)[:, :-1] + theta[:, -1:]
    return Z if offset is None else Z + offset


def _pulled(X: Compressed, R: Floats, threads: int) -> Floats:
    """Return R [X, 1] of an X by columns."""
    sums = R.sum(axis=1, keepdims=True)
    rows = np.concatenate((R, np.zeros_like(sums)), axis=1)
    return np.concatenate((_gathered(X.T, rows, None, threads), sums), axis=1)


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
