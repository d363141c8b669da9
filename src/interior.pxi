# SPDX-License-Identifier: BSD-3-Clause
# To near a quadratic model's minimum where pivots go round in circles: no Python.
#
# With more coordinates than H has rank, there is no end of choices of those that are zero, one
# about as good as the next. A primal-dual interior-point method (Mehrotra 1992) goes past all of
# them, in some ten factors, whatever H is. With x = x+ - x-, and y what the kink at zero has of r,
# from -l to l, all of these are positive, and the product of each pair is zero at the minimum:
#
#     x+ and l + y,  x- and l - y,  x - lower and its multiplier,  upper - x and its multiplier

cdef enum:
    PAIRS = 4           # of a coordinate, in this order
    MOST_STEPS = 60

cdef double CLOSE = 1e-9        # so little of the products, and of what is unmet, is the end
cdef double ABOUT = 0.5         # of a penalty, by which more or less holds what is left out
cdef double STIFF = 1e-11       # of a curvature, added to it: H may have none along a direction
cdef double INSIDE = 0.995      # a step goes this part of the way to where something gets to zero


cdef struct Interior:
    Py_ssize_t m            # coordinates
    const Py_ssize_t* S     # which
    double* v               # PAIRS rows of m: of each pair what belongs to x,
    double* s               # and what belongs to the slope; 1 and 0 where there is no such pair
    double* dv              # their steps
    double* ds
    double* c               # what v ds + s dv is to be
    double* d               # the step of x


cdef inline bint has_pair(const Model* q, Py_ssize_t j, Py_ssize_t t) noexcept nogil:
    if t < 2:
        return q.l1[j] > 0
    return q.lower[j] > -HUGE_VAL if t == 2 else q.upper[j] < HUGE_VAL


cdef inline double unmet(const Model* q, const Interior* p, Py_ssize_t k) noexcept nogil:
    """What kinks and bounds do not have of r."""
    cdef Py_ssize_t m = p.m
    return q.r[p.S[k]] - 0.5 * (p.s[k] - p.s[m + k]) - p.s[2 * m + k] + p.s[3 * m + k]


cdef void start_inside(const Model* q, Interior* p) noexcept nogil:
    """Fill v and s: their products are all the same at first, the mean of what the penalties would
    be of x and the steps that it could take."""
    cdef Py_ssize_t m = p.m, k, j, t
    cdef double mean = 0, wide, y
    for k in range(m):
        j = p.S[k]
        p.d[k] = fabs(q.x[j]) + max(fabs(q.r[j]) - 0.5 * q.l1[j], 0) / q.H[j * (q.N + 1)]
        mean += (q.l1[j] if q.l1[j] > 0 else fabs(q.r[j])) * p.d[k] / m
    mean = max(mean, 1e-100)    # not zero
    for k in range(m):
        j = p.S[k]
        y = within(q.r[j], -0.5 * q.l1[j], 0.5 * q.l1[j])
        wide = mean / q.l1[j] if q.l1[j] > 0 else p.d[k]
        p.s[k], p.s[m + k] = q.l1[j] + y, q.l1[j] - y
        p.v[k], p.v[m + k] = max(q.x[j], 0) + wide, max(-q.x[j], 0) + wide
        if p.d[k] > 0:
            wide = p.d[k]
        p.v[2 * m + k] = max(q.x[j] - q.lower[j], wide)
        p.v[3 * m + k] = max(q.upper[j] - q.x[j], wide)
        p.s[2 * m + k], p.s[3 * m + k] = mean / p.v[2 * m + k], mean / p.v[3 * m + k]
        for t in range(PAIRS):
            if not has_pair(q, j, t):
                p.v[t * m + k], p.s[t * m + k] = 1, 0


