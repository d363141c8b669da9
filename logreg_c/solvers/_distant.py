# SPDX-License-Identifier: BSD-3-Clause
r"""Columns so far below an L1 penalty that a bound on their gradient does in place of a read.

Where the gradient :math:`g = X'R` of all columns is known for some dual variables R, those for
other ones R' are within, for any c,

.. math::

    |x_j' R'| \le |c g_j| + \sqrt{\sum_i p_i x_{ij}^2} \sqrt{\sum_i (R'_i - c R_i)^2 / p_i},

with the shares p of the rows (Cauchy and Schwarz). As long as that is below the penalty of a column
it adds nothing to the bound of a certificate, and cannot get a weight. On the way down a path, with
the c that leaves least, it holds for nearly all of many columns and for tens of penalties.
"""

from __future__ import annotations

import math

import numpy as np

from .._arrays import EPSILON, inner
from .._objective import Objective
from .._validation import Floats, Indices

# Columns near the penalty at first, how many for each one with a weight, and what part of X they
# may be.
FIRST, EACH, PART = 1000, 4, 0.25
# The parts of the bound's two terms in whose sums columns are looked for that are above others in
# both, and how many columns are few enough.
MIXED, FEW = (0.5, 0.0, 1.0, 0.1, 0.9, 0.3, 0.7), 100
# What the bound is to leave of the penalty for rounding.
LEFT = 1e-9


class Distant:
    """What is known of the columns of one X that are not near.

    Parameters
    ----------
    objective : Objective
        With an L1 penalty on every column, no bounds and no offset.
    """

    def __init__(self, objective: Objective) -> None:
        # Where all predictions are the same, curvatures are the shares times a number.
        start = objective.start()
        curvatures = objective.evaluate_and_survey(start, np.ones_like(start))[1]
        same = 1.0 / max(objective.K, 2)
        squares = (curvatures[0] - objective.quadratic) / (same * (1.0 - same))
        self._length = np.sqrt(np.maximum(squares[:-1], 0.0))
        s = objective.data.sample_weight
        total = objective.data.total
        self._inverse = total if s is None else np.divide(
            total, s, out=np.zeros_like(s), where=s > 0.0
        )  # fmt: skip
        self._worthwhile = True
        self.columns: Indices | None = None

    @staticmethod
    def suits(objective: Objective) -> bool:
        """Whether there are many columns, all of them penalised."""
        kinks = objective.nonsmooth
        if kinks is None or PART * (objective.D - 1) < FIRST or objective.data.offset is not None:
            return False
        bounded = np.isfinite(kinks.lower).any() or np.isfinite(kinks.upper).any()
        return not bounded and bool((kinks.l1[:-1] > 0.0).all())

    def refer(self, objective: Objective, R: Floats, g: Floats, used: Indices) -> None:
        """Know from here on what g = X'R is, and choose the columns near; `used` are some of them.

        There are none where they would be too large a part of X.
        """
        assert objective.nonsmooth is not None
        self.columns = None
        count = max(FIRST, EACH * len(used))
        self._worthwhile &= count <= PART * (objective.D - 1)
        if not self._worthwhile:
            return
        l1 = objective.nonsmooth.l1[:-1]
        # The rounding of sums over rows is that of the columns as they are.
        size = np.abs(g[:, :-1]).max(axis=0) + objective.n * EPSILON * objective.shift
        size, length = size / l1, self._length / l1
        slack = np.full(len(l1), math.inf)
        np.divide(1.0 - size, length, out=slack, where=length > 0.0)
        slack[used] = -math.inf
        near = np.sort(np.argpartition(slack, count)[:count])
        copy = objective.columns(near)
        self._worthwhile = copy.data.size <= PART * objective.data.size
        if self._worthwhile:
            far = np.ones(len(l1), dtype=bool)
            far[near] = False
            self._R, self._norm = R, self._product(R, R)
            self._l1, self._copy, self.columns = l1, copy, near
            self._size, self._far_length = _largest(size[far], length[far])

    def near(self, objective: Objective) -> Objective:
        """Return the objective for the columns near."""
        assert self.columns is not None
        return objective.columns(self.columns, self._copy)

    def are_below(self, R: Floats, l1: Floats) -> bool:
        """Whether the gradients of all columns that are not near are proved to be below l1."""
        c = self._product(R, self._R) / self._norm if self._norm > 0.0 else 0.0
        change = R - c * self._R
        away = math.sqrt(max(self._product(e[None], e[None]) for e in change))
        # R is no longer than 1, and so much of it is rounding.
        away += 4.0 * EPSILON * R.size
        most = float((abs(c) * self._size + away * self._far_length).max(initial=0.0))
        # All penalties of a path are the same multiple of what they were.
        return most <= (1.0 - LEFT) * float(l1[0] / self._l1[0])

    def _product(self, u: Floats, v: Floats) -> float:
        """Return the sum of u v / p."""
        return inner(u * self._inverse, v)


def _largest(size: Floats, length: Floats) -> tuple[Floats, Floats]:
    """Leave out pairs that are below another one in both; most of them, not all."""
    for part in MIXED:
        if len(size) > FEW:
            i = int(np.argmax(part * size + (1.0 - part) * length))
            kept = (size > size[i]) | (length > length[i])
            kept[i] = True
            size, length = size[kept], length[kept]
    return size, length
