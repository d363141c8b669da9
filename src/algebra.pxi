# SPDX-License-Identifier: BSD-3-Clause
# Dense linear algebra as Python calls it. Not BLAS's: its bits depend on its number of threads,
# and its threads, which wait spinning, fight with ours for the processors.
#
# As in kernels.pxi nothing is checked: arrays are contiguous, float64 but for X, and fit.

from libc.math cimport sqrt

include "gram.pxi"
include "cholesky.pxi"
include "parallel_algebra.pxi"


def gram(cnp.ndarray X, rows, cnp.ndarray h, cnp.ndarray center, cnp.ndarray scale,
         cnp.ndarray out, int threads):
    """Fill out = sum_i h[i] x_i x_i' where x_i = [(X[rows[i]] - center) · scale, 1].

    `rows` is an array of intp, or None for all rows in their order. h has m entries of any sign
    and out d + 1 rows and columns; or h has q times m entries, and out q such matrices. out is
    exactly symmetric.
    """
    cdef Pass p
    cdef Gram g
    set_data(&p, X)
    g.x = &p
    g.m = p.n
    if rows is not None:
        p.order = <const Py_ssize_t*> cnp.PyArray_DATA(rows)
        g.m = cnp.PyArray_SIZE(rows)
    g.q = cnp.PyArray_DIM(out, 0) if cnp.PyArray_NDIM(out) == 3 else 1
    g.panels = panels_of(p.d + 1)
    g.h = doubles(h)
    g.center = doubles(center)
    g.scale = doubles(scale)
    cdef double* sums = doubles(out)
    with nogil:
        run_gram(&g, threads, sums)


def cholesky(cnp.ndarray A, cnp.ndarray out, int threads):
    """Fill out with the upper triangular R of A = R'R, zeros below; read A's upper triangle only.

    Returns 0, or k if the k-th pivot, from 1 on, is not positive and finite; then out is as it
    was. out may be A.
    """
    cdef const double* entries = doubles(A)
    cdef double* R = doubles(out)
    cdef Py_ssize_t D = cnp.PyArray_DIM(A, 0), bad
    with nogil:
        bad = run_cholesky(entries, D, threads, R)
    return bad


def cholesky_solve(cnp.ndarray R, cnp.ndarray v):
    """Replace v, or every row of v, by the x of R'R x = v."""
    cdef const double* factor = doubles(R)
    cdef double* x = doubles(v)
    cdef Py_ssize_t D = cnp.PyArray_DIM(R, 0), q = cnp.PyArray_SIZE(v) // D
    with nogil:
        solve_transposed(factor, D, x, q)
        solve_upper(factor, D, x, q)


def cholesky_half_solve(cnp.ndarray R, cnp.ndarray v, bint transposed):
    """Replace v, or every row of v, by the x of R x = v, or of R'x = v if transposed."""
    cdef const double* factor = doubles(R)
    cdef double* x = doubles(v)
    cdef Py_ssize_t D = cnp.PyArray_DIM(R, 0), q = cnp.PyArray_SIZE(v) // D
    with nogil:
        if transposed:
            solve_transposed(factor, D, x, q)
        else:
            solve_upper(factor, D, x, q)
