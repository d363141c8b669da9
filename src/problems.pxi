# SPDX-License-Identifier: BSD-3-Clause
# Passes for several problems of one X at once: two classes, the same labels and offset, other
# weights of the rows. K counts the problems; margins stand problem after problem, (K, n).
#
# X is read once for all of them, and a block of rows is used for the margins, the gradients and
# what a certificate asks for while it is in the cache.

cdef enum:
    # What a problem has in `sums` behind all gradients and, if there was a point before, moves.
    PROBLEM_LOSS = 0
    PROBLEM_DIVERGENCE = 1
    PROBLEM_SUMS = 2


cdef inline double alike(const Problem* problem) noexcept nogil:
    return problem.total if problem.sample_weight == NULL else 0


cdef void problems_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                        double* sums) noexcept nogil:
    """out = the margins at theta; the averaged losses and their gradients.

    Where there was a point before, its predictions are moved along the step from there as in
    dual_pass, or, where r is given, by r times the margins: also X' of that, share · (a' - a), and
    the divergence.
    """
    cdef double share[MOST_ROWS]
    cdef double u[MOST_ROWS]
    cdef double predicted[MOST_ROWS]
    cdef double bent[MOST_ROWS]
    cdef double* z = sums + sums_width(p)
    cdef double* moves = sums + parameters(p)
    cdef double* behind = sums + p.entries - PROBLEM_SUMS * p.K
    cdef bint proving = p.problems[0].Z != NULL
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m, j, k
    cdef const double* y
    cdef const double* w
    cdef const double* a
    cdef const Problem* problem
    cdef double* zk
    cdef Block block
    while i < end:
        m = min(rows, end - i)
        block = block_at(p, i, m, True, NULL)
        class_margins(p, block, i, m, NULL, z)
        if p.offset != NULL:
            for k in range(p.K):
                move_along(p.offset + i, 1.0, m, z + k * m)
        keep(p, i, m, z, p.out)
        for k in range(p.K):
            problem = p.problems + k
            # u is room for labels that are not float64.
            y = block_labels(p, i, m, u)
            shares(problem.sample_weight, problem.total, NULL, i, m, share)
            behind[k * PROBLEM_SUMS + PROBLEM_LOSS] += link(alike(problem), y, share, m, z + k * m)
        class_gradient(p, block, m, z, sums)
        if proving:
            for k in range(p.K):
                problem = p.problems + k
                zk = p.out + k * p.n + i
                for j in range(m):
                    u[j] = zk[j] - problem.Z[i + j]
                shares(problem.sample_weight, problem.total, NULL, i, m, share)
                if problem.a != NULL:
                    a = problem.a + i
                else:
                    memcpy(predicted, problem.Z + i, m * sizeof(double))
                    sigmoids(predicted, m)
                    a = predicted
                if p.r != NULL:
                    w = p.r + i
                else:
                    curve(a, m, bent)
                    w = bent
                behind[k * PROBLEM_SUMS + PROBLEM_DIVERGENCE] += move_dual(
                    a, w, u, share, m, z + k * m)
            block.reading = AS_IT_COMES     # what is next has been asked for
            class_gradient(p, block, m, z, moves)
        i += m


cdef void bend_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end, double* sums) noexcept nogil:
    """out = the predictions a at each problem's margins, out_b = share · a (1 - a)."""
    cdef double share[MOST_ROWS]
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m, k
    cdef const Problem* problem
    cdef double* a
    while i < end:
        m = min(rows, end - i)
        for k in range(p.K):
            problem = p.problems + k
            a = p.out + k * p.n + i
            memcpy(a, problem.Z + i, m * sizeof(double))
            sigmoids(a, m)
            shares(problem.sample_weight, problem.total, NULL, i, m, share)
            bend(a, share, m, p.out_b + k * p.n + i)
        i += m
