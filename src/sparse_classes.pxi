# SPDX-License-Identifier: BSD-3-Clause
# Products with a block of rows of a sparse X for several columns of z at once. No threads, no
# Python objects.
#
# What one column of z costs is the way to w and g, entry by entry. So here the weights of a column
# of X stand together, and so do its sums: (d + 1, lanes), the bias last, lanes being the classes
# filled up with zeros to whole fours. One way leads to eight classes, which lie in one line of the
# cache or two.

cdef inline Py_ssize_t lanes_of(Py_ssize_t K) noexcept nogil:
    return (K + 3) // 4 * 4


cdef void to_lanes(const double* theta, Py_ssize_t K, Py_ssize_t D, Py_ssize_t begin,
                   Py_ssize_t end, double* out) noexcept nogil:
    cdef Py_ssize_t lanes = lanes_of(K), j, k
    for j in range(begin, end):
        for k in range(lanes):
            out[j * lanes + k] = theta[k * D + j] if k < K else 0.0


cdef void from_lanes(const double* sums, Py_ssize_t K, Py_ssize_t D, Py_ssize_t begin,
                     Py_ssize_t end, double* out) noexcept nogil:
    cdef Py_ssize_t lanes = lanes_of(K), j, k
    for j in range(begin, end):
        for k in range(K):
            out[k * D + j] = sums[j * lanes + k]


cdef inline void ask_for_line(const index* at, const real* x, Py_ssize_t m) noexcept nogil:
    """Ask for m entries that come further on."""
    cdef Py_ssize_t k = 0
    while k < m:
        ask_ahead(at, x, k)
        k += CACHE_LINE // <Py_ssize_t> sizeof(real)


cdef inline void gather_four(const index* at, const real* x, const double* w, Py_ssize_t lanes,
                             Py_ssize_t m, double* out) noexcept nogil:
    """out[c] = the sum of x_k w[at_k, c] for four classes c."""
    cdef double s0 = 0, s1 = 0, s2 = 0, s3 = 0, v
    cdef Py_ssize_t k
    cdef const double* q
    for k in range(m):
        q = w + <Py_ssize_t> at[k] * lanes
        v = 1.0 if x == NULL else <double> x[k]
        s0 += v * q[0]
        s1 += v * q[1]
        s2 += v * q[2]
        s3 += v * q[3]
    out[0] = s0
    out[1] = s1
    out[2] = s2
    out[3] = s3


cdef inline void gather_eight(const index* at, const real* x, const double* w, Py_ssize_t lanes,
                              Py_ssize_t m, double* out) noexcept nogil:
    cdef double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0, v
    cdef Py_ssize_t k
    cdef const double* q
    for k in range(m):
        q = w + <Py_ssize_t> at[k] * lanes
        v = 1.0 if x == NULL else <double> x[k]
        s0 += v * q[0]
        s1 += v * q[1]
        s2 += v * q[2]
        s3 += v * q[3]
        s4 += v * q[4]
        s5 += v * q[5]
        s6 += v * q[6]
        s7 += v * q[7]
    out[0] = s0
    out[1] = s1
    out[2] = s2
    out[3] = s3
    out[4] = s4
    out[5] = s5
    out[6] = s6
    out[7] = s7


cdef inline void scatter_some(const index* at, const real* x, bint squared, const double* r,
                              Py_ssize_t lanes, Py_ssize_t m, double* g,
                              Py_ssize_t classes) noexcept nogil:
    """g[at_k, c] += x_k r[c], or x_k^2 r[c], for four or eight classes, of which the compiler
    knows the number."""
    cdef double r0 = r[0], r1 = r[1], r2 = r[2], r3 = r[3]
    cdef double r4 = r[4], r5 = r[5], r6 = r[6], r7 = r[7], v
    cdef Py_ssize_t k
    cdef double* q
    for k in range(m):
        q = g + <Py_ssize_t> at[k] * lanes
        v = 1.0 if x == NULL else <double> x[k]
        if squared:
            v *= v
        q[0] += v * r0
        q[1] += v * r1
        q[2] += v * r2
        q[3] += v * r3
        if classes == 8:
            q[4] += v * r4
            q[5] += v * r5
            q[6] += v * r6
            q[7] += v * r7


