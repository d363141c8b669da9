# SPDX-License-Identifier: BSD-3-Clause
"""Which rows make a sample, and what each stands for."""

from __future__ import annotations

import math

import numpy as np

from . import _kernels
from ._examples import Examples
from ._validation import Floats, Indices

# The part of an importance sample's probability that is the same for every row.
UNIFORM_MIX = 0.3
# A row of this many times the importance that makes a probability 1 has that with the mix too.
CERTAIN = 2.0


def _class_rows(data: Examples) -> list[Indices]:
    """Return the rows of each class; a soft label belongs to its likeliest class."""
    if data.K == 1:
        positive = data.y[0] > 0.5
        return [np.flatnonzero(~positive), np.flatnonzero(positive)]
    ids = data.y if data.y.ndim == 1 else data.y.argmax(axis=0)
    order = np.argsort(ids, kind="stable")
    ends = np.cumsum(np.bincount(ids, minlength=data.K))[:-1]
    return np.split(order, ends)


def spread_out(count: int, n: int, random: np.random.Generator) -> Indices:
    """Draw a number below n from each of `count` ranges of equal length, in their order.

    As random as any draw for what stands anywhere, and quicker to read than rows in no order.
    """
    ends = np.arange(count + 1) * n // count
    drawn: Indices = ends[:-1] + (random.random(count) * np.diff(ends)).astype(np.intp)
    return drawn


def stratified(data: Examples, m: int, random: np.random.Generator) -> tuple[Indices, Floats]:
    """Draw about m rows, no class less than a part of its equal share, in random order.

    Returns the rows and 1 / probability of each: case-control sampling with weights that correct
    the shares (King and Zeng 2001). Every prefix is such a sample too, but for its weights.
    """
    classes = [rows for rows in _class_rows(data) if len(rows)]
    least = 0.4 * m / len(classes)
    chosen, weights = [], []
    for rows in classes:
        count = min(len(rows), int(max(least, m * len(rows) / data.n)) + 1)
        chosen.append(rows[spread_out(count, len(rows), random)])
        weights.append(np.full(count, len(rows) / count))
    order = random.permutation(sum(len(rows) for rows in chosen))
    return np.concatenate(chosen)[order], np.concatenate(weights)[order]


def by_importance(
    importance: Floats, m: int, random: np.random.Generator
) -> tuple[Indices, Floats]:
    """Draw about m rows with probabilities min(1, k (importance / mean + 0.3)).

    Rows that matter for a column of their own are taken for certain, and count in the mean no more
    than that takes: where few rows seem to matter more than all others, these are drawn as if they
    were not there. Systematic sampling: one random number, rows at equal distances of accumulated
    probability. Returns rows, in their order, and 1 / probability of each. Overwrites importance.

    Raises
    ------
    FloatingPointError
        If an importance is not finite, as where all predictions are 0 or 1 to rounding.
    """
    n = len(importance)
    before, mean = math.inf, float(importance.mean())
    if not math.isfinite(mean):
        raise FloatingPointError("the rows' leverages are not finite")
    while mean < 0.9 * before:
        np.minimum(importance, CERTAIN * n / max(m, 1) * mean, out=importance)
        before, mean = mean, float(importance.mean())
    size = np.multiply(importance, 1.0 / max(mean, 1e-300), out=importance)
    size += UNIFORM_MIX
    total = float(size.sum())
    k, expected = max(m, 1) / total, float(m)
    for _ in range(20):
        certain = size[size >= 1.0 / k]
        rest = total - float(certain.sum())
        expected = len(certain) + k * rest
        if len(certain) == 0 or len(certain) >= m or rest <= 0.0:
            break
        better = (m - len(certain)) / rest
        if better <= k * (1.0 + 1e-3):
            break
        k = better
    rows = np.empty(min(n, int(expected) + 2), dtype=np.intp)
    weight = np.empty(len(rows))
    count = _kernels.kernels.draw(size, k, float(random.random()), rows, weight)
    return rows[:count], weight[:count]
