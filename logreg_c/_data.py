# SPDX-License-Identifier: BSD-3-Clause
"""Examples and the passes over them; they know nothing of penalties, scaling or solvers.

Margins, predictions and residuals are arrays (K, n), weights and gradients (K, d + 1) with the
bias last, where K is 1 for two classes (the link is the sigmoid) and else the number of classes
(softmax). Only the passes named in `reads` read X.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._validation import Floats

Rows = NDArray[np.intp]


class Meter:
    """Counts passes over X: reads of all of it.

    With several classes arithmetic takes longer than reading; a pass is then a product with X and
    one with X', and either alone is half of it.
    """

    def __init__(self, n: int, classes: int) -> None:
        self._n = n
        self._half = 2 if classes == 1 else 1
        self._half_rows = 0  # counted, so that no rounding adds up

    @property
    def reads(self) -> float:
        """How many passes there were."""
        return self._half_rows / (2 * self._n)

    def add(self, rows: int) -> None:
        """Count a pass over so many rows."""
        self._half_rows += 2 * rows

    def add_half(self, rows: int) -> None:
        """Count a product with X or X' alone."""
        self._half_rows += self._half * rows


class Ranges(NamedTuple):
    """The smallest and largest entries of columns in groups of rows, each (groups, d).

    A group without rows has inf and -inf. `rows` are the rows where they are.
    """

    low: Floats
    high: Floats
    rows: Rows


