# SPDX-License-Identifier: BSD-3-Clause
# Copies of X, centred and scaled: of some rows, and of all as float32.

cdef enum:
    TAKE_AHEAD = 4      # rows
    TURNED_ROWS = 16    # two cache lines of each column


cdef inline void take_row(const real* x, const Pass* p, alone out) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(p.d):
        out[j] = (x[j * p.column] - p.center[j]) * p.scale[j]


cdef void take_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end, double* sums) noexcept nogil:
    """out[k] = the row order[k] of X, centred and scaled, as float64 in C order.

    Rows are anywhere, and each is short: those that follow are asked for ahead.
    """
    cdef Py_ssize_t size = itemsize(p), k
    cdef const char* ahead
    for k in range(begin, end):
        if p.column == 1 and k + TAKE_AHEAD < end:
            ahead = <const char*> p.X + p.order[k + TAKE_AHEAD] * p.row * size
            prefetch_bytes(ahead, p.d * size)
        if p.is_float:
            take_row[float](<const float*> p.X + p.order[k] * p.row, p, p.out + k * p.d)
        else:
            take_row[double](<const double*> p.X + p.order[k] * p.row, p, p.out + k * p.d)


cdef void round_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end, double* sums) noexcept nogil:
    """out = X, of float64, centred and scaled, as float32 in C order.

    By columns a few rows at once, whose entries stand side by side there.
    """
    cdef const double* X = <const double*> p.X
    cdef const double* x
    cdef float* out = <float*> <void*> p.out
    cdef Py_ssize_t i = begin, m, j, k
    while i < end:
        m = 1 if p.column == 1 else min(TURNED_ROWS, end - i)
        x = X + i * p.row
        if m == 1:
            for j in range(p.d):
                out[i * p.d + j] = <float> ((x[j * p.column] - p.center[j]) * p.scale[j])
        else:
            for j in range(p.d):
                for k in range(m):
                    out[(i + k) * p.d + j] = <float> (
                        (x[k + j * p.column] - p.center[j]) * p.scale[j])
        i += m
