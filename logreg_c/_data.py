# SPDX-License-Identifier: BSD-3-Clause
"""The passes over a dense X; they know nothing of penalties, scaling or solvers.

Shapes are those of `_examples`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._examples import Examples
from ._validation import Floats, Indices

# Columns that are centred and copied together.
SLAB = 2048


class Ranges(NamedTuple):
    """The smallest and largest entries of columns in groups of rows, each (groups, d).

    A group without rows has inf and -inf. `rows` are the rows where they are.
    """

    low: Floats
    high: Floats
    rows: Indices


class Dense(Examples):
    """A dense X with its labels and weights, by rows or by columns."""

    X: NDArray[Any]

    def evaluate(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Return the averaged loss, the margins Z and the gradient. Reads X once."""
        Z = np.empty((self.K, self.n))
        gradient = np.empty(theta.shape)
        loss = _kernels.kernels.evaluate(
            self.X, self.y, self.sample_weight, self.total, self.offset, theta, Z, gradient,
            self.threads,
        )  # fmt: skip
        self.meter.add(self.n)
        return loss, Z, gradient

    def evaluate_and_survey(
        self, theta: Floats, center: Floats, inverse: Floats
    ) -> tuple[float, Floats, Floats, Floats, Floats]:
        """As `evaluate`, and the Hessian's diagonal for centred columns, and leverages (K, n).

        Row i's leverage for class k is a (1 - a) times the sum over columns of
        inverse · (centred entry)^2, a column of ones included. Reads X once.
        """
        Z = np.empty((self.K, self.n))
        gradient = np.empty(theta.shape)
        diagonal = np.empty(theta.shape)
        leverage = np.empty((self.K, self.n))
        loss = _kernels.kernels.evaluate_and_survey(
            self.X, self.y, self.sample_weight, self.total, self.offset, theta, center, inverse,
            Z, gradient, diagonal, leverage, self.threads,
        )  # fmt: skip
        self.meter.add(self.n)
        return loss, Z, gradient, diagonal, leverage

    def margins(self, theta: Floats, offset: bool = True) -> Floats:
        """Return XW' + b, and the offset if wanted. Reads X once."""
        Z = np.empty((len(theta), self.n))
        used = self.offset if offset else None
        _kernels.kernels.class_margins_of(self.X, theta, used, Z, self.threads)
        self.meter.add_half(self.n)
        return Z

    def piece_margins(self, theta: Floats, ends: Indices, out: Floats) -> None:
        """Fill out (groups, K, n) with X_g W_g' + b_g for columns from ends[g] to ends[g + 1].

        theta (K, d + groups) has each group's weights and then its bias. Reads X once.
        """
        _kernels.kernels.piece_margins(self.X, theta, ends, out, self.threads)
        self.meter.add_half(self.n)

    def transpose_product(self, R: Floats) -> Floats:
        """Return R [X, 1]. Reads X once."""
        out = np.empty((len(R), self.d + 1))
        _kernels.kernels.class_transpose_product(self.X, R, out, self.threads)
        self.meter.add_half(self.n)
        return out

    def hessian_vector(self, a: Floats, v: Floats, U: Floats | None = None) -> Floats:
        """Return the averaged Hessian at predictions a times v, and fill U = XV'. Reads X once."""
        out = np.empty(v.shape)
        _kernels.kernels.hessian_vector(
            self.X, a, self.sample_weight, self.total, v, U, out, self.threads
        )
        self.meter.add(self.n)
        return out

    @property
    def size(self) -> int:
        """Entries of X."""
        return int(self.X.size)

    @property
    def is_double(self) -> bool:
        """Whether X is float64."""
        return self.X.dtype == np.float64

    def rarely_other(self, times: int) -> NDArray[np.bool_]:
        """Tell which columns take another value than their usual one in fewer than so many rows.

        What is not rare in some of the rows is not rare in all of them.
        """
        rare = np.ones(self.d, dtype=bool)
        for part in (self.X[: 64 * times], self.X):
            columns = np.flatnonzero(rare)
            if columns.size:
                narrow = part[:, columns]
                some = (0, self.n // 3 % len(narrow), -1)
                counts = [(narrow != narrow[i]).sum(axis=0) for i in some]
                rare[columns] = np.minimum.reduce(counts) < times
        return rare

    @property
    def gram_work(self) -> float:
        """What a Gram matrix costs, in multiplications."""
        return self.n * (self.d + 1.0) ** 2

    def gram(self, h: Floats, center: Floats, scale: Floats) -> Floats:
        """Return sum_i h_qi v_i v_i' for each row q of h, v_i the centred, scaled [x_i, 1]."""
        D = self.d + 1
        out = np.empty((h.shape[0], D, D))
        _kernels.kernels.gram(self.X, None, h, center, scale, out, self.threads)
        self.meter.add(self.n)
        return out

    def gram_of(self, rows: Indices, h: Floats, center: Floats, scale: Floats) -> Floats:
        """As `gram`, of some rows with a weight each."""
        D = self.d + 1
        out = np.empty((h.shape[0], D, D))
        _kernels.kernels.gram(self.X, rows, h, center, scale, out, self.threads)
        self.meter.add(len(rows))
        return out

    def group_grams(
        self, rows: Indices, starts: Indices, h: Floats, center: Floats, scale: Floats
    ) -> Floats:
        """As `gram_of`, of the groups of rows from starts[k] up to starts[k + 1] in `rows`."""
        D = self.d + 1
        out = np.empty((len(starts) - 1, D, D))
        _kernels.kernels.group_grams(self.X, rows, starts, h, center, scale, out, self.threads)
        self.meter.add(len(rows))
        return out

    def block_grams(
        self,
        rows: Indices,
        h: Floats,
        center: Floats,
        scale: Floats,
        ends: Indices,
        which: Indices,
        out: Floats,
    ) -> None:
        """As `gram_of`, of neighbouring columns without that of ones.

        Those from ends[k] up to ends[k + 1] are left at the beginning of out[k], for k of `which`.
        """
        _kernels.kernels.block_grams(self.X, rows, h, center, scale, ends, which, out, self.threads)
        self.meter.add(int(len(rows) * np.diff(ends)[which].sum()) // self.d)

    def ranges(self, groups: NDArray[np.int32], count: int) -> Ranges:
        """Return the ranges of the columns in groups 0 to count - 1 of the rows. Reads X once."""
        out = np.empty((count, 4, self.d))
        _kernels.kernels.column_ranges(self.X, groups, out, self.threads)
        self.meter.add_half(self.n)
        rows = np.concatenate((out[:, 1], out[:, 3]))
        return Ranges(-out[:, 2], out[:, 0], np.unique(rows[rows >= 0.0]).astype(np.intp))

    def rows(self, rows: Indices) -> Floats:
        """Return some rows as they are, as float64. Counts them as read."""
        self.meter.add(len(rows))
        return np.asarray(self.X[rows], dtype=np.float64)

    def take(self, rows: Indices, weight: Floats, center: Floats, scale: Floats) -> Dense:
        """Copy rows, centred and scaled, as examples that share this total and this meter.

        An example's weight is multiplied by its entry of `weight`, what it stands for.
        """
        m = len(rows)
        X = np.empty((m, self.d))
        _kernels.kernels.take(self.X, rows, center, scale, X, self.threads)
        self.meter.add(m)
        return labelled(X, self, rows, weight)

    def rounded(self, center: Floats, scale: Floats) -> Dense:
        """Copy X, of float64, centred and scaled, as float32 by rows.

        Reads of the copy count as those of X.
        """
        X = np.empty(self.X.shape, dtype=np.float32)
        _kernels.kernels.rounded(self.X, center, scale, X, self.threads)
        self.meter.add(self.n)
        return Dense(
            X, self.y, self.K, self.sample_weight, self.total, self.offset, self.threads, self.meter
        )

    def columns(self, columns: Indices) -> Dense:
        """Copy some columns of the same examples; reads of them are counted apart."""
        # In X's own layout at once: of rows, X[:, columns] is turned over, and back in six times
        # as long.
        X = np.asarray(self.X)
        X = X.take(columns, axis=1) if X.flags.c_contiguous else X.T.take(columns, axis=0).T
        return Dense(X, self.y, self.K, self.sample_weight, self.total, self.offset, self.threads)

    def lines(self, columns: Indices, center: Floats, scale: Floats) -> Floats:
        """Return some columns, centred and scaled, each as a row."""
        lines = np.empty((len(columns), self.n))
        np.subtract(np.asarray(self.X)[:, columns].T, center[columns, None], out=lines)
        lines *= scale[columns, None]
        self.meter.add(self.n * len(columns) // self.d)
        return lines

    def row_gram(self, center: Floats) -> Floats:
        """Return X_c X_c', (n, n), the columns centred. Reads X once."""
        n = self.n
        total, part = np.zeros((n, n)), np.empty((1, n + 1, n + 1))
        for j in range(0, self.d, SLAB):
            # A copy by rows, which is its own transpose by columns.
            slab = self.X[:, j : j + SLAB].astype(np.float64, order="C")
            slab -= center[j : j + SLAB]
            ones = np.ones((1, slab.shape[1]))
            _kernels.kernels.gram(slab.T, None, ones, np.zeros(n), np.ones(n), part, self.threads)
            total += part[0, :n, :n]
        self.meter.add(n)
        return total

    def weighing(self, sample_weight: Floats | None, total: float) -> Dense:
        """Return the same examples with other weights, over this total."""
        return Dense(
            self.X, self.y, self.K, sample_weight, total, self.offset, self.threads, self.meter
        )


def labelled(X: Floats, data: Examples, rows: Indices, weight: Floats) -> Dense:
    """Return copied rows with their labels, weights and offsets, which share total and meter."""
    weights = weight if data.sample_weight is None else weight * data.sample_weight[rows]
    offset = None if data.offset is None else np.ascontiguousarray(data.offset[:, rows])
    y = np.ascontiguousarray(data.y[..., rows])
    return Dense(X, y, data.K, weights, data.total, offset, data.threads, data.meter)
