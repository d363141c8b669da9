# SPDX-License-Identifier: BSD-3-Clause
"""The estimators on a sparse X: what they are on its dense copy."""

from __future__ import annotations

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


@pytest.fixture(autouse=True, params=[0, 2**18])
def small(request, monkeypatch):
    """Copy small ones as dense ones, and don't."""
    monkeypatch.setattr("logreg_c.fitting.SMALL", request.param)


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


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_array])
@pytest.mark.parametrize(
    ("part", "place", "message"),
    [
        ("indptr", -1, "X.indptr ends at 1000"),
        ("indptr", 1, r"X.indptr falls from 1000 to \d+"),
        ("indices", 3, r"X.indices\[3\] is 1000"),
    ],
)
def test_partial_fit_of_what_is_malformed(form, K, part, place, message):
    X, y = data(K)
    X = form(X[:60])
    changed = getattr(X, part).copy()
    changed[place] = 1000
    setattr(X, part, changed)
    with pytest.raises(ValueError, match=message):
        LogisticRegression().partial_fit(X, y[:60], classes=["a", "b", "c"][:K])


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
