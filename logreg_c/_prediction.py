# SPDX-License-Identifier: BSD-3-Clause
"""Predictions for two classes and for several, as the estimator gives them.

W holds the weights of a class a row, shape (K, d), and b its bias, shape (K,); for two classes
there is one row, that of the second. What is in X is checked only where a score is not finite.
"""

from __future__ import annotations

import numpy as np

from . import _kernels
from ._compressed import Compressed
from ._sparse import margins
from ._validation import Floats, Matrix, require_finite_examples
from .api import forward


def scores(X: Matrix, W: Floats, b: Floats) -> Floats:
    """Compute z = Xw + b, shape (n,), for two classes, and Z = XW' + b, shape (n, K), for several.

    Raises
    ------
    ValueError
        If an entry of X or a weight is not finite, or the weights are not those of its columns.
    OverflowError
        If a score is not, though X is.
    """
    require_weights_of(X, W, b)
    if isinstance(X, Compressed):
        # Its margins do without the weights of columns without entries.
        require_finite_weights(W, b)
    # The kernels read it row by row, and W may be by columns.
    theta = np.ascontiguousarray(np.column_stack((W, b)), dtype=np.float64)
    threads = _kernels.threads_of_call(None)
    if isinstance(X, Compressed):
        Z = margins(X, theta, None, threads)
    else:
        Z = np.empty((len(W), len(X)))
        _kernels.kernels.class_margins_of(X, theta, None, Z, threads)
    z = Z[0] if len(W) == 1 else np.ascontiguousarray(Z.T)
    if not np.isfinite(z).all():
        require_finite_examples(X)
        require_finite_weights(W, b)
        raise OverflowError(
            "Xw + b is beyond the range of float64; scale the columns of X before the fit"
        )
    return z


def probabilities(X: Matrix, W: Floats, b: Floats) -> Floats:
    """Compute the probability of each class, shape (n, K); raises as `scores` does."""
    require_weights_of(X, W, b)
    if len(W) > 1:
        return softmax(scores(X, W, b))
    try:
        a = forward(X, W[0], float(b[0]))
    except ValueError:
        require_finite_weights(W, b)
        raise
    P = np.empty((len(a), 2))
    P[:, 1] = a
    np.subtract(1.0, a, out=P[:, 0])
    return P


def log_probabilities(X: Matrix, W: Floats, b: Floats) -> Floats:
    """Compute the logarithm of each class's probability, shape (n, K), from the scores.

    So it is exact and finite where a probability is as good as 0 or 1. Raises as `scores` does.
    """
    z = scores(X, W, b)
    if len(W) > 1:
        likeliest = z.argmax(axis=1)[:, None]
        with np.errstate(over="ignore"):  # to -inf, which it is
            z -= np.take_along_axis(z, likeliest, axis=1)
        others = np.exp(z)
        np.put_along_axis(others, likeliest, 0.0, axis=1)
        z -= np.log1p(others.sum(axis=1, keepdims=True))
        return z
    P = np.empty((len(z), 2))
    np.logaddexp(0.0, z, out=P[:, 0])
    np.logaddexp(0.0, -z, out=P[:, 1])
    return np.negative(P, out=P)


def require_weights_of(X: Matrix, W: Floats, b: Floats) -> None:
    """Raise ValueError unless there is a weight for each column, and a bias for each class."""
    if np.ndim(b) != 1:
        raise ValueError(
            f"intercept_ has shape {np.shape(b)}; give an array with an entry per class, one for "
            "two classes, or fit again"
        )
    if W.shape != (len(b), X.shape[1]):
        raise ValueError(
            f"coef_ has shape {W.shape}, where intercept_ has {len(b)} entries and X has "
            f"{X.shape[1]} columns; give coef_ shape {(len(b), X.shape[1])}, or fit again"
        )


def require_finite_weights(W: Floats, b: Floats) -> None:
    """Raise ValueError if a weight or a bias is not finite, naming the estimator's attribute."""
    for name, values in (("coef_", W), ("intercept_", b)):
        finite = np.isfinite(values)
        if not finite.all():
            at = [int(index) for index in np.argwhere(~finite)[0]]
            raise ValueError(
                f"{name}{at} is {values[tuple(at)]}; give {name} finite numbers, or fit again"
            )


def softmax(Z: Floats) -> Floats:
    """Compute A = e^Z / (sum of e^Z over the classes), which no finite Z makes overflow."""
    A: Floats = np.exp(Z - Z.max(axis=1, keepdims=True))
    A /= A.sum(axis=1, keepdims=True)
    return A
