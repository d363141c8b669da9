# SPDX-License-Identifier: BSD-3-Clause
"""Passes of stochastic gradient descent by the estimator: `partial_fit`."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn_data import objective
from threadpoolctl import threadpool_limits

from logreg_c import LogisticRegression


@pytest.mark.parametrize("name", ["two", "three"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_passes_of_descent_come_to_the_optimum(name, fit_intercept, request):
    X, y, _ = request.getfixturevalue(name)
    names = np.array(["a", "b", "c"])[y]
    C = 0.1
    best = LogisticRegression(C=C, fit_intercept=fit_intercept).fit(X, names)
    model = LogisticRegression(C=C, fit_intercept=fit_intercept, learning_rate=0.05, batch_size=64)
    assert model.partial_fit(X, names, classes=["c", "b", "a"][3 - len(set(y)) :]) is model
    for _ in range(300):
        model.partial_fit(X, names)
    np.testing.assert_array_equal(model.classes_, best.classes_)
    assert model.n_passes_ == 301
    again = clone(model).partial_fit(X, names, classes=model.classes_)
    first = again.coef_.copy()
    np.testing.assert_array_equal(clone(again).partial_fit(X, names, again.classes_).coef_, first)
    assert objective(X, names, model, C) <= best.objective_ * 1.01
    assert fit_intercept or not model.intercept_.any()
    assert not hasattr(model, "converged_")
    # A batch may lack a class, and a fit can be gone on from.
    best.partial_fit(X[names == "a"], names[names == "a"])
    assert not hasattr(best, "gap_")
    assert best.score(X, names) > 0.6


@pytest.mark.parametrize(("K", "fit_intercept"), [(3, True), (2, False)])
def test_the_bits_of_descent_do_not_depend_on_threads(K, fit_intercept):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1200, 500)), rng.integers(0, K, 1200)
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads):  # BLAS's
            model = LogisticRegression(
                fit_intercept=fit_intercept, batch_size=600, n_jobs=threads
            ).partial_fit(X, y, classes=range(K))
        found.append(model.coef_)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_a_pass_of_descent_is_the_textbooks(three):
    X, y, _ = three
    s = np.random.default_rng(0).uniform(0.5, 2, len(y))
    model = LogisticRegression(batch_size=len(y), learning_rate=0.1, class_weight={2: 2.0})
    model.partial_fit(X, y, classes=[0, 1, 2], sample_weight=s)
    t = s * np.where(y == 2, 2.0, 1.0)
    dz = (1 / 3 - np.eye(3)[y]) * (t / t.sum())[:, None]
    np.testing.assert_allclose(model.coef_, -0.1 * dz.T @ X, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(model.intercept_, -0.1 * dz.sum(axis=0), rtol=1e-12, atol=1e-15)


def test_bad_passes_of_descent(three):
    X, y, model = three
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as caught:
        LogisticRegression(l1_ratio=0.5).partial_fit(X, y, classes=[0, 1, 2])
    assert "l1_ratio is 0.5, and partial_fit knows no L1 penalty" in str(caught.value.__cause__)
    with pytest.raises(ValueError, match="classes is None in the first call of partial_fit"):
        LogisticRegression().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"classes gives one class, \[0\]"):
        LogisticRegression().partial_fit(X, y, classes=[0])
    with pytest.raises(ValueError, match=r"y\[100\] is 2, .* not one of the classes \[0, 1\]"):
        LogisticRegression().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes are \[0, 1\], and \[0, 1, 2\] in the calls"):
        clone(model).fit(X, y).partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"class_weight is 'balanced'.*give a dict"):
        LogisticRegression(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"learning_rate is 0.0"):
        LogisticRegression(learning_rate=0.0).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(TypeError, match=r"batch_size is 1.5"):
        LogisticRegression(batch_size=1.5).partial_fit(X, y, classes=[0, 1, 2])
    before = clone(model).set_params(learning_rate=1e300).fit(X, y)
    kept = before.coef_.copy()
    with pytest.raises(OverflowError, match="learning_rate=1e\\+300 is too large"):
        before.partial_fit(X, y)
    np.testing.assert_array_equal(before.coef_, kept)


@pytest.mark.parametrize(
    ("name", "fit_intercept"), [("two", False), ("two", True), ("three", True)]
)
def test_a_pass_of_descent_from_any_coefficients(name, fit_intercept, request):
    X, y, model = request.getfixturevalue(name)
    model = pickle.loads(pickle.dumps(model)).set_params(fit_intercept=fit_intercept)
    model.coef_ = model.coef_.astype(np.float32).astype(np.float64)
    model.intercept_ = model.intercept_.astype(np.float32).astype(np.float64)
    copy = pickle.loads(pickle.dumps(model))
    copy.coef_ = np.asfortranarray(copy.coef_, dtype=np.float32)
    copy.intercept_ = copy.intercept_.astype(np.float32)
    np.testing.assert_array_equal(copy.partial_fit(X, y).coef_, model.partial_fit(X, y).coef_)
    assert copy.coef_.dtype == np.float64
    copy.coef_ = kept = copy.coef_[:, :-1].copy()
    with pytest.raises(ValueError, match=r"coef_ has shape .* X has \d+ columns; give coef_"):
        copy.partial_fit(X, y)
    assert copy.coef_ is kept


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("parameters", [{"C": 1e-10}, {"learning_rate": 1e3}])
def test_a_pass_that_diverges_is_told_of(K, parameters):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((96, 3)), np.arange(96) % K
    model = LogisticRegression(fit_intercept=K > 2, **parameters)
    with pytest.warns(RuntimeWarning, match="diverged: J went from .*, so learning_rate="):
        model.partial_fit(X, y, classes=range(K))
    quiet = LogisticRegression(fit_intercept=K > 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet.partial_fit(X, y, classes=range(K))
