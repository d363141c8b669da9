# SPDX-License-Identifier: BSD-3-Clause
# team.h for Cython, and its rule for Python at times that a test makes up.

cdef extern from "team.h" nogil:
    ctypedef struct Meeting "logreg_meeting":
        int threads
        double begun
        double done
    int threads_at "logreg_threads_at"(int threads, double now)
    void met_at "logreg_met_at"(const Meeting*, double now)
    int woken "logreg_woken"(int threads)
    Meeting begin_meeting "logreg_begin"(int threads)
    void share_done "logreg_done"(Meeting*)
    void met "logreg_met"(const Meeting*)


def threads_woken(int threads, double now):
    """How many of so many threads would be woken at that time, in seconds."""
    return threads_at(threads, now)


def threads_met(int threads, double begun, double done, double now):
    """Tell of a pass: when it began, when whoever began it had done its share, and its end."""
    cdef Meeting meeting = Meeting(threads, begun, done)
    met_at(&meeting, now)
