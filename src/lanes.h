/* SPDX-License-Identifier: BSD-3-Clause */
/* The widest vectors of the instruction set that is compiled for, and loops unrolled by hand.
 *
 * GCC's and Clang's vector types say it without naming instructions. For another compiler a
 * vector is one double, which is right and slow.
 */
#ifndef LOGREG_LANES_H
#define LOGREG_LANES_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__GNUC__)
#define LOGREG_LANES 1
#elif defined(__AVX512F__)
#define LOGREG_LANES 8
#elif defined(__AVX__)
#define LOGREG_LANES 4
#else
#define LOGREG_LANES 2
#endif

#if defined(__GNUC__)
typedef double logreg_lanes __attribute__((vector_size(8 * LOGREG_LANES), may_alias));
#define LOGREG_ALWAYS_INLINE static inline __attribute__((always_inline))
#define LOGREG_UNROLL _Pragma("GCC unroll 8")
#else
typedef double logreg_lanes;
#define LOGREG_ALWAYS_INLINE static inline
#define LOGREG_UNROLL
#endif

#endif
