# SPDX-License-Identifier: BSD-3-Clause
# Passes over margins alone: what a line search, a certificate or a Hessian needs of the rows
# without reading X. n and K stand for the rows and columns of z; X is not looked at.

cdef enum:
    SEARCH_LOSS = 0
    SEARCH_SLOPE = 1
    SEARCH_CURVATURE = 2
    DUAL_DIVERGENCE = 0
    DUAL_OUTSIDE = 1
    DUAL_MOVES = 2      # K of them


cdef inline void move_along(const double* u, double t, Py_ssize_t m, alone z) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(m):
        z[j] += t * u[j]


cdef void search_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                      double* sums) noexcept nogil:
    """The averaged loss at z = Z + step · U, and its first and second derivative by step."""
    cdef double share[MOST_ROWS]
    cdef double mean[MOST_ROWS]
    cdef double square[MOST_ROWS]
    cdef double e[MOST_ROWS]
    cdef double* z = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m, k, j
    cdef const double* u
    cdef double* zk
    cdef double t = p.step, slope, curvature, a
    while i < end:
        m = min(rows, end - i)
        fetch(p, i, m, p.Z, z)
        for k in range(p.K):
            move_along(p.U + k * p.n + i, t, m, z + k * m)
        block_shares(p, i, m, share)
        slope = 0
        curvature = 0
        if p.K == 1:
            u = p.U + i
            exponentials(z, m, e)
            for j in range(m):
                a = u[j] / (1.0 + e[j])
                curvature += share[j] * e[j] * (a * a)
            sums[SEARCH_LOSS] += link_of(all_alike(p), block_labels(p, i, m, mean), share, m,
                                         e, z)
        else:
            sums[SEARCH_LOSS] += softmax_link(p, i, m, share, z)
        for k in range(p.K):
            u = p.U + k * p.n + i
            zk = z + k * m
            for j in range(m):
                slope += zk[j] * u[j]
        if p.K > 1:
            # z is share · (a - Y) now; the curvature is the variance of u under a.
            for j in range(m):
                mean[j] = 0
                square[j] = 0
            for k in range(p.K):
                u = p.U + k * p.n + i
                zk = z + k * m
                if p.ids != NULL:
                    for j in range(m):
                        a = zk[j] + (share[j] if p.ids[i + j] == k else 0.0)
                        mean[j] += a * u[j]
                        square[j] += a * u[j] * u[j]
                else:
                    for j in range(m):
                        a = zk[j] + share[j] * p.Y[k * p.n + i + j]
                        mean[j] += a * u[j]
                        square[j] += a * u[j] * u[j]
            for j in range(m):
                curvature += square[j] - (mean[j] * mean[j] / share[j] if share[j] > 0 else 0.0)
        sums[SEARCH_SLOPE] += slope
        sums[SEARCH_CURVATURE] += curvature
        i += m


cdef inline double excess(double t) noexcept nogil:
    """A polynomial above h(t) = (1 + t) log(1 + t) - t on t >= -1, equal to it up to t^3 at 0.

    For t in [-1, 0] the series of h has positive terms, and those from t^4 on add up to at most
    t^4 sum_{k>=4} 1/(k(k-1)) = t^4/3; for t >= 0 it alternates, so h <= t^2/2 - t^3/6 + t^4/12
    while t <= 1, and h <= t^2/2 always.
    """
    cdef double s = t * t, near = s * (0.5 - t * (1.0 / 6.0)
                                       + s * (1.0 / 3.0 if t < 0 else 1.0 / 12.0))
    return near if t <= 1.0 else 0.5 * s


cdef inline double part(double change, double a) noexcept nogil:
    """The change in parts of a, or if a is next to 0 of the least that has a reciprocal."""
    # A sum with it would do too, were 1 - a + 1e-300 not 1 - a to compilers that may reorder.
    return change / (a if a > 1e-300 else 1e-300)


cdef inline double lost(double a, double other, double change) noexcept nogil:
    """A bound on KL(a' || a) of two classes with a and `other`, of which a change takes from one
    what it gives to the other."""
    return a * excess(part(change, a)) + other * excess(part(-change, other))


cdef inline void curve(const double* a, Py_ssize_t m, alone w) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(m):
        w[j] = a[j] * (1.0 - a[j])


cdef inline double move_dual(const double* a, const double* w, const double* u,
                             const double* share, Py_ssize_t m, alone out) noexcept nogil:
    """What dual_pass does for two classes, with a' = a + w u. Returns the sum."""
    cdef Py_ssize_t j
    cdef double change, other, divergence = 0
    for j in range(m):
        other = 1.0 - a[j]
        change = within(w[j] * u[j], -a[j], other)
        divergence += share[j] * lost(a[j], other, change)
        out[j] = share[j] * change
    return divergence


