# SPDX-License-Identifier: BSD-3-Clause
"""Sparse formats of SciPy's beside CSR and CSC: what is wrong with one.

SciPy makes CSR of them where their arrays say, and does not look whether that is within bounds.
"""

from __future__ import annotations

from typing import Any


def is_of_scipy(X: Any) -> bool:
    """Whether X is a sparse matrix or array of SciPy's, which need not be installed."""
    return any(kind.__module__.startswith("scipy.sparse") for kind in type(X).__mro__)


def require_convertible(X: Any) -> None:
    """Raise unless the arrays of X fit each other and its shape."""
    if X.format == "coo" and len(X.shape) == 2:
        _look_at_coo(X)
    elif X.format == "dia" and len(X.offsets) != len(X.data):
        raise ValueError(
            f"X.offsets has {len(X.offsets)} entries and X.data {len(X.data)} rows; each diagonal "
            "has both"
        )
    elif X.format == "lil" and list(map(len, X.rows)) != list(map(len, X.data)):
        raise ValueError("X.rows and X.data have lists of different lengths; each entry is in both")
    elif X.format == "bsr":
        try:
            X.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(
                f"X is a BSR matrix whose arrays do not fit ({error}); give ones that do"
            ) from None


def _look_at_coo(X: Any) -> None:
    if not len(X.row) == len(X.col) == len(X.data):
        raise ValueError(
            f"X.row has {len(X.row)} entries, X.col {len(X.col)} and X.data {len(X.data)}; each "
            "entry has all three"
        )
    for name, places, count in (("row", X.row, X.shape[0]), ("col", X.col, X.shape[1])):
        if places.dtype.kind not in "iu":
            raise TypeError(f"X.{name} has dtype {places.dtype}; give integers")
        outside = (places < 0) | (places >= count)
        if outside.any():
            k = int(outside.argmax())
            raise ValueError(
                f"X.{name}[{k}] is {places[k]}, where X has shape {X.shape}; give 0 to {count - 1}"
            )
