/* SPDX-License-Identifier: BSD-3-Clause */
/* The two products under the passes over X: up to eight lines of it against one vector.
 *
 * The vector beside the lines is loaded once for all of them, their sums stay in registers, and
 * eight sums are enough not to wait for each other. Compilers do not find this by themselves: what
 * GCC makes of plain loops over four lines takes two to three times as long.
 *
 * float32 entries are widened on their way into the arithmetic, which is float64 throughout.
 */
#ifndef LOGREG_LINES_H
#define LOGREG_LINES_H

#include "lanes.h"
#include "machine.h"

#if LOGREG_LANES >= 4
#include <immintrin.h>
#endif

#define LOGREG_LINES 8

#if LOGREG_LANES > 1
typedef double logreg_doubles
    __attribute__((vector_size(8 * LOGREG_LANES), aligned(8), may_alias));
typedef int64_t logreg_bits __attribute__((vector_size(8 * LOGREG_LANES), may_alias));
#else
typedef double logreg_doubles;
#endif

/* Entries at, at + 1, ... of a line of floats or doubles. */
LOGREG_ALWAYS_INLINE logreg_lanes logreg_entries(const int single, const void *x, ptrdiff_t at) {
    if (single) {
        const float *f = (const float *)x + at;
        /* GCC's __builtin_convertvector takes halves, by way of memory. */
#if LOGREG_LANES == 8
        return _mm512_cvtps_pd(_mm256_loadu_ps(f));
#elif LOGREG_LANES == 4
        return _mm256_cvtps_pd(_mm_loadu_ps(f));
#elif LOGREG_LANES == 2
        return (logreg_lanes){f[0], f[1]};
#else
        return f[0];
#endif
    }
    return *(const logreg_doubles *)((const double *)x + at);
}

LOGREG_ALWAYS_INLINE double logreg_entry(const int single, const void *x, ptrdiff_t at) {
    return single ? ((const float *)x)[at] : ((const double *)x)[at];
}

LOGREG_ALWAYS_INLINE double logreg_sum(logreg_lanes v) {
#if LOGREG_LANES == 8
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
#elif LOGREG_LANES == 4
    return (v[0] + v[2]) + (v[1] + v[3]);
#elif LOGREG_LANES == 2
    return v[0] + v[1];
#else
    return v;
#endif
}

#if LOGREG_LANES > 1
#if defined(__clang__)
#define LOGREG_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define LOGREG_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (logreg_bits){__VA_ARGS__})
#endif

/* Neighbours of both vectors added up: a's and b's in turn. */
LOGREG_ALWAYS_INLINE logreg_lanes logreg_ones(logreg_lanes a, logreg_lanes b) {
#if LOGREG_LANES == 8
    return LOGREG_SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14) +
           LOGREG_SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
#elif LOGREG_LANES == 4
    return LOGREG_SHUFFLE(a, b, 0, 4, 2, 6) + LOGREG_SHUFFLE(a, b, 1, 5, 3, 7);
#else
    return LOGREG_SHUFFLE(a, b, 0, 2) + LOGREG_SHUFFLE(a, b, 1, 3);
#endif
}
#endif

