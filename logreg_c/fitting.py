# SPDX-License-Identifier: BSD-3-Clause
"""`fit`: to the optimum, with a proof of how near."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _kernels
from ._certificate import all_held
from ._collinear import near_dependencies
from ._compressed import Compressed
from ._condensed import is_better_dense
from ._coordinates import (
    LARGEST_SCALE,
    LARGEST_SPREAD,
    Coordinates,
    dense_coordinates,
    sparse_coordinates,
)
from ._data import Dense
from ._entries import examined
from ._examples import Examples
from ._integers import as_integer
from ._kept import MemoryThatStays
from ._names import Names
from ._objective import Objective, Point
from ._penalty import Penalty, as_penalty
from ._progress import Bar
from ._separation import Separated, columns_of
from ._sparse import Sparse
from ._targets import Targets, as_targets
from ._unpenalised import (
    OnlyBounded,
    Review,
    Unpenalised,
    separated_by,
    without_optimum,
    without_overlooked,
)
from ._validation import (
    Floats,
    MatrixLike,
    as_array,
    as_count,
    as_examples,
    as_flag,
    as_number,
    as_sample_weight,
    explain_not_finite,
    require_callable,
)
from .solvers import SOLVERS, choose, require_solver
from .solvers._driver import Goal, NotFiniteError, Record, Solver, drive

# How near the bias of a start is to be to the best one beside offsets.
ROUGHLY = 0.1


class ConvergenceWarning(RuntimeWarning):
    """A fit ended without the proof that was asked for."""


class SeparationWarning(ConvergenceWarning):
    """A fit without a penalty has no finite optimum: the classes can be separated."""


@dataclass(frozen=True)
class FitResult:
    """What `fit` returns.

    Attributes
    ----------
    w : ndarray of shape (d,), or (K, d) for K classes
        The weights.
    b : float, or ndarray of shape (K,)
        The bias.
    objective : float
        J at w and b.
    gap : float
        Proved: J - J* is at most this, and never more than J.
    converged : bool
        Whether there is an optimum and the gap is at most tol · J* (or 1e-15).
    reason : str
        Why the fit ended, in words.
    n_iter : int
        Iterations of the solver.
    n_passes : float
        Reads of X, samples counted pro rata.
    history : tuple of Record
        n_iter, n_passes, objective and gap after each iteration.
    solver : str
        The solver that ended the fit.
    dependent : tuple of int
        Without a penalty, the columns with a part in an exact dependency, among columns or with
        the bias: w is then the shortest of many solutions. Looked for among up to 1,500 columns.
    direction : tuple or None
        Where no optimum is finite, a w and a b such that adding more and more of them lowers J
        without end; nearly so where `reason` says "almost surely".
    """

    w: Floats
    b: Any
    objective: float
    gap: float
    converged: bool
    reason: str
    n_iter: int
    n_passes: float
    history: tuple[Record, ...] = field(repr=False)
    solver: str
    dependent: tuple[int, ...] = ()
    direction: tuple[Floats, Any] | None = None


@dataclass(frozen=True)
class FitState:
    """What `callback` is shown after each iteration: copies, and J's record so far.

    J may be that of an X rounded to float32 until shortly before a fit by "lbfgs" ends; where one
    is stopped before that, the result has J of X itself.
    """

    n_iter: int
    n_passes: float
    objective: float
    gap: float
    w: Floats
    b: Any


def _offsets(offset: Any, n: int, targets: Targets) -> Floats | None:
    if offset is None:
        return None
    array = as_array(offset, "offset")
    wanted = (n,) if targets.K == 1 and not targets.pair else (n, targets.columns)
    if array.shape != wanted:
        raise ValueError(f"offset has shape {array.shape}; give {wanted}, an entry per row of X")
    if not np.isfinite(array).all():
        raise ValueError("offset has entries that are not finite; give finite numbers")
    array = array.astype(np.float64)
    if targets.pair:
        return np.ascontiguousarray(array[:, 1] - array[:, 0])[None, :]
    return np.ascontiguousarray(array.reshape(n, targets.K).T)


def _bias_alone(data: Examples, b: Floats, enough: float) -> Floats:
    """Return the biases that are best beside offsets, by Newton's method from b. Reads no X."""
    loss, R = data.residuals(data.bias_margins(b))
    share = np.ones(data.n) * data.shares()
    for _ in range(100):
        gradient = R.sum(axis=1)
        a = data.predictions(data.bias_margins(b))
        H = np.diag((a * share).sum(axis=1)) - np.einsum("ki,li,i->kl", a, a, share)
        step = np.linalg.lstsq(H, gradient, rcond=1e-12)[0]
        new, R = data.residuals(data.bias_margins(b - step))
        while not new <= loss and np.abs(step).max() > enough:
            step = 0.5 * step
            new, R = data.residuals(data.bias_margins(b - step))
        b, loss = b - step, new
        if np.abs(step).max() <= enough:
            break
    return b


