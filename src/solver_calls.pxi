# SPDX-License-Identifier: BSD-3-Clause
# What the objective calls: the passes of classes.pxi, search.pxi and copies.pxi. Margins and
# predictions are (K, n), directions and gradients (K, d + 1) with the bias last, K being 1 for two
# classes.

cdef enum:
    MOST_SOURCES = 64       # that are combined at once


cdef void set_classes(Pass* p, Py_ssize_t K, Py_ssize_t entries) noexcept:
    p.K = K
    p.entries = entries


cdef void set_rows(Pass* p, cnp.ndarray Z) noexcept:
    """Rows without an X: margins, a column of z after the other."""
    memset(p, 0, sizeof(Pass))
    p.K = cnp.PyArray_DIM(Z, 0)
    p.n = cnp.PyArray_DIM(Z, 1)
    p.d = p.row = p.column = 1
    p.entries = 3
    p.Z = doubles(Z)


cdef void set_targets(Pass* p, cnp.ndarray y) noexcept:
    if cnp.PyArray_NDIM(y) == 2 and cnp.PyArray_DIM(y, 0) == 1:
        set_labels(p, y)
    elif cnp.PyArray_NDIM(y) == 2:
        p.Y = doubles(y)
    else:
        p.ids = <const int32_t*> cnp.PyArray_DATA(y)


cdef double* run_all(Pass* p, Work work, int threads) except NULL:
    """Run a pass over all rows and return its sums, which the caller frees. The weights of several
    classes may be turned over for it."""
    cdef double* sums = new_sums(p)
    cdef double* turned = NULL
    try:
        if by_lanes(p) and p.theta != NULL:
            turned = <double*> malloc(parameters(p) * sizeof(double))
            if turned == NULL:
                raise MemoryError(f"no memory for the weights of {p.K} classes")
        with nogil:
            if turned != NULL:
                turn_lanes(p.theta, p.K, p.d + 1, False, threads, turned)
                p.theta = turned
            run(p, work, 0, p.n, threads, sums)
    except BaseException:
        free(sums)
        raise
    finally:
        free(turned)
    return sums


cdef void give_gradient(const Pass* p, const double* sums, cnp.ndarray out, int threads) noexcept:
    cdef double* gradient = doubles(out)
    if by_lanes(p):
        with nogil:
            turn_lanes(sums, p.K, p.d + 1, True, threads, gradient)
    else:
        memcpy(gradient, sums, parameters(p) * sizeof(double))


cdef void sum_gradient(Pass* p, Py_ssize_t K, Py_ssize_t gradients, Py_ssize_t behind) noexcept:
    """The sums are those of gradients of all classes, and what is behind."""
    p.K = K
    p.entries = gradients * parameters(p) + behind


def evaluate(X, cnp.ndarray y, sample_weight, double total, offset,
             cnp.ndarray theta, cnp.ndarray Z, cnp.ndarray gradient, int threads):
    """Fill Z = XW' + b + offset and the gradient of the averaged loss; return that loss."""
    cdef Pass p
    set_data(&p, X)
    sum_gradient(&p, cnp.PyArray_DIM(theta, 0), 1, CLASS_SUMS_BEHIND)
    set_targets(&p, y)
    set_shares(&p, sample_weight, total)
    p.offset = doubles_or_null(offset)
    p.theta = doubles(theta)
    p.out = doubles(Z)
    cdef double* sums = run_all(&p, evaluate_pass, threads)
    give_gradient(&p, sums, gradient, threads)
    cdef double loss = sums[parameters(&p) + CLASS_LOSS]
    free(sums)
    return loss


def evaluate_and_survey(cnp.ndarray X, cnp.ndarray y, sample_weight, double total, offset,
                        cnp.ndarray theta, cnp.ndarray center, cnp.ndarray inverse,
                        cnp.ndarray Z, cnp.ndarray gradient, cnp.ndarray diagonal,
                        cnp.ndarray leverage, int threads):
    """As evaluate; also fill the diagonal of the Hessian for centred columns (K, d + 1) and the
    leverages (K, n) under the diagonal whose inverse is given."""
    cdef Pass p
    set_data(&p, X)
    sum_gradient(&p, cnp.PyArray_DIM(theta, 0), 2, CLASS_SUMS_BEHIND)
    set_targets(&p, y)
    set_shares(&p, sample_weight, total)
    p.offset = doubles_or_null(offset)
    p.theta = doubles(theta)
    p.center = doubles(center)
    p.inverse = doubles(inverse)
    p.out = doubles(Z)
    p.out_b = doubles(leverage)
    cdef double* sums = run_all(&p, evaluate_pass, threads)
    give_gradient(&p, sums, gradient, threads)
    cdef double loss = sums[parameters(&p) + CLASS_LOSS]
    memcpy(doubles(diagonal), sums + parameters(&p) + CLASS_SUMS_BEHIND,
           p.K * (p.d + 1) * sizeof(double))
    free(sums)
    return loss


