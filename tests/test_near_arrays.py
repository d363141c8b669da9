# SPDX-License-Identifier: BSD-3-Clause
"""The same bits wherever arrays happen to be in memory, however near to each other.

Compilers may ask at run time whether a loop's arrays overlap, take mere neighbours for it, and
then add up in another order.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

COLUMNS = range(2, 12)


def raw_weights(isa, rng, d):
    arrays = (
        rng.standard_normal((1, d + 1)), rng.standard_normal(d), rng.random(d), np.zeros((1, d + 1))
    )  # fmt: skip
    return arrays, isa.raw_weights


def finish_gradient(isa, rng, d):
    arrays = (
        rng.standard_normal((1, d + 1)), rng.standard_normal((1, d + 1)), rng.random(d + 1),
        rng.standard_normal((1, d + 1)),
    )  # fmt: skip

    def call(gradient, theta, quadratic, linear):
        return isa.finish_gradient(gradient, None, None, True, theta, quadratic, None, linear)

    return arrays, call


def factor(isa, rng, d):
    A = rng.standard_normal((d + 3, d))
    return (A.T @ A, np.zeros((d, d)), np.zeros(d)), lambda *arrays: isa.factor(*arrays, 1)


def descend(isa, rng, d):
    X, y = rng.standard_normal((9, d)), (rng.random(9) < 0.5).astype(float)
    arrays = rng.standard_normal(d), np.zeros(1), np.zeros(d + 1), np.zeros(3)

    def call(w, b, last, history):
        return isa.descend(
            X, y, None, 9.0, None, 9, 0.5, 0.1, 0.0, 9e9, w, b, last, history, 0, 3, 1
        )

    return arrays, call


@pytest.mark.parametrize("kernel", [raw_weights, finish_gradient, factor, descend])
def test_same_bits_however_near_arrays_are(isa, kernel):
    for d in COLUMNS:
        rng = np.random.default_rng(d)
        for _ in range(5):
            arrays, call = kernel(isa, rng, d)
            found = set()
            for order in permutations(range(len(arrays))):
                for gap in (0, 2, 5, 9):
                    placed = place(arrays, order, gap)
                    total = call(*placed)
                    found.add((total, *(array.tobytes() for array in placed)))
            assert len(found) == 1, d


def place(arrays, order, gap):
    """Copy arrays into one stretch of memory, in this order and so many entries apart."""
    room = np.zeros(sum(array.size + gap for array in arrays))
    placed = [None] * len(arrays)
    begin = 0
    for k in order:
        end = begin + arrays[k].size
        placed[k] = room[begin:end].reshape(arrays[k].shape)
        placed[k][...] = arrays[k]
        begin = end + gap
    return placed
