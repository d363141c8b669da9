/* SPDX-License-Identifier: BSD-3-Clause */
/* The product under all dense algebra: a tile of a matrix held in registers while rows go by.
 *
 * Matrices are cut into panels of LOGREG_PANEL columns. A panel is contiguous, row after row, so
 * that one row of it is one register (or two or four narrow ones). A tile takes up to LOGREG_GROUP
 * panels on one side and one panel on the other: each number of the latter is spread over a
 * register and used for all of the group. Compilers do not find this by themselves: what GCC makes
 * of plain loops over three panels is three (AVX2) to five times (AVX-512) slower.
 */
#ifndef LOGREG_TILE_H
#define LOGREG_TILE_H

#include "lines.h"

/* GROUP x PANEL sums must fit in the registers: 24 of 32, 12 of 16, and 8 of 16 without AVX.
 * On x86 Clang spills some of three panels, which makes them half as fast as two. */
#if LOGREG_LANES == 8
#define LOGREG_PANEL 8
#else
#define LOGREG_PANEL 4
#endif
#if LOGREG_LANES < 4 && !defined(__aarch64__)
#define LOGREG_GROUP 1
#elif defined(__clang__) && defined(__x86_64__)
#define LOGREG_GROUP 2
#else
#define LOGREG_GROUP 3
#endif
#define LOGREG_REGISTERS (LOGREG_PANEL / LOGREG_LANES)

/* c_v[s] += sign · sum_t b[t][s] a_v[t] for the `panels` panels a_v of the group, all t < rows. */
LOGREG_ALWAYS_INLINE void logreg_tile_of(const int panels, ptrdiff_t rows,
                                         const double *const *a, const double *b, double sign,
                                         double *const *c) {
    logreg_lanes sums[LOGREG_GROUP * LOGREG_REGISTERS][LOGREG_PANEL];
    logreg_lanes x[LOGREG_GROUP * LOGREG_REGISTERS];
    const double *at[LOGREG_GROUP];
    int v, r, s;
    ptrdiff_t t;
    LOGREG_UNROLL for (v = 0; v < panels; v++) at[v] = a[v];
    LOGREG_UNROLL for (r = 0; r < panels * LOGREG_REGISTERS; r++)
        LOGREG_UNROLL for (s = 0; s < LOGREG_PANEL; s++) sums[r][s] = (logreg_lanes){0};
    for (t = 0; t < rows; t++) {
        LOGREG_UNROLL for (r = 0; r < panels * LOGREG_REGISTERS; r++)
            x[r] = ((const logreg_lanes *)(at[r / LOGREG_REGISTERS] + t * LOGREG_PANEL))
                [r % LOGREG_REGISTERS];
        LOGREG_UNROLL for (s = 0; s < LOGREG_PANEL; s++)
            LOGREG_UNROLL for (r = 0; r < panels * LOGREG_REGISTERS; r++)
                sums[r][s] += x[r] * b[t * LOGREG_PANEL + s];
    }
    LOGREG_UNROLL for (r = 0; r < panels * LOGREG_REGISTERS; r++)
        LOGREG_UNROLL for (s = 0; s < LOGREG_PANEL; s++)
            ((logreg_lanes *)(c[r / LOGREG_REGISTERS] + s * LOGREG_PANEL))
                [r % LOGREG_REGISTERS] += sums[r][s] * sign;
}

/* Of a row of X, the entries in whole panels, centred and scaled; panels are `stride` apart. */
LOGREG_ALWAYS_INLINE void logreg_pack_row(const int single, const void *x, const double *center,
                                          const double *scale, ptrdiff_t panels, ptrdiff_t stride,
                                          double *out) {
    int r;
    ptrdiff_t k, j;
    for (k = 0; k < panels; k++)
        LOGREG_UNROLL for (r = 0; r < LOGREG_REGISTERS; r++) {
            j = k * LOGREG_PANEL + r * LOGREG_LANES;
            ((logreg_lanes *)(out + k * stride))[r] =
                (logreg_entries(single, x, j) - *(const logreg_doubles *)(center + j)) *
                *(const logreg_doubles *)(scale + j);
        }
}

/* The rows of a panel times h. GCC would take several at once, and turn them over for it and
 * back, which takes as long as the product itself. */
static inline void logreg_scale_panel(const double *x, const double *h, ptrdiff_t rows,
                                      double *out) {
    int r;
    ptrdiff_t t;
    for (t = 0; t < rows; t++)
        LOGREG_UNROLL for (r = 0; r < LOGREG_REGISTERS; r++)
            ((logreg_lanes *)(out + t * LOGREG_PANEL))[r] =
                ((const logreg_lanes *)(x + t * LOGREG_PANEL))[r] * h[t];
}

static void logreg_tile_1(ptrdiff_t rows, const double *const *a, const double *b, double sign,
                          double *const *c) {
    logreg_tile_of(1, rows, a, b, sign, c);
}

#if LOGREG_GROUP >= 2
static void logreg_tile_2(ptrdiff_t rows, const double *const *a, const double *b, double sign,
                          double *const *c) {
    logreg_tile_of(2, rows, a, b, sign, c);
}
#endif

#if LOGREG_GROUP >= 3
static void logreg_tile_3(ptrdiff_t rows, const double *const *a, const double *b, double sign,
                          double *const *c) {
    logreg_tile_of(3, rows, a, b, sign, c);
}
#endif

/* Everything that a and c point to, and b, starts on a multiple of a panel's row in bytes. */
static inline void logreg_tile(ptrdiff_t panels, ptrdiff_t rows, const double *const *a,
                               const double *b, double sign, double *const *c) {
#if LOGREG_GROUP >= 3
    if (panels == 3) {
        logreg_tile_3(rows, a, b, sign, c);
        return;
    }
#endif
#if LOGREG_GROUP >= 2
    if (panels == 2) {
        logreg_tile_2(rows, a, b, sign, c);
        return;
    }
#endif
    logreg_tile_1(rows, a, b, sign, c);
}

#endif
