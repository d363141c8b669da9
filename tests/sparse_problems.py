# SPDX-License-Identifier: BSD-3-Clause
"""Sparse matrices in every layout that the kernels read, and in bad order."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import scipy.sparse

LAYOUTS = [
    f"{lines}-{index}-{values}"
    for lines in ("csr", "csc")
    for index in ("int32", "int64")
    for values in ("float32", "float64")
]


def entries(n, d, density=0.3, seed=0):
    """Return rows, columns and values in no order, some at the same place, some zero.

    Every third row and every fourth column are empty, if there are others.
    """
    rng = np.random.default_rng(seed)
    m = max(1, round(n * d * density))
    rows, columns = rng.integers(0, n, m), rng.integers(0, d, m)
    rows[rows % 3 == 1] -= 1
    columns[columns % 4 == 1] -= 1
    # Exact in float32, so that all layouts hold the same numbers.
    values = rng.standard_normal(m).astype(np.float32).astype(np.float64)
    values[::7] = 0.0
    return rows, columns, values


def dense(n, d, rows, columns, values):
    X = np.zeros((n, d))
    np.add.at(X, (rows, columns), values)
    return X


def held(n, d, rows, columns, values, layout):
    """Return the entries in a layout, each line's in the order given."""
    lines, index, kind = layout.split("-")
    by, across, count = (rows, columns, n) if lines == "csr" else (columns, rows, d)
    order = np.argsort(by, kind="stable")
    indptr = np.append(0, np.cumsum(np.bincount(by, minlength=count))).astype(index)
    parts = (values[order].astype(kind), across[order].astype(index), indptr)
    make = scipy.sparse.csr_array if lines == "csr" else scipy.sparse.csc_array
    X = make((n, d))
    # As they are: SciPy's own constructor would choose a type for the indices.
    X.data, X.indices, X.indptr = parts
    return X


def bare(X, **changed):
    """Return an object that is no matrix of SciPy's, with four attributes alone."""
    names = ("indptr", "indices", "data", "shape")
    attributes = {name: getattr(X, name, None) for name in names}
    return SimpleNamespace(**(attributes | changed))
