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
from ._entries import Fields, one_hot_fields, scattered
from ._examples import Examples, Rows
from ._validation import Floats


class Sparse(Examples):
    """A sparse X with its labels and weights."""

    X: Compressed
    halved = True
    _fields: list[Fields | None] | None = None

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

    def gram(self, h: Floats, center: Floats, scale: Floats) -> Floats:
        """Return sum_i h_qi v_i v_i' for each row q of h, v_i the scaled [x_i, 1]. As `Dense`."""
        columns, size = np.arange(self.d), np.append(scale, 1.0)
        grams = [self.head_gram(None, np.ascontiguousarray(row), columns) for row in h]
        return np.stack(grams) * size * size[:, None]

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
