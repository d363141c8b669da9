# SPDX-License-Identifier: BSD-3-Clause
"""Labels as the passes want them, and weights and biases as people want them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._kernels import kernels
from ._validation import Floats, as_array, as_floats, as_labels, require_labels_in_range

# More classes than this are numbers that are no classes.
MOST_CLASSES = 100_000


class Targets(NamedTuple):
    """What a should be.

    Attributes
    ----------
    y : ndarray
        (1, n) as it came for two classes, int32 (n,) or float64 (K, n) for more.
    K : int
        1 for two classes, else their number.
    pair : bool
        Whether two classes came as two columns, and their weights go back as two.
    base_bias : ndarray of shape (K,)
        The bias that alone predicts the classes' shares.
    """

    y: NDArray[Any]
    K: int
    pair: bool
    base_bias: Floats

    @property
    def columns(self) -> int:
        """The columns of weights that go back: 1 or the number of classes."""
        return 2 if self.pair else self.K

    def w_and_b(self, raw: Floats) -> tuple[Floats, Any]:
        """Return w and b as users get them, from (K, d + 1)."""
        if self.pair:
            raw = np.concatenate((-0.5 * raw, 0.5 * raw))
        elif self.K == 1:
            return raw[0, :-1].copy(), float(raw[0, -1])
        return raw[:, :-1].copy(), raw[:, -1].copy()

    def from_w_and_b(self, w: Any, b: Any, d: int) -> Floats:
        """Return (K, d + 1) from w and b as users give them; what is None is zero."""
        raw = np.zeros((self.columns, d + 1))
        if w is not None:
            if self.columns == 1:
                raw[0, :-1] = as_floats(w, "w0", d, "column")
            else:
                raw[:, :-1] = _shaped(w, "w0", (self.columns, d))
        if b is not None:
            raw[:, -1] = _shaped(b, "b0", (self.columns,) if self.columns > 1 else ())
        if not np.isfinite(raw).all():
            raise ValueError("w0 or b0 has entries that are not finite; give finite numbers")
        return raw[1:] - raw[:1] if self.pair else raw


def _shaped(value: Any, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    array = as_array(value, name)
    if array.shape != shape and not (shape == () and array.size == 1):
        raise ValueError(f"{name} has shape {array.shape}; give {shape}")
    return array.reshape(shape)


def as_targets(
    y: Any, n: int, sample_weight: Floats | None, total: float, fit_bias: bool
) -> Targets:
    """Return the targets of labels 0 and 1, of probabilities, or of classes 0 to K - 1."""
    if not kernels.are_labels(y, n):
        array = as_array(y, "y")
        if array.ndim == 2:
            return _probabilities(array, n, sample_weight, total, fit_bias)
    labels = as_labels(y, n)
    low, high, number, whole = kernels.read_labels(labels)
    if whole and 1 < high < MOST_CLASSES and low >= 0:
        return _classes(labels, int(high) + 1, sample_weight)
    if not (low >= 0 and high <= 1 and math.isfinite(number)):
        require_labels_in_range(labels)
    one, zero = number / n, (n - number) / n
    if sample_weight is not None:
        # Each by itself, which a difference from 1 would round away.
        share = sample_weight / total
        one, zero = float((labels * share).sum()), float(((1.0 - labels) * share).sum())
    if fit_bias and not (one > 0.0 and zero > 0.0):
        raise ValueError(
            f"y holds one class only, {int(one > 0.0)}, in the rows that have weight; the bias "
            "would grow without end: give examples of both classes"
        )
    bias = np.array([math.log(one / zero) if fit_bias else 0.0])
    return Targets(labels.reshape(1, n), 1, False, bias)


def _classes(labels: NDArray[Any], K: int, sample_weight: Floats | None) -> Targets:
    ids, weights = np.empty(len(labels), dtype=np.int32), np.empty(K)
    kernels.read_classes(labels, sample_weight, ids, weights)
    if 0.0 in weights.tolist():
        raise ValueError(
            f"y has no example with weight of class {int(np.argmin(weights))} of 0 to {K - 1}; "
            "number the classes that occur: np.unique(y, return_inverse=True)[1]"
        )
    bias = np.log(weights)
    bias -= np.add.reduce(bias) / K
    return Targets(ids, K, False, bias)


def _probabilities(
    Y: NDArray[Any], n: int, sample_weight: Floats | None, total: float, fit_bias: bool
) -> Targets:
    K = Y.shape[1]
    if Y.shape[0] != n or K < 2:
        raise ValueError(
            f"y has shape {Y.shape}; give (n,) or (n, K) with n = {n} and K at least 2"
        )
    Y = Y.astype(np.float64)
    bad = ~((Y >= 0.0) & (Y <= 1.0)).all(axis=1) | (np.abs(Y.sum(axis=1) - 1.0) > 1e-6)
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"y[{i}] is {Y[i]}; the probabilities of a row add up to 1")
    weight = np.full(n, 1.0 / n) if sample_weight is None else sample_weight / total
    shares = (weight[:, None] * Y).sum(axis=0)
    if fit_bias and not (shares > 0.0).all():
        raise ValueError(f"y gives class {int(np.argmin(shares))} no weight in any row; drop it")
    Y /= Y.sum(axis=1, keepdims=True)
    if K == 2:
        bias = np.log(shares[1:] / shares[:1]) if fit_bias else np.zeros(1)
        return Targets(np.ascontiguousarray(Y[:, 1]).reshape(1, n), 1, True, bias)
    bias = np.log(shares) if fit_bias else np.zeros(K)
    return Targets(np.ascontiguousarray(Y.T), K, False, bias - bias.mean())