def class_margins_of(X, cnp.ndarray theta, offset, cnp.ndarray Z, int threads):
    """Fill Z = XW' + b + offset."""
    cdef Pass p
    set_data(&p, X)
    set_classes(&p, cnp.PyArray_DIM(theta, 0), 1)
    p.theta = doubles(theta)
    p.offset = doubles_or_null(offset)
    p.out = doubles(Z)
    free(run_all(&p, class_margins_pass, threads))


def class_transpose_product(X, cnp.ndarray R, cnp.ndarray out, int threads, bint squared=False):
    """Fill out = R [X, 1]; of a sparse X also with the squares of its entries in their place."""
    cdef Pass p
    set_data(&p, X)
    p.sparse.squared = squared
    sum_gradient(&p, cnp.PyArray_DIM(R, 0), 1, 0)
    p.r = doubles(R)
    cdef double* sums = run_all(&p, class_transpose_pass, threads)
    give_gradient(&p, sums, out, threads)
    free(sums)


def hessian_vector(X, cnp.ndarray a, sample_weight, double total, cnp.ndarray v,
                   U, cnp.ndarray out, int threads):
    """Fill out = H v for the averaged loss at predictions a, and U = XV' + v_b if asked for."""
    cdef Pass p
    set_data(&p, X)
    sum_gradient(&p, cnp.PyArray_DIM(v, 0), 1, 0)
    set_shares(&p, sample_weight, total)
    p.theta = doubles(v)
    p.Z = doubles(a)
    p.out = <double*> doubles_or_null(U)
    cdef double* sums = run_all(&p, hessian_vector_pass, threads)
    give_gradient(&p, sums, out, threads)
    free(sums)


def search(cnp.ndarray y, sample_weight, double total, cnp.ndarray Z, cnp.ndarray U, double step,
           int threads):
    """Return the averaged loss at Z + step · U and its first two derivatives by step."""
    cdef Pass p
    set_rows(&p, Z)
    set_targets(&p, y)
    set_shares(&p, sample_weight, total)
    p.U = doubles(U)
    p.step = step
    cdef double* sums = run_all(&p, search_pass, threads)
    result = sums[SEARCH_LOSS], sums[SEARCH_SLOPE], sums[SEARCH_CURVATURE]
    free(sums)
    return result


def piece_margins(cnp.ndarray X, cnp.ndarray theta, cnp.ndarray ends, cnp.ndarray out,
                  int threads):
    """Fill out (groups, K, n) with X_g W_g' + b_g for the columns from ends[g] to ends[g + 1].

    theta (K, d + groups) has each group's weights and then its bias.
    """
    cdef Pass p
    set_data(&p, X)
    set_classes(&p, cnp.PyArray_DIM(theta, 0), 1)
    p.groups = cnp.PyArray_DIM(out, 0)
    p.ends = <const Py_ssize_t*> cnp.PyArray_DATA(ends)
    p.out = doubles(out)
    cdef double* sums = new_sums(&p)
    cdef Py_ssize_t D = p.d + p.groups
    cdef const double* weights = doubles(theta)
    cdef double* turned = <double*> malloc(D * lanes_of(p.K) * sizeof(double))
    try:
        if turned == NULL:
            raise MemoryError(f"no memory for the weights of {p.K} classes")
        with nogil:
            turn_lanes(weights, p.K, D, False, threads, turned)
            p.theta = turned
            run(&p, piece_margins_pass, 0, p.n, threads, sums)
    finally:
        free(turned)
        free(sums)


