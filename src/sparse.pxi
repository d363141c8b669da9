# SPDX-License-Identifier: BSD-3-Clause
# Products with a block of rows of a sparse X, whose entries stand row by row (CSR). No threads, no
# Python objects. A matrix by columns (CSC) is its transpose by rows: its two products change
# places, and nothing here knows of it.
#
# A row is a line of entries: columns[start_i] to columns[start_{i+1} - 1] and as many values. z is
# made of gathers and g of scatters, whose price is that of getting at w and g, not of reading X:
# about a nanosecond an entry, of 12 bytes. So many loads under way keep the processor from reading
# ahead in X by itself, so each four entries ask for those further on. That also keeps compilers
# from making gathers of vectors, which take a third longer than as many loads. Asking for the
# places in w and g, larger pages for these and w beside g in one array save nothing. Entries that
# come twice count twice, in any order. Where all values are 1 they are not read.

ctypedef fused index:
    int32_t
    int64_t

cdef enum:
    # A block: w and g are in the way of each other, so it is as large as the second cache allows.
    SPARSE_ROWS = 512
    LEAST_SPARSE_ROWS = 64
    SPARSE_ENTRIES = 32768
    ENTRIES_AHEAD = 256     # that are asked for before their turn


cdef struct Sparse:
    const void* starts      # n + 1 places in columns and values; NULL: X is dense
    const void* columns
    const void* values      # NULL: all are 1
    Py_ssize_t entries      # how many there are
    bint wide_starts, wide_columns      # int64, else int32
    bint is_float
    bint sound              # the columns have been looked at
    bint squared            # the squares of the values stand for them


cdef inline Py_ssize_t start_of(const Sparse* x, Py_ssize_t row) noexcept nogil:
    if x.wide_starts:
        return <Py_ssize_t> (<const int64_t*> x.starts)[row]
    return (<const int32_t*> x.starts)[row]


cdef inline Py_ssize_t row_at(const Py_ssize_t* order, Py_ssize_t i) noexcept nogil:
    return i if order == NULL else order[i]


