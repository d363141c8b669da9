# SPDX-License-Identifier: BSD-3-Clause
# The passes that solvers need, for one column of z (two classes, the link is the sigmoid) or K
# columns (K classes, softmax). All read X once.
#
# Margins stand class after class, z[k · n + i], so that the links' loops over rows vectorise. A
# block of rows is read from memory once and used from the cache for all classes. A class's sums
# are d entries of dw and then its db: the layout of theta. For several classes both may be
# turned over while the pass lasts.

cdef enum:
    # What stands in `sums` behind the K (d + 1) entries of the gradient.
    CLASS_LOSS = 0
    CLASS_SUMS_BEHIND = 1


cdef inline Py_ssize_t parameters(const Pass* p) noexcept nogil:
    """Entries of the gradient in `sums`."""
    return (lanes_of(p.K) if by_lanes(p) else p.K) * (p.d + 1)


cdef inline void class_margins(const Pass* p, Block block, Py_ssize_t begin, Py_ssize_t m,
                               const double* offset, double* z) noexcept nogil:
    """z[k m + i] = x_i w_k + b_k + offset. Behind z is room for as many lanes."""
    cdef Py_ssize_t k, i
    cdef const double* w
    if not by_lanes(p):
        for k in range(p.K):
            w = p.theta + k * (p.d + 1)
            if block.reading == IN_PARTS:
                ask_for_part(p, block, m, k)
            block_margins(p, block, m, w, w[p.d], z + k * m)
            if block.reading == IN_ORDER:
                block.reading = AS_IT_COMES     # from the cache, by the other classes
    elif is_sparse(p):
        if block.begin >= 0:
            sparse_class_margins(&p.sparse, block.begin, m, p.d, p.K, p.theta, z)
        else:
            memset(z, 0, p.K * m * sizeof(double))
    else:
        if block.is_float:
            dense_class_margins(<const float*> block.x, block.row, block.column, m, p.d, p.K,
                                block.reading == AHEAD, p.theta, z + p.K * m, z)
        else:
            dense_class_margins(<const double*> block.x, block.row, block.column, m, p.d, p.K,
                                block.reading == AHEAD, p.theta, z + p.K * m, z)
    if offset != NULL:
        for k in range(p.K):
            for i in range(m):
                z[k * m + i] += offset[k * p.n + begin + i]


cdef inline void class_gradient(const Pass* p, Block block, Py_ssize_t m, double* r,
                                double* g) noexcept nogil:
    """Add R'[X, 1]. Behind r is room for as many lanes."""
    cdef Py_ssize_t k
    cdef bint ahead = block.reading == AHEAD and not block.twice
    if not by_lanes(p):
        for k in range(p.K):
            block_gradient(p, block, m, r + k * m, g + k * (p.d + 1))
            block.reading = AS_IT_COMES     # from the cache, by the other classes
    elif is_sparse(p):
        if block.begin >= 0:
            sparse_class_gradient(&p.sparse, block.begin, m, p.d, p.K, not block.twice, r, g)
    elif block.is_float:
        dense_class_gradient(<const float*> block.x, block.row, block.column, m, p.d, p.K, ahead,
                             r, r + p.K * m, g)
    else:
        dense_class_gradient(<const double*> block.x, block.row, block.column, m, p.d, p.K, ahead,
                             r, r + p.K * m, g)


cdef inline void keep(const Pass* p, Py_ssize_t begin, Py_ssize_t m, const double* z,
                      double* out) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(p.K):
        memcpy(out + k * p.n + begin, z + k * m, m * sizeof(double))


cdef inline void fetch(const Pass* p, Py_ssize_t begin, Py_ssize_t m, const double* z,
                       double* out) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(p.K):
        memcpy(out + k * m, z + k * p.n + begin, m * sizeof(double))


