# SPDX-License-Identifier: BSD-3-Clause
# The weighted Gram matrix sum_i h_i x_i x_i' of a block of rows. No threads, no Python objects.
#
# Rows are centred, scaled and packed into panels (tile.h), a slab of them at a time, so that they
# are read from memory once. Tiles go through a slab in steps of rows whose panels stay in the
# cache. Of the symmetric result the upper triangle of blocks is added up, PANEL x PANEL numbers
# each, and it is kept packed too: panel i holds the rows 0 to (i + 1) PANEL of its columns, one
# behind the other.

cdef extern from "tile.h" nogil:
    enum:
        PANEL "LOGREG_PANEL"        # columns of a panel
        GROUP "LOGREG_GROUP"        # panels that a tile takes at once
    void tile "logreg_tile"(Py_ssize_t panels, Py_ssize_t rows, const double* const* a,
                            const double* b, double sign, double* const* c)
    void pack_row "logreg_pack_row"(bint single, const void* x, const double* center,
                                    const double* scale, Py_ssize_t panels, Py_ssize_t stride,
                                    double* out)
    void scale_panel "logreg_scale_panel"(const double* x, const double* h, Py_ssize_t rows,
                                          double* out)

cdef enum:
    STEP_ROWS = 128     # 8 KB of a panel of 8: tile's four panels are a first-level cache


cdef struct Gram:
    const Pass* x                   # X, and the order of its rows; nothing else of it
    Py_ssize_t m, q, panels         # rows, vectors of weights, panels of the d + 1 columns
    Py_ssize_t stride               # entries from a packed panel of a slab to the next
    bint together                   # the q Grams as one product of matrices: products.pxi
    const double* h                 # q times m weights
    const double* center
    const double* scale


cdef inline Py_ssize_t stride_of(Py_ssize_t rows) noexcept nogil:
    """Entries from a packed panel to the next: a power of two would put all in one cache set."""
    return (rows * PANEL + 7) // 8 * 8 + 8


cdef inline Py_ssize_t panel_start(Py_ssize_t i) noexcept nogil:
    """Where panel i of a packed triangle starts; for the number of panels, the triangle's size."""
    return i * (i + 1) // 2 * PANEL * PANEL


cdef inline double* block_of(double* triangle, Py_ssize_t j, Py_ssize_t i) noexcept nogil:
    """The block in block row j and panel i >= j of a packed triangle."""
    return triangle + panel_start(i) + j * PANEL * PANEL


cdef inline Py_ssize_t panels_of(Py_ssize_t D) noexcept nogil:
    return (D + PANEL - 1) // PANEL


cdef inline Py_ssize_t groups_of(Py_ssize_t panels) noexcept nogil:
    return (panels + GROUP - 1) // GROUP


cdef inline void pack_rows(const real* X, const Gram* g, Py_ssize_t begin, Py_ssize_t m,
                           double* out) noexcept nogil:
    """Pack m rows that are contiguous. Reads m · d entries and writes a little more."""
    cdef Py_ssize_t d = g.x.d, stride = g.stride, full = d // PANEL, i, k, t
    cdef const real* x
    cdef double* last
    for i in range(m):
        x = X + row_at(g.x.order, begin + i) * g.x.row
        pack_row(real is float, x, g.center, g.scale, full, stride, out + i * PANEL)
        last = out + full * stride + i * PANEL
        for t in range(PANEL):
            last[t] = 0
        for t in range(d - full * PANEL):
            k = full * PANEL + t
            last[t] = (x[k] - g.center[k]) * g.scale[k]
        last[d - full * PANEL] = 1.0


cdef inline void pack_column(const real* x, const Gram* g, Py_ssize_t begin, Py_ssize_t m,
                             double center, double scale, alone out) noexcept nogil:
    cdef Py_ssize_t i
    if g.x.order == NULL:
        for i in range(m):
            out[i * PANEL] = (x[begin + i] - center) * scale
    else:
        for i in range(m):
            out[i * PANEL] = (x[g.x.order[begin + i]] - center) * scale


cdef inline void pack_panel(const real* X, const Gram* g, Py_ssize_t begin, Py_ssize_t m,
                            Py_ssize_t k, double* out) noexcept nogil:
    """Pack m rows of the columns of panel k, which are contiguous."""
    cdef Py_ssize_t d = g.x.d, i, j, t
    for t in range(PANEL):
        j = k * PANEL + t
        if j < d:
            pack_column(X + j * g.x.column, g, begin, m, g.center[j], g.scale[j], out + t)
        else:
            for i in range(m):
                out[i * PANEL + t] = <double> (j == d)


