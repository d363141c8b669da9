# SPDX-License-Identifier: BSD-3-Clause
# Coordinate descent on a quadratic model with an L1 penalty and bounds: no threads, no Python.
#
#     minimise r·(x - x0) + (x - x0)' H (x - x0) / 2 + sum l_j |x_j|,  lower <= x <= upper
#
# r is kept the gradient of the quadratic part at x. H is symmetric, so a coordinate that moves by t
# adds t times a contiguous row to r; one that stays costs nothing but a look.

cdef inline double best_value(double x, double slope, double curvature, double l, double lower,
                              double upper) noexcept nogil:
    """The minimum of slope (t - x) + curvature (t - x)^2/2 + l |t| over [lower, upper]."""
    cdef double t = x * curvature - slope
    t = (t - l) / curvature if t > l else ((t + l) / curvature if t < -l else 0.0)
    return lower if t < lower else (upper if t > upper else t)


cdef double descend_once(const double* H, Py_ssize_t N, const double* l1, const double* lower,
                         const double* upper, bint moving, double* x, double* r) noexcept nogil:
    """One round over the coordinates, or over those with a value: the largest H_jj t_j^2."""
    cdef Py_ssize_t j
    cdef double h, new, t, largest_change = 0
    for j in range(N):
        if moving and x[j] == 0.0 and l1[j] > 0.0:
            continue
        h = H[j * N + j]
        if not h > 0:
            continue
        new = best_value(x[j], r[j], h, l1[j], lower[j], upper[j])
        t = new - x[j]
        if t != 0.0:
            x[j] = new
            axpy(H + j * N, t, N, r)
            if h * t * t > largest_change:
                largest_change = h * t * t
    return largest_change


def descend_coordinates(cnp.ndarray H, cnp.ndarray l1, cnp.ndarray lower, cnp.ndarray upper,
                        cnp.ndarray x, cnp.ndarray r, Py_ssize_t rounds, double enough):
    """Move x (N,) and its gradient r by up to so many rounds of coordinate descent.

    A round over all coordinates is followed by rounds over those that are not zero, until these
    change nothing by more than `enough`, in units of the quadratic. Returns what the last round
    over all coordinates changed.
    """
    cdef const double* h = doubles(H)
    cdef const double* strength = doubles(l1)
    cdef const double* low = doubles(lower)
    cdef const double* high = doubles(upper)
    cdef double* out = doubles(x)
    cdef double* slope = doubles(r)
    cdef Py_ssize_t N = cnp.PyArray_SIZE(x), k = 0
    cdef double changed = 0
    with nogil:
        while k < rounds:
            changed = descend_once(h, N, strength, low, high, False, out, slope)
            k += 1
            if not changed > enough:
                break
            while k < rounds:
                k += 1
                if not descend_once(h, N, strength, low, high, True, out, slope) > enough:
                    break
    return changed


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
