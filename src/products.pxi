# SPDX-License-Identifier: BSD-3-Clause
# Many weighted Gram matrices of the same rows at once, as the pairs of many classes have them. No
# threads, no Python objects.
#
# sum_i h_qi x_ij x_ik, for all q and all j <= k, is one product of matrices: of the weights with
# the products x_ij x_ik. These are made once for all q, in panels (tile.h) of as many as stay in
# the cache, and no place in a register is left for what is below the diagonal. The sums are blocks
# of PANEL x PANEL: for each panel of weights those of all panels of products.

cdef enum:
    MAKING = 5                      # what a product costs, in multiplications of a tile
    WEIGHTING = 32                  # what gram_chunk takes besides, for each Gram and panel
    PRODUCT_SUMS_BYTES = 8388608    # of the sums of a chunk of rows
    PRODUCTS = 256                  # made at once: with STEP_ROWS a half of a second-level cache


cdef inline Py_ssize_t end_of_part(Py_ssize_t D, Py_ssize_t first) noexcept nogil:
    """The products of entry `first` and those up to this one, with what is behind each, are made
    at once."""
    cdef Py_ssize_t last = first + 1, count = D - first
    while last < D and count + D - last <= PRODUCTS:
        count += D - last
        last += 1
    return last


cdef inline Py_ssize_t panels_of_part(Py_ssize_t D, Py_ssize_t first,
                                      Py_ssize_t last) noexcept nogil:
    return panels_of((last - first) * (2 * D - first - last + 1) // 2)


cdef inline Py_ssize_t panels_of_products(Py_ssize_t D) noexcept nogil:
    cdef Py_ssize_t first = 0, last, panels = 0
    while first < D:
        last = end_of_part(D, first)
        panels += panels_of_part(D, first, last)
        first = last
    return panels


cdef inline Py_ssize_t product_sums(const Gram* g) noexcept nogil:
    """Entries of the sums of a chunk of rows."""
    return panels_of(g.q) * panels_of_products(g.x.d + 1) * PANEL * PANEL


cdef inline bint by_products(const Gram* g) noexcept nogil:
    """Whether all Grams at once are less work than one after the other."""
    cdef Py_ssize_t D = g.x.d + 1
    cdef Py_ssize_t together = (panels_of(g.q) * PANEL + MAKING) * (D * (D + 1) // 2)
    cdef Py_ssize_t apart = g.q * (panel_start(g.panels) + WEIGHTING * g.panels)
    return (together < apart
            and product_sums(g) <= PRODUCT_SUMS_BYTES // <Py_ssize_t> sizeof(double))


cdef inline Py_ssize_t most_products(const Gram* g) noexcept nogil:
    """Room for the products of a row that are made at once."""
    return (max(<Py_ssize_t> PRODUCTS, g.x.d + 1) // PANEL + 2) * PANEL


cdef inline Py_ssize_t product_scratch(const Gram* g) noexcept nogil:
    cdef Py_ssize_t wide = (g.panels + 1) * PANEL
    return (g.panels * g.stride + wide + most_products(g)
            + (panels_of(g.q) + most_products(g) // PANEL) * stride_of(STEP_ROWS))


cdef inline void pack_weights(const Gram* g, Py_ssize_t begin, Py_ssize_t m,
                              double* out) noexcept nogil:
    """Pack the weights of m rows, PANEL Grams to a panel."""
    cdef Py_ssize_t stride = stride_of(STEP_ROWS), q, i
    cdef const double* h
    cdef double* panel
    for q in range(panels_of(g.q) * PANEL):
        panel = out + q // PANEL * stride + q % PANEL
        if q < g.q:
            h = g.h + q * g.m + begin
            for i in range(m):
                panel[i * PANEL] = h[i]
        else:
            for i in range(m):
                panel[i * PANEL] = 0


cdef inline void multiply_entries(const double* x, Py_ssize_t D, Py_ssize_t first,
                                  Py_ssize_t last, alone out) noexcept nogil:
    """The products x_j x_k, k >= j, for first <= j < last, and zeros up to the end of a panel. A
    panel's width behind its end x is zero."""
    cdef Py_ssize_t j, k, t
    for j in range(first, last):
        for k in range(panels_of(D - j)):
            for t in range(PANEL):
                out[k * PANEL + t] = x[j] * x[j + k * PANEL + t]
        out += D - j


cdef inline void copy_panel_row(const double* x, alone out) noexcept nogil:
    cdef Py_ssize_t t
    for t in range(PANEL):
        out[t] = x[t]


cdef inline void pack_products(const Gram* g, Py_ssize_t m, const double* packed,
                               Py_ssize_t first, Py_ssize_t last, double* row,
                               double* out) noexcept nogil:
    """Pack the products of part of the entries of m rows. `row` is room for a row and for them."""
    cdef Py_ssize_t D = g.x.d + 1, panels = panels_of_part(D, first, last), i, k, t
    cdef Py_ssize_t stride = stride_of(STEP_ROWS)
    cdef double* products = row + (g.panels + 1) * PANEL
    for t in range(PANEL):
        row[g.panels * PANEL + t] = 0
    for i in range(m):
        for k in range(first // PANEL, g.panels):
            copy_panel_row(packed + k * g.stride + i * PANEL, row + k * PANEL)
        multiply_entries(row, D, first, last, products)
        for k in range(panels):
            copy_panel_row(products + k * PANEL, out + k * stride + i * PANEL)


cdef void add_products(Py_ssize_t m, Py_ssize_t panels, const double* products, Py_ssize_t grams,
                       const double* weights, Py_ssize_t all_panels, double* sums) noexcept nogil:
    """Add a step of m rows: `panels` panels of products with all `grams` panels of weights.

    A group of panels of products stays in the first-level cache while the weights pass by.
    """
    cdef const double* a[GROUP]
    cdef double* c[GROUP]
    cdef Py_ssize_t stride = stride_of(STEP_ROWS), v = 0, u, k, group
    while v < panels:
        group = min(<Py_ssize_t> GROUP, panels - v)
        for k in range(group):
            a[k] = products + (v + k) * stride
        for u in range(grams):
            for k in range(group):
                c[k] = sums + (u * all_panels + v + k) * PANEL * PANEL
            tile(group, m, a, weights + u * stride, 1.0, c)
        v += group


cdef void product_chunk(const Gram* g, Py_ssize_t begin, Py_ssize_t end, double* scratch,
                        double* sums) noexcept nogil:
    """Add the rows [begin, end) to the sums of all Grams. Reads them from memory once."""
    cdef Py_ssize_t D = g.x.d + 1, stride = stride_of(STEP_ROWS), m, first, last, done
    cdef Py_ssize_t grams = panels_of(g.q), all_panels = panels_of_products(D)
    cdef double* weights = scratch + g.panels * g.stride
    cdef double* products = weights + grams * stride
    cdef double* row = products + most_products(g) // PANEL * stride
    while begin < end:
        m = min(end - begin, <Py_ssize_t> STEP_ROWS)
        pack(g, begin, m, 0, g.panels, scratch)
        pack_weights(g, begin, m, weights)
        first = done = 0
        while first < D:
            last = end_of_part(D, first)
            pack_products(g, m, scratch, first, last, row, products)
            add_products(m, panels_of_part(D, first, last), products, grams, weights, all_panels,
                         sums + done * PANEL * PANEL)
            done += panels_of_part(D, first, last)
            first = last
        begin += m


cdef void unpack_products(const double* sums, const Gram* g, Py_ssize_t q,
                          double* out) noexcept nogil:
    """Write Gram q, both triangles of it."""
    cdef Py_ssize_t D = g.x.d + 1, first = 0, last, j, k, p
    cdef const double* block
    sums += q // PANEL * panels_of_products(D) * PANEL * PANEL + q % PANEL * PANEL
    while first < D:
        last = end_of_part(D, first)
        p = 0
        for j in range(first, last):
            for k in range(j, D):
                block = sums + p // PANEL * PANEL * PANEL
                out[j * D + k] = out[k * D + j] = block[p % PANEL]
                p += 1
        sums += panels_of_part(D, first, last) * PANEL * PANEL
        first = last
