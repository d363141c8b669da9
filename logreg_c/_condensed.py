# SPDX-License-Identifier: BSD-3-Clause
r"""A sparse X with fewer rows, or filled in: where passes are faster then.

A few columns of one-hot data have few rows that differ. J needs only those: the loss is linear in
the labels, so that rows of the same margin add up to one of their summed weight s and their mean
label,

.. math::

    \sum_i s_i L(z, y_i) = S\, L(z, \bar y), \qquad
    S = \sum_i s_i, \quad \bar y = \sum_i s_i y_i / S.
"""

from __future__ import annotations

import numpy as np

from ._compressed import Compressed
from ._data import Dense
from ._sparse import Sparse
from ._validation import Indices

# What part of the rows may differ, and of the first few ones, which repeat each other less.
PART, FEW, FEW_PART = 0.5, 1024, 0.96
# Entries in a place of X from where on a dense copy is faster.
FULL = 0.25


def distinct_rows(data: Sparse) -> tuple[Sparse, Indices] | None:
    """Return the rows that differ, and for each row of X which of them it is.

    None where that is not worth it, and where margins have offsets, or there are several classes.
    X is as `_entries.examined` or `Sparse.columns` has it.
    """
    if data.K > 1 or data.offset is not None:
        return None
    # Rows that are the same have the same product with anything, to the last bit.
    numbers = np.random.default_rng(0).uniform(1.0, 2.0, (1, data.d + 1))
    products = data.margins(numbers)[0]
    if len(np.unique(products[:FEW])) > FEW_PART * min(FEW, data.n):
        return None
    _, first, group = np.unique(products, return_index=True, return_inverse=True)
    if len(first) > PART * data.n:
        return None
    X = data.row_wise
    distinct = X.take(first)
    if not _are(X, distinct, group):
        return None
    s = np.ones(data.n) if data.sample_weight is None else data.sample_weight
    weight, label = (np.asarray(np.bincount(group, v), float) for v in (s, s * data.y[0]))
    np.divide(label, weight, out=label, where=weight > 0.0)
    # Means of 1 are not to be above it.
    label = np.minimum(label, 1.0)[None]
    return Sparse(distinct, label, 1, weight, data.total, None, data.threads), group


def filled_in(data: Sparse) -> Dense | None:
    """Return a copy that is dense, None where its zeros would make Hessians slower."""
    X = data.X
    if X.entries < FULL * data.n * data.d:
        return None
    out = np.zeros(X.shape)
    out[X.places()] = 1.0 if X.data is None else X.data[: X.entries]
    return Dense(out, data.y, data.K, data.sample_weight, data.total, data.offset, data.threads)


def _are(X: Compressed, distinct: Compressed, group: Indices) -> bool:
    """Whether each row of X is that of its group, which products do not prove."""
    lengths = np.diff(X.indptr)
    if not np.array_equal(lengths, np.diff(distinct.indptr)[group]):
        return False
    at = np.arange(X.entries) + np.repeat(distinct.indptr[group] - X.indptr[:-1], lengths)
    same = np.array_equal(X.indices[: X.entries], distinct.indices[at])
    if X.data is None or distinct.data is None:
        return same
    return same and np.array_equal(X.data[: X.entries], distinct.data[at])
