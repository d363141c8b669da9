# SPDX-License-Identifier: BSD-3-Clause
"""The estimators on a sparse X: what they are on its dense copy."""

from __future__ import annotations

import types

import numpy as np
import pytest

pytest.importorskip("sklearn")
import scipy.sparse
from sklearn.utils.estimator_checks import (
    check_estimator_sparse_array,
    check_estimator_sparse_matrix,
)

from logreg_c import LogisticRegression, LogisticRegressionCV

FORMATS = [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_matrix]


def data(K):
    rng = np.random.default_rng(K)
    X = rng.standard_normal((300, 25)) * (rng.random((300, 25)) < 0.2)
    score = X @ rng.standard_normal((25, K)) + rng.gumbel(size=(300, K))
    return X, np.array(["a", "b", "c"])[score.argmax(axis=1)]


@pytest.fixture(autouse=True, params=[True, False])
def filled_in(request, monkeypatch):
    """Copy them as dense ones, and don't."""
    monkeypatch.setattr("logreg_c.fitting.is_better_dense", lambda X: request.param)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("form", FORMATS)
def test_fit_and_predictions(form, K):
    X, y = data(K)
    dense, model = LogisticRegression(tol=1e-10).fit(X, y), LogisticRegression(tol=1e-10)
    model.fit(form(X), y)
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-4)
    assert model.converged_
    assert model.predict(form(X)).tolist() == dense.predict(X).tolist()
    for name in ("decision_function", "predict_proba", "predict_log_proba"):
        there = getattr(dense, name)(X)
        np.testing.assert_allclose(getattr(dense, name)(form(X)), there, rtol=1e-12, atol=1e-14)
    assert model.score(form(X), y) == dense.score(X, y)


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_arrays_that_are_not_of_scipy(form):
    X, y = data(2)
    A = form(X)
    bare = types.SimpleNamespace(indptr=A.indptr, indices=A.indices, data=A.data, shape=A.shape)
    for make in (LogisticRegression, LogisticRegressionCV):
        model, same = make().fit(bare, y), make().fit(A, y)
        np.testing.assert_array_equal(model.coef_, same.coef_)
        np.testing.assert_array_equal(model.predict_proba(bare), same.predict_proba(A))
    bare.indices = A.indices + 1000
    with pytest.raises(ValueError, match=r"X\.indices\[0\] is 10"):
        LogisticRegression().fit(bare, y)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("form", FORMATS)
def test_partial_fit(form, fit_intercept, K):
    X, y = data(K)
    dense, model = (
        LogisticRegression(fit_intercept=fit_intercept, random_state=0) for _ in range(2)
    )
    for _ in range(2):
        dense.partial_fit(X, y, classes=np.unique(y))
        model.partial_fit(form(X), y, classes=np.unique(y))
    np.testing.assert_allclose(model.coef_, dense.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.intercept_, dense.intercept_, rtol=1e-9, atol=1e-12)


CALLS = {
    "fit": lambda X, y: LogisticRegression().fit(X, y),
    "partial_fit": lambda X, y: LogisticRegression().partial_fit(X, y, classes=np.unique(y)),
    "cross-validation": lambda X, y: LogisticRegressionCV(Cs=[1.0]).fit(X, y),
    "predict": lambda X, y: LogisticRegression().fit(data(2)[0], data(2)[1]).predict(X),
    "predict_proba": lambda X, y: LogisticRegression().fit(*data(3)).predict_proba(X),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("dtype", [float, int])
@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_array])
@pytest.mark.parametrize(
    ("part", "place", "value", "message"),
    [
        ("indptr", -1, 10_000, "X.indptr ends at 10000"),
        ("indptr", 0, 1, r"X.indptr\[0\] is 1"),
        ("indptr", 1, 1000, r"X.indptr falls from 1000 to \d+"),
        ("indices", 3, 1000, r"X.indices\[3\] is 1000"),
        ("indices", 3, -1, r"X.indices\[3\] is -1"),
    ],
)
def test_what_is_malformed(form, dtype, K, part, place, value, message, call):
    """Of which SciPy's and scikit-learn's conversions read and write out of bounds."""
    X, y = data(K)
    X = form(np.sign(X[:60]).astype(dtype))
    changed = getattr(X, part).copy()
    changed[place] = value
    setattr(X, part, changed)
    with pytest.raises(ValueError, match=message):
        CALLS[call](X, y[:60])


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (10**6, 0, r"X.row\[0\] is 1000000, where X has shape \(60, 25\); give 0 to 59"),
        (-1, 0, r"X.row\[0\] is -1"),
        (0, 10**6, r"X.col\[0\] is 1000000, where X has shape \(60, 25\); give 0 to 24"),
        (0, -1, r"X.col\[0\] is -1"),
        (None, 0, r"X.row has 0 entries, X.col 1"),
    ],
)
def test_coordinates_that_are_not_in_x(row, column, message, call):
    X = scipy.sparse.coo_array(([1.0], ([3], [4])), shape=(60, 25))
    X.coords = (np.array([] if row is None else [row], dtype=int), np.array([column]))
    with pytest.raises(ValueError, match=message):
        CALLS[call](X, data(2)[1][:60])


@pytest.mark.parametrize("form", [np.array, scipy.sparse.csr_array, scipy.sparse.csc_array])
@pytest.mark.parametrize("K", [2, 3])
def test_coefficients_that_are_not_finite_are_named(K, form):
    """Where their column is empty too: a dense X has zeros there, and 0 times NaN is NaN."""
    X, y = data(K)
    X[:, 4] = 0.0
    X = form(X)
    model = LogisticRegression(warm_start=True).fit(X, y)
    model.coef_[-1, 4] = np.nan
    calls = [
        lambda name=name: getattr(model, name)(X)
        for name in ("predict", "predict_proba", "predict_log_proba", "decision_function")
    ]
    at = rf"coef_\[{len(model.coef_) - 1}, 4\] is nan; give coef_ finite numbers, or fit again"
    for call in [*calls, lambda: model.fit(X, y), lambda: model.partial_fit(X, y)]:
        with pytest.raises(ValueError, match=at):
            call()
    model.coef_[-1, 4] = 0.0
    model.intercept_[0] = np.inf
    for call in calls:
        with pytest.raises(ValueError, match=r"intercept_\[0\] is inf; give intercept_ finite"):
            call()


@pytest.mark.parametrize("K", [2, 3])
def test_cross_validation(K):
    X, y = data(K)
    dense = LogisticRegressionCV(Cs=3, cv=3, tol=1e-8).fit(X, y)
    model = LogisticRegressionCV(Cs=3, cv=3, tol=1e-8).fit(scipy.sparse.csc_matrix(X), y)
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-3)
    assert model.C_ == dense.C_


def test_scikit_learns_own_checks():
    for estimator in (LogisticRegression(), LogisticRegressionCV()):
        name = type(estimator).__name__
        check_estimator_sparse_array(name, estimator)
        check_estimator_sparse_matrix(name, estimator)


def test_what_is_not_finite_is_named():
    X, y = data(2)
    model = LogisticRegression().fit(scipy.sparse.csr_matrix(X), y)
    bad = scipy.sparse.csr_matrix(X)
    bad.data[3] = np.nan
    for call in (lambda: LogisticRegression().fit(bad, y), lambda: model.predict(bad)):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            call()
