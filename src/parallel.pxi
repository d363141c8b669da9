# SPDX-License-Identifier: BSD-3-Clause
# Threads of passes: rows are cut into chunks, threads take chunks, and the chunks' sums are added.
#
# Where the cuts are, and which sums are added to which, depends on the shape of the data alone, so
# the same call gives the same bits with any number of threads. Sums are added in pairs: terms that
# are equal, one after the other, would all be rounded in one direction.

cdef enum:
    CHUNK_BYTES = 131072        # of work in the smallest chunk
    LINK_BYTES = 64             # what the link of one row costs, counted as bytes of X
    PARALLEL_BYTES = 1048576    # of work below which waking threads costs more than it saves
    MOST_CHUNKS = 256
    ENTRY_BYTES = 24            # what an entry of a sparse X costs, counted as bytes of a dense one
    ENTRIES_A_SUM = 6           # of a sparse X in a chunk, for each of the chunk's sums
    CLASS_ENTRIES_A_SUM = 12    # the same for several classes, whose entries cost less each
    SPARSE_CHUNKS = 8           # where the sums of a chunk do not stay in the cache
    CACHED_SUMS = 4096
    LEAST_CHUNK_ROWS = 256      # keeps the chunks' sums, d entries each, small beside X
    SLAB_BYTES = 268435456      # of work between two looks for Ctrl-C
    PIECE = 4096                # sums that a thread adds up at once


cdef inline Py_ssize_t sums_width(const Pass* p) noexcept nogil:
    """Entries of one chunk's sums, in whole cache lines and one more against false sharing."""
    return (p.entries + 7) // 8 * 8 + 8


cdef inline Py_ssize_t sums_and_scratch(const Pass* p) noexcept nogil:
    if p.K > 0:
        return sums_width(p) + rows_at_once(p) * (p.K + lanes_of(p.K))
    if p.order == NULL or is_sparse(p):
        return sums_width(p)
    return sums_width(p) + rows_at_once(p) * p.d


cdef inline Py_ssize_t work_of_row(const Pass* p) noexcept nogil:
    if is_sparse(p):
        return p.sparse.entries // p.n * ENTRY_BYTES + max(p.K, <Py_ssize_t> 1) * LINK_BYTES
    return p.d * itemsize(p) + max(p.K, <Py_ssize_t> 1) * LINK_BYTES