cdef void relative_moves(const Pass* p, Py_ssize_t begin, Py_ssize_t m, const double* a,
                         Py_ssize_t stride, alone over) noexcept nogil:
    """Fill out, for m rows of several classes, with how far predictions would move in parts of
    themselves, and `over` with what they would add up to beyond 1 if moves below -1 stopped there.

    The predictions of a class are `stride` behind those of the one before.
    """
    cdef Py_ssize_t k, j
    cdef const double* ak
    cdef const double* b = a if p.bent == NULL else p.bent + begin
    cdef double* t
    cdef double change
    from_mean(b, stride if p.bent == NULL else p.n, p.U + begin, p.n, p.K, m, 2, p.out + begin,
              p.n)
    for j in range(m):
        over[j] = 0
    for k in range(p.K):
        ak = a + k * stride
        t = p.out + k * p.n + begin
        if p.bent == NULL:
            for j in range(m):
                over[j] += ak[j] * at_least_zero(-1.0 - t[j])
        else:
            # Not from the relative move: next to 0 it is none of a, and what others get is.
            b = p.bent + k * p.n + begin
            for j in range(m):
                change = b[j] * t[j]
                over[j] += at_least_zero(-change - ak[j])
                t[j] = part(change, ak[j])


cdef inline double clipped(double t, double over) noexcept nogil:
    """What is left of a relative move t where a row's moves below -1 stop there, which would add
    `over` to what its probabilities add up to: all are divided by 1 + over."""
    cdef double inside = t if not t < -1.0 else -1.0, left = (inside - over) / (1.0 + over)
    return left if not left < -1.0 else -1.0


cdef double move_duals(const Pass* p, Py_ssize_t begin, Py_ssize_t m, const double* share,
                       const double* a, Py_ssize_t stride) noexcept nogil:
    """What dual_pass does to m rows of any number of classes; returns what it adds up.

    The predictions of a class are `stride` behind those of the one before.
    """
    cdef double row[MOST_ROWS]
    cdef Py_ssize_t k, j
    cdef const double* ak
    cdef double* out
    cdef double t, divergence = 0
    if p.K == 1:
        curve(a if p.bent == NULL else p.bent + begin, m, row)
        return move_dual(a, row, p.U + begin, share, m, p.out + begin)
    relative_moves(p, begin, m, a, stride, row)
    for k in range(p.K):
        ak = a + k * stride
        out = p.out + k * p.n + begin
        for j in range(m):
            t = clipped(out[j], row[j])
            divergence += share[j] * (ak[j] * excess(t))
            out[j] = share[j] * (ak[j] * t)
    return divergence


cdef void dual_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end, double* sums) noexcept nogil:
    """Move the predictions a, in Z, to a' = a + (diag(b) - b b') u along the margins U, where the
    predictions b are `bent`, or a.

    Adds up a bound on share · KL(a' || a); out = share (a' - a). With t_k = b_k / a_k (u_k - b·u),
    a'_k = a_k (1 + t_k) and KL(a' || a) = sum_k a_k h(t_k). Classes that a row is almost sure not
    to be of would leave [0, 1] long before it matters: they stop there (`within`, `clipped`).
    """
    cdef double share[MOST_ROWS]
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    while i < end:
        m = min(rows, end - i)
        block_shares(p, i, m, share)
        sums[DUAL_DIVERGENCE] += move_duals(p, i, m, share, p.Z + i, p.n)
        i += m


cdef void dual_residual_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                             double* sums) noexcept nogil:
    """Move the predictions a at the margins Z to a' as dual_pass does, adding up the same;
    out = share (a' - Y)."""
    cdef double share[MOST_ROWS]
    cdef double* z = sums + sums_width(p)
    cdef double* a
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m, k
    while i < end:
        m = min(rows, end - i)
        a = z + p.K * m     # where lanes have their room
        block_shares(p, i, m, share)
        fetch(p, i, m, p.Z, z)
        memcpy(a, z, p.K * m * sizeof(double))
        predict(p, m, a)
        sums[DUAL_DIVERGENCE] += move_duals(p, i, m, share, a, m)
        class_link(p, i, m, share, z)
        for k in range(p.K):
            move_along(z + k * m, 1.0, m, p.out + k * p.n + i)
        i += m


cdef inline bint is_outside(double a, double change) noexcept nogil:
    """Whether a + change is negative; below zero by rounding is zero."""
    return not (a + change >= -1e-15)


cdef inline double moved(double a, double change) noexcept nogil:
    """A bound on the part that a probability a has in KL(a' || a), where a' = a + change."""
    cdef double t = part(change, a)
    cdef double near = a * excess(t if t > -1.0 else -1.0)
    # Where the model was sure of a row, a small change is many times a: t^2/2 would be far above.
    cdef double far = (a + change) * log1p_any(t if t > 0.0 else 0.0) - change
    return near if not t > 1.0 else (far if a > 1e-290 else HUGE_VAL)


