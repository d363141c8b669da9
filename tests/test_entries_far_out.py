# SPDX-License-Identifier: BSD-3-Clause
"""Entries beside which all others of their column are as good as the same: what is claimed of them.

A typing error, a missing value as 1e15, a row in another unit. Centred and scaled by these, columns
are multiples of the bias but for rounding, and no Hessian tells where the optimum is.
"""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import pytest

from logreg_c import fit, loss
from logreg_c._coordinates import dense_coordinates

SOLVERS = ["auto", "newton", "lbfgs", "newton-cg"]


def spoilt(kind, size, seed=0, n=100, d=4):
    """Return X, y, and X without what is far out."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = (X[:, 0] + rng.logistic(size=n) > 0.0).astype(int)
    clean = X.copy()
    if kind == "row":
        X[0] *= size
    elif kind == "cell":
        y[0], X[0, 0] = 1, size
    else:
        X[:8] *= size
    return X, y, clean


@cache
def the_best(kind, size, seed, l2):
    """Return the least J that is known of."""
    X, y, clean = spoilt(kind, size, seed)
    others = fit(clean, y, l2=l2)
    found = [fit(X, y, l2=l2, solver=name, tol=1e-9).objective for name in ("auto", "newton")]
    return min(loss(X, y, others.w, others.b, l2=l2), *found)


@pytest.mark.parametrize("centred", [False, True])
def test_typical_deviations(isa, centred):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 6)) * 10.0 ** np.arange(-3, 3)
    X[:, 1] = 0.0
    X[3, 2] = 1e200
    X[rng.random(50) < 0.7, 3] = 0.0
    X[:, 4] = 5e-324
    out = np.empty((3, 6))
    isa.typical_deviations(X, centred, out)
    origin = np.median(X[[0, 25, 49]], axis=0) if centred else np.zeros(6)
    for j, v in enumerate(np.abs(X - origin).T):
        exponents = np.maximum(np.frexp(v[v > 0.0])[1] - 1, -1023)
        expected = 2.0 ** exponents.mean() if len(exponents) else 0.0
        assert out[0, j] == pytest.approx(expected, rel=1e-12)


def test_what_is_far_out_is_no_part_of_centre_and_scale():
    X, _, clean = spoilt("cell", 1e15)
    center, scale, outlying = dense_coordinates(X, None, True, 1e100, 0)
    np.testing.assert_allclose(center, clean.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(1.0 / scale, clean.std(axis=0), rtol=0.02)
    np.testing.assert_allclose(outlying, [1e13, 0.0, 0.0, 0.0], rtol=1e-12)
    assert dense_coordinates(clean, None, True, 1e100, 0).outlying is None
    rare = np.zeros((1000, 1))
    rare[7] = 1.0  # which is all that there is
    assert dense_coordinates(rare, None, True, 1e100, 0).outlying is None


@pytest.mark.parametrize("size", [1e5, 1e9, 1e13, 1e15])
@pytest.mark.parametrize("kind", ["row", "rows", "cell"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
def test_no_claim_is_false(kind, size, solver):
    for seed in range(4):
        for l2 in (0.1, 1e-5):
            X, y, _ = spoilt(kind, size, seed)
            best = the_best(kind, size, seed, l2)
            for tol in (1e-3, 1e-6):
                found = fit(X, y, l2=l2, solver=solver, tol=tol)
                assert found.objective - found.gap <= best * (1.0 + 1e-9)
                if kind == "cell" and solver in ("auto", "newton") and size <= 1e9:
                    assert found.converged


@pytest.mark.parametrize("kind", ["row", "cell"])
@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
def test_no_claim_about_a_sparse_x_is_false(kind, monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    monkeypatch.setattr("logreg_c.fitting.is_better_dense", lambda X: False)
    for seed in range(6):
        X, y, clean = spoilt(kind, 1e13, seed)
        mask = np.random.default_rng(seed).random(X.shape) < 0.4
        mask[0] = True
        others = fit(clean * mask, y, l2=1e-3)
        A = sparse.csr_array(X * mask)
        best = min(
            loss(A, y, others.w, others.b, l2=1e-3),
            fit(A, y, l2=1e-3, solver="newton", tol=1e-9).objective,
        )
        for solver in ("auto", "lbfgs", "newton-cg"):
            found = fit(A, y, l2=1e-3, solver=solver, tol=1e-4)
            assert found.objective - found.gap <= best * (1.0 + 1e-9)


def test_without_a_penalty_nothing_is_called_separable_that_is_not():
    X, y, clean = spoilt("cell", 1e15)
    found = fit(X, y)
    assert found.converged
    assert found.direction is None
    assert found.objective <= fit(clean[1:], y[1:]).objective  # a row that is surely right


def test_the_probabilities_of_a_proof_add_up_where_one_is_next_to_zero():
    # A Hessian from elsewhere moves a probability of less than 1e-300 further than it goes.
    rng = np.random.default_rng(3)
    X = rng.standard_normal((300, 120))
    y = (2.0 * X[:, :1] * rng.standard_normal(5) + rng.gumbel(size=(300, 5))).argmax(axis=1)
    X[5] *= 1e4
    rough, fine = (fit(X, y, l2=1.0, fit_intercept=False, tol=tol) for tol in (1e-3, 1e-9))
    assert rough.objective - rough.gap <= fine.objective


@pytest.mark.parametrize("offset", [0.0, 5.0])
@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
def test_a_sample_that_has_not_seen_them_is_no_place_to_start_from(offset, monkeypatch):
    module = sys.modules["logreg_c.solvers.sampled"]
    monkeypatch.setattr(
        module, "sample_start", lambda task, m: (np.full((1, 5), 1e3), np.ones((1, 5)))
    )
    X, y, _ = spoilt("row", 1e8, n=2000)
    offset = np.full(len(y), offset)
    first = fit(X, y, l2=1e-5, offset=offset, solver="sampled", max_iter=1)
    assert first.objective <= np.log(2.0)
    assert fit(X, y, l2=1e-5, offset=offset, solver="sampled").converged


@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
def test_combined_predictions_may_leave_what_they_are_rounded_by_and_that_is_allowed_for():
    # With coefficients of some hundreds one of them is above 1 by 2.6e-14, which no float64 shows.
    for seed in (6, 17, 41, 114):
        X, y, clean = spoilt("cell", 1e15, seed)
        others = fit(clean, y, l2=0.1)
        best = loss(X, y, others.w, others.b, l2=0.1)
        for record in fit(X, y, l2=0.1, solver="lbfgs", max_iter=100).history:
            assert record.objective - record.gap <= best * (1.0 + 1e-9)


@pytest.mark.parametrize("half", [50, 35, 65])
@pytest.mark.parametrize("form", ["dense", "csr"])
def test_two_clusters(form, half, monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    monkeypatch.setattr("logreg_c.fitting.is_better_dense", lambda X: False)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 2))
    X[:, 1] = 1e7 * (rng.permutation(100) < half) + 1e-3 * rng.standard_normal(100)
    assert (dense_coordinates(X, None, True, 1e100, 0).outlying is None) == (half == 50)
    y = (X[:, 1] / 1e7 - 0.5 + X[:, 0] + rng.logistic(size=100) > 0.0).astype(int)
    found = fit(X if form == "dense" else sparse.csr_array(X), y, l2=1e-3)
    assert found.converged
    J = fit(X / [1.0, 1e7], y, l2=1e-3, penalty_factor=[1.0, 1e-14], tol=1e-9).objective
    assert found.objective - found.gap <= J * (1.0 + 1e-9)
    assert found.objective <= J * (1.0 + 1e-6)