cdef inline void largest(Py_ssize_t K, Py_ssize_t m, const double* z, alone top) noexcept nogil:
    """top = max z of each row."""
    cdef Py_ssize_t k, i
    cdef const double* zk
    for i in range(m):
        top[i] = z[i]
    for k in range(1, K):
        zk = z + k * m
        for i in range(m):
            top[i] = zk[i] if zk[i] > top[i] else top[i]


cdef inline void softmax(Py_ssize_t K, Py_ssize_t m, alone z, const double* top,
                         alone total) noexcept nogil:
    """Replace z by a, the probabilities, given max z in top; leave sum exp(z - top) in total."""
    cdef Py_ssize_t k, i
    for i in range(m):
        total[i] = 0
    for k in range(K):
        exp_below(z + k * m, top, m, total)
    for k in range(K):
        divide(z + k * m, total, m)


cdef inline void exp_below(alone z, const double* top, Py_ssize_t m, alone total) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        z[i] = exp_nonpositive(z[i] - top[i])
        total[i] += z[i]


cdef inline void divide(alone z, const double* total, Py_ssize_t m) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        z[i] /= total[i]


cdef inline void sigmoids(alone z, Py_ssize_t m) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        z[i] = sigmoid_one(z[i])


cdef inline void predict(const Pass* p, Py_ssize_t m, double* z) noexcept nogil:
    """Replace the margins of m rows by the predictions a."""
    cdef double top[MOST_ROWS]
    cdef double total[MOST_ROWS]
    if p.K == 1:
        sigmoids(z, m)
    else:
        largest(p.K, m, z, top)
        softmax(p.K, m, z, top, total)


cdef inline double softmax_link(const Pass* p, Py_ssize_t begin, Py_ssize_t m,
                                const double* share, double* z) noexcept nogil:
    """Replace z by share · (a - Y) and return the sum of share · L, with
    L = log sum exp(z - top) + sum_k Y_k (top - z_k), whose terms are never negative."""
    cdef double top[MOST_ROWS]
    cdef double total[MOST_ROWS]
    cdef double loss = 0, target, below
    cdef Py_ssize_t K = p.K, k, i
    largest(K, m, z, top)
    # The part that needs z itself comes first.
    if p.ids != NULL:
        for i in range(m):
            loss += share[i] * (top[i] - z[p.ids[begin + i] * m + i])
    else:
        for k in range(K):
            for i in range(m):
                target = p.Y[k * p.n + begin + i]
                below = top[i] - z[k * m + i]
                # Not 0 · inf, where margins are further apart than the largest double.
                loss += share[i] * (target * below if target > 0 else 0.0)
    softmax(K, m, z, top, total)
    for i in range(m):
        loss += share[i] * log_from_one(total[i])
    if p.ids != NULL:
        for i in range(m):
            z[p.ids[begin + i] * m + i] -= 1.0
    else:
        for k in range(K):
            for i in range(m):
                z[k * m + i] -= p.Y[k * p.n + begin + i]
    for k in range(K):
        for i in range(m):
            z[k * m + i] *= share[i]
    return loss


cdef inline double class_link(const Pass* p, Py_ssize_t begin, Py_ssize_t m, const double* share,
                              double* z) noexcept nogil:
    """Replace z by share · dz and return the sum of share · L."""
    cdef double copy[MOST_ROWS]
    if p.K == 1:
        return link(all_alike(p), block_labels(p, begin, m, copy), share, m, z)
    return softmax_link(p, begin, m, share, z)


cdef inline double survey_row(const real* x, const Pass* p, double h, const double* inverse,
                              alone diagonal) noexcept nogil:
    cdef Py_ssize_t j
    cdef double t, s = 0
    for j in range(p.d):
        t = x[j] - p.center[j]
        t *= t
        s += inverse[j] * t
        diagonal[j] += h * t
    return s


