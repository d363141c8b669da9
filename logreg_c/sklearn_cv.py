# SPDX-License-Identifier: BSD-3-Clause
"""Cross-validation for scikit-learn: `LogisticRegressionCV`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

try:
    import sklearn.exceptions
    from sklearn.metrics import get_scorer
    from sklearn.model_selection import StratifiedKFold, check_cv
    from sklearn.utils.metadata_routing import (
        UNUSED,
        MetadataRouter,
        MethodMapping,
        process_routing,
    )
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise ImportError(
        f"logreg_c.LogisticRegressionCV needs scikit-learn 1.6 or newer ({error}); "
        'python -m pip install "scikit-learn>=1.6"'
    ) from error

from ._continuation import Continuation
from ._folds import Grid, fit_grid, fold_weights
from ._integers import as_integer
from ._linear import Labelled, LinearClassifier, keeps_features
from ._names import Names
from ._scoring import HeldOut, as_score, with_labels
from ._validation import (
    MOST_STRENGTHS,
    Floats,
    Indices,
    as_array,
    as_count,
    as_flag,
    as_number,
    refuse_masked,
)
from .fitting import Problem
from .solvers._driver import Goal

# Ends of the default grid of C, as in scikit-learn.
SMALLEST_C, LARGEST_C = 1e-4, 1e4
# Weights that add up to less, or their C, make penalties beyond the range of float64.
LEAST_TOTAL = 1e-290


class LogisticRegressionCV(LinearClassifier):
    r"""Logistic regression whose penalty is chosen by cross-validation, every fit certified.

    Each C and each share of L1 is fitted to all examples and to all but those of each fold; what
    predicts the held-out examples best is chosen, and the fit to all examples at that place is
    the model. Folds are weights over one X, and a fit starts from what is known already, so that
    all of them take about as long as a few.

    Parameters
    ----------
    Cs : int or array_like
        Inverse strengths of the penalty, above 0; a number is that many from 1e-4 to 1e4, at
        equal ratios.
    l1_ratios : array_like
        Shares of the L1 penalty, from 0 to 1.
    fit_intercept : bool
        Whether there is a bias. It is never penalised.
    cv : int, splitter or iterable, optional
        The folds; a number is that many stratified ones. None is 5, or as many as the rarest class
        has examples, but at least 2.
    scoring : str, callable or None
        Any of scikit-learn's scorers, the higher the better; None is "accuracy".
    selection : str
        "best" for the highest mean score; "one_standard_error" for the strongest penalty whose
        mean score is at most one standard error below that, at the best share of L1.
    refit : bool
        Whether the model is the fit to all examples. Else it is the mean of the folds' fits, each
        at its own best place.
    solver, tol, max_iter
        As in `logreg_c.fit`, for each fit.
    class_weight : dict or "balanced", optional
        As in `LogisticRegression`; "balanced" is by the classes of all examples.
    random_state : int, numpy.random.RandomState or numpy.random.Generator, optional
        Seed of what is random in a solver; the folds are the splitter's.
    use_legacy_attributes : bool
        Whether C_, l1_ratio_, coefs_paths_, scores_ and n_iter_ have the shapes that they had
        before scikit-learn 1.10: dicts by class, and arrays with an entry a class.
    verbose : int
        Above 0, show a progress bar (needs tqdm).
    n_jobs : int, optional
        Threads; -1 is all, -2 all but one, None the default of `logreg_c.set_num_threads`. The
        result does not depend on it.

    Attributes
    ----------
    coef_ : ndarray of shape (1, d) or (K, d)
        Weights: one row for two classes, the score of the second one; else a row a class.
    intercept_ : ndarray of shape (1,) or (K,)
        Biases.
    classes_ : ndarray of shape (K,)
        The labels, sorted.
    C_ : float
        The C that was chosen; without `refit` the mean of the folds'.
    l1_ratio_ : float
        The share of L1 that was chosen; without `refit` the mean of the folds'.
    Cs_ : ndarray of shape (n_cs,)
        All C.
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
        All shares of L1.
    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_cs, K, d + 1)
        Weights, and biases last, of the fits to folds; K is 1 for two classes. Without
        `fit_intercept` there are no biases.
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_cs)
        Scores of the held-out examples.
    n_iter_ : ndarray of shape (n_folds, n_l1_ratios, n_cs)
        Iterations.
    converged_ : bool
        Whether every fit is proved to be as near to its optimum as `tol` asks for.
    gap_ : float
        Proved: J - J* of the model is at most this. With `refit`.
    objective_ : float
        J of the model. With `refit`.
    n_passes_ : float
        Passes over the examples.
    n_features_in_ : int
        The number of columns d.
    feature_names_in_ : ndarray of shape (d,)
        Names of the columns, if X has them and all are strings.

    Examples
    --------
    >>> import numpy as np
    >>> from logreg_c import LogisticRegressionCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 3))
    >>> y = X[:, 0] + rng.standard_normal(200) > 0
    >>> model = LogisticRegressionCV(Cs=[0.01, 1.0, 100.0]).fit(X, y)
    >>> model.C_, model.scores_.shape, model.converged_
    (1.0, (5, 1, 3), True)
    """

    # `score` passes the weights on; whether they are wanted is asked of the scorer.
    __metadata_request__score: ClassVar = {"sample_weight": UNUSED}

    _unpenalised: ClassVar = "Cs=[numpy.inf]"
    _lasso: ClassVar = "l1_ratios=[1]"

    C_: Any
    l1_ratio_: Any
    coefs_paths_: Any
    scores_: Any
    n_iter_: Any

    def __init__(
        self,
        *,
        Cs: Any = 10,
        l1_ratios: Any = (0.0,),
        fit_intercept: bool = True,
        cv: Any = None,
        scoring: Any = "neg_log_loss",
        selection: str = "best",
        refit: bool = True,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        class_weight: Any = None,
        random_state: Any = None,
        use_legacy_attributes: bool = False,
        verbose: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.refit = refit
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes
        self.verbose = verbose
        self.n_jobs = n_jobs

    @keeps_features
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Fit all strengths to all folds, and choose.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix of shape (n, d)
            Examples in rows; float32 or float64, C- or Fortran-contiguous or CSR, is used as it is.
        y : array_like of shape (n,)
            Labels of any type, at least two different ones.
        sample_weight : array_like of shape (n,), optional
            Weights of the examples, none negative, for the fits and for the scorer (with metadata
            routing: if that requests them).
        **params : dict
            For the splitter and the scorer, with scikit-learn's metadata routing.

        Returns
        -------
        LogisticRegressionCV
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If an argument or a parameter is wrong, something is not finite, or the training rows
            of a fold lack a class.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `tol` was not reached in some of the fits; it says in how many, and why.
        """
        split_params, score_params = self._routed(sample_weight, params)
        Cs, shares = self._strengths(), self._shares()
        if self.selection not in ("best", "one_standard_error"):
            raise ValueError(
                f"selection is {self.selection!r}; give 'best' or 'one_standard_error'"
            )
        if not as_flag(self.refit, "refit") and self.selection != "best":
            raise ValueError(f"selection is {self.selection!r}, which needs refit=True")
        labelled = self._labelled(X, y)
        with self._told_by_scikit_learn(labelled):
            problem, grid, continuation = self._fit_grid(
                labelled, sample_weight, Cs, shares, split_params, score_params
            )
        self.classes_, self.Cs_, self.l1_ratios_ = labelled.classes, Cs, shares
        self.converged_ = not grid.reasons
        self._choose(grid, continuation)
        self.n_passes_ = problem.data.meter.reads
        if grid.reasons:
            warnings.warn(
                f"{len(grid.reasons)} of {grid.scores.size + grid.scores[0].size} fits did not "
                f"converge to tol={self.tol:g}, one of them because: {grid.reasons[0]}",
                sklearn.exceptions.ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _fit_grid(
        self,
        labelled: Labelled,
        sample_weight: Any,
        Cs: Floats,
        shares: Floats,
        split_params: dict[str, Any],
        score_params: dict[str, Any],
    ) -> tuple[Problem, Grid, Continuation]:
        """Split, and make all fits."""
        X, y, classes, ids, _ = labelled
        s, total = self._weights(sample_weight, classes, ids, all_occur=True)
        if min(Cs.min(), 1.0) * total < LEAST_TOTAL:
            raise ValueError(
                f"the smallest of Cs is {Cs.min():g} and the weights add up to {total:g}, so the "
                "penalty 1/(C * sum) is beyond the range of float64; take larger ones"
            )
        problem = Problem(
            X, ids, s, None, self.fit_intercept, self._seed(), self._threads(),
            names=Names(getattr(self, "feature_names_in_", None), classes.tolist()),
        )  # fmt: skip
        if hasattr(X, "tocsr"):
            X = X.tocsr()  # whose entries have been looked at; splitters and scorers take rows
        splits = _as_rows(list(self._splitter(y, ids).split(X, y, **split_params)), len(y))
        fewest = 1 if self.selection == "best" else 2
        if len(splits) < fewest:
            raise ValueError(
                f"cv gives {len(splits)} folds, where selection={self.selection!r} needs {fewest} "
                "or more"
            )
        tests = [test for _, test in splits]
        folds = fold_weights(
            problem, [train for train, _ in splits], lambda k: repr(classes[k].item())
        )
        held_out = HeldOut(
            self._scorer(), "accuracy" if self.scoring is None else self.scoring, X, y, ids,
            classes, tests, score_params,
        )  # fmt: skip
        goal = Goal(as_number(self.tol, "tol", above=0.0))
        continuation = Continuation(self.solver, goal, as_count(self.max_iter, "max_iter"))
        grid = fit_grid(
            problem, folds, Cs.tolist(), shares.tolist(), continuation, held_out,
            bool(self.verbose),
        )  # fmt: skip
        return problem, grid, continuation

    def _splitter(self, y: NDArray[Any], ids: NDArray[Any]) -> Any:
        """Return what cuts into folds."""
        cv = min(5, max(2, int(np.bincount(ids).min()))) if self.cv is None else self.cv
        # That y has classes is known, and takes a while to find out again.
        folds = as_integer(cv)
        if folds is not None and folds < 2:
            raise ValueError(f"cv is {cv}; give 2 folds or more")
        return check_cv(cv, y, classifier=True) if folds is None else StratifiedKFold(folds)

    def score(self, X: Any, y: Any, sample_weight: Any = None, **score_params: Any) -> float:
        """Compute the score that `scoring` stands for, as in `fit`; the higher the better.

        So a scorer of scikit-learn's that asks for a positive label has the second of two classes.
        Takes and raises what `LogisticRegression.score` does.

        Parameters
        ----------
        **score_params : dict
            For the scorer, with scikit-learn's metadata routing.
        """
        check_is_fitted(self, "coef_")
        refuse_masked(y, "y")
        refuse_masked(sample_weight, "sample_weight")
        if sample_weight is not None:
            score_params["sample_weight"] = sample_weight
        if _routing():
            score_params = process_routing(self, "score", **score_params).scorer.score
        else:
            self._refuse_routed(set(score_params) - {"sample_weight"}, "score")
        scorer = with_labels(self._scorer(), self.classes_)
        return as_score(scorer(self, X, y, **score_params))

    def get_metadata_routing(self) -> Any:
        """Tell which parameters go to the splitter and to the scorer.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            scikit-learn's.
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=self.cv,
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
            .add(
                scorer=self._scorer(),
                method_mapping=MethodMapping()
                .add(caller="fit", callee="score")
                .add(caller="score", callee="score"),
            )
        )

    def _scorer(self) -> Any:
        return get_scorer("accuracy" if self.scoring is None else self.scoring)

    def _routed(self, sample_weight: Any, params: dict[str, Any]) -> tuple[Any, Any]:
        """Return what the splitter and what the scorer is called with."""
        if _routing():
            routed = process_routing(self, "fit", sample_weight=sample_weight, **params)
            return routed.splitter.split, routed.scorer.score
        self._refuse_routed(set(params), "fit")
        return {}, {} if sample_weight is None else {"sample_weight": sample_weight}

    def _refuse_routed(self, names: set[str], method: str) -> None:
        if names:
            raise ValueError(
                f"{method} was given {', '.join(sorted(names))}, which takes scikit-learn's "
                "metadata routing: sklearn.set_config(enable_metadata_routing=True)"
            )

    def _strengths(self) -> Floats:
        """Return all C."""
        if isinstance(self.Cs, int | np.integer) and not isinstance(self.Cs, bool):
            lowest, highest = np.log10(SMALLEST_C), np.log10(LARGEST_C)
            return np.logspace(lowest, highest, as_count(self.Cs, "Cs", MOST_STRENGTHS))
        Cs = as_array(self.Cs, "Cs").astype(np.float64)
        if Cs.ndim != 1 or not Cs.size or not (Cs > 0.0).all():
            raise ValueError(f"Cs is {self.Cs!r}; give a number of them, or a list, all above 0")
        return Cs

    def _shares(self) -> Floats:
        """Return all shares of L1."""
        shares = np.zeros(1) if self.l1_ratios is None else as_array(self.l1_ratios, "l1_ratios")
        if shares.ndim != 1 or not shares.size or not ((shares >= 0.0) & (shares <= 1.0)).all():
            raise ValueError(f"l1_ratios is {self.l1_ratios!r}; give a list of shares from 0 to 1")
        return shares.astype(np.float64)

    def _choose(self, grid: Grid, continuation: Continuation) -> None:
        """Set the coefficients and what they were chosen by."""
        scores = grid.scores
        if self.refit:
            i, j = best_place(scores, self.Cs_, self.selection)
            chosen = continuation.refine(grid.full[i][j])
            raw = chosen.posed.objective.to_raw(chosen.point.theta)
            outcome = chosen.review.outcome
            self.gap_ = max(outcome.point.J - outcome.lower, 0.0)
            self.objective_ = outcome.point.J
            self.C_, self.l1_ratio_ = float(self.Cs_[j]), float(self.l1_ratios_[i])
        else:
            places = [best_place(part[None], self.Cs_, "best") for part in scores]
            raw = np.mean([grid.coefficients[k, i, j] for k, (i, j) in enumerate(places)], axis=0)
            for name in ("gap_", "objective_"):
                self.__dict__.pop(name, None)
            self.C_ = float(np.mean([self.Cs_[j] for _, j in places]))
            self.l1_ratio_ = float(np.mean([self.l1_ratios_[i] for i, _ in places]))
        self.coef_ = np.ascontiguousarray(raw[:, :-1])
        self.intercept_ = raw[:, -1].copy()
        self.scores_, self.n_iter_ = scores, grid.n_iter
        self.coefs_paths_ = grid.coefficients
        if not self.fit_intercept:
            self.coefs_paths_ = grid.coefficients[..., :-1]
        if self.use_legacy_attributes:
            self._make_legacy()

    def _make_legacy(self) -> None:
        """Give the attributes the shapes that they had before scikit-learn 1.10."""
        labels = self.classes_ if len(self.classes_) > 2 else self.classes_[1:]

        def arranged(array: NDArray[Any]) -> NDArray[Any]:
            """Put shares of L1 behind strengths, or leave them out where none were given."""
            array = np.swapaxes(array, 1, 2)
            return array[:, :, 0] if self.l1_ratios is None else array

        paths = self.coefs_paths_
        self.coefs_paths_ = {c: arranged(paths[..., k, :]) for k, c in enumerate(labels)}
        self.scores_ = {c: arranged(self.scores_) for c in labels}
        self.n_iter_ = arranged(self.n_iter_)[None]
        self.C_ = np.full(len(labels), self.C_)
        self.l1_ratio_ = np.full(len(labels), self.l1_ratio_)


def best_place(scores: Floats, Cs: Floats, selection: str) -> tuple[int, int]:
    """Return the indices of the best share of L1 and strength; of equals, the first strength.

    `scores` has axes folds, shares, strengths.
    """
    means = scores.mean(axis=0)
    j, i = np.unravel_index(int(means.T.argmax()), means.T.shape)
    if selection == "one_standard_error":
        error = scores[:, i, j].std(ddof=1) / np.sqrt(len(scores))
        good = np.flatnonzero(means[i] >= means[i, j] - error)
        j = good[np.argmin(Cs[good])]
    return int(i), int(j)


def _as_rows(splits: Sequence[tuple[Any, Any]], n: int) -> list[tuple[Indices, Indices]]:
    """Return the training and the test rows of each fold, of n rows, as positions."""
    rows, every = [], np.arange(n)
    wanted = f"give integers from 0 to {n - 1}, or {n} booleans"
    for k, (train, test) in enumerate(splits):
        try:
            found = every[train], every[test]
        except IndexError as error:
            raise ValueError(
                f"cv gives rows in fold {k} that are not among the {n} of X ({error}); {wanted}"
            ) from None
        if found[0].ndim != 1 or found[1].ndim != 1:
            raise ValueError(f"cv gives rows in fold {k} that are not one list each; {wanted}")
        rows.append(found)
    return rows


def _routing() -> bool:
    return bool(sklearn.get_config().get("enable_metadata_routing"))
