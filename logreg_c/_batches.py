# SPDX-License-Identifier: BSD-3-Clause
"""Gradient descent over batches as a loop in Python, for what the kernels' loop does not do.

That is: several classes, and two without a bias. `gradient_descent` does the rest.
"""

from __future__ import annotations

import numpy as np

from . import _kernels
from ._compressed import Compressed
from ._entries import examined
from ._prediction import softmax
from ._validation import Floats, Indices, Matrix, as_examples
from .api import sigmoid


def one_pass(
    X: Matrix,
    ids: Indices,
    share: Floats,
    W: Floats,
    b: Floats,
    *,
    order: Indices,
    batch: int,
    rate: float,
    l2: float,
    fit_intercept: bool,
    n_threads: int | None,
) -> tuple[float, float]:
    """Make one pass of gradient descent over batches, changing W and b.

    With dz = a − y of an example, for each batch B: W ← W − rate·(mean over B of share·dz x' +
    l2·W), b ← b − rate·(mean over B of share·dz).

    Parameters
    ----------
    X : ndarray or Compressed of shape (n, d)
        Examples in rows, as `as_examples` returns them.
    ids : ndarray of shape (n,)
        Positions of their classes.
    share : ndarray of shape (n,)
        Their weights, divided by the mean of all.
    W, b : ndarray of shape (K, d) and (K,)
        Weights and biases; for two classes one row, that of the second.
    order : ndarray of shape (n,)
        The order to take the examples in.
    batch : int
        Examples an update.
    rate, l2 : float
        Step, and strength of the ridge penalty.
    fit_intercept : bool
        Whether b changes.
    n_threads : int or None
        Threads, on which no bit depends: the products are the kernels', not BLAS's.

    Returns
    -------
    tuple of float
        J over the first batch before its update, and over the last one after its own.
    """
    threads = _kernels.threads_of_call(n_threads)
    if isinstance(X, Compressed):
        X = examined(X, threads).X
    theta = np.column_stack((W, b))
    gradient, penalised = np.empty_like(theta), theta[:, :-1]
    start = np.nan
    for begin in range(0, len(order), batch):
        rows = order[begin : begin + batch]
        x = X.take(rows) if isinstance(X, Compressed) else as_examples(X[rows])
        Z = np.empty((len(theta), len(rows)))
        _kernels.kernels.class_margins_of(x, theta, None, Z, threads)
        if begin == 0:
            start = _objective(Z, ids[rows], share[rows], l2, penalised)
        if len(theta) == 1:
            dz = sigmoid(Z) - ids[rows]
        else:
            dz = softmax(Z.T).T
            dz[ids[rows], np.arange(len(rows))] -= 1.0
        dz = np.ascontiguousarray(dz * share[rows])
        _kernels.kernels.class_transpose_product(x, dz, gradient, threads)
        gradient /= len(rows)
        gradient[:, :-1] += l2 * penalised
        if not fit_intercept:
            gradient[:, -1] = 0.0
        theta -= rate * gradient
    W[:], b[:] = theta[:, :-1], theta[:, -1]
    _kernels.kernels.class_margins_of(x, theta, None, Z, threads)
    return start, _objective(Z, ids[rows], share[rows], l2, penalised)


def _objective(Z: Floats, ids: Indices, share: Floats, l2: float, W: Floats) -> float:
    """Return J over the examples with these margins."""
    if len(Z) == 1:
        Z = np.concatenate((np.zeros_like(Z), Z))
    losses = np.logaddexp.reduce(Z, axis=0) - Z[ids, np.arange(len(ids))]
    return float(np.mean(share * losses)) + 0.5 * l2 * float(np.sum(W * W))
