# SPDX-License-Identifier: BSD-3-Clause
# What solvers ask of the entries of a sparse X themselves, row by row: whether they are in order,
# the Gram matrix of some columns, and the transpose. No threads, no Python objects.

cdef enum:
    # What stands in `sums` after inspect_pass.
    FALLS = 0           # entries whose column is not behind that of the one before
    NOT_FINITE = 1
    NOT_ONE = 2
    EXTREME = 3         # entries far from 1, whose squares are not for one sum with others'
    SQUARES = 4         # the sum of those of all entries
    ROW_NUMBERS = 5     # of the numbers of all rows
    COLUMN_SUMS = 6     # behind these: a column's sum of its rows' numbers, and their count


cdef inline double number_of(Py_ssize_t row, double most) noexcept nogil:
    """A whole number from 1 to `most` that looks random (Steele, Lea, Flood 2014, "SplitMix")."""
    cdef uint64_t h = <uint64_t> (row + 1) * <uint64_t> 0x9E3779B97F4A7C15
    h = (h ^ (h >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    h = (h ^ (h >> 27)) * <uint64_t> 0x94D049BB133111EB
    return 1 + floor(<double> (h >> 12) * 2.0 ** -52 * most)


cdef inline void number_columns(const Sparse* x, const index* columns, Py_ssize_t n,
                                Py_ssize_t begin, Py_ssize_t m, double* sums) noexcept nogil:
    """Add some rows' numbers to those of their columns. That of all rows is exact in a double."""
    cdef double number, most = 4503599627370496.0 / (n + 1) - 1
    cdef double* pair
    cdef Py_ssize_t i, k
    for i in range(begin, begin + m):
        number = number_of(i, most)
        sums[ROW_NUMBERS] += number
        for k in range(start_of(x, i), start_of(x, i + 1)):
            pair = sums + COLUMN_SUMS + 2 * columns[k]
            pair[0] += number
            pair[1] += 1


cdef inline void inspect_rows(const Sparse* x, const index* columns, const real* values,
                              Py_ssize_t begin, Py_ssize_t m, double* sums) noexcept nogil:
    """Look at all entries of some rows in one loop, which forgives the first of each row."""
    cdef Py_ssize_t first = start_of(x, begin), last = start_of(x, begin + m), falls = 0, i, k
    cdef Py_ssize_t bad = 0, other = 0, extreme = 0
    cdef double size, squares = 0
    for k in range(first + 1, last):
        falls += columns[k] <= columns[k - 1]
    for i in range(begin + 1, begin + m):
        k = start_of(x, i)
        if first < k < last and k < start_of(x, i + 1):
            falls -= columns[k] <= columns[k - 1]
    sums[FALLS] += falls
    if values == NULL:
        return
    for k in range(first, last):
        size = fabs(<double> values[k])
        bad += not (size <= DBL_MAX)
        other += values[k] != 1
        extreme += (size > 1e6) | ((size < 1e-30) & (size > 0))
        squares += size * size
    sums[NOT_FINITE] += bad
    sums[NOT_ONE] += other
    sums[EXTREME] += extreme
    sums[SQUARES] += squares


cdef void inspect_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                       double* sums) noexcept nogil:
    """Look at the entries once: their columns in range and in order, their values, and, if there
    are sums for them, which rows each column has."""
    cdef const Sparse* x = &p.sparse
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    while i < end:
        m = min(rows, end - i)
        if block_at(p, i, m, False, NULL).begin >= 0:
            if x.wide_columns:
                if x.is_float:
                    inspect_rows(x, <const int64_t*> x.columns, <const float*> x.values, i, m, sums)
                else:
                    inspect_rows(x, <const int64_t*> x.columns, <const double*> x.values, i, m,
                                 sums)
            elif x.is_float:
                inspect_rows(x, <const int32_t*> x.columns, <const float*> x.values, i, m, sums)
            else:
                inspect_rows(x, <const int32_t*> x.columns, <const double*> x.values, i, m, sums)
            if p.entries > COLUMN_SUMS:
                if x.wide_columns:
                    number_columns(x, <const int64_t*> x.columns, p.n, i, m, sums)
                else:
                    number_columns(x, <const int32_t*> x.columns, p.n, i, m, sums)
        i += m


cdef enum:
    HEAD_AHEAD = 8      # rows in another order that are asked for before their turn
    HEAD_SPARE = 8      # places behind a row's entries
    HEAD_TILE = 16      # rows and columns that are written while a cache holds them


cdef struct Heads:
    # The Gram matrix of the columns j with place[j] >= 0, and of a column of ones behind them
    const Pass* x               # X, and the order of its rows
    const int32_t* place        # (d): rises with j where it is not negative
    const double* h             # (m): weights of the rows
    Py_ssize_t m, k             # rows, columns without that of ones


cdef inline Py_ssize_t head_size(Py_ssize_t k) noexcept nogil:
    """Entries of the upper triangle of k + 1 rows, which stand one behind the other: the half of
    them stays in the cache where all would not."""
    return (k + 1) * (k + 2) // 2


cdef inline Py_ssize_t head_start(Py_ssize_t k, Py_ssize_t i) noexcept nogil:
    """Where row i of the triangle would have its entry in column 0."""
    return i * (k + 1) - i * (i + 1) // 2


cdef inline void head_row(const index* at, const real* x, Py_ssize_t m, const int32_t* place,
                          double h, Py_ssize_t k, int32_t* places, double* values,
                          alone sums) noexcept nogil:
    """Add h v v' to the triangle, v being the row's entries in the head, and 1.

    Four lines of the triangle at a time: their entries are different ones, so that none of them
    waits for another to be written.
    """
    cdef Py_ssize_t i, j, found = 0
    cdef int32_t q
    cdef double v, a, b, c, d
    cdef double[4] s
    cdef double* line[4]
    for i in range(m):
        q = place[at[i]]
        places[found] = q
        values[found] = 1.0 if x == NULL else <double> x[i]
        found += q >= 0
    places[found] = <int32_t> k
    values[found] = 1
    found += 1
    for i in range(0, found - 3, 4):
        for j in range(4):
            line[j] = sums + head_start(k, places[i + j])
            s[j] = h * values[i + j]
        for j in range(3):
            add_to_line(places, values, i + j, i + 3, s[j], line[j])
        for j in range(i + 3, found):
            q, v = places[j], values[j]
            a, b = line[0][q] + s[0] * v, line[1][q] + s[1] * v
            c, d = line[2][q] + s[2] * v, line[3][q] + s[3] * v
            line[0][q], line[1][q], line[2][q], line[3][q] = a, b, c, d
    for i in range(found // 4 * 4, found):
        add_to_line(places, values, i, found, h * values[i], sums + head_start(k, places[i]))


cdef inline void add_to_line(const int32_t* places, const double* values, Py_ssize_t begin,
                             Py_ssize_t end, double s, double* line) noexcept nogil:
    """Add s times some values to their places of a line."""
    cdef Py_ssize_t j
    for j in range(begin, end):
        line[places[j]] += s * values[j]


cdef inline void ask_for_entries(const Sparse* x, const index* columns, const real* values,
                                 Py_ssize_t row) noexcept nogil:
    cdef Py_ssize_t first = start_of(x, row), last = start_of(x, row + 1), i
    for i in range(first, min(last, first + 64), 16):
        prefetch(columns + i)
        if values != NULL:
            prefetch(values + i)
            prefetch(values + i + 8)


cdef inline void head_rows(const Heads* g, const index* columns, const real* values,
                           Py_ssize_t begin, Py_ssize_t end, double* sums) noexcept nogil:
    cdef const Sparse* x = &g.x.sparse
    cdef Py_ssize_t i, row, first
    cdef double* found = sums + head_size(g.k)  # scratch: values, then places
    cdef int32_t* places = <int32_t*> (found + g.k + HEAD_SPARE)
    for i in range(begin, end):
        row = row_at(g.x.order, i)
        if g.x.order != NULL and i + HEAD_AHEAD < end:
            ask_for_entries(x, columns, values, g.x.order[i + HEAD_AHEAD])
        first = start_of(x, row)
        if g.h[i] != 0:
            head_row(columns + first, values + first if values != NULL else NULL,
                     start_of(x, row + 1) - first, g.place, g.h[i], g.k, places, found, sums)


cdef void head_chunk(const Heads* g, Py_ssize_t begin, Py_ssize_t end,
                     double* sums) noexcept nogil:
    """Add rows to a triangle, which has room for a row's values and places behind it."""
    cdef const Sparse* x = &g.x.sparse
    if x.wide_columns:
        if x.is_float:
            head_rows(g, <const int64_t*> x.columns, <const float*> x.values, begin, end, sums)
        else:
            head_rows(g, <const int64_t*> x.columns, <const double*> x.values, begin, end, sums)
    elif x.is_float:
        head_rows(g, <const int32_t*> x.columns, <const float*> x.values, begin, end, sums)
    else:
        head_rows(g, <const int32_t*> x.columns, <const double*> x.values, begin, end, sums)


cdef inline void mirror_head(Py_ssize_t k, const double* sums, double* out) noexcept nogil:
    """Write a triangle to both halves of a symmetric matrix, of which a tile stays in the cache."""
    cdef Py_ssize_t D = k + 1, first = 0, begin, i, j
    cdef const double* row
    while first < D:
        begin = first
        while begin < D:
            for i in range(first, min(first + HEAD_TILE, D)):
                row = sums + head_start(k, i)
                for j in range(max(i, begin), min(begin + HEAD_TILE, D)):
                    out[i * D + j] = out[j * D + i] = row[j]
            begin += HEAD_TILE
        first += HEAD_TILE


cdef inline void count_line(const index* at, Py_ssize_t m, int64_t* counts) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(m):
        counts[at[k]] += 1


cdef void count_columns(const Sparse* x, Py_ssize_t begin, Py_ssize_t end,
                        int64_t* counts) noexcept nogil:
    """Count the entries of each column in some rows."""
    cdef Py_ssize_t first = start_of(x, begin), m = start_of(x, end) - first
    if x.wide_columns:
        count_line(<const int64_t*> x.columns + first, m, counts)
    else:
        count_line(<const int32_t*> x.columns + first, m, counts)


cdef inline void turn_rows(const Sparse* x, const index* columns, const real* values,
                           Py_ssize_t begin, Py_ssize_t end, int64_t* next, int32_t* rows,
                           real* out) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef int64_t place
    for i in range(begin, end):
        for k in range(start_of(x, i), start_of(x, i + 1)):
            place = next[columns[k]]
            next[columns[k]] = place + 1
            rows[place] = <int32_t> i
            if values != NULL:
                out[place] = values[k]


cdef void turn_chunk(const Sparse* x, Py_ssize_t begin, Py_ssize_t end, int64_t* next,
                     int32_t* rows, void* out) noexcept nogil:
    """Write the entries of some rows to where `next` says that each column's next one is."""
    if x.wide_columns:
        if x.is_float:
            turn_rows(x, <const int64_t*> x.columns, <const float*> x.values, begin, end, next,
                      rows, <float*> out)
        else:
            turn_rows(x, <const int64_t*> x.columns, <const double*> x.values, begin, end, next,
                      rows, <double*> out)
    elif x.is_float:
        turn_rows(x, <const int32_t*> x.columns, <const float*> x.values, begin, end, next, rows,
                  <float*> out)
    else:
        turn_rows(x, <const int32_t*> x.columns, <const double*> x.values, begin, end, next, rows,
                  <double*> out)


cdef inline void count_held(const Sparse* x, const index* columns, const int32_t* place,
                            Py_ssize_t begin, Py_ssize_t end, int64_t* counts) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef int64_t found
    for i in range(begin, end):
        found = 0
        for k in range(start_of(x, i), start_of(x, i + 1)):
            found += place[columns[k]] >= 0
        counts[i] = found


cdef void count_held_rows(const Sparse* x, const int32_t* place, Py_ssize_t begin, Py_ssize_t end,
                          int64_t* counts) noexcept nogil:
    """Count the entries of some rows whose column has a place."""
    if x.wide_columns:
        count_held(x, <const int64_t*> x.columns, place, begin, end, counts)
    else:
        count_held(x, <const int32_t*> x.columns, place, begin, end, counts)


cdef inline void select_held(const Sparse* x, const index* columns, const real* values,
                             const int32_t* place, Py_ssize_t begin, Py_ssize_t end,
                             const int64_t* starts, int32_t* places, real* out) noexcept nogil:
    """What is not held is written as well, and then written over: a branch could not be guessed."""
    cdef Py_ssize_t i, k, at
    cdef int32_t q
    for i in range(begin, end):
        at = starts[i]
        k = start_of(x, i)
        while at < starts[i + 1]:
            q = place[columns[k]]
            places[at] = q
            if values != NULL:
                out[at] = values[k]
            at += q >= 0
            k += 1


cdef void select_rows(const Sparse* x, const int32_t* place, Py_ssize_t begin, Py_ssize_t end,
                      const int64_t* starts, int32_t* places, void* out) noexcept nogil:
    """Write the entries of some rows whose column has a place, under that place."""
    if x.wide_columns:
        if x.is_float:
            select_held(x, <const int64_t*> x.columns, <const float*> x.values, place, begin, end,
                        starts, places, <float*> out)
        else:
            select_held(x, <const int64_t*> x.columns, <const double*> x.values, place, begin, end,
                        starts, places, <double*> out)
    elif x.is_float:
        select_held(x, <const int32_t*> x.columns, <const float*> x.values, place, begin, end,
                    starts, places, <float*> out)
    else:
        select_held(x, <const int32_t*> x.columns, <const double*> x.values, place, begin, end,
                    starts, places, <double*> out)