class Dense:
    """A dense X with its labels and weights.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        As `_validation.as_examples` returns it.
    y : ndarray
        For two classes float64 (1, n), what a should be; for K classes int32 (n,), the classes,
        or float64 (K, n), their probabilities.
    classes : int
        The K of all shapes: 1 or the number of classes.
    sample_weight : ndarray of shape (n,) or None
        Their sum is `total`; an example's share of the averages is its weight over that.
    offset : ndarray of shape (K, n) or None
        Added to the margins.
    """

    def __init__(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        classes: int,
        sample_weight: Floats | None,
        total: float,
        offset: Floats | None,
        threads: int,
        meter: Meter | None = None,
    ) -> None:
        self.X = X
        self.y = y
        self.K = classes
        self.n: int = X.shape[0]
        self.d: int = X.shape[1]
        self.sample_weight = sample_weight
        self.total = total
        self.offset = offset
        self.threads = threads
        self.meter = Meter(self.n, classes) if meter is None else meter

    def evaluate(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Return the averaged loss, the margins Z and the gradient. Reads X once."""
        Z = np.empty((self.K, self.n))
        gradient = np.empty_like(theta)
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
        gradient = np.empty_like(theta)
        diagonal = np.empty_like(theta)
        leverage = np.empty((self.K, self.n))
        loss = _kernels.kernels.evaluate_and_survey(
            self.X, self.y, self.sample_weight, self.total, self.offset, theta, center, inverse,
            Z, gradient, diagonal, leverage, self.threads,
        )  # fmt: skip
        self.meter.add(self.n)
        return loss, Z, gradient, diagonal, leverage

    def margins(self, theta: Floats, offset: bool = True) -> Floats:
        """Return XW' + b, and the offset if wanted. Reads X once."""
        Z = np.empty((self.K, self.n))
        used = self.offset if offset else None
        _kernels.kernels.class_margins_of(self.X, theta, used, Z, self.threads)
        self.meter.add_half(self.n)
        return Z

    def transpose_product(self, R: Floats) -> Floats:
        """Return R [X, 1]. Reads X once."""
        out = np.empty((self.K, self.d + 1))
        _kernels.kernels.class_transpose_product(self.X, R, out, self.threads)
        self.meter.add_half(self.n)
        return out

    def hessian_vector(self, a: Floats, v: Floats, U: Floats | None = None) -> Floats:
        """Return the averaged Hessian at predictions a times v, and fill U = XV'. Reads X once."""
        out = np.empty_like(v)
        _kernels.kernels.hessian_vector(
            self.X, a, self.sample_weight, self.total, v, U, out, self.threads
        )
        self.meter.add(self.n)
        return out

    def gram(self, h: Floats, center: Floats, scale: Floats) -> Floats:
        """Return sum_i h_qi v_i v_i' for each row q of h, v_i the centred, scaled [x_i, 1]."""
        D = self.d + 1
        out = np.empty((h.shape[0], D, D))
        _kernels.kernels.gram(self.X, None, h, center, scale, out, self.threads)
        self.meter.add(self.n)
        return out

    def gram_of(self, rows: Rows, h: Floats, center: Floats, scale: Floats) -> Floats:
        """As `gram`, of some rows with a weight each."""
        D = self.d + 1
        out = np.empty((h.shape[0], D, D))
        _kernels.kernels.gram(self.X, rows, h, center, scale, out, self.threads)
        self.meter.add(len(rows))
        return out

    def ranges(self, groups: NDArray[np.int32], count: int) -> Ranges:
        """Return the ranges of the columns in groups 0 to count - 1 of the rows. Reads X once."""
        out = np.empty((count, 4, self.d))
        _kernels.kernels.column_ranges(self.X, groups, out, self.threads)
        self.meter.add_half(self.n)
        rows = np.concatenate((out[:, 1], out[:, 3]))
        return Ranges(-out[:, 2], out[:, 0], np.unique(rows[rows >= 0.0]).astype(np.intp))

    def take(self, rows: Rows, weight: Floats, center: Floats, scale: Floats) -> Dense:
        """Copy rows, centred and scaled, as examples that share this total and this meter.

        An example's weight is multiplied by its entry of `weight`, what it stands for.
        """
        m = len(rows)
        X = np.empty((m, self.d))
        _kernels.kernels.take(self.X, rows, center, scale, X, self.threads)
        self.meter.add(m)
        weights = weight if self.sample_weight is None else weight * self.sample_weight[rows]
        offset = None if self.offset is None else np.ascontiguousarray(self.offset[:, rows])
        y = np.ascontiguousarray(self.y[..., rows])
        return Dense(X, y, self.K, weights, self.total, offset, self.threads, self.meter)

    def columns(self, columns: Rows) -> Dense:
        """Copy some columns of the same examples; reads of them are counted apart."""
        order: Any = "C" if self.X.flags.c_contiguous else "F"
        X = np.array(self.X[:, columns], order=order)
        return Dense(X, self.y, self.K, self.sample_weight, self.total, self.offset, self.threads)

    def weighing(self, sample_weight: Floats | None) -> Dense:
        """Return the same examples with other weights, over the same total."""
        return Dense(
            self.X, self.y, self.K, sample_weight, self.total, self.offset, self.threads, self.meter
        )

    # The rest looks at margins alone.

    def predictions(self, Z: Floats) -> Floats:
        """Return the predictions a at margins Z."""
        a = np.empty_like(Z)
        _kernels.kernels.predictions(Z, a, self.threads)
        return a

    def residuals(self, Z: Floats) -> tuple[float, Floats]:
        """Return the averaged loss at margins Z, and share · (a - y)."""
        R = np.empty_like(Z)
        loss = _kernels.kernels.residuals(
            self.y, self.sample_weight, self.total, Z, R, self.threads
        )
        return loss, R

    def search(self, Z: Floats, U: Floats, step: float) -> tuple[float, float, float]:
        """Return the averaged loss at Z + step · U and its two derivatives by step."""
        return _kernels.kernels.search(
            self.y, self.sample_weight, self.total, Z, U, step, self.threads
        )

    def curvatures(self, a: Floats) -> Floats:
        """Return the weights of the Grams that make the Hessian, one row per pair of classes."""
        out = np.empty((self.K * (self.K + 1) // 2, a.shape[1]))
        _kernels.kernels.curvatures(a, self.sample_weight, self.total, out, self.threads)
        return out

    def dual_step(self, a: Floats, U: Floats) -> tuple[float, float, Floats]:
        """Move a along the margins U to first order: the divergence, how many left [0, 1], move."""
        change = np.empty_like(U)
        divergence, outside = _kernels.kernels.dual_step(
            a, self.sample_weight, self.total, U, change, self.threads
        )
        return divergence, outside, change