/* The sums of as many vectors as they have entries, as one vector. */
LOGREG_ALWAYS_INLINE logreg_lanes logreg_sums(const logreg_lanes *s) {
#if LOGREG_LANES == 1
    return s[0];
#elif LOGREG_LANES == 2
    return logreg_ones(s[0], s[1]);
#else
    logreg_lanes ab = logreg_ones(s[0], s[1]), cd = logreg_ones(s[2], s[3]);
#if LOGREG_LANES == 4
    return LOGREG_SHUFFLE(ab, cd, 0, 1, 4, 5) + LOGREG_SHUFFLE(ab, cd, 2, 3, 6, 7);
#else
    logreg_lanes ef = logreg_ones(s[4], s[5]), gh = logreg_ones(s[6], s[7]);
    ab = LOGREG_SHUFFLE(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) +
         LOGREG_SHUFFLE(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    ef = LOGREG_SHUFFLE(ef, gh, 0, 1, 8, 9, 4, 5, 12, 13) +
         LOGREG_SHUFFLE(ef, gh, 2, 3, 10, 11, 6, 7, 14, 15);
    return LOGREG_SHUFFLE(ab, ef, 0, 1, 2, 3, 8, 9, 10, 11) +
           LOGREG_SHUFFLE(ab, ef, 4, 5, 6, 7, 12, 13, 14, 15);
#endif
#endif
}

/* The last entries of v, of which all but `rest` count as zero. */
LOGREG_ALWAYS_INLINE logreg_lanes logreg_last(const double *v, ptrdiff_t m, ptrdiff_t rest) {
    logreg_lanes last = *(const logreg_doubles *)(v + m - LOGREG_LANES);
#if LOGREG_LANES > 1
    logreg_bits place = {0};
    int k;
    LOGREG_UNROLL for (k = 0; k < LOGREG_LANES; k++) place[k] = k;
    return (logreg_lanes)((logreg_bits)last & (place >= (int64_t)(LOGREG_LANES - rest)));
#else
    return last;
#endif
}

/* What is asked for of as many lines behind those at hand: nothing, all, or a half of each. Both
 * products ask for a half: memory would otherwise rest during the second one, or be asked for too
 * much at once. */
enum { LOGREG_NOTHING, LOGREG_ALL, LOGREG_FIRST_HALF, LOGREG_SECOND_HALF };

/* Asks for what is next to be asked for where the entries at j are at hand. */
LOGREG_ALWAYS_INLINE void logreg_ask(const int ahead, const int lines, const int single,
                                     const void *x, ptrdiff_t stride, ptrdiff_t m, ptrdiff_t j) {
    const ptrdiff_t size = single ? sizeof(float) : sizeof(double);
    const ptrdiff_t parts = ahead == LOGREG_ALL ? 1 : 2;
    const ptrdiff_t from = ahead == LOGREG_SECOND_HALF ? m / 2 : 0;
    int k;
    if (ahead == LOGREG_NOTHING || j * size % (64 * parts)) return;
    LOGREG_UNROLL for (k = 0; k < lines; k++)
        LOGREG_PREFETCH_FAR((const char *)x + ((lines + k) * stride + from + j / parts) * size);
}

/* out[k] += x_k v for `lines` lines of m entries, `stride` apart, `abreast` of them at a time. */
LOGREG_ALWAYS_INLINE void logreg_dot_of(const int lines, const int abreast, const int ahead,
                                        const int single, const void *x, ptrdiff_t stride,
                                        const double *v, ptrdiff_t m, double *out) {
    logreg_lanes sums[LOGREG_LINES], vj, last = {0};
    ptrdiff_t j, rest = m % LOGREG_LANES;
    int k, i;
    LOGREG_UNROLL for (k = 0; k < lines; k++) sums[k] = (logreg_lanes){0};
    if (rest && m >= LOGREG_LANES) last = logreg_last(v, m, rest);
    LOGREG_UNROLL for (i = 0; i < lines; i += abreast) {
        for (j = 0; j + LOGREG_LANES <= m; j += LOGREG_LANES) {
            logreg_ask(ahead, lines, single, x, stride, m, j);
            vj = *(const logreg_doubles *)(v + j);
            LOGREG_UNROLL for (k = i; k < i + abreast; k++)
                sums[k] += logreg_entries(single, x, k * stride + j) * vj;
        }
        if (rest && m >= LOGREG_LANES)
            LOGREG_UNROLL for (k = i; k < i + abreast; k++)
                sums[k] += logreg_entries(single, x, k * stride + m - LOGREG_LANES) * last;
    }
    LOGREG_UNROLL for (k = 0; k + LOGREG_LANES <= lines; k += LOGREG_LANES)
        *(logreg_doubles *)(out + k) += logreg_sums(sums + k);
    LOGREG_UNROLL for (; k < lines; k++) out[k] += logreg_sum(sums[k]);
    if (m < LOGREG_LANES)
        for (j = 0; j < m; j++)
            LOGREG_UNROLL for (k = 0; k < lines; k++)
                out[k] += logreg_entry(single, x, k * stride + j) * v[j];
}

/* sum_k r[k] x_k, a vector of it. Without out, which the lines before may not have left yet. */
LOGREG_ALWAYS_INLINE logreg_lanes logreg_mixed(const int lines, const int single, const void *x,
                                               ptrdiff_t stride, const double *r, ptrdiff_t at) {
    logreg_lanes s = logreg_entries(single, x, at) * r[0];
    int k;
    LOGREG_UNROLL for (k = 1; k < lines; k++)
        s += logreg_entries(single, x, k * stride + at) * r[k];
    return s;
}

/* out += sum_k r[k] x_k for `lines` lines of m entries, `stride` apart. */
LOGREG_ALWAYS_INLINE void logreg_axpy_of(const int lines, const int ahead, const int single,
                                         const void *x, ptrdiff_t stride, const double *factors,
                                         ptrdiff_t m, double *out) {
    logreg_lanes last = {0};
    double r[LOGREG_LINES];
    ptrdiff_t j, rest = m % LOGREG_LANES;
    int k;
    LOGREG_UNROLL for (k = 0; k < lines; k++) r[k] = factors[k];
    if (m < LOGREG_LANES) {
        for (j = 0; j < m; j++) {
            double s = logreg_entry(single, x, j) * r[0];
            LOGREG_UNROLL for (k = 1; k < lines; k++)
                s += logreg_entry(single, x, k * stride + j) * r[k];
            out[j] += s;
        }
        return;
    }
    /* The last entries overlap those before: both write the same numbers. */
    if (rest)
        last = *(const logreg_doubles *)(out + m - LOGREG_LANES) +
               logreg_mixed(lines, single, x, stride, r, m - LOGREG_LANES);
    for (j = 0; j + LOGREG_LANES <= m; j += LOGREG_LANES) {
        logreg_ask(ahead, lines, single, x, stride, m, j);
        *(logreg_doubles *)(out + j) += logreg_mixed(lines, single, x, stride, r, j);
    }
    if (rest) *(logreg_doubles *)(out + m - LOGREG_LANES) = last;
}

/* The same for `groups` groups of so many lines. */
#define LOGREG_GROUPS(lines, single, T) \
    static void logreg_dot_##T##_##lines(ptrdiff_t groups, const T *x, ptrdiff_t stride, \
                                         const double *v, ptrdiff_t m, double *out) { \
        for (; groups > 0; groups--, x += lines * stride, out += lines) \
            logreg_dot_of(lines, lines, LOGREG_NOTHING, single, x, stride, v, m, out); \
    } \
    static void logreg_axpy_##T##_##lines(ptrdiff_t groups, const T *x, ptrdiff_t stride, \
                                          const double *r, ptrdiff_t m, double *out) { \
        for (; groups > 0; groups--, x += lines * stride, r += lines) \
            logreg_axpy_of(lines, LOGREG_NOTHING, single, x, stride, r, m, out); \
    }

