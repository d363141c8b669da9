# SPDX-License-Identifier: BSD-3-Clause
# Products with a block of rows of a dense X. No threads, no Python objects.
#
# Two primitives, in lines.h, do both products in both layouts. By rows (C order), z = Xw + b is
# made of dot products and g += X'r of sums of rows; by columns (Fortran order), z is made of sums
# of columns and g of dot products. Several lines at a time, so that the vector beside them is
# loaded once for all of them.
#
# A block is read from memory once, for z, and is still in the cache for g. While it is computed
# on, the processor's own prefetching pauses. Rows are therefore asked for a block ahead, and a
# block is as small as what the memory delivers meanwhile: at 50 columns that is 88 % of a plain
# read, where larger blocks or none asked for make it 60-70 %. A processor waits for a few dozen
# lines at a time and stands still for more, so that a quarter is asked for before each half of the
# first product, one before the link and one before the second product: where memory is fast, a
# tenth less time at 10 to 60 columns than at once, and a third less at 90. Columns in long pieces
# do without.

ctypedef fused real:
    float
    double

cdef enum:
    CACHE_LINE = 64     # bytes
    BLOCK_BYTES = 4096  # of X in a block of rows, of which there are eight at least;
    LONG_ROW = 128      # or four, up to so many columns: the next block can be asked for as a whole
    FROM_MEMORY = 4194304   # bytes of X for that; a smaller one is in caches
    SHORT_ROW = 1024    # bytes. Eight at a time are not read in order: a fifth slower from memory
    COLUMN_BLOCK_BYTES = 262144  # of X in a block of columns: a fraction of a second-level cache
    LEAST_COLUMN_ROWS = 128  # of each column: with 64, a tenth slower
    COLUMN_PIECE = 4096  # bytes of each column where there are many rows: faster by a fifth
    MANY_PIECES = 16    # of so many bytes in a column: threads need something to share
    MOST_ROWS = 1024    # in a block, which bounds its buffers on the stack


cdef inline Py_ssize_t block_rows(Py_ssize_t n, Py_ssize_t d, Py_ssize_t itemsize,
                                  bint by_columns) noexcept nogil:
    """Count the rows of a block, a multiple of eight or four, by layout and shape alone."""
    cdef Py_ssize_t least = 8, rows, bytes_of_row = max(d, <Py_ssize_t> 1) * itemsize
    if by_columns:
        rows = max(COLUMN_BLOCK_BYTES // bytes_of_row, <Py_ssize_t> LEAST_COLUMN_ROWS)
        if n * itemsize >= MANY_PIECES * COLUMN_PIECE:
            rows = max(rows, COLUMN_PIECE // itemsize)
    else:
        rows = BLOCK_BYTES // bytes_of_row
        if d <= LONG_ROW and n * bytes_of_row >= FROM_MEMORY:
            least = 4
    return max(min(rows, <Py_ssize_t> MOST_ROWS) // 8 * 8, least)


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
                           Py_ssize_t m, double* out) noexcept nogil:
    """out[k] += x_k · v for every line."""
    if real is float:
        dot_lines_float(x, stride, lines, v, m, out)
    else:
        dot_lines_double(x, stride, lines, v, m, out)


cdef inline void dot_short_lines(const real* x, Py_ssize_t stride, Py_ssize_t lines,
                                 const double* v, Py_ssize_t m, double* out) noexcept nogil:
    """The same, nearer to the order in which they stand."""
    if real is float:
        dot_short_lines_float(x, stride, lines, v, m, out)
    else:
        dot_short_lines_double(x, stride, lines, v, m, out)


cdef inline void sum_lines(const real* x, Py_ssize_t stride, Py_ssize_t lines, const double* r,
                           Py_ssize_t m, double* out) noexcept nogil:
    """out += sum_k r[k] x_k over every line."""
    if real is float:
        sum_lines_float(x, stride, lines, r, m, out)
    else:
        sum_lines_double(x, stride, lines, r, m, out)


cdef inline void margins(const real* x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t rows,
                         Py_ssize_t d, const double* w, double b, double* z) noexcept nogil:
    """z = Xw + b for the rows starting at x, whose entries are `row` and `column` apart.

    Reads rows · d entries from memory, once.
    """
    cdef Py_ssize_t i
    for i in range(rows):
        z[i] = b
    if column != 1:
        sum_lines(x, column, d, w, rows, z)
    elif d * <Py_ssize_t> sizeof(real) <= SHORT_ROW:
        dot_short_lines(x, row, rows, w, d, z)
    else:
        dot_lines(x, row, rows, w, d, z)


cdef inline void add_gradient(const real* x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t rows,
                              Py_ssize_t d, const double* r, double* g) noexcept nogil:
    """g[:d] += X'r and g[d] += sum(r) for the same rows, which are in the cache."""
    cdef double db = 0
    cdef Py_ssize_t i
    for i in range(rows):
        db += r[i]
    g[d] += db
    if column == 1:
        sum_lines(x, row, rows, r, d, g)
    else:
        dot_lines(x, column, d, r, rows, g)
