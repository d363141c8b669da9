# SPDX-License-Identifier: BSD-3-Clause
# Which coordinates of a quadratic model are neither zero nor at a bound: no Python.
#
# A Cholesky factor of those believed to be tells where they are. Those that are then on the wrong
# side of zero, or beyond a bound, are held there, and those held whose slope is above the penalty
# are let go: all at once, with another factor, until none changes (block principal pivoting: Judice
# and Pires 1994, Kim and Park 2011). From about the minimum that takes a few factors, however close
# to singular H is; from elsewhere it may go round in circles, and what is best on the way is kept.

cdef enum:
    MOST_FACTORS = 20   # of a try
    PATIENCE = 3        # factors in a row after which no fewer coordinates change
    ALONE = 256         # up to so many, threads would wait for each other longer than they work

cdef double LOST = 1e-6         # a factor that leaves more is of too singular a matrix
cdef double REFINED = 0.1       # a solution is refined as long as that leaves so little


cdef struct Pivots:
    Py_ssize_t m        # coordinates believed to be free
    Py_ssize_t* S       # which
    double* sign        # of each coordinate's value
    double* slope       # r where the last factor led to, before any was held
    double* x           # the best so far, and its r
    double* r


cdef inline Py_ssize_t room_for_pivots(const Model* q) noexcept nogil:
    return 5 * q.N      # numbers of coordinates take no more room than doubles do


cdef void lay_out(const Model* q, double* room, Pivots* p) noexcept nogil:
    p.x, p.r, p.slope, p.sign = room, room + q.N, room + 2 * q.N, room + 3 * q.N
    p.S = <Py_ssize_t*> (room + 4 * q.N)


cdef inline bint is_free(const Model* q, Py_ssize_t j) noexcept nogil:
    """Whether a coordinate may move either way without meeting a kink."""
    return ((q.x[j] != 0 or q.l1[j] == 0) and q.lower[j] < q.x[j] < q.upper[j]
            and q.H[j * (q.N + 1)] > 0)


cdef void find_free(const Model* q, Pivots* p) noexcept nogil:
    """Fill S with the free coordinates."""
    cdef Py_ssize_t j
    p.m = 0
    for j in range(q.N):
        p.sign[j] = 0
        if is_free(q, j):
            p.S[p.m] = j
            p.m += 1
            p.sign[j] = 1 if q.x[j] > 0 else -1


cdef Py_ssize_t let_go(const Model* q, const Columns* columns, const double* slope,
                       Pivots* p) noexcept nogil:
    """Add the coordinates to S whose slope lets them go; the number of these.

    Of a column that nothing bends one class stays held: what it would do, shifts do.
    """
    cdef Py_ssize_t D = q.N // q.K, before = p.m, j, c, held
    cdef double h, new
    for j in range(q.N):
        h = q.H[j * (q.N + 1)]
        if p.sign[j] != 0 or not h > 0:
            continue
        new = best_value(q.x[j], slope[j], h, q.l1[j], q.lower[j], q.upper[j])
        if h * fabs(new - q.x[j]) <= CLEAR * (q.l1[j] + fabs(slope[j])):
            continue
        held = 0
        for c in range(q.K):
            held += p.sign[c * D + j % D] == 0
        if held == 1 and q.K > 1 and columns.curvature[j % D] == 0:
            continue
        p.S[p.m] = j
        p.m += 1
        p.sign[j] = 1 if new > 0 or (new == 0 and q.x[j] > 0) else -1
    return p.m - before


cdef double pull(const Model* q, const Pivots* p, double* d) noexcept nogil:
    """Fill d with what pulls at the free coordinates; the most, in parts of the largest penalty."""
    cdef double most = 0, largest = 0
    cdef Py_ssize_t k, j
    for k in range(p.m):
        j = p.S[k]
        d[k] = -(q.r[j] + q.l1[j] * p.sign[j])
        most = max(most, fabs(d[k]))
        largest = max(largest, q.l1[j])
    return most / largest if largest > 0 else 0


