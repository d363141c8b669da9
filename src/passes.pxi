# SPDX-License-Identifier: BSD-3-Clause
# What one pass does to the rows [begin, end): a function per pass, all of one signature.
# No threads, no Python objects; what a pass adds up goes into `sums`.

cdef enum LabelKind:
    LABELS_FLOAT64
    LABELS_FLOAT32
    LABELS_INT64
    LABELS_INT32
    LABELS_INT8
    LABELS_UINT8

cdef enum:
    # What stands in `sums` behind the d entries of dw, if there are any: at `behind`.
    DB = 0
    LOSS = 1
    OUTSIDE = 2         # labels outside [0, 1]
    SUMS_BEHIND = 3


cdef struct Problem:
    # Of several of one X: problems.pxi
    const double* sample_weight     # NULL: every example counts 1
    double total
    const double* Z                 # its margins at the point before, or NULL
    const double* a                 # its predictions there, or NULL: not known yet


cdef struct Pass:
    # IN: X with n rows and d columns, entries `row` and `column` apart
    const void* X
    bint is_float
    Py_ssize_t n, d, row, column
    Sparse sparse                   # where its entries are if X is sparse; then X is NULL
    PyObject* owner                 # what to complain to about them
    bint* malformed                 # OUT: whether there is reason to, at is_malformed
    bint is_malformed
    const double* w
    double b
    const void* y
    LabelKind label_kind
    const double* sample_weight     # NULL: every example counts 1
    double total                    # what an example's weight is divided by: its share of a sum
    const Py_ssize_t* order         # NULL: rows as they stand, else row k is order[k]
    const double* r                 # per row, or per entry of a flat array
    const double* center            # d + 1 entries: dw and db
    # OUT: per row
    double* out
    double* out_b
    # The passes of classes.pxi, search.pxi: K columns of z, class after class
    Py_ssize_t K                    # 1 for two classes; 0 in the passes of this file
    const double* theta             # IN (K, d + 1): a class's weights, then its bias; or lanes
    const double* offset            # IN (K, n) or NULL: added to z
    const double* Y                 # IN (K, n) or NULL: what a should be, for more than two classes
    const int32_t* ids              # IN (n) or NULL: the class of each row; of two, y has it
    const double* Z                 # IN (K, n): z at a point
    const double* U                 # IN (K, n): what a direction adds to z; or (groups, K, n)
    const double* bent              # IN (K, n) or NULL: the predictions whose curvatures U is for
    double step                     # how much of U
    const double** source           # IN (K, n) each: margins, whose predictions are combined, and
    const double* weights           # behind them what is combined as it is, with a weight each
    Py_ssize_t predicted, sources   # how many of the former, and in all
    const double* scale             # IN (d): what a centred column is multiplied by
    const double* inverse           # IN (K, d + 1) or NULL: what leverage divides squares by
    const Problem* problems         # K of them (problems.pxi), or NULL
    const Py_ssize_t* ends          # IN (groups + 1): where groups of columns end (pieces.pxi)
    Py_ssize_t groups
    Py_ssize_t entries              # of the sums
    Py_ssize_t behind               # where those behind dw are
    bint ranges                     # the sums are ranges.pxi's, which are not added


cdef struct Block:
    const void* x
    bint is_float
    Py_ssize_t row, column
    Reading reading
    Py_ssize_t begin        # of a sparse X: the first row, or -1 where it cannot be read
    bint twice              # whether it is read for z before it is read for g


ctypedef void (*Work)(const Pass* p, Py_ssize_t begin, Py_ssize_t end, double* sums) noexcept nogil

ctypedef fused label:
    double
    float
    int64_t
    int32_t
    int8_t
    uint8_t


cdef inline Py_ssize_t itemsize(const Pass* p) noexcept nogil:
    return sizeof(float) if p.is_float else sizeof(double)


cdef inline bint is_sparse(const Pass* p) noexcept nogil:
    return p.sparse.starts != NULL


