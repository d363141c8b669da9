# SPDX-License-Identifier: BSD-3-Clause
# Dense linear algebra as Python calls it. Not BLAS's: its bits depend on its number of threads,
# and its threads, which wait spinning, fight with ours for the processors.
#
# As in kernels.pxi nothing is checked: arrays are contiguous, float64 but for X, and fit.

from libc.math cimport sqrt

# Added to a unit diagonal where a matrix is not positive definite to rounding.
cdef double FIRST_JITTER = 1e-14, MOST_JITTER = 1e-2

include "gram.pxi"
include "products.pxi"
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


def group_grams(cnp.ndarray X, cnp.ndarray rows, cnp.ndarray starts, cnp.ndarray h,
                cnp.ndarray center, cnp.ndarray scale, cnp.ndarray out, int threads):
    """As gram, of each of several groups of rows: out[k] is that of rows[starts[k]] up to
    rows[starts[k + 1]]."""
    cdef Pass p
    cdef Gram g
    weigh_rows(&g, &p, X, rows, h, center, scale)
    g.panels = panels_of(p.d + 1)
    cdef const Py_ssize_t* start = <const Py_ssize_t*> cnp.PyArray_DATA(starts)
    cdef double* sums = doubles(out)
    cdef Py_ssize_t count = cnp.PyArray_DIM(out, 0)
    with nogil:
        run_group_grams(&g, start, count, threads, sums)


cdef int weigh_rows(Gram* g, Pass* p, cnp.ndarray X, cnp.ndarray rows, cnp.ndarray h,
                    cnp.ndarray center, cnp.ndarray scale) except -1:
    """A Gram of some rows of X, one weight for each."""
    set_data(p, X)
    p.order = <const Py_ssize_t*> cnp.PyArray_DATA(rows)
    g.x = p
    g.m = cnp.PyArray_SIZE(rows)
    g.q = 1
    g.together = False
    g.h = doubles(h)
    g.center = doubles(center)
    g.scale = doubles(scale)
    return 0


def block_grams(cnp.ndarray X, cnp.ndarray rows, cnp.ndarray h, cnp.ndarray center,
                cnp.ndarray scale, cnp.ndarray ends, cnp.ndarray which, cnp.ndarray out,
                int threads):
    """As gram, of neighbouring columns without that of ones: block k, from ends[k] up to
    ends[k + 1], is left at the beginning of out[k], for every k of `which`."""
    cdef Pass p
    cdef Gram g
    weigh_rows(&g, &p, X, rows, h, center, scale)
    cdef const Py_ssize_t* end = <const Py_ssize_t*> cnp.PyArray_DATA(ends)
    cdef const Py_ssize_t* some = <const Py_ssize_t*> cnp.PyArray_DATA(which)
    cdef double* sums = doubles(out)
    cdef Py_ssize_t count = cnp.PyArray_SIZE(which), room = cnp.PyArray_DIM(out, 1)
    with nogil:
        run_block_grams(&g, end, some, count, room, threads, sums)


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


cdef inline void scale_row(const double* scale, double s, Py_ssize_t m, alone a) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(m):
        a[j] *= scale[j] * s


cdef int factor_in_place(double* A, Py_ssize_t D, double* scale, int threads) except -1 nogil:
    """Replace the upper triangle of A by the R of SAS = R'R, S = diag(scale) making the diagonal 1.

    Where SAS is not positive definite to rounding, its diagonal gets a jitter, more each time. A
    diagonal that is not positive belongs to a direction without curvature: its scale is 1, and
    so is what stands for it.
    """
    cdef Py_ssize_t i
    cdef double jitter = 0
    for i in range(D):
        scale[i] = 1.0 / sqrt(A[i * D + i]) if A[i * D + i] > 0 else 1.0
    for i in range(D):
        scale_row(scale + i, scale[i], D - i, A + i * D + i)
        A[i * D + i] = 1.0
    while run_cholesky(A, D, threads, A):
        jitter = FIRST_JITTER if jitter == 0 else 100 * jitter
        if jitter > MOST_JITTER:
            with gil:
                raise FloatingPointError("the Hessian is not positive definite, or not finite")
        for i in range(D):
            A[i * D + i] = 1.0 + jitter
    return 0


