# SPDX-License-Identifier: BSD-3-Clause
r"""The Hessian of sparse data in part: head and tail, and one-hot fields exactly.

The columns of a one-hot field, divided by their entries, add up to 1 in every row, and so does the
bias. Differences of these change no margin: only the penalty bends J along them, which no diagonal
can tell, and the bias is one of their sums, so that columns are left as they are. With Z the
combinations and the bias, :math:`X Z = 1` gives
:math:`H Z = (X'h) 1' + q Z` without a look at X, and Z is solved exactly (Tang, Nabben, Vuik,
Erlangga 2009, "A-DEF2"):

.. math::

    M = Q + (I - Q H) B (I - H Q), \qquad Q = Z (Z'HZ)^{-1} Z'

B being head and tail. With several classes all share the mean of their curvatures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._arrays import inner
from .._entries import Fields
from .._objective import Objective, Point
from .._validation import Floats, Indices
from ._head_and_tail import HEAD_COLUMNS, HeadAndTail, rows_for
from ._price import price_of_step, size_of_factor

# Columns of a head, at most.
MOST_COLUMNS = 2000
# A larger head's factor is to cost no more than this part of the iterations that were slow.
WORTH = 0.5


class Partial:
    """About an inverse of the Hessian as it was at the point of the last `refresh`.

    Parameters
    ----------
    objective : Objective
        Over sparse data.
    random : Generator
        Draws the rows of the sample.
    """

    # It takes half a pass to one, and a factor; what it saves is a fifth at most, for the pairs of
    # L-BFGS have learnt by then what the sample of another point could tell.
    pays = 5.0

    def __init__(self, objective: Objective, random: np.random.Generator) -> None:
        self._objective = objective
        self._random = random
        self._rows: Indices | None = None
        self._deflation: Deflation | None = None
        self.resize(HEAD_COLUMNS)

    def resize(self, k: int) -> None:
        """Take so many columns from the next refresh on."""
        self._k = min(k, self._objective.D - 1)
        self._rows = rows_for(self._k, self._objective.n, self._random)

    def grow(self, count: int) -> bool:
        """Take a head up to four times as large, from the next refresh on, if that is to be had.

        `count` iterations have not been enough.
        """
        most = size_of_factor(WORTH * count * price_of_step(self._objective))
        k = min(4 * self._k, MOST_COLUMNS, self._objective.D - 1, most)
        if k <= self._k:
            return False
        self.resize(k)
        return True

    def refresh(self, point: Point) -> None:
        """Take the Hessian at a point."""
        objective, fields = self._objective, self._objective.sparse.fields
        self._hessian = hessian = HeadAndTail(
            objective, objective.mean_curvature(point), self._k, self._rows, centred=fields is None
        )
        self._deflation = None
        if fields is not None:
            deflation = Deflation(objective, fields, hessian.h, hessian.diagonal)
            self._deflation = deflation if deflation.useful else None

    def apply(self, g: Floats) -> Floats:
        """Return about the inverse of the Hessian times g."""
        if self._deflation is None:
            out = self._hessian.apply(g)
        else:
            out = np.stack([self._deflation.apply(row, self._hessian.apply) for row in g])
        return self._objective.project(out)

    def lower_bound(self, point: Point, gap: float) -> None:
        """Return that it has no bound of its own: a step leaves too much of the residual."""


class Deflation:
    """The directions of fields and bias, Z, solved exactly; for a single class's row of theta."""

    def __init__(self, objective: Objective, fields: Fields, h: Floats, diagonal: Floats) -> None:
        D = objective.D
        self._quadratic = objective.quadratic
        self._fit_bias = objective.fit_bias
        self._edges = np.stack((fields.first, fields.last), axis=1).ravel()
        self._field = np.full(D, len(fields.first))
        for f, (first, last) in enumerate(zip(fields.first, fields.last, strict=True)):
            self._field[first:last] = f
        self._z = np.append(fields.combination / objective.scale, 0.0)
        self._z[self._field == len(fields.first)] = 0.0
        # X'h and the sum of h: what H does to the bias.
        self._column = objective.mean_column(h, diagonal)
        self._total = float(np.add.reduce(h))
        self._ridge = self._sums(self._quadratic * self._z * self._z)
        self.useful = bool((self._ridge > 0.0).all())

    def _sums(self, r: Floats) -> Floats:
        """Return the sum over each field."""
        return np.asarray(np.add.reduceat(r, self._edges)[::2])

    def _spread(self, c: Floats, bias: float) -> Floats:
        """Return Z times the coefficients of fields and bias."""
        out: Floats = self._z * np.append(c, 0.0)[self._field]
        out[-1] = bias
        return out

    def _solve(self, t: Floats, bias: float) -> tuple[Floats, float]:
        """Return (Z'HZ)^-1 times (t, bias); that matrix is total · 11' + the diagonal `ridge`."""
        if self._fit_bias:
            c = (t - bias) / self._ridge
            return c, bias / self._total - float(c.sum())
        c = t / self._ridge
        part = self._total / (1.0 + self._total * float((1.0 / self._ridge).sum()))
        return c - part * float(c.sum()) / self._ridge, 0.0

    def apply(self, r: Floats, split: Callable[[Floats], Floats]) -> Floats:
        """Return M r, given B."""
        c, bias = self._solve(self._sums(self._z * r), float(r[-1]))
        exact = self._spread(c, bias)
        left = r - self._column * (float(c.sum()) + bias) - self._quadratic * exact
        y = split(left)
        along = inner(self._column, y)
        c, bias = self._solve(along + self._sums(self._z * self._quadratic * y), along)
        return exact + y - self._spread(c, bias)
