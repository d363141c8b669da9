/* SPDX-License-Identifier: BSD-3-Clause */
/* The two products under the passes for several classes: lines of X against a matrix that has all
 * classes of a place together, in lanes: whole fours of them.
 *
 * Sums of four lines and up to twelve classes stay in registers; an entry of X is spread over a
 * register and used for all of these classes. X is read where it stands, whatever its strides.
 */
#ifndef LOGREG_CLASS_LINES_H
#define LOGREG_CLASS_LINES_H

#include "lines.h"
#include "tile.h"

#if LOGREG_LANES >= 4
typedef double logreg_four __attribute__((vector_size(32), aligned(8), may_alias));
#define LOGREG_WIDTH 4
#else
typedef logreg_doubles logreg_four;
#define LOGREG_WIDTH LOGREG_LANES
#endif
#define LOGREG_PARTS (4 / LOGREG_WIDTH)

/* Of the other matrix, so many places at once: with twelve classes a first-level cache. */
#define LOGREG_DEPTH 256

/* c[s] += sum_t x(s, t) a[t] for s < lines and the first 4 · fours lanes. Meanwhile asks for what
 * is `ask` bytes behind these entries (0: nothing), a cache line once. */
LOGREG_ALWAYS_INLINE void logreg_class_lines_of(const int fours, const int lines, const int single,
                                                ptrdiff_t depth, const double *a, ptrdiff_t lanes,
                                                const void *x, ptrdiff_t across, ptrdiff_t along,
                                                ptrdiff_t ask, double *c) {
    const ptrdiff_t size = single ? sizeof(float) : sizeof(double), line = 64 / size;
    logreg_four sums[LOGREG_GROUP * LOGREG_PARTS][8], v[LOGREG_GROUP * LOGREG_PARTS];
    int r, s;
    ptrdiff_t t;
    LOGREG_UNROLL for (r = 0; r < fours * LOGREG_PARTS; r++)
        LOGREG_UNROLL for (s = 0; s < lines; s++) sums[r][s] = (logreg_four){0};
    for (t = 0; t < depth; t++) {
        if (ask && along != 1)
            LOGREG_PREFETCH_FAR((const char *)x + t * along * size + ask);
        else if (ask && t % line == 0)
            LOGREG_UNROLL for (s = 0; s < lines; s++)
                LOGREG_PREFETCH_FAR((const char *)x + (s * across + t) * size + ask);
        LOGREG_UNROLL for (r = 0; r < fours * LOGREG_PARTS; r++)
            v[r] = *(const logreg_four *)(a + t * lanes + r * LOGREG_WIDTH);
        LOGREG_UNROLL for (s = 0; s < lines; s++) {
            ptrdiff_t at = s * across + t * along;
            double entry = single ? (double)((const float *)x)[at] : ((const double *)x)[at];
            LOGREG_UNROLL for (r = 0; r < fours * LOGREG_PARTS; r++) sums[r][s] += v[r] * entry;
        }
    }
    LOGREG_UNROLL for (s = 0; s < lines; s++)
        LOGREG_UNROLL for (r = 0; r < fours * LOGREG_PARTS; r++)
            *(logreg_four *)(c + s * lanes + r * LOGREG_WIDTH) += sums[r][s];
}

/* The same for all lines and for `fours` of the lanes: eight lines, or four, or one at a time. One
 * four of classes needs eight, so that sums do not wait for each other. Lines by rows of X ask for
 * those that follow, lines by columns for the rows that do. */
LOGREG_ALWAYS_INLINE void logreg_class_lines_all(const int fours, const int single, const int ahead,
                                                 ptrdiff_t lines, ptrdiff_t depth, const double *a,
                                                 ptrdiff_t lanes, const void *x, ptrdiff_t across,
                                                 ptrdiff_t along, double *c) {
    const int most = fours * LOGREG_PARTS == 1 ? 8 : 4;
    const ptrdiff_t size = single ? sizeof(float) : sizeof(double), line = 64 / size;
    ptrdiff_t s = 0, ask = 0;
    for (; s + most <= lines; s += most) {
        if (ahead) ask = along == 1 ? most * across * size : s % line ? 0 : depth * along * size;
        logreg_class_lines_of(fours, most, single, depth, a, lanes,
                              (const char *)x + s * across * size, across, along, ask,
                              c + s * lanes);
    }
    for (; s + 4 <= lines; s += 4)
        logreg_class_lines_of(fours, 4, single, depth, a, lanes,
                              (const char *)x + s * across * size, across, along, 0,
                              c + s * lanes);
    for (; s < lines; s++)
        logreg_class_lines_of(fours, 1, single, depth, a, lanes,
                              (const char *)x + s * across * size, across, along, 0,
                              c + s * lanes);
}

LOGREG_ALWAYS_INLINE void logreg_class_lines_any(const int single, const int ahead,
                                                 ptrdiff_t lines, ptrdiff_t depth,
                                                 const double *a, ptrdiff_t lanes,
                                                 const void *x, ptrdiff_t across, ptrdiff_t along,
                                                 double *c) {
    ptrdiff_t size = single ? sizeof(float) : sizeof(double), first, part, k;
    for (first = 0; first < depth; first += LOGREG_DEPTH) {
        part = depth - first < LOGREG_DEPTH ? depth - first : LOGREG_DEPTH;
        for (k = 0; k < lanes; k += 4 * LOGREG_GROUP) {
            const double *at = a + first * lanes + k;
            const char *from = (const char *)x + first * along * size;
#if LOGREG_GROUP >= 3
            if (lanes - k >= 12) {
                logreg_class_lines_all(3, single, ahead && k == 0, lines, part, at, lanes, from,
                                       across, along, c + k);
                continue;
            }
#endif
#if LOGREG_GROUP >= 2
            if (lanes - k >= 8) {
                logreg_class_lines_all(2, single, ahead && k == 0, lines, part, at, lanes, from,
                                       across, along, c + k);
                continue;
            }
#endif
            logreg_class_lines_all(1, single, ahead && k == 0, lines, part, at, lanes, from, across,
                                   along, c + k);
        }
    }
}

static void logreg_class_lines_double(int ahead, ptrdiff_t lines, ptrdiff_t depth, const double *a,
                                      ptrdiff_t lanes, const double *x, ptrdiff_t across,
                                      ptrdiff_t along, double *c) {
    logreg_class_lines_any(0, ahead, lines, depth, a, lanes, x, across, along, c);
}

static void logreg_class_lines_float(int ahead, ptrdiff_t lines, ptrdiff_t depth, const double *a,
                                     ptrdiff_t lanes, const float *x, ptrdiff_t across,
                                     ptrdiff_t along, double *c) {
    logreg_class_lines_any(1, ahead, lines, depth, a, lanes, x, across, along, c);
}

#endif
