# SPDX-License-Identifier: BSD-3-Clause
# Directions in pieces, a class's weights in a group of neighbouring columns: their margins, and a
# pass over these alone. Margins of pieces stand as those of classes do, group after group.


cdef void piece_margins_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                             double* sums) noexcept nogil:
    """out (groups, K, n) = X_g W_g' + b_g for the columns from ends[g] to ends[g + 1] of a dense X.

    theta stands in lanes, each group's weights and then its bias. X is read from memory once.
    """
    cdef double* z = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), lanes = lanes_of(p.K), i = begin, m, g, first, width
    cdef const double* w
    cdef Block block
    cdef bint ahead
    while i < end:
        m = min(rows, end - i)
        block = block_at(p, i, m, True, NULL)
        ahead = block.column == 1 and block.reading != AS_IT_COMES
        for g in range(p.groups):
            first = p.ends[g]
            width = p.ends[g + 1] - first
            w = p.theta + (first + g) * lanes
            if block.is_float:
                dense_class_margins(<const float*> block.x + first * block.column, block.row,
                                    block.column, m, width, p.K, ahead, w, z + p.K * m, z)
            else:
                dense_class_margins(<const double*> block.x + first * block.column, block.row,
                                    block.column, m, width, p.K, ahead, w, z + p.K * m, z)
            keep(p, i, m, z, p.out + g * p.K * p.n)
        i += m


cdef inline void sum_to_zero(Py_ssize_t K, Py_ssize_t m, alone u) noexcept nogil:
    """Take from all classes what they have in common, which changes no prediction."""
    cdef double mean[MOST_ROWS]
    cdef Py_ssize_t k, j
    memset(mean, 0, m * sizeof(double))
    for k in range(K):
        for j in range(m):
            mean[j] += u[k * m + j]
    for k in range(K):
        for j in range(m):
            u[k * m + j] -= mean[j] / K


cdef void pieces_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end, double* sums) noexcept nogil:
    """The averaged loss at Z + theta · U for the margins U of pieces, and its gradient by theta.

    theta and the gradient stand class by class, (K, groups). out_b = those margins, which are Z's
    but for what sums to zero over several classes, and out = share · (a - Y) there. The margins of
    pieces come from memory once.
    """
    cdef double share[MOST_ROWS]
    cdef double* z = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m, k
    while i < end:
        m = min(rows, end - i)
        memset(z, 0, p.K * m * sizeof(double))
        for k in range(p.K):
            sum_lines(p.U + k * p.n + i, p.K * p.n, p.groups, BY_COLUMNS,
                      p.theta + k * p.groups, m, z + k * m)
        if p.K > 1:
            sum_to_zero(p.K, m, z)
        for k in range(p.K):
            move_along(p.Z + k * p.n + i, 1.0, m, z + k * m)
        keep(p, i, m, z, p.out_b)
        block_shares(p, i, m, share)
        sums[p.groups * p.K] += class_link(p, i, m, share, z)
        keep(p, i, m, z, p.out)
        for k in range(p.K):
            dot_lines(p.U + k * p.n + i, p.K * p.n, p.groups, AS_IT_COMES, z + k * m, m,
                      sums + k * p.groups)
        i += m