def along_pieces(cnp.ndarray y, sample_weight, double total, cnp.ndarray Z, cnp.ndarray U,
                 cnp.ndarray c, cnp.ndarray gradient, cnp.ndarray moved, cnp.ndarray R,
                 int threads):
    """Return the averaged loss at Z + the sum of c · U, U (groups, K, n) being margins of pieces.

    Less what all of several classes have in common; fill its gradient by c, those margins, and
    R = share · (a - Y) there.
    """
    cdef Pass p
    set_rows(&p, Z)
    set_targets(&p, y)
    set_shares(&p, sample_weight, total)
    p.groups = cnp.PyArray_DIM(U, 0)
    p.U = doubles(U)
    cdef cnp.ndarray by_class = cnp.PyArray_GETCONTIGUOUS(cnp.PyArray_Transpose(c, NULL))
    p.theta = doubles(by_class)
    p.out_b = doubles(moved)
    p.out = doubles(R)
    p.entries = p.groups * p.K + 1
    cdef double* slopes = doubles(gradient)
    cdef double* sums = new_sums(&p)
    cdef double loss
    cdef Py_ssize_t g, k
    try:
        with nogil:
            run(&p, pieces_pass, 0, p.n, threads, sums)
        for g in range(p.groups):
            for k in range(p.K):
                slopes[g * p.K + k] = sums[k * p.groups + g]
        loss = sums[p.groups * p.K]
    finally:
        free(sums)
    return loss


def dual_step(cnp.ndarray a, sample_weight, double total, cnp.ndarray U, cnp.ndarray change,
              int threads, bent=None):
    """Fill change = share · (a' - a) for a' = a + (diag(b) - b b') u, kept in [0, 1], b being the
    predictions `bent` or a; return a bound on the sum of share · KL(a' || a)."""
    cdef Pass p
    set_rows(&p, a)
    p.bent = doubles_or_null(bent)
    set_shares(&p, sample_weight, total)
    p.U = doubles(U)
    p.out = doubles(change)
    cdef double* sums = run_all(&p, dual_pass, threads)
    cdef double divergence = sums[DUAL_DIVERGENCE]
    free(sums)
    return divergence


def dual_residuals(cnp.ndarray y, sample_weight, double total, cnp.ndarray Z, cnp.ndarray U,
                   cnp.ndarray R, int threads, bent=None):
    """As dual_step from the predictions at the margins Z, but fill R = share · (a' - Y)."""
    cdef Pass p
    set_rows(&p, Z)
    set_targets(&p, y)
    set_shares(&p, sample_weight, total)
    p.U = doubles(U)
    p.bent = doubles_or_null(bent)
    p.out = doubles(R)
    cdef double* sums = run_all(&p, dual_residual_pass, threads)
    cdef double divergence = sums[DUAL_DIVERGENCE]
    free(sums)
    return divergence


def divergence(margins, changes, cnp.ndarray weights, sample_weight, double total,
               cnp.ndarray moves, int threads):
    """Return a bound on the sum of share · KL(a' || a), and how many a' left [0, 1], for the
    predictions a at the first of some margins and a' = a + a combination of the predictions at all
    of them, and of changes, with these weights. Fill moves (K) with the sums of share · (a' - a).
    """
    cdef Pass p
    cdef const double* source[MOST_SOURCES]
    cdef Py_ssize_t q
    set_rows(&p, margins[0])
    set_shares(&p, sample_weight, total)
    p.predicted = len(margins)
    p.sources = len(weights)
    if p.sources > MOST_SOURCES:
        raise ValueError(f"{p.sources} changes are more than are combined at once")
    for q in range(p.sources):
        source[q] = doubles(margins[q] if q < p.predicted else changes[q - p.predicted])
    p.source = source
    p.weights = doubles(weights)
    p.entries = DUAL_MOVES + p.K
    cdef double* sums = run_all(&p, divergence_pass, threads)
    result = sums[DUAL_DIVERGENCE], sums[DUAL_OUTSIDE]
    memcpy(doubles(moves), sums + DUAL_MOVES, p.K * sizeof(double))
    free(sums)
    return result


def turned(cnp.ndarray a, sample_weight, double total, cnp.ndarray U, cnp.ndarray out,
           int threads):
    """Fill out = share · (diag(a) - a a') u for predictions a and margins U, linear in these."""
    cdef Pass p
    set_rows(&p, a)
    set_shares(&p, sample_weight, total)
    p.U = doubles(U)
    p.out = doubles(out)
    free(run_all(&p, turn_pass, threads))


def predictions(cnp.ndarray Z, cnp.ndarray a, int threads):
    """Fill a with the probabilities at margins Z."""
    cdef Pass p
    set_rows(&p, Z)
    p.out = doubles(a)
    free(run_all(&p, predict_pass, threads))


def residuals(cnp.ndarray y, sample_weight, double total, cnp.ndarray Z, cnp.ndarray R,
              int threads):
    """Fill R = share · (a - Y) at margins Z; return the averaged loss."""
    cdef Pass p
    set_rows(&p, Z)
    set_targets(&p, y)
    set_shares(&p, sample_weight, total)
    p.out = doubles(R)
    cdef double* sums = run_all(&p, residual_pass, threads)
    cdef double loss = sums[SEARCH_LOSS]
    free(sums)
    return loss


