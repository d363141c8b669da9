/* SPDX-License-Identifier: BSD-3-Clause */
/* How many threads to wake: fewer, for a while, where they were waited for.
 *
 * Threads meet at the end of a pass. On cores that are busy with something else one of them may
 * not be running just then, and the others wait until the system comes back to it: milliseconds,
 * for a pass of microseconds. So the thread that began a pass looks how long it waited after its
 * own share. If half the threads would have been as quick, half of them stay asleep until a pause
 * is over, and the pause gets longer as long as that happens again. No result depends on the number
 * of threads.
 */
#ifndef LOGREG_TEAM_H
#define LOGREG_TEAM_H

#include <limits.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#define LOGREG_GRACE 2e-4 /* seconds: twice what it takes to wake a thread */
#define LOGREG_MOST_PAUSE 1.0

/* For all threads that begin passes: they share the cores. A moment's confusion does no harm. */
static volatile int logreg_most_threads = INT_MAX;
static volatile double logreg_pause = 0;
static volatile double logreg_pause_end = 0;

/* The threads of a pass, and when the one that began it did so and had done its share. */
typedef struct {
    int threads;
    double begun, done;
} logreg_meeting;

static inline int logreg_threads_at(int threads, double now) {
    if (threads > logreg_most_threads && now >= logreg_pause_end) {
        logreg_most_threads *= 2;
        logreg_pause_end = now + logreg_pause;
    }
    return threads < logreg_most_threads ? threads : logreg_most_threads;
}

static inline void logreg_met_at(const logreg_meeting *m, double now) {
    double wait = now - m->done;
    if (wait <= m->done - m->begun + LOGREG_GRACE) return;
    /* If the cores are free again at once, the first pause costs no more than the wait did. */
    logreg_pause = now < logreg_pause_end + 2 * logreg_pause ? 2 * logreg_pause : 2 * wait;
    if (logreg_pause > LOGREG_MOST_PAUSE) logreg_pause = LOGREG_MOST_PAUSE;
    logreg_most_threads = m->threads / 2;
    logreg_pause_end = now + logreg_pause;
}

#if defined(_OPENMP)
static inline double logreg_seconds(void) { return omp_get_wtime(); }
#else
static inline double logreg_seconds(void) { return 0; }
#endif

static inline int logreg_woken(int threads) {
    return threads == 1 ? 1 : logreg_threads_at(threads, logreg_seconds());
}

static inline logreg_meeting logreg_begin(int threads) {
    logreg_meeting m = {threads, logreg_seconds(), 0};
    return m;
}

static inline void logreg_done(logreg_meeting *m) { m->done = logreg_seconds(); }

static inline void logreg_met(const logreg_meeting *m) { logreg_met_at(m, logreg_seconds()); }

#endif