cdef void pack(const Gram* g, Py_ssize_t begin, Py_ssize_t m, Py_ssize_t first, Py_ssize_t last,
               double* out) noexcept nogil:
    """Pack m rows; if X is by columns, of the panels from first up to last alone."""
    cdef Py_ssize_t k
    if g.x.column == 1:
        if g.x.is_float:
            pack_rows[float](<const float*> g.x.X, g, begin, m, out)
        else:
            pack_rows[double](<const double*> g.x.X, g, begin, m, out)
        return
    for k in range(first, last):
        if g.x.is_float:
            pack_panel[float](<const float*> g.x.X, g, begin, m, k, out + k * g.stride)
        else:
            pack_panel[double](<const double*> g.x.X, g, begin, m, k, out + k * g.stride)


cdef inline Py_ssize_t scaled_entries() noexcept nogil:
    return GROUP * stride_of(STEP_ROWS)


cdef void add_group(const Gram* g, const double* h, Py_ssize_t m, const double* packed,
                    Py_ssize_t i, Py_ssize_t first, Py_ssize_t last, double* scaled,
                    double* triangle) noexcept nogil:
    """Add a step of m packed rows to the blocks of the group of panels that starts with panel i,
    in the block rows from first up to last.

    The group is weighted into `scaled`, which stays in the first-level cache; the other panels
    pass by, one row of a panel for GROUP · PANEL multiplications of a whole register.
    """
    cdef const double* a[GROUP]
    cdef double* c[GROUP]
    cdef Py_ssize_t stop = min(i + GROUP, g.panels), stride = stride_of(STEP_ROWS), j, k, above
    for k in range(stop - i):
        scale_panel(packed + (i + k) * g.stride, h, m, scaled + k * stride)
    for j in range(first, min(last, stop)):
        above = max(i, j)       # the first panel of the group that has a block in this block row
        for k in range(above, stop):
            a[k - above] = scaled + (k - i) * stride
            c[k - above] = block_of(triangle, j, k)
        tile(stop - above, m, a, packed + j * g.stride, 1.0, c)


cdef void gram_chunk(const Gram* g, Py_ssize_t begin, Py_ssize_t end, double* scratch,
                     double* triangles) noexcept nogil:
    """Add the rows [begin, end) to the q triangles. Reads them from memory once."""
    cdef double* scaled = scratch + g.panels * g.stride
    cdef Py_ssize_t m, s, k
    while begin < end:
        m = min(end - begin, <Py_ssize_t> STEP_ROWS)
        pack(g, begin, m, 0, g.panels, scratch)
        for s in range(g.q):
            for k in range(groups_of(g.panels)):
                add_group(g, g.h + s * g.m + begin, m, scratch, k * GROUP, 0, g.panels, scaled,
                          triangles + s * panel_start(g.panels))
        begin += m


cdef void add_part(const Gram* g, const double* h, Py_ssize_t m, const double* packed,
                   Py_ssize_t begin, Py_ssize_t end, Py_ssize_t first, Py_ssize_t last,
                   double* scaled, double* triangle) noexcept nogil:
    """Add a slab of m packed rows to the blocks of the panels from begin up to end in the block
    rows from first up to last, few enough that a step of them stays in the second-level cache."""
    cdef Py_ssize_t row = 0, i
    while row < m:
        i = begin
        while i < end:
            if first < i + GROUP:
                add_group(g, h + row, min(m - row, <Py_ssize_t> STEP_ROWS), packed + row * PANEL, i,
                          first, last, scaled, triangle)
            i += GROUP
        row += STEP_ROWS


cdef void unpack_symmetric(double* triangle, Py_ssize_t D, Py_ssize_t j,
                           double* out) noexcept nogil:
    """Write block row j of a packed triangle to out, and the same numbers mirrored."""
    cdef Py_ssize_t r, c, i, s, t
    cdef const double* block
    for i in range(j, panels_of(D)):
        block = block_of(triangle, j, i)
        for s in range(min(PANEL, D - j * PANEL)):
            r = j * PANEL + s
            for t in range(s if i == j else 0, min(PANEL, D - i * PANEL)):
                c = i * PANEL + t
                out[r * D + c] = block[s * PANEL + t]
                out[c * D + r] = block[s * PANEL + t]