def residuals_along(cnp.ndarray y, sample_weight, double total, cnp.ndarray Z, cnp.ndarray U,
                    double step, cnp.ndarray out, cnp.ndarray R, int threads):
    """Fill out = Z + step · U and R = share · (a - Y) there; return the averaged loss."""
    cdef Pass p
    set_rows(&p, Z)
    set_targets(&p, y)
    set_shares(&p, sample_weight, total)
    p.U = doubles(U)
    p.step = step
    p.out_b = doubles(out)
    p.out = doubles(R)
    cdef double* sums = run_all(&p, residual_pass, threads)
    cdef double loss = sums[SEARCH_LOSS]
    free(sums)
    return loss


def curvatures(cnp.ndarray a, sample_weight, double total, cnp.ndarray out, int threads):
    """Fill out (K (K - 1) / 2, n), or (1, n) for one class, with the weights of the Grams that make
    the Hessian."""
    cdef Pass p
    set_rows(&p, a)
    set_shares(&p, sample_weight, total)
    p.out = doubles(out)
    free(run_all(&p, curvature_pass, threads))


cdef Problem* new_problems(weights, totals, before, a) except NULL:
    """What problems differ in, which the caller frees: weights and margins are lists, or None."""
    cdef Py_ssize_t count = len(totals), k
    cdef cnp.ndarray rows
    cdef Problem* problems = <Problem*> calloc(count, sizeof(Problem))
    if problems == NULL:
        raise MemoryError(f"no memory for {count} problems")
    for k in range(count):
        problems[k].sample_weight = doubles_or_null(weights[k])
        problems[k].total = totals[k]
        if before is not None:
            problems[k].Z = doubles(before[k])
        if a is not None:
            rows = a
            problems[k].a = doubles(rows) + k * cnp.PyArray_DIM(rows, 1)
    return problems


def evaluate_problems(X, cnp.ndarray y, weights, totals, offset, cnp.ndarray theta,
                      before, a, curvature, cnp.ndarray Z, cnp.ndarray gradient,
                      cnp.ndarray moves, cnp.ndarray told, int threads):
    """Do for each problem what `evaluate` does, and what `dual_step` does along the step from the
    margins `before`, unless these are None, where predictions are a, or None if not known yet.

    Predictions are moved by what the step adds to margins times a (1 - a), or times `curvature`
    (n) if that is not None. weights and totals are lists; gradient and moves, which are X' of what
    dual_step fills, (K, d + 1). told (K, 2) has the loss and the divergence.
    """
    cdef Pass p
    cdef Py_ssize_t count = cnp.PyArray_DIM(theta, 0)
    set_data(&p, X)
    cdef Problem* problems = new_problems(weights, totals, before, a)
    cdef double* sums
    try:
        p.problems = problems
        sum_gradient(&p, count, 1 if before is None else 2, PROBLEM_SUMS * count)
        set_targets(&p, y)
        p.offset = doubles_or_null(offset)
        p.theta = doubles(theta)
        p.r = doubles_or_null(curvature)
        p.out = doubles(Z)
        sums = run_all(&p, problems_pass, threads)
    finally:
        free(problems)
    give_gradient(&p, sums, gradient, threads)
    if before is not None:
        give_gradient(&p, sums + parameters(&p), moves, threads)
    memcpy(doubles(told), sums + p.entries - PROBLEM_SUMS * count,
           PROBLEM_SUMS * count * sizeof(double))
    free(sums)


def bend_problems(weights, totals, margins, cnp.ndarray a, cnp.ndarray h, int threads):
    """Fill a (K, n) with the predictions at each problem's margins, and h with what `curvatures`
    does."""
    cdef Pass p
    set_rows(&p, a)
    cdef Problem* problems = new_problems(weights, totals, margins, None)
    try:
        p.problems = problems
        p.out = doubles(a)
        p.out_b = doubles(h)
        free(run_all(&p, bend_pass, threads))
    finally:
        free(problems)


