# SPDX-License-Identifier: BSD-3-Clause
"""The gradient of logistic regression as people write it: what logreg_c is raced against."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def numpy_gradient(X: Floats, y: Floats, w: Floats, b: float) -> tuple[Floats, float]:
    """Whole arrays, the gradient alone."""
    z = X @ w + b
    a = 1 / (1 + np.exp(-z))
    dz = a - y
    return X.T @ dz / len(y), float(dz.mean())


def numpy_loss_and_gradient(
    X: Floats, y: Floats, w: Floats, b: float
) -> tuple[float, Floats, float]:
    """Whole arrays, with the loss, which overflows or takes the log of 0 when z is large."""
    z = X @ w + b
    a = 1 / (1 + np.exp(-z))
    J = -(y * np.log(a) + (1 - y) * np.log(1 - a)).mean()
    dz = a - y
    return float(J), X.T @ dz / len(y), float(dz.mean())


def numpy_per_example(X: Floats, y: Floats, w: Floats, b: float) -> tuple[float, Floats, float]:
    """Loop over the examples and call NumPy for each one."""
    m = len(y)
    J, dw, db = 0.0, np.zeros(len(w)), 0.0
    for i in range(m):
        z = np.dot(w, X[i]) + b
        a = 1 / (1 + np.exp(-z))
        J += -(y[i] * np.log(a) + (1 - y[i]) * np.log(1 - a))
        dz = a - y[i]
        dw += X[i] * dz
        db += dz
    return J / m, dw / m, db / m


def python_lists(
    X: list[list[float]], y: list[float], w: list[float], b: float
) -> tuple[float, list[float], float]:
    """Loop over the examples and the features, as in the textbook."""
    m, d = len(y), len(w)
    J, dw, db = 0.0, [0.0] * d, 0.0
    for i in range(m):
        z = b
        for j in range(d):
            z += w[j] * X[i][j]
        a = 1 / (1 + math.exp(-z))
        J += -(y[i] * math.log(a) + (1 - y[i]) * math.log(1 - a))
        dz = a - y[i]
        for j in range(d):
            dw[j] += X[i][j] * dz
        db += dz
    return J / m, [dw[j] / m for j in range(d)], db / m


def extended_precision(
    X: NDArray[np.floating], y: Floats, w: Floats, b: float
) -> tuple[NDArray[np.longdouble], NDArray[np.longdouble]]:
    """Compute loss, dw and db with as many digits as the machine has, and their scales.

    Returns
    -------
    values, sizes : ndarray of shape (d + 2,)
        The loss, dw and db, and the mean size of the terms that each of them is the mean of.
    """
    # In pieces: all of X in long doubles would take twice its memory, and the terms as much again.
    total = np.zeros(len(w) + 2, dtype=np.longdouble)
    sizes = np.zeros_like(total)
    wide, wide_b = w.astype(np.longdouble), np.longdouble(b)
    for start in range(0, len(y), 10_000):
        rows = X[start : start + 10_000].astype(np.longdouble)
        labels = y[start : start + 10_000].astype(np.longdouble)
        z = (rows * wide).sum(axis=1) + wide_b
        e = np.exp(-np.abs(z))
        a = np.where(z >= 0, 1 / (1 + e), e / (1 + e))
        losses = np.maximum(z, 0) - labels * z + np.log1p(e)
        dz = a - labels
        terms = np.column_stack((losses, rows * dz[:, None], dz))
        total += terms.sum(axis=0)
        sizes += np.abs(terms).sum(axis=0)
    return total / len(y), sizes / len(y)