def factor(cnp.ndarray A, cnp.ndarray out, cnp.ndarray scale, int threads):
    """Fill out with the R of SAS = R'R, and scale with the diagonal of S.

    Reads and writes upper triangles only. FloatingPointError if A is not positive definite, or not
    finite.
    """
    cdef const double* a = doubles(A)
    cdef double* R = doubles(out)
    cdef double* size = doubles(scale)
    cdef Py_ssize_t D = cnp.PyArray_DIM(A, 0), i
    with nogil:
        for i in range(D):
            memcpy(R + i * D + i, a + i * D + i, (D - i) * sizeof(double))
        factor_in_place(R, D, size, threads)


def factor_solve(cnp.ndarray R, cnp.ndarray scale, cnp.ndarray v):
    """Replace v, or every row of v, by A^-1 v, R and scale being A's factor."""
    cdef const double* triangle = doubles(R)
    cdef const double* size = doubles(scale)
    cdef double* x = doubles(v)
    cdef Py_ssize_t D = cnp.PyArray_DIM(R, 0), q = cnp.PyArray_SIZE(v) // D
    with nogil:
        solve_scaled(triangle, size, D, x, q)


def factor_step(cnp.ndarray R, cnp.ndarray scale, cnp.ndarray g, cnp.ndarray s):
    """Fill s with -A^-1 g, R and scale being A's factor, and return g · A^-1 g / 2."""
    g = cnp.PyArray_GETCONTIGUOUS(g)
    cdef const double* triangle = doubles(R)
    cdef const double* size = doubles(scale)
    cdef const double* slope = doubles(g)
    cdef double* step = doubles(s)
    cdef Py_ssize_t D = cnp.PyArray_DIM(R, 0), i
    cdef double fall
    with nogil:
        memcpy(step, slope, D * sizeof(double))
        solve_scaled(triangle, size, D, step, 1)
        fall = 0.5 * sum_of_products(slope, step, D)
        for i in range(D):
            step[i] = -step[i]
    return fall


def block_factor(cnp.ndarray grams, double f, cnp.ndarray diagonal, cnp.ndarray ends,
                 cnp.ndarray R, cnp.ndarray scale, int threads):
    """Fill R, float32, and scale with the factors of f · grams + diag(diagonal), block by block.

    Block k, from ends[k] up to ends[k + 1], is at the beginning of grams[k] and R[k].
    FloatingPointError if one is not positive definite, or not finite.
    """
    cdef const double* gram = doubles(grams)
    cdef const double* added = doubles(diagonal)
    cdef const Py_ssize_t* end = <const Py_ssize_t*> cnp.PyArray_DATA(ends)
    cdef float* triangles = <float*> cnp.PyArray_DATA(R)
    cdef double* size = doubles(scale)
    cdef Py_ssize_t room = cnp.PyArray_DIM(R, 1), k
    cdef void* memory
    with nogil:
        memory = new_doubles(room)
        try:
            for k in range(cnp.PyArray_DIM(R, 0)):
                factor_weighted(gram + k * room, f, added + end[k], end[k + 1] - end[k],
                                <double*> memory, size + end[k], triangles + k * room, threads)
        finally:
            free(memory)


cdef int factor_weighted(const double* gram, double f, const double* added, Py_ssize_t D,
                         double* A, double* scale, float* R, int threads) except -1 nogil:
    """Fill R and scale with the factor of f · gram + diag(added), made in A."""
    cdef Py_ssize_t i, j
    for i in range(D):
        for j in range(i, D):
            A[i * D + j] = f * gram[i * D + j]
        A[i * D + i] += added[i]
    factor_in_place(A, D, scale, threads)
    for i in range(D):
        for j in range(i, D):
            R[i * D + j] = <float> A[i * D + j]
    return 0


def block_factor_solve(cnp.ndarray R, cnp.ndarray scale, cnp.ndarray ends, cnp.ndarray v,
                       int threads):
    """Replace v, or every row of v, by A^-1 v, A being blocks along its diagonal.

    Block k, from ends[k] up to ends[k + 1], has its factor, float32, at the beginning of R[k].
    """
    cdef const float* triangles = <const float*> cnp.PyArray_DATA(R)
    cdef const double* size = doubles(scale)
    cdef const Py_ssize_t* end = <const Py_ssize_t*> cnp.PyArray_DATA(ends)
    cdef double* x = doubles(v)
    cdef Py_ssize_t count = cnp.PyArray_SIZE(ends) - 1, room = cnp.PyArray_SIZE(R) // count
    cdef Py_ssize_t q = cnp.PyArray_SIZE(v) // end[count]
    with nogil:
        share_blocks(triangles, room, size, end, count, x, q, threads)


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
