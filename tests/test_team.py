# SPDX-License-Identifier: BSD-3-Clause
"""How many threads are woken after some had to be waited for, at times made up here."""

from __future__ import annotations

import pytest

from logreg_c import _kernels

MOST_PAUSE = 1.0
LATE = 0.004


@pytest.fixture
def at() -> float:
    """A time long after the last wait, and long before the clock's, when all is forgotten."""
    be_late(-1e7, 2)
    return -1e6


def be_late(now: float, threads: int) -> None:
    """Tell of a pass of 0.1 ms after which threads were waited for."""
    _kernels.kernels.threads_met(threads, now - LATE - 1e-4, now - LATE, now)


def woken(threads: int, now: float) -> int:
    return _kernels.kernels.threads_woken(threads, now)


def test_all_are_woken_where_none_was_late(at: float) -> None:
    be_late(at - 100, 8)
    for _ in range(10):
        at += 0.1
        woken(8, at)
        _kernels.kernels.threads_met(8, at - 2e-3, at - 1e-3, at)  # a wait no longer than the share
        _kernels.kernels.threads_met(8, at - 2e-4, at - 1.9e-4, at)  # no longer than waking takes
    assert [woken(threads, at) for threads in (1, 2, 3, 8)] == [1, 2, 3, 8]


def test_half_are_woken_until_the_pause_is_over(at: float) -> None:
    be_late(at, 8)
    assert woken(8, at) == 4
    assert woken(2, at) == 2
    assert woken(8, at + 1.99 * LATE) == 4
    assert woken(8, at + 2.01 * LATE) == 8


def test_one_more_doubling_each_pause(at: float) -> None:
    for threads in (8, 4, 2):
        be_late(at, threads)
    assert woken(8, at) == 1
    pause = 8 * LATE
    counts = [woken(8, at + k * pause + 1e-6) for k in range(5)]
    assert counts == [1, 2, 4, 8, 8]


def test_at_least_one_is_woken(at: float) -> None:
    be_late(at, 3)
    assert woken(3, at) == 1
    assert woken(1, at) == 1


def test_pauses_double_while_threads_are_late_again(at: float) -> None:
    pause = 2 * LATE
    for _ in range(12):
        be_late(at, 2)
        assert woken(2, at + 0.99 * pause) == 1
        at += 1.01 * pause
        assert woken(2, at) == 2
        pause = min(2 * pause, MOST_PAUSE)


def test_a_pause_is_short_again_after_a_while(at: float) -> None:
    for _ in range(6):
        be_late(at, 2)
        at += 1.01 * MOST_PAUSE
        assert woken(2, at) == 2
    at += 4 * MOST_PAUSE
    be_late(at, 2)
    assert woken(2, at) == 1
    assert woken(2, at + 2.01 * LATE) == 2
