# SPDX-License-Identifier: BSD-3-Clause
# The threads of entries.pxi, as parallel.pxi has those of the passes.

cdef enum:
    HEAD_CHUNKS = 8             # at most, whose sums are added in their order
    HEAD_BYTES = 67108864       # of their sums together, unless two chunks take more
    TURN_ENTRIES = 100000       # of X below which one thread transposes it


cdef int run_heads(const Heads* g, int threads, double* out) except -1 nogil:
    """Fill out, symmetric, with the Gram matrix of the head."""
    cdef Py_ssize_t D = g.k + 1, size = head_size(g.k)
    # Scratch behind the sums: a row's values and places, and a cache line between threads.
    cdef Py_ssize_t width = (size + 2 * (D + HEAD_SPARE) + 8 + 7) // 8 * 8, c, i, j
    cdef Py_ssize_t chunks = min(<Py_ssize_t> HEAD_CHUNKS,
                                 HEAD_BYTES // (width * <Py_ssize_t> sizeof(double)))
    chunks = max(chunks, <Py_ssize_t> 2)
    # A chunk has more to add up than sums of its own to clear and to hand over.
    cdef double per_row = start_of(&g.x.sparse, g.x.n) / <double> max(g.x.n, <Py_ssize_t> 1)
    chunks = min(chunks, <Py_ssize_t> (0.5 * per_row * per_row * g.m / size))
    chunks = max(min(chunks, g.m // LEAST_CHUNK_ROWS), <Py_ssize_t> 1)
    cdef double* all_sums = <double*> calloc(chunks * width, sizeof(double))
    if all_sums == NULL:
        with gil:
            raise MemoryError(f"no memory for the Gram matrix of {g.k} columns")
    threads = woken(threads)
    try:
        if threads == 1 or chunks == 1:
            for c in range(chunks):
                head_chunk(g, g.m * c // chunks, g.m * (c + 1) // chunks, all_sums + c * width)
        else:
            for c in prange(chunks, schedule="dynamic", chunksize=1, num_threads=threads):
                head_chunk(g, g.m * c // chunks, g.m * (c + 1) // chunks, all_sums + c * width)
        for c in range(1, chunks):
            for i in range(size):
                all_sums[i] += all_sums[c * width + i]
        mirror_head(g.k, all_sums, out)
    finally:
        free(all_sums)
    return 0


cdef void run_row_sums(const Pass* p, const Py_ssize_t* starts, const Py_ssize_t* rows,
                       const double* r, Py_ssize_t k, int threads, double* out) noexcept nogil:
    """Fill k rows of out, each by one thread."""
    cdef Py_ssize_t q, D = p.d + 1
    for q in prange(k, schedule="dynamic", chunksize=1, num_threads=threads):
        sparse_gradient(&p.sparse, rows + starts[q], 0, starts[q + 1] - starts[q], p.d,
                        r + starts[q], out + q * D)


cdef int run_transpose(const Pass* p, int threads, int64_t* starts, int32_t* rows,
                       void* values) except -1 nogil:
    """Fill the arrays of the transpose, whose lines are X's columns, their rows in order."""
    cdef Py_ssize_t d = p.d, chunks = parts_of(p, threads), c, j
    cdef const Sparse* x = &p.sparse
    chunks = max(min(chunks, start_of(x, p.n) // d), 1)
    cdef int64_t* next = <int64_t*> calloc(chunks * d, sizeof(int64_t))
    cdef int64_t at = 0, count
    if next == NULL:
        with gil:
            raise MemoryError(f"no memory for the counts of {d} columns")
    for c in prange(chunks, schedule="static", chunksize=1, num_threads=<int> chunks):
        count_columns(x, row_of_part(p, c, chunks), row_of_part(p, c + 1, chunks), next + c * d)
    for j in range(d):
        starts[j] = at
        for c in range(chunks):
            count = next[c * d + j]
            next[c * d + j] = at
            at += count
    starts[d] = at
    for c in prange(chunks, schedule="static", chunksize=1, num_threads=<int> chunks):
        turn_chunk(x, row_of_part(p, c, chunks), row_of_part(p, c + 1, chunks), next + c * d, rows,
                   values)
    free(next)
    return 0


cdef int parts_of(const Pass* p, int threads) noexcept nogil:
    """How many threads are worth waking to copy entries."""
    return woken(threads) if start_of(&p.sparse, p.n) >= TURN_ENTRIES else 1


cdef void run_count_held(const Pass* p, const int32_t* place, int threads,
                         int64_t* counts) noexcept nogil:
    cdef Py_ssize_t c, parts = parts_of(p, threads)
    for c in prange(parts, schedule="static", chunksize=1, num_threads=<int> parts):
        count_held_rows(&p.sparse, place, row_of_part(p, c, parts), row_of_part(p, c + 1, parts),
                        counts)


cdef void run_select(const Pass* p, const int32_t* place, int threads, const int64_t* starts,
                     int32_t* places, void* out) noexcept nogil:
    cdef Py_ssize_t c, parts = parts_of(p, threads)
    for c in prange(parts, schedule="static", chunksize=1, num_threads=<int> parts):
        select_rows(&p.sparse, place, row_of_part(p, c, parts), row_of_part(p, c + 1, parts),
                    starts, places, out)


cdef inline Py_ssize_t row_of_part(const Pass* p, Py_ssize_t c, Py_ssize_t parts) noexcept nogil:
    """Where part c of the rows begins, the parts having about as many entries as each other."""
    cdef Py_ssize_t low = 0, high = p.n, middle
    cdef Py_ssize_t target = <Py_ssize_t> (start_of(&p.sparse, p.n) * (<double> c / parts))
    if c == parts:
        return p.n
    while low < high:
        middle = (low + high) // 2
        if start_of(&p.sparse, middle) < target:
            low = middle + 1
        else:
            high = middle
    return low


def inspect(X, int threads, columns=None):
    """Look at every entry of a sparse X by rows; return how many are not behind the one before,
    not finite, not 1, and of a size far from 1, the sum of their squares, and that of a number for
    each row. Fill `columns`, if any, (d, 2) with the sums of the numbers of each column's rows, and
    how many these are."""
    cdef Pass p
    set_data(&p, X)
    p.entries = COLUMN_SUMS if columns is None else COLUMN_SUMS + 2 * p.d
    cdef double* sums = run_all(&p, inspect_pass, threads)
    if columns is not None:
        memcpy(doubles(columns), sums + COLUMN_SUMS, 2 * p.d * sizeof(double))
    found = (sums[FALLS], sums[NOT_FINITE], sums[NOT_ONE], sums[EXTREME], sums[SQUARES],
             sums[ROW_NUMBERS])
    free(sums)
    return found


def head_gram(X, rows, cnp.ndarray h, cnp.ndarray place, cnp.ndarray out, int threads):
    """Fill out = sum_i h[i] v_i v_i' over the rows (None: all) of a sparse X that is sound and in
    order, v_i being the entries whose column has a place, in that place, and then a 1."""
    cdef Pass p
    cdef Heads g
    set_data(&p, X)
    g.x = &p
    g.m = p.n
    if rows is not None:
        p.order = <const Py_ssize_t*> cnp.PyArray_DATA(rows)
        g.m = cnp.PyArray_SIZE(rows)
    g.place = <const int32_t*> cnp.PyArray_DATA(place)
    g.h = doubles(h)
    g.k = cnp.PyArray_DIM(out, 0) - 1
    cdef double* sums = doubles(out)
    with nogil:
        run_heads(&g, threads, sums)


def row_sums(X, cnp.ndarray starts, cnp.ndarray rows, cnp.ndarray r, cnp.ndarray out, int threads):
    """Add the r-weighted sum of [x_i, 1] over the rows from starts[q] up to starts[q + 1] in `rows`
    to row q of out (k, d + 1), for a sound sparse X by rows."""
    cdef Pass p
    set_data(&p, X)
    cdef const Py_ssize_t* first = <const Py_ssize_t*> cnp.PyArray_DATA(starts)
    cdef const Py_ssize_t* order = <const Py_ssize_t*> cnp.PyArray_DATA(rows)
    cdef const double* weights = doubles(r)
    cdef Py_ssize_t k = cnp.PyArray_DIM(out, 0)
    cdef double* sums = doubles(out)
    with nogil:
        run_row_sums(&p, first, order, weights, k, woken(threads), sums)


def transpose(X, cnp.ndarray starts, cnp.ndarray rows, values, int threads):
    """Fill the int64 starts (d + 1), int32 rows and, if any, values of the transpose of a sound
    sparse X with fewer than 2^31 rows."""
    cdef Pass p
    set_data(&p, X)
    cdef int64_t* starts_out = <int64_t*> cnp.PyArray_DATA(starts)
    cdef int32_t* rows_out = <int32_t*> cnp.PyArray_DATA(rows)
    cdef void* out = NULL if values is None else cnp.PyArray_DATA(values)
    with nogil:
        run_transpose(&p, threads, starts_out, rows_out, out)


def count_selected(X, cnp.ndarray place, cnp.ndarray counts, int threads):
    """Fill the int64 counts (n) with the entries of each row of a sound sparse X whose column has a
    place (int32, -1 for none)."""
    cdef Pass p
    set_data(&p, X)
    cdef const int32_t* at = <const int32_t*> cnp.PyArray_DATA(place)
    cdef int64_t* out = <int64_t*> cnp.PyArray_DATA(counts)
    with nogil:
        run_count_held(&p, at, threads, out)


def select_columns(X, cnp.ndarray place, cnp.ndarray starts, cnp.ndarray places, values,
                   int threads):
    """Fill int32 places and, if any, values with those entries, row i's from starts[i] (int64)."""
    cdef Pass p
    set_data(&p, X)
    cdef const int32_t* at = <const int32_t*> cnp.PyArray_DATA(place)
    cdef const int64_t* begin = <const int64_t*> cnp.PyArray_DATA(starts)
    cdef int32_t* columns = <int32_t*> cnp.PyArray_DATA(places)
    cdef void* out = NULL if values is None else cnp.PyArray_DATA(values)
    with nogil:
        run_select(&p, at, threads, begin, columns, out)
