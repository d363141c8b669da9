# SPDX-License-Identifier: BSD-3-Clause
# The smallest and the largest entry of each column in each group of rows, and where they are.
#
# A group's numbers are four stretches of d: the largest entries and their rows, then the same of
# the negated entries. Reads X once.

cdef inline void range_of_row(const real* x, Py_ssize_t d, double i, alone high, alone high_row,
                              alone low, alone low_row) noexcept nogil:
    cdef Py_ssize_t j
    cdef double v
    cdef bint more
    for j in range(d):
        v = x[j]
        more = v > high[j]
        high[j] = v if more else high[j]
        high_row[j] = i if more else high_row[j]
        more = -v > low[j]
        low[j] = -v if more else low[j]
        low_row[j] = i if more else low_row[j]


cdef inline void range_of_rows(const real* X, const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                               double* sums) noexcept nogil:
    cdef Py_ssize_t i, j, d = p.d
    cdef double* group
    cdef double v
    if p.column == 1:
        for i in range(begin, end):
            if p.ids[i] >= 0:
                group = sums + p.ids[i] * 4 * d
                range_of_row(X + i * p.row, d, i, group, group + d, group + 2 * d, group + 3 * d)
        return
    for j in range(d):
        for i in range(begin, end):
            if p.ids[i] < 0:
                continue
            group = sums + p.ids[i] * 4 * d + j
            v = X[j * p.column + i]
            if v > group[0]:
                group[0] = v
                group[d] = i
            if -v > group[2 * d]:
                group[2 * d] = -v
                group[3 * d] = i


cdef void range_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end, double* sums) noexcept nogil:
    """What stands above, of the rows whose group, in ids, is not negative."""
    cdef Py_ssize_t k
    for k in range(p.entries):
        # -inf below all entries; rows that stay -1 belong to a group without rows.
        sums[k] = -1.0 if k // p.d % 2 else -HUGE_VAL
    if p.is_float:
        range_of_rows[float](<const float*> p.X, p, begin, end, sums)
    else:
        range_of_rows[double](<const double*> p.X, p, begin, end, sums)


cdef void keep_largest(const double* all_sums, Py_ssize_t chunks, Py_ssize_t width,
                       Py_ssize_t entries, Py_ssize_t d, double* sums) noexcept nogil:
    """Join chunks' numbers to the first's in their order, so that of equal entries the first row
    stays."""
    cdef Py_ssize_t c, k, j
    cdef const double* chunk
    for c in range(chunks):
        chunk = all_sums + c * width
        k = 0
        while k < entries:
            for j in range(k, k + d):
                if chunk[j] > sums[j]:
                    sums[j] = chunk[j]
                    sums[j + d] = chunk[j + d]
            k += 2 * d