def fit(
    X: MatrixLike,
    y: ArrayLike,
    *,
    l2: float = 0.0,
    l1: float = 0.0,
    penalty_factor: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    fit_intercept: bool = True,
    w0: ArrayLike | None = None,
    b0: ArrayLike | None = None,
    solver: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state: int = 0,
    callback: Callable[[FitState], object] | None = None,
    progress: bool = False,
    n_threads: int | None = None,
) -> FitResult:
    r"""Minimise the averaged cross-entropy and prove how near to the optimum the result is.

    .. math::

        J(w, b) = \frac{\sum_i s_i L_i}{\sum_i s_i}
            + \sum_j f_j \left( \frac{l_2}{2} w_j^2 + l_1 |w_j| \right), \qquad
        L_i = -\sum_k y_{ik} \log a_{ik}

    with :math:`a_i = \sigma(x_i w + b)` for two classes and
    :math:`a_i = \mathrm{softmax}(W x_i + b)` for K. Columns are taken as they are: nothing has to
    be scaled, and scaling changes what a penalty means.

    Parameters
    ----------
    X : array_like or sparse of shape (n, d)
        Examples in rows; float32 or float64, C- or Fortran-contiguous or CSR, is used as it is,
        but for a CSR that is small or hardly sparse, of which there is a dense copy.
    y : array_like of shape (n,) or (n, K)
        Labels 0 and 1, booleans, or probabilities in [0, 1]; or classes 0 to K - 1; or a row of
        K probabilities an example.
    l2 : float
        Strength of the ridge penalty, 0 or above; scikit-learn's C is 1 / (l2 · sum of s). The
        bias is never penalised.
    l1 : float
        Strength of the L1 penalty, 0 or above, which makes weights exactly 0. With both it is the
        elastic net.
    penalty_factor : array_like of shape (d,), optional
        What both are multiplied by for each column, 0 or above; 0 is never penalised.
    lower, upper : float or array_like of shape (d,), optional
        Bounds of the weights, on each side of 0; the same for all classes.
    sample_weight : array_like of shape (n,), optional
        Weights s of the examples, none negative, not all 0.
    offset : array_like of shape (n,) or (n, K), optional
        Added to the margins Xw + b.
    fit_intercept : bool
        Whether there is a bias. Without it b is 0.
    w0, b0 : array_like, optional
        Where to start, of the shapes of w and b. Solvers that start from samples take it as the
        start for those.
    solver : str
        "newton" (all rows' Hessian, factored), "sampled" (samples of rows, corrected by full
        passes), "blocks" (a factor per class), "compressed" (in the space of the examples, for
        n below d), "lbfgs", "newton-cg", "preconditioned" (sparse X alone), "gradient-descent",
        "working-set" (L1 penalties and bounds alone); or "auto", which chooses by n, d, K and the
        penalty: `logreg_c.solvers.choose` has the rule.
    tol : float
        The fit ends when J - J* is proved to be at most tol · J*, or 1e-15.
    max_iter : int
        Most iterations.
    random_state : int
        Seed of the samples. The same call gives the same bits, with any number of threads.
    callback : callable, optional
        Called with a `FitState` (copies) after each iteration; a true return value stops.
    progress : bool
        Show a bar (needs tqdm).
    n_threads : int, optional
        Threads of this call; see `set_num_threads` for the default.

    Returns
    -------
    FitResult
        w, b, objective, gap, converged, reason, n_iter, n_passes, history, solver, dependent,
        direction.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or something is not a finite number; the message names it.
    OverflowError
        If XW + b is beyond the range of float64 where the fit starts.
    ImportError
        If progress is asked for and tqdm is not installed.
    KeyboardInterrupt
        On Ctrl-C, within a fraction of a second. Use a callback to keep what is there so far.

    Warns
    -----
    ConvergenceWarning
        If the fit ends without the proof that `tol` asks for.
    SeparationWarning
        If there is no penalty and the classes can be separated, so that no optimum is finite.

    Notes
    -----
    The proof is a lower bound on J* by Fenchel duality: the dual variables a - y, moved for all
    rows or some along a Newton direction until they are feasible, bound J* from below whatever
    the data. It costs about one read of X, and no read where a sample proves it.

    Examples
    --------
    >>> from logreg_c import fit
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
    >>> result = fit(X, y, l2=0.25)
    >>> result.w.round(4), round(result.b, 4)
    (array([0.4529]), -0.6793)
    >>> result.converged, result.gap <= 1e-6 * result.objective
    (True, True)
    """
    result, warning = fit_quietly(
        X, y, (l2, l1, penalty_factor, lower, upper), sample_weight, offset, fit_intercept, w0, b0,
        solver, tol, max_iter, random_state, callback, progress, n_threads,
    )  # fmt: skip
    if warning is not None:
        warnings.warn(warning, stacklevel=2)
    return result


