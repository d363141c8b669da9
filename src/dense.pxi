# SPDX-License-Identifier: BSD-3-Clause
# Products with a block of rows of a dense X. No threads, no Python objects.
#
# Two primitives, in lines.h, do both products in both layouts. By rows (C order), z = Xw + b is
# made of dot products and g += X'r of sums of rows; by columns (Fortran order), z is made of sums
# of columns and g of dot products. Several lines at a time, so that the vector beside them is
# loaded once for all of them.
#
# A block is read from memory once, for z, and is still in the cache for g. From memory, rows of up
# to SHORT_ROW bytes are read one after the other, which is what processors read ahead by
# themselves: at 50 to 100 columns that is four fifths of a plain read on two threads, and up to
# three times as fast as eight rows abreast; asking for them as well makes it slower. Longer rows
# are read eight abreast, in as many pages, and each product asks for half of the next eight, or
# else memory would rest meanwhile: a fifth to a third less time, and nine tenths of a plain read.
# Of many classes with few columns each asks for a part of the next block. By columns the first
# product, eight abreast as well, asks for the next eight, up to an eighth less time.

ctypedef fused real:
    float
    double

cdef enum:
    CACHE_LINE = 64     # bytes
    BLOCK_BYTES = 4096  # of X in a block of rows, of which there are eight at least
    FROM_MEMORY = 4194304   # bytes of X; a smaller one is in caches
    # Bytes of rows that are read one after the other, in passes
    SHORT_ROW = 1024    # for z and g: at most,
    LONG_ROW = 8192     # for z alone: at most,
    SHORTEST_SUM = 128  # for g alone: at least, as sums of shorter ones wait for each other,
    LONGEST_SUM = 2048  # and at most
    COLUMN_BLOCK_BYTES = 262144  # of X in a block of columns: a fraction of a second-level cache
    LEAST_COLUMN_ROWS = 128  # of each column: with 64, a tenth slower
    COLUMN_PIECE = 4096  # bytes of each column where there are many rows: faster by a fifth
    MANY_PIECES = 16    # of so many bytes in a column: threads need something to share
    MANY_CLASSES = 5    # from so many on each asks for a part
    MOST_ROWS = 1024    # in a block, which bounds its buffers on the stack
    MOST_ROWS_A_SUM = 256   # that are added up one after the other (parallel.pxi says why)


cdef inline Py_ssize_t block_rows(Py_ssize_t n, Py_ssize_t d, Py_ssize_t itemsize,
                                  bint by_columns) noexcept nogil:
    """Count the rows of a block, a multiple of eight, by layout and shape alone."""
    cdef Py_ssize_t rows, bytes_of_row = max(d, <Py_ssize_t> 1) * itemsize
    if by_columns:
        rows = max(COLUMN_BLOCK_BYTES // bytes_of_row, <Py_ssize_t> LEAST_COLUMN_ROWS)
        if n * itemsize >= MANY_PIECES * COLUMN_PIECE:
            rows = max(rows, COLUMN_PIECE // itemsize)
    else:
        rows = BLOCK_BYTES // bytes_of_row
    return max(min(rows, <Py_ssize_t> MOST_ROWS) // 8 * 8, 8)


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


cdef enum Reading:      # how a block of rows comes into the cache
    AS_IT_COMES = 0     # it is there, or nothing helps
    IN_ORDER = 1        # the first product reads row after row
    AHEAD = 2           # products ask for the next rows: each for half, or that of all classes
    IN_PARTS = 3        # each class's first product asks for a part of the next block
    BY_COLUMNS = 4      # the first product asks for the next columns


cdef inline void dot_lines(const real* x, Py_ssize_t stride, Py_ssize_t lines, Reading reading,
                           const double* v, Py_ssize_t m, double* out) noexcept nogil:
    """out[k] += x_k · v for every line."""
    if reading == IN_ORDER:
        if real is float:
            dot_lines_in_order_float(x, stride, lines, v, m, out)
        else:
            dot_lines_in_order_double(x, stride, lines, v, m, out)
    elif reading == AHEAD:
        if real is float:
            dot_lines_ahead_float(x, stride, lines, v, m, out)
        else:
            dot_lines_ahead_double(x, stride, lines, v, m, out)
    elif real is float:
        dot_lines_float(x, stride, lines, v, m, out)
    else:
        dot_lines_double(x, stride, lines, v, m, out)


cdef inline void sum_lines(const real* x, Py_ssize_t stride, Py_ssize_t lines, Reading reading,
                           const double* r, Py_ssize_t m, double* out) noexcept nogil:
    """out += sum_k r[k] x_k over every line."""
    if reading == IN_ORDER:
        if real is float:
            sum_lines_in_order_float(x, stride, lines, r, m, out)
        else:
            sum_lines_in_order_double(x, stride, lines, r, m, out)
    elif reading == AHEAD or reading == BY_COLUMNS:
        if real is float:
            sum_lines_ahead_float(reading == AHEAD, x, stride, lines, r, m, out)
        else:
            sum_lines_ahead_double(reading == AHEAD, x, stride, lines, r, m, out)
    elif real is float:
        sum_lines_float(x, stride, lines, r, m, out)
    else:
        sum_lines_double(x, stride, lines, r, m, out)


cdef inline void margins(const real* x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t rows,
                         Py_ssize_t d, Reading reading, const double* w, double b,
                         double* z) noexcept nogil:
    """z = Xw + b for the rows starting at x, whose entries are `row` and `column` apart.

    Reads rows · d entries from memory, once.
    """
    cdef Py_ssize_t i
    for i in range(rows):
        z[i] = b
    if column == 1:
        dot_lines(x, row, rows, reading, w, d, z)
    else:
        sum_lines(x, column, d, reading, w, rows, z)


cdef inline void add_gradient(const real* x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t rows,
                              Py_ssize_t d, Reading reading, const double* r,
                              double* g) noexcept nogil:
    """g[:d] += X'r and g[d] += sum(r) for the same rows."""
    cdef double db = 0
    cdef Py_ssize_t i, m
    for i in range(rows):
        db += r[i]
    g[d] += db
    if column == 1:
        sum_lines(x, row, rows, reading, r, d, g)
        return
    i = 0
    while i < rows:
        m = min(rows - i, <Py_ssize_t> MOST_ROWS_A_SUM)
        dot_lines(x + i, column, d, AS_IT_COMES, r + i, m, g)
        i += m
