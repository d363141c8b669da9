# SPDX-License-Identifier: BSD-3-Clause
# What is around the passes of problems.pxi in a round of Newton's method, for all problems in one
# call: on small ones a dozen calls from Python for each would take longer than the passes.
#
# Problems have one column of parameters, D entries with the bias last. Lists have an array for each
# problem; kinks have l1, lower and upper, or None.

cdef enum:
    ROUND_TERMS = 0         # of the objective at the end, beside the loss
    ROUND_SLOPE = 1         # of what is smooth along the step, where it begins
    ROUND_END_SLOPE = 2     # and ends
    ROUND_KINKS = 3         # what the L1 penalty changes by
    ROUND_SHARED = 4        # of the bound from the point before: bound.pxi
    ROUND_GAPS = 5
    ROUND_SAME = 6          # the terms of margins there, as margin_terms has them
    ROUND_SIZE = 7
    ROUND_NUMBERS = 8


cdef struct Penalties:
    const double* quadratic
    const double* l1                # NULL without kinks
    const double* lower
    const double* upper


cdef Penalties penalties_of(quadratic, kinks):
    cdef Penalties p
    memset(&p, 0, sizeof(Penalties))
    p.quadratic = doubles(quadratic)
    if kinks is not None:
        l1, lower, upper = kinks
        p.l1, p.lower, p.upper = doubles(l1), doubles(lower), doubles(upper)
    return p


cdef int model_minimum(double* H, const Penalties* p, const double* theta, const double* g,
                       Py_ssize_t D, int threads, double* r, double* x) except -1 nogil:
    """Fill x with where the model is least. Overwrites H and r, which is room for D numbers."""
    cdef Model q
    cdef Py_ssize_t j
    if p.l1 == NULL:
        factor_in_place(H, D, r, threads)
        memcpy(x, g, D * sizeof(double))
        solve_scaled(H, r, D, x, 1)
        for j in range(D):
            x[j] = theta[j] - x[j]
    else:
        q.N, q.K, q.H, q.l1, q.lower, q.upper = D, 1, H, p.l1, p.lower, p.upper
        q.x, q.r, q.threads = x, r, threads
        minimise_from(&q, theta, g, 0.0)
    return 0


def model_minima(cnp.ndarray grams, quadratics, kinks, thetas, gradients, bint fit_bias,
                 cnp.ndarray out, int threads):
    """Fill out (m, D) with where the models with these Hessians (m, D, D), which are without their
    penalties, are least. FloatingPointError if one has no factor."""
    cdef Py_ssize_t D = cnp.PyArray_DIM(out, 1), k
    cdef Penalties p
    cdef const double* theta
    cdef const double* g
    cdef double* x = doubles(out)
    cdef const double* gram = doubles(grams)
    cdef double* H = <double*> malloc((D * D + D) * sizeof(double))
    if H == NULL:
        raise MemoryError(f"no memory for a Hessian of {D} parameters")
    try:
        for k in range(cnp.PyArray_DIM(out, 0)):
            p = penalties_of(quadratics[k], kinks[k])
            theta, g = doubles(thetas[k]), doubles(gradients[k])
            with nogil:
                memcpy(H, gram + k * D * D, D * D * sizeof(double))
                add_diagonal(H, p.quadratic, D, 1, fit_bias)
                model_minimum(H, &p, theta, g, D, threads, H + D * D, x + k * D)
    finally:
        free(H)


cdef struct Round:
    const double* theta             # where its step led to
    double* gradient
    double* moves                   # X' of the moves of predictions, or NULL: no point before
    const double* theta_before
    const double* gradient_before
    double J                        # there


cdef void end_round(const Round* r, const Penalties* p, const double* center, const double* scale,
                    bint plain, bint fit_bias, Py_ssize_t D, const Reach* limits,
                    double* out) noexcept nogil:
    cdef Py_ssize_t j
    cdef double step
    cdef Slack slack
    cdef const double* chained = NULL
    if not plain:
        chained = center
    slack.shared = slack.sum = 0
    chain_rule(r.gradient, 1, D - 1, chained, scale, fit_bias)
    out[ROUND_TERMS] = add_terms(r.gradient, r.theta, p.quadratic, p.l1, NULL, D, 1)
    if r.moves == NULL:
        return
    chain_rule(r.moves, 1, D - 1, chained, scale, fit_bias)
    out[ROUND_SLOPE] = out[ROUND_END_SLOPE] = out[ROUND_KINKS] = 0
    for j in range(D):
        step = r.theta[j] - r.theta_before[j]
        out[ROUND_SLOPE] += r.gradient_before[j] * step
        out[ROUND_END_SLOPE] += r.gradient[j] * step
        r.moves[j] += r.gradient_before[j]
    if p.l1 == NULL:
        slack.sum = sum_of_gaps(p.quadratic, r.theta_before, r.moves, D, 1, limits)
    else:
        out[ROUND_KINKS] = (weighted_sum(r.theta, p.l1, D, 1)
                            - weighted_sum(r.theta_before, p.l1, D, 1))
        add_gaps(p.quadratic, p.l1, p.lower, p.upper, r.theta_before, r.moves, D, 1, r.J, limits,
                 &slack)
    out[ROUND_SHARED] = slack.shared
    out[ROUND_GAPS] = slack.sum
    size_up(r.theta_before, center, scale, D, 1, out + ROUND_SAME, out + ROUND_SIZE)


def end_problems(cnp.ndarray theta, cnp.ndarray gradient, cnp.ndarray moves, quadratics, kinks,
                 cnp.ndarray center, cnp.ndarray scale, bint plain, bint fit_bias, thetas,
                 gradients, Js, double reach, double weakest, double noise, double far,
                 cnp.ndarray out):
    """Turn the gradients of losses by raw weights at theta (m, D), as evaluate_problems leaves
    them, into those of the objectives, and fill out (m, 8) with numbers of their rounds.

    Thetas, gradients and J at the points before are lists; without them there are the terms alone.
    Moves are overwritten with the residuals of the bounds.
    """
    cdef Py_ssize_t D = cnp.PyArray_DIM(theta, 1), k
    cdef Penalties p
    cdef Round r
    cdef Reach limits = Reach(doubles(center), doubles(scale), reach, weakest, noise, far)
    for k in range(cnp.PyArray_DIM(theta, 0)):
        p = penalties_of(quadratics[k], kinks[k])
        memset(&r, 0, sizeof(Round))
        r.theta, r.gradient = doubles(theta) + k * D, doubles(gradient) + k * D
        if thetas is not None:
            r.moves = doubles(moves) + k * D
            r.theta_before, r.gradient_before = doubles(thetas[k]), doubles(gradients[k])
            r.J = Js[k]
        end_round(&r, &p, doubles(center), doubles(scale), plain, fit_bias, D, &limits,
                  doubles(out) + k * ROUND_NUMBERS)