def fit_quietly(
    X: Any,
    y: Any,
    penalty: tuple[Any, Any, Any, Any, Any],
    sample_weight: Any,
    offset: Any,
    fit_intercept: bool,
    w0: Any,
    b0: Any,
    solver: str,
    tol: Any,
    max_iter: Any,
    random_state: Any,
    callback: Callable[[FitState], object] | None,
    progress: bool,
    n_threads: Any,
    names: Names | None = None,
) -> tuple[FitResult, ConvergenceWarning | None]:
    """Do what `fit` does, and return what it warns of.

    `penalty` is l2, l1, penalty_factor, lower and upper; `names` are for where X does not tell.
    """
    require_solver(solver)
    sparse_only = solver == "preconditioned"
    problem = Problem(
        X, y, sample_weight, offset, fit_intercept, random_state, n_threads, sparse_only, names
    )
    posed = problem.pose(as_penalty(*penalty, problem.data.d))
    goal = Goal(as_number(tol, "tol", above=0.0))
    most_iter = as_count(max_iter, "max_iter")
    require_callable(callback, "callback")
    start = posed.start(w0, b0)
    solvers = [(name, SOLVERS[name]) for name in choose(solver, posed.objective)]
    review = posed.minimise(start, solvers, goal, most_iter, callback, progress)
    return posed.report(review, goal, problem.data.meter.reads)