def score_margins(cnp.ndarray Z, cnp.ndarray ids, cnp.ndarray rows, weight, double most):
    """Return the sums over some rows of the weights of those whose class is predicted, of weight
    times loss, of which none counts as more than `most`, and of the weights."""
    cdef double z[MOST_ROWS]
    cdef double top[MOST_ROWS]
    cdef double total[MOST_ROWS]
    cdef double s, loss, hits = 0, losses = 0, weights = 0
    cdef const double* margins = doubles(Z)
    cdef const double* zk
    cdef const int32_t* classes = <const int32_t*> cnp.PyArray_DATA(ids)
    cdef const Py_ssize_t* row = <const Py_ssize_t*> cnp.PyArray_DATA(rows)
    cdef const double* w = doubles_or_null(weight)
    cdef Py_ssize_t K = cnp.PyArray_DIM(Z, 0), n = cnp.PyArray_DIM(Z, 1), begin = 0, m, i, k
    cdef Py_ssize_t count = cnp.PyArray_SIZE(rows), first
    with nogil:
        while begin < count:
            m = min(count - begin, <Py_ssize_t> MOST_ROWS)
            # For two classes these are the margins' distance from 0, and on which side.
            for i in range(m):
                top[i] = margins[row[i]] if K > 1 else fabs(margins[row[i]])
            for k in range(1, K):
                zk = margins + k * n
                for i in range(m):
                    top[i] = zk[row[i]] if zk[row[i]] > top[i] else top[i]
            if K == 1:
                exponentials(top, m, total)
            else:
                memset(total, 0, m * sizeof(double))
            for k in range(K if K > 1 else 0):
                zk = margins + k * n
                for i in range(m):
                    z[i] = zk[row[i]]
                exp_below(z, top, m, total)
            for i in range(m):
                k = classes[row[i]]
                s = 1.0 if w == NULL else w[begin + i]
                if K == 1:
                    first = margins[row[i]] > 0
                    loss = log1p_unit(total[i]) + (top[i] if first != k else 0.0)
                else:
                    loss = log_from_one(total[i]) + (top[i] - margins[k * n + row[i]])
                    first = 0
                    while margins[first * n + row[i]] < top[i]:
                        first += 1
                hits += s if first == k else 0.0
                losses += s * min(loss, most)
                weights += s
            row += m
            begin += m
    return hits, losses, weights


def take(cnp.ndarray X, cnp.ndarray rows, cnp.ndarray center, cnp.ndarray scale, cnp.ndarray out,
         int threads):
    """Fill out with the given rows of X, centred and scaled, as float64 in C order."""
    cdef Pass p
    set_data(&p, X)
    p.order = <const Py_ssize_t*> cnp.PyArray_DATA(rows)
    p.center = doubles(center)
    p.scale = doubles(scale)
    p.out = doubles(out)
    p.n = cnp.PyArray_SIZE(rows)
    free(run_all(&p, take_pass, threads))


def rounded(cnp.ndarray X, cnp.ndarray center, cnp.ndarray scale, cnp.ndarray out, int threads):
    """Fill out with X, of float64, centred and scaled, as float32 in C order."""
    cdef Pass p
    set_data(&p, X)
    p.center = doubles(center)
    p.scale = doubles(scale)
    p.out = <double*> cnp.PyArray_DATA(out)
    free(run_all(&p, round_pass, threads))


def draw(cnp.ndarray size, double k, double first, cnp.ndarray rows, cnp.ndarray weight):
    """Draw row i with probability min(1, k size_i): where the sum of these passes first, which is
    below 1, first + 1, and so on. Fill rows, as far as there is room, and weight with
    1 / probability; return how many."""
    cdef const double* s = doubles(size)
    cdef Py_ssize_t* out = <Py_ssize_t*> cnp.PyArray_DATA(rows)
    cdef double* w = doubles(weight)
    cdef Py_ssize_t i, count = 0, room = cnp.PyArray_SIZE(rows)
    cdef double sum = 0, probability
    with nogil:
        for i in range(cnp.PyArray_SIZE(size)):
            probability = min(1.0, k * s[i])
            sum += probability
            if sum >= first + count and count < room:
                out[count] = i
                w[count] = 1.0 / probability
                count += 1
    return count


def column_ranges(cnp.ndarray X, cnp.ndarray groups, cnp.ndarray out, int threads):
    """Fill out (groups, 4, d): the largest entry of each column in each group of rows and its row,
    then the same of the negated entries; -inf and -1 in a group without rows. Rows whose group is
    negative are left out."""
    cdef Pass p
    set_data(&p, X)
    set_classes(&p, 1, cnp.PyArray_SIZE(out))
    p.ranges = True
    p.ids = <const int32_t*> cnp.PyArray_DATA(groups)
    cdef double* sums = run_all(&p, range_pass, threads)
    memcpy(doubles(out), sums, p.entries * sizeof(double))
    free(sums)
