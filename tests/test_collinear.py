# SPDX-License-Identifier: BSD-3-Clause
"""Columns that depend on others: with no penalty the shortest solution, and what depends named."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from logreg_c import ConvergenceWarning, fit
from logreg_c._collinear import echelon
from logreg_c._penalty import as_penalty
from logreg_c._unpenalised import Unpenalised
from logreg_c.fitting import Problem
from logreg_c.solvers._driver import Goal, Outcome

SOLVERS = ["newton", "sampled", "blocks", "compressed", "lbfgs", "newton-cg", "gradient-descent"]


def normal(n=150, d=4, K=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = (X @ rng.standard_normal((d, K)) * 0.7 + rng.gumbel(size=(n, K))).argmax(axis=1)
    return X, y


def dummies(n, levels, seed=1):
    return np.eye(levels)[np.arange(n) % levels][np.random.default_rng(seed).permutation(n)]


def shortest(X, w, bias=True):
    """Return the shortest weights with the same margins but for a constant."""
    A = np.asarray(X, dtype=np.float64)
    A = A - A.mean(axis=0) if bias else A
    size = np.abs(A).max(axis=0)
    # In units in which no column is lost beside another: w = s u is shortest, not u.
    free = np.linalg.svd(A / np.where(size > 0, size, 1))[2]
    rank = np.linalg.matrix_rank(A / np.where(size > 0, size, 1), tol=1e-6)
    basis = free[rank:] / np.where(size > 0, size, 1)
    if not len(basis):
        return w
    return w - (basis.T @ np.linalg.lstsq(basis.T, w.T, rcond=None)[0]).T


DEPENDENT = {
    "duplicate": (lambda X: np.column_stack((X, X[:, 1])), (1, 4)),
    "multiple": (lambda X: np.column_stack((X, -3.0 * X[:, 0])), (0, 4)),
    "sum": (lambda X: np.column_stack((X, X[:, 0] + 2.0 * X[:, 3])), (0, 3, 4)),
    "constant": (lambda X: np.column_stack((X, np.full(len(X), 7.3))), (4,)),
    "zeros": (lambda X: np.column_stack((np.zeros(len(X)), X)), (0,)),
    "dummies": (lambda X: np.column_stack((X, dummies(len(X), 5))), (4, 5, 6, 7, 8)),
    "two": (lambda X: np.column_stack((X, X[:, :2], dummies(len(X), 3))), (0, 1, 4, 5, 6, 7, 8)),
    "shifted": (lambda X: np.column_stack((X, 1e4 + 5.0 * X[:, 2])), (2, 4)),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", DEPENDENT)
def test_the_shortest_solution(kind, solver):
    X, y = normal()
    A, columns = DEPENDENT[kind][0](X), DEPENDENT[kind][1]
    result = fit(A, y, solver=solver)
    assert result.converged
    assert result.dependent == columns
    np.testing.assert_allclose(result.w, shortest(A, result.w), atol=1e-9 * np.abs(result.w).max())
    z = A @ result.w + result.b
    assert pytest.approx(np.mean(np.logaddexp(0, z) - y * z), rel=1e-12) == result.objective
    # The optimum is that of columns that are independent, of the same span.
    keep = [j for j in range(A.shape[1]) if j not in columns[-1:]]
    if kind not in ("zeros", "two"):
        assert fit(A[:, keep], y).objective >= result.objective - result.gap


@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
@pytest.mark.parametrize("K", [2, 3])
def test_a_rounded_dependency_is_one(K, solver):
    # As a temperature in two units: the weights of both could grow to fit what is rounded away.
    for seed, shift in enumerate((1e1, 1e3, 1e4, -1e4, 1e5, -1e6)):
        X, y = normal(100 + 200 * seed, K=K, seed=seed)
        A = np.column_stack((X, shift + 5.0 * X[:, 2]))
        result = fit(A, y, solver=solver)
        assert result.converged
        assert result.dependent == (2, 4)
        assert fit(X, y).objective == pytest.approx(result.objective, rel=2e-6)
        least = shortest(A, result.w)
        np.testing.assert_allclose(result.w, least, atol=1e-7 * np.abs(result.w).max())


@pytest.mark.parametrize("solver", ["lbfgs", "gradient-descent"])
@pytest.mark.parametrize("stop", [{"max_iter": 3}, {"callback": lambda state: state.n_iter == 3}])
def test_what_is_told_is_j_wherever_a_fit_stops(solver, stop):
    X, y = normal()
    A = np.column_stack((X, 1e3 + 5.0 * X[:, 2]))
    with pytest.warns(ConvergenceWarning):
        result = fit(A, y, w0=[0.0, 0.0, 1.0, 0.0, 0.5], b0=-500.0, solver=solver, **stop)
    z = A @ result.w + result.b
    assert pytest.approx(np.mean(np.logaddexp(0, z) - y * z), rel=1e-12) == result.objective
    assert result.history[-1].objective == result.objective


@pytest.mark.parametrize("kind", DEPENDENT)
def test_several_classes(kind):
    X, y = normal(300, K=3)
    A, columns = DEPENDENT[kind][0](X), DEPENDENT[kind][1]
    result = fit(A, y)
    assert result.converged
    assert result.dependent == columns
    np.testing.assert_allclose(result.w, shortest(A, result.w), atol=1e-9 * np.abs(result.w).max())
    np.testing.assert_allclose(result.w.sum(axis=0), 0.0, atol=1e-9)


def test_without_a_bias():
    X, y = normal()
    A = np.column_stack((X, np.full(len(X), 7.3)))
    assert fit(A, y, fit_intercept=False).dependent == ()  # a bias of its own
    A = np.column_stack((X, X[:, 1], np.zeros(len(X)), X[:, 2] + 1.0))
    result = fit(A, y, fit_intercept=False)
    assert result.dependent == (1, 4, 5)
    np.testing.assert_allclose(result.w, shortest(A, result.w, bias=False), atol=1e-12)
    result = fit(np.zeros((10, 2)), np.arange(10) % 2, fit_intercept=False)
    assert result.converged
    assert result.dependent == (0, 1)
    assert not result.w.any()


@pytest.mark.parametrize("scales", [(1e-8, 1e8), (1e100, 1e-100), (1e-150, 1e150)])
def test_units_that_differ(scales):
    X, y = normal()
    small, large = scales
    A = np.column_stack((small * X[:, :2], large * X[:, 2:], small * X[:, 0], large * X[:, 2]))
    result = fit(A, y)
    assert result.converged
    assert result.dependent == (0, 2, 4, 5)
    assert pytest.approx(result.w[0], rel=1e-9) == result.w[4]
    assert pytest.approx(result.w[2], rel=1e-9) == result.w[5]
    # Of the same column in two units the larger numbers take the small weight.
    A = np.column_stack((X, 1e8 * X[:, 0]))
    result = fit(A, y)
    assert result.dependent == (0, 4)
    assert pytest.approx(0.0, abs=1e-15) == result.w[0]
    assert 1e8 * result.w[4] == pytest.approx(fit(X, y).w[0], rel=1e-2)


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_layouts_and_threads(layout, dtype):
    X, y = normal(20_000)
    A = layout(np.column_stack((X, X[:, 0], dummies(len(X), 4))).astype(dtype))
    one, two = (fit(A, y, n_threads=k) for k in (1, 2))
    assert one.converged
    assert one.dependent == two.dependent == (0, 4, 5, 6, 7, 8)
    assert (one.w == two.w).all()
    assert one.b == two.b


def test_sums_that_were_rounded_to_single_precision_are_data():
    """They differ from sums by 1e-8, which tells something of the labels, by chance."""
    X, y = normal(2000)
    X = X.astype(np.float32)
    A = np.column_stack((X, X[:, 0] + X[:, 1] / 3))
    assert A.dtype == np.float32
    noise = A[:, 4] - X[:, 0].astype(float) - X[:, 1].astype(float) / 3
    best = fit(np.column_stack((X, noise)), y).objective
    result = fit(A, y)
    assert result.dependent == ()
    assert not result.converged or result.objective <= best * (1 + 2e-6)


def test_rare_columns():
    """Most rows don't show that these differ, or that all levels together are the bias."""
    X, y = normal(30_000)
    rng = np.random.default_rng(2)
    level = rng.choice(5, len(X), p=[0.5, 0.499, 0.001 - 2e-4, 1e-4, 1e-4])
    level[:40] = np.arange(40) % 5
    y[:40] = np.arange(40) // 5 % 2  # no level has one label alone
    result = fit(np.column_stack((X, np.eye(5)[level])), y)
    assert result.converged
    assert result.dependent == (4, 5, 6, 7, 8)
    different = X[:, 0].copy()
    different[[100, 20_000, 25_001]] += 1.0
    result = fit(np.column_stack((X, different)), y)
    assert result.converged
    assert result.dependent == ()
    result = fit(np.column_stack((X, np.eye(5)[level][:, :4])), y)
    assert result.dependent == ()