cdef int factor_bent(const Model* q, const Columns* columns, const Interior* p, double* R,
                     double* scale) except -1 nogil:
    """Fill R and scale with the factor of these coordinates' part of H, bent by the pairs."""
    cdef Py_ssize_t m = p.m, i, k
    cdef double bend
    cdef const double* row
    for k in range(m):
        row = q.H + p.S[k] * q.N
        bend = STIFF * row[p.S[k]]
        bend += p.s[2 * m + k] / p.v[2 * m + k] + p.s[3 * m + k] / p.v[3 * m + k]
        if q.l1[p.S[k]] > 0:
            bend += 1 / (p.v[k] / p.s[k] + p.v[m + k] / p.s[m + k])
        for i in range(k, m):
            R[k * m + i] = row[p.S[i]]
        R[k * m + k] += bend
    bend_what_none_does(q, columns, p.S, m, R)
    return factor_in_place(R, m, scale, q.threads if m > ALONE else 1)


cdef void find_direction(const Model* q, Interior* p, const double* R,
                         const double* scale) noexcept nogil:
    """Fill d, dv and ds: the step to where nothing is unmet, v is what it stands for, and v s has
    changed by c, to first order."""
    cdef Py_ssize_t m = p.m, k, j
    cdef double* v = p.v
    cdef double* s = p.s
    cdef double* c = p.c
    cdef double* dv = p.dv
    cdef double* ds = p.ds
    for k in range(m):
        j = p.S[k]
        dv[2 * m + k] = q.x[j] - q.lower[j] - v[2 * m + k] if s[2 * m + k] > 0 else 0
        dv[3 * m + k] = q.upper[j] - q.x[j] - v[3 * m + k] if s[3 * m + k] > 0 else 0
        p.d[k] = (c[2 * m + k] - s[2 * m + k] * dv[2 * m + k]) / v[2 * m + k] - unmet(q, p, k)
        p.d[k] -= (c[3 * m + k] - s[3 * m + k] * dv[3 * m + k]) / v[3 * m + k]
        if q.l1[j] > 0:
            # x+ - x- is to be x; y moves it by -ds times its own step.
            dv[k] = c[k] / s[k] - c[m + k] / s[m + k] - (q.x[j] - v[k] + v[m + k])
            ds[k] = v[k] / s[k] + v[m + k] / s[m + k]
            p.d[k] += dv[k] / ds[k]
    solve_scaled(R, scale, m, p.d, 1)
    for k in range(m):
        if q.l1[p.S[k]] > 0:
            ds[k] = (dv[k] - p.d[k]) / ds[k]
            ds[m + k] = -ds[k]
            dv[k] = (c[k] - v[k] * ds[k]) / s[k]
            dv[m + k] = (c[m + k] - v[m + k] * ds[m + k]) / s[m + k]
        dv[2 * m + k] += p.d[k]
        dv[3 * m + k] -= p.d[k]
        ds[2 * m + k] = (c[2 * m + k] - s[2 * m + k] * dv[2 * m + k]) / v[2 * m + k]
        ds[3 * m + k] = (c[3 * m + k] - s[3 * m + k] * dv[3 * m + k]) / v[3 * m + k]


cdef double longest(const Interior* p) noexcept nogil:
    """The part of a step after which the first of v and s is zero, at most 1."""
    cdef double length = 1
    cdef Py_ssize_t k
    for k in range(PAIRS * p.m):
        if p.s[k] == 0:
            continue
        if p.v[k] + length * p.dv[k] < 0:
            length = -p.v[k] / p.dv[k]
        if p.s[k] + length * p.ds[k] < 0:
            length = -p.s[k] / p.ds[k]
    return length


cdef double gap_after(const Interior* p, double length) noexcept nogil:
    """The sum of v s after such a part of a step."""
    cdef double gap = 0
    cdef Py_ssize_t k
    for k in range(PAIRS * p.m):
        if p.s[k] > 0:
            gap += (p.v[k] + length * p.dv[k]) * (p.s[k] + length * p.ds[k])
    return gap