cdef inline void survey_four(const real* x, const Pass* p, Py_ssize_t row, const double* h,
                             const double* inverse, double* lever, alone diagonal) noexcept nogil:
    cdef Py_ssize_t j
    cdef const real* x1 = x + row
    cdef const real* x2 = x1 + row
    cdef const real* x3 = x2 + row
    cdef double h0 = h[0], h1 = h[1], h2 = h[2], h3 = h[3]
    cdef double s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0, t1, t2, t3, c, q
    for j in range(p.d):
        c = p.center[j]
        q = inverse[j]
        t0 = (x[j] - c) * (x[j] - c)
        t1 = (x1[j] - c) * (x1[j] - c)
        t2 = (x2[j] - c) * (x2[j] - c)
        t3 = (x3[j] - c) * (x3[j] - c)
        s0 += q * t0
        s1 += q * t1
        s2 += q * t2
        s3 += q * t3
        diagonal[j] += (h0 * t0 + h1 * t1) + (h2 * t2 + h3 * t3)
    lever[0] += s0
    lever[1] += s1
    lever[2] += s2
    lever[3] += s3


cdef inline double survey_piece(const real* x, double c, double q, Py_ssize_t m, const double* h,
                                alone lever) noexcept nogil:
    cdef Py_ssize_t i
    cdef double t, s = 0
    for i in range(m):
        t = x[i] - c
        t *= t
        lever[i] += q * t
        s += h[i] * t
    return s


cdef inline void survey_rows(const real* x, const Pass* p, Py_ssize_t row, Py_ssize_t column,
                             Py_ssize_t m, const double* h, const double* inverse, double* lever,
                             double* diagonal) noexcept nogil:
    """diagonal[j] += sum_i h_i (x_ij - center_j)^2 and lever[i] += sum_j inverse_j (same)^2, the
    bias as a column whose entries are 1."""
    cdef Py_ssize_t i, j
    cdef double s = 0
    if column == 1:
        for i in range(0, m - 3, 4):
            survey_four(x + i * row, p, row, h + i, inverse, lever + i, diagonal)
        for i in range(m // 4 * 4, m):
            lever[i] += survey_row(x + i * row, p, h[i], inverse, diagonal)
    else:
        for j in range(p.d):
            diagonal[j] += survey_piece(x + j * column, p.center[j], inverse[j], m, h, lever)
    for i in range(m):
        lever[i] += inverse[p.d]
        s += h[i]
    diagonal[p.d] += s


cdef void survey(const Pass* p, Block block, Py_ssize_t begin, Py_ssize_t m, const double* share,
                 double* a, double* diagonal) noexcept nogil:
    """The diagonal of the Hessian, and the rows' leverage as the diagonal `inverse` has it, class
    by class: out_b[k, i] = a_ik (1 - a_ik) sum_j inverse_kj (x_ij - center_j)^2. Overwrites a."""
    cdef double lever[MOST_ROWS]
    cdef double h[MOST_ROWS]
    cdef Py_ssize_t k, i
    cdef const double* inverse
    cdef double* out
    cdef double* ak
    for k in range(p.K):
        ak = a + k * m
        inverse = p.inverse + k * (p.d + 1)
        out = diagonal + k * (p.d + 1)
        for i in range(m):
            ak[i] *= 1.0 - ak[i]
            h[i] = share[i] * ak[i]
            lever[i] = 0
        if block.is_float:
            survey_rows[float](<const float*> block.x, p, block.row, block.column, m, h,
                               inverse, lever, out)
        else:
            survey_rows[double](<const double*> block.x, p, block.row, block.column, m, h,
                                inverse, lever, out)
        for i in range(m):
            p.out_b[k * p.n + begin + i] = ak[i] * lever[i]


cdef void evaluate_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                        double* sums) noexcept nogil:
    """The averaged loss and its gradient; out = z; with `inverse`, the survey as well."""
    cdef double share[MOST_ROWS]
    cdef double* z = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    cdef Block block
    while i < end:
        m = min(rows, end - i)
        block = block_at(p, i, m, True, NULL)
        class_margins(p, block, i, m, p.offset, z)
        keep(p, i, m, z, p.out)
        block_shares(p, i, m, share)
        sums[parameters(p) + CLASS_LOSS] += class_link(p, i, m, share, z)
        class_gradient(p, block, m, z, sums)
        if p.inverse != NULL:
            fetch(p, i, m, p.out, z)
            predict(p, m, z)
            survey(p, block, i, m, share, z, sums + parameters(p) + CLASS_SUMS_BEHIND)
        i += m