def test_rows_without_weight_do_not_count():
    X, y = normal()
    A = np.column_stack((X, X[:, 0]))
    A[:3, 4] += 1e6
    weight = np.ones(len(y))
    assert fit(A, y, sample_weight=weight).dependent == ()
    weight[:3] = 0.0
    result = fit(A, y, sample_weight=weight)
    assert result.converged
    assert result.dependent == (0, 4)


def test_with_a_penalty_nothing_is_special():
    X, y = normal()
    for make, _ in DEPENDENT.values():
        result = fit(make(X), y, l2=1e-3)
        assert result.converged
        assert result.dependent == ()
    result = fit(np.column_stack((X, X[:, 0])), y, l2=1e-3, tol=1e-12)
    assert pytest.approx(result.w[0], rel=1e-6) == result.w[4]
    assert fit(np.column_stack((X, np.full(len(X), 7.3))), y, l2=1e-3).w[4] == pytest.approx(0)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e12, 1e-300, 1e300])
def test_nothing_but_constants(value):
    result = fit(np.full((50, 3), value), np.arange(50) % 5 == 0)
    assert result.converged
    assert result.dependent == (0, 1, 2)
    assert not result.w.any()
    assert result.b == pytest.approx(np.log(0.25))


@pytest.mark.parametrize("d", [1, 3])
def test_a_single_row(d):
    result = fit(np.ones((1, d)), [0.3])
    assert result.converged
    assert result.dependent == tuple(range(d))
    assert not result.w.any()
    result = fit(np.ones((1, d)), [0.3], fit_intercept=False)
    np.testing.assert_allclose(result.w, np.log(3 / 7) / d, rtol=1e-3)


