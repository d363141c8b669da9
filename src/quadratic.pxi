# SPDX-License-Identifier: BSD-3-Clause
# The minimum of a quadratic model with an L1 penalty and bounds: no Python.
#
#     minimise r·(x - x0) + (x - x0)' H (x - x0) / 2 + sum l_j |x_j|,  lower <= x <= upper
#
# r is kept the gradient of the quadratic part at x. Coordinate descent finds which coordinates are
# neither zero nor at a bound; a Cholesky factor of these alone then gives the minimum to rounding,
# if no sign changes on the way. Where one does, the step ends there, unless the model falls further
# behind it, as it does behind hundreds where columns are nearly alike and the penalty is small;
# then there is another factor, or coordinate descent goes on. H is symmetric, so a coordinate that
# moves by t adds t times a contiguous row to r; one that stays costs nothing but a look.
#
# A column far from zero, as a sparse X may have them, which is never centred, is nearly a multiple
# of the bias: one at a time the two hardly move. The biases, which have neither penalty nor bounds,
# are then eliminated: the others move by H's Schur complement, as if the biases followed each step.

cdef enum:
    ROUNDS = 6          # of coordinate descent between two factors
    MOST_FACTORS = 50   # with so many rounds before each
    CHEAP = 64          # coordinates whose factor costs no more than a few rounds: it does not wait
    STOPS = 10          # how often signs may change a factor's step before the descent goes on
    ALONE = 256         # up to so many, threads would wait for each other longer than they work

cdef double ROUNDING = 1e-20    # a change this small beside the first, both squares, is rounding
cdef double OWN = 0.02          # of a curvature: biases that leave less of one are eliminated
cdef double NONE = 1e-12        # so little left of it is rounding


cdef struct Model:
    Py_ssize_t N
    const double* H
    const double* l1
    const double* lower
    const double* upper
    double* x
    double* r
    int threads


cdef inline double best_value(double x, double slope, double curvature, double l, double lower,
                              double upper) noexcept nogil:
    """The minimum of slope (t - x) + curvature (t - x)^2/2 + l |t| over [lower, upper]."""
    cdef double t = x * curvature - slope
    t = (t - l) / curvature if t > l else ((t + l) / curvature if t < -l else 0.0)
    return lower if t < lower else (upper if t > upper else t)


cdef double descend_once(const Model* q, bint moving) noexcept nogil:
    """One round over the coordinates, or over those with a value: the largest H_jj t_j^2."""
    cdef Py_ssize_t j
    cdef double h, new, t, largest_change = 0
    for j in range(q.N):
        if moving and q.x[j] == 0.0 and q.l1[j] > 0.0:
            continue
        h = q.H[j * q.N + j]
        if not h > 0:
            continue
        new = best_value(q.x[j], q.r[j], h, q.l1[j], q.lower[j], q.upper[j])
        t = new - q.x[j]
        if t != 0.0:
            q.x[j] = new
            axpy(q.H + j * q.N, t, q.N, q.r)
            if h * t * t > largest_change:
                largest_change = h * t * t
    return largest_change


cdef double descend_rounds(const Model* q, double enough) noexcept nogil:
    """Some rounds over all coordinates, and over those that are not zero until these change nothing
    by more than `enough`. Return what the last round over all changed."""
    cdef Py_ssize_t k = 0
    cdef double changed = 0
    while k < ROUNDS:
        changed = descend_once(q, False)
        k += 1
        if not changed > enough:
            break
        while k < ROUNDS:
            k += 1
            if not descend_once(q, True) > enough:
                break
    return changed


cdef Py_ssize_t find_free(const Model* q, Py_ssize_t* S) noexcept nogil:
    """Fill S with the coordinates that may move either way without meeting a kink; their number."""
    cdef Py_ssize_t j, m = 0
    for j in range(q.N):
        if (q.x[j] != 0 or q.l1[j] == 0) and q.lower[j] < q.x[j] < q.upper[j]:
            if q.H[j * q.N + j] > 0:
                S[m] = j
                m += 1
    return m


cdef inline Py_ssize_t least(const double* v, Py_ssize_t m) noexcept nogil:
    cdef Py_ssize_t k, found = 0
    for k in range(1, m):
        if v[k] < v[found]:
            found = k
    return found


