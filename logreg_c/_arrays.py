# SPDX-License-Identifier: BSD-3-Clause
"""What solvers do with vectors and matrices: the same bits for any number of threads."""

from __future__ import annotations

import numpy as np

from . import _kernels
from ._validation import Floats, Indices

# Entries from where on threads gain anything; with fewer, and other programs at work, waking them
# takes longer than all the rest of an iteration.
PARALLEL = 2**20
# From 1 to the next larger number: what results are rounded by.
EPSILON = float(np.finfo(np.float64).eps)
# A curvature this small beside the largest one is rounding.
FLOOR = 1e-12
# The least number whose reciprocal is certain to be one.
LEAST = float(np.finfo(np.float64).tiny)


def inner(u: Floats, v: Floats) -> float:
    """Return the sum of u · v, the same bits for any number of threads."""
    return _kernels.kernels.inner(u, v)


def products(A: Floats, B: Floats, threads: int) -> Floats:
    """Return B A' of two sets of long rows."""
    out = np.empty((len(B), len(A) + 1))
    _kernels.kernels.class_transpose_product(A.T, B, out, threads)
    return out[:, :-1]


def combination(c: Floats, A: Floats, threads: int, plus: Floats | None = None) -> Floats:
    """Return c A, a combination of long rows, plus another."""
    out = np.empty((1, A.shape[1]))
    _kernels.kernels.class_margins_of(A.T, np.append(c, 0.0)[None], plus, out, threads)
    return out


def subtract(
    a: Floats,
    b: Floats,
    out: Floats,
    threads: int,
    q: Floats | None = None,
    s: Floats | None = None,
) -> None:
    """Fill out with a - b, less q · s if given. Threads are woken for very many entries only."""
    _kernels.kernels.difference(a, b, out, threads if out.size >= PARALLEL else 1, q, s)


def plain_gram(A: Floats, h: Floats, threads: int) -> Floats:
    """Return A' diag(h) A, a view."""
    p = A.shape[1]
    out = np.empty((p + 1, p + 1))
    _kernels.kernels.gram(A, None, h, np.zeros(p), np.ones(p), out, threads)
    return out[:p, :p]


def and_bias(columns: Indices, D: int) -> Indices:
    """Return the coordinates of some columns, and of the bias."""
    coordinates = np.empty(len(columns) + 1, dtype=np.intp)
    coordinates[:-1] = columns
    coordinates[-1] = D - 1
    return coordinates


def diagonal_of(H: Floats) -> Floats:
    """Return the diagonal of a contiguous matrix, to be read and written."""
    return H.ravel()[:: len(H) + 1]


def hold_bias(H: Floats) -> None:
    """Give a bias that is not free, the last coordinate, a row of the unit matrix."""
    H[-1, :] = H[:, -1] = 0.0
    H[-1, -1] = 1.0


def floored(diagonal: Floats) -> Floats:
    """Return a diagonal raised to what is more than rounding beside its largest entry."""
    return np.asarray(np.maximum(diagonal, FLOOR * diagonal.max()))


def reciprocal(diagonal: Floats) -> Floats:
    """Return 1 / diagonal, and 0 where a column is as good as zero: nothing there can matter."""
    return np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal >= LEAST)
