# SPDX-License-Identifier: BSD-3-Clause
# Products with a block of rows of a dense X. No threads, no Python objects.
#
# Two primitives do both products in both layouts. By rows (C order), z = Xw + b is made of dot
# products and g += X'r of sums of rows; by columns (Fortran order), z is made of sums of columns
# and g of dot products. Several lines at a time, so that the vector beside them is loaded once
# for all of them.
#
# A block is read from memory once, for z, and is still in the cache for g. While it is computed
# on, the processor's own prefetching pauses, so each primitive asks for half of the next block:
# dot4 for two of its four lines, axpy4 for the other two. That is worth a third of the speed.
#
# With many columns the block holds only a short piece of each, far apart, and every piece starts
# cold. There dot8 and axpy8 ask for the first line of the next eight pieces, from where the
# processor goes on by itself: 10-25 % faster at 500 columns, 70 % at 4,000. Longer pieces are
# better off with half of the next block: 6 % at 200 columns, 10-20 % at 50.
#
# float32 entries are widened on their way into the arithmetic, which is float64 throughout.

ctypedef fused real:
    float
    double

cdef enum:
    TILE_BYTES = 256    # of a line between two bursts of prefetches
    CACHE_LINE = 64     # bytes
    BLOCK_BYTES = 16384  # of X in a block of rows: half of a first-level cache
    COLUMN_BLOCK_BYTES = 262144  # of X in a block of columns: a fraction of a second-level cache
    LEAST_COLUMN_ROWS = 128  # of each column: with 64, a tenth slower
    SHORT_PIECE = 1024  # bytes of a column, up to which dot8 and axpy8 are faster
    MOST_ROWS = 1024    # in a block, which bounds its buffers on the stack


