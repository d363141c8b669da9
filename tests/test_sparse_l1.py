# SPDX-License-Identifier: BSD-3-Clause
"""L1, elastic net and bounds for sparse X, and for supports whose Hessian is not formed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from test_l1 import objective, violation

from logreg_c import fit
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers._memory import Memory
from logreg_c.solvers._strengths import EASY, STAGE, at_penalty, grown, strengths

sparse = pytest.importorskip("scipy.sparse")


def text(n=800, d=2500, K=2, seed=0):
    """Return documents of words of which a few are frequent, and their labels."""
    rng = np.random.default_rng(seed)
    share = 1 / (np.arange(d) + 5.0)
    words = rng.choice(d, (n, 25), p=share / share.sum())
    rows = np.repeat(np.arange(n), 25)
    X = sparse.csr_array((np.ones(words.size), (rows, words.ravel())), (n, d))
    X.sum_duplicates()
    slopes = rng.standard_normal((d, max(K, 2))) * (rng.random((d, 1)) < 0.1) * 2
    return X, (X @ slopes + rng.gumbel(size=(n, max(K, 2)))).argmax(axis=1)


def largest(X, y):
    return np.abs(X.T @ (y - y.mean())).max() / len(y)


@pytest.fixture
def unfactored(monkeypatch):
    """No Hessian is worth its price."""
    monkeypatch.setattr(sys.modules["logreg_c.solvers.working_set"], "FACTORED_PART", 0)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("solver", ["newton", "working-set"])
@pytest.mark.parametrize("layout", ["csr_array", "csc_array"])
def test_a_sparse_x_is_like_a_dense_one(layout, solver, K):
    X, y = text(400, 150, K)
    for penalties in ({"l1": 0.01}, {"l1": 0.003, "l2": 0.01}, {"l1": 0.005, "upper": 0.2}):
        dense = fit(X.toarray(), y, tol=1e-10, **penalties)
        found = fit(getattr(sparse, layout)(X), y, solver=solver, tol=1e-11, **penalties)
        assert found.converged
        np.testing.assert_allclose(found.w, dense.w, atol=1e-5)
        assert found.objective == pytest.approx(dense.objective, rel=1e-8)


def far(K, constant, n=1500, d=30):
    """Return columns hundreds of deviations from zero, of which the first tell the class."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = (X[:, :K] + rng.gumbel(size=(n, K))).argmax(axis=1)
    X += 300.0 * rng.standard_normal(d)
    if constant:
        X[:, 5] = 7.0
    return X, y


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("solver", ["newton", "working-set"])
def test_columns_far_from_zero(monkeypatch, solver, K, constant):
    """No sparse X is centred, so the bias is nearly a multiple of each of them."""
    monkeypatch.setattr(
        "logreg_c.fitting.is_better_dense", lambda X: False
    )  # no sparse X is copied as a dense one
    X, y = far(K, constant)
    for penalties in ({"l1": 1e-4}, {"l1": 0.01}, {"l1": 1e-3, "l2": 0.01, "upper": 0.3}):
        dense = fit(X, y, tol=1e-9, **penalties)
        found = fit(sparse.csr_array(X), y, solver=solver, max_iter=30, **penalties)
        assert found.converged
        assert found.solver == solver
        assert dense.objective - dense.gap <= found.objective
        assert found.objective - found.gap <= dense.objective
        np.testing.assert_allclose(found.w, dense.w, atol=2e-3)
        assert not constant or (np.atleast_2d(found.w)[:, 5] == 0.0).all()


def test_columns_far_from_zero_have_the_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr("logreg_c.fitting.is_better_dense", lambda X: False)
    X, y = far(3, False)
    first, *others = (fit(sparse.csr_array(X), y, l1=1e-4, n_threads=t) for t in (1, 2, 3, 8))
    assert first.converged
    for other in others:
        assert other.w.tobytes() == first.w.tobytes()
        assert other.gap == first.gap


@pytest.mark.parametrize("part", [0.1, 0.02, 0.004])
def test_many_columns(part):
    X, y = text()
    l1 = part * largest(X, y)
    result = fit(X, y, l1=l1, tol=1e-8)
    assert result.converged
    assert result.solver == "working-set"
    X = X.toarray()
    J = objective(X, y, result.w, result.b, l1=l1)
    assert pytest.approx(J, rel=1e-12) == result.objective
    weights, bias = violation(X, y, result, l1=l1)
    assert weights.max() < 1e-3 * l1
    # With a curvature of at most 1/4, a gap within tol · J allows 5e-5.
    assert bias < 1e-5


