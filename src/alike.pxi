# SPDX-License-Identifier: BSD-3-Clause
# Rows of a sparse X that are the same: a table of those met so far, looked up by a hash of the
# entries and compared with them. No threads.

cdef enum:
    ROOM = 2            # places in the table for each row that it is to hold, at least
    NO_GROUP = -1


cdef inline uint64_t hash_words(const void* words, Py_ssize_t count, uint64_t h) noexcept nogil:
    """Mix in numbers of four bytes; the upper bits are the good ones."""
    cdef Py_ssize_t k
    for k in range(count):
        h = (h ^ (<const uint32_t*> words)[k]) * <uint64_t> 0x9E3779B97F4A7C15
    return h


cdef struct Line:
    # The entries of one row, as bytes: those that are equal have equal bytes, but for -0 and 0,
    # which make two rows of one.
    const char* columns
    const char* values          # NULL: all are 1
    Py_ssize_t columns_size, values_size


cdef inline Line line_of(const Sparse* x, Py_ssize_t row) noexcept nogil:
    cdef Line line
    cdef Py_ssize_t first = start_of(x, row), m = start_of(x, row + 1) - first
    cdef Py_ssize_t wide = sizeof(int64_t) if x.wide_columns else sizeof(int32_t)
    cdef Py_ssize_t value = sizeof(float) if x.is_float else sizeof(double)
    line.columns = <const char*> x.columns + first * wide
    line.columns_size = m * wide
    line.values = NULL
    line.values_size = 0
    if x.values != NULL:
        line.values = <const char*> x.values + first * value
        line.values_size = m * value
    return line


cdef inline bint same_line(Line a, Line b) noexcept nogil:
    return (a.columns_size == b.columns_size
            and memcmp(a.columns, b.columns, a.columns_size) == 0
            and (a.values == NULL or memcmp(a.values, b.values, a.values_size) == 0))


cdef Py_ssize_t find_groups(const Sparse* x, Py_ssize_t n, Py_ssize_t most, int bits,
                            Py_ssize_t* table, Py_ssize_t* group,
                            Py_ssize_t* first) noexcept nogil:
    """As group_rows, with a table of 2^bits places of NO_GROUP."""
    cdef Py_ssize_t count = 0, place, i
    cdef uint64_t h
    cdef Line line
    for i in range(n):
        line = line_of(x, i)
        h = hash_words(line.columns, line.columns_size // 4, line.columns_size)
        if line.values != NULL:
            h = hash_words(line.values, line.values_size // 4, h)
        place = <Py_ssize_t> (h >> (64 - bits))
        while table[place] != NO_GROUP and not same_line(line, line_of(x, first[table[place]])):
            place = (place + 1) & ((<Py_ssize_t> 1 << bits) - 1)
        if table[place] == NO_GROUP:
            if count == most:
                return -1
            table[place] = count
            first[count] = i
            count += 1
        group[i] = table[place]
    return count


def group_rows(X, Py_ssize_t n, Py_ssize_t most, cnp.ndarray group, cnp.ndarray first):
    """Of the first n rows of a sound sparse X whose entries are in order, fill group (n) with the
    numbers of those that differ, as they come, and first with where each of these stands; return
    how many there are, -1 if more than `most`, which `first` has room for."""
    cdef Pass p
    cdef int bits = 1
    cdef Py_ssize_t* numbers = <Py_ssize_t*> cnp.PyArray_DATA(group)
    cdef Py_ssize_t* places = <Py_ssize_t*> cnp.PyArray_DATA(first)
    cdef Py_ssize_t count
    set_data(&p, X)
    while (<Py_ssize_t> 1 << bits) < ROOM * most:
        bits += 1
    cdef Py_ssize_t size = (<Py_ssize_t> 1 << bits) * sizeof(Py_ssize_t)
    cdef Py_ssize_t* table = <Py_ssize_t*> malloc(size)
    if table == NULL:
        raise MemoryError(f"no memory to look for the same row among {n}")
    memset(table, 0xff, size)
    with nogil:
        count = find_groups(&p.sparse, n, most, bits, table, numbers, places)
    free(table)
    return count