cdef inline Py_ssize_t rows_of_chunk(const Pass* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t block = rows_at_once(p), entries, least
    cdef Py_ssize_t chunks = min(n * work_of_row(p) // CHUNK_BYTES, n // LEAST_CHUNK_ROWS)
    if is_sparse(p):
        # Sums of d entries may be many beside the few entries of a row: they take memory, and time
        # to be set to zero and to be added up.
        entries = <Py_ssize_t> (<double> n / p.n * p.sparse.entries) * max(p.K, <Py_ssize_t> 1)
        least = CLASS_ENTRIES_A_SUM if p.K > 1 else ENTRIES_A_SUM
        chunks = min(chunks, max(entries // (least * p.entries),
                                 <Py_ssize_t> (2 if entries > p.entries else 1)))
        if p.entries > CACHED_SUMS:
            chunks = min(chunks, <Py_ssize_t> SPARSE_CHUNKS)
    chunks = max(min(chunks, <Py_ssize_t> MOST_CHUNKS), 1)
    return ((n + chunks - 1) // chunks + block - 1) // block * block


cdef inline Py_ssize_t cut(const Pass* p, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t rows,
                           Py_ssize_t c) noexcept nogil:
    """Where chunk c begins. Rows of a sparse X may be of very different lengths: there chunks have
    about as many entries, and rows, as each other."""
    cdef Py_ssize_t low, high, middle, target
    if not is_sparse(p) or p.order != NULL:
        return min(begin + c * rows, end)
    if begin + c * rows >= end:
        return end
    target = <Py_ssize_t> ((weight_before(p, end) - weight_before(p, begin))
                           * (<double> c * rows / (end - begin))) + weight_before(p, begin)
    low = begin
    high = end
    while low < high:
        middle = (low + high) // 2
        if weight_before(p, middle) < target:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline Py_ssize_t weight_before(const Pass* p, Py_ssize_t row) noexcept nogil:
    return start_of(&p.sparse, row) + row * (LINK_BYTES // ENTRY_BYTES)


cdef int run(const Pass* p, Work work, Py_ssize_t begin, Py_ssize_t end, int threads,
             double* sums) except -1 nogil:
    """Do `work` on the rows [begin, end) and leave its sums in `sums`.

    Raises MemoryError, or what a signal handler raised (KeyboardInterrupt) between two slabs.
    """
    cdef Py_ssize_t n = end - begin
    memset(sums, 0, sums_width(p) * sizeof(double))
    if n == 0:      # a sample may be empty
        return 0
    cdef Py_ssize_t width = sums_and_scratch(p)
    cdef Py_ssize_t rows = rows_of_chunk(p, n)
    cdef Py_ssize_t chunks = (n + rows - 1) // rows
    if chunks <= 1 and n <= rows_a_sum(p):
        work(p, begin, end, sums)
        complain(p)
        return 0
    threads = woken(threads) if n * work_of_row(p) >= PARALLEL_BYTES else 1
    # The first chunk's go to their end at once.
    cdef Py_ssize_t halves = halvings(p, rows)
    cdef double* all_sums = <double*> borrow((chunks - 1 + threads * halves) * width
                                             * sizeof(double))
    if all_sums == NULL:
        with gil:
            raise MemoryError(f"no memory for the sums of {chunks} chunks of rows")
    # Whole rounds of all threads: eight chunks, three by three, have one of two idle for a fifth.
    cdef Py_ssize_t slab = max(SLAB_BYTES // (rows * work_of_row(p)) // threads, 1) * threads
    cdef Py_ssize_t first = 0
    try:
        while first < chunks:
            run_chunks(p, work, begin, end, rows, first, min(first + slab, chunks), threads,
                       sums, all_sums, width, all_sums + (chunks - 1) * width, halves)
            first += slab
            if first < chunks:
                with gil:
                    PyErr_CheckSignals()
        if p.ranges:
            keep_largest(all_sums, chunks - 1, width, p.entries, p.d, sums)
        else:
            add_all_in_pairs(all_sums, chunks - 1, width, p.entries, threads, sums)
    finally:
        give_back(all_sums)
    complain(p)
    return 0


cdef int complain(const Pass* p) except -1 nogil:
    """Raise what a sparse X has to say of its indices, if any was found out of range."""
    if is_sparse(p) and p.malformed[0]:
        with gil:
            (<object> p.owner).malformed()
    return 0


cdef void run_chunks(const Pass* p, Work work, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t rows,
                     Py_ssize_t first, Py_ssize_t last, int threads, double* sums,
                     double* all_sums, Py_ssize_t width, double* spare,
                     Py_ssize_t halves) noexcept nogil:
    cdef Py_ssize_t c
    cdef Meeting meeting
    if threads == 1:
        for c in range(first, last):
            run_chunk(p, work, begin, end, rows, c, sums, all_sums, width, spare)
    else:
        meeting = begin_meeting(threads)
        with parallel(num_threads=threads):
            for c in prange(first, last, schedule="dynamic", chunksize=1):
                run_chunk(p, work, begin, end, rows, c, sums, all_sums, width,
                          spare + threadid() * halves * width)
            if threadid() == 0:
                share_done(&meeting)
        met(&meeting)


cdef inline void run_chunk(const Pass* p, Work work, Py_ssize_t begin, Py_ssize_t end,
                           Py_ssize_t rows, Py_ssize_t c, double* sums, double* all_sums,
                           Py_ssize_t width, double* spare) noexcept nogil:
    if c > 0:
        sums = all_sums + (c - 1) * width
        memset(sums, 0, p.entries * sizeof(double))
    run_halves(p, work, cut(p, begin, end, rows, c), cut(p, begin, end, rows, c + 1), sums, width,
               spare)


cdef inline Py_ssize_t rows_a_sum(const Pass* p) noexcept nogil:
    """Rows whose numbers are added up one after the other: whole blocks of a dense X, and all of
    a sparse one, whose sums may be many beside its entries."""
    cdef Py_ssize_t block = rows_at_once(p)
    if is_sparse(p) or p.ranges:
        return p.n
    return (MOST_ROWS_A_SUM + block - 1) // block * block


cdef inline Py_ssize_t halvings(const Pass* p, Py_ssize_t rows) noexcept nogil:
    """How often a chunk of so many rows is halved."""
    cdef Py_ssize_t parts = (rows - 1) // rows_a_sum(p) + 1, halves = 0
    while parts > 1:
        parts = (parts + 1) // 2
        halves += 1
    return halves


cdef void run_halves(const Pass* p, Work work, Py_ssize_t begin, Py_ssize_t end, double* sums,
                     Py_ssize_t width, double* spare) noexcept nogil:
    """Do `work` on the rows [begin, end), the later half of them, if they are many, with sums of
    its own. `spare` is room for as many as rows are halved."""
    cdef Py_ssize_t rows = rows_a_sum(p), middle
    if end - begin <= rows:
        work(p, begin, end, sums)
        return
    middle = begin + ((end - begin - 1) // rows + 2) // 2 * rows
    run_halves(p, work, begin, middle, sums, width, spare)
    memset(spare, 0, p.entries * sizeof(double))
    run_halves(p, work, middle, end, spare, width, spare + width)
    axpy[double](spare, 1.0, p.entries, sums)


cdef void add_in_pairs(double* others, Py_ssize_t chunks, Py_ssize_t width, Py_ssize_t entries,
                       double* sums) noexcept nogil:
    """Add the sums of so many other chunks to the first's."""
    cdef Py_ssize_t apart = 1, c
    while apart <= chunks:
        axpy[double](others + (apart - 1) * width, 1.0, entries, sums)
        c = 2 * apart
        while c + apart <= chunks:
            axpy[double](others + (c + apart - 1) * width, 1.0, entries, others + (c - 1) * width)
            c += 2 * apart
        apart *= 2


cdef void add_all_in_pairs(double* others, Py_ssize_t chunks, Py_ssize_t width,
                           Py_ssize_t entries, int threads, double* sums) noexcept nogil:
    """The same; with very many columns each thread takes some of them."""
    cdef Py_ssize_t pieces = entries // PIECE, k
    if threads == 1 or chunks * entries * <Py_ssize_t> sizeof(double) < PARALLEL_BYTES:
        add_in_pairs(others, chunks, width, entries, sums)
        return
    for k in prange(pieces + 1, schedule="static", num_threads=threads):
        add_in_pairs(others + k * PIECE, chunks, width, min(entries - k * PIECE,
                     <Py_ssize_t> PIECE), sums + k * PIECE)


cdef void turn_lanes(const double* a, Py_ssize_t K, Py_ssize_t D, bint back, int threads,
                     double* out) noexcept nogil:
    """Turn (K, D) over to (D, lanes), or back."""
    cdef Py_ssize_t piece
    threads = woken(threads) if K * D * <Py_ssize_t> sizeof(double) >= PARALLEL_BYTES else 1
    for piece in prange(D // PIECE + 1, schedule="static", num_threads=threads):
        if back:
            from_lanes(a, K, D, piece * PIECE, min((piece + 1) * PIECE, D), out)
        else:
            to_lanes(a, K, D, piece * PIECE, min((piece + 1) * PIECE, D), out)


cdef inline void subtract(const double* a, const double* b, const double* q, const double* s,
                          Py_ssize_t m, alone out) noexcept nogil:
    cdef Py_ssize_t j
    if q == NULL:
        for j in range(m):
            out[j] = a[j] - b[j]
    else:
        for j in range(m):
            out[j] = a[j] - b[j] - q[j] * s[j]


cdef void run_subtract(const double* a, const double* b, const double* q, const double* s,
                       Py_ssize_t m, int threads, double* out) noexcept nogil:
    """out = a - b, less q · s if there is a q."""
    cdef Py_ssize_t k, begin
    threads = woken(threads) if m * <Py_ssize_t> sizeof(double) >= PARALLEL_BYTES else 1
    for k in prange(m // PIECE + 1, schedule="static", num_threads=threads):
        begin = k * PIECE
        subtract(a + begin, b + begin, q + begin if q != NULL else NULL,
                 s + begin if q != NULL else NULL, min(m - begin, <Py_ssize_t> PIECE), out + begin)


cdef double plain_sum(const double* x, Py_ssize_t entries, int threads) noexcept nogil:
    """Nothing but a read of all entries, each thread its own stretch."""
    cdef double total = 0
    cdef Py_ssize_t i
    for i in prange(entries, schedule="static", num_threads=threads):
        total += x[i]
    return total
