# SPDX-License-Identifier: BSD-3-Clause
"""Sparse data that solvers are raced on: seeded imitations of text and of clicks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rivals import Floats

Labels = NDArray[np.int64]


def coin_tosses(rng: np.random.Generator, z: Floats) -> Labels:
    """Draw labels of a logistic model with the margins z."""
    return (rng.random(len(z)) < 1 / (1 + np.exp(-z))).astype(np.int64)


def zipf(rng: np.random.Generator, levels: int, shift: float, size: Any) -> NDArray[np.int64]:
    """Draw of so many levels with shares like 1/(rank + shift); ranks are in no order."""
    share = np.cumsum(1 / (np.arange(levels) + shift))
    ranks = np.searchsorted(share, rng.random(size) * share[-1])
    order: NDArray[np.int64] = rng.permutation(levels)[ranks]
    return order


def text(n: int = 100_000, d: int = 200_000, words: float = 66.0) -> tuple[Any, Labels]:
    """Documents: words by Zipf's law, weighed by tf-idf, rows of unit length; about 50 a row."""
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(0)
    length = np.maximum(1, rng.lognormal(np.log(words) - 0.18, 0.6, n)).astype(np.int64)
    row = np.repeat(np.arange(n), length)
    cell, count = np.unique(row * d + zipf(rng, d, 1.0, len(row)), return_counts=True)
    row, column = np.divmod(cell, d)
    indptr = np.searchsorted(row, np.arange(n + 1)).astype(np.int32)
    rarity = 1 + np.log((1 + n) / (1 + np.bincount(column, minlength=d)))
    value = (1 + np.log(count)) * rarity[column]
    value /= np.sqrt(np.bincount(row, value * value, n))[row]
    X = csr_matrix((value, column.astype(np.int32), indptr), shape=(n, d))
    # One word in ten says something.
    w = rng.laplace(0, 6, d) * (rng.random(d) < 0.1)
    return X, coin_tosses(rng, X @ w - 0.5)


def clicks(n: int = 1_000_000, d: int = 100_000, fields: int = 20) -> tuple[Any, Labels]:
    """Clicks, one-hot: fields of 3 to tens of thousands of levels, each by Zipf's law."""
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(0)
    levels = np.geomspace(3, 0.33 * d, fields).astype(np.int64)
    levels[-1] += d - levels.sum()
    first = np.cumsum(levels) - levels
    column = np.empty((n, fields), dtype=np.int32)
    z = np.full(n, -2.0)
    for field, (start, size) in enumerate(zip(first, levels, strict=True)):
        level = zipf(rng, int(size), 2.0, n)
        column[:, field] = start + level
        z += rng.normal(0, 0.4, size)[level]
    indptr = np.arange(0, n * fields + 1, fields, dtype=np.int32)
    X = csr_matrix((np.ones(n * fields), column.ravel(), indptr), shape=(n, d))
    return X, coin_tosses(rng, z)
