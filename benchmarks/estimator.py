# SPDX-License-Identifier: BSD-3-Clause
"""What the scikit-learn face costs: ``python -m benchmarks.estimator``; needs scikit-learn."""

from __future__ import annotations

import warnings
from functools import partial
from unittest import mock

import numpy as np
import sklearn.linear_model
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.preprocessing import StandardScaler

from logreg_c import LogisticRegression
from logreg_c import sklearn as estimator
from logreg_c.fitting import FitResult, fit

from .measure import Figure, median_ratio, race, table_row

METHODS = ("predict_proba", "predict", "decision_function", "predict_log_proba")


def one_row() -> list[Figure]:
    """Time predictions of a single row against scikit-learn's."""
    figures = []
    for load, classes in ((load_breast_cancer, 2), (load_iris, 3)):
        X, y = load(return_X_y=True)
        X = StandardScaler().fit_transform(X)
        ours = LogisticRegression().fit(X, y)
        theirs = sklearn.linear_model.LogisticRegression().fit(X, y)
        row = X[:1]
        for method in METHODS:
            seconds = race(
                partial(getattr(ours, method), row),
                partial(getattr(theirs, method), row),
                repeats=25,
            )
            mine, other = np.median(seconds, axis=0) * 1e6
            figures.append(
                Figure(
                    f"{method} of a row, {classes} classes: speed-up",
                    median_ratio(seconds, 1, 0),
                    "{:.1f} x",
                    5.0 if method == "predict_proba" else None,
                    note=f"{mine:.1f} us, scikit-learn {other:.1f} us",
                )
            )
    return figures


def around_a_fit() -> list[Figure]:
    """Time what the estimator does before and after the fit, which is taken away for this."""
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    y_text = np.array(["malignant", "benign"])[y]
    solved = fit(X, y, l2=1 / len(y)), None

    def solve(*_: object) -> tuple[FitResult, None]:
        return solved

    with mock.patch.object(estimator, "fit_quietly", solve):
        seconds = race(
            lambda: LogisticRegression().fit(X, y), lambda: LogisticRegression().fit(X, y_text)
        )
    plain, checked = np.median(seconds, axis=0) * 1e6
    return [
        Figure("fit of 569 x 30, without the solver", plain, "{:.0f} us", 150.0, at_most=True),
        Figure("the same with labels in text, which are checked", checked, "{:.0f} us"),
    ]


def main() -> None:
    """Print the figures, and whether each meets its target."""
    print(f"scikit-learn {sklearn.__version__}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        figures = [*one_row(), *around_a_fit()]
    for figure in figures:
        print(table_row(figure))


if __name__ == "__main__":
    main()
