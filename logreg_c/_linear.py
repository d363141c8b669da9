# SPDX-License-Identifier: BSD-3-Clause
"""What the estimators have in common: predictions from coefficients, and parameters as numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple, Self, TypeVar, cast

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _kernels
from ._classes import encode, encode_plain, weights_of_classes
from ._compressed import Compressed
from ._integers import as_integer
from ._new_spelling import TellsNewSpelling
from ._prediction import log_probabilities, probabilities, scores
from ._validation import (
    Floats,
    as_array,
    as_examples,
    as_floats,
    as_sample_weight,
    by_lines,
    refuse_masked,
)

FLOATS = (np.float64, np.float32)
# Sparse formats that are taken as they are.
FORMATS = ["csr", "csc"]
# What scikit-learn's checks set before a fit.
FEATURES = ("n_features_in_", "feature_names_in_")

Method = TypeVar("Method", bound=Callable[..., Any])


class Labelled(NamedTuple):
    """Examples, labels, the classes, each label's position there, and whether all is unchecked."""

    X: Any
    y: Any
    classes: NDArray[Any]
    ids: NDArray[Any]
    plain: bool


def keeps_features(fit: Method) -> Method:
    """Make a fit that is refused or interrupted leave the columns of the one before as they were.

    Its coefficients are still there, and are for no others.
    """

    @wraps(fit)
    def wrapped(self: Any, *arguments: Any, **keywords: Any) -> Any:
        before = {name: self.__dict__[name] for name in FEATURES if name in self.__dict__}
        try:
            return fit(self, *arguments, **keywords)
        except BaseException:
            for name in FEATURES:
                self.__dict__.pop(name, None)
            self.__dict__.update(before)
            raise

    return cast(Method, wrapped)


