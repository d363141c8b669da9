# SPDX-License-Identifier: BSD-3-Clause
# The threads of gram.pxi, products.pxi and cholesky.pxi, as parallel.pxi has those of the
# passes.
#
# Where the cuts are depends on shapes alone, and every number is added up by one thread in one
# order, so the same call gives the same bits with any number of threads. A small Gram matrix is
# added up per chunk of rows, and chunks are added in their order. A large one has no room for
# that: threads share a packed slab of rows and each takes blocks of the result.

from libc.stdint cimport uintptr_t

cdef enum:
    PACK_FLOPS = 32             # what packing one entry costs
    PARALLEL_FLOPS = 4000000    # 60 us of one thread; less is not worth meeting on a busy machine
    LEAST_CHUNK_FLOPS = 500000
    MOST_CHUNK_FLOPS = 16000000
    PATIENCE_FLOPS = 500000000  # of work between two looks for Ctrl-C
    CHUNKS_AT_ONCE = 64
    PRODUCT_CHUNKS = 8          # of the Grams of products.pxi
    GROUP_PARTS = 4             # of each of several groups of rows
    CHUNK_SUMS_BYTES = 262144   # of sums that a chunk may have
    ALL_SUMS_BYTES = 8388608    # of the sums of all chunks at once
    SLAB_FLOPS = 250000000      # between threads that meet, which a busy machine makes expensive
    MOST_SLAB_ROWS = 2048
    PACK_ROWS = 32              # of a slab, packed by one thread
    PART_COLUMNS = 48           # of the blocks of the result that one thread takes at once,
    PART_ROWS = 128             # and their rows
    PARALLEL_FACTOR = 192       # columns from which threads share a factorisation
    PARALLEL_BLOCKS = 262144    # entries of blocks from which threads share their solution