/* Lines in groups of at most LOGREG_LINES: `fewer` groups of `size` lines, then `larger` groups of
 * one more. */
typedef struct {
    ptrdiff_t size, fewer, larger;
} logreg_groups;

static inline logreg_groups logreg_even_groups(ptrdiff_t lines) {
    ptrdiff_t count = (lines + LOGREG_LINES - 1) / LOGREG_LINES;
    logreg_groups g = {0, 0, 0};
    if (count == 0) return g;
    g.size = lines / count, g.larger = lines % count, g.fewer = count - g.larger;
    return g;
}

/* out[k] += x_k v for every line, and out += sum_k r[k] x_k over every line, in groups whose
 * sizes are as even as can be. */
#define LOGREG_ALL_LINES(single, T) \
    LOGREG_GROUPS(1, single, T) \
    LOGREG_GROUPS(2, single, T) \
    LOGREG_GROUPS(3, single, T) \
    LOGREG_GROUPS(4, single, T) \
    LOGREG_GROUPS(5, single, T) \
    LOGREG_GROUPS(6, single, T) \
    LOGREG_GROUPS(7, single, T) \
    LOGREG_GROUPS(8, single, T) \
    static void (*const logreg_dot_##T[])(ptrdiff_t, const T *, ptrdiff_t, const double *, \
                                          ptrdiff_t, double *) = { \
        0, logreg_dot_##T##_1, logreg_dot_##T##_2, logreg_dot_##T##_3, logreg_dot_##T##_4, \
        logreg_dot_##T##_5, logreg_dot_##T##_6, logreg_dot_##T##_7, logreg_dot_##T##_8}; \
    static void (*const logreg_axpy_##T[])(ptrdiff_t, const T *, ptrdiff_t, const double *, \
                                           ptrdiff_t, double *) = { \
        0, logreg_axpy_##T##_1, logreg_axpy_##T##_2, logreg_axpy_##T##_3, logreg_axpy_##T##_4, \
        logreg_axpy_##T##_5, logreg_axpy_##T##_6, logreg_axpy_##T##_7, logreg_axpy_##T##_8}; \
    static inline void logreg_dot_lines_##T(const T *x, ptrdiff_t stride, ptrdiff_t lines, \
                                            const double *v, ptrdiff_t m, double *out) { \
        const logreg_groups g = logreg_even_groups(lines); \
        const ptrdiff_t rest = g.fewer * g.size; \
        if (g.fewer) logreg_dot_##T[g.size](g.fewer, x, stride, v, m, out); \
        if (g.larger) \
            logreg_dot_##T[g.size + 1](g.larger, x + rest * stride, stride, v, m, out + rest); \
    } \
    static inline void logreg_dot_lines_in_order_##T(const T *x, ptrdiff_t stride, \
                                                     ptrdiff_t lines, const double *v, \
                                                     ptrdiff_t m, double *out) { \
        for (; lines >= 8; lines -= 8, x += 8 * stride, out += 8) \
            logreg_dot_of(8, 1, LOGREG_NOTHING, single, x, stride, v, m, out); \
        if (lines) logreg_dot_##T[lines](1, x, stride, v, m, out); \
    } \
    static inline void logreg_dot_lines_ahead_##T(const T *x, ptrdiff_t stride, ptrdiff_t lines, \
                                                  const double *v, ptrdiff_t m, double *out) { \
        for (; lines >= 8; lines -= 8, x += 8 * stride, out += 8) \
            logreg_dot_of(8, 8, LOGREG_FIRST_HALF, single, x, stride, v, m, out); \
        if (lines) logreg_dot_##T[lines](1, x, stride, v, m, out); \
    } \
    static inline void logreg_sum_lines_in_order_##T(const T *x, ptrdiff_t stride, \
                                                     ptrdiff_t lines, const double *r, \
                                                     ptrdiff_t m, double *out) { \
        logreg_axpy_##T##_1(lines, x, stride, r, m, out); \
    } \
    static inline void logreg_sum_lines_ahead_##T(int half, const T *x, ptrdiff_t stride, \
                                                  ptrdiff_t lines, const double *r, \
                                                  ptrdiff_t m, double *out) { \
        for (; lines >= 8; lines -= 8, x += 8 * stride, r += 8) \
            if (half) \
                logreg_axpy_of(8, LOGREG_SECOND_HALF, single, x, stride, r, m, out); \
            else \
                logreg_axpy_of(8, LOGREG_ALL, single, x, stride, r, m, out); \
        if (lines) logreg_axpy_##T[lines](1, x, stride, r, m, out); \
    } \
    static inline void logreg_sum_lines_##T(const T *x, ptrdiff_t stride, ptrdiff_t lines, \
                                            const double *r, ptrdiff_t m, double *out) { \
        const logreg_groups g = logreg_even_groups(lines); \
        const ptrdiff_t rest = g.fewer * g.size; \
        if (g.fewer) logreg_axpy_##T[g.size](g.fewer, x, stride, r, m, out); \
        if (g.larger) \
            logreg_axpy_##T[g.size + 1](g.larger, x + rest * stride, stride, r + rest, m, out); \
    }
LOGREG_ALL_LINES(0, double)
LOGREG_ALL_LINES(1, float)

#endif