cdef inline bint by_lanes(const Pass* p) noexcept nogil:
    """Whether weights and sums stand in lanes: sparse_classes.pxi, dense_classes.pxi."""
    if is_sparse(p):
        return p.K > 1
    # Half the lanes of two classes would be empty.
    return p.X != NULL and p.K > 2 and p.K * p.d >= LEAST_LANE_PRODUCTS


cdef inline Py_ssize_t rows_at_once(const Pass* p) noexcept nogil:
    if is_sparse(p):
        return sparse_block_rows(&p.sparse, p.n, p.K)
    if p.order != NULL:
        return block_rows(p.n, p.d, sizeof(double), False)
    if by_lanes(p) or p.problems != NULL:
        return class_block_rows(p.d, p.K, itemsize(p), p.column != 1)
    return block_rows(p.n, p.d, itemsize(p), p.column != 1)


cdef inline void gather(const real* X, const Pass* p, Py_ssize_t begin, Py_ssize_t m,
                        double* out) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef const real* x
    for i in range(m):
        x = X + p.order[begin + i] * p.row
        for j in range(p.d):
            out[i * p.d + j] = x[j * p.column]


cdef inline Block block_at(const Pass* p, Py_ssize_t begin, Py_ssize_t m, bint twice,
                           double* scratch) noexcept nogil:
    """Point to m rows of X; rows in another order are copied together first, a block at a time."""
    cdef Block block
    block.reading = AS_IT_COMES
    block.twice = twice
    if is_sparse(p):
        block.begin = begin
        if not is_sound(&p.sparse, p.order, begin, m, p.d):
            block.begin = -1
            p.malformed[0] = True
    elif p.order != NULL:
        if p.is_float:
            gather[float](<const float*> p.X, p, begin, m, scratch)
        else:
            gather[double](<const double*> p.X, p, begin, m, scratch)
        block.x = scratch
        block.is_float = False
        block.row = p.d
        block.column = 1
    else:
        block.x = <const char*> p.X + begin * p.row * itemsize(p)
        block.is_float = p.is_float
        block.row = p.row
        block.column = p.column
        if p.n * p.d * itemsize(p) >= FROM_MEMORY:
            block.reading = reading_from_memory(p, twice)
    return block


cdef inline Reading reading_from_memory(const Pass* p, bint twice) noexcept nogil:
    cdef Py_ssize_t size = p.d * itemsize(p)
    if p.column != 1:
        return BY_COLUMNS if p.K <= 1 else AS_IT_COMES
    if by_lanes(p):
        return AHEAD
    if p.K >= MANY_CLASSES:
        return IN_PARTS
    if size <= (SHORT_ROW if twice else LONG_ROW):
        return IN_ORDER
    # Two classes would both ask.
    return AHEAD if twice and p.K <= 1 else AS_IT_COMES