cdef double step_inside(const Model* q, const Columns* columns, Interior* p, double gap,
                        double* R, double* scale) except -1 nogil:
    """Take a step from where the sum of v s is gap: the second of two directions, which knows what
    the first has left; return its length."""
    cdef Py_ssize_t m = p.m, k, j, pairs = 0
    cdef double length, aim
    factor_bent(q, columns, p, R, scale)
    for k in range(PAIRS * m):
        pairs += p.s[k] > 0
        p.c[k] = -p.v[k] * p.s[k]
    find_direction(q, p, R, scale)
    aim = gap_after(p, longest(p)) / gap
    aim = aim * aim * aim * gap / pairs
    for k in range(PAIRS * m):
        if p.s[k] > 0:
            p.c[k] += aim - p.dv[k] * p.ds[k]
    find_direction(q, p, R, scale)
    length = min(1, INSIDE * longest(p))
    for k in range(m):
        j = p.S[k]
        q.x[j] += length * p.d[k]
        axpy(q.H + j * q.N, length * p.d[k], q.N, q.r)
    for k in range(PAIRS * m):
        if p.s[k] > 0:
            p.v[k] += length * p.dv[k]
            p.s[k] += length * p.ds[k]
    return length


cdef void settle_pairs(const Model* q, const Interior* p) noexcept nogil:
    """Move x, not r, to zero or a bound where that bends a coordinate more than the model does."""
    cdef Py_ssize_t m = p.m, k, j
    cdef double h
    for k in range(m):
        j = p.S[k]
        h = q.H[j * (q.N + 1)]
        if p.s[2 * m + k] > h * p.v[2 * m + k]:
            q.x[j] = q.lower[j]
        elif p.s[3 * m + k] > h * p.v[3 * m + k]:
            q.x[j] = q.upper[j]
        elif q.l1[j] > 0 and h * (p.v[k] / p.s[k] + p.v[m + k] / p.s[m + k]) < 1:
            q.x[j] = 0
        q.x[j] = within(q.x[j], q.lower[j], q.upper[j])


cdef bint may_move(const Model* q, Py_ssize_t j) noexcept nogil:
    """Whether a coordinate is free, or would be with a somewhat different penalty."""
    cdef double h = q.H[j * (q.N + 1)]
    cdef double penalty = q.l1[j] * (1 - ABOUT if q.x[j] == 0 else 1 + ABOUT)
    return h > 0 and (is_free(q, j) or q.x[j] != best_value(q.x[j], q.r[j], h, penalty,
                                                            q.lower[j], q.upper[j]))


cdef bint go_inside(const Model* q, const Columns* columns, Pivots* pivots,
                    bint some) except -1 nogil:
    """Move x and r from the best so far to near the minimum; False if that is no better.

    If `some`, only those coordinates move that are likely to.
    """
    cdef Py_ssize_t N = q.N, m = 0, j, k
    cdef double gap, most, left = 1
    cdef Interior p
    for j in range(N):
        if may_move(q, j) if some else q.H[j * (N + 1)] > 0 and q.lower[j] < q.upper[j]:
            pivots.S[m] = j
            m += 1
    if m == 0:
        return False
    cdef void* memory = new_doubles(m * (m + 5 * PAIRS + 2))
    cdef double* R = aligned(memory)
    cdef double* scale = R + m * m
    p.m, p.S, p.d, p.v = m, pivots.S, scale + m, scale + 2 * m
    p.s, p.c = p.v + PAIRS * m, p.v + 2 * PAIRS * m
    p.dv, p.ds = p.v + 3 * PAIRS * m, p.v + 4 * PAIRS * m
    memset(p.dv, 0, 2 * PAIRS * m * sizeof(double))
    try:
        start_inside(q, &p)
        most = gap = gap_after(&p, 0)
        for k in range(MOST_STEPS):
            if not (gap > CLOSE * most or left > CLOSE):
                break
            left *= 1 - step_inside(q, columns, &p, gap, R, scale)
            gap = gap_after(&p, 0)
            most = max(most, gap)
        settle_pairs(q, &p)
        # Without the rounding of all the steps.
        gradient_at_x(q, pivots.x, pivots.r)
    finally:
        free(memory)
    if rise(q, pivots) < 0:
        return True
    memcpy(q.x, pivots.x, N * sizeof(double))
    memcpy(q.r, pivots.r, N * sizeof(double))
    return False