cdef double find_length(const Model* q, const Py_ssize_t* S, Py_ssize_t m, const double* d,
                        double fall, double* stop, double* end) noexcept nogil:
    """How far along d the coordinates S go, whose slope is -fall at 0 and, but for kinks, 0 at 1.

    To the first bound, which for coordinate k is at end[k], or to where the model rises again.
    Kinks on the way there, the first of each coordinate being at stop[k], are passed.
    """
    cdef Py_ssize_t k, j
    cdef double length = 1, jumps = 0, jump
    for k in range(m):
        j = S[k]
        end[k] = ((q.upper[j] if d[k] > 0 else q.lower[j]) - q.x[j]) / d[k] if d[k] != 0 \
            else HUGE_VAL
        stop[k] = -q.x[j] / d[k] if q.l1[j] > 0 and d[k] * q.x[j] < 0 else end[k]
    while True:
        k = least(stop, m)
        if not stop[k] < length:
            return length
        jump = 2 * q.l1[S[k]] * fabs(d[k])
        if not (stop[k] < end[k] and jumps + jump < fall * (1 - stop[k])):
            return stop[k]
        jumps += jump
        length = max(1 - jumps / fall, stop[k])
        stop[k] = end[k]


cdef bint newton_on(const Model* q, const Py_ssize_t* S, Py_ssize_t m) except -1 nogil:
    """Move x and r towards the minimum over the coordinates S; False if it is further on."""
    cdef Py_ssize_t i, k, j
    cdef double length, old, fall = 0
    cdef void* memory = new_doubles(m * (m + 4))
    cdef double* size = aligned(memory)
    cdef double* d = size + m
    cdef double* stop = d + m
    cdef double* end = stop + m
    cdef double* R = end + m
    try:
        for k in range(m):
            for i in range(k, m):
                R[k * m + i] = q.H[S[k] * q.N + S[i]]
        factor_in_place(R, m, size, q.threads if m > ALONE else 1)
        for k in range(m):
            j = S[k]
            stop[k] = -(q.r[j] + (q.l1[j] if q.x[j] > 0 else (-q.l1[j] if q.x[j] < 0 else 0)))
            d[k] = stop[k]
        solve_scaled(R, size, m, d, 1)
        for k in range(m):
            fall += stop[k] * d[k]
        length = find_length(q, S, m, d, fall, stop, end)
        for k in range(m):
            j = S[k]
            old = q.x[j]
            if length < 1 and stop[k] <= length:
                q.x[j] = 0 if stop[k] < end[k] else (q.upper[j] if d[k] > 0 else q.lower[j])
            else:
                q.x[j] += length * d[k]
            axpy(q.H + j * q.N, q.x[j] - old, q.N, q.r)
    finally:
        free(memory)
    return length == 1


cdef int minimise_model(const Model* q, double enough) except -1 nogil:
    """Move x and r to the minimum."""
    cdef Py_ssize_t m, m_before = -1, k, stop
    cdef double changed
    cdef Py_ssize_t* S = <Py_ssize_t*> malloc(2 * q.N * sizeof(Py_ssize_t))
    cdef Py_ssize_t* before = S + q.N
    if S == NULL:
        with gil:
            raise MemoryError(f"no memory for {2 * q.N} numbers of coordinates")
    try:
        for k in range(MOST_FACTORS):
            changed = descend_rounds(q, enough)
            enough = max(enough, ROUNDING * changed)
            if changed <= enough:
                break
            m = find_free(q, S)
            stop = STOPS
            if m > CHEAP and (m != m_before or memcmp(S, before, m * sizeof(Py_ssize_t)) != 0):
                stop = 0
            while stop > 0 and m > 0 and not newton_on(q, S, m):
                m = find_free(q, S)
                stop -= 1
            memcpy(before, S, m * sizeof(Py_ssize_t))
            m_before = m
    finally:
        free(S)
    return 0


cdef struct Biases:
    Py_ssize_t K        # classes, of each of which the last coordinate is its bias
    Py_ssize_t D        # coordinates of a class
    const double* rows  # of H: the first bias' row; the next one's stands D rows below
    double* R           # the factor of the biases' own block of H, (K, K), and its scale
    double* scale


