# SPDX-License-Identifier: BSD-3-Clause
"""What columns are centred and scaled by: coordinates for solvers, in which J is the same."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np

from . import _kernels
from ._sampling import spread_out
from ._sparse import MOST_OUT, Sparse
from ._validation import Floats

# Entries of X that are looked at.
LOOKED_AT = 200_000
# What columns are scaled by at most: squared and multiplied by a penalty it is still a number.
LARGEST_SCALE = 1e100
# How far from the middle an entry is out, in sizes of typical entries: it would hide all others.
FAR_OUT = 1e3
# The standard deviation, in such sizes, from where on a few entries may make it.
SUSPECT = 1e2
# The standard deviation of a column up to which, and down to one over which, its square is one.
LARGEST_SPREAD = 1e151


class Coordinates(NamedTuple):
    """What columns are centred and scaled by.

    Attributes
    ----------
    center, scale : ndarray of shape (d,)
        For all entries but those that are a thousand times as far out as most of their column:
        beside these all others would be the same, and no Hessian and no proof could tell where the
        optimum is.
    outlying : ndarray of shape (d,) or None
        The mean size over all rows of the entries left out; None where there are none.
    """

    center: Floats
    scale: Floats
    outlying: Floats | None


def dense_coordinates(
    X: Any, sample_weight: Floats | None, fit_bias: bool, most: float, seed: int
) -> Coordinates:
    """Return a centre and a scale, at most `most`, of each column, of some rows if X is large.

    Rows without weight don't count: scaled by what stands in them, columns would be out of scale.
    """
    n, d = X.shape
    wanted = max(LOOKED_AT // d, 50)
    weighty = None if sample_weight is None else np.flatnonzero(sample_weight > 0.0)
    count = n if weighty is None else len(weighty)
    rows = weighty
    if count > wanted:
        chosen = spread_out(wanted, count, np.random.default_rng(seed))
        rows = chosen if weighty is None else weighty[chosen]
    some = np.ascontiguousarray(X if rows is None else X[rows], dtype=np.float64)
    center, spread, scale = np.empty((3, d))
    bad = _kernels.kernels.column_coordinates(
        some, fit_bias, 1.0 / LARGEST_SPREAD, LARGEST_SPREAD, 1.0 / most, center, spread, scale
    )
    if bad >= 0:
        _complain_of_squares(spread, bad)
    sizes = np.empty((3, d))
    _kernels.kernels.typical_deviations(some, fit_bias, sizes)
    typical = sizes[0]
    suspects = np.flatnonzero((spread > SUSPECT * typical) & (typical > 0.0))
    if not len(suspects):
        return Coordinates(center, scale, None)
    x = some[:, suspects]
    # An entry that there is, so that not all are far from it.
    middle = np.quantile(x, 0.5, axis=0, method="lower") if fit_bias else 0.0
    out = np.abs(x - middle) > FAR_OUT * typical[suspects]
    found = out.any(axis=0) & (out.mean(axis=0) < MOST_OUT)
    if not found.any():
        return Coordinates(center, scale, None)
    suspects, x, out = suspects[found], x[:, found], out[:, found]
    count = len(x) - out.sum(axis=0)
    if fit_bias:
        center[suspects] = np.where(out, 0.0, x).sum(axis=0) / count
    inside = np.where(out, 0.0, x - center[suspects])
    scale[suspects] = 1.0 / np.maximum(np.sqrt(np.square(inside).sum(axis=0) / count), 1.0 / most)
    weight = np.ones(len(x)) if sample_weight is None else sample_weight[rows]
    outlying = np.zeros(d)
    outlying[suspects] = weight @ np.where(out, np.abs(x), 0.0) / weight.sum()
    return Coordinates(center, scale, outlying)


def sparse_coordinates(data: Sparse, most: float, scaled: bool) -> Coordinates:
    """Return no centre, which would fill X in, and a scale, of the root mean square if wanted."""
    center, scale, outlying = np.zeros(data.d), np.ones(data.d), None
    if scaled:
        spread, outlying = data.root_mean_squares()
        spread[spread == 0.0] = 1.0
        bad = ~((spread >= 1.0 / LARGEST_SPREAD) & (spread <= LARGEST_SPREAD))
        if bad.any():
            _complain_of_squares(spread, int(np.argmax(bad)))
        scale = 1.0 / np.maximum(spread, 1.0 / most)
    return Coordinates(center, scale, outlying)


def _complain_of_squares(spread: Floats, j: int) -> NoReturn:
    """Raise because the squares of a column's entries are beyond the range of float64."""
    raise ValueError(
        f"X has entries around {spread[j]:.1g} in column {j}, whose squares are beyond the range "
        f"of float64; multiply the column by 1e{-round(np.log10(spread[j])):+03d}"
    )
