# SPDX-License-Identifier: BSD-3-Clause
"""The passes over a sparse X, by rows (CSR) or by columns (CSC).

Shapes are those of `_examples`. By columns X is its transpose by rows, whose two products change
places: what gathers the one way scatters the other. Columns are never centred, which would fill
them.
"""

from __future__ import annotations

import numpy as np

from . import _kernels
from ._compressed import Compressed
from ._examples import Examples
from ._validation import Floats


class Sparse(Examples):
    """A sparse X with its labels and weights."""

    X: Compressed

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
            Z = _scattered(self.X.T, W, self.threads)[:, :-1] + theta[:, -1:]
            return Z if used is None else Z + used
        return _gathered(self.X, theta, used, self.threads)

    def transpose_product(self, R: Floats) -> Floats:
        """Return R [X, 1]. A scatter of all entries."""
        self.meter.add_half(self.n)
        if not self.X.by_rows:
            sums = R.sum(axis=1, keepdims=True)
            columns = np.concatenate((R, np.zeros_like(sums)), axis=1)
            return np.concatenate((_gathered(self.X.T, columns, None, self.threads), sums), axis=1)
        return _scattered(self.X, R, self.threads)

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


def _gathered(X: Compressed, theta: Floats, offset: Floats | None, threads: int) -> Floats:
    """Return XW' + b of an X by rows."""
    Z = np.empty((len(theta), X.shape[0]))
    _kernels.kernels.class_margins_of(X, theta, offset, Z, threads)
    return Z


def _scattered(X: Compressed, R: Floats, threads: int) -> Floats:
    """Return R [X, 1] of an X by rows."""
    out = np.empty((len(R), X.shape[1] + 1))
    _kernels.kernels.class_transpose_product(X, R, out, threads)
    return out
