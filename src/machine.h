/* SPDX-License-Identifier: BSD-3-Clause */
/* What Cython and C cannot say portably: prefetching a cache line, pointers without aliases,
 * and which instructions may be used. */
#ifndef LOGREG_MACHINE_H
#define LOGREG_MACHINE_H

#include <stddef.h>
#if defined(_MSC_VER)
#include <intrin.h>
#endif
/* A cache line into the first cache; FAR, where there are more than that holds, into the second. */
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <immintrin.h>
#define LOGREG_PREFETCH(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)
#define LOGREG_PREFETCH_FAR(p) _mm_prefetch((const char *)(p), _MM_HINT_T1)
#elif defined(__GNUC__)
#define LOGREG_PREFETCH(p) __builtin_prefetch((p), 0, 3)
#define LOGREG_PREFETCH_FAR(p) __builtin_prefetch((p), 0, 2)
#else
#define LOGREG_PREFETCH(p) ((void)(p))
#define LOGREG_PREFETCH_FAR(p) ((void)(p))
#endif

/* Doubles that nothing else points to, so that a store to them changes nothing else. Without the
 * promise every call checks at run time whether its arrays overlap, which with few columns costs
 * as much as its arithmetic. The check takes arrays that are merely near each other for
 * overlapping, and the loop then taken may add up in another order: where a loop adds up what it
 * stores, last bits would depend on where memory happened to be. */
#if defined(_MSC_VER)
typedef double *__restrict logreg_alone;
#else
typedef double *__restrict__ logreg_alone;
#endif

static inline void logreg_prefetch(const void *p) { LOGREG_PREFETCH(p); }

/* So many bytes from p on. GCC takes a function that does nothing else for one without effect and
 * drops its calls: hence the statement, of which it cannot know that it does nothing. */
static inline void logreg_prefetch_bytes(const char *p, ptrdiff_t bytes) {
    ptrdiff_t k;
    for (k = 0; k < bytes; k += 64) LOGREG_PREFETCH(p + k);
#if defined(__GNUC__)
    __asm__ volatile("");
#endif
}

/* 0: baseline only, 1: AVX2 and FMA, 2: AVX-512 (F, DQ, BW, VL) as well. Both the processor and
 * the operating system, which must save the wide registers, have a say. */
#if defined(_MSC_VER) && defined(_M_X64)
static inline int logreg_instruction_level(void) {
    int leaf[4];
    unsigned long long enabled;
    const int avx512 = (1 << 16) | (1 << 17) | (1 << 30) | (int)(1u << 31);
    __cpuid(leaf, 0);
    if (leaf[0] < 7) return 0;
    __cpuid(leaf, 1);
    if ((leaf[2] & ((1 << 12) | (1 << 27))) != ((1 << 12) | (1 << 27))) return 0;
    enabled = _xgetbv(0);
    __cpuidex(leaf, 7, 0);
    if ((enabled & 0x6) != 0x6 || !(leaf[1] & (1 << 5))) return 0;
    return (enabled & 0xe6) == 0xe6 && (leaf[1] & avx512) == avx512 ? 2 : 1;
}
#elif defined(__GNUC__) && defined(__x86_64__)
static inline int logreg_instruction_level(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
               ? 2
               : 1;
}
#else
static inline int logreg_instruction_level(void) { return 0; }
#endif

#endif