cdef inline double* aligned(void* memory) noexcept nogil:
    """The first whole cache line in memory that was asked for with one to spare."""
    return <double*> ((<uintptr_t> memory + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE)


cdef void* new_doubles(Py_ssize_t count) except NULL nogil:
    cdef void* memory = malloc(count * sizeof(double) + CACHE_LINE)
    if memory == NULL:
        with gil:
            raise MemoryError(f"no memory for {count} numbers of dense algebra")
    return memory


cdef inline double work_of_gram_row(const Gram* g) noexcept nogil:
    cdef double columns = g.panels * PANEL
    if g.together:
        return 2.0 * product_sums(g)
    return columns * (columns * g.q + PACK_FLOPS)


cdef inline Py_ssize_t rows_of_gram_chunk(const Gram* g) noexcept nogil:
    cdef double least = LEAST_CHUNK_FLOPS / work_of_gram_row(g)
    cdef double most = MOST_CHUNK_FLOPS / work_of_gram_row(g)
    cdef Py_ssize_t chunks = CHUNKS_AT_ONCE
    if g.together:      # many sums, which it takes time to add up: few chunks
        chunks = PRODUCT_CHUNKS
        most = PATIENCE_FLOPS / PRODUCT_CHUNKS / work_of_gram_row(g)
    cdef double rows = min(max(g.m / <double> chunks, least), most)
    return (<Py_ssize_t> rows // STEP_ROWS + 1) * STEP_ROWS


cdef int run_gram(Gram* g, int threads, double* out) except -1 nogil:
    """Fill out with the q Gram matrices. Raises MemoryError, or what a signal handler raised."""
    cdef Py_ssize_t size = g.q * panel_start(g.panels), pieces = g.q * g.panels, k
    g.together = by_products(g)
    if g.together:
        size = product_sums(g)
        pieces = g.q
    cdef bint large = size * <Py_ssize_t> sizeof(double) > CHUNK_SUMS_BYTES
    cdef void* memory = new_doubles(size)
    cdef double* sums = aligned(memory)
    threads = woken(threads) if g.m * work_of_gram_row(g) >= PARALLEL_FLOPS else 1
    try:
        memset(sums, 0, size * sizeof(double))
        if g.together or not large:
            gram_by_chunks(g, threads, size, sums)
        else:
            gram_by_slabs(g, threads, sums)
        if threads == 1 or not large:
            for k in range(pieces):
                unpack_piece(g, sums, k, out)
        else:
            for k in prange(pieces, schedule="dynamic", chunksize=4, num_threads=threads):
                unpack_piece(g, sums, k, out)
    finally:
        free(memory)
    return 0


cdef void unpack_piece(const Gram* g, double* sums, Py_ssize_t k, double* out) noexcept nogil:
    """Write one Gram, or one block row of one."""
    cdef Py_ssize_t D = g.x.d + 1, s = k // g.panels
    if g.together:
        unpack_products(sums, g, k, out + k * D * D)
    else:
        unpack_symmetric(sums + s * panel_start(g.panels), D, k % g.panels, out + s * D * D)


cdef inline Py_ssize_t chunk_scratch(const Gram* g) noexcept nogil:
    return product_scratch(g) if g.together else g.panels * g.stride + scaled_entries()


cdef int gram_by_chunks(Gram* g, int threads, Py_ssize_t size,
                        double* sums) except -1 nogil:
    """Add up chunks of rows apart, then their sums."""
    cdef Py_ssize_t rows = rows_of_gram_chunk(g)
    cdef Py_ssize_t chunks = (g.m + rows - 1) // rows
    cdef Py_ssize_t at_once = min(<Py_ssize_t> CHUNKS_AT_ONCE,
                                  ALL_SUMS_BYTES // (size * <Py_ssize_t> sizeof(double)))
    at_once = min(<Py_ssize_t> PRODUCT_CHUNKS if g.together else at_once, chunks)
    g.stride = stride_of(min(g.m, <Py_ssize_t> STEP_ROWS))
    cdef Py_ssize_t all_sums = at_once * size if chunks > 1 else 0
    cdef void* memory = new_doubles(all_sums + threads * chunk_scratch(g))
    cdef double* chunk_sums = aligned(memory)
    cdef double* scratch = chunk_sums + all_sums
    cdef Py_ssize_t first = 0, last
    try:
        if chunks == 1:
            run_chunk_of_gram(g, 0, g.m, scratch, sums)
        else:
            while first < chunks:
                last = min(first + at_once, chunks)
                memset(chunk_sums, 0, all_sums * sizeof(double))
                run_gram_chunks(g, rows, first, last, threads, scratch, size, chunk_sums)
                add_in_pairs(chunk_sums, last - first, size, size, sums)
                first = last
                if first < chunks:
                    with gil:
                        PyErr_CheckSignals()
    finally:
        free(memory)
    return 0


cdef void run_gram_chunks(const Gram* g, Py_ssize_t rows, Py_ssize_t first, Py_ssize_t last,
                          int threads, double* scratch, Py_ssize_t size,
                          double* chunk_sums) noexcept nogil:
    cdef Py_ssize_t c, width = chunk_scratch(g)
    cdef Meeting meeting
    if threads == 1:
        for c in range(first, last):
            run_chunk_of_gram(g, c * rows, min((c + 1) * rows, g.m), scratch,
                              chunk_sums + (c - first) * size)
    else:
        meeting = begin_meeting(threads)
        with parallel(num_threads=threads):
            for c in prange(first, last, schedule="dynamic", chunksize=1):
                run_chunk_of_gram(g, c * rows, min((c + 1) * rows, g.m),
                                  scratch + threadid() * width, chunk_sums + (c - first) * size)
            if threadid() == 0:
                share_done(&meeting)
        met(&meeting)


cdef inline void run_chunk_of_gram(const Gram* g, Py_ssize_t begin, Py_ssize_t end,
                                   double* scratch, double* sums) noexcept nogil:
    if g.together:
        product_chunk(g, begin, end, scratch, sums)
    else:
        gram_chunk(g, begin, end, scratch, sums)


cdef int gram_by_slabs(Gram* g, int threads, double* sums) except -1 nogil:
    """Pack slabs of rows together and share out the blocks of the result."""
    cdef Py_ssize_t rows = rows_of_slab(g), parts = parts_across(g) * parts_down(g) * g.q
    cdef Py_ssize_t at_once = parts_at_once(g, rows, parts), begin = 0, first, m
    g.stride = stride_of(rows)
    cdef void* memory = new_doubles(g.panels * g.stride + threads * scaled_entries())
    cdef double* packed = aligned(memory)
    cdef double* scaled = packed + g.panels * g.stride
    cdef double patience = PATIENCE_FLOPS
    try:
        while begin < g.m:
            m = min(g.m - begin, rows)
            pack_slab(g, begin, m, threads, packed)
            first = 0
            while first < parts:
                run_parts(g, begin, m, first, min(first + at_once, parts), threads, packed, scaled,
                          sums)
                first += at_once
                patience -= m * work_of_gram_row(g) * at_once / parts
                if patience < 0:
                    patience = PATIENCE_FLOPS
                    with gil:
                        PyErr_CheckSignals()
            begin += m
    finally:
        free(memory)
    return 0


cdef inline Py_ssize_t parts_across(const Gram* g) noexcept nogil:
    return (g.panels * PANEL + PART_COLUMNS - 1) // PART_COLUMNS


cdef inline Py_ssize_t parts_down(const Gram* g) noexcept nogil:
    return (g.panels * PANEL + PART_ROWS - 1) // PART_ROWS


cdef inline Py_ssize_t parts_at_once(const Gram* g, Py_ssize_t rows,
                                     Py_ssize_t parts) noexcept nogil:
    """All parts, unless one slab of very many columns would try the patience."""
    cdef double slab = rows * work_of_gram_row(g)
    if slab <= PATIENCE_FLOPS:
        return parts
    return max(<Py_ssize_t> (parts * (PATIENCE_FLOPS / slab)), 1)


cdef inline Py_ssize_t rows_of_slab(const Gram* g) noexcept nogil:
    cdef Py_ssize_t steps = <Py_ssize_t> (SLAB_FLOPS / (STEP_ROWS * work_of_gram_row(g)))
    return min(max(steps, 1) * STEP_ROWS, min(g.m, <Py_ssize_t> MOST_SLAB_ROWS))


cdef void pack_slab(const Gram* g, Py_ssize_t begin, Py_ssize_t m, int threads,
                    double* packed) noexcept nogil:
    cdef Py_ssize_t pieces = (m + PACK_ROWS - 1) // PACK_ROWS if g.x.column == 1 else g.panels, k
    cdef Meeting meeting
    threads = woken(threads)
    if threads == 1:
        for k in range(pieces):
            pack_piece(g, begin, m, k, packed)
    else:
        meeting = begin_meeting(threads)
        with parallel(num_threads=threads):
            for k in prange(pieces, schedule="dynamic"):
                pack_piece(g, begin, m, k, packed)
            if threadid() == 0:
                share_done(&meeting)
        met(&meeting)


cdef void pack_piece(const Gram* g, Py_ssize_t begin, Py_ssize_t m, Py_ssize_t k,
                     double* packed) noexcept nogil:
    """Pack a few rows of a slab, or a panel if X is by columns."""
    cdef Py_ssize_t first = k * PACK_ROWS
    if g.x.column != 1:
        pack(g, begin, m, k, k + 1, packed)
    else:
        pack(g, begin + first, min(m - first, <Py_ssize_t> PACK_ROWS), 0, g.panels,
             packed + first * PANEL)


cdef void run_parts(const Gram* g, Py_ssize_t begin, Py_ssize_t m, Py_ssize_t first,
                    Py_ssize_t last, int threads, const double* packed, double* scaled,
                    double* sums) noexcept nogil:
    cdef Py_ssize_t k
    cdef Meeting meeting
    threads = woken(threads)
    if threads == 1:
        for k in range(first, last):
            run_part(g, begin, m, k, packed, scaled, sums)
    else:
        meeting = begin_meeting(threads)
        with parallel(num_threads=threads):
            for k in prange(first, last, schedule="dynamic"):
                run_part(g, begin, m, k, packed, scaled + threadid() * scaled_entries(), sums)
            if threadid() == 0:
                share_done(&meeting)
        met(&meeting)


cdef void run_part(const Gram* g, Py_ssize_t begin, Py_ssize_t m, Py_ssize_t k,
                   const double* packed, double* scaled, double* sums) noexcept nogil:
    """Add a slab to part k of the results. From the right, where there is most to do, so that
    threads end at about the same time."""
    cdef Py_ssize_t across = PART_COLUMNS // PANEL, down = PART_ROWS // PANEL
    cdef Py_ssize_t s = k % g.q
    cdef Py_ssize_t i = (parts_across(g) - 1 - k // g.q % parts_across(g)) * across
    cdef Py_ssize_t j = k // g.q // parts_across(g) * down
    add_part(g, g.h + s * g.m + begin, m, packed, i, min(i + across, g.panels), j, j + down,
             scaled, sums + s * panel_start(g.panels))


cdef int run_block_grams(const Gram* g, const Py_ssize_t* ends, const Py_ssize_t* which,
                         Py_ssize_t count, Py_ssize_t room, int threads,
                         double* out) except -1 nogil:
    """Fill the Gram matrices of some blocks of columns, a thread each. Their columns of ones are
    left out."""
    cdef Py_ssize_t widest = 0, width, k
    for k in range(count):
        widest = max(widest, ends[which[k] + 1] - ends[which[k]])
    width = block_scratch(g, widest)
    threads = woken(threads)
    cdef void* memory = new_doubles(threads * width)
    cdef double* scratch = aligned(memory)
    if threads == 1:
        for k in range(count):
            gram_of_block(g, ends[which[k]], ends[which[k] + 1], scratch, out + which[k] * room)
    else:
        for k in prange(count, schedule="dynamic", chunksize=1, num_threads=threads):
            gram_of_block(g, ends[which[k]], ends[which[k] + 1], scratch + threadid() * width,
                          out + which[k] * room)
    free(memory)
    return 0


cdef int run_group_grams(Gram* g, const Py_ssize_t* starts, Py_ssize_t count, int threads,
                         double* out) except -1 nogil:
    """Fill the Gram matrices of some groups of rows, group k from starts[k] up to starts[k + 1].
    Rows of a group are cut into parts, whose sums are added."""
    cdef Py_ssize_t D = g.x.d + 1, size = panel_start(g.panels), k, c, j
    cdef Py_ssize_t parts = <Py_ssize_t> (g.m * work_of_gram_row(g)
                                          / (max(count, 1) * LEAST_CHUNK_FLOPS))
    parts = max(min(parts, <Py_ssize_t> GROUP_PARTS), 1)
    threads = woken(threads) if g.m * work_of_gram_row(g) >= PARALLEL_FLOPS else 1
    g.stride = stride_of(STEP_ROWS)
    cdef Py_ssize_t width = chunk_scratch(g)
    cdef void* memory = new_doubles(count * parts * size + threads * width)
    cdef double* sums = aligned(memory)
    cdef double* scratch = sums + count * parts * size
    memset(sums, 0, count * parts * size * sizeof(double))
    if threads == 1:
        for c in range(count * parts):
            part_of_group(g, starts, parts, c, scratch, sums + c * size)
    else:
        for c in prange(count * parts, schedule="dynamic", chunksize=1, num_threads=threads):
            part_of_group(g, starts, parts, c, scratch + threadid() * width, sums + c * size)
    for k in range(count):
        add_in_pairs(sums + (k * parts + 1) * size, parts - 1, size, size, sums + k * parts * size)
        for j in range(g.panels):
            unpack_symmetric(sums + k * parts * size, D, j, out + k * D * D)
    free(memory)
    return 0


cdef inline void part_of_group(const Gram* g, const Py_ssize_t* starts, Py_ssize_t parts,
                               Py_ssize_t c, double* scratch, double* sums) noexcept nogil:
    cdef Py_ssize_t first = starts[c // parts], m = starts[c // parts + 1] - first
    gram_chunk(g, first + m * (c % parts) // parts, first + m * (c % parts + 1) // parts, scratch,
               sums)


cdef Py_ssize_t block_scratch(const Gram* g, Py_ssize_t d) noexcept nogil:
    """Entries for the sums of d columns, their packed rows, and the Gram with that of ones."""
    cdef Py_ssize_t panels = panels_of(d + 1)
    return (panel_start(panels) + panels * stride_of(min(g.m, <Py_ssize_t> STEP_ROWS))
            + scaled_entries() + (d + 1) * (d + 1)) // 8 * 8 + 8


cdef void gram_of_block(const Gram* g, Py_ssize_t begin, Py_ssize_t end, double* scratch,
                        double* out) noexcept nogil:
    """Fill out with the Gram of the columns [begin, end)."""
    cdef Pass x = g.x[0]
    cdef Gram block = g[0]
    cdef Py_ssize_t d = end - begin, j
    x.X = <const char*> x.X + begin * x.column * itemsize(&x)
    x.d = d
    block.x = &x
    block.panels = panels_of(d + 1)
    block.stride = stride_of(min(g.m, <Py_ssize_t> STEP_ROWS))
    block.center = g.center + begin
    block.scale = g.scale + begin
    cdef Py_ssize_t size = panel_start(block.panels)
    cdef double* packed = scratch + size
    cdef double* whole = packed + block.panels * block.stride + scaled_entries()
    memset(scratch, 0, size * sizeof(double))
    gram_chunk(&block, 0, block.m, packed, scratch)
    for j in range(block.panels):
        unpack_symmetric(scratch, d + 1, j, whole)
    for j in range(d):
        memcpy(out + j * d, whole + j * (d + 1), d * sizeof(double))


cdef Py_ssize_t run_cholesky(const double* A, Py_ssize_t D, int threads,
                             double* R) except -1 nogil:
    """Fill R; return 0, or the number of the first bad pivot, which leaves R as it is."""
    cdef Py_ssize_t panels = panels_of(D), rows = block_row(D) // PANEL, first = 0, bad
    cdef void* memory = new_doubles(panel_start(panels))
    cdef double* triangle = aligned(memory)
    if D < PARALLEL_FACTOR:
        threads = 1
    try:
        share_rows(A, D, threads, triangle, NULL)
        bad = factor_diagonal(triangle, 0, min(rows, panels))
        while first + rows < panels and bad == 0:
            bad = finish_rows(triangle, first, first + rows, panels, threads)
            first += rows
            if D >= PARALLEL_FACTOR:
                with gil:
                    PyErr_CheckSignals()
        if bad == 0:
            share_rows(NULL, D, threads, triangle, R)
    finally:
        free(memory)
    return bad


cdef Py_ssize_t finish_rows(double* triangle, Py_ssize_t first, Py_ssize_t last,
                            Py_ssize_t panels, int threads) noexcept nogil:
    """Finish the block rows from first up to last and the next square on the diagonal, which is
    begun first because all threads will wait for it; return its first bad pivot, or 0.

    Where the rest is less than that square, one thread does both.
    """
    cdef Py_ssize_t next_last = min(2 * last - first, panels)
    cdef Py_ssize_t groups = groups_of(panels - next_last), k, bad = 0
    cdef Py_ssize_t* found = &bad   # what is assigned in a parallel block is each thread's own
    cdef Meeting meeting
    threads = woken(threads) if panels - next_last >= last - first else 1
    if threads == 1:
        bad = finish_square(triangle, first, last, next_last)
        for k in range(groups):
            finish_group(triangle, first, last, next_last + k * GROUP,
                         min(<Py_ssize_t> GROUP, panels - next_last - k * GROUP))
    else:
        meeting = begin_meeting(threads)
        with parallel(num_threads=threads):
            for k in prange(-1, groups, schedule="dynamic", chunksize=1):
                if k < 0:
                    found[0] = finish_square(triangle, first, last, next_last)
                else:
                    finish_group(triangle, first, last, next_last + k * GROUP,
                                 min(<Py_ssize_t> GROUP, panels - next_last - k * GROUP))
            if threadid() == 0:
                share_done(&meeting)
        met(&meeting)
    return bad


cdef Py_ssize_t finish_square(double* triangle, Py_ssize_t first, Py_ssize_t last,
                              Py_ssize_t next_last) noexcept nogil:
    cdef Py_ssize_t i = last, group
    while i < next_last:
        group = min(<Py_ssize_t> GROUP, next_last - i)
        finish_group(triangle, first, last, i, group)
        i += group
    return factor_diagonal(triangle, last, next_last)


cdef void share_rows(const double* A, Py_ssize_t D, int threads, double* triangle,
                     double* R) noexcept nogil:
    """Copy A into the packed triangle or, where there is an R, the triangle into it."""
    cdef Py_ssize_t j
    cdef Meeting meeting
    threads = woken(threads)
    if threads == 1:
        for j in range(panels_of(D)):
            copy_rows(A, D, j, triangle, R)
    else:
        meeting = begin_meeting(threads)
        with parallel(num_threads=threads):
            for j in prange(panels_of(D), schedule="dynamic"):
                copy_rows(A, D, j, triangle, R)
            if threadid() == 0:
                share_done(&meeting)
        met(&meeting)


cdef void copy_rows(const double* A, Py_ssize_t D, Py_ssize_t j, double* triangle,
                    double* R) noexcept nogil:
    if R == NULL:
        load_rows(A, D, j, triangle)
    else:
        unpack_factor(triangle, D, j, R)


cdef void share_blocks(const float* R, Py_ssize_t room, const double* scale,
                       const Py_ssize_t* ends, Py_ssize_t count, double* x, Py_ssize_t q,
                       int threads) noexcept nogil:
    """Solve with blocks along a diagonal, R's being `room` apart, in place in q vectors."""
    cdef Py_ssize_t k
    cdef Meeting meeting
    threads = woken(threads) if count * room >= PARALLEL_BLOCKS else 1
    if threads == 1:
        for k in range(count):
            solve_in_block(R + k * room, scale, ends[k], ends[k + 1], ends[count], x, q)
    else:
        meeting = begin_meeting(threads)
        with parallel(num_threads=threads):
            for k in prange(count, schedule="dynamic", chunksize=1):
                solve_in_block(R + k * room, scale, ends[k], ends[k + 1], ends[count], x, q)
            if threadid() == 0:
                share_done(&meeting)
        met(&meeting)


cdef void solve_in_block(const float* R, const double* scale, Py_ssize_t first, Py_ssize_t last,
                         Py_ssize_t D, double* x, Py_ssize_t q) noexcept nogil:
    cdef Py_ssize_t s
    for s in range(q):
        solve_scaled(R, scale + first, last - first, x + s * D + first, 1)
