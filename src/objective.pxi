# SPDX-License-Identifier: BSD-3-Clause
# The arithmetic of the objective's own terms, in one call instead of a dozen of NumPy's, which on
# small problems take longer than the passes. Parameters are (K, d + 1) with the bias last.

def raw_weights(cnp.ndarray theta, cnp.ndarray center, cnp.ndarray scale, cnp.ndarray out):
    """Fill out with w = theta · scale and b = theta_b - w·center of each class."""
    cdef const double* v = doubles(theta)
    cdef const double* c = doubles(center)
    cdef const double* size = doubles(scale)
    cdef double* w = doubles(out)
    cdef Py_ssize_t d = cnp.PyArray_SIZE(center), k
    with nogil:
        for k in range(cnp.PyArray_DIM(theta, 0)):
            unscale(v, c, size, d, w)
            v += d + 1
            w += d + 1


cdef inline void unscale(const double* v, const double* center, const double* scale, Py_ssize_t d,
                         alone w) noexcept nogil:
    cdef Py_ssize_t j
    cdef double shift = 0
    for j in range(d):
        w[j] = v[j] * scale[j]
        shift += w[j] * center[j]
    w[d] = v[d] - shift


cdef void chain_rule(double* g, Py_ssize_t K, Py_ssize_t d, const double* center,
                     const double* scale, bint fit_bias) noexcept nogil:
    cdef Py_ssize_t j, k
    for k in range(K):
        if center != NULL:
            for j in range(d):
                g[j] = (g[j] - g[d] * center[j]) * scale[j]
        if not fit_bias:
            g[d] = 0
        g += d + 1


def chain(cnp.ndarray gradient, center, scale, bint fit_bias):
    """Turn a gradient by raw weights and biases into one by theta; center None: they are equal.

    The gradient by a bias that is not free becomes 0.
    """
    chain_rule(doubles(gradient), cnp.PyArray_DIM(gradient, 0), cnp.PyArray_DIM(gradient, 1) - 1,
               doubles_or_null(center), doubles_or_null(scale), fit_bias)