cdef inline void ask_for_part(const Pass* p, Block block, Py_ssize_t m,
                              Py_ssize_t k) noexcept nogil:
    """Ask for the part of the next m rows that is class k's to ask for."""
    cdef Py_ssize_t size = m * p.row * itemsize(p)
    prefetch_bytes(<const char*> block.x + size + size * k // p.K, size // p.K)


cdef inline void block_margins(const Pass* p, Block block, Py_ssize_t m, const double* w, double b,
                               double* z) noexcept nogil:
    if is_sparse(p):
        if block.begin >= 0:
            sparse_margins(&p.sparse, p.order, block.begin, m, w, b, z)
        else:
            memset(z, 0, m * sizeof(double))
    elif block.is_float:
        margins[float](<const float*> block.x, block.row, block.column, m,
                       p.d, block.reading, w, b, z)
    else:
        margins[double](<const double*> block.x, block.row, block.column, m,
                        p.d, block.reading, w, b, z)


cdef inline void block_gradient(const Pass* p, Block block, Py_ssize_t m, const double* r,
                                double* g) noexcept nogil:
    cdef Py_ssize_t size = p.d * itemsize(p)
    if block.reading == IN_ORDER and (block.twice or not SHORTEST_SUM <= size <= LONGEST_SUM):
        block.reading = AS_IT_COMES
    if is_sparse(p):
        if block.begin >= 0:
            sparse_gradient(&p.sparse, p.order, block.begin, m, p.d, r, g)
    elif block.is_float:
        add_gradient[float](<const float*> block.x, block.row, block.column, m,
                            p.d, block.reading, r, g)
    else:
        add_gradient[double](<const double*> block.x, block.row, block.column, m,
                             p.d, block.reading, r, g)


cdef inline void widen(const label* y, const Pass* p, Py_ssize_t begin, Py_ssize_t m,
                       alone out) noexcept nogil:
    cdef Py_ssize_t i
    if p.order != NULL:
        for i in range(m):
            out[i] = <double> y[p.order[begin + i]]
    else:
        for i in range(m):
            out[i] = <double> y[begin + i]


cdef inline const double* block_labels(const Pass* p, Py_ssize_t begin, Py_ssize_t m,
                                       double* out) noexcept nogil:
    """Point to m labels as float64, where they are or copied to `out`."""
    if p.label_kind == LABELS_FLOAT64:
        if p.order == NULL:
            return <const double*> p.y + begin
        widen[double](<const double*> p.y, p, begin, m, out)
    elif p.label_kind == LABELS_FLOAT32:
        widen[float](<const float*> p.y, p, begin, m, out)
    elif p.label_kind == LABELS_INT64:
        widen[int64_t](<const int64_t*> p.y, p, begin, m, out)
    elif p.label_kind == LABELS_INT32:
        widen[int32_t](<const int32_t*> p.y, p, begin, m, out)
    elif p.label_kind == LABELS_INT8:
        widen[int8_t](<const int8_t*> p.y, p, begin, m, out)
    else:
        widen[uint8_t](<const uint8_t*> p.y, p, begin, m, out)
    return out


cdef inline double outside(const double* y, Py_ssize_t m) noexcept nogil:
    """Count labels outside [0, 1] (a NaN shows in the loss)."""
    cdef double count = 0
    cdef Py_ssize_t i
    for i in range(m):
        count += <double> (fabs(y[i] - 0.5) > 0.5)
    return count


cdef inline void shares(const double* sample_weight, double total, const Py_ssize_t* order,
                        Py_ssize_t begin, Py_ssize_t m, alone share) noexcept nogil:
    """An example's share of the average, s_i / total. Applied before anything is added up, so
    that an average which can be represented never overflows on the way."""
    cdef double equal = 1.0 / total
    cdef Py_ssize_t i
    if sample_weight == NULL:
        for i in range(m):
            share[i] = equal
    elif order != NULL:
        for i in range(m):
            share[i] = sample_weight[order[begin + i]] / total
    else:
        for i in range(m):
            share[i] = sample_weight[begin + i] / total


cdef inline void block_shares(const Pass* p, Py_ssize_t begin, Py_ssize_t m,
                              alone share) noexcept nogil:
    shares(p.sample_weight, p.total, p.order, begin, m, share)


cdef inline double all_alike(const Pass* p) noexcept nogil:
    """What `link` is told of shares: the total if every example counts 1, else 0."""
    return p.total if p.sample_weight == NULL else 0


cdef inline void multiply(alone p, const double* q, Py_ssize_t m) noexcept nogil:
    """Replace p by (1 + p)(1 + q) - 1."""
    cdef Py_ssize_t i
    for i in range(m):
        p[i] += (1.0 + p[i]) * q[i]


cdef inline double sum_of_log1p(double* e, Py_ssize_t m) noexcept nogil:
    """The sum of log(1 + e) for at most MOST_ROWS e from [0, 1], which are overwritten.

    That is the logarithm of a product, multiplied here down to four factors: less work than a
    logarithm each. A product less 1 keeps the digits of small e.
    """
    cdef double s = 0
    cdef Py_ssize_t i
    while m > 4:
        multiply(e, e + (m + 1) // 2, m // 2)
        m = (m + 1) // 2
    for i in range(m):
        s += log1p_any(e[i])
    return s


cdef inline void exponentials(const double* z, Py_ssize_t m, alone e) noexcept nogil:
    """e = exp(-|z|), which all that is asked of a sigmoid is made of."""
    cdef Py_ssize_t i
    for i in range(m):
        e[i] = exp_nonpositive(-fabs(z[i]))


cdef inline double link(double total, const double* y, const double* share, Py_ssize_t m,
                        alone z) noexcept nogil:
    """Replace z by share · dz and return the sum of share · L. All shares are 1 / total, unless
    that is 0."""
    cdef double e[MOST_ROWS]
    # Short loops: a processor has more rows of one in work at a time than of all in one.
    exponentials(z, m, e)
    return link_of(total, y, share, m, e, z)


cdef inline double link_of(double total, const double* y, const double* share, Py_ssize_t m,
                           alone e, alone z) noexcept nogil:
    """As link, given e = exp(-|z|), which is overwritten.

    The model gives the label that the sign of z speaks against the
    probability q = e / (1 + e), and y gives it c = y or 1 - y. Then
    L = c |z| + log(1 + e) and dz = a - y = ±(c - q): nothing overflows or cancels.
    """
    cdef double loss = 0, c, positive
    cdef Py_ssize_t i
    for i in range(m):
        positive = <double> (z[i] >= 0)
        c = fabs(positive - y[i])
        loss += share[i] * (c * fabs(z[i]))
        z[i] = (2.0 * positive - 1.0) * share[i] * (c - e[i] / (1.0 + e[i]))
    if total > 0:
        return loss + sum_of_log1p(e, m) / total
    for i in range(m):
        loss += share[i] * log1p_unit(e[i])
    return loss


cdef inline double not_finite(double v) noexcept nogil:
    # A comparison, because v - v or 0 v would be simplified away.
    return <double> (not (fabs(v) <= DBL_MAX))


cdef inline double sigmoid_one(double z) noexcept nogil:
    cdef double e = exp_nonpositive(-fabs(z))
    cdef double q = e / (1.0 + e)
    return q if z < 0 else 1.0 - q


cdef void sigmoid_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                       double* sums) noexcept nogil:
    """out = sigmoid(r), entry by entry."""
    cdef Py_ssize_t i
    for i in range(begin, end):
        p.out[i] = sigmoid_one(p.r[i])


cdef void forward_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                       double* sums) noexcept nogil:
    """out = sigmoid(Xw + b). Reads X once; the LOSS sum counts the z that are not finite."""
    cdef double z[MOST_ROWS]
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m, k
    cdef double check
    while i < end:
        m = min(rows, end - i)
        block_margins(p, block_at(p, i, m, False, NULL), m, p.w, p.b, z)
        check = 0
        for k in range(m):
            check += not_finite(z[k])
            p.out[i + k] = sigmoid_one(z[k])
        sums[p.behind + LOSS] += check
        i += m


