# SPDX-License-Identifier: BSD-3-Clause
# Gradient descent: the textbook's loop over batches, w <- w - rate · dw, b <- b - rate · db.

cdef enum Stop:
    STOP_NOT = 0
    STOP_TOLERANCE = 1
    STOP_DIVERGED = 2

cdef enum:
    PATIENCE_BYTES = 33554432   # of work between two looks for Ctrl-C


cdef inline bint all_finite(const double* v, Py_ssize_t m) noexcept nogil:
    cdef double count = 0
    cdef Py_ssize_t j
    for j in range(m):
        count += not_finite(v[j])
    return count == 0


cdef inline double step_down(const double* dw, double rate, double l2, Py_ssize_t d,
                             alone w) noexcept nogil:
    """w -= rate · (dw + l2 w); return l2 |w|^2 before that."""
    cdef Py_ssize_t j
    cdef double penalty = 0
    for j in range(d):
        penalty += (l2 * w[j]) * w[j]
        w[j] -= rate * (dw[j] + l2 * w[j])
    return penalty


cdef double one_epoch(Pass* p, Py_ssize_t batch, double total, double rate, double l2, int threads,
                      double* w, double* b, double* sums, Py_ssize_t* patience) except? -1.0 nogil:
    """Go over all batches once, updating w and b, and return the averaged objective.

    Each batch's loss is the one its forward pass finds, before its update. In a batch an
    example's share is (s_i / mean of all s) / size of the batch, so that the batches' gradients
    average to the whole set's.
    """
    cdef double loss = 0, fraction, penalty
    cdef Py_ssize_t begin = 0, end
    while begin < p.n:
        end = min(begin + batch, p.n)
        fraction = <double> (end - begin) / <double> p.n
        p.b = b[0]
        p.total = total * fraction
        run(p, gradient_pass, begin, end, threads, sums)
        penalty = step_down(sums, rate, l2, p.d, w)
        b[0] -= rate * sums[p.behind + DB]
        loss += fraction * (sums[p.behind + LOSS] + 0.5 * penalty)
        patience[0] -= (end - begin) * work_of_row(p)
        if patience[0] < 0:
            patience[0] = PATIENCE_BYTES
            with gil:
                PyErr_CheckSignals()
        begin = end
    return loss


cdef int descend_passes(Pass* p, Py_ssize_t batch, double total, double rate, double l2,
                        Py_ssize_t passes, double tol, double ceiling, int threads, double* w,
                        double* b, double* start, double* last, double* sums, double* history,
                        Py_ssize_t* done) except -1 nogil:
    """Continue from pass done[0] to pass `passes`, or until a reason to stop.

    `history` takes a loss a pass. A loss above the ceiling or a number that is not finite is
    divergence. Then w and b go back to where the last pass began whose loss was below: that is
    what `last` holds, from one call to the next, beside `start` for the pass under way.
    """
    cdef Py_ssize_t patience = PATIENCE_BYTES
    cdef double loss
    while done[0] < passes:
        memcpy(start, w, p.d * sizeof(double))
        start[p.d] = b[0]
        loss = one_epoch(p, batch, total, rate, l2, threads, w, b, sums, &patience)
        history[done[0]] = loss
        if loss <= ceiling:
            memcpy(last, start, (p.d + 1) * sizeof(double))
        if not (loss <= ceiling and all_finite(w, p.d) and all_finite(b, 1)):
            memcpy(w, last, p.d * sizeof(double))
            b[0] = last[p.d]
            return STOP_DIVERGED
        done[0] += 1
        if done[0] > 1 and fabs(history[done[0] - 2] - loss) <= tol:
            return STOP_TOLERANCE
    return STOP_NOT
