# SPDX-License-Identifier: BSD-3-Clause
# Moving all classes' weights of a column alike, in a quadratic model: no Python.
#
# That changes no prediction, so that without a ridge nothing bends the model that way, and the L1
# penalty alone decides: the weights' median comes to be zero. Coordinate descent, whose coordinates
# are bent each, hardly moves that way, and a Hessian of all classes' weights has no factor.

cdef double FLAT = 1e-12        # a curvature of so many parts of the classes' own is none


cdef struct Columns:
    double* curvature   # along all classes' weights of a column, 0: none
    double* kinks       # room for the places and heights of a column's
    double* heights


cdef inline Py_ssize_t room_for_columns(const Model* q) noexcept nogil:
    return q.N // q.K + 2 * q.K


cdef void find_columns(const Model* q, const double* H, double* room,
                       Columns* columns) noexcept nogil:
    """Find the curvatures; q's own are rounded by parts of those of H."""
    cdef Py_ssize_t K = q.K, D = q.N // K, j, k, c
    cdef double own, total
    columns.curvature, columns.kinks, columns.heights = room, room + D, room + D + K
    for j in range(D if K > 1 else 0):
        own = total = 0
        for k in range(K):
            own += H[(k * D + j) * (q.N + 1)]
            for c in range(K):
                total += q.H[(k * D + j) * q.N + c * D + j]
        columns.curvature[j] = total if total > FLAT * own else 0


cdef double best_shift(const Model* q, Py_ssize_t j, Columns* columns) noexcept nogil:
    """What to add to all classes' weights of column j so that the model falls most."""
    cdef Py_ssize_t K = q.K, D = q.N // K, i, k, c
    cdef double slope = 0, penalty = 0, low = -HUGE_VAL, high = HUGE_VAL, here, best
    cdef double curvature = columns.curvature[j]
    cdef double* kink = columns.kinks
    cdef double* height = columns.heights
    for k in range(K):
        i = k * D + j
        slope += q.r[i]
        penalty += q.l1[i]
        low = max(low, q.lower[i] - q.x[i])
        high = min(high, q.upper[i] - q.x[i])
        c = k
        while c > 0 and kink[c - 1] > -q.x[i]:
            kink[c], height[c] = kink[c - 1], height[c - 1]
            c -= 1
        kink[c], height[c] = -q.x[i], 2 * q.l1[i]
    if fabs(slope) <= CLEAR * penalty:
        slope = 0
    # The slope is that much less left of all kinks, and rises at each of them.
    slope -= penalty
    for k in range(K):
        here = slope + curvature * kink[k]
        if curvature > 0 and here > 0:
            best = -slope / curvature
            break
        if here + height[k] >= 0:
            best = kink[k]
            break
        slope += height[k]
    else:
        best = -slope / curvature if curvature > 0 else kink[K - 1]
    return within(best, low, high)


cdef Py_ssize_t shift_columns(const Model* q, Columns* columns) noexcept nogil:
    """Move the weights of each column alike to where the model is least; how many moved."""
    cdef Py_ssize_t D = q.N // q.K, j, k, i, moved = 0
    cdef double t, old
    for j in range(D if q.K > 1 else 0):
        if not q.l1[j] > 0:
            continue
        t = best_shift(q, j, columns)
        if t == 0 or 0 < columns.curvature[j] * fabs(t) <= CLEAR * q.l1[j]:
            continue
        moved += 1
        for k in range(q.K):
            i = k * D + j
            old = q.x[i]
            q.x[i] = 0 if old == -t else within(old + t, q.lower[i], q.upper[i])
            axpy(q.H + i * q.N, q.x[i] - old, q.N, q.r)
    return moved


cdef void bend_what_none_does(const Model* q, const Columns* columns, const Py_ssize_t* S,
                              Py_ssize_t m, double* R) noexcept nogil:
    """Add to a Hessian of the coordinates S, the upper triangle R, what keeps all classes' weights
    of a column from moving alike where neither curvature nor a penalty does.

    Nothing pulls that way but rounding, and bounds that are off, so that steps are no others.
    """
    cdef Py_ssize_t D = q.N // q.K, k, i, j, c, count
    cdef double own
    for k in range(m if q.K > 1 else 0):
        j = S[k] % D
        if columns.curvature[j] > 0 or q.l1[j] > 0:
            continue
        count = 0
        for i in range(m):
            count += S[i] % D == j
        if count < q.K:
            continue
        own = 0
        for c in range(q.K):
            own += q.H[(c * D + j) * (q.N + 1)] / q.K
        for i in range(k, m):
            if S[i] % D == j:
                R[k * m + i] += own