cdef inline Py_ssize_t block_rows(Py_ssize_t d, Py_ssize_t itemsize,
                                  bint by_columns) noexcept nogil:
    """Count the rows of a block, a multiple of four, by the layout and d alone."""
    cdef Py_ssize_t rows, bytes_of_row = max(d, <Py_ssize_t> 1) * itemsize
    if by_columns:
        rows = max(COLUMN_BLOCK_BYTES // bytes_of_row, <Py_ssize_t> LEAST_COLUMN_ROWS)
    else:
        rows = BLOCK_BYTES // bytes_of_row
    return max(min(rows, <Py_ssize_t> MOST_ROWS) // 4 * 4, 4)


cdef inline void prefetch_two(const real* p, const real* q, Py_ssize_t m) noexcept nogil:
    cdef Py_ssize_t j = 0
    while j < m:
        prefetch(p + j)
        prefetch(q + j)
        j += CACHE_LINE // <Py_ssize_t> sizeof(real)


cdef inline void dot4(const real* x, Py_ssize_t stride, const double* v, Py_ssize_t m,
                      Py_ssize_t ahead, alone out) noexcept nogil:
    """out[k] += x_k · v for the four lines x_k of m entries, `stride` apart."""
    cdef const real* x1 = x + stride
    cdef const real* x2 = x1 + stride
    cdef const real* x3 = x2 + stride
    cdef double s0 = 0, s1 = 0, s2 = 0, s3 = 0, vj
    cdef Py_ssize_t entries = TILE_BYTES // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t tile, start, stop, j
    for tile in range((m + entries - 1) // entries):
        start = tile * entries
        stop = min(start + entries, m)
        if ahead:
            prefetch_two(x + ahead + start, x1 + ahead + start, stop - start)
        for j in range(start, stop):
            vj = v[j]
            s0 += x[j] * vj
            s1 += x1[j] * vj
            s2 += x2[j] * vj
            s3 += x3[j] * vj
    out[0] += s0
    out[1] += s1
    out[2] += s2
    out[3] += s3


cdef inline void axpy4(const real* x, Py_ssize_t stride, const double* r, Py_ssize_t m,
                       Py_ssize_t ahead, alone out) noexcept nogil:
    """out += sum_k r[k] x_k for the four lines x_k of m entries, `stride` apart."""
    cdef const real* x1 = x + stride
    cdef const real* x2 = x1 + stride
    cdef const real* x3 = x2 + stride
    cdef double r0 = r[0], r1 = r[1], r2 = r[2], r3 = r[3]
    cdef Py_ssize_t entries = TILE_BYTES // <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t tile, start, stop, j
    for tile in range((m + entries - 1) // entries):
        start = tile * entries
        stop = min(start + entries, m)
        if ahead:
            prefetch_two(x2 + ahead + start, x3 + ahead + start, stop - start)
        for j in range(start, stop):
            out[j] += (x[j] * r0 + x1[j] * r1) + (x2[j] * r2 + x3[j] * r3)


cdef inline void prefetch_eight(const real* x, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(8):
        prefetch(x + k * stride)


cdef inline void dot8(const real* x, Py_ssize_t stride, const double* v, Py_ssize_t m,
                      alone out) noexcept nogil:
    """out[k] += x_k · v for the eight short pieces x_k of m entries, `stride` apart."""
    cdef double s[8]
    cdef double vj
    cdef Py_ssize_t j, k
    prefetch_eight(x + 8 * stride, stride)
    for k in range(8):
        s[k] = 0
    for j in range(m):
        vj = v[j]
        for k in range(8):
            s[k] += x[k * stride + j] * vj
    for k in range(8):
        out[k] += s[k]


cdef inline void axpy8(const real* x, Py_ssize_t stride, const double* r, Py_ssize_t m,
                       alone out) noexcept nogil:
    """out += sum_k r[k] x_k for the eight short pieces x_k of m entries, `stride` apart."""
    cdef double s
    cdef Py_ssize_t j, k
    prefetch_eight(x + 8 * stride, stride)
    for j in range(m):
        s = out[j]
        for k in range(8):
            s += x[k * stride + j] * r[k]
        out[j] = s


cdef inline double dot(const real* x, const double* v, Py_ssize_t m) noexcept nogil:
    cdef double s = 0
    cdef Py_ssize_t j
    for j in range(m):
        s += x[j] * v[j]
    return s


cdef inline void axpy(const real* x, double r, Py_ssize_t m, alone out) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(m):
        out[j] += r * x[j]


cdef inline void dot_lines(const real* x, Py_ssize_t stride, Py_ssize_t lines, const double* v,
                           Py_ssize_t m, Py_ssize_t ahead, alone out) noexcept nogil:
    """out[k] += x_k · v for every line."""
    cdef Py_ssize_t k
    for k in range(0, lines - 3, 4):
        dot4(x + k * stride, stride, v, m, ahead, out + k)
    for k in range(lines // 4 * 4, lines):
        out[k] += dot(x + k * stride, v, m)


cdef inline void sum_lines(const real* x, Py_ssize_t stride, Py_ssize_t lines, const double* r,
                           Py_ssize_t m, Py_ssize_t ahead, alone out) noexcept nogil:
    """out += sum_k r[k] x_k over every line."""
    cdef Py_ssize_t k
    for k in range(0, lines - 3, 4):
        axpy4(x + k * stride, stride, r + k, m, ahead, out)
    for k in range(lines // 4 * 4, lines):
        axpy(x + k * stride, r[k], m, out)


cdef inline void dot_pieces(const real* x, Py_ssize_t stride, Py_ssize_t pieces, const double* v,
                            Py_ssize_t m, alone out) noexcept nogil:
    """dot_lines for short pieces far apart."""
    cdef Py_ssize_t k
    for k in range(0, pieces - 7, 8):
        dot8(x + k * stride, stride, v, m, out + k)
    for k in range(pieces // 8 * 8, pieces):
        out[k] += dot(x + k * stride, v, m)


cdef inline void sum_pieces(const real* x, Py_ssize_t stride, Py_ssize_t pieces, const double* r,
                            Py_ssize_t m, alone out) noexcept nogil:
    """sum_lines for short pieces far apart."""
    cdef Py_ssize_t k
    for k in range(0, pieces - 7, 8):
        axpy8(x + k * stride, stride, r + k, m, out)
    for k in range(pieces // 8 * 8, pieces):
        axpy(x + k * stride, r[k], m, out)


cdef inline void margins(const real* x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t ahead,
                         Py_ssize_t rows, Py_ssize_t d, const double* w, double b,
                         double* z) noexcept nogil:
    """z = Xw + b for the rows starting at x, whose entries are `row` and `column` apart.

    Reads rows · d entries from memory, once.
    """
    cdef Py_ssize_t i
    for i in range(rows):
        z[i] = b
    if column == 1:
        dot_lines(x, row, rows, w, d, ahead, z)
    elif rows * <Py_ssize_t> sizeof(real) <= SHORT_PIECE:
        sum_pieces(x, column, d, w, rows, z)
    else:
        sum_lines(x, column, d, w, rows, ahead, z)


cdef inline void add_gradient(const real* x, Py_ssize_t row, Py_ssize_t column,
                              Py_ssize_t ahead, Py_ssize_t rows, Py_ssize_t d, const double* r,
                              double* g) noexcept nogil:
    """g[:d] += X'r and g[d] += sum(r) for the same rows, which are in the cache."""
    cdef double db = 0
    cdef Py_ssize_t i
    for i in range(rows):
        db += r[i]
    g[d] += db
    if column == 1:
        sum_lines(x, row, rows, r, d, ahead, g)
    elif rows * <Py_ssize_t> sizeof(real) <= SHORT_PIECE:
        dot_pieces(x, column, d, r, rows, g)
    else:
        dot_lines(x, column, d, r, rows, ahead, g)