cdef double weighted_sum(const double* v, const double* l1, Py_ssize_t D,
                         Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t j, k
    cdef double total = 0
    for k in range(K):
        for j in range(D):
            total += l1[j] * fabs(v[k * D + j])
    return total


def absolute_sum(cnp.ndarray theta, cnp.ndarray l1):
    """Return the sum of l1 · |theta|."""
    return weighted_sum(doubles(theta), doubles(l1), cnp.PyArray_DIM(theta, 1),
                        cnp.PyArray_DIM(theta, 0))


def clip(cnp.ndarray theta, cnp.ndarray lower, cnp.ndarray upper, cnp.ndarray out):
    """Fill out with theta within the bounds."""
    cdef const double* v = doubles(theta)
    cdef const double* low = doubles(lower)
    cdef const double* high = doubles(upper)
    cdef double* moved = doubles(out)
    cdef Py_ssize_t D = cnp.PyArray_DIM(theta, 1), j, k
    with nogil:
        for k in range(cnp.PyArray_DIM(theta, 0)):
            for j in range(D):
                moved[k * D + j] = within(v[k * D + j], low[j], high[j])


def extrapolate(cnp.ndarray theta, cnp.ndarray older, double ratio, cnp.ndarray l1,
                cnp.ndarray lower, cnp.ndarray upper, cnp.ndarray out):
    """Fill out with theta + ratio · (theta - older) within the bounds, and zeros where that would
    change the sign of what has an L1 penalty, or give one to a zero."""
    cdef const double* here = doubles(theta)
    cdef const double* before = doubles(older)
    cdef const double* kinks = doubles(l1)
    cdef const double* low = doubles(lower)
    cdef const double* high = doubles(upper)
    cdef double* ahead = doubles(out)
    cdef Py_ssize_t D = cnp.PyArray_DIM(theta, 1), i, j, k
    cdef double v
    with nogil:
        for k in range(cnp.PyArray_DIM(theta, 0)):
            for j in range(D):
                i = k * D + j
                v = here[i] + ratio * (here[i] - before[i])
                if kinks[j] > 0 and not v * here[i] > 0:
                    v = 0
                ahead[i] = within(v, low[j], high[j])


def scores(cnp.ndarray gradient, cnp.ndarray lower, cnp.ndarray upper, cnp.ndarray penalty,
           cnp.ndarray out):
    """Fill out (d,) with each column's largest gradient where its weight, if 0, may move that way,
    in units of its penalty; infinity where it has none."""
    cdef const double* g = doubles(gradient)
    cdef const double* low = doubles(lower)
    cdef const double* high = doubles(upper)
    cdef const double* kinks = doubles(penalty)
    cdef double* score = doubles(out)
    cdef Py_ssize_t d = cnp.PyArray_SIZE(out), K = cnp.PyArray_DIM(gradient, 0), j, k
    cdef double v, size
    with nogil:
        for j in range(d):
            score[j] = 0
        # Signs cannot be guessed: no branches.
        for k in range(K):
            for j in range(d):
                v = g[k * (d + 1) + j]
                size = fabs(v) if ((v > 0) & (low[j] < 0)) | ((v <= 0) & (high[j] > 0)) else 0.0
                score[j] = max(score[j], size)
        for j in range(d):
            score[j] = score[j] / kinks[j] if kinks[j] > 0 else HUGE_VAL


def finish_gradient(cnp.ndarray gradient, center, scale, bint fit_bias, cnp.ndarray theta,
                    cnp.ndarray quadratic, l1, linear):
    """Do what `chain` does to the gradient of the loss, and add that of what is smooth of the
    objective's other terms, q · theta + t. Return the sum of these terms,
    q · theta^2 / 2 + l1 · |theta| + t · theta."""
    chain(gradient, center, scale, fit_bias)
    cdef const double* v = doubles(theta)
    cdef const double* q = doubles(quadratic)
    cdef const double* kinks = doubles_or_null(l1)
    cdef const double* t = doubles_or_null(linear)
    return add_terms(doubles(gradient), v, q, kinks, t, cnp.PyArray_DIM(theta, 1),
                     cnp.PyArray_DIM(theta, 0))


cdef double add_terms(alone g, const double* v, const double* q, const double* kinks,
                      const double* t, Py_ssize_t D, Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t i, j, k
    cdef double squares = 0, products = 0, pull
    for k in range(K):
        for j in range(D):
            i = k * D + j
            pull = q[j] * v[i]
            g[i] += pull
            squares += pull * v[i]
    for i in range(K * D if t != NULL else 0):
        g[i] += t[i]
        products += t[i] * v[i]
    if kinks != NULL:
        products += weighted_sum(v, kinks, D, K)
    return 0.5 * squares + products


def terms_along(cnp.ndarray theta, cnp.ndarray s, cnp.ndarray quadratic, linear):
    """Return the sum of q · v^2 / 2 + t · v at v = theta, and its two derivatives along s, which
    may be of any layout."""
    s = cnp.PyArray_GETCONTIGUOUS(s)
    cdef const double* v = doubles(theta)
    cdef const double* u = doubles(s)
    cdef const double* q = doubles(quadratic)
    cdef const double* t = doubles_or_null(linear)
    cdef Py_ssize_t D = cnp.PyArray_DIM(theta, 1), K = cnp.PyArray_DIM(theta, 0), j, k
    cdef double value = 0, slope = 0, curvature = 0, products = 0
    with nogil:
        for k in range(K):
            for j in range(D):
                value += q[j] * v[k * D + j] * v[k * D + j]
                slope += q[j] * v[k * D + j] * u[k * D + j]
                curvature += q[j] * u[k * D + j] * u[k * D + j]
        for j in range(K * D if t != NULL else 0):
            products += t[j] * v[j]
            slope += t[j] * u[j]
    return 0.5 * value + products, slope, curvature


def inner(cnp.ndarray u, cnp.ndarray v):
    """Return the sum of u · v, arrays of float64 of any layout that have as many entries: of
    pieces first, which keeps its rounding small."""
    if cnp.PyArray_SIZE(u) != cnp.PyArray_SIZE(v):
        raise ValueError(f"{cnp.PyArray_SIZE(u)} entries and {cnp.PyArray_SIZE(v)}")
    u = cnp.PyArray_GETCONTIGUOUS(u)
    v = cnp.PyArray_GETCONTIGUOUS(v)
    cdef const double* a = doubles(u)
    cdef const double* b = doubles(v)
    cdef Py_ssize_t m = cnp.PyArray_SIZE(u)
    cdef double total
    with nogil:
        total = sum_of_products(a, b, m)
    return total


cdef double sum_of_products(const double* a, const double* b, Py_ssize_t m) noexcept nogil:
    cdef Py_ssize_t begin = 0
    cdef double total = 0
    while begin < m:
        total += dot(a + begin, b + begin, min(<Py_ssize_t> PIECE, m - begin))
        begin += PIECE
    return total


def difference(cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, int threads, q=None, s=None):
    """Fill out, contiguous, with a - b of any layout, less the product of q and s if given."""
    a = cnp.PyArray_GETCONTIGUOUS(a)
    b = cnp.PyArray_GETCONTIGUOUS(b)
    cdef const double* from_a = doubles(a)
    cdef const double* from_b = doubles(b)
    cdef const double* from_q = doubles_or_null(q)
    cdef const double* from_s = doubles_or_null(s)
    cdef double* to = doubles(out)
    cdef Py_ssize_t m = cnp.PyArray_SIZE(out)
    with nogil:
        run_subtract(from_a, from_b, from_q, from_s, m, threads, to)


def class_blocks(cnp.ndarray grams, shared, cnp.ndarray H):
    """Fill H (K D, K D) from the Grams (K (K - 1) / 2, D, D) of the pairs of classes k < l.

    The blocks of a row add up to zero, which gives those on the diagonal: where a model is sure, a
    block of a (1 - a) would be rounding, and H far from positive semidefinite.

    Adding the same to coordinate j of all classes changes nothing: H is singular along that. What
    belongs there is filled with the mean of the diagonal, where `shared` (None: everywhere) is not
    0, and no direction whose classes sum to zero notices.
    """
    cdef const double* G = doubles(grams)
    cdef const double* mask = doubles_or_null(shared)
    cdef double* out = doubles(H)
    cdef Py_ssize_t D = cnp.PyArray_DIM(grams, 1), K = cnp.PyArray_DIM(H, 0) // D, i, j, k, m
    cdef double fill
    with nogil:
        for k in range(K):
            for i in range(D):
                memset(out + (k * D + i) * K * D + k * D, 0, D * sizeof(double))
        for k in range(K):
            for m in range(k + 1, K):
                for i in range(D):
                    put_pair(G + i * D, D, out + (k * D + i) * K * D + m * D,
                             out + (m * D + i) * K * D + k * D, out + (k * D + i) * K * D + k * D,
                             out + (m * D + i) * K * D + m * D)
                G += D * D
        for j in range(D):
            if mask != NULL and mask[j] == 0:
                continue
            fill = 0
            for k in range(K):
                fill += out[(k * D + j) * (K * D + 1)]
            fill /= K * K
            for k in range(K):
                for m in range(K):
                    out[(k * D + j) * K * D + m * D + j] += fill


cdef inline void put_pair(const double* G, Py_ssize_t D, alone above, alone below, alone first,
                          alone second) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(D):
        above[j] = below[j] = G[j]
        first[j] -= G[j]
        second[j] -= G[j]


def column_coordinates(cnp.ndarray X, bint centred, double least, double most,
                       double least_spread, cnp.ndarray center, cnp.ndarray spread,
                       cnp.ndarray scale):
    """Fill the mean of each column of X, float64 in C order (0 unless centred), its deviation from
    that, and one over the deviation, at most 1 / least_spread. Return the first column whose
    deviation is not between `least` and `most`, or -1.

    The deviation of what is constant to rounding is its own size, and 1 of zeros or where an
    entry is not finite.
    """
    cdef const double* x = doubles(X)
    cdef double* middle = doubles(center)
    cdef double* deviation = doubles(spread)
    cdef double* unit = doubles(scale)
    cdef Py_ssize_t n = cnp.PyArray_DIM(X, 0), d = cnp.PyArray_DIM(X, 1), j, bad = -1
    cdef double largest
    with nogil:
        largest_entries(x, n, d, deviation)
        for j in range(d):
            largest = deviation[j] if 0 < deviation[j] < HUGE_VAL else 1.0
            unit[j] = 1.0 / max(largest, DBL_MIN)
            middle[j] = 0
        # In units of the largest entry squares do not overflow; from the first entry on, the mean
        # of a constant is exact.
        if centred:
            add_columns(x, n, d, x, unit, False, middle)
            for j in range(d):
                middle[j] = x[j] + middle[j] / n / unit[j]
                middle[j] = middle[j] if fabs(middle[j]) <= DBL_MAX else 0
        memset(deviation, 0, d * sizeof(double))
        add_columns(x, n, d, middle, unit, True, deviation)
        for j in range(d):
            deviation[j] = sqrt(deviation[j] / n) / unit[j]
            if not 1e-14 * fabs(middle[j]) < deviation[j] < HUGE_VAL:
                deviation[j] = 1.0 / unit[j]
            elif bad < 0 and not least <= deviation[j] <= most:
                bad = j
            unit[j] = 1.0 / max(deviation[j], least_spread)
    return bad


cdef void largest_entries(const double* x, Py_ssize_t n, Py_ssize_t d,
                          alone largest) noexcept nogil:
    """The largest absolute value in each column."""
    cdef Py_ssize_t i, j
    cdef double v
    for j in range(d):
        largest[j] = 0
    for i in range(n):
        for j in range(d):
            v = fabs(x[i * d + j])
            largest[j] = v if v > largest[j] else largest[j]


cdef void add_columns(const double* x, Py_ssize_t n, Py_ssize_t d, const double* origin,
                      const double* unit, bint squared, alone sums) noexcept nogil:
    """sums += (x - origin) · unit of each column, or the squares of that."""
    cdef Py_ssize_t i, j
    cdef double v
    for i in range(n):
        if squared:
            for j in range(d):
                v = (x[i * d + j] - origin[j]) * unit[j]
                sums[j] += v * v
        else:
            for j in range(d):
                sums[j] += (x[i * d + j] - origin[j]) * unit[j]


def typical_deviations(cnp.ndarray X, bint centred, cnp.ndarray out):
    """Fill the first line of out (3, d) with what entries of each column of X, float64 in C order,
    differ by from one of them, or from 0 unless centred: two to the mean exponent of what is not
    zero, and 0 if all is. The other lines are scratch.

    A few enormous entries leave that as it is. The one that others differ from is no such entry
    either: it is the middle one of three.
    """
    cdef const double* x = doubles(X)
    cdef double* sizes = doubles(out)
    cdef Py_ssize_t n = cnp.PyArray_DIM(X, 0), d = cnp.PyArray_DIM(X, 1)
    with nogil:
        mean_exponents(x, n, d, centred, sizes, sizes + d, sizes + 2 * d)


cdef void mean_exponents(const double* x, Py_ssize_t n, Py_ssize_t d, bint centred, alone sums,
                         alone origin, alone count) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double a, b, c, v
    for j in range(d):
        sums[j] = count[j] = 0
        a, b, c = x[j], x[n // 2 * d + j], x[(n - 1) * d + j]
        origin[j] = max(min(a, b), min(max(a, b), c)) if centred else 0.0
    for i in range(n):
        for j in range(d):
            v = fabs(x[i * d + j] - origin[j])
            sums[j] += biased_exponent(v)
            count[j] += 1.0 if v > 0 else 0.0
    for j in range(d):
        sums[j] = exp2(sums[j] / count[j] - 1023.0) if count[j] > 0 else 0.0


def are_plain(cnp.ndarray center, cnp.ndarray scale):
    """Whether columns are neither centred nor scaled."""
    cdef const double* c = doubles(center)
    cdef const double* size = doubles(scale)
    cdef Py_ssize_t j
    for j in range(cnp.PyArray_SIZE(center)):
        if c[j] != 0 or size[j] != 1:
            return False
    return True


def margin_terms(cnp.ndarray theta, cnp.ndarray center, cnp.ndarray scale):
    """Return the sum of |center · scale| times the largest |theta| of all classes, and the root of
    the sum of theta^2, biases included."""
    cdef double same, size
    size_up(doubles(theta), doubles(center), doubles(scale), cnp.PyArray_DIM(theta, 1),
            cnp.PyArray_DIM(theta, 0), &same, &size)
    return same, size


cdef void size_up(const double* v, const double* center, const double* scale, Py_ssize_t D,
                  Py_ssize_t K, double* same, double* size) noexcept nogil:
    cdef Py_ssize_t j, k
    cdef double squares = 0, largest
    same[0] = 0
    for j in range(D):
        largest = 0
        for k in range(K):
            largest = max(largest, fabs(v[k * D + j]))
            squares += v[k * D + j] * v[k * D + j]
        if j < D - 1:
            same[0] += fabs(center[j] * scale[j]) * largest
    size[0] = sqrt(squares)


def finish_diagonal(cnp.ndarray H, cnp.ndarray quadratic, bint fit_bias):
    """Add the penalty's q to the diagonal of H (K D, K D); of a bias that is not free it becomes 1.
    """
    cdef Py_ssize_t D = cnp.PyArray_SIZE(quadratic)
    add_diagonal(doubles(H), doubles(quadratic), D, cnp.PyArray_DIM(H, 0) // D, fit_bias)


cdef void add_diagonal(double* diagonal, const double* q, Py_ssize_t D, Py_ssize_t K,
                       bint fit_bias) noexcept nogil:
    cdef Py_ssize_t i, k
    for i in range(K * D):
        k = i * (K * D + 1)
        diagonal[k] += q[i % D]
        if not fit_bias and i % D == D - 1:
            diagonal[k] = 1


def are_finite(cnp.ndarray v):
    """Whether there is neither NaN nor infinity in v, float64."""
    return all_finite(doubles(v), cnp.PyArray_SIZE(v))
