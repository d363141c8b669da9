# SPDX-License-Identifier: BSD-3-Clause
# The Cholesky factor R of A = R'R, upper triangular, and solving with it. No threads, no Python.
#
# The factor is made in a packed triangle (gram.pxi), block row by block row: from a block row of A
# all block rows above are subtracted, which is a tile's product of panels as they stand, and what
# is left is solved with the block on the diagonal. Panels need no further packing, ever.
#
# R, not L = R': by rows, R makes both halves of a solve run along contiguous rows.

cdef enum:
    DEEP_ROWS = 256     # of panels that several tiles read in turn: a second-level cache


cdef inline Py_ssize_t block_row(Py_ssize_t D) noexcept nogil:
    """Rows finished at once. Threads meet between them, which a busy machine makes expensive."""
    return 32 if D < 512 else 64


cdef void load_rows(const double* A, Py_ssize_t D, Py_ssize_t j, double* triangle) noexcept nogil:
    """Copy block row j of A's upper triangle; outside of A stands the unit matrix."""
    cdef Py_ssize_t r, i, s, t, columns
    cdef double* block
    for i in range(j, panels_of(D)):
        block = block_of(triangle, j, i)
        columns = min(PANEL, D - i * PANEL)
        for s in range(PANEL):
            r = j * PANEL + s
            if r < D and columns == PANEL:
                for t in range(PANEL):
                    block[s * PANEL + t] = A[r * D + i * PANEL + t]
            else:
                for t in range(PANEL):
                    block[s * PANEL + t] = <double> (i * PANEL + t == r)
                for t in range(columns if r < D else 0):
                    block[s * PANEL + t] = A[r * D + i * PANEL + t]


cdef void unpack_factor(double* triangle, Py_ssize_t D, Py_ssize_t j, double* R) noexcept nogil:
    """Write block row j to R, with zeros below the diagonal."""
    cdef Py_ssize_t r, i, s, t
    cdef const double* block
    for s in range(min(PANEL, D - j * PANEL)):
        r = j * PANEL + s
        memset(R + r * D, 0, r * sizeof(double))
        for i in range(j, panels_of(D)):
            block = block_of(triangle, j, i)
            for t in range(s if i == j else 0, min(PANEL, D - i * PANEL)):
                R[r * D + i * PANEL + t] = block[s * PANEL + t]


cdef inline void subtract_product(double* triangle, Py_ssize_t j, Py_ssize_t i, Py_ssize_t group,
                                  Py_ssize_t top, Py_ssize_t bottom) noexcept nogil:
    """From the blocks in block row j of `group` panels from i on, subtract the product of panel j
    and those panels over the rows from top up to bottom."""
    cdef const double* a[GROUP]
    cdef double* c[GROUP]
    cdef Py_ssize_t k
    if bottom <= top:
        return
    for k in range(group):
        a[k] = triangle + panel_start(i + k) + top * PANEL
        c[k] = block_of(triangle, j, i + k)
    tile(group, bottom - top, a, triangle + panel_start(j) + top * PANEL, -1.0, c)


cdef inline void solve_block(const double* diagonal, alone block) noexcept nogil:
    """block = U'^-1 block for the finished block U on the diagonal."""
    cdef double inverse[PANEL]
    cdef Py_ssize_t r, s, t
    for r in range(PANEL):
        inverse[r] = 1.0 / diagonal[r * PANEL + r]
    for r in range(PANEL):
        for s in range(r):
            for t in range(PANEL):
                block[r * PANEL + t] -= diagonal[s * PANEL + r] * block[s * PANEL + t]
        for t in range(PANEL):
            block[r * PANEL + t] *= inverse[r]


cdef inline int factor_block(double* block) noexcept nogil:
    """Factor a block on the diagonal; return 0, or the number of the first bad pivot from 1 on."""
    cdef Py_ssize_t r, s, t
    cdef double pivot, inverse
    for r in range(PANEL):
        for s in range(r):
            for t in range(PANEL):
                block[r * PANEL + t] -= block[s * PANEL + r] * block[s * PANEL + t]
        pivot = block[r * PANEL + r]
        if not (pivot > 0 and pivot <= DBL_MAX):
            return <int> r + 1
        inverse = 1.0 / sqrt(pivot)
        for t in range(PANEL):
            block[r * PANEL + t] *= inverse
        block[r * PANEL + r] = sqrt(pivot)
    return 0


cdef void finish_group(double* triangle, Py_ssize_t first, Py_ssize_t last, Py_ssize_t i,
                       Py_ssize_t group) noexcept nogil:
    """Finish the blocks of `group` panels from i on in the block rows from first up to last,
    whose diagonal is finished. Reads the panels above them once for all these block rows."""
    cdef Py_ssize_t top = 0, bottom, j, k
    while top < first * PANEL:
        bottom = min(top + DEEP_ROWS, first * PANEL)
        for j in range(first, last):
            subtract_product(triangle, j, i, group, top, bottom)
        top = bottom
    for j in range(first, last):
        subtract_product(triangle, j, i, group, first * PANEL, j * PANEL)
        for k in range(i, i + group):
            solve_block(block_of(triangle, j, j), block_of(triangle, j, k))


cdef Py_ssize_t factor_diagonal(double* triangle, Py_ssize_t first,
                                Py_ssize_t last) noexcept nogil:
    """Finish the square of blocks on the diagonal from first up to last; return 0, or the number
    of the first pivot that is not positive and finite."""
    cdef Py_ssize_t i
    cdef int bad
    for i in range(first, last):
        finish_group(triangle, first, i, i, 1)
        subtract_product(triangle, i, i, 1, 0, i * PANEL)
        bad = factor_block(block_of(triangle, i, i))
        if bad != 0:
            return i * PANEL + bad
    return 0


cdef void solve_transposed(const real* R, Py_ssize_t D, double* v, Py_ssize_t q) noexcept nogil:
    """v = R'^-1 v for q vectors. Reads R's triangle from memory once."""
    cdef Py_ssize_t k, s
    cdef const real* row
    cdef double* x
    for k in range(D):
        row = R + k * D
        for s in range(q):
            x = v + s * D
            x[k] /= row[k]
            axpy(row + k + 1, -x[k], D - k - 1, x + k + 1)


cdef void solve_upper(const real* R, Py_ssize_t D, double* v, Py_ssize_t q) noexcept nogil:
    """v = R^-1 v for q vectors. Reads R's triangle from memory once."""
    cdef Py_ssize_t k, s
    cdef const real* row
    cdef double* x
    for k in range(D - 1, -1, -1):
        row = R + k * D
        for s in range(q):
            x = v + s * D
            x[k] = (x[k] - dot(row + k + 1, x + k + 1, D - k - 1)) / row[k]


cdef void multiply_rows(const double* scale, Py_ssize_t D, double* x, Py_ssize_t q) noexcept nogil:
    cdef Py_ssize_t j, k
    for k in range(q):
        for j in range(D):
            x[k * D + j] *= scale[j]


cdef void solve_scaled(const real* R, const double* scale, Py_ssize_t D, double* x,
                       Py_ssize_t q) noexcept nogil:
    """x = A^-1 x for q vectors, R and scale being A's factor."""
    multiply_rows(scale, D, x, q)
    solve_transposed(R, D, x, q)
    solve_upper(R, D, x, q)
    multiply_rows(scale, D, x, q)
