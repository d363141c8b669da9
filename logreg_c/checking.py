# SPDX-License-Identifier: BSD-3-Clause
"""Compare the kernels' gradient with the computation graph's and with central differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from . import graph
from ._arrays import EPSILON
from ._compressed import Compressed
from ._entries import examined, transposed
from ._validation import (
    Floats,
    Indices,
    Matrix,
    MatrixLike,
    as_bias,
    as_examples,
    as_floats,
    as_labels,
)
from .api import loss, loss_and_gradient, per_example_gradients

# The graph makes a Python object a number: larger data are checked on evenly spaced rows, and
# central differences are taken for evenly spaced components.
MOST_ENTRIES = 100_000
MOST_COMPONENTS = 100

# What the differences may be: a few roundings of the terms added up, and the error of central
# differences with a step of the cube root of the rounding error.
GRAPH_TOLERANCE = 1e-13
DIFFERENCE_TOLERANCE = 1e-7


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradient` found; prints as a small report.

    `graph_error` and `difference_error` are the largest differences between the kernels' gradient
    and the graph's, and central differences, in units of the mean size of an example's gradient;
    from the second, what the rounding of the losses explains is taken off.
    """

    names: list[str]
    kernel: Floats
    graph: Floats
    difference: Floats
    graph_error: float
    difference_error: float
    n_examples: int
    n_given: int

    @property
    def ok(self) -> bool:
        """Whether both agree to within their tolerances."""
        return self.graph_error <= GRAPH_TOLERANCE and self.difference_error <= DIFFERENCE_TOLERANCE

    def __str__(self) -> str:
        """Return the report."""
        rows = f"{self.n_examples} of {self.n_given} examples"
        lines = [f"{'':>8} {'kernel':>24} {'graph':>24} {'central difference':>24}"]
        for values in zip(self.names, self.kernel, self.graph, self.difference, strict=True):
            name, kernel, graph_, difference = values
            shown = "-" if np.isnan(difference) else f"{difference:.12g}"
            lines.append(f"{name:>8} {kernel:>24.17g} {graph_:>24.17g} {shown:>24}")
        if len(lines) > 25:
            lines[13:-12] = [f"{'...':>8}"]
        verdict = "agree" if self.ok else "DISAGREE"
        lines.append(
            f"on {rows}: {verdict}; largest difference {self.graph_error:.1e} to the graph, "
            f"{self.difference_error:.1e} to central differences, in units of the mean size of an "
            "example's gradient"
        )
        return "\n".join(lines)


def check_gradient(X: MatrixLike, y: ArrayLike, w: ArrayLike, b: float = 0.0) -> GradientCheck:
    """Check the kernels' gradient on your own data: against the graph and central differences.

    Parameters
    ----------
    X : array_like or sparse of shape (n, d)
        Examples in rows; of more than 100,000 entries, evenly spaced rows are taken, and of a
        sparse X the columns that have entries in those.
    y : array_like of shape (n,)
        Labels.
    w : array_like of shape (d,)
        Weights.
    b : float
        Bias.

    Returns
    -------
    GradientCheck
        Print it; or use its attributes ok, kernel, graph, difference, graph_error and
        difference_error.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As `loss_and_gradient`.

    Examples
    --------
    >>> from logreg_c import check_gradient
    >>> check_gradient([[1.0, 2.0], [3.0, -1.0]], [1, 0], w=[0.5, 0.25], b=0.1).ok
    True
    """
    X = as_examples(X)
    n, d = X.shape
    y = as_labels(y, n)
    w = as_floats(w, "w", d, "column")
    b = as_bias(b)
    held, dense, kept, used = _some_rows(X)
    if len(kept) < n:
        y = as_labels(y[kept], len(kept))

    found = loss_and_gradient(held, y, w, b)
    kernel = np.append(found.dw, found.db)
    rows, labels = dense.tolist(), y.astype(np.float64).tolist()
    _, dw, db = graph.loss_and_gradient(rows, labels, w[used].tolist(), b)
    truth = np.zeros(d + 1)
    truth[used], truth[d] = dw, db

    each = per_example_gradients(dense, y, w[used], b)
    size, scale = np.zeros(d + 1), np.ones(d + 1)
    size[used], size[d] = np.abs(each.dw).mean(axis=0), np.abs(each.db).mean()
    # Where all gradients vanish, the rounding of z is what is left to compare with.
    size[used] = np.maximum(size[used], np.abs(dense).mean(axis=0) * 1e-3)
    size[d] = max(size[d], 1e-3)
    size[size == 0] = 1.0
    theta = np.append(w, b)
    scale[used] = np.abs(dense).max(axis=0)
    difference = np.full(d + 1, np.nan)
    difference_error = 0.0
    components = np.append(used, d)
    some = np.linspace(0, len(used), min(len(used) + 1, MOST_COMPONENTS)).astype(int)
    for j in components[np.unique(some)]:
        # A step that moves z by at most the cube root of the rounding error.
        step = EPSILON ** (1 / 3) / (scale[j] or 1.0)
        high, low = theta.copy(), theta.copy()
        high[j] += step
        low[j] -= step
        rise = loss(held, y, high[:d], float(high[d])) - loss(held, y, low[:d], float(low[d]))
        # A step that is lost in the weight itself tells nothing.
        difference[j] = rise / (high[j] - low[j]) if high[j] > low[j] else np.nan
        # What the rounding of the two losses, and of z in them, makes of their difference.
        rounding = 4 * EPSILON * (abs(found.loss) + np.abs(theta) @ scale)
        rounding /= high[j] - low[j] or 1.0
        error = max(0.0, abs(kernel[j] - difference[j]) - rounding) / size[j]
        difference_error = float(np.fmax(difference_error, error))

    return GradientCheck(
        names=[*(f"dw{j}" for j in range(1, d + 1)), "db"],
        kernel=kernel,
        graph=truth,
        difference=difference,
        graph_error=float(np.max(np.abs(kernel - truth) / size)),
        difference_error=difference_error,
        n_examples=len(kept),
        n_given=n,
    )


def _some_rows(
    X: Matrix,
) -> tuple[Matrix, Floats, Indices, Indices]:
    """Return some rows of X: as X is held, and dense; which they are; the dense columns."""
    n, d = X.shape
    if not isinstance(X, Compressed):
        kept = _evenly(n, MOST_ENTRIES // d)
        X = X[kept] if len(kept) < n else X
        return as_examples(X), X.astype(np.float64), kept, np.arange(d)
    by_rows = examined(X, 1).X
    # m rows of h entries have m h columns at most.
    each_row = max(1, len(X.indices) // n)
    kept = _evenly(n, max(MOST_ENTRIES // d, math.isqrt(MOST_ENTRIES // each_row)))
    rows = by_rows.take(kept)
    # One column at least, which may be empty: there is no X without any.
    used = np.unique(np.append(rows.indices, 0)).astype(np.intp)
    narrow = Compressed(
        rows.indptr, np.searchsorted(used, rows.indices), rows.data, (len(kept), len(used)), True
    )
    return rows if X.by_rows else transposed(rows, 1), narrow.dense(), kept, used


def _evenly(n: int, most: int) -> Indices:
    return np.unique(np.linspace(0, n - 1, max(1, min(n, most))).astype(np.intp))