cdef void loss_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                    double* sums) noexcept nogil:
    """The averaged loss. Reads X once."""
    cdef double z[MOST_ROWS]
    cdef double copy[MOST_ROWS]
    cdef const double* y
    cdef double share[MOST_ROWS]
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    while i < end:
        m = min(rows, end - i)
        block_margins(p, block_at(p, i, m, False, NULL), m, p.w, p.b, z)
        y = block_labels(p, i, m, copy)
        sums[p.behind + OUTSIDE] += outside(y, m)
        block_shares(p, i, m, share)
        sums[p.behind + LOSS] += link(all_alike(p), y, share, m, z)
        i += m


cdef void gradient_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                        double* sums) noexcept nogil:
    """The averaged loss, dw and db. Reads X once."""
    cdef double z[MOST_ROWS]
    cdef double copy[MOST_ROWS]
    cdef const double* y
    cdef double share[MOST_ROWS]
    cdef double* scratch = sums + sums_width(p)
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    cdef Block block
    while i < end:
        m = min(rows, end - i)
        block = block_at(p, i, m, True, scratch)
        block_margins(p, block, m, p.w, p.b, z)
        y = block_labels(p, i, m, copy)
        sums[p.behind + OUTSIDE] += outside(y, m)
        block_shares(p, i, m, share)
        sums[p.behind + LOSS] += link(all_alike(p), y, share, m, z)
        block_gradient(p, block, m, z, sums)
        i += m