cdef inline Py_ssize_t sparse_block_rows(const Sparse* x, Py_ssize_t n,
                                         Py_ssize_t K) noexcept nogil:
    """Rows that both products are made of at once, for K columns of margins."""
    cdef Py_ssize_t each = max(x.entries // max(n, <Py_ssize_t> 1), <Py_ssize_t> 1)
    cdef Py_ssize_t most = min(<Py_ssize_t> SPARSE_ROWS, SPARSE_ENTRIES // each)
    return max(<Py_ssize_t> LEAST_SPARSE_ROWS, most // max(K, <Py_ssize_t> 1))


cdef inline bint all_below(const index* at, Py_ssize_t m, Py_ssize_t d) noexcept nogil:
    """Whether all of at are from 0 to d - 1."""
    cdef index most = <index> min(d - 1, <Py_ssize_t> INT32_MAX if index is int32_t else d)
    cdef int outside = 0
    cdef Py_ssize_t k
    for k in range(m):
        outside |= (at[k] < 0) | (at[k] > most)
    return outside == 0


cdef inline bint starts_rise(const Sparse* x, Py_ssize_t n) noexcept nogil:
    """Whether the n rows lie one after the other among the entries."""
    cdef Py_ssize_t i, falls = 0
    for i in range(n):
        falls += start_of(x, i + 1) < start_of(x, i)
    return falls == 0 and start_of(x, 0) == 0 and start_of(x, n) <= x.entries


cdef inline bint in_columns(const Sparse* x, Py_ssize_t first, Py_ssize_t last,
                            Py_ssize_t d) noexcept nogil:
    if x.wide_columns:
        return all_below(<const int64_t*> x.columns + first, last - first, d)
    return all_below(<const int32_t*> x.columns + first, last - first, d)


cdef inline bint is_sound(const Sparse* x, const Py_ssize_t* order, Py_ssize_t begin, Py_ssize_t m,
                          Py_ssize_t d) noexcept nogil:
    """Whether m rows have their entries in columns that there are.

    The columns of a block are looked at while they come into the cache for the products.
    """
    cdef Py_ssize_t i
    if x.sound:
        return True
    if order == NULL:
        return in_columns(x, start_of(x, begin), start_of(x, begin + m), d)
    for i in range(begin, begin + m):
        if not in_columns(x, start_of(x, order[i]), start_of(x, order[i] + 1), d):
            return False
    return True


cdef inline void ask_ahead(const index* at, const real* x, Py_ssize_t k) noexcept nogil:
    """Ask for entries that come further on. Those behind the last one do no harm."""
    prefetch(at + k + ENTRIES_AHEAD)
    if x != NULL:
        prefetch(x + k + ENTRIES_AHEAD)


cdef inline double value_at(const real* x, Py_ssize_t k) noexcept nogil:
    return 1.0 if x == NULL else <double> x[k]


cdef inline double gather_line(const index* at, const real* x, const double* w,
                               Py_ssize_t m) noexcept nogil:
    """The sum of x_k w[at_k], a value of NULL being 1."""
    cdef double s0 = 0, s1 = 0, s2 = 0, s3 = 0
    cdef Py_ssize_t k
    for k in range(0, m - 3, 4):
        ask_ahead(at, x, k)
        s0 += value_at(x, k) * w[at[k]]
        s1 += value_at(x, k + 1) * w[at[k + 1]]
        s2 += value_at(x, k + 2) * w[at[k + 2]]
        s3 += value_at(x, k + 3) * w[at[k + 3]]
    for k in range(m // 4 * 4, m):
        s0 += value_at(x, k) * w[at[k]]
    return (s0 + s1) + (s2 + s3)


cdef inline void scatter_line(const index* at, const real* x, double r, Py_ssize_t m,
                              double* out) noexcept nogil:
    """out[at_k] += r x_k."""
    cdef Py_ssize_t k
    for k in range(0, m - 3, 4):
        ask_ahead(at, x, k)
        out[at[k]] += r * value_at(x, k)
        out[at[k + 1]] += r * value_at(x, k + 1)
        out[at[k + 2]] += r * value_at(x, k + 2)
        out[at[k + 3]] += r * value_at(x, k + 3)
    for k in range(m // 4 * 4, m):
        out[at[k]] += r * value_at(x, k)


cdef inline void scatter_squares(const index* at, const real* x, double r, Py_ssize_t m,
                                 double* out) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(m):
        out[at[k]] += r * (value_at(x, k) * value_at(x, k))


cdef inline void gather_rows(const Sparse* x, const index* columns, const real* values,
                             const Py_ssize_t* order, Py_ssize_t begin, Py_ssize_t m,
                             const double* w, double b, double* z) noexcept nogil:
    cdef Py_ssize_t i, row, first, length
    cdef const real* line
    for i in range(m):
        row = row_at(order, begin + i)
        first = start_of(x, row)
        length = start_of(x, row + 1) - first
        line = values + first if values != NULL else NULL
        z[i] = b + gather_line(columns + first, line, w, length)


cdef inline void scatter_rows(const Sparse* x, const index* columns, const real* values,
                              const Py_ssize_t* order, Py_ssize_t begin, Py_ssize_t m,
                              const double* r, double* g) noexcept nogil:
    cdef Py_ssize_t i, row, first, length
    cdef const real* line
    for i in range(m):
        if r[i] == 0:   # most weights, where lines are columns
            continue
        row = row_at(order, begin + i)
        first = start_of(x, row)
        length = start_of(x, row + 1) - first
        line = values + first if values != NULL else NULL
        if x.squared:
            scatter_squares(columns + first, line, r[i], length, g)
        else:
            scatter_line(columns + first, line, r[i], length, g)


cdef inline void sparse_margins(const Sparse* x, const Py_ssize_t* order, Py_ssize_t begin,
                                Py_ssize_t m, const double* w, double b, double* z) noexcept nogil:
    """z = Xw + b for m rows."""
    if x.wide_columns:
        if x.is_float:
            gather_rows(x, <const int64_t*> x.columns, <const float*> x.values, order, begin, m,
                        w, b, z)
        else:
            gather_rows(x, <const int64_t*> x.columns, <const double*> x.values, order, begin, m,
                        w, b, z)
    elif x.is_float:
        gather_rows(x, <const int32_t*> x.columns, <const float*> x.values, order, begin, m,
                    w, b, z)
    else:
        gather_rows(x, <const int32_t*> x.columns, <const double*> x.values, order, begin, m,
                    w, b, z)


cdef inline void sparse_gradient(const Sparse* x, const Py_ssize_t* order, Py_ssize_t begin,
                                 Py_ssize_t m, Py_ssize_t d, const double* r,
                                 double* g) noexcept nogil:
    """g[:d] += X'r and g[d] += sum(r) for m rows."""
    cdef double db = 0
    cdef Py_ssize_t i
    for i in range(m):
        db += r[i]
    g[d] += db
    if x.wide_columns:
        if x.is_float:
            scatter_rows(x, <const int64_t*> x.columns, <const float*> x.values, order, begin, m,
                         r, g)
        else:
            scatter_rows(x, <const int64_t*> x.columns, <const double*> x.values, order, begin, m,
                         r, g)
    elif x.is_float:
        scatter_rows(x, <const int32_t*> x.columns, <const float*> x.values, order, begin, m,
                     r, g)
    else:
        scatter_rows(x, <const int32_t*> x.columns, <const double*> x.values, order, begin, m,
                     r, g)
