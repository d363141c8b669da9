# SPDX-License-Identifier: BSD-3-Clause
# What the coordinates add to the bound of a certificate (logreg_c/_certificate.py has the proof).
# NaN stays NaN.

cdef double ROUNDED_BIAS = 1e-12    # a residual of the bias above this is no rounding

cdef struct Slack:
    double shared       # the largest of (|u| - l) / l where nothing but the penalty's size holds
    double sum          # of the gaps


cdef struct Reach:
    const double* center
    const double* scale
    double reach        # how far the optimum may be, in parts of a coordinate of 1 or more
    double weakest      # a penalty up to this bounds no residual that may be
    double noise        # for a column whose centre is zero
    double far          # `reach` of a weight without a penalty whose residual is no noise


cdef inline double at_least_zero(double v) noexcept nogil:
    return 0 if v < 0 else v


cdef inline double within(double v, double low, double high) noexcept nogil:
    return low if v < low else (high if v > high else v)


cdef inline void add_gap(double q, double l1, double lower, double upper, double most,
                         double around, double x, double u, Slack* slack) noexcept nogil:
    """Add the gap of q t^2/2 + l1 |t| at x, the maximum being over |t| <= most where there is an
    L1 penalty, and where there is no penalty over what is `around` x."""
    cdef double low = lower, high = upper
    cdef double over = at_least_zero(fabs(u) - l1), best = 0, away, gap
    if l1 > 0 and q == 0 and (upper if u > 0 else -lower) >= most:
        if over / l1 > slack.shared:
            slack.shared = over / l1
        # As one product: a difference of two leaves a rounding that may be below zero where u = l1.
        slack.sum += (l1 - (u if x > 0 else -u)) * fabs(x)
        return
    if l1 > 0:
        low, high = max(low, -most), min(high, most)
    elif q == 0:
        low, high = max(low, x - around), min(high, x + around)
    if q > 0:
        best = over / q if u > 0 else -over / q
    elif over > 0:
        best = high if u > 0 else low
    best = within(best, low, high)
    away = x - best
    gap = 0.5 * q * away * away + (q * best - u) * away + l1 * (fabs(x) - fabs(best))
    slack.sum += at_least_zero(gap)


def kinked_gaps(cnp.ndarray quadratic, cnp.ndarray l1, cnp.ndarray lower, cnp.ndarray upper,
                cnp.ndarray center, cnp.ndarray scale, cnp.ndarray theta, cnp.ndarray residual,
                double J, double reach, double weakest, double noise, double far):
    """Return what belongs to the L1 penalty's size alone, in parts of J, and the sum of the gaps of
    Fenchel's inequality at theta for -u = residual - q · theta."""
    cdef Slack slack
    slack.shared = slack.sum = 0
    cdef Reach limits = Reach(doubles(center), doubles(scale), reach, weakest, noise, far)
    add_gaps(doubles(quadratic), doubles(l1), doubles(lower), doubles(upper), doubles(theta),
             doubles(residual), cnp.PyArray_DIM(theta, 1), cnp.PyArray_DIM(theta, 0), J, &limits,
             &slack)
    return slack.shared, slack.sum


cdef void add_gaps(const double* curved, const double* kinks, const double* low,
                   const double* high, const double* v, const double* r, Py_ssize_t D,
                   Py_ssize_t K, double J, const Reach* limits, Slack* slack) noexcept nogil:
    cdef Py_ssize_t i, j, k
    cdef double q, u, strength, most
    for k in range(K):
        for j in range(D):
            i = k * D + j
            u = curved[j] * v[i] - r[i]
            strength = kinks[j]
            if v[i] == 0 and fabs(u) <= strength:
                continue
            q = curved[j] if bounds_it(curved[j], r[i], limits, j, D) else 0
            most = J / strength if strength > 0 else HUGE_VAL
            add_gap(q, strength, low[j], high[j], most, around(v[i], r[i], limits, j, D), v[i], u,
                    slack)


cdef inline bint is_noise(double r, const Reach* limits, Py_ssize_t j,
                          double times) noexcept nogil:
    return fabs(r) <= times * limits.noise * (1 + fabs(limits.center[j] * limits.scale[j]))


cdef inline bint bounds_it(double q, double r, const Reach* limits, Py_ssize_t j,
                           Py_ssize_t D) noexcept nogil:
    """Whether q bounds column j, whose residual is r: a very weak one only what is no noise.

    The bias, which is last, has no centre.
    """
    return q > limits.weakest or (q > 0 and (j == D - 1 or not is_noise(r, limits, j, 1)))


cdef inline double around(double v, double r, const Reach* limits, Py_ssize_t j,
                          Py_ssize_t D) noexcept nogil:
    """How far from v the optimum may be without a penalty; the bias is the last coordinate.

    Of columns that depend on each other a factor leaves more than rounding. What is left of the
    bias has been taken to zero (logreg_c/_balanced.py).
    """
    if j == D - 1:
        return limits.reach * max(fabs(v), 1.0) if fabs(r) <= ROUNDED_BIAS else HUGE_VAL
    return (limits.reach if is_noise(r, limits, j, 1000) else limits.far) * max(fabs(v), 1.0)


def smooth_gaps(cnp.ndarray quadratic, cnp.ndarray center, cnp.ndarray scale, cnp.ndarray theta,
                cnp.ndarray residual, double reach, double weakest, double noise, double far):
    """Return the sum of r^2 / 2q, and where there is no q of |r| reach max(|theta|, 1)."""
    cdef Reach limits = Reach(doubles(center), doubles(scale), reach, weakest, noise, far)
    return sum_of_gaps(doubles(quadratic), doubles(theta), doubles(residual),
                       cnp.PyArray_DIM(theta, 1), cnp.PyArray_DIM(theta, 0), &limits)


cdef double sum_of_gaps(const double* curved, const double* v, const double* r, Py_ssize_t D,
                        Py_ssize_t K, const Reach* limits) noexcept nogil:
    cdef Py_ssize_t i, j, k
    cdef double total = 0
    for k in range(K):
        for j in range(D):
            i = k * D + j
            if bounds_it(curved[j], r[i], limits, j, D):
                total += r[i] * r[i] / (2 * curved[j])
            else:
                total += fabs(r[i]) * around(v[i], r[i], limits, j, D)
    return total