cdef int factor_free(const Model* q, const Columns* columns, const Pivots* p, double* R,
                     double* scale) except -1 nogil:
    """Fill R and scale with the factor of the free coordinates' part of H."""
    cdef Py_ssize_t m = p.m, i, k
    cdef const double* row
    for k in range(m):
        row = q.H + p.S[k] * q.N
        for i in range(k, m):
            R[k * m + i] = row[p.S[i]]
    bend_what_none_does(q, columns, p.S, m, R)
    return factor_in_place(R, m, scale, q.threads if m > ALONE else 1)


cdef double move_free(const Model* q, const Columns* columns, const Pivots* p) except -1 nogil:
    """Move the free coordinates to where nothing pulls them, as if they kept their signs; return
    what still does, as `pull`."""
    cdef Py_ssize_t m = p.m, k
    cdef double before, left
    cdef void* memory = new_doubles(m * (m + 2))
    cdef double* size = aligned(memory)
    cdef double* d = size + m
    cdef double* R = d + m
    try:
        factor_free(q, columns, p, R, size)
        left = pull(q, p, d)
        # What the factor of a nearly singular matrix leaves is less every time.
        while True:
            before = left
            solve_scaled(R, size, m, d, 1)
            for k in range(m):
                q.x[p.S[k]] += d[k]
                axpy(q.H + p.S[k] * q.N, d[k], q.N, q.r)
            left = pull(q, p, d)
            if left <= CLEAR or not left < REFINED * before:
                break
    finally:
        free(memory)
    return left


cdef Py_ssize_t hold(const Model* q, const Pivots* p) noexcept nogil:
    """Hold the coordinates that are beyond zero or a bound; how many there were."""
    cdef Py_ssize_t count = 0, k, j
    cdef double old
    for k in range(p.m):
        j = p.S[k]
        old = q.x[j]
        if q.l1[j] > 0 and not old * p.sign[j] > 0:
            q.x[j] = 0
        else:
            q.x[j] = within(old, q.lower[j], q.upper[j])
        if q.x[j] != old:
            count += 1
            axpy(q.H + j * q.N, q.x[j] - old, q.N, q.r)
    return count


cdef double rise(const Model* q, const Pivots* p) noexcept nogil:
    """By how much the model is higher than at the best so far."""
    cdef double v = 0
    cdef Py_ssize_t j
    for j in range(q.N):
        v += 0.5 * (q.r[j] + p.r[j]) * (q.x[j] - p.x[j])
        v += q.l1[j] * (fabs(q.x[j]) - fabs(p.x[j]))
    return v


cdef bint pivot(const Model* q, Columns* columns, Pivots* p) except -1 nogil:
    """Move x and r to the minimum; False if that is not found, but at most something lower."""
    cdef Py_ssize_t N = q.N, fewest = 3 * N, patience = PATIENCE, count, k
    cdef double left
    shift_columns(q, columns)
    memcpy(p.x, q.x, N * sizeof(double))
    memcpy(p.r, q.r, N * sizeof(double))
    find_free(q, p)
    let_go(q, columns, q.r, p)
    for k in range(MOST_FACTORS):
        left = move_free(q, columns, p)
        if not left <= LOST:
            break
        memcpy(p.slope, q.r, N * sizeof(double))
        count = hold(q, p)
        count += shift_columns(q, columns)
        if rise(q, p) < 0:
            memcpy(p.x, q.x, N * sizeof(double))
            memcpy(p.r, q.r, N * sizeof(double))
        find_free(q, p)
        count += let_go(q, columns, p.slope, p)
        if count == 0 and left <= CLEAR:
            return True
        if count < fewest:
            fewest = count
            patience = PATIENCE
        else:
            patience -= 1
            if patience == 0:
                break
    memcpy(q.x, p.x, N * sizeof(double))
    memcpy(q.r, p.r, N * sizeof(double))
    return False