cdef inline void combine(const Pass* p, Py_ssize_t begin, Py_ssize_t m, double* z,
                         double* out) noexcept nogil:
    """out = the combination of the predictions at some margins and of changes. Overwrites z."""
    cdef Py_ssize_t k, q
    memset(out, 0, p.K * m * sizeof(double))
    for q in range(p.sources):
        if p.weights[q] == 0:
            continue
        fetch(p, begin, m, p.source[q], z)
        if q < p.predicted:
            predict(p, m, z)
        for k in range(p.K):
            move_along(z + k * m, p.weights[q], m, out + k * m)


cdef void divergence_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                          double* sums) noexcept nogil:
    """Add up a bound on share · KL(a' || a), and how often a' leaves [0, 1], for the predictions a
    at the margins Z and a' = a + what `combine` gives, and share · (a' - a) of each class.

    Nothing of this is kept for each row, of which some come into the cache once.
    """
    cdef double share[MOST_ROWS]
    cdef double e[MOST_ROWS]
    cdef double* z = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m, k, j
    cdef double* change
    cdef const double* u
    cdef double divergence, small, large, a, moves
    cdef Py_ssize_t outside
    while i < end:
        m = min(rows, end - i)
        change = z + p.K * m    # where lanes have their room
        block_shares(p, i, m, share)
        combine(p, i, m, z, change)
        fetch(p, i, m, p.Z, z)
        outside = 0
        divergence = 0
        if p.K == 1:
            u = change
            exponentials(z, m, e)
            for j in range(m):
                # Both probabilities, of which a difference from 1 would lose the small one.
                large = 1.0 / (1.0 + e[j])
                small = e[j] * large
                a = small if z[j] < 0 else large
                small = large if z[j] < 0 else small
                outside += is_outside(a, u[j]) | is_outside(small, -u[j])
                divergence += share[j] * (moved(a, u[j]) + moved(small, -u[j]))
        else:
            predict(p, m, z)
            for k in range(p.K):
                u = change + k * m
                for j in range(m):
                    outside += is_outside(z[k * m + j], u[j])
                    divergence += share[j] * moved(z[k * m + j], u[j])
        for k in range(p.K):
            u = change + k * m
            moves = 0
            for j in range(m):
                moves += share[j] * u[j]
            sums[DUAL_MOVES + k] += moves
        sums[DUAL_DIVERGENCE] += divergence
        sums[DUAL_OUTSIDE] += outside
        i += m


cdef void turn_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end, double* sums) noexcept nogil:
    """out = share (diag(a) - a a') u for the predictions a in Z and the margins U."""
    cdef double share[MOST_ROWS]
    cdef double* u = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    while i < end:
        m = min(rows, end - i)
        fetch(p, i, m, p.U, u)
        block_shares(p, i, m, share)
        turn(p, i, m, share, 2, u)
        keep(p, i, m, u, p.out)
        i += m


cdef void predict_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                       double* sums) noexcept nogil:
    """out = a, the predictions at the margins Z."""
    cdef double* z = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    while i < end:
        m = min(rows, end - i)
        fetch(p, i, m, p.Z, z)
        predict(p, m, z)
        keep(p, i, m, z, p.out)
        i += m


cdef void residual_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                        double* sums) noexcept nogil:
    """out = share · (a - Y) at the margins Z; or at Z + step · U, which are kept in out_b."""
    cdef double share[MOST_ROWS]
    cdef double* z = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m, k
    while i < end:
        m = min(rows, end - i)
        fetch(p, i, m, p.Z, z)
        if p.U != NULL:
            for k in range(p.K):
                move_along(p.U + k * p.n + i, p.step, m, z + k * m)
            keep(p, i, m, z, p.out_b)
        block_shares(p, i, m, share)
        sums[SEARCH_LOSS] += class_link(p, i, m, share, z)
        keep(p, i, m, z, p.out)
        i += m


cdef inline void bend(const double* a, const double* share, Py_ssize_t m,
                      alone out) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(m):
        out[j] = share[j] * (a[j] * (1.0 - a[j]))


cdef void curvature_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                         double* sums) noexcept nogil:
    """The weights of the Hessian's Grams at the predictions a in Z: share · a (1 - a) for one
    class, for K those of the pairs k < l, -share · a_k a_l, in rows of n."""
    cdef double share[MOST_ROWS]
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m, k, other, j
    cdef const double* a
    cdef double* out
    while i < end:
        m = min(rows, end - i)
        block_shares(p, i, m, share)
        out = p.out + i
        if p.K == 1:
            bend(p.Z + i, share, m, out)
        for k in range(p.K):
            for other in range(k + 1, p.K):
                a = p.Z + k * p.n + i
                pair_curvature(a, a + (other - k) * p.n, share, m, out)
                out += p.n
        i += m


cdef inline void pair_curvature(const double* a, const double* b, const double* share,
                                Py_ssize_t m, alone out) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(m):
        out[j] = -share[j] * (a[j] * b[j])
