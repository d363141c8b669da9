# SPDX-License-Identifier: BSD-3-Clause
"""Memory that stays from one array to the next, which NumPy takes its arrays of a fit from."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import logreg_c
from logreg_c._kept import MemoryThatStays

try:
    from numpy._core.multiarray import get_handler_name
except ImportError:  # NumPy 1
    from numpy.core.multiarray import get_handler_name

MEGABYTE = 2**20


def place(array: NDArray[Any]) -> int:
    return array.__array_interface__["data"][0]


def forget_all() -> None:
    """Fill what may be kept with pieces of a size that no test asks for."""
    with MemoryThatStays():
        pieces = [np.empty(8 * MEGABYTE, dtype=np.int8) for _ in range(8)]
    del pieces


def test_arrays_are_from_there_meanwhile_only() -> None:
    before = get_handler_name()
    with MemoryThatStays():
        inside = np.arange(10.0)
        with MemoryThatStays():
            pass
        assert get_handler_name() == "logreg_c"
    assert get_handler_name() == before != "logreg_c"
    assert get_handler_name(inside) == "logreg_c"
    with pytest.raises(KeyboardInterrupt), MemoryThatStays():
        raise KeyboardInterrupt
    assert get_handler_name() == before
    assert (inside + inside == 2.0 * np.arange(10.0)).all()


@pytest.mark.parametrize("less", [0, MEGABYTE // 5])
def test_memory_is_had_again(less: int) -> None:
    forget_all()
    with MemoryThatStays():
        first = np.full(MEGABYTE, 7, dtype=np.int8)
        at = place(first)
        del first
        second = np.empty(MEGABYTE - less, dtype=np.int8)
        assert place(second) == at
        assert (second == 7).all()
        third = np.empty(MEGABYTE - less, dtype=np.int8)
        assert place(third) != at


@pytest.mark.parametrize("size", [MEGABYTE // 2, 2 * MEGABYTE])
def test_memory_of_another_size_is_not(size: int) -> None:
    forget_all()
    with MemoryThatStays():
        first = np.full(MEGABYTE, 7, dtype=np.int8)
        at = place(first)
        del first
        assert place(np.empty(size, dtype=np.int8)) != at


@pytest.mark.parametrize("size", [1, 1000, MEGABYTE, 40 * MEGABYTE])
def test_zeros_are_zeros(size: int) -> None:
    with MemoryThatStays():
        for _ in range(3):
            array = np.zeros(size, dtype=np.int8)
            assert not array.any()
            array[:] = 1
            del array


@pytest.mark.parametrize("before", [0, 1, 300, MEGABYTE])
@pytest.mark.parametrize("after", [0, 2, 500, 2 * MEGABYTE])
def test_an_array_that_is_resized_keeps_its_entries(before: int, after: int) -> None:
    with MemoryThatStays():
        array = np.arange(before)
        array.resize(after, refcheck=False)
    both = min(before, after)
    assert (array[:both] == np.arange(both)).all()
    assert not array[both:].any()


def test_small_arrays_are_left_to_numpy() -> None:
    with MemoryThatStays(16_383):
        assert get_handler_name() != "logreg_c"
    with MemoryThatStays(16_384):
        assert get_handler_name() == "logreg_c"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux")
def test_little_is_kept_of_much() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    with MemoryThatStays():
        arrays = [np.ones(20 * MEGABYTE, dtype=np.int8) for _ in range(15)]
        assert resident() > before + 150 * MEGABYTE  # some of it may have been there, freed
        arrays.clear()
        assert resident() < before + 80 * MEGABYTE
        arrays = [np.ones(MEGABYTE, dtype=np.int8) for _ in range(200)]
        arrays.clear()
        assert resident() < before + 80 * MEGABYTE


def test_threads_take_and_give_at_the_same_time() -> None:
    wrong = []

    def work(number: int) -> None:
        random = np.random.default_rng(number)
        with MemoryThatStays():
            held: list[NDArray[np.int32]] = []
            for _ in range(300):
                held.append(np.full(int(random.integers(30_000, 90_000)), number, dtype=np.int32))
                if len(held) > 6:
                    array = held.pop(int(random.integers(len(held))))
                    if not (array == number).all():
                        wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_a_fit_returns_is_good_after_it() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 40))
    y = (rng.random(3000) < 0.5).astype(np.float64)
    first = logreg_c.fit(X, y, l2=0.01)
    w = first.w.copy()
    again = [logreg_c.fit(X, y, l2=0.01) for _ in range(3)]
    assert (first.w == w).all()
    assert all((fit.w == w).all() for fit in again)
    assert get_handler_name() != "logreg_c"


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_it_is_for_fits_of_sparse_data(layout: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 60)) * (rng.random((20_000, 60)) < 0.03)
    y = (rng.random(20_000) < 0.5).astype(np.float64)
    given = X if layout == "dense" else pytest.importorskip("scipy.sparse").csr_array(X)
    names = set()
    found = logreg_c.fit(given, y, l2=0.01, callback=lambda state: names.add(get_handler_name()))
    assert ("logreg_c" in names) == (layout == "sparse")
    w = found.w.copy()
    again = [logreg_c.fit(given, y, l2=0.01) for _ in range(3)]
    assert (found.w == w).all()
    assert all((fit.w == w).all() for fit in again)