class Problem:
    """Examples, labels and weights, looked at once, to be fitted with any penalty.

    Takes the parameters of `fit` of these names, and raises what it raises for them. A sparse X
    that is small, or hardly sparse, is copied as a dense one unless it is to be kept.

    Attributes
    ----------
    X, targets, data : ndarray or Compressed, Targets, Dense or Sparse
        What there is to fit. `data.meter` counts the passes of all fits.
    seed : int
        Of what is random in a fit.
    fit_bias : bool
        Whether the bias is free.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        offset: Any,
        fit_intercept: bool,
        random_state: Any,
        n_threads: Any,
        keep_sparse: bool = False,
        names: Names | None = None,
    ) -> None:
        names = Names.of_frame(X) if names is None else names
        self.X = as_examples(X)
        n = self.X.shape[0]
        threads = _kernels.threads_of_call(n_threads)
        s, total = as_sample_weight(sample_weight, n)
        self.fit_bias = as_flag(fit_intercept, "fit_intercept")
        self.targets = as_targets(y, n, s, total, self.fit_bias)
        self.seed = as_seed(random_state)
        offsets = _offsets(offset, n, self.targets)
        self._extreme = False
        squares = tally = None
        if isinstance(self.X, Compressed):
            self.X, self._extreme, squares, tally = examined(self.X, threads, tallied=True)
            if is_better_dense(self.X) and not keep_sparse:
                self.X = self.X.dense()
        source = Sparse if isinstance(self.X, Compressed) else Dense
        self.data = source(self.X, self.targets.y, self.targets.K, s, total, offsets, threads)
        self.data.names = names
        if isinstance(self.data, Sparse):
            self.data.squares, self.data.tally = squares, tally
        self._coordinates: dict[float, Coordinates] = {}
        self._separated: dict[bytes, Separated | None] = {}

    def pose(self, penalty: Penalty) -> Posed:
        """Return what is to be minimised with this penalty; all share their coordinates."""
        most = LARGEST_SPREAD if penalty.nothing else LARGEST_SCALE
        if most not in self._coordinates:
            s = self.data.sample_weight
            if isinstance(self.data, Sparse):
                found = sparse_coordinates(self.data, most, self._extreme or penalty.nothing)
            else:
                found = dense_coordinates(self.X, s, self.fit_bias, most, self.seed)
            self._coordinates[most] = found
        center, scale, self.data.outlying = self._coordinates[most]
        return Posed(self, penalty, center, scale)

    def separated_by(self, posed: Posed) -> Separated | None:
        """Return why there is no finite optimum, if columns without a penalty are to blame."""
        columns = posed.penalty.unheld(self.data.d)
        if not len(columns):
            return None
        key = columns.tobytes()
        if key not in self._separated:
            self._separated[key] = separated_by(posed.objective, columns, self.seed)
        return self._separated[key]

    def weighing(self, sample_weight: Floats) -> Problem:
        """Return the same examples with other weights, in the same coordinates."""
        other = copy.copy(self)
        other.data = self.data.weighing(sample_weight, float(sample_weight.sum()))
        other.data.names, other.data.outlying = self.data.names, self.data.outlying
        other._separated = {}
        return other


class Posed:
    """A problem with its penalty.

    Attributes
    ----------
    objective : Objective
        J.
    """

    def __init__(self, problem: Problem, penalty: Penalty, center: Floats, scale: Floats) -> None:
        self.problem = problem
        self.penalty = penalty
        pair = problem.targets.pair
        self.objective = Objective(
            problem.data, penalty.ridge(pair), center, scale, problem.fit_bias,
            nonsmooth=penalty.nonsmooth(scale, pair),
        )  # fmt: skip

    def start(self, w0: Any = None, b0: Any = None) -> Floats | Point:
        """Return theta for w0 and b0, evaluated; without them zero weights and their bias.

        That is no start where zero weights are better: predictions that are all sure, and many of
        them wrong, have no curvature to get away by.
        """
        null = self.null()
        if w0 is None and b0 is None:
            return null
        objective, problem = self.objective, self.problem
        raw = problem.targets.from_w_and_b(w0, b0, objective.D - 1)
        if not problem.fit_bias:
            raw[:, -1] = 0.0
        with np.errstate(all="ignore"):
            theta = objective.project(objective.from_raw(raw))
            if objective.nonsmooth is not None:
                theta = objective.nonsmooth.clip(theta)
        if not np.isfinite(theta).all():
            explain_not_finite(problem.X, raw[0, :-1], float(raw[0, -1]))
        point = objective.evaluate(theta)
        return null if objective.without_weights(null) < point.J else point

    def null(self, enough: float = ROUGHLY) -> Floats:
        """Return zero weights, and the bias that is best with them, to so much of it."""
        problem, theta = self.problem, self.objective.start()
        offset = problem.data.offset
        if problem.fit_bias:
            theta[:, -1] = problem.targets.base_bias
            if offset is not None:
                with np.errstate(over="ignore"):
                    about = theta[:, -1] - np.median(offset, axis=1)
                theta[:, -1] = _bias_alone(problem.data, about, enough)
        return theta

    def w_and_b(self, point: Point) -> tuple[Floats, Any]:
        """Return w and b as users get them."""
        w, b = self.problem.targets.w_and_b(self.objective.to_raw(point.theta))
        return self.penalty.clip(w), b

    def minimise(
        self,
        start: Floats | Point,
        solvers: Sequence[tuple[str, Solver]],
        goal: Goal,
        max_iter: int,
        callback: Callable[[FitState], object] | None = None,
        progress: bool = False,
        done: int = 0,
    ) -> Review:
        """Go from a theta, or a point, to the goal by these solvers; see `drive`."""
        objective, seed, X = self.objective, self.problem.seed, self.problem.X
        free = None
        if self.penalty.nothing:
            free = Unpenalised(objective, goal, seed)
            objective, start = free.objective, free.started(start)
        bounded = None
        if objective.nonsmooth is not None and self.penalty.only_bounds:
            bounded = OnlyBounded(objective, objective.nonsmooth, seed)
        called_off = False
        largest = max(objective.K * objective.n, (objective.K * objective.D) ** 2)
        # A dense fit makes few arrays beside X, and is as quick with memory that goes.
        stays = largest if isinstance(objective.data, Sparse) else 0

        def watch(record: Record, point: Point) -> object:
            nonlocal called_off
            bar.update(1)
            if callback is not None:
                called_off = bool(callback(FitState(*record, *self.w_and_b(point))))
            return called_off

        watched = watch if progress or callback is not None else None
        try:
            with Bar("fit", "iteration", None, progress) as bar, MemoryThatStays(stays):
                asked = free or bounded
                outcome = drive(
                    objective, start, solvers, goal, seed, max_iter, watched,
                    None if asked is None else asked.stop_early, done,
                )  # fmt: skip
        except NotFiniteError:
            # The start is finite, which has been looked at already.
            explain_not_finite(X, np.zeros(X.shape[1]), 0.0)
        if called_off and not outcome.converged:
            return Review(outcome if free is None else free.without_hold(outcome), None, ())
        if free is not None:
            return free.review(outcome)
        separated = bounded.at_end(outcome.point) if bounded is not None else None
        separated = separated or self.problem.separated_by(self)
        if separated is not None:
            return without_optimum(outcome, separated)
        if not all_held(objective):
            found = near_dependencies(objective, outcome.point.theta)
            outcome = without_overlooked(objective, goal, outcome, found)
        return Review(outcome, None, ())

    def report(
        self, review: Review, goal: Goal, passes: float
    ) -> tuple[FitResult, ConvergenceWarning | None]:
        """Return what a fit found as users get it, and what there is to warn of."""
        outcome, separated = review.outcome, review.separated
        point = outcome.point
        direction = None if separated is None else self._w_and_b_along(separated.direction)
        result = FitResult(
            *self.w_and_b(point), point.J, max(point.J - outcome.lower, 0.0), outcome.converged,
            outcome.reason, len(outcome.history), passes, outcome.history, outcome.solver,
            review.dependent, direction,
        )  # fmt: skip
        if separated is None:
            return result, None if result.converged else _not_converged(result, goal)
        penalty = self.penalty
        cure = "l2 a value above 0" if penalty.strengthless else "these a penalty_factor above 0"
        return result, SeparationWarning(
            f"there is no finite optimum: {result.reason}. The direction is "
            f"{self._in_words(separated.direction)}. The weights are those at which the fit was "
            f"stopped, J = {result.objective:.6g}; give {cure}, which makes the optimum "
            "finite, or drop what separates the classes"
        )

    def _w_and_b_along(self, direction: Floats) -> tuple[Floats, Any]:
        """Return a direction as users get it, the largest weight being 1."""
        w, b = self.problem.targets.w_and_b(self.objective.to_raw(direction))
        largest = float(np.abs(w).max())
        return w / largest, b / largest

    def _in_words(self, direction: Floats) -> str:
        """Tell of a direction; with several classes of the one whose weights change most."""
        k = int(np.abs(direction[:, :-1]).max(axis=1).argmax())
        raw = self.objective.to_raw(direction)
        columns = columns_of(direction[k : k + 1])
        weights = raw[k, columns] / np.abs(raw[:, :-1]).max()
        names = self.problem.data.names
        text = names.of_sum(columns, weights.tolist())
        return text if len(direction) == 1 else f"{text} for {names.of_class(k)}"


def _not_converged(result: FitResult, goal: Goal) -> ConvergenceWarning:
    """Return what is to be said of a fit that has not converged."""
    return ConvergenceWarning(
        f"not converged: {result.reason}. J = {result.objective:.6g}, proved to be within "
        f"{result.gap:.2g} of the optimum; tol={goal.tol:g} asks for "
        f"{goal.gap(result.objective):.2g}"
    )


def as_seed(random_state: Any) -> int:
    """Return the seed, an integer of 0 or above."""
    seed = as_integer(random_state)
    if seed is None:
        raise TypeError(
            f"random_state is {random_state!r}, a {type(random_state).__name__}; give an integer"
        )
    if seed < 0:
        raise ValueError(f"random_state is {seed}; give an integer of 0 or above")
    return seed
