# SPDX-License-Identifier: BSD-3-Clause
# What Python calls: pointers out of arrays, the GIL released, numbers back.
#
# Arrays come in as logreg_c._validation hands them over: X float32 or float64 and contiguous in
# one of the two orders, everything else contiguous, shapes that fit. Nothing is checked here.

cimport numpy as cnp
from cython.parallel cimport parallel, prange, threadid
from libc.float cimport DBL_MAX, DBL_MIN
from libc.math cimport HUGE_VAL, exp2, fabs, floor
from cpython.ref cimport PyObject
from libc.stdint cimport INT32_MAX, int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

cdef extern from "link.h" nogil:
    double exp_nonpositive "logreg_exp_nonpositive"(double)
    double biased_exponent "logreg_biased_exponent"(double)
    double log1p_unit "logreg_log1p_unit"(double)
    double log1p_any "logreg_log1p"(double)
    double log_from_one "logreg_log_from_one"(double)

cdef extern from "lines.h" nogil:
    void dot_lines_double "logreg_dot_lines_double"(
        const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void dot_lines_float "logreg_dot_lines_float"(
        const float*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void dot_lines_ahead_double "logreg_dot_lines_ahead_double"(
        const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void dot_lines_ahead_float "logreg_dot_lines_ahead_float"(
        const float*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void dot_lines_in_order_double "logreg_dot_lines_in_order_double"(
        const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void dot_lines_in_order_float "logreg_dot_lines_in_order_float"(
        const float*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void sum_lines_in_order_double "logreg_sum_lines_in_order_double"(
        const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void sum_lines_in_order_float "logreg_sum_lines_in_order_float"(
        const float*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void sum_lines_ahead_double "logreg_sum_lines_ahead_double"(
        int, const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void sum_lines_ahead_float "logreg_sum_lines_ahead_float"(
        int, const float*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void sum_lines_double "logreg_sum_lines_double"(
        const double*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)
    void sum_lines_float "logreg_sum_lines_float"(
        const float*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, double*)

cdef extern from "class_lines.h" nogil:
    void class_lines_double "logreg_class_lines_double"(
        int, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, const double*, Py_ssize_t,
        Py_ssize_t, double*)
    void class_lines_float "logreg_class_lines_float"(
        int, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, const float*, Py_ssize_t,
        Py_ssize_t, double*)

cdef extern from "machine.h" nogil:
    ctypedef double* alone "logreg_alone"   # restrict: nothing else points there
    void prefetch "logreg_prefetch"(const void*)
    void prefetch_bytes "logreg_prefetch_bytes"(const char*, Py_ssize_t)
    int logreg_instruction_level()

cdef extern from *:
    """
    #if !defined(_OPENMP)
    #define LOGREG_OPENMP ""
    #elif defined(_MSC_VER)
    #define LOGREG_OPENMP "vcomp"
    #elif defined(__clang__)
    #define LOGREG_OPENMP "libomp"
    #else
    #define LOGREG_OPENMP "libgomp"
    #endif
    """
    const char* LOGREG_OPENMP
    int PyErr_CheckSignals() except -1

include "memory.pxi"
include "team.pxi"
include "dense.pxi"
include "sparse.pxi"
include "sparse_classes.pxi"
include "dense_classes.pxi"
include "passes.pxi"
include "ranges.pxi"
include "parallel.pxi"
include "descent.pxi"
include "classes.pxi"
include "search.pxi"
include "copies.pxi"
include "pieces.pxi"
include "problems.pxi"
include "algebra.pxi"
include "quadratic.pxi"
include "entries.pxi"

cnp.import_array()

OPENMP_RUNTIME = LOGREG_OPENMP.decode("ascii")     # empty: none, one thread
INSTRUCTION_LEVEL = logreg_instruction_level()
CONVERGED_BY_TOL = STOP_TOLERANCE
DIVERGED = STOP_DIVERGED


cdef inline bint is_plain(cnp.ndarray a, int ndim) noexcept:
    return (cnp.PyArray_NDIM(a) == ndim and cnp.PyArray_ISALIGNED(a)
            and cnp.PyArray_ISNOTSWAPPED(a))


def is_matrix(X):
    """Whether the kernels can read X as it is: 2-D, float32 or float64, C- or Fortran-contiguous.

    These three questions are asked here only because a call on a few rows costs microseconds.
    """
    if not cnp.PyArray_CheckExact(X) or not is_plain(X, 2):
        return False
    return (is_value(X)
            and (cnp.PyArray_IS_C_CONTIGUOUS(X) or cnp.PyArray_IS_F_CONTIGUOUS(X))
            and cnp.PyArray_SIZE(X) > 0)


def is_vector(v, Py_ssize_t length):
    """Whether v is a contiguous float64 array of that length."""
    return (cnp.PyArray_CheckExact(v) and is_plain(v, 1)
            and cnp.PyArray_TYPE(v) == cnp.NPY_FLOAT64
            and cnp.PyArray_DIM(v, 0) == length and cnp.PyArray_IS_C_CONTIGUOUS(v))


def are_labels(y, Py_ssize_t length):
    """Whether y is a contiguous array of that length, of a type that the kernels read."""
    return is_line(y) and cnp.PyArray_DIM(y, 0) == length and is_label(y)


def read_labels(cnp.ndarray y):
    """Return the smallest and the largest label, their sum, which is NaN if one is, and whether all
    are whole numbers."""
    cdef Pass p
    cdef double copy[MOST_ROWS]
    cdef const double* values
    cdef Py_ssize_t n = cnp.PyArray_SIZE(y), begin = 0, m, i
    cdef double low = HUGE_VAL, high = -HUGE_VAL, total = 0, v
    cdef bint whole = True
    memset(&p, 0, sizeof(Pass))
    set_labels(&p, y)
    with nogil:
        while begin < n:
            m = min(n - begin, <Py_ssize_t> MOST_ROWS)
            values = block_labels(&p, begin, m, copy)
            for i in range(m):
                v = values[i]
                low = v if v < low else low
                high = v if v > high else high
                total += v
                whole = whole and floor(v) == v
            begin += m
    return low, high, total, whole


def read_classes(cnp.ndarray y, sample_weight, cnp.ndarray ids, cnp.ndarray sums):
    """Fill ids with labels that are whole numbers as int32, and add up the weights of each class in
    sums, which has an entry for each."""
    cdef Pass p
    cdef double copy[MOST_ROWS]
    cdef const double* values
    cdef const double* s = doubles_or_null(sample_weight)
    cdef int32_t* out = <int32_t*> cnp.PyArray_DATA(ids)
    cdef double* weights = doubles(sums)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(y), begin = 0, m, i
    memset(&p, 0, sizeof(Pass))
    set_labels(&p, y)
    with nogil:
        memset(weights, 0, cnp.PyArray_SIZE(sums) * sizeof(double))
        while begin < n:
            m = min(n - begin, <Py_ssize_t> MOST_ROWS)
            values = block_labels(&p, begin, m, copy)
            for i in range(m):
                out[begin + i] = <int32_t> values[i]
                weights[out[begin + i]] += 1 if s == NULL else s[begin + i]
            begin += m


def are_lines(indptr, indices, data):
    """Whether the kernels can read the three arrays of a CSR or CSC matrix as they are."""
    return is_line(indptr) and is_line(indices) and is_line(data) and (
        is_index(indptr) and is_index(indices) and is_value(data))


cdef inline bint is_line(v) noexcept:
    return (cnp.PyArray_CheckExact(v) and is_plain(v, 1)
            and cnp.PyArray_IS_C_CONTIGUOUS(v))


cdef inline bint is_index(cnp.ndarray v) noexcept:
    cdef int size = cnp.PyArray_ITEMSIZE(v)
    return cnp.PyArray_ISSIGNED(v) and (size == 4 or size == 8)


cdef inline bint is_label(cnp.ndarray v) noexcept:
    cdef int kind = cnp.PyArray_TYPE(v), size = cnp.PyArray_ITEMSIZE(v)
    return (is_value(v) or kind == cnp.NPY_BOOL or kind == cnp.NPY_UINT8
            or (cnp.PyArray_ISSIGNED(v) and cnp.PyArray_ISINTEGER(v) and size != 2))


cdef inline bint is_value(cnp.ndarray v) noexcept:
    cdef int kind = cnp.PyArray_TYPE(v)
    return kind == cnp.NPY_FLOAT64 or kind == cnp.NPY_FLOAT32


cdef inline double* doubles(cnp.ndarray a) noexcept:
    return <double*> cnp.PyArray_DATA(a)


cdef int set_data(Pass* p, X) except -1:
    memset(p, 0, sizeof(Pass))
    if cnp.PyArray_CheckExact(X):
        set_dense(p, X)
    else:
        set_sparse(p, X)
    set_gradient(p, p.d)
    return 0


cdef int set_sparse(Pass* p, X) except -1:
    """X is a _compressed.Compressed whose lines are rows."""
    cdef cnp.ndarray starts = X.indptr, columns = X.indices
    p.sparse.starts = cnp.PyArray_DATA(starts)
    p.sparse.columns = cnp.PyArray_DATA(columns)
    p.sparse.entries = cnp.PyArray_DIM(columns, 0)
    p.sparse.wide_starts = cnp.PyArray_ITEMSIZE(starts) == 8
    p.sparse.wide_columns = cnp.PyArray_ITEMSIZE(columns) == 8
    p.sparse.sound = X.sound
    if X.data is not None:
        p.sparse.values = cnp.PyArray_DATA(X.data)
        p.sparse.is_float = cnp.PyArray_TYPE(X.data) == cnp.NPY_FLOAT32
    p.owner = <PyObject*> X
    p.malformed = &p.is_malformed
    p.n, p.d = X.shape
    if not p.sparse.sound and not starts_rise(&p.sparse, p.n):
        X.malformed()
    return 0


cdef void set_dense(Pass* p, cnp.ndarray X) noexcept:
    p.X = cnp.PyArray_DATA(X)
    p.is_float = cnp.PyArray_TYPE(X) == cnp.NPY_FLOAT32
    p.n = cnp.PyArray_DIM(X, 0)
    p.d = cnp.PyArray_DIM(X, 1)
    if cnp.PyArray_IS_C_CONTIGUOUS(X):
        p.row = p.d
        p.column = 1
    else:
        p.row = 1
        p.column = p.n


cdef void set_gradient(Pass* p, Py_ssize_t d) noexcept:
    """The sums are those of d entries of dw, 0 in a pass without them, and what is behind."""
    p.behind = d
    p.entries = d + SUMS_BEHIND


cdef void set_model(Pass* p, cnp.ndarray w, double b) noexcept:
    p.w = doubles(w)
    p.b = b


cdef void set_labels(Pass* p, cnp.ndarray y) noexcept:
    cdef int kind = cnp.PyArray_TYPE(y)
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(y)
    p.y = cnp.PyArray_DATA(y)
    if kind == cnp.NPY_FLOAT64:
        p.label_kind = LABELS_FLOAT64
    elif kind == cnp.NPY_FLOAT32:
        p.label_kind = LABELS_FLOAT32
    elif kind == cnp.NPY_BOOL or kind == cnp.NPY_UINT8:
        p.label_kind = LABELS_UINT8
    elif size == 8:
        p.label_kind = LABELS_INT64
    elif size == 4:
        p.label_kind = LABELS_INT32
    else:
        p.label_kind = LABELS_INT8


cdef inline const double* doubles_or_null(a) noexcept:
    return NULL if a is None else doubles(a)


cdef void set_shares(Pass* p, sample_weight, double total) noexcept:
    p.sample_weight = doubles_or_null(sample_weight)
    p.total = total


cdef double* new_sums(const Pass* p) except NULL:
    cdef double* sums = <double*> malloc(sums_and_scratch(p) * sizeof(double))
    if sums == NULL:
        raise MemoryError(f"no memory for the {p.d + 1} sums of a gradient")
    return sums


def link_functions(cnp.ndarray t, cnp.ndarray e, cnp.ndarray log1p_e):
    """Fill e = exp(t) for t <= 0 and log(1 + e): the two functions under all others, as tested."""
    cdef const double* x = doubles(t)
    cdef double* out_e = doubles(e)
    cdef double* out_log = doubles(log1p_e)
    cdef Py_ssize_t i
    with nogil:
        for i in range(cnp.PyArray_SIZE(t)):
            out_e[i] = exp_nonpositive(x[i])
            out_log[i] = log1p_unit(out_e[i])


def sum_entries(cnp.ndarray X, int threads):
    """Add up the memory of X read as float64: the plain pass that others are measured against."""
    cdef const double* x = doubles(X)
    cdef Py_ssize_t entries = cnp.PyArray_NBYTES(X) // <Py_ssize_t> sizeof(double)
    cdef double total = 0
    with nogil:
        total = plain_sum(x, entries, threads)
    return total


def sigmoid(cnp.ndarray z, cnp.ndarray out, int threads):
    """Fill out = 1 / (1 + exp(-z)), both flat and float64."""
    cdef Pass p
    cdef double sums[16]
    memset(&p, 0, sizeof(Pass))
    p.n = cnp.PyArray_SIZE(z)
    p.d = p.row = p.column = p.entries = 1
    p.r = doubles(z)
    p.out = doubles(out)
    with nogil:
        run(&p, sigmoid_pass, 0, p.n, threads, sums)


def forward(X, cnp.ndarray w, double b, cnp.ndarray a, int threads):
    """Fill a = sigmoid(Xw + b); return whether every z was finite."""
    cdef Pass p
    cdef double check
    set_data(&p, X)
    set_model(&p, w, b)
    set_gradient(&p, 0)
    p.out = doubles(a)
    cdef double* sums = new_sums(&p)
    try:
        with nogil:
            run(&p, forward_pass, 0, p.n, threads, sums)
        check = sums[p.behind + LOSS]
    finally:
        free(sums)
    return check == 0


def loss_and_gradient(X, cnp.ndarray y, cnp.ndarray w, double b, sample_weight,
                      double total, dw, int threads):
    """Fill dw (None: not asked for); return the loss, db, and how many labels left [0, 1]."""
    cdef Pass p
    cdef double loss, db, outside
    cdef Work work = loss_pass if dw is None else gradient_pass
    set_data(&p, X)
    if dw is None:
        set_gradient(&p, 0)
    set_model(&p, w, b)
    set_labels(&p, y)
    set_shares(&p, sample_weight, total)
    cdef double* sums = new_sums(&p)
    try:
        with nogil:
            run(&p, work, 0, p.n, threads, sums)
        loss = sums[p.behind + LOSS]
        db = sums[p.behind + DB]
        outside = sums[p.behind + OUTSIDE]
        if dw is not None:
            memcpy(doubles(dw), sums, p.d * sizeof(double))
    finally:
        free(sums)
    return loss, db, outside


def transpose_product(X, cnp.ndarray r, cnp.ndarray out, int threads):
    """Fill out = X'r; return sum(r)."""
    cdef Pass p
    cdef double total
    set_data(&p, X)
    p.r = doubles(r)
    cdef double* sums = new_sums(&p)
    try:
        with nogil:
            run(&p, transpose_pass, 0, p.n, threads, sums)
        memcpy(doubles(out), sums, p.d * sizeof(double))
        total = sums[p.behind + DB]
    finally:
        free(sums)
    return total


def per_example_gradients(X, cnp.ndarray y, cnp.ndarray w, double b,
                          cnp.ndarray dw, cnp.ndarray db, int threads):
    """Fill dw (in the layout of X) and db; return the summed loss and labels outside [0, 1]."""
    cdef Pass p
    cdef double loss, outside
    set_data(&p, X)
    set_model(&p, w, b)
    set_labels(&p, y)
    set_shares(&p, None, 1.0)
    p.out = doubles(dw)
    p.out_b = doubles(db)
    cdef double* sums = new_sums(&p)
    try:
        with nogil:
            run(&p, per_example_pass, 0, p.n, threads, sums)
        loss = sums[p.behind + LOSS]
        outside = sums[p.behind + OUTSIDE]
    finally:
        free(sums)
    return loss, outside


def squared_deviations(X, cnp.ndarray dz, sample_weight, double total,
                       cnp.ndarray center, cnp.ndarray out, int threads):
    """Fill out with the d + 1 sums of (s_i / total · (dz_i · [x_i, 1] - center))^2."""
    cdef Pass p
    set_data(&p, X)
    p.r = doubles(dz)
    p.center = doubles(center)
    p.total = total
    if sample_weight is not None:
        p.sample_weight = doubles(sample_weight)
    cdef double* sums = new_sums(&p)
    try:
        with nogil:
            run(&p, deviation_pass, 0, p.n, threads, sums)
        memcpy(doubles(out), sums, (p.d + 1) * sizeof(double))
    finally:
        free(sums)


def descend(X, cnp.ndarray y, sample_weight, double total, order, Py_ssize_t batch,
            double rate, double l2, double tol, double ceiling, cnp.ndarray w, cnp.ndarray b,
            cnp.ndarray last, cnp.ndarray history, Py_ssize_t done, Py_ssize_t passes, int threads):
    """Go on with gradient descent to `passes` passes, updating w and b (one entry) in place.

    `last` (d + 1 entries) holds where w and b go back to at divergence. Returns the number of
    passes done and the reason to stop, 0 if there is none.
    """
    cdef Pass p
    cdef int stop
    cdef double* weights = doubles(w)
    cdef double* bias = doubles(b)
    cdef double* losses = doubles(history)
    cdef double* good = doubles(last)
    cdef double* start = NULL
    cdef double* sums = NULL
    set_data(&p, X)
    set_model(&p, w, 0.0)
    set_labels(&p, y)
    set_shares(&p, sample_weight, total)
    if order is not None:
        p.order = <const Py_ssize_t*> cnp.PyArray_DATA(order)
    try:
        sums = new_sums(&p)
        start = <double*> malloc((p.d + 1) * sizeof(double))
        if start == NULL:
            raise MemoryError("no memory for a copy of w")
        with nogil:
            stop = descend_passes(&p, batch, total, rate, l2, passes, tol, ceiling, threads,
                                  weights, bias, start, good, sums, losses, &done)
    finally:
        free(start)
        free(sums)
    return done, stop


include "solver_calls.pxi"
include "objective.pxi"
include "bound.pxi"
include "rounds.pxi"
include "parallel_entries.pxi"
include "alike.pxi"
