# SPDX-License-Identifier: BSD-3-Clause
"""Labelled examples without their X: margins, links and shares, whatever the layout of X is.

Margins, predictions and residuals are arrays (K, n), weights and gradients (K, d + 1) with the
bias last, where K is 1 for two classes (the link is the sigmoid) and else the number of classes
(softmax). Nothing here reads X; `_data` and `_sparse` do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._names import Names
from ._validation import Floats, Indices


class Meter:
    """Counts passes over X: reads of all of it.

    With several classes, or a sparse X, arithmetic takes longer than reading; a pass is then a
    product with X and one with X', and either alone is half of it.
    """

    def __init__(self, n: int, halved: bool) -> None:
        self._n = n
        self._half = 1 if halved else 2
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


class Examples:
    """Labels and weights, and what can be said of margins alone.

    Parameters
    ----------
    X : ndarray or Compressed of shape (n, d)
        As `_validation.as_examples` returns it. Only its shape matters here.
    y : ndarray
        For two classes (1, n), what a should be; for K classes int32 (n,), the classes,
        or float64 (K, n), their probabilities.
    classes : int
        The K of all shapes: 1 or the number of classes.
    sample_weight : ndarray of shape (n,) or None
        Their sum is `total`; an example's share of the averages is its weight over that.
    offset : ndarray of shape (K, n) or None
        Added to the margins.

    Attributes
    ----------
    names : Names
        What columns and classes are called.
    outlying : ndarray of shape (d,) or None
        How large entries are that are far out: `Coordinates`.
    class_sums : tuple of ndarray or None
        Of the columns as they are, if `Objective.class_sums` has asked.
    """

    names = Names()
    outlying: Floats | None = None
    class_sums: tuple[Floats, Floats] | None = None
    halved = False  # whether a product with X alone is half a pass even with two classes
    _offset_size: float | None = None

    def __init__(
        self,
        X: Any,
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
        self.meter = Meter(self.n, classes > 1 or self.halved) if meter is None else meter

    @property
    def offset_size(self) -> float:
        """The size of the largest offset, 0 without any. Computed once."""
        if self._offset_size is None:
            self._offset_size = 0.0 if self.offset is None else float(np.abs(self.offset).max())
        return self._offset_size

    def shares(self, rows: Indices | None = None) -> Floats | float:
        """Return what examples count in an average, all or some; one number if all are alike."""
        s = self.sample_weight
        if s is None:
            return 1.0 / self.total
        return (s if rows is None else s[rows]) / self.total

    def class_shares(self) -> tuple[Floats, Floats]:
        """Return share · y for each class, (classes, n), and what offsets are averaged so.

        The latter is (classes, classes); of two classes the first has an offset of zero.
        """
        shares, K = self.shares(), max(self.K, 2)
        if self.K == 1:
            Y = np.concatenate((1.0 - self.y, self.y))
        elif self.y.ndim == 1:
            Y = (np.arange(K)[:, None] == self.y).astype(np.float64)
        else:
            Y = self.y.astype(np.float64)
        Y *= shares
        offsets = np.zeros((K, K))
        if self.offset is not None:
            offsets[:, K - self.K :] = np.einsum("cn,kn->ck", Y, self.offset)
        return Y, offsets

    def bias_margins(self, b: Floats) -> Floats:
        """Return the margins where all weights are zero."""
        Z = np.repeat(b[:, None], self.n, axis=1)
        return Z if self.offset is None else Z + self.offset

    def predictions(self, Z: Floats) -> Floats:
        """Return the predictions a at margins Z."""
        a = np.empty(Z.shape)
        _kernels.kernels.predictions(Z, a, self.threads)
        return a

    def residuals(self, Z: Floats) -> tuple[float, Floats]:
        """Return the averaged loss at margins Z, and share · (a - y)."""
        R = np.empty(Z.shape)
        loss = _kernels.kernels.residuals(
            self.y, self.sample_weight, self.total, Z, R, self.threads
        )
        return loss, R

    def residuals_along(self, Z: Floats, U: Floats, step: float) -> tuple[float, Floats, Floats]:
        """Return the averaged loss at Z + step · U, those margins and share · (a - y)."""
        moved, R = np.empty_like(Z), np.empty_like(Z)
        loss = _kernels.kernels.residuals_along(
            self.y, self.sample_weight, self.total, Z, U, step, moved, R, self.threads
        )
        return loss, moved, R

    def along_pieces(self, Z: Floats, U: Floats, c: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Return the averaged loss at Z + the sum of c · U, for the margins U of pieces.

        Less what all of several classes have in common there, which changes no prediction. Also
        its gradient by c, (groups, K), those margins, and share · (a - y).
        """
        gradient, moved, R = np.empty_like(c), np.empty_like(Z), np.empty_like(Z)
        loss = _kernels.kernels.along_pieces(
            self.y, self.sample_weight, self.total, Z, U, c, gradient, moved, R, self.threads
        )
        return loss, gradient, moved, R

    def search(self, Z: Floats, U: Floats, step: float) -> tuple[float, float, float]:
        """Return the averaged loss at Z + step · U and its two derivatives by step."""
        return _kernels.kernels.search(
            self.y, self.sample_weight, self.total, Z, U, step, self.threads
        )

    def curvatures(self, a: Floats) -> Floats:
        """Return the weights of the Grams that make the Hessian, one row per pair of classes."""
        out = np.empty((max(self.K * (self.K - 1) // 2, 1), a.shape[1]))
        _kernels.kernels.curvatures(a, self.sample_weight, self.total, out, self.threads)
        return out

    def divergence(
        self, margins: Sequence[Floats], changes: Sequence[Floats], weights: Floats
    ) -> tuple[float, Floats]:
        """Return a bound on the averaged KL(a' || a), and the averages of a' - a, (K,).

        a are the predictions at the first of some margins, and a' - a is a combination of those at
        all of them, and of changes behind them. The bound is inf if an a' is not in [0, 1].
        """
        moves = np.empty(self.K)
        found, outside = _kernels.kernels.divergence(
            margins, changes, weights, self.sample_weight, self.total, moves, self.threads
        )
        return math.inf if outside or not math.isfinite(found) else found, moves

    def dual_step(self, a: Floats, U: Floats, bent: Floats | None = None) -> tuple[float, Floats]:
        """Move a along the margins U to first order, within [0, 1]: the divergence, and the move.

        The move is share · (a' - a), by the curvatures at the predictions `bent`, or at a.
        """
        change = np.empty(U.shape)
        divergence = _kernels.kernels.dual_step(
            a, self.sample_weight, self.total, U, change, self.threads, bent
        )
        return divergence, change

    def dual_residuals(
        self, Z: Floats, U: Floats, bent: Floats | None = None
    ) -> tuple[float, Floats]:
        """As `dual_step` from the predictions at Z: the divergence, and share · (a' - y)."""
        R = np.empty(Z.shape)
        divergence = _kernels.kernels.dual_residuals(
            self.y, self.sample_weight, self.total, Z, U, R, self.threads, bent
        )
        return divergence, R

    def turned(self, a: Floats, U: Floats, shared: bool = True) -> Floats:
        """Return (diag(a) - a a') u, what margins U add to a to first order, times the shares."""
        weight, total = (self.sample_weight, self.total) if shared else (None, 1.0)
        out = np.empty(U.shape)
        _kernels.kernels.turned(a, weight, total, U, out, self.threads)
        return out
