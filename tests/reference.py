# SPDX-License-Identifier: BSD-3-Clause
"""The slow twin: logistic regression in extended precision, written as the formulas stand."""

from __future__ import annotations

import numpy as np

BIG = np.longdouble


def loss_and_gradient(X, y, w, b, sample_weight=None, l2=0.0):
    """Return J, dw, db, and the mean sizes of the terms that are added up in each."""
    X, y, w, b = (np.asarray(v, dtype=BIG) for v in (X, y, w, b))
    s = np.ones(len(y), dtype=BIG) if sample_weight is None else np.asarray(sample_weight, BIG)
    share = s / s.sum()
    z = (X * w).sum(axis=1) + b
    e = np.exp(-np.abs(z))
    q = e / (1 + e)
    a = np.where(z >= 0, 1 - q, q)
    L = np.abs(z) * np.where(z >= 0, 1 - y, y) + np.log1p(e)
    # a - y, without the cancellation where a is almost 1.
    dz = np.where(z >= 0, (1 - y) - q, q - y)
    J = (share * L).sum() + BIG(l2) / 2 * (w * w).sum()
    dw = (share * dz) @ X + BIG(l2) * w
    db = (share * dz).sum()
    # What one rounding of z, dz or a product is worth in each result.
    z_size = (np.abs(X) * np.abs(w)).sum(axis=1) + np.abs(b) + 1
    sizes = (
        (share * (np.abs(L) + z_size)).sum() + abs(J),
        (share * (np.abs(dz) + z_size * a * (1 - a))) @ np.abs(X) + abs(BIG(l2) * w),
        (share * (np.abs(dz) + z_size * a * (1 - a))).sum(),
    )
    return J, dw, db, sizes


def one_hot(ids, classes):
    """Return the (K, n) probabilities of hard labels."""
    return (np.asarray(ids) == np.arange(classes)[:, None]).astype(BIG)


def sigmoid_or_softmax(Z):
    """Return a at margins Z, both (K, n): the sigmoid if K is 1, else softmax over the classes."""
    Z = np.asarray(Z, dtype=BIG)
    if len(Z) == 1:
        e = np.exp(-np.abs(Z))
        return np.where(Z >= 0, 1, e) / (1 + e)
    e = np.exp(Z - Z.max(axis=0))
    return e / e.sum(axis=0)


def class_losses(Z, Y):
    """Return L of each row at margins Z (K, n) for probabilities Y (K, n)."""
    Z, Y = (np.asarray(v, dtype=BIG) for v in (Z, Y))
    if len(Z) == 1:
        z, y = Z[0], Y[0]
        return np.abs(z) * np.where(z >= 0, 1 - y, y) + np.log1p(np.exp(-np.abs(z)))
    top = Z.max(axis=0)
    return (Y * (top - Z)).sum(axis=0) + np.log(np.exp(Z - top).sum(axis=0))


def turned(a, U):
    """Return (diag(a) - a a') u of each row: what margins U add to predictions a."""
    a, U = (np.asarray(v, dtype=BIG) for v in (a, U))
    return a * (1 - a) * U if len(a) == 1 else a * (U - (a * U).sum(axis=0))


class Twin:
    """J over weights and biases for columns as they are, (K, d + 1), and its derivatives."""

    def __init__(self, X, Y, share=None, offset=0.0, l2=0.0):
        self.V = np.column_stack([X, np.ones(len(X))]).astype(BIG)
        self.Y = np.asarray(Y, dtype=BIG)
        n = len(self.V)
        self.share = np.full(n, BIG(1) / n) if share is None else np.asarray(share, BIG)
        self.offset = offset
        self.q = np.append(np.full(X.shape[1], BIG(l2)), BIG(0))

    def margins(self, raw):
        return np.asarray(raw, BIG) @ self.V.T + self.offset

    def J(self, raw):
        L = class_losses(self.margins(raw), self.Y)
        return (self.share * L).sum() + (self.q * np.square(raw, dtype=BIG)).sum() / 2

    def gradient(self, raw):
        a = sigmoid_or_softmax(self.margins(raw))
        return (self.share * (a - self.Y)) @ self.V + self.q * raw

    def hessian(self, raw):
        """Return the Hessian, (K, d + 1, K, d + 1)."""
        a = sigmoid_or_softmax(self.margins(raw))
        K, D = len(a), self.V.shape[1]
        H = np.zeros((K, D, K, D), BIG)
        for k in range(K):
            for j in range(K):
                h = self.share * a[k] * ((k == j) - a[j])
                H[k, :, j, :] = (self.V.T * h) @ self.V + (k == j) * np.diag(self.q)
        return H
