# SPDX-License-Identifier: BSD-3-Clause
"""The scikit-learn face: an estimator on top of `logreg_c.fit`.

``logreg_c.LogisticRegression`` imports this module when it is first asked for; nothing else here
needs scikit-learn. It adds labels of any type, weights of classes and scikit-learn's manners, and
leaves the numbers to `fit` and to the kernels.

scikit-learn's checks of arrays take longer than a prediction of one row, so arrays that the
kernels can read as they are go to them at once. What the kernels refuse is then given to
scikit-learn's checks, so that the error is the one its users know.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

try:
    import sklearn.exceptions
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.validation import validate_data
except ImportError as error:
    raise ImportError(
        f"logreg_c.LogisticRegression needs scikit-learn 1.6 or newer ({error}); "
        'python -m pip install "scikit-learn>=1.6"'
    ) from error

from ._batches import one_pass
from ._classes import positions
from ._linear import (
    FLOATS,
    FORMATS,
    LinearClassifier,
    dense,
    guarded,
    keeps_features,
    require_two,
)
from ._names import Names
from ._prediction import require_finite_weights, require_weights_of
from ._validation import as_count, as_examples, as_flag, as_number, refuse_masked
from .descent import DIVERGED_RISE, gradient_descent
from .fitting import fit_quietly

# What tells of one solution, and is wrong once partial_fit has moved away from it.
_CERTIFICATE = ("n_iter_", "converged_", "gap_", "objective_", "history_", "solver_")


def _without_l1(model: LogisticRegression) -> bool:
    """Whether there is a `partial_fit`; as scikit-learn asks, with an error that says why not."""
    if model.l1_ratio == 0.0:
        return True
    raise AttributeError(
        f"l1_ratio is {model.l1_ratio}, and partial_fit knows no L1 penalty; use fit"
    )


class LogisticRegression(LinearClassifier):
    r"""Logistic regression for scikit-learn, solved to a certified optimum.

    Minimises, over the weights w and the bias b,

    .. math::

        J = \frac{\sum_i s_i L_i}{\sum_i s_i} + \frac{l_2}{2} \|w\|^2 + l_1 \|w\|_1, \qquad
        l_2 = \frac{1 - \rho}{C \sum_i s_i}, \quad l_1 = \frac{\rho}{C \sum_i s_i}

    with L the cross-entropy of an example, s its weight, the product of `sample_weight` and
    `class_weight`, and :math:`\rho` the `l1_ratio`. This is scikit-learn's objective divided by
    :math:`C \sum_i s_i`. With more than two classes L is the multinomial cross-entropy; without
    an L1 penalty coefficients then add up to zero over the classes.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty, above 0; ``numpy.inf`` is no penalty.
    l1_ratio : float
        Share of the L1 penalty, which makes coefficients exactly 0: from 0, a ridge penalty, to 1,
        a lasso.
    fit_intercept : bool
        Whether there is a bias. It is never penalised.
    class_weight : dict or "balanced", optional
        Weights of the classes by label, 1 for those left out. "balanced" gives every class the same
        total weight.
    warm_start : bool
        Start from the coefficients there are, if classes and features are the same. Saves time;
        the optimum is the same.
    solver : str
        How to get there; see `logreg_c.fit`.
    tol : float
        What converged means: :math:`(J - J^*)/J^*` is proved to be at most this.
    max_iter : int
        The most iterations.
    learning_rate : float
        Step of `partial_fit`.
    batch_size : int
        Examples an update of `partial_fit`.
    random_state : int, numpy.random.RandomState or numpy.random.Generator, optional
        Seed of what is random in a solver, and of the order of examples in `partial_fit`; None
        is 0. The optimum does not depend on it.
    verbose : int
        Above 0, show a progress bar (needs tqdm).
    n_jobs : int, optional
        Threads of a fit; -1 is all, -2 all but one, None the default of
        `logreg_c.set_num_threads`. The result does not depend on it.

    Attributes
    ----------
    coef_ : ndarray of shape (1, d) or (K, d)
        Weights: one row for two classes, the score of the second one; else a row a class.
    intercept_ : ndarray of shape (1,) or (K,)
        Biases.
    classes_ : ndarray of shape (K,)
        The labels, sorted.
    n_features_in_ : int
        The number of columns d.
    feature_names_in_ : ndarray of shape (d,)
        Names of the columns, if X has them and all are strings.
    n_iter_ : ndarray of shape (1,)
        Iterations done.
    converged_ : bool
        Whether there is an optimum and `gap_` is at most tol · J* (or 1e-15).
    gap_ : float
        Proved: J − J* is at most this, and never more than J.
    objective_ : float
        J at the coefficients.
    history_ : tuple
        A record an iteration: n_iter, n_passes, objective, gap.
    solver_ : str
        The solver that ended the fit.
    n_passes_ : float
        Passes over the examples: those of `fit`, samples counted pro rata, and one for each
        `partial_fit` since.

    Notes
    -----
    `partial_fit` takes away the attributes from `n_iter_` to `solver_`, which would tell of
    coefficients that are no more.

    Examples
    --------
    >>> from logreg_c import LogisticRegression
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"]
    >>> model = LogisticRegression(C=10.0).fit(X, y)
    >>> model.predict([[0.5], [2.5]])
    array(['no', 'yes'], dtype='<U3')
    >>> model.converged_, bool(model.gap_ <= 1e-6 * model.objective_)
    (True, True)
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        warm_start: bool = False,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        learning_rate: float = 0.01,
        batch_size: int = 32,
        random_state: Any = None,
        verbose: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    @keeps_features
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to the optimum.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix of shape (n, d)
            Examples in rows; float32 or float64, C- or Fortran-contiguous, or CSR, is used as it
            is.
        y : array_like of shape (n,)
            Labels of any type, at least two different ones.
        sample_weight : array_like of shape (n,), optional
            Weights of the examples, none negative.

        Returns
        -------
        LogisticRegression
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If an argument or a parameter is wrong, or something is not finite.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `tol` was not reached; it says why.
        """
        labelled = self._labelled(X, y)
        X, y, classes, ids, _ = labelled
        d = X.shape[1]
        s, total = self._weights(sample_weight, classes, ids, all_occur=True)
        (l2, l1), seed, threads = self._strengths(total), self._seed(), self._threads()
        w0, b0 = self._start(X, classes)
        with self._told_by_scikit_learn(labelled):
            result, warning = fit_quietly(
                X, ids, (l2, l1, None, None, None), s, None, self.fit_intercept, w0, b0,
                self.solver, self.tol, self.max_iter, seed, None, bool(self.verbose), threads,
                Names(getattr(self, "feature_names_in_", None), classes.tolist()),
            )  # fmt: skip
        self.classes_ = classes
        self.coef_ = result.w.reshape(-1, d)
        self.intercept_ = np.array(result.b, ndmin=1)
        self.n_iter_ = np.array([result.n_iter], dtype=np.int32)
        self.n_passes_ = result.n_passes
        self.converged_ = result.converged
        self.gap_ = result.gap
        self.objective_ = result.objective
        self.history_ = result.history
        self.solver_ = result.solver
        if warning is not None:
            # Those who filter warnings of this kind know scikit-learn's.
            warnings.warn(
                str(warning).replace("l2 a value above 0", "C a finite value"),
                sklearn.exceptions.ConvergenceWarning,
                stacklevel=3,
            )
        return self

    @available_if(_without_l1)  # type: ignore[untyped-decorator]
    @keeps_features
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Make one pass of stochastic gradient descent, from the coefficients there are.

        The examples are taken in a new random order each time, `batch_size` of them an update,
        with the step `learning_rate`. The penalty is that of a fit to these examples alone: where
        they are one of k equal parts of the data, take k times the C.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix of shape (n, d)
            Examples in rows. Standardise columns of very different scales first.
        y : array_like of shape (n,)
            Labels; they need not include all classes.
        classes : array_like of shape (K,), optional
            All labels that will ever come. Needed in the first call, unless `fit` came before.
        sample_weight : array_like of shape (n,), optional
            Weights of the examples, none negative, not all 0.

        Returns
        -------
        LogisticRegression
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If an argument or a parameter is wrong, or something is not finite.
        OverflowError
            If the weights leave the range of float64; the coefficients stay as they were.

        Warns
        -----
        RuntimeWarning
            If the pass diverged. With two classes and a bias the coefficients are then the last
            ones with a loss in bounds; see `logreg_c.gradient_descent`.
        """
        first = not hasattr(self, "classes_")
        classes = self._all_classes(classes)
        X = guarded(X, y)
        X, y = validate_data(self, X, y, dtype=FLOATS, reset=first, accept_sparse=FORMATS)
        X = as_examples(X)
        ids = positions(y, classes)
        n, d = X.shape
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight is {self.class_weight!r}, and partial_fit does not see all "
                "examples; give a dict of weights"
            )
        s, total = self._weights(sample_weight, classes, ids, all_occur=False)
        l2, _ = self._strengths(total)
        if first:
            rows = 1 if len(classes) == 2 else len(classes)
            W, b = np.zeros((rows, d)), np.zeros(rows)
        else:
            # The kernels read and write them row by row, as float64, whatever was set.
            W = dense(self.coef_).astype(np.float64, order="C")
            b = np.array(self.intercept_, dtype=np.float64)
            require_weights_of(X, W, b)
            require_finite_weights(W, b)
        passes = getattr(self, "n_passes_", 0)
        rate = as_number(self.learning_rate, "learning_rate", above=0.0)
        batch = as_count(self.batch_size, "batch_size")
        # Another order each time; a fit's samples count as parts of a pass.
        rng = np.random.default_rng([self._seed(), int(passes)])
        fit_bias = as_flag(self.fit_intercept, "fit_intercept")
        if len(W) == 1 and fit_bias:
            result = gradient_descent(
                X, ids, learning_rate=rate, n_iter=1, batch_size=batch, w=W[0], b=float(b[0]),
                l2=l2, sample_weight=s, shuffle=True, random_state=rng, n_threads=self._threads(),
            )  # fmt: skip
            W[0], b[0] = result.w, result.b
        else:
            share = np.ones(n) if s is None else s * (n / total)
            with np.errstate(over="ignore", invalid="ignore"):
                start, end = one_pass(
                    X, ids, share, W, b, order=rng.permutation(n), batch=batch, rate=rate, l2=l2,
                    fit_intercept=fit_bias,
                    n_threads=self._threads(),
                )  # fmt: skip
            if not (np.isfinite(W).all() and np.isfinite(b).all()):
                raise OverflowError(
                    f"the weights left the range of float64, so learning_rate={rate:g} is too "
                    "large for these columns; standardise them, or take a smaller one"
                )
            if not end <= DIVERGED_RISE * max(start, math.log(len(classes))):
                warnings.warn(
                    f"diverged: J went from {start:.6g} to {end:.6g}, so learning_rate={rate:g} is "
                    "too large for these columns and this C; standardise them, or take a smaller "
                    "one",
                    RuntimeWarning,
                    stacklevel=3,
                )
        self.classes_, self.coef_, self.intercept_ = classes, W, b
        self.n_passes_ = passes + 1
        for name in _CERTIFICATE:
            self.__dict__.pop(name, None)
        return self

    def _strengths(self, total: float) -> tuple[float, float]:
        """Return the strengths l2 and l1 of the penalties, from C and l1_ratio."""
        if self.l1_ratio is None:
            raise TypeError("l1_ratio is None; give 0 for a ridge penalty alone, the default")
        ratio = as_number(self.l1_ratio, "l1_ratio", least=0.0)
        if ratio > 1.0:
            raise ValueError(f"l1_ratio is {ratio}; give a share from 0 to 1")
        if isinstance(self.C, float | np.floating) and self.C > 0 and math.isinf(self.C):
            return 0.0, 0.0
        strength = as_number(self.C, "C", above=0.0) * total
        if strength < 1e-300:
            raise ValueError(
                f"C is {self.C} and the weights add up to {total}, so the penalty 1/(C * sum) is "
                "beyond the range of float64; take a larger C"
            )
        return (1.0 - ratio) / strength, ratio / strength

    def _start(self, X: Any, classes: NDArray[Any]) -> tuple[Any, Any]:
        """Return the w0 and b0 of `fit`: what there is if it is wanted and fits, else None."""
        if not as_flag(self.warm_start, "warm_start") or not hasattr(self, "coef_"):
            return None, None
        if self.coef_.shape[1] != X.shape[1] or not np.array_equal(self.classes_, classes):
            return None, None
        W, b = dense(self.coef_), self.intercept_ if self.fit_intercept else None
        require_weights_of(X, W, self.intercept_)
        require_finite_weights(W, self.intercept_)
        if len(W) > 1:
            return W, b
        return W[0], None if b is None else float(b[0])

    def _all_classes(self, classes: Any) -> NDArray[Any]:
        """Return the labels that `partial_fit` is for."""
        known: NDArray[Any] | None = getattr(self, "classes_", None)
        if classes is None:
            if known is None:
                raise ValueError(
                    "classes is None in the first call of partial_fit; give all labels that will "
                    "ever come, sorted or not"
                )
            return known
        refuse_masked(classes, "classes")
        given: NDArray[Any] = np.unique(np.asarray(classes))
        if given.dtype.kind == "f" and not np.isfinite(given).all():
            raise ValueError(f"classes are {given.tolist()}; give labels that are finite")
        if known is None:
            require_two(given, "classes gives")
            return given
        if not np.array_equal(given, known):
            raise ValueError(
                f"classes are {given.tolist()}, and {known.tolist()} in the calls before; give "
                "the same, or None"
            )
        return known