@pytest.mark.parametrize("K", [2, 3])
def test_without_a_hessian(unfactored, K):
    X, y = text(K=K)
    for penalties in (
        {"l1": 0.01},
        {"l1": 0.001},
        {"l1": 0.001, "l2": 0.001},
        {"l1": 0.001, "lower": -0.5, "upper": 0.3},
    ):
        result = fit(X, y, solver="working-set", tol=1e-7, **penalties)
        assert result.converged
        weights, _ = violation(X.toarray(), y, result, **penalties)
        assert weights.max() < 1e-2 * penalties["l1"]
        assert result.solver == "working-set"
        assert (result.w == 0).any()


def test_the_hessian_and_none_agree(monkeypatch):
    X, y = text()
    l1 = 0.02 * largest(X, y)
    first = fit(X, y, l1=l1, tol=1e-9)
    monkeypatch.setattr(sys.modules["logreg_c.solvers.working_set"], "FACTORED_PART", 0)
    second = fit(X, y, l1=l1, tol=1e-9)
    assert first.objective - first.gap <= second.objective + 1e-14
    assert second.objective - second.gap <= first.objective + 1e-14
    np.testing.assert_array_equal(first.w == 0, second.w == 0)
    np.testing.assert_allclose(first.w, second.w, atol=1e-4)


@pytest.mark.parametrize(("part", "most"), [(0.02, 45), (0.004, 110), (0.001, 200)])
def test_without_a_hessian_supports_do_not_take_many_passes(unfactored, part, most):
    X, y = text()
    result = fit(X, y, l1=part * largest(X, y))
    assert result.converged
    assert result.n_passes < most


def test_fields_within_fields_without_a_hessian(unfactored):
    # Nothing but the penalty tells a field's sum from the bias or from that of the field it is in.
    rng = np.random.default_rng(5)
    n = 6000
    deep = rng.integers(0, 400, n)
    levels = np.stack((deep, 400 + rng.permutation(400)[deep] % 40, rng.integers(440, 500, n)))
    ones = (np.ones(3 * n), levels.T.ravel(), np.arange(0, 3 * n + 1, 3))
    X = sparse.csr_array(ones, (n, 500))
    y = (X @ rng.standard_normal(500) + rng.logistic(size=n) > 0).astype(int)
    l1 = 0.002 * largest(X, y)
    result = fit(X, y, l1=l1, solver="working-set")
    assert result.converged
    assert result.n_passes < 250


def test_a_dense_x_without_a_hessian(unfactored):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((300, 900))
    y = (X[:, :20].sum(axis=1) + 2 * rng.logistic(size=300) > 0).astype(int)
    result = fit(X, y, l1=0.01, solver="working-set", tol=1e-7)
    assert result.converged
    assert violation(X, y, result, l1=0.01)[0].max() < 1e-4


def test_rare_columns_without_a_penalty():
    """Are fitted alone, to see whether they separate the classes, from few entries in each row."""
    X, y = text()
    factor = (np.arange(X.shape[1]) >= 4).astype(float)
    l1 = 0.1 * largest(X, y)
    dense = fit(X.toarray(), y, l1=l1, penalty_factor=factor, tol=1e-8)
    found = fit(X, y, l1=l1, penalty_factor=factor, tol=1e-8)
    assert found.converged
    assert found.objective == pytest.approx(dense.objective, rel=1e-7)


def test_an_empty_column_without_a_penalty():
    """Depends on others, which is seen from few of the rows and held against them all."""
    X, y = text(n=2000, d=500)
    X = sparse.csr_array((X.data, X.indices, X.indptr), (X.shape[0], X.shape[1] + 1))
    factor = np.ones(X.shape[1])
    factor[[0, 1, -1]] = 0.0
    found = fit(X, y, l1=0.1 * largest(X, y), penalty_factor=factor)
    assert found.converged
    assert found.w[-1] == 0.0


@pytest.mark.parametrize("part", [0.1, 0.01])
def test_the_same_bits_for_any_number_of_threads(part, unfactored):
    X, y = text()
    l1 = part * largest(X, y)
    first, *others = (fit(X, y, l1=l1, n_threads=t) for t in (1, 2, 3, 8))
    for other in others:
        assert other.w.tobytes() == first.w.tobytes()
        assert other.gap == first.gap