cdef void class_margins_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                             double* sums) noexcept nogil:
    """out = XW' + b + offset."""
    cdef double* z = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    cdef Block block
    while i < end:
        m = min(rows, end - i)
        block = block_at(p, i, m, False, NULL)
        class_margins(p, block, i, m, p.offset, z)
        keep(p, i, m, z, p.out)
        i += m


cdef void class_transpose_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                               double* sums) noexcept nogil:
    """R'[X, 1] with R (K, n) in r."""
    cdef double* r = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    cdef Block block
    while i < end:
        m = min(rows, end - i)
        fetch(p, i, m, p.r, r)
        block = block_at(p, i, m, False, NULL)
        class_gradient(p, block, m, r, sums)
        i += m


cdef inline void add_product(const double* a, const double* u, Py_ssize_t m,
                             alone out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        out[i] += a[i] * u[i]


cdef inline void less(const double* u, const double* mean, Py_ssize_t m,
                      double* out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        out[i] = u[i] - mean[i]


cdef inline void from_mean(const double* a, Py_ssize_t a_stride, const double* u,
                           Py_ssize_t u_stride, Py_ssize_t K, Py_ssize_t m, int times, double* out,
                           Py_ssize_t out_stride) noexcept nogil:
    """out = u less its average by the probabilities a, for the margins u of m rows; in place too.

    What a row's margins have in common may be large, and probabilities that add up to 1 but for
    rounding leave as much of it. A second time takes that away.
    """
    cdef double mean[MOST_ROWS]
    cdef Py_ssize_t k
    cdef int time
    for time in range(times):
        memset(mean, 0, m * sizeof(double))
        for k in range(K):
            add_product(a + k * a_stride, u + k * u_stride, m, mean)
        for k in range(K):
            less(u + k * u_stride, mean, m, out + k * out_stride)
        u = out
        u_stride = out_stride


cdef inline void turn(const Pass* p, Py_ssize_t begin, Py_ssize_t m, const double* share,
                      int times, double* u) noexcept nogil:
    """Replace what a direction adds to z by share times what it adds to a, (diag(a) - a a') u.
    `times` is that of from_mean."""
    cdef Py_ssize_t k, i
    cdef double a, b
    cdef double* uk
    cdef const double* ak
    if p.K == 1:
        for i in range(m):
            a = p.Z[begin + i]
            u[i] *= share[i] * (a * (1.0 - a))
        return
    from_mean(p.Z + begin, p.n, u, m, p.K, m, times, u, m)
    for k in range(p.K):
        ak = p.Z + k * p.n + begin
        uk = u + k * m
        for i in range(m):
            uk[i] = share[i] * (ak[i] * uk[i])


cdef void hessian_vector_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                              double* sums) noexcept nogil:
    """The averaged Hessian times theta at the point whose predictions a stand in Z; out = XV'."""
    cdef double share[MOST_ROWS]
    cdef double* u = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    cdef Block block
    while i < end:
        m = min(rows, end - i)
        block = block_at(p, i, m, True, NULL)
        class_margins(p, block, i, m, NULL, u)
        if p.out != NULL:
            keep(p, i, m, u, p.out)
        block_shares(p, i, m, share)
        turn(p, i, m, share, 1, u)
        class_gradient(p, block, m, u, sums)
        i += m
