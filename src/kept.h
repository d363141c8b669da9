/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that stays: for the sums of chunks, and for NumPy's arrays during a fit.
 *
 * The system hands out megabytes a page at a time, cleared, and takes them back at once. Of a pass
 * over 100,000 sparse rows with 200,000 columns that was a quarter of the time, and of a fit a tenth,
 * on one thread whatever the others do. So pieces of memory that are given back are kept, the last one
 * first, and the oldest ones go where all of them have more than LOGREG_KEPT bytes. Any thread may
 * take and give at any time: a place is only ever exchanged.
 */
#ifndef LOGREG_KEPT_H
#define LOGREG_KEPT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(_MSC_VER)
#include <intrin.h>
#elif defined(__linux__)
#include <sys/mman.h>
#endif

enum {
    LOGREG_PLACES = 32,
    LOGREG_KEPT = 1 << 26,        /* bytes in all */
    LOGREG_LEAST_KEPT = 1 << 17,  /* of one piece; with fewer the C library keeps it */
    LOGREG_MOST_KEPT = 1 << 25,
    LOGREG_LARGE = 1 << 22,       /* on large pages */
    LOGREG_HEADER = 64            /* before a piece: its size */
};

static void *logreg_places[LOGREG_PLACES];
static int64_t logreg_kept_bytes = 0; /* a moment's excess does no harm */

/* As NumPy does it for its own. */
static inline void logreg_ask_for_large_pages(void *p, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    size_t before = 4096 - (uintptr_t)p % 4096;
    if (bytes >= LOGREG_LARGE) madvise((char *)p + before, bytes - before, MADV_HUGEPAGE);
#else
    (void)p;
    (void)bytes;
#endif
}

#if defined(_MSC_VER)
static inline void *logreg_exchange(void **place, void *p) {
    return _InterlockedExchangePointer(place, p);
}
static inline int64_t logreg_add_kept(int64_t bytes) {
    return _InterlockedExchangeAdd64(&logreg_kept_bytes, bytes) + bytes;
}
#else
static inline void *logreg_exchange(void **place, void *p) {
    return __atomic_exchange_n(place, p, __ATOMIC_ACQ_REL);
}
static inline int64_t logreg_add_kept(int64_t bytes) {
    return __atomic_add_fetch(&logreg_kept_bytes, bytes, __ATOMIC_RELAXED);
}
#endif

static inline int64_t logreg_size_of(const void *block) { return *(const int64_t *)block; }

static inline int logreg_may_stay(size_t bytes) {
    return bytes >= LOGREG_LEAST_KEPT && bytes <= LOGREG_MOST_KEPT;
}

static inline void logreg_drop(void *block) {
    if (block == NULL) return;
    logreg_add_kept(-logreg_size_of(block));
    free(block);
}

/* Keep a block in the first place; the others move on, up to the first free one. */
static inline void logreg_keep(void *block) {
    int k;
    logreg_add_kept(logreg_size_of(block));
    for (k = 0; k < LOGREG_PLACES && block != NULL; k++)
        block = logreg_exchange(&logreg_places[k], block);
    logreg_drop(block);
    for (k = LOGREG_PLACES - 1; k >= 0 && logreg_add_kept(0) > LOGREG_KEPT; k--)
        logreg_drop(logreg_exchange(&logreg_places[k], NULL));
}

/* Return a kept block of so many bytes, or of up to a third more, or NULL. */
static inline void *logreg_find_kept(int64_t bytes) {
    int k;
    for (k = 0; k < LOGREG_PLACES; k++) {
        void *block = logreg_exchange(&logreg_places[k], NULL);
        if (block == NULL) continue;
        if (logreg_size_of(block) >= bytes && logreg_size_of(block) - bytes <= bytes / 3) {
            logreg_add_kept(-logreg_size_of(block));
            return block;
        }
        logreg_drop(logreg_exchange(&logreg_places[k], block)); /* one given back meanwhile */
    }
    return NULL;
}

static inline void *logreg_lend(size_t bytes, int cleared) {
    char *block = logreg_may_stay(bytes) ? (char *)logreg_find_kept((int64_t)bytes) : NULL;
    if (block != NULL) {
        if (cleared) memset(block + LOGREG_HEADER, 0, bytes);
        return block + LOGREG_HEADER;
    }
    if (bytes > PTRDIFF_MAX - LOGREG_HEADER) return NULL;
    block = (char *)(cleared ? calloc(1, LOGREG_HEADER + bytes) : malloc(LOGREG_HEADER + bytes));
    if (block == NULL) return NULL;
    logreg_ask_for_large_pages(block, LOGREG_HEADER + bytes);
    *(int64_t *)block = (int64_t)bytes;
    return block + LOGREG_HEADER;
}

static inline void *logreg_borrow(size_t bytes) { return logreg_lend(bytes, 0); }

static inline void logreg_give_back(void *borrowed) {
    char *block = (char *)borrowed - LOGREG_HEADER;
    if (logreg_may_stay((size_t)logreg_size_of(block)))
        logreg_keep(block);
    else
        free(block);
}

/* As NumPy asks for it. */

static void *logreg_array_malloc(void *context, size_t bytes) {
    (void)context;
    return logreg_lend(bytes, 0);
}

static void *logreg_array_calloc(void *context, size_t count, size_t size) {
    (void)context;
    if (size != 0 && count > PTRDIFF_MAX / size) return NULL;
    return logreg_lend(count * size, 1);
}

static void logreg_array_free(void *context, void *p, size_t bytes) {
    (void)context;
    (void)bytes;
    if (p != NULL) logreg_give_back(p);
}

static void *logreg_array_realloc(void *context, void *p, size_t bytes) {
    void *other = logreg_lend(bytes, 0);
    (void)context;
    if (other != NULL && p != NULL) {
        size_t before = (size_t)logreg_size_of((char *)p - LOGREG_HEADER);
        memcpy(other, p, before < bytes ? before : bytes);
        logreg_give_back(p);
    }
    return other;
}

#endif