def test_the_solvers_for_sparse_x_are_named():
    X, y = text()
    with pytest.raises(ValueError, match="'sampled', which is for a dense X; give"):
        fit(X, y, l1=0.01, solver="sampled")


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("part", [1e-5, 1e-8])
def test_penalties_that_hold_hardly_anything(part, l2, K):
    """Many columns separate the classes, so that predictions get as sure as the penalty lets."""
    X, y = text(300, 900, K)
    l1 = part * largest(X, y == 1)
    found = fit(X, y, l1=l1, l2=l2 * l1, solver="working-set", max_iter=150)
    assert found.converged
    assert found.solver == "working-set"
    best = fit(X.toarray(), y, l1=l1, l2=l2 * l1, tol=1e-9, solver="newton", w0=found.w, b0=found.b)
    assert found.objective - found.gap <= best.objective <= found.objective * (1 + 1e-12)


@pytest.mark.parametrize("K", [1, 3])
def test_stronger_penalties_come_first(K):
    X, y = text(300, 900, max(K, 2))
    problem = Problem(X, y, None, None, True, 0, 1, True)
    largest_useful = 0.0
    for l1, l2, count in ((1e-3, 0.0, 0), (1e-8, 0.0, 10), (1e-8, 1e-3, 0), (1e-8, 1e-6, 4)):
        posed = problem.pose(as_penalty(l2, l1, None, None, None, 900))
        objective = posed.objective
        start = objective.evaluate(posed.null())
        found = strengths(objective, start)
        assert found == sorted(found, reverse=True)
        assert abs(len(found) - count) <= 2 * (count > 0)
        largest_useful = largest_useful or float(np.abs(start.gradient).max())
        if found and l2 == 0.0:
            assert 1.0 <= EASY * largest_useful / (l1 * found[0]) < STAGE
    stage = objective.stronger(3.0)
    assert stage.evaluate(0.1 * start.gradient).J == pytest.approx(
        at_penalty(objective, stage, objective.evaluate(0.1 * start.gradient)).J, rel=1e-14
    )


def test_all_weights_grow_until_nothing_is_gained_by_that():
    X, y = text(300, 900)
    problem = Problem(X, y, None, np.linspace(-1, 1, 300), True, 0, 1, True)
    posed = problem.pose(as_penalty(1e-6, 1e-5, None, None, None, 900))
    objective = posed.objective
    theta = -np.sign(objective.evaluate(posed.null()).gradient) * 0.1
    theta[:, -1] = 0.3
    before = objective.evaluate(theta)
    after = grown(objective, before)
    assert after.J < before.J
    weights = theta.copy()
    weights[:, -1] = 0.0
    growth = float((after.theta * weights).sum() / (weights**2).sum()) - 1.0
    assert growth > 0.0
    np.testing.assert_allclose(after.theta, theta + growth * weights, rtol=1e-12)
    exact = objective.evaluate(after.theta)
    assert after.J == pytest.approx(exact.J, rel=1e-12)
    np.testing.assert_allclose(after.gradient, exact.gradient, atol=1e-14)
    for other in (0.5 * growth, 1.5 * growth):
        assert objective.evaluate(theta + other * weights).J > after.J
    bounded = problem.pose(as_penalty(1e-6, 1e-5, None, None, 0.1, 900)).objective
    assert grown(bounded, before) is before


@pytest.mark.parametrize("l1", [1e-20, 1e-310])
def test_a_penalty_that_holds_nothing_ends_where_no_loss_is_left(l1):
    X, y = text(200, 500)
    found = fit(X, y, l1=l1, solver="working-set", max_iter=150)
    assert found.converged
    assert found.objective <= 1e-15


def test_steps_by_a_factor_that_is_rounding_are_steps_by_the_diagonal(monkeypatch, unfactored):
    X, y = text(300, 900)
    l1 = 0.02 * largest(X, y)
    expected = fit(X, y, l1=l1, tol=1e-9)
    monkeypatch.setattr(Memory, "scaling", lambda self, initial: -1.0)
    found = fit(X, y, l1=l1, max_iter=100)
    assert found.converged
    assert found.objective == pytest.approx(expected.objective, rel=2e-6)
