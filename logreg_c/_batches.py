# SPDX-License-Identifier: BSD-3-Clause
"""Gradient descent over batches in NumPy, for what the kernels' loop does not do.

That is: several classes, and two without a bias. `gradient_descent` does the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._prediction import softmax
from ._validation import Floats, Indices
from .api import sigmoid


def one_pass(
    X: Any,
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
) -> None:
    """Make one pass of gradient descent over batches, changing W and b.

    With dz = a − y of an example, for each batch B: W ← W − rate·(mean over B of share·dz x' +
    l2·W), b ← b − rate·(mean over B of share·dz).

    Parameters
    ----------
    X : ndarray or SciPy's CSR matrix of shape (n, d)
        Examples in rows.
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
    """
    for begin in range(0, len(order), batch):
        rows = order[begin : begin + batch]
        x = X[rows]
        z = x @ W.T + b
        if len(W) == 1:
            dz = sigmoid(z) - ids[rows, np.newaxis]
        else:
            dz = softmax(z)
            dz[np.arange(len(rows)), ids[rows]] -= 1.0
        dz *= share[rows, np.newaxis]
        W -= rate * (dz.T @ x / len(rows) + l2 * W)
        if fit_intercept:
            b -= rate * dz.mean(axis=0)
