# SPDX-License-Identifier: BSD-3-Clause
# Copies of X, centred and scaled: of some rows, and of all as float32.

cdef enum:
    TAKE_AHEAD = 4      # rows


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
    """out = X, centred and scaled, as float32 in the order that X, of float64, is in."""
    cdef const double* X = <const double*> p.X
    cdef float* out = <float*> <void*> p.out
    cdef Py_ssize_t i, j
    if p.column == 1:
        for i in range(begin, end):
            for j in range(p.d):
                out[i * p.row + j] = <float> ((X[i * p.row + j] - p.center[j]) * p.scale[j])
    else:
        for j in range(p.d):
            for i in range(begin, end):
                out[j * p.column + i] = <float> (
                    (X[j * p.column + i] - p.center[j]) * p.scale[j])
