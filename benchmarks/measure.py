# SPDX-License-Identifier: BSD-3-Clause
"""Time functions against each other, and tell the figures that come out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Long enough for the clock and for threads to wake up in.
LEAST_SECONDS = 2e-3
# A BLAS's threads go on spinning after a call, OpenBLAS's for 2^26 ticks, which is 20 to 40 ms;
# whoever comes next would find the cores taken and be measured several times too slow.
REST_SECONDS = 0.1
# After a rest, it takes a while until the threads are each on a core of their own again.
WARM_SECONDS = 0.05


@dataclass(frozen=True)
class Figure:
    """Something measured, and what was hoped for (None: it is only told).

    `readme` is its name in the README's table, if it is there.
    """

    name: str
    value: float
    pattern: str
    target: float | None = None
    at_most: bool = False
    note: str = ""
    readme: str = ""

    @property
    def ok(self) -> bool:
        """Whether the target is met."""
        if self.target is None:
            return True
        return bool(self.value <= self.target if self.at_most else self.value >= self.target)

    @property
    def measured(self) -> str:
        """The value, as text."""
        return self.pattern.format(self.value)


def table_row(figure: Figure) -> str:
    """Return a figure as a line of the table in the terminal."""
    goal = verdict = ""
    if figure.target is not None:
        goal = f"{'<=' if figure.at_most else '>='} {figure.pattern.format(figure.target)}"
        verdict = "ok" if figure.ok else "SHORT"
    row = f"  {figure.name:<52}{figure.measured:>8}{goal:>12}  {verdict:<7}{figure.note}"
    return row.rstrip()


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def seconds_a_call(function: Callable[[], object], calls: int) -> float:
    """Return the seconds that one of so many calls took."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def race(
    *functions: Callable[[], object], repeats: int = 9, rest: bool = False
) -> NDArray[np.float64]:
    """Time functions in turns, so that a slow spell of the machine meets all of them.

    Returns
    -------
    ndarray of shape (repeats, number of functions)
        Seconds a call. Functions that take less than two milliseconds are called many times in
        each turn.
    """
    calls = []
    for function in functions:
        function()  # touch the memory, start the threads
        once = min(seconds_a_call(function, 1) for _ in range(3))
        calls.append(max(1, int(LEAST_SECONDS / once)))
    seconds = np.empty((repeats, len(functions)))
    for turn in range(repeats):
        for k, function in enumerate(functions):
            if rest:
                time.sleep(REST_SECONDS)
                warm = time.perf_counter() + WARM_SECONDS
                while time.perf_counter() < warm:
                    function()
            seconds[turn, k] = seconds_a_call(function, calls[k])
    return seconds


def median_ratio(seconds: NDArray[np.float64], slow: int, fast: int) -> float:
    """Return how many times as fast one function is as another, the median over the turns."""
    return float(np.median(seconds[:, slow] / seconds[:, fast]))
