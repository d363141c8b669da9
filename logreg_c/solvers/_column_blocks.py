# SPDX-License-Identifier: BSD-3-Clause
"""The covariance of columns: that of neighbours, or their variances.

Columns that stand side by side in a table often belong together: moments, places, pixels, powers of
one thing. Blocks along the diagonal then hold much of what makes the Hessian ill-conditioned, for
the price of a few passes.

Either has a factor of f C + q, for `_expected`.
"""

from __future__ import annotations

import numpy as np

from .._arrays import diagonal_of, floored, inner
from .._data import Dense
from .._factor import BlockFactor, Factor
from .._objective import Objective, Point
from .._validation import Floats, Indices

# Columns of a block; rows that it is made of for each of them, if there are as many, and at least.
# With fewer a block is made of accidents.
WIDTH, ROWS, LEAST_ROWS = 100, 20, 10
# Blocks that tell whether the others are worth making where the diagonal is known.
TRIED = 5
# What is left of a column's curvature given those before it in its block, as -log, on average.
# Accidents make 0.03 of it; from 0.1 on fits took fewer passes, at 0.3, a correlation of 0.5 from
# each column to the next, a tenth to a third.
TELLING = 0.1
# Added to the diagonal, in parts of it: what dependent columns share is rounding.
DEPENDENT = 1e-8


class Variances:
    """C is diagonal, (K, D) or (1, D)."""

    def __init__(self, variances: Floats, quadratic: Floats) -> None:
        self._variances = floored(variances)
        self._quadratic = quadratic
        self._diagonal = self._variances

    def weigh(self, f: float) -> float:
        """Make f C + q, and return the trace of its inverse times f C, without the bias."""
        weighed = f * self._variances
        self._diagonal = weighed + self._quadratic
        return float((weighed / self._diagonal)[:, :-1].sum(axis=1).mean())

    def solve(self, v: Floats) -> Floats:
        """Return (f C + q)^-1 v."""
        return np.asarray(v / self._diagonal)


class ColumnBlocks:
    """C has blocks of neighbouring columns, shared by all classes, and the bias alone.

    Parameters
    ----------
    grams : ndarray of shape (blocks, the entries of the largest one)
        The blocks of C, each at the beginning of its row.
    ends : ndarray of shape (blocks + 1,)
        Where they begin and end.
    quadratic : ndarray of shape (D,)
        The diagonal q.
    signs : ndarray of shape (1, D)
        Random signs, 0 for the bias, which a trace is estimated with.
    threads : int
        How many may share the work.
    """

    def __init__(
        self,
        grams: Floats,
        ends: Indices,
        quadratic: Floats,
        signs: Floats,
        threads: int,
    ) -> None:
        self._grams, self._quadratic, self._signs = grams, quadratic, signs
        self._factor = BlockFactor(ends, threads)

    def weigh(self, f: float) -> float:
        """Make f C + q, and return about the trace of its inverse times f C, without the bias."""
        self._factor.make(self._grams, f, self._quadratic)
        signs = self._signs
        # By Hutchinson's estimate: its error is the square root of twice what it is.
        penalised = inner(signs * self._quadratic, self._factor.solve(signs))
        return max(signs.size - 1.0 - penalised, 0.0)

    def solve(self, v: Floats) -> Floats:
        """Return (f C + q)^-1 v."""
        return self._factor.solve(v)


def column_blocks(
    objective: Objective,
    point: Point,
    random: np.random.Generator,
    known: Floats | None,
) -> ColumnBlocks | None:
    """Return blocks for curvatures that add up to one; None if of no use.

    Reads some rows of X. Where the variances are `known`, (K, D), those of the blocks are raised
    to them, for columns that are rare in those rows, and blocks have to tell more than they do.
    """
    data, n, d = objective.data, objective.n, objective.D - 1
    if not isinstance(data, Dense) or n < LEAST_ROWS * min(WIDTH, d) or d < 2:
        return None
    rows = np.sort(random.choice(n, ROWS * WIDTH, False) if n > ROWS * WIDTH else np.arange(n))
    a = data.predictions(point.margins_of(rows))
    h: Floats = (a * (1.0 - a)).mean(axis=0)
    if data.sample_weight is not None:
        h *= data.sample_weight[rows]
    h /= max(float(h.sum()), 1e-300)
    count = max(1, round(d / WIDTH))
    ends = np.append(np.linspace(0, d, count + 1).astype(np.intp), d + 1)
    widths = np.diff(ends)
    grams = np.zeros((count + 1, int(widths.max()) ** 2))
    grams[count, 0] = 1.0

    def make(which: Indices) -> None:
        data.block_grams(rows, h, objective.center, objective.scale, ends, which, grams)
        for k in which:
            diagonal = grams[k, : widths[k] ** 2 : widths[k] + 1]
            diagonal *= 1.0 + DEPENDENT
            if known is not None:
                columns = slice(ends[k], ends[k + 1])
                np.maximum(diagonal, known[:, columns].mean(axis=0), out=diagonal)

    def told(k: np.intp) -> float:
        width = int(widths[k])
        H = f * grams[k, : width**2].reshape(width, width)
        diagonal_of(H)[:] += objective.quadratic[ends[k] : ends[k + 1]]
        return Factor(H, 1).left()

    tried = np.arange(0, count, -(-count // TRIED), dtype=np.intp)
    make(tried)
    if known is not None:
        f = float(objective.mean_curvature(point).sum())
        try:
            if np.mean([told(k) for k in tried]) < TELLING:
                return None
        except FloatingPointError:
            return None
    make(np.setdiff1d(np.arange(count, dtype=np.intp), tried))
    signs = np.append(random.choice([-1.0, 1.0], d), 0.0)[None]
    return ColumnBlocks(grams, ends, objective.quadratic, signs, data.threads)
