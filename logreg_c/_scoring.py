# SPDX-License-Identifier: BSD-3-Clause
"""Scores of held-out rows: from margins for the usual scorers, by an estimator for all others."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._arrays import EPSILON
from ._objective import Point
from ._validation import Floats, Indices
from .sklearn import LogisticRegression

# Scorers whose scores are sums over rows that follow from their margins.
FROM_MARGINS = ("accuracy", "neg_log_loss")
# No example's loss is more: scikit-learn's log_loss clips probabilities at the same.
MOST_LOSS = -float(np.log(EPSILON))


class HeldOut:
    """Scores the rows of each fold that were held out.

    Parameters
    ----------
    scorer : callable
        scikit-learn's, or anything called with an estimator, X and y.
    name : str or callable
        Its name, if it has one of scikit-learn's, else itself.
    X, y : ndarray
        All examples (X may be sparse), and their labels as they came.
    ids : ndarray of shape (n,)
        The labels as positions among `classes`.
    tests : sequence of ndarray
        The rows of each fold.
    parameters : dict
        What the scorer is called with beside; arrays of n entries are cut to the rows.
    """

    def __init__(
        self,
        scorer: Any,
        name: Any,
        X: NDArray[Any],
        y: NDArray[Any],
        ids: NDArray[Any],
        classes: NDArray[Any],
        tests: Sequence[Indices],
        parameters: dict[str, Any],
    ) -> None:
        self._tests = tests
        self._classes = classes
        self._parameters = [_rows_of(parameters, len(y), rows) for rows in tests]
        simple = isinstance(name, str) and name in FROM_MARGINS
        self._name = name if simple and set(parameters) <= {"sample_weight"} else None
        if self._name is None:
            self._scorer = with_labels(scorer, classes)
            self._X = [X[rows] for rows in tests]
            self._y = [y[rows] for rows in tests]
        else:
            self._ids = ids.astype(np.int32)

    def __call__(self, fold: int, point: Point, coefficients: Floats) -> float:
        """Return a fold's score at a point."""
        if self._name is None:
            return self._by_estimator(fold, coefficients)
        weight = self._parameters[fold].get("sample_weight")
        hits, losses, total = _kernels.kernels.score_margins(
            point.Z, self._ids, self._tests[fold],
            None if weight is None else np.ascontiguousarray(weight, dtype=np.float64), MOST_LOSS,
        )  # fmt: skip
        if not total > 0.0:
            raise ValueError(
                f"cv holds out rows in fold {fold} whose weights add up to {total:g}; give folds "
                "that hold out some rows with a weight"
            )
        return (hits if self._name == "accuracy" else -losses) / total

    def _by_estimator(self, fold: int, coefficients: Floats) -> float:
        model = LogisticRegression()
        model.classes_ = self._classes
        model.coef_ = np.ascontiguousarray(coefficients[:, :-1])
        model.intercept_ = coefficients[:, -1].copy()
        model.n_features_in_ = model.coef_.shape[1]
        X, y = self._X[fold], self._y[fold]
        return as_score(self._scorer(model, X, y, **self._parameters[fold]))


def as_score(score: Any) -> float:
    """Return what a scorer gave as a float, or say that it is no number."""
    try:
        return float(score)
    except (TypeError, ValueError):
        raise TypeError(
            f"scoring gave {score!r}, a {type(score).__name__}; give one that gives a number"
        ) from None


def with_labels(scorer: Any, classes: NDArray[Any]) -> Any:
    """Return a scorer that knows of all classes, of which the rows it scores need not hold each.

    Of two, the second one is what it calls positive.
    """
    function = getattr(scorer, "_score_func", None)
    known = getattr(scorer, "_kwargs", None)
    if function is None or known is None:
        return scorer
    takes = inspect.signature(function).parameters
    added: dict[str, Any] = {"labels": classes} if "labels" in takes else {}
    if len(classes) == 2 and "pos_label" in takes:
        # Averages over both classes warn of a positive one.
        one = known.get("average", "binary") == "binary"
        added["pos_label"] = classes[-1] if one else None
    scorer = copy.copy(scorer)
    scorer._kwargs = {**added, **known}
    return scorer


def _rows_of(parameters: dict[str, Any], n: int, rows: Indices) -> dict[str, Any]:
    """Return the parameters with arrays that have an entry a row cut to these rows."""
    cut = {}
    for name, value in parameters.items():
        array = np.asarray(value)
        cut[name] = array[rows] if array.ndim and len(array) == n else value
    return cut
