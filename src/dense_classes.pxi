# SPDX-License-Identifier: BSD-3-Clause
# Products with a block of rows of a dense X for several columns of z at once. No threads, no Python
# objects.
#
# As in sparse_classes.pxi the weights of a column of X stand together, and so do its sums:
# (d + 1, lanes), the bias last. The four or eight rows whose margins are made ask for as many
# behind them, and the sums of a block of rows, if they read it from memory, for the next block:
# little by little, as all at once would hold up the arithmetic. With ten classes a pass takes 1.2
# to 1.8 times as long without.

cdef enum:
    LEAST_LANE_PRODUCTS = 192   # of a row; with fewer, turning margins over costs what is gained
    CLASS_BLOCK_BYTES = 32768   # of X in a block of rows,
    LEAST_CLASS_ROWS = 32       # which has as many at least: sums of g are read and written again
    CLASS_BLOCK_MARGINS = 2048  # of its margins, which links go over several times
    CLASS_STEP_BYTES = 8192     # of X in the rows whose margins are made together, from one part of
    LEAST_CLASS_STEP = 16       # the weights after the other; and how many rows at least


cdef inline Py_ssize_t class_block_rows(Py_ssize_t d, Py_ssize_t K, Py_ssize_t itemsize,
                                        bint by_columns) noexcept nogil:
    """Count the rows of a block, a multiple of eight, by the layout and the shape alone."""
    cdef Py_ssize_t rows = max(CLASS_BLOCK_BYTES // (d * itemsize),
                               <Py_ssize_t> (LEAST_COLUMN_ROWS if by_columns else LEAST_CLASS_ROWS))
    return max(min(rows, min(CLASS_BLOCK_MARGINS // K, <Py_ssize_t> MOST_ROWS)) // 8 * 8, 8)


cdef inline void class_lines(const real* x, bint ahead, Py_ssize_t across, Py_ssize_t along,
                             Py_ssize_t lines, Py_ssize_t depth, const double* a,
                             Py_ssize_t lanes, double* c) noexcept nogil:
    """c[s] += sum_t x[s across + t along] a[t] for every line s, each c and a a row of lanes.

    With `ahead` the rows of X behind these are asked for meanwhile.
    """
    if real is float:
        class_lines_float(ahead, lines, depth, a, lanes, x, across, along, c)
    else:
        class_lines_double(ahead, lines, depth, a, lanes, x, across, along, c)


cdef inline Py_ssize_t class_step(const real* x, Py_ssize_t d) noexcept nogil:
    return max(CLASS_STEP_BYTES // (max(d, <Py_ssize_t> 1) * <Py_ssize_t> sizeof(real)) // 8 * 8,
               <Py_ssize_t> LEAST_CLASS_STEP)


cdef inline void dense_class_margins(const real* x, Py_ssize_t row, Py_ssize_t column,
                                     Py_ssize_t m, Py_ssize_t d, Py_ssize_t K, bint ahead,
                                     const double* w, alone by_rows, alone z) noexcept nogil:
    """z[k m + i] = x_i w_k + b_k. `by_rows` is room for m rows of lanes."""
    cdef Py_ssize_t lanes = lanes_of(K), step = class_step(x, d), i, k
    for i in range(m):
        for k in range(lanes):
            by_rows[i * lanes + k] = w[d * lanes + k]
    i = 0
    while i < m:
        class_lines(x + i * row, ahead, row, column, min(step, m - i), d, w, lanes,
                    by_rows + i * lanes)
        i += step
    for k in range(K):
        for i in range(m):
            z[k * m + i] = by_rows[i * lanes + k]


cdef inline void dense_class_gradient(const real* x, Py_ssize_t row, Py_ssize_t column,
                                      Py_ssize_t m, Py_ssize_t d, Py_ssize_t K, bint ahead,
                                      const double* r, alone by_rows, alone g) noexcept nogil:
    """g[:d] += X'r and g[d] += sum(r) for every class."""
    cdef Py_ssize_t lanes = lanes_of(K), i, k
    for k in range(lanes):
        for i in range(m):
            by_rows[i * lanes + k] = r[k * m + i] if k < K else 0.0
    for i in range(m):
        for k in range(lanes):
            g[d * lanes + k] += by_rows[i * lanes + k]
    class_lines(x, ahead, column, row, d, m, by_rows, lanes, g)