cdef inline void gather_classes(const Sparse* x, const index* columns, const real* values,
                                Py_ssize_t begin, Py_ssize_t m, Py_ssize_t d, Py_ssize_t K,
                                const double* w, double* z) noexcept nogil:
    cdef Py_ssize_t lanes = lanes_of(K), i, first, length, k, c
    cdef const real* line
    cdef double out[8]
    for i in range(m):
        first = start_of(x, begin + i)
        length = start_of(x, begin + i + 1) - first
        line = values + first if values != NULL else NULL
        ask_for_line(columns + first, line, length)
        k = 0
        while k < K:
            if lanes - k >= 8:
                gather_eight(columns + first, line, w + k, lanes, length, out)
            else:
                gather_four(columns + first, line, w + k, lanes, length, out)
            for c in range(k, min(k + 8, K)):
                z[c * m + i] = w[d * lanes + c] + out[c - k]
            k += 8


cdef inline void scatter_classes(const Sparse* x, const index* columns, const real* values,
                                 Py_ssize_t begin, Py_ssize_t m, Py_ssize_t d, Py_ssize_t K,
                                 bint first_read, const double* r, double* g) noexcept nogil:
    cdef Py_ssize_t lanes = lanes_of(K), i, first, length, k, c
    cdef const real* line
    cdef double out[8]
    for i in range(m):
        first = start_of(x, begin + i)
        length = start_of(x, begin + i + 1) - first
        line = values + first if values != NULL else NULL
        if first_read:
            ask_for_line(columns + first, line, length)
        k = 0
        while k < K:
            for c in range(8):
                out[c] = r[(k + c) * m + i] if k + c < K else 0.0
            for c in range(min(<Py_ssize_t> 8, K - k)):
                g[d * lanes + k + c] += out[c]
            if lanes - k >= 8:
                scatter_some(columns + first, line, x.squared, out, lanes, length, g + k, 8)
            else:
                scatter_some(columns + first, line, x.squared, out, lanes, length, g + k, 4)
            k += 8


cdef inline void sparse_class_margins(const Sparse* x, Py_ssize_t begin, Py_ssize_t m,
                                      Py_ssize_t d, Py_ssize_t K, const double* w,
                                      double* z) noexcept nogil:
    """z[c m + i] = x_i w_c + b_c."""
    if x.wide_columns:
        if x.is_float:
            gather_classes(x, <const int64_t*> x.columns, <const float*> x.values, begin, m, d, K,
                           w, z)
        else:
            gather_classes(x, <const int64_t*> x.columns, <const double*> x.values, begin, m, d, K,
                           w, z)
    elif x.is_float:
        gather_classes(x, <const int32_t*> x.columns, <const float*> x.values, begin, m, d, K, w, z)
    else:
        gather_classes(x, <const int32_t*> x.columns, <const double*> x.values, begin, m, d, K, w,
                       z)


cdef inline void sparse_class_gradient(const Sparse* x, Py_ssize_t begin, Py_ssize_t m,
                                       Py_ssize_t d, Py_ssize_t K, bint first_read,
                                       const double* r, double* g) noexcept nogil:
    """g[:d] += X'r and g[d] += sum(r) for every class."""
    if x.wide_columns:
        if x.is_float:
            scatter_classes(x, <const int64_t*> x.columns, <const float*> x.values, begin, m, d, K,
                            first_read, r, g)
        else:
            scatter_classes(x, <const int64_t*> x.columns, <const double*> x.values, begin, m, d,
                            K, first_read, r, g)
    elif x.is_float:
        scatter_classes(x, <const int32_t*> x.columns, <const float*> x.values, begin, m, d, K,
                        first_read, r, g)
    else:
        scatter_classes(x, <const int32_t*> x.columns, <const double*> x.values, begin, m, d, K,
                        first_read, r, g)
