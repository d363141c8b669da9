# SPDX-License-Identifier: BSD-3-Clause
# A quadratic model's fall within faces, where pivots go round in circles: no Python.
#
# Newton's step of the coordinates that are neither zero nor at a bound ends where the first of them
# gets there, unless the model falls further behind it, as it does behind hundreds where columns are
# nearly alike and the penalty is small; then there is another factor, of the others.

cdef enum:
    STOPS = 10          # how often signs may change a factor's step


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


cdef bint walk_once(const Model* q, const Pivots* p) except -1 nogil:
    """Move x and r towards the minimum over the free coordinates; whether it is reached."""
    cdef Py_ssize_t m = p.m, k, j
    cdef double length, old, fall
    cdef void* memory = new_doubles(m * (m + 4))
    cdef double* size = aligned(memory)
    cdef double* d = size + m
    cdef double* stop = d + m
    cdef double* end = stop + m
    cdef double* R = end + m
    try:
        factor_free(q, p, R, size)
        pull(q, p, stop)
        memcpy(d, stop, m * sizeof(double))
        solve_scaled(R, size, m, d, 1)
        fall = sum_of_products(stop, d, m)
        length = find_length(q, p.S, m, d, fall, stop, end)
        for k in range(m):
            j = p.S[k]
            old = q.x[j]
            if length < 1 and stop[k] <= length:
                q.x[j] = 0 if stop[k] < end[k] else (q.upper[j] if d[k] > 0 else q.lower[j])
            else:
                q.x[j] += length * d[k]
            axpy(q.H + j * q.N, q.x[j] - old, q.N, q.r)
    finally:
        free(memory)
    return length == 1


cdef int walk(const Model* q, Columns* columns, Pivots* p) except -1 nogil:
    """Move x and r down."""
    cdef Py_ssize_t k
    for k in range(STOPS):
        shift_columns(q, columns)
        find_free(q, p)
        if p.m == 0 or walk_once(q, p):
            break
    return 0
