# SPDX-License-Identifier: BSD-3-Clause
"""The estimators: what scikit-learn's own checks let pass, or tell less than clearly."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from logreg_c import LogisticRegression, LogisticRegressionCV

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = np.arange(60) // 3 % 2
MASK = np.arange(60) == 7
MASKED_X = np.ma.array(X, mask=X > 2.0)
MASKED_Y, MASKED_S = np.ma.array(Y, mask=MASK), np.ma.array(np.ones(60), mask=MASK)

FITS = {
    "fit": lambda X=X, y=Y, s=None: LogisticRegression().fit(X, y, s),
    "partial_fit": lambda X=X, y=Y, s=None: LogisticRegression().partial_fit(
        X, y, classes=[0, 1], sample_weight=s
    ),
    "cross-validation": lambda X=X, y=Y, s=None: LogisticRegressionCV(Cs=[1.0]).fit(X, y, s),
}
SCORES = {
    "score": lambda X=X, y=Y, s=None: LogisticRegression().fit(*GOOD).score(X, y, s),
    "its score": lambda X=X, y=Y, s=None: LogisticRegressionCV(Cs=[1.0]).fit(*GOOD).score(X, y, s),
}
GOOD = X, Y
CALLS = FITS | SCORES


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X": MASKED_X}, "X is a masked array with masked entries; fill them or drop their rows"),
        ({"X": list(MASKED_X)}, "X has masked entries"),
        ({"y": MASKED_Y}, "y is a masked array"),
        ({"s": MASKED_S}, "sample_weight is a masked array"),
    ],
    ids=["X", "rows", "y", "sample_weight"],
)
def test_masked_entries_do_not_count_as_data(given, message, call):
    with pytest.raises(ValueError, match=message):
        CALLS[call](**given)


@pytest.mark.parametrize("name", ["predict", "predict_proba", "decision_function"])
def test_masked_entries_are_not_predicted_from(name):
    model = LogisticRegression().fit(X, Y)
    with pytest.raises(ValueError, match="X is a masked array"):
        getattr(model, name)(MASKED_X)
    unmasked = np.ma.array(X)
    np.testing.assert_array_equal(getattr(model, name)(unmasked), getattr(model, name)(X))


def test_masked_arrays_without_masked_entries_are_arrays():
    model = LogisticRegression().fit(np.ma.array(X), np.ma.array(Y), np.ma.array(np.ones(60)))
    np.testing.assert_array_equal(model.coef_, LogisticRegression().fit(X, Y).coef_)


def test_masked_classes_are_none():
    with pytest.raises(ValueError, match="classes is a masked array"):
        LogisticRegression().partial_fit(X, Y, classes=np.ma.array([0, 1], mask=[0, 1]))


@pytest.mark.parametrize("call", FITS)
def test_labels_that_are_missing_are_named(call):
    pandas = pytest.importorskip("pandas")
    text = np.array(["no", "yes"])[Y]
    for y, shown in (
        (np.where(MASK, None, text), "None"),
        (pandas.Series(text, dtype="string").mask(MASK), "<NA>"),
        (pandas.Series(Y == 1, dtype="boolean").mask(MASK), "<NA>"),
    ):
        with pytest.raises(ValueError, match=rf"y\[7\] is {shown}; drop row 7 or give its label"):
            FITS[call](y=y)


@pytest.mark.parametrize("name", ["predict", "predict_proba", "predict_log_proba", "partial_fit"])
@pytest.mark.parametrize(
    ("attributes", "error", "message"),
    [
        ({"coef_": None}, TypeError, "coef_ is None"),
        (
            {"coef_": np.ma.array([[1.0, 2.0, 3.0]], mask=[[0, 1, 0]])},
            ValueError,
            "coef_ is a masked",
        ),
        (
            {"coef_": [[1.0, 2.0]]},
            ValueError,
            r"coef_ has shape \(1, 2\), where intercept_ has 1 ",
        ),
        ({"intercept_": 0.5}, ValueError, r"intercept_ has shape \(\); give an array"),
    ],
    ids=["none", "masked", "short", "scalar"],
)
def test_coefficients_that_were_set_are_looked_at(attributes, error, message, name):
    model = LogisticRegression().fit(X, Y)
    for attribute, value in attributes.items():
        setattr(model, attribute, value)
    with pytest.raises(error, match=message):
        getattr(model, name)(*GOOD[: 2 if name == "partial_fit" else 1])


def test_classes_that_are_not_finite_are_none():
    with pytest.raises(ValueError, match=r"classes are \[0\.0, 1\.0, nan\]; give labels that are"):
        LogisticRegression().partial_fit(X, Y, classes=[0, 1, np.nan])


def test_a_start_that_was_altered_is_named():
    X, y = np.arange(10.0).reshape(-1, 1), np.arange(10) // 3 % 2
    model = LogisticRegression(warm_start=True).fit(X, y)
    model.intercept_ = 0.0
    with pytest.raises(ValueError, match=r"intercept_ has shape \(\); give an array"):
        model.fit(X, y)
    model.intercept_, model.coef_ = np.zeros(1), np.zeros((3, 1))
    with pytest.raises(ValueError, match=r"coef_ has shape \(3, 1\), where intercept_ has 1"):
        model.fit(X, y)
    with pytest.raises(TypeError, match="warm_start is 'no', a str; give True or False"):
        LogisticRegression(warm_start="no").fit(X, y)
