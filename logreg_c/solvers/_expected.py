# SPDX-License-Identifier: BSD-3-Clause
r"""The Hessian as it is to be expected: what L-BFGS starts from.

With C the covariance of the columns, or what is known of it (`_column_blocks`), and curvatures h of
the rows, which add up to H, the Hessian is about H C + q where there are many more rows than
columns. Where there are not, its inverse is that of

.. math::

    f C + q, \qquad f = \sum_i \frac{h_i}{1 + h_i \tau}, \qquad
    \tau = \mathrm{tr}\, C (f C + q)^{-1}

on average (Marchenko and Pastur 1967; Rubio and Mestre 2011): :math:`h_i \tau` is about the
leverage of row i, how much of its curvature the other rows do not have. The penalty then counts
much more beside the covariance than H makes it. As a fit goes on predictions become sure and f
smaller, by orders of magnitude; f C + q is made anew as it does.

Columns count from their means, weighted by the curvatures at the start. The bias would otherwise,
with enough columns to make it up from, be a direction of hardly any curvature.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._data import Dense
from .._objective import Objective, Point
from .._validation import Floats
from ._column_blocks import Variances, column_blocks

# By how much f may differ from what it should be.
CLOSE = 1.25
# The least f, in parts of what residuals add up to, which is no less than the curvatures: without a
# penalty on more columns than there are rows there would be none.
LEAST = 1e-3


class Expected:
    """About the inverse of the Hessian near a point. Reads X once or twice, and some rows."""

    def __init__(self, objective: Objective, point: Point, random: np.random.Generator) -> None:
        self._objective = objective
        h = objective.mean_curvature(point)
        self._f = max(float(h.sum()), 1e-300)
        self._means: Floats | None = None
        if objective.fit_bias and isinstance(objective.data, Dense):
            self._means = objective.pull_back(h[None])[0, :-1] / self._f
        variances = None
        if objective.n > objective.D:
            survey = objective.evaluate_and_survey(point.theta, np.ones_like(point.theta))
            variances = (survey[1] - objective.quadratic) / self._f
            variances[:, -1] = 1.0
        blocks = column_blocks(objective, point, random, variances)
        if variances is None:
            variances = np.ones((1, objective.D))
        self._parts = blocks or Variances(variances, objective.quadratic)
        self._used = self._parts.weigh(self._f)

    def adapt(self, point: Point) -> None:
        """Make it anew if f is no longer what it should be. Reads no X."""
        objective, f = self._objective, self._f
        h = objective.mean_curvature(point)
        wanted = float((h / (1.0 + h * (self._used / f))).sum())
        # Rows that are sure of the wrong label have no curvature, and will have some.
        wrong = float(np.abs(objective.data.residuals(point.Z)[1]).sum())
        wanted = max(wanted, LEAST * wrong, 1e-300)
        if not 1.0 / CLOSE < wanted / f < CLOSE and objective.quadratic.any():
            self._f = wanted
            self._used = self._parts.weigh(wanted)

    def __call__(self, g: Floats) -> Floats:
        """Return it times g, or each of several g."""
        return from_means(self._parts.solve, self._means, g)


def from_means(solve: Callable[[Floats], Floats], means: Floats | None, g: Floats) -> Floats:
    """Return an inverse of the Hessian times g, or each of several g.

    `solve` multiplies by that of the Hessian whose columns count from these means.
    """
    if means is None:
        return solve(g)
    moved = g.copy()
    moved[..., :-1] -= g[..., -1:] * means
    s = solve(moved)
    s[..., -1] -= np.einsum("...j,j->...", s[..., :-1], means)
    return s
