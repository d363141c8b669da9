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

from . import _kernels
from ._compressed import Compressed
from ._data import Dense
from ._sparse import Sparse
from ._validation import Indices

# What part of the rows may differ, and of the first few ones, which repeat each other less.
PART, FEW, FEW_PART = 0.5, 1024, 0.96
# Entries in a place of X from where on a dense copy of a part serves Hessians better.
FULL = 0.25
# And from where on one of all of X is no larger than X, if that is float64. Of so few places in all
# it always serves better, and of more than so many there is none.
WHOLE, SMALL, MOST = 2.0 / 3.0, 2**18, 2**27


def distinct_rows(data: Sparse) -> tuple[Sparse, Indices] | None:
    """Return the rows that differ, and for each row of X which of them it is.

    None where that is not worth it, and where margins have offsets, or there are several classes.
    X is as `_entries.examined` or `Sparse.columns` has it.
    """
    if data.K > 1 or data.offset is not None:
        return None
    X, few = data.row_wise, min(FEW, data.n)
    if _groups(X, few, int(FEW_PART * few)) is None:
        return None
    found = _groups(X, data.n, int(PART * data.n))
    if found is None:
        return None
    group, first = found
    s = np.ones(data.n) if data.sample_weight is None else data.sample_weight
    weight, label = (np.asarray(np.bincount(group, v), float) for v in (s, s * data.y[0]))
    np.divide(label, weight, out=label, where=weight > 0.0)
    # Means of 1 are not to be above it.
    label = np.minimum(label, 1.0)[None]
    return Sparse(X.take(first), label, 1, weight, data.total, None, data.threads), group


def is_better_dense(X: Compressed) -> bool:
    """Whether a dense copy of all of X is worth its memory."""
    places = X.shape[0] * X.shape[1]
    return places <= SMALL or (X.entries >= WHOLE * places and places <= MOST)


def filled_in(data: Sparse) -> Dense | None:
    """Return a copy that is dense, None where its zeros would make Hessians slower."""
    X = data.X
    if X.entries < FULL * data.n * data.d:
        return None
    return Dense(
        X.dense(), data.y, data.K, data.sample_weight, data.total, data.offset, data.threads
    )


def _groups(X: Compressed, n: int, most: int) -> tuple[Indices, Indices] | None:
    """Return which of those that differ each of the first n rows is, and where these stand first.

    None if they are more than `most`.
    """
    group, first = np.empty(n, dtype=np.intp), np.empty(most, dtype=np.intp)
    count = _kernels.kernels.group_rows(X, n, most, group, first)
    return None if count < 0 else (group, first[:count])