cdef bint eliminate(const Biases* b, const double* H, double* C, double* S) except -1 nogil:
    """Fill S with the Schur complement of H, zero where the biases stand, and b with their factor.

    False if they leave enough of every curvature, one has none itself, or more of what they leave
    is rounding than if a column is constant. C is for (N, K).
    """
    cdef Py_ssize_t K = b.K, D = b.D, N = K * D, i, k
    cdef double left
    cdef bint needed = False
    cdef Py_ssize_t rounding = 0
    for k in range(K):
        for i in range(K):
            b.R[k * K + i] = b.rows[k * D * N + i * D + D - 1]
        if not b.R[k * K + k] > 0:
            return False
    factor_in_place(b.R, K, b.scale, 1)
    for i in range(N):
        for k in range(K):
            C[i * K + k] = b.rows[k * D * N + i]
    solve_scaled(b.R, b.scale, K, C, N)
    for i in range(N):
        if i % D == D - 1:
            continue
        left = H[i * N + i]
        for k in range(K):
            left -= C[i * K + k] * b.rows[k * D * N + i]
        needed = needed or left < OWN * H[i * N + i]
        rounding += left < NONE * H[i * N + i]
    if not needed or rounding > K:
        return False
    memcpy(S, H, N * N * sizeof(double))
    for i in range(N):
        for k in range(K):
            axpy(b.rows + k * D * N, -C[i * K + k], N, S + i * N)
        S[i * N + i] = max(S[i * N + i], NONE * H[i * N + i])
        for k in range(K):
            S[i * N + k * D + D - 1] = 0
    for k in range(K):
        memset(S + (k * D + D - 1) * N, 0, N * sizeof(double))
    return True


cdef void settle(const Model* q, const Biases* b, double* t) noexcept nogil:
    """Move the biases to where r is zero for them; t is for K steps."""
    cdef Py_ssize_t k, D = b.D
    for k in range(b.K):
        t[k] = -q.r[k * D + D - 1]
    solve_scaled(b.R, b.scale, b.K, t, 1)
    for k in range(b.K):
        q.x[k * D + D - 1] += t[k]
        axpy(b.rows + k * D * q.N, t[k], q.N, q.r)


cdef void gradient_at_x(const Model* q, const double* begin, const double* g) noexcept nogil:
    """Fill r, the gradient at `begin` being g."""
    cdef Py_ssize_t j
    memcpy(q.r, g, q.N * sizeof(double))
    for j in range(q.N):
        if q.x[j] != begin[j]:
            axpy(q.H + j * q.N, q.x[j] - begin[j], q.N, q.r)


cdef int minimise_from(const Model* q, Py_ssize_t K, const double* begin, const double* g,
                       double enough) except -1 nogil:
    """Fill x and r: the minimum of the model of K classes whose gradient at `begin` is g."""
    cdef Py_ssize_t N = q.N, D = N // K, j
    cdef Model others = q[0]
    cdef Biases b
    cdef void* memory = new_doubles(N * (N + K) + K * (K + 1))
    cdef double* S = aligned(memory)
    cdef double* C = S + N * N
    b.K, b.D, b.rows, b.R, b.scale = K, D, q.H + (D - 1) * N, C + N * K, C + (N + K) * K
    for j in range(N):
        q.x[j] = within(begin[j], q.lower[j], q.upper[j])
    gradient_at_x(q, begin, g)
    try:
        if eliminate(&b, q.H, C, S):
            settle(q, &b, C)
            others.H = S
            minimise_model(&others, enough)
            gradient_at_x(q, begin, g)
            settle(q, &b, C)
        else:
            minimise_model(q, enough)
    finally:
        free(memory)
    return 0


def minimise_quadratic(cnp.ndarray H, cnp.ndarray g, cnp.ndarray theta, cnp.ndarray l1,
                       cnp.ndarray lower, cnp.ndarray upper, cnp.ndarray x, cnp.ndarray r,
                       double enough, int threads):
    """Fill x (K, D) with the minimum of the model whose gradient at theta is g, and r with its
    gradient there; descent ends where no coordinate changes the quadratic by more than `enough`.
    The last coordinate of each class is its bias. FloatingPointError if H has no factor."""
    cdef Model q
    cdef const double* begin = doubles(theta)
    cdef const double* slope = doubles(g)
    cdef Py_ssize_t K = cnp.PyArray_DIM(theta, 0)
    q.N = cnp.PyArray_SIZE(theta)
    q.H, q.l1, q.lower, q.upper = doubles(H), doubles(l1), doubles(lower), doubles(upper)
    q.x, q.r, q.threads = doubles(x), doubles(r), threads
    with nogil:
        minimise_from(&q, K, begin, slope, enough)


def add_rows(cnp.ndarray H, cnp.ndarray rows, cnp.ndarray factors, cnp.ndarray out):
    """out += sum_k factors[k] · H[rows[k]]."""
    cdef const double* h = doubles(H)
    cdef const double* t = doubles(factors)
    cdef const Py_ssize_t* row = <const Py_ssize_t*> cnp.PyArray_DATA(rows)
    cdef double* sums = doubles(out)
    cdef Py_ssize_t N = cnp.PyArray_SIZE(out), k, m = cnp.PyArray_SIZE(rows)
    with nogil:
        for k in range(m):
            axpy(h + row[k] * N, t[k], N, sums)