class LinearClassifier(ClassifierMixin, TellsNewSpelling):  # type: ignore[misc]
    """Scores Xw + b and what follows from them; subclasses find `coef_` and `intercept_`."""

    coef_: Any
    intercept_: Floats
    classes_: NDArray[Any]
    n_features_in_: int
    class_weight: Any
    random_state: Any
    n_jobs: int | None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def decision_function(self, X: Any) -> Floats:
        """Compute the scores z = Xw + b.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix of shape (n, d)
            Examples in rows.

        Returns
        -------
        ndarray of shape (n,) or (n, K), float64
            For two classes, above 0 where the second is the more probable one.

        Raises
        ------
        ValueError, TypeError
            If X is not what it was in `fit`, or something is not finite.
        OverflowError
            If a score is beyond the range of float64.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        return self._apply(scores, X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the most probable label.

        Takes and raises what `decision_function` does.

        Returns
        -------
        ndarray of shape (n,)
            Entries of `classes_`.
        """
        z = self._apply(scores, X)
        best = (z > 0).astype(np.intp) if z.ndim == 1 else z.argmax(axis=1)
        labels: NDArray[Any] = self.classes_.take(best)
        return labels

    def predict_proba(self, X: Any) -> Floats:
        """Compute the probability of each class.

        Takes and raises what `decision_function` does.

        Returns
        -------
        ndarray of shape (n, K), float64
            Columns in the order of `classes_`: 1 - a and a, with a the sigmoid of the score, for
            two classes; else the softmax of the scores.
        """
        return self._apply(probabilities, X)

    def predict_log_proba(self, X: Any) -> Floats:
        """Compute the logarithm of each class's probability, from the scores.

        So it is exact and finite where a probability is as good as 0 or 1. Takes and raises what
        `decision_function` does.

        Returns
        -------
        ndarray of shape (n, K), float64
            Columns in the order of `classes_`.
        """
        return self._apply(log_probabilities, X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the share of labels that are predicted right.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix of shape (n, d)
            Examples in rows.
        y : array_like of shape (n,)
            Their labels.
        sample_weight : array_like of shape (n,), optional
            Weights of the examples.

        Returns
        -------
        float
            The accuracy.

        Raises
        ------
        ValueError, TypeError
            If X is not what it was in `fit`, or something is wrong with it.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        refuse_masked(y, "y")
        refuse_masked(sample_weight, "sample_weight")
        return float(super().score(X, y, sample_weight))

    def sparsify(self) -> Self:
        """Make `coef_` a sparse array of SciPy's, as scikit-learn's linear models do.

        Returns
        -------
        LinearClassifier
            The estimator itself.
        """
        check_is_fitted(self, "coef_")
        self.coef_ = scipy.sparse.csr_array(self.coef_)
        return self

    def densify(self) -> Self:
        """Make `coef_` a NumPy array again.

        Returns
        -------
        LinearClassifier
            The estimator itself.
        """
        check_is_fitted(self, "coef_")
        self.coef_ = dense(self.coef_)
        return self

    def _apply(self, function: Callable[[Any, Floats, Floats], Floats], X: Any) -> Floats:
        """Return function(X, coef_, intercept_), with scikit-learn's checks where they may matter.

        They take many times as long as a prediction of one row. Entries that are not finite are
        all they could find in an array that the kernels read as it is, and the function finds
        them too.
        """
        fitted = self.__dict__
        if (
            _kernels.kernels.is_matrix(X)
            and X.shape[1] == fitted.get("n_features_in_")
            and type(fitted.get("coef_")) is np.ndarray
            and "feature_names_in_" not in fitted
        ):
            try:
                return function(X, self.coef_, self.intercept_)
            except (ValueError, OverflowError):
                pass
        check_is_fitted(self, "coef_")
        X = guarded(X)
        X = validate_data(self, X, dtype=FLOATS, reset=False, accept_sparse=FORMATS)
        return function(as_examples(X), dense(self.coef_), self.intercept_)

    def _seed(self) -> int:
        state = self.random_state
        if state is None:
            return 0
        if isinstance(state, np.random.Generator):
            return int(state.integers(1 << 31))
        if isinstance(state, np.random.RandomState):
            return int(state.randint((1 << 31) - 1))
        seed = as_integer(state)
        if seed is None or seed < 0:
            raise ValueError(
                f"random_state is {state!r}; give an integer of 0 or above, a "
                "numpy.random.RandomState, a numpy.random.Generator, or None"
            )
        return seed

    def _threads(self) -> int | None:
        """Return the threads that n_jobs asks for; negative ones count from the end."""
        if self.n_jobs is None:
            return None
        jobs = as_integer(self.n_jobs)
        if not jobs:
            raise ValueError(
                f"n_jobs is {self.n_jobs!r}; give a number of threads, -1 for all, or None"
            )
        if jobs < 0:
            return max(1, _kernels.default_threads() + 1 + jobs)
        return _kernels.checked_threads(jobs, "n_jobs")

    def _labelled(self, X: Any, y: Any) -> Labelled:
        """Check examples and labels for a fit, unless they are plain arrays, and find the classes.

        scikit-learn's checks take longer than a small fit. What is wrong with plain arrays the fit
        finds, under `_told_by_scikit_learn`.
        """
        encoded = encode_plain(y, len(X)) if _kernels.kernels.is_matrix(X) else None
        plain = encoded is not None
        if encoded is None:
            X = guarded(X, y)
            X, y = validate_data(self, X, y, dtype=FLOATS, accept_sparse=FORMATS)
            check_classification_targets(y)
            encoded = encode(y)
        else:
            self.n_features_in_ = X.shape[1]
            self.__dict__.pop("feature_names_in_", None)
        require_two(encoded[0], "y holds")
        return Labelled(X, y, *encoded, plain)

    @contextmanager
    def _told_by_scikit_learn(self, labelled: Labelled) -> Iterator[None]:
        """Have scikit-learn say what is wrong with X, if it has not yet: its users know how."""
        try:
            yield
        except ValueError:
            if labelled.plain:
                check_array(labelled.X, input_name="X", estimator=self)
            raise

    def _weights(
        self, sample_weight: Any, classes: NDArray[Any], ids: NDArray[Any], *, all_occur: bool
    ) -> tuple[Floats | None, float]:
        """Return sample_weight times class_weight (None: all 1), and their sum."""
        n = len(ids)
        if sample_weight is None and self.class_weight is None:
            return None, float(n)
        s = None
        if sample_weight is not None:
            s = as_floats(sample_weight, "sample_weight", n, "row")
            as_sample_weight(s, n)
        ids = ids.astype(np.intp, copy=False)
        totals = np.bincount(ids, s, len(classes)).astype(np.float64, copy=False)
        if all_occur and not totals.all():
            raise ValueError(
                f"sample_weight is 0 for all examples of class {classes[totals == 0].tolist()[0]!r}"
                "; drop them, or give one a weight above 0"
            )
        if self.class_weight is not None:
            by_class = weights_of_classes(self.class_weight, classes, totals)
            s = by_class[ids] if s is None else s * by_class[ids]
        return s, float(n) if s is None else float(s.sum())


def guarded(X: Any, y: Any = None) -> Any:
    """Return X for scikit-learn's checks, after a look at what they do not look at.

    They drop masks, and convert what is sparse where its arrays say, within bounds or not.
    """
    refuse_masked(X, "X")
    refuse_masked(y, "y")
    _require_labels(y)
    if scipy.sparse.issparse(X):
        X = by_lines(X)
        if X.dtype not in FLOATS:
            cast(Compressed, as_examples(X)).require_sound()
    elif hasattr(X, "indptr"):
        # Of another library, with the same arrays.
        found = cast(Compressed, as_examples(X))
        found.require_sound()
        kind = scipy.sparse.csr_array if found.by_rows else scipy.sparse.csc_array
        X = kind((found.data, found.indices, found.indptr), shape=found.shape)
    return X


def _require_labels(y: Any) -> None:
    """Raise ValueError if one of labels that are Python objects is None or NA of pandas'."""
    labels = np.asarray(y)
    if labels.dtype.kind != "O" or labels.ndim != 1:
        return
    for i, label in enumerate(labels):
        # What compares with NA is NA.
        if label is None or not isinstance(label == label, bool | np.bool_):
            raise ValueError(f"y[{i}] is {label!r}; drop row {i} or give its label")


def require_two(classes: NDArray[Any], who: str) -> None:
    """Raise ValueError unless there are two classes or more."""
    if len(classes) < 2:
        raise ValueError(f"{who} one class, {classes.tolist()}; a classifier needs at least two")


def dense(coef: Any) -> Floats:
    """Return coefficients as an array, which `sparsify` or anyone may have changed."""
    return coef.toarray() if scipy.sparse.issparse(coef) else as_array(coef, "coef_")
