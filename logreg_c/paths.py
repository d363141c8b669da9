# SPDX-License-Identifier: BSD-3-Clause
"""`regularization_path`: fits from the largest useful penalty down."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arrays import EPSILON
from ._continuation import Continuation, Fitted
from ._objective import Objective, is_finite
from ._penalty import Penalty, as_penalty
from ._progress import Bar
from ._sparse import Sparse
from ._unpenalised import Review
from ._validation import (
    MOST_STRENGTHS,
    Floats,
    MatrixLike,
    as_array,
    as_count,
    as_number,
    explain_not_finite,
    require_callable,
)
from .fitting import ConvergenceWarning, Problem
from .solvers._driver import Goal, Outcome

# With a ridge alone no weight is ever zero: a path begins where at most this part of the deviance
# is explained.
NOTHING_EXPLAINED = 1e-3
# The smallest penalty of a grid, in parts of the largest: for more rows than columns, for fewer,
# and for a ridge alone.
EPS, EPS_WIDE, EPS_RIDGE = 1e-4, 1e-2, 1e-6
# All zeros are left to be seen whatever rounding, or the other tolerance, does to their gradient.
ROUNDED_UP = 1.0 + 1e-6
# How near to its optimum the model without the penalised columns is to be: gradients there are
# about the root of it from what they should be.
NULL_TOL = 1e-14
# How near to its optimum the bias of that model is to be.
BIAS_TOL = 1e-12
# A gradient of no more than so many roundings of its column, times the root of the number of rows,
# is none. Those of constant columns are up to a tenth of that, if labels come in the worst order.
ROUNDINGS = 4.0


@dataclass(frozen=True)
class RegularizationPath:
    """What `regularization_path` returns: an entry a penalty, from the largest down.

    Attributes
    ----------
    penalties : ndarray of shape (m,)
        The strengths, of which `l1_ratio` is L1 and the rest ridge.
    l1_ratio : float
        The share of the L1 penalty.
    w : ndarray of shape (m, d), or (m, K, d) for K classes
        The weights.
    b : ndarray of shape (m,) or (m, K)
        The biases.
    objective : ndarray of shape (m,)
        J.
    gap : ndarray of shape (m,)
        Proved: J - J* is at most this.
    converged : ndarray of shape (m,), bool
        Whether the gap is at most tol · J* (or 1e-15).
    deviance_explained : ndarray of shape (m,)
        1 - deviance / deviance of the model without the penalised columns.
    n_nonzero : ndarray of shape (m,)
        Columns with a weight that is not zero.
    n_iter : ndarray of shape (m,)
        Iterations.
    n_passes : float
        Reads of X of all fits together.
    """

    penalties: Floats
    l1_ratio: float
    w: Floats
    b: Floats
    objective: Floats
    gap: Floats
    converged: NDArray[np.bool_]
    deviance_explained: Floats
    n_nonzero: NDArray[np.intp]
    n_iter: NDArray[np.intp]
    n_passes: float

    def plot(self, ax: Any = None, *, names: Any = None) -> Any:
        """Draw the weights over the penalty, a line a column.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; without it on the current axes.
        names : sequence of str, optional
            Names of all columns, for a legend.

        Returns
        -------
        matplotlib.axes.Axes
            Where it is drawn. For K classes the lines of a column have one colour. A penalty of 0
            has no place on the axis, which is logarithmic if there is another one.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `names` are not as many as columns.
        """
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise ImportError(
                f"a plot needs matplotlib ({error}); python -m pip install matplotlib"
            ) from error
        d = self.w.shape[-1]
        if names is not None and len(names) != d:
            raise ValueError(f"names has {len(names)} entries and the path {d} columns; name all")
        ax = pyplot.gca() if ax is None else ax
        classes = self.w[:, None, :] if self.w.ndim == 2 else self.w
        used = np.flatnonzero(classes.any(axis=(0, 1)))
        for place, j in enumerate(used):
            label = None if names is None else str(names[j])
            lines = ax.plot(self.penalties, classes[:, :, j], color=f"C{place % 10}")
            lines[0].set_label(label)
        if self.penalties.any():
            ax.set_xscale("log")
        if not ax.xaxis_inverted():
            ax.invert_xaxis()
        ax.axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
        ax.set_xlabel("penalty")
        ax.set_ylabel("weight")
        if names is not None and len(used):
            ax.legend()
        return ax


def regularization_path(
    X: MatrixLike,
    y: ArrayLike,
    *,
    l1_ratio: float = 1.0,
    penalties: ArrayLike | None = None,
    n_penalties: int = 100,
    eps: float | None = None,
    penalty_factor: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    fit_intercept: bool = True,
    solver: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state: int = 0,
    callback: Callable[[RegularizationPath], object] | None = None,
    progress: bool = False,
    n_threads: int | None = None,
) -> RegularizationPath:
    r"""Fit a path of penalties, each proved to be as near to its optimum as `tol` asks for.

    .. math::

        J_\lambda(w, b) = \frac{\sum_i s_i L_i}{\sum_i s_i} + \lambda \sum_j f_j
            \left( \rho |w_j| + \frac{1 - \rho}{2} w_j^2 \right)

    with :math:`\rho` the `l1_ratio`: the elastic net as glmnet has it (its alpha is `l1_ratio`),
    and scikit-learn's with :math:`C = 1 / (\lambda \sum_i s_i)`. The path starts where all
    penalised weights are zero and goes down; each fit starts from those before it.

    Parameters
    ----------
    X, y, penalty_factor, lower, upper, sample_weight, offset, fit_intercept
        As in `fit`.
    l1_ratio : float
        Share of the L1 penalty, from 0 (a ridge) to 1 (the lasso).
    penalties : array_like of shape (m,), optional
        The strengths :math:`\lambda`, 0 or above, in any order; they come back from the largest
        down. By default a grid.
    n_penalties : int
        Penalties of the grid, at equal ratios.
    eps : float, optional
        The smallest penalty of the grid, in parts of the largest: 1e-4 by default, 1e-2 for fewer
        rows than columns, 1e-6 for a ridge. The largest is the least at which all penalised
        weights are zero; for a ridge, one at which a thousandth of the deviance is explained at
        most.
    solver, tol, max_iter, random_state, n_threads
        As in `fit`, for each penalty.
    callback : callable, optional
        Called with the `RegularizationPath` so far after each penalty; a true value that it returns
        ends the path there. What it has kept is not lost where Ctrl-C ends the call.
    progress : bool
        Show a bar (needs tqdm).

    Returns
    -------
    RegularizationPath
        penalties, w, b, objective, gap, converged, deviance_explained, n_nonzero, and `plot`.

    Raises
    ------
    ValueError, TypeError, OverflowError, ImportError
        As `fit` does.
    KeyboardInterrupt
        On Ctrl-C, within a fraction of a second.

    Warns
    -----
    ConvergenceWarning
        If fits end without the proof that `tol` asks for; it says which.

    Examples
    --------
    >>> from logreg_c import regularization_path
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 1.0], [4.0, 0.0]], [1, 0, 0, 1, 1]
    >>> path = regularization_path(X, y, n_penalties=3, eps=0.1)
    >>> path.penalties.round(4), path.n_nonzero.tolist()
    (array([0.2   , 0.0632, 0.02  ]), [0, 1, 2])
    """
    problem = Problem(X, y, sample_weight, offset, fit_intercept, random_state, n_threads)
    ratio = as_number(l1_ratio, "l1_ratio", least=0.0)
    if ratio > 1.0:
        raise ValueError(f"l1_ratio is {ratio:g}; give a share from 0 to 1")
    goal = Goal(as_number(tol, "tol", above=0.0))
    require_callable(callback, "callback")
    continuation = Continuation(solver, goal, as_count(max_iter, "max_iter"))
    one = as_penalty(1.0, 1.0, penalty_factor, lower, upper, problem.data.d)
    null = _null_model(problem, one)
    null_loss, saturated = problem.data.residuals(null.point.Z)[0], _saturated(problem)
    count, part = as_count(n_penalties, "n_penalties", MOST_STRENGTHS), _eps(eps, problem, ratio)
    if penalties is None:
        largest = _largest(null, one, ratio, null_loss - saturated)
        if not part * largest > 0.0:
            raise ValueError(f"eps is {eps}, and times {largest:g} that is 0; give a larger one")
        grid = np.geomspace(largest, part * largest, count)
    else:
        grid = _as_penalties(penalties)
    # Fits are let go but for the last two: of many columns each is many megabytes.
    before, older = None, None
    w, b = (np.empty((len(grid), *np.shape(part))) for part in null.posed.w_and_b(null.point))
    losses, objective, gap = np.empty((3, len(grid)))
    n_nonzero = np.empty(len(grid), dtype=int)
    n_iter: list[int] = []
    outcomes: list[tuple[bool, str]] = []

    def so_far() -> RegularizationPath:
        done = slice(len(n_iter))
        return RegularizationPath(
            grid[done], ratio, w[done], b[done], objective[done], gap[done],
            np.array([converged for converged, _ in outcomes]),
            (null_loss - losses[done]) / max(null_loss - saturated, 1e-300),
            n_nonzero[done], np.array(n_iter), problem.data.meter.reads,
        )  # fmt: skip

    with Bar("path", "penalty", len(grid), progress) as bar:
        for k, strength in enumerate(grid):
            penalty = one._replace(l1=ratio * float(strength), l2=(1.0 - ratio) * float(strength))
            posed = problem.pose(penalty)
            # All penalised weights are zero in the null model, whatever the penalty.
            start = null._replace(posed=posed) if before is None else before
            now = continuation.fit_next(posed, start, older)
            outcome = now.review.outcome
            w[k], b[k] = posed.w_and_b(now.point)
            n_nonzero[k] = np.count_nonzero(w[k] if w.ndim == 2 else w[k].any(axis=0))
            losses[k] = posed.objective.loss(now.point)
            objective[k] = now.point.J
            gap[k] = max(now.point.J - outcome.lower, 0.0)
            n_iter.append(now.n_iter)
            outcomes.append((outcome.converged, outcome.reason))
            before, older = now, before
            bar.update(1)
            if callback is not None and callback(so_far()):
                break
    path = so_far()
    if not path.converged.all():
        bad = int(np.argmin(path.converged))
        warnings.warn(
            f"{np.count_nonzero(~path.converged)} of {len(n_iter)} fits did not converge to "
            f"tol={tol:g}, the first at penalty {grid[bad]:.6g}: {outcomes[bad][1]}",
            ConvergenceWarning,
            stacklevel=2,
        )
    return path


def _as_penalties(penalties: ArrayLike) -> Floats:
    """Return the strengths from the largest down."""
    array = as_array(penalties, "penalties").astype(np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"penalties has shape {array.shape}; give a list of strengths")
    bad = ~((array >= 0.0) & (array < np.inf))
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"penalties[{i}] is {array[i]}; give finite numbers of 0 or above")
    return np.ascontiguousarray(np.sort(array)[::-1])


def _eps(eps: Any, problem: Problem, ratio: float) -> float:
    """Return the smallest penalty in parts of the largest."""
    if eps is None:
        if ratio == 0.0:
            return EPS_RIDGE
        return EPS if problem.data.n > problem.data.d else EPS_WIDE
    number = as_number(eps, "eps", above=0.0)
    if number > 1.0:
        raise ValueError(f"eps is {number:g}; give a number up to 1, the smallest over the largest")
    return number


def _null_model(problem: Problem, penalty: Penalty) -> Fitted:
    """Fit the bias and what is not penalised."""
    if penalty.factor is not None and not penalty.factor.all():
        held = penalty.factor > 0.0
        lower = np.where(held, 0.0, -np.inf if penalty.lower is None else penalty.lower)
        upper = np.where(held, 0.0, np.inf if penalty.upper is None else penalty.upper)
        posed = problem.pose(penalty._replace(l1=0.0, l2=0.0, lower=lower, upper=upper))
        return Continuation("auto", Goal(NULL_TOL), 100).fit(posed, posed.null())
    posed = problem.pose(penalty)
    point = posed.objective.evaluate(posed.null(BIAS_TOL))
    if not is_finite(point):
        explain_not_finite(problem.X, np.zeros(problem.data.d), 0.0)
    return Fitted(posed, Review(Outcome(point, point.J, True, "", "", ()), None, ()), 0)


def _largest(null: Fitted, penalty: Penalty, ratio: float, deviance: float) -> float:
    """Return the largest penalty worth fitting, from the gradient without any."""
    objective = null.posed.objective
    g = null.point.gradient[:, :-1] / objective.scale
    g[np.abs(g) <= _rounding(objective)] = 0.0
    # No weight leaves 0 through a bound.
    up = -g if penalty.upper is None else np.where(penalty.upper > 0.0, -g, 0.0)
    down = g if penalty.lower is None else np.where(penalty.lower < 0.0, g, 0.0)
    slope = np.maximum(up, down)
    strength = np.ones(slope.shape[1]) if penalty.factor is None else penalty.factor
    penalised = strength > 0.0
    slope, strength = np.maximum(slope[:, penalised], 0.0), strength[penalised]
    if ratio > 0.0:
        largest = ROUNDED_UP * float((slope / strength).max(initial=0.0)) / ratio
    else:
        # The loss falls by at most g·w, with w no longer than g / l2.
        fall = float((slope * slope / strength).sum())
        largest = fall / (NOTHING_EXPLAINED * max(deviance, 1e-300))
    if not largest > 0.0:
        if not penalised.any():
            what = "penalty_factor is 0 for every column"
        elif null.review.separated is not None:
            what = null.review.separated.reason
        elif not slope.any() and g[:, penalised].any():
            what = "lower and upper keep every penalised weight at 0"
        else:
            what = "no penalised column of X has anything to do with y, beyond rounding"
        raise ValueError(f"{what}, so there is no largest penalty for a grid; give penalties")
    return largest


def _rounding(objective: Objective) -> Floats | float:
    """Return what is no gradient of a column, but rounding of the terms that add up to it."""
    data = objective.data
    size: Floats | float
    if isinstance(data, Sparse):
        size = np.sqrt(data.diagonal(np.full((1, data.n), data.shares()))[0, :-1])
    else:
        size = np.hypot(objective.center, 1.0 / objective.scale)
    return ROUNDINGS * math.sqrt(data.n) * EPSILON * size


def _saturated(problem: Problem) -> float:
    """Return the loss of a model that predicts the labels themselves: 0 unless they are soft."""
    data = problem.data
    if data.y.ndim == 1:
        return 0.0
    parts = data.y if data.K > 1 else np.concatenate((data.y, 1.0 - data.y))
    entropy = -(parts * np.log(np.maximum(parts, 1e-300))).sum(axis=0)
    s = data.sample_weight
    return float((entropy if s is None else entropy * s).sum()) / data.total