cdef void transpose_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                         double* sums) noexcept nogil:
    """dw = X'r and db = sum(r). Reads X once."""
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    while i < end:
        m = min(rows, end - i)
        block_gradient(p, block_at(p, i, m, False, NULL), m, p.r + i, sums)
        i += m


cdef inline void scale_rows(const real* x, const Pass* p, Py_ssize_t begin, Py_ssize_t m,
                            const double* r) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double* out = p.out + begin * p.row
    if p.column == 1:
        for i in range(m):
            for j in range(p.d):
                out[i * p.row + j] = r[i] * x[i * p.row + j]
    else:
        for j in range(p.d):
            for i in range(m):
                out[j * p.column + i] = r[i] * x[j * p.column + i]


cdef void per_example_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                           double* sums) noexcept nogil:
    """out[i] = share_i · dz_i · x_i, in the layout of X, and out_b[i] = share_i · dz_i.

    Reads X once and writes as many entries.
    """
    cdef double copy[MOST_ROWS]
    cdef const double* y
    cdef double share[MOST_ROWS]
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    cdef double* z
    cdef Block block
    while i < end:
        m = min(rows, end - i)
        z = p.out_b + i
        block = block_at(p, i, m, False, NULL)
        block_margins(p, block, m, p.w, p.b, z)
        y = block_labels(p, i, m, copy)
        sums[p.behind + OUTSIDE] += outside(y, m)
        block_shares(p, i, m, share)
        sums[p.behind + LOSS] += link(all_alike(p), y, share, m, z)
        if block.is_float:
            scale_rows[float](<const float*> block.x, p, i, m, z)
        else:
            scale_rows[double](<const double*> block.x, p, i, m, z)
        i += m


cdef inline void add_squares(const real* x, const Pass* p, Py_ssize_t m, const double* r,
                             const double* share, double* sums) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef double s, c
    if p.column == 1:
        for i in range(m):
            for j in range(p.d):
                sums[j] += (share[i] * (r[i] * x[i * p.row + j] - p.center[j])) ** 2
    else:
        for j in range(p.d):
            s = 0
            c = p.center[j]
            for i in range(m):
                s += (share[i] * (r[i] * x[j * p.column + i] - c)) ** 2
            sums[j] += s
    for i in range(m):
        sums[p.behind + DB] += (share[i] * (r[i] - p.center[p.d])) ** 2


cdef void deviation_pass(const Pass* p, Py_ssize_t begin, Py_ssize_t end,
                         double* sums) noexcept nogil:
    """Sums of (share_i · (r_i x_ij - center_j))^2, r being dz as per_example_pass leaves it in
    out_b for shares of 1. The second of two passes: sums of squares alone would cancel."""
    cdef double share[MOST_ROWS]
    cdef Py_ssize_t rows = rows_at_once(p), i = begin, m
    cdef Block block
    while i < end:
        m = min(rows, end - i)
        block = block_at(p, i, m, False, NULL)
        block_shares(p, i, m, share)
        if block.is_float:
            add_squares[float](<const float*> block.x, p, m, p.r + i, share, sums)
        else:
            add_squares[double](<const double*> block.x, p, m, p.r + i, share, sums)
        i += m