def test_few_rows_with_weight():
    X, _ = normal(200, 7)
    weight = np.zeros(200)
    weight[:5] = 1.0
    result = fit(X, np.linspace(0.1, 0.9, 200), sample_weight=weight)
    assert result.converged
    assert len(result.dependent) == 7
    np.testing.assert_allclose(result.w, shortest(X[:5], result.w), atol=1e-9)


@pytest.mark.parametrize("fraction", [0.5, 2.0])
def test_fewer_rows_than_columns(fraction):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((20, int(20 * fraction) + 10))
    y = rng.uniform(0.1, 0.9, 20)
    result = fit(X, y)
    assert result.converged
    if X.shape[1] > 20:
        assert len(result.dependent) == X.shape[1]
        np.testing.assert_allclose(result.w, shortest(X, result.w), atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("noise", [1e-3, 1e-5, 1e-6])
def test_nearly_dependent_columns_have_an_optimum(noise, solver):
    """Far off: where the weights are 1e5 times as large. What does not look there must not stop."""
    X, y = normal()
    noise = noise * np.random.default_rng(1).standard_normal(len(X))
    A = np.column_stack((X, X[:, 0] + noise))
    best = fit(np.column_stack((X, noise)), y).objective
    if solver == "gradient-descent":
        return
    result = fit(A, y, solver=solver)
    assert result.dependent == ()
    assert result.converged
    assert result.objective - best <= 2e-6 * best


@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("noise", [1e-7, 1e-8, 1e-10])
def test_what_no_hessian_shows_is_never_called_converged(noise, solver):
    X, y = normal()
    noise = noise * np.random.default_rng(1).standard_normal(len(X))
    A = np.column_stack((X, X[:, 0] + noise))
    best = fit(np.column_stack((X, noise)), y).objective
    result = fit(A, y, solver=solver, max_iter=100)
    assert result.dependent == ()
    if result.objective - best > 1e-5 * best:
        assert not result.converged
        assert "columns 0 and 4 nearly depend on each other" in result.reason
    assert result.history[-1][2:] == (result.objective, result.gap)


NOT_HELD = {
    "factors": {"l2": 1e-3, "penalty_factor": [0.0, 1.0, 1.0, 1.0, 0.0]},
    "weak": {"l2": 1e-13, "penalty_factor": [0.0, 1.0, 1.0, 1.0, 1.0]},
    "bounds": {"lower": [-np.inf, -np.inf, -np.inf, -np.inf, -1e15]},
    "a bound": {"upper": [np.inf, 0.0, np.inf, np.inf, np.inf]},
    "no factor": {"l2": 1.0, "penalty_factor": np.zeros(5)},
}


@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["auto", "sampled"])
@pytest.mark.parametrize("layout", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("kind", NOT_HELD)
def test_nor_where_a_penalty_or_bounds_hold_others(kind, layout, solver):
    for seed in range(3):
        for noise in (1e-7, 1e-9):
            X, y = normal(K=2 + seed % 2, seed=seed)
            noise = noise * np.random.default_rng(seed).standard_normal(len(X))
            A = np.column_stack((X, X[:, 0] + noise))
            held = {**NOT_HELD[kind], "tol": 1e-9}
            best = fit(np.column_stack((X, noise)), y, **held).objective
            result = fit(layout(A), y, solver=solver, **held)
            assert result.objective - result.gap <= best * (1.0 + 1e-12)
            if not result.converged:
                assert "columns 0 and 4 nearly depend on each other" in result.reason


@pytest.mark.parametrize("held", [NOT_HELD["factors"], NOT_HELD["bounds"]])
def test_columns_that_are_the_same_converge_where_others_are_held(held):
    X, y = normal()
    A = np.column_stack((X, X[:, 0] + 0.3))
    result = fit(A, y, **held)
    assert result.converged
    assert result.dependent == ()


def test_factors_of_zero_are_no_penalty():
    X, y = normal()
    A = np.column_stack((X, X[:, 1]))
    result = fit(A, y, l2=1.0, l1=1.0, penalty_factor=np.zeros(5))
    assert result.converged
    assert result.dependent == (1, 4)
    assert result.objective == fit(A, y).objective


def test_what_a_review_is_told_that_cannot_be():
    """The shortest solution is below a bound; there is no iteration it could be about."""
    X, y = normal()
    posed = Problem(np.column_stack((X, X[:, 1])), y, None, None, True, 0, 1).pose(
        as_penalty(0.0, 0.0, None, None, None, 5)
    )
    objective, goal = posed.objective, Goal(1e-6)
    point = objective.evaluate(objective.start())
    outcome = Outcome(point, 2.0 * point.J, False, "", "newton", ())
    review = Unpenalised(objective, goal, 0).review(outcome)
    assert review.dependent == (1, 4)
    assert review.outcome.lower == 0.0
    assert review.outcome.history == ()


@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
@pytest.mark.parametrize("solver", SOLVERS)
def test_columns_far_from_zero_without_a_bias(solver):
    """They all but depend on each other, and the optimum is a thousand times as far as a start."""
    for seed in range(170, 180):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((80, 4)) + 1e4 * rng.standard_normal(4)
        y = rng.integers(0, 2, 80)
        best = fit(X, y, fit_intercept=False, solver="newton", tol=1e-9)
        assert best.converged
        for tol in (1e-3, 1e-5):
            result = fit(X, y, fit_intercept=False, solver=solver, tol=tol, max_iter=100)
            assert result.objective - result.gap <= best.objective
            assert result.converged or solver == "gradient-descent"


def test_the_shortest_solution_is_within_the_gap_it_tells():
    """Its J may be another in the last digits, which the last record and the proof are about."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((100, 3)) * [1.0, 100.0, 0.01]
        X, y = np.column_stack((X, X.sum(axis=1))), rng.integers(0, 2, 100)
        for tol in (1e-9, 3e-13):
            result = fit(X, y, tol=tol, solver="newton")
            assert result.converged
            assert result.dependent == (0, 1, 2, 3)
            assert result.gap <= tol * result.objective
            assert result.history[-1][2:] == (result.objective, result.gap)


def test_the_pair_is_named():
    X, y = normal()
    A = np.column_stack((X, X[:, 0] + 1e-10 * np.random.default_rng(1).standard_normal(len(X))))
    with pytest.warns(ConvergenceWarning, match="columns 0 and 4 nearly depend on each other"):
        result = fit(A, y)
    assert result.reason.endswith(
        ", and J falls further where their weights grow apart than the rounding of a Hessian lets "
        "see: drop one of them, or give them a penalty"
    )
    assert result.gap == result.objective
    with pytest.warns(ConvergenceWarning, match="max_iter=1 .*; columns 0 and 4 nearly depend"):
        fit(A, y, max_iter=1, solver="gradient-descent")


@pytest.mark.parametrize("solver", ["newton", "sampled", "blocks", "lbfgs", "newton-cg"])
def test_an_enormous_entry_hides_no_other(solver):
    """Scaled by it, the column's other entries are all the same; they tell the labels, too."""
    X, y = normal(500)
    best = fit(X, y).objective
    X[np.argmax(y), 0] = 1e6
    weight = np.ones(500)
    for w in (1.0, 0.0):
        weight[np.argmax(y)] = w
        result = fit(X, y, sample_weight=weight, solver=solver)
        assert result.converged
        assert result.dependent == ()
        assert result.objective <= best * 1.1
        newton = fit(X, y, sample_weight=weight, solver="newton", tol=1e-8)
        assert result.objective - newton.objective <= 2e-6 * newton.objective


@settings(max_examples=100)
@given(st.integers(1, 6), st.integers(2, 3), st.booleans(), st.integers(0, 10**6))
def test_independent_columns_are_never_called_dependent(d, K, bias, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (40, d)).astype(float) * 10.0 ** rng.integers(-6, 7, d)
    A = np.column_stack((X, np.ones(40))) if bias else X
    size = np.maximum(np.abs(A).max(axis=0), 1e-300)
    rank = np.linalg.matrix_rank(A / size)
    result = fit(X, rng.dirichlet(np.ones(K), 40), fit_intercept=bias)
    assert result.converged
    assert (result.dependent == ()) == (rank == A.shape[1])


def test_echelon():
    rng = np.random.default_rng(0)
    space = np.zeros((3, 9))
    space[0, [0, 1]], space[1, [3, 4, 5]], space[2, 8] = [1, -1], [1, 1, 1], 1
    basis = echelon(np.linalg.qr(rng.standard_normal((3, 3)))[0] @ space)
    assert (np.abs(basis).max(axis=1) == 1.0).all()
    assert sorted((np.abs(v) > 1e-12).sum() for v in basis) == [1, 2, 3]
    assert np.linalg.matrix_rank(np.concatenate((basis, space)), tol=1e-12) == 3


def test_a_callback_that_stops_at_the_goal_leaves_the_rest_of_the_answer():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 3))
    y = X[:, 0] + rng.logistic(size=100) > 0.0
    X = np.column_stack((X, 2.0 * X[:, 0]))
    whole = fit(X, y)
    found = fit(X, y, callback=lambda state: state.gap <= 1e-6 * state.objective)
    assert found.converged
    assert found.dependent == whole.dependent == (0, 3)
    np.testing.assert_allclose(found.w, whole.w, rtol=1e-6)
