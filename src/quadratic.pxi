# SPDX-License-Identifier: BSD-3-Clause
# The minimum of a quadratic model with an L1 penalty and bounds: no Python.
#
#     minimise r·(x - x0) + (x - x0)' H (x - x0) / 2 + sum l_j |x_j|,  lower <= x <= upper
#
# r is kept the gradient of the quadratic part at x. Coordinate descent gets near; if it slows down
# before it is there, pivots (pivots.pxi) go on to the minimum, and where they do not find it, they
# do so from where an interior-point method (interior.pxi) leads. H is symmetric, so a coordinate
# that moves by t adds t times a contiguous row to r; one that stays costs nothing but a look.
#
# A column far from zero, as a sparse X may have them, which is never centred, is nearly a multiple
# of the bias: one at a time the two hardly move. The biases, which have neither penalty nor bounds,
# are then eliminated: the others move by H's Schur complement, as if the biases followed each step.

cdef enum:
    ROUNDS = 6          # of coordinate descent between two factors
    TRIES = 3           # to pivot, or to go inside

cdef double QUICK = 3e-2        # changes that fall to so many parts meanwhile need no pivots
cdef double CLEAR = 1e-11       # a slope of so many parts of the penalty, or above it, may be none
cdef double OWN = 0.02          # of a curvature: biases that leave less of one are eliminated
cdef double NONE = 1e-12        # so little left of it is rounding


cdef struct Model:
    Py_ssize_t N, K     # coordinates, and the classes that they are of, one after the other
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


include "shifts.pxi"
include "pivots.pxi"
include "interior.pxi"


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
            largest_change = max(largest_change, h * t * t)
    return largest_change


cdef double descend_rounds(const Model* q, Py_ssize_t rounds, double enough,
                           Columns* columns) noexcept nogil:
    """Some rounds over all coordinates, and over those that are not zero until these change nothing
    by more than `enough`. Return what the last round over all changed."""
    cdef Py_ssize_t k = 0
    cdef double changed = 0
    while k < rounds:
        shift_columns(q, columns)
        changed = descend_once(q, False)
        k += 1
        if not changed > enough:
            break
        while k < rounds:
            k += 1
            if not descend_once(q, True) > enough:
                break
    return changed


cdef int minimise_model(const Model* q, Columns* columns, Pivots* pivots,
                        double enough) except -1 nogil:
    """Move x and r to the minimum."""
    cdef Py_ssize_t tries = 0
    cdef double before, changed = descend_rounds(q, 1, enough, columns)
    while changed > enough and tries < TRIES:
        before = changed
        changed = descend_rounds(q, ROUNDS, enough, columns)
        if not changed > enough or changed < QUICK * before:
            continue
        if pivot(q, columns, pivots):
            break
        if not go_inside(q, columns, pivots, tries == 0) or pivot(q, columns, pivots):
            break
        tries += 1
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


cdef int minimise_from(const Model* q, const double* begin, const double* g,
                       double enough) except -1 nogil:
    """Fill x and r: the minimum of the model whose gradient at `begin` is g."""
    cdef Py_ssize_t N = q.N, K = q.K, D = N // K, j
    cdef Model others = q[0]
    cdef Biases b
    cdef Columns columns
    cdef Pivots pivots
    cdef bint eliminated
    cdef void* memory = new_doubles(N * (N + K) + K * (K + 1) + room_for_columns(q)
                                    + room_for_pivots(q))
    cdef double* S = aligned(memory)
    cdef double* C = S + N * N
    b.K, b.D, b.rows, b.R, b.scale = K, D, q.H + (D - 1) * N, C + N * K, C + (N + K) * K
    lay_out(q, b.scale + K + room_for_columns(q), &pivots)
    for j in range(N):
        q.x[j] = within(begin[j], q.lower[j], q.upper[j])
    gradient_at_x(q, begin, g)
    try:
        eliminated = eliminate(&b, q.H, C, S)
        if eliminated:
            settle(q, &b, C)
            others.H = S
        find_columns(&others, q.H, b.scale + K, &columns)
        minimise_model(&others, &columns, &pivots, enough)
        if eliminated:
            gradient_at_x(q, begin, g)
            settle(q, &b, C)
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
    q.N, q.K = cnp.PyArray_SIZE(theta), K
    q.H, q.l1, q.lower, q.upper = doubles(H), doubles(l1), doubles(lower), doubles(upper)
    q.x, q.r, q.threads = doubles(x), doubles(r), threads
    with nogil:
        minimise_from(&q, begin, slope, enough)


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
