# SPDX-License-Identifier: BSD-3-Clause
"""L1, elastic net, penalty factors and bounds: the optimum, its proof, and exact zeros."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import scipy.sparse
from fit_problems import SHAPE, WIDE_SHAPE

import logreg_c
from logreg_c import SeparationWarning, fit, regularization_path

SOLVERS = ["newton", "sampled", "working-set"]


def problem(kind="gaussian", K=2, seed=0):
    """Return X, y and arguments of a problem of which some columns matter."""
    rng = np.random.default_rng(seed)
    n, d = WIDE_SHAPE if kind == "wide" else (SHAPE[0] // 4, 12)
    X = rng.standard_normal((n, d))
    if kind == "scales":
        X = X * 10.0 ** rng.uniform(-2, 3, d) + rng.uniform(-5, 5, d)
    elif kind == "rare":
        X[:, 0] = rng.random(n) < 4 / n
        X[:, 1] = rng.random(n) < 0.02
    elif kind == "duplicate":
        X[:, 1] = X[:, 0]
    slopes = np.zeros((d, max(K, 2)))
    slopes[:5] = rng.standard_normal((5, max(K, 2)))
    Z = (X - X.mean(axis=0)) / X.std(axis=0) @ slopes + rng.gumbel(size=(n, max(K, 2)))
    y = Z.argmax(axis=1)
    y[:K] = np.arange(K)
    arguments = {}
    if kind == "soft":
        y = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
        y = y if K > 2 else y[:, 1]
    elif kind == "weights":
        arguments["sample_weight"] = rng.uniform(0, 3, n) * (rng.random(n) < 0.9)
        arguments["sample_weight"][:K] = 1.0
    elif kind == "offset":
        arguments["offset"] = rng.standard_normal(n if K == 2 else (n, K))
    elif kind == "no bias":
        arguments["fit_intercept"] = False
    return X, y, arguments


def smooth(X, y, w, b, sample_weight=None, offset=0.0, **_):
    """Return the averaged loss, its gradients by w (rows for classes) and by b, written out."""
    y = np.asarray(y)
    s = np.ones(len(X)) if sample_weight is None else sample_weight
    p = s / s.sum()
    if np.ndim(w) == 1:
        z = X @ w + b + offset
        loss, residual = np.logaddexp(0, z) - y * z, 1 / (1 + np.exp(-z)) - y
        return p @ loss, (p * residual) @ X, p @ residual
    Y = y if y.ndim == 2 else np.eye(len(w))[y]
    Z = X @ w.T + b + offset
    top = np.logaddexp.reduce(Z, axis=1, keepdims=True)
    residual = (np.exp(Z - top) - Y) * p[:, None]
    return (p[:, None] * Y * (top - Z)).sum(), residual.T @ X, residual.sum(axis=0)


def objective(X, y, w, b, l1=0.0, l2=0.0, penalty_factor=1.0, **arguments):
    """Return J, written out."""
    penalty = penalty_factor * (l2 / 2 * w**2 + l1 * np.abs(w))
    return smooth(X, y, w, b, **arguments)[0] + penalty.sum()


def violation(X, y, result, l1=0.0, l2=0.0, penalty_factor=1.0, lower=-np.inf, upper=np.inf, **a):
    """Return how far each weight's slopes are from those of an optimum, and the bias's."""
    w = result.w
    _, g, gb = smooth(X, y, w, result.b, **a)
    g = g + penalty_factor * l2 * w
    kink = np.broadcast_to(penalty_factor * l1, w.shape)
    right, left = g + np.where(w >= 0, kink, -kink), g + np.where(w > 0, kink, -kink)
    down = np.where(w < upper, np.maximum(-right, 0), 0)
    up = np.where(w > lower, np.maximum(left, 0), 0)
    return np.maximum(down, up), np.abs(gb)


def largest(X, y, **arguments):
    """Return the l1 from where on all weights are zero."""
    s = arguments.get("sample_weight")
    y = np.asarray(y, float)
    share = np.full(len(X), 1 / len(X)) if s is None else s / s.sum()
    rate = share @ y if arguments.get("fit_intercept", True) else 0.5
    return np.abs((share * (y - rate)) @ X).max()


def proximal_gradient(X, y, l1, l2, steps=200_000):
    """Return J at the optimum by a slow method of another kind: FISTA with restarts."""
    V = np.column_stack([X, np.ones(len(X))])
    L = np.linalg.norm(V, 2) ** 2 / (4 * len(X)) + l2
    x = z = np.zeros(V.shape[1])
    t, J = 1.0, np.inf
    for _ in range(steps):
        _, g, gb = smooth(X, y, z[:-1], z[-1])
        v = z - np.append(g + l2 * z[:-1], gb) / L
        new = np.append(np.sign(v[:-1]) * np.maximum(np.abs(v[:-1]) - l1 / L, 0), v[-1])
        new_t = (1 + np.sqrt(1 + 4 * t * t)) / 2
        if (z - new) @ (new - x) > 0:
            new_t, z = 1.0, new
        else:
            z = new + (t - 1) / new_t * (new - x)
        now = objective(X, y, new[:-1], new[-1], l1=l1, l2=l2)
        if abs(J - now) < 1e-16 and np.abs(new - x).max() < 1e-12:
            break
        x, t, J = new, new_t, now
    return min(J, now)


KINDS = ["gaussian", "scales", "rare", "duplicate", "soft", "weights", "offset", "no bias", "wide"]


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_optimum_is_one_as_far_as_the_gap_tells(kind, solver, K):
    X, y, arguments = problem(kind, K)
    scale = float(np.median(X.std(axis=0)))
    for penalties in ({"l1": 0.02 * scale}, {"l1": 0.003 * scale, "l2": 0.003 * scale**2}):
        result = fit(X, y, solver=solver, tol=1e-9, **penalties, **arguments)
        assert result.converged
        assert result.solver == solver or solver == "sampled"
        J = objective(X, y, result.w, result.b, **penalties, **arguments)
        assert pytest.approx(J, rel=1e-12) == result.objective
        best = fit(X, y, solver="newton", tol=1e-12, **penalties, **arguments)
        weights, bias = violation(X, y, best, **penalties, **arguments)
        assert (weights / X.std(axis=0)).max() < 1e-7
        if arguments.get("fit_intercept", True):
            assert bias.max() < 1e-9
        assert result.objective - best.objective <= result.gap + 1e-14
        assert best.objective - best.gap <= result.objective + 1e-14
        assert (result.w == 0).any() == (best.w == 0).any()
        if K == 3:
            assert abs(result.b.sum()) < 1e-9


@pytest.mark.parametrize(("l1", "l2"), [(0.03, 0.0), (0.003, 0.0), (0.01, 0.02)])
def test_proximal_gradient_gets_to_the_same_place(l1, l2):
    X, y, _ = problem()
    J = proximal_gradient(X, y, l1, l2)
    result = fit(X, y, l1=l1, l2=l2, tol=1e-11)
    assert result.converged
    assert abs(J - result.objective) < 1e-12


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("K", [2, 3])
def test_no_bound_on_the_way_is_above_the_optimum(solver, K):
    X, y, _ = problem("scales", K)
    for l1 in (0.1, 0.01, 1e-3):
        best = fit(X, y, l1=l1, tol=1e-10, solver="newton")
        found = fit(X, y, l1=l1, tol=1e-10, solver=solver)
        for record in found.history:
            assert record.objective - record.gap <= best.objective + 1e-14


@pytest.mark.parametrize("solver", SOLVERS)
def test_bounds_of_random_problems(solver):
    """Factors that are zero, bounds active or not, ridge or none, at once."""
    rng = np.random.default_rng(5)
    for seed in range(25):
        K = int(rng.choice([2, 3]))
        X, y, arguments = problem(KINDS[seed % len(KINDS)], K, seed)
        X, y = X[:60], np.asarray(y)[:60]
        for name in ("sample_weight", "offset"):
            if name in arguments:
                arguments[name] = arguments[name][:60]
        d = X.shape[1]
        spread = np.maximum(X.std(axis=0), 0.01)
        arguments["l1"] = float(10.0 ** rng.uniform(-4, -1))
        arguments["penalty_factor"] = spread * rng.choice([0.0, 0.5, 2.0], d, p=[0.1, 0.4, 0.5])
        if d > 60:
            arguments["penalty_factor"] = 0.5 * spread
        arguments["lower"] = np.where(rng.random(d) < 0.5, -0.3 / spread, -np.inf)
        highest = 0.2 * rng.integers(0, 2) / spread
        arguments["upper"] = np.where(rng.random(d) < 0.5, highest, np.inf)
        if rng.random() < 0.5:
            arguments["l2"] = 0.01
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            best = fit(X, y, tol=1e-11, **arguments)
            result = fit(X, y, solver=solver, tol=1e-8, **arguments)
        assert (arguments["lower"] <= result.w).all()
        assert (result.w <= arguments["upper"]).all()
        bounds = ("lower", "upper")
        given = {k: v for k, v in arguments.items() if k not in bounds}
        assert objective(X, y, result.w, result.b, **given) == pytest.approx(
            result.objective, rel=1e-11
        )
        assert result.objective - result.gap <= best.objective + 1e-14
        assert result.objective - best.objective <= result.gap + 1e-14
        if best.converged:
            assert result.converged
            weights, _ = violation(X, y, best, **arguments)
            assert (weights / spread).max() < 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_strong_penalty_leaves_the_base_rate(solver):
    X, y, _ = problem()
    l1 = largest(X, y)
    result = fit(X, y, l1=l1 * (1 + 1e-12), solver=solver, tol=1e-12)
    assert not result.w.any()
    assert result.b == pytest.approx(np.log(y.mean() / (1 - y.mean())), abs=1e-7)
    assert fit(X, y, l1=0.999 * l1, solver=solver, tol=1e-12).w.any()


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_columns_that_matter_are_found(solver):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((5000, 40))
    y = (X[:, :4] @ [2.0, -2.0, 1.5, -1.5] + rng.logistic(size=5000) > 0).astype(int)
    result = fit(X, y, l1=0.02, solver=solver)
    assert np.flatnonzero(result.w).tolist() == [0, 1, 2, 3]
    assert (np.sign(result.w[:4]) == [1, -1, 1, -1]).all()


def test_many_columns_and_few_rows():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((80, 3000))
    y = (X[:, :3].sum(axis=1) + 0.5 * rng.standard_normal(80) > 0).astype(int)
    l1 = largest(X, y)
    for part in (0.5, 0.1, 0.01, 0.001):
        result = fit(X, y, l1=part * l1, tol=1e-9)
        assert result.converged
        assert result.solver == "working-set"
        weights, bias = violation(X, y, result, l1=part * l1)
        assert weights.max() < 1e-3 * part * l1
        assert bias < 1e-6
        assert np.count_nonzero(result.w) < 80


def test_elastic_net_meets_its_ends():
    X, y, _ = problem()
    ridge = fit(X, y, l2=0.1, tol=1e-12)
    lasso = fit(X, y, l1=0.01, tol=1e-12)
    np.testing.assert_allclose(fit(X, y, l2=0.1, l1=1e-9, tol=1e-12).w, ridge.w, atol=3e-6)
    np.testing.assert_allclose(fit(X, y, l2=1e-9, l1=0.01, tol=1e-12).w, lasso.w, atol=3e-6)


@pytest.mark.parametrize("ratio", [1.0, 0.4])
@pytest.mark.parametrize("K", [2, 3])
def test_scikit_learn_agrees(K, ratio, monkeypatch):
    monkeypatch.setattr(
        "logreg_c.fitting.is_better_dense", lambda X: False
    )  # no sparse X is copied as a dense one
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, _ = problem("gaussian", K)
    theirs = linear_model.LogisticRegression(
        C=0.05, l1_ratio=ratio, solver="saga", tol=1e-10, max_iter=20_000, random_state=0
    )
    if theirs.penalty == "l2":  # scikit-learn before 1.8 does not go by l1_ratio alone
        theirs.set_params(penalty="elasticnet")
    theirs.fit(X, y)
    size = np.abs(theirs.coef_).max()
    for solver in SOLVERS:
        model = logreg_c.LogisticRegression(C=0.05, l1_ratio=ratio, solver=solver, tol=1e-13)
        for held in (X, scipy.sparse.csr_array(X)):
            if solver == "sampled" and held is not X:
                continue  # it is for a dense X
            ours = model.fit(held, y)
            np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-6 * size)
            np.testing.assert_array_equal(ours.coef_ == 0, np.abs(theirs.coef_) < 1e-9)
            np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


def test_a_ridge_penalty_with_factors_is_that_of_scaled_columns():
    X, y, _ = problem()
    factor = np.linspace(0.5, 3.0, X.shape[1])
    expected = fit(X / np.sqrt(factor), y, l2=0.05, tol=1e-12)
    for solver in ("auto", "newton", "sampled", "lbfgs", "newton-cg"):
        found = fit(X, y, l2=0.05, penalty_factor=factor, tol=1e-12, solver=solver)
        np.testing.assert_allclose(found.w, expected.w / np.sqrt(factor), atol=1e-6)
    with pytest.raises(ValueError, match="'compressed', which takes one penalty for all columns"):
        fit(X[:5], y[:5] * 0 + [0, 1, 0, 1, 0], l2=0.05, penalty_factor=factor, solver="compressed")
    wide = np.random.default_rng(0).standard_normal((20, 90))
    factor = np.linspace(0.5, 3.0, 90)
    labels = np.arange(20) % 2
    found = fit(wide, labels, l2=0.05, penalty_factor=factor, tol=1e-12)
    expected = fit(wide / np.sqrt(factor), labels, l2=0.05, tol=1e-12)
    np.testing.assert_allclose(found.w, expected.w / np.sqrt(factor), atol=1e-6)


def test_an_l1_penalty_with_factors_is_that_of_scaled_columns():
    X, y, _ = problem()
    factor = np.linspace(0.5, 3.0, X.shape[1])
    expected = fit(X / factor, y, l1=0.02, tol=1e-12)
    found = fit(X, y, l1=0.02, penalty_factor=factor, tol=1e-12)
    np.testing.assert_allclose(found.w, expected.w / factor, atol=3e-6)


@pytest.mark.parametrize("K", [2, 3])
def test_a_factor_of_zero_is_no_penalty_and_a_large_one_drops_the_column(K):
    X, y, _ = problem("gaussian", K)
    factor = np.ones(X.shape[1])
    factor[-1], factor[0] = 0.0, 1e6
    result = fit(X, y, l1=0.05, l2=0.01, penalty_factor=factor, tol=1e-12)
    w = np.atleast_2d(result.w)
    assert result.converged
    assert w[:, -1].all()
    assert not w[:, 0].any()
    slopes = smooth(X, y, result.w, result.b)[1]
    assert np.abs(np.atleast_2d(slopes)[:, -1]).max() < 1e-9
    if K == 3:
        assert abs(w[:, -1].sum()) < 1e-9


@pytest.mark.parametrize("solver", SOLVERS)
def test_bounds(solver):
    X, y, _ = problem()
    free = fit(X, y, l1=0.01, tol=1e-12)
    wide = fit(X, y, l1=0.01, lower=-50, upper=50, tol=1e-12, solver=solver)
    np.testing.assert_allclose(wide.w, free.w, atol=3e-6)
    positive = fit(X, y, l1=0.01, lower=0, tol=1e-12, solver=solver)
    assert positive.converged
    assert (positive.w >= 0).all()
    assert (positive.w == 0)[free.w < 0].any()
    narrow = fit(X, y, lower=-0.1, upper=0.2, tol=1e-12, solver=solver)
    assert narrow.converged
    assert narrow.w.max() == 0.2
    assert narrow.w.min() == -0.1
    weights, _ = violation(X, y, narrow, lower=-0.1, upper=0.2)
    assert weights.max() < 1e-7


def test_two_columns_of_probabilities():
    X, y, _ = problem("soft")
    one = fit(X, y, l1=0.01, l2=0.01, upper=0.3, lower=-0.3, tol=1e-12)
    two = fit(X, np.column_stack([1 - y, y]), l1=0.01, l2=0.02, upper=0.15, lower=-0.2, tol=1e-12)
    np.testing.assert_allclose(two.w[1] - two.w[0], one.w, atol=1e-8)
    assert two.objective == pytest.approx(one.objective, rel=1e-10)


@pytest.mark.parametrize("kind", ["gaussian", "wide"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_layouts_and_types_make_no_difference(kind, solver):
    X, y, _ = problem(kind)
    X = X.astype(np.float32).astype(float)
    plain = fit(X, y, l1=0.02, solver=solver, tol=1e-11)
    for other in (np.asfortranarray(X), X.astype(np.float32), np.asfortranarray(X, np.float32)):
        found = fit(other, y, l1=0.02, solver=solver, tol=1e-11)
        np.testing.assert_allclose(found.w, plain.w, atol=3e-6)
        np.testing.assert_array_equal(found.w == 0, plain.w == 0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_weight_is_a_repetition(solver):
    X, y, _ = problem()
    s = np.random.default_rng(0).integers(0, 4, len(y))
    weighted = fit(X, y, l1=0.01, sample_weight=s.astype(float), solver=solver, tol=1e-12)
    repeated = fit(np.repeat(X, s, axis=0), np.repeat(y, s), l1=0.01, tol=1e-12)
    np.testing.assert_allclose(weighted.w, repeated.w, atol=3e-6)


@pytest.mark.parametrize(("kind", "K"), [("gaussian", 2), ("gaussian", 3), ("wide", 2)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_same_bits_for_any_number_of_threads(kind, K, solver):
    X, y, _ = problem(kind, K)
    first, *others = (fit(X, y, l1=0.01, solver=solver, n_threads=t) for t in (1, 2, 3, 8))
    for other in others:
        assert other.w.tobytes() == first.w.tobytes()
        assert np.asarray(other.b).tobytes() == np.asarray(first.b).tobytes()
        assert other.gap == first.gap


def test_separable_classes_have_an_optimum():
    X, y = np.array([[-2.0, 1.0], [-1.0, 0.0], [1.0, 0.5], [3.0, 0.0]]), [0, 0, 1, 1]
    result = fit(X, y, l1=1e-4)
    assert result.converged
    assert np.isfinite(result.w).all()


def test_columns_far_from_zero_with_fewer_rows_than_weights():
    """Hessians have less rank than weights have values, and models no minimum that is easy to
    get to: where it is not found, J falls little by little."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 60)) + 30.0 * rng.standard_normal(60)
    Z = (X - X.mean(axis=0)) @ rng.standard_normal((60, 3))
    y = (Z + 5.0 * rng.gumbel(size=Z.shape)).argmax(axis=1)
    result = fit(X, y, l1=2e-5, fit_intercept=False, solver="newton", tol=1e-6, max_iter=20)
    assert result.converged, result.reason


def test_a_start_is_taken():
    X, y, _ = problem()
    best = fit(X, y, l1=0.01, tol=1e-10)
    again = fit(X, y, l1=0.01, w0=best.w, b0=best.b, tol=1e-8)
    assert again.n_iter <= 2
    within = fit(X, y, l1=0.01, w0=np.full(12, 9.0), upper=0.1, tol=1e-8)
    assert within.converged


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"l1": -1.0}, ValueError, "l1 is -1.0; give a finite number of 0 or above"),
        ({"l1": [1.0, 2.0]}, ValueError, "l1 has shape"),
        ({"l1": 1.0, "penalty_factor": [1.0]}, ValueError, "penalty_factor has 1 entries"),
        ({"penalty_factor": [-1.0] * 12}, ValueError, r"penalty_factor\[0\] is -1.0; give finite"),
        ({"penalty_factor": [np.nan] * 12}, ValueError, r"penalty_factor\[0\] is nan"),
        ({"lower": 0.5}, ValueError, r"lower\[0\] is 0.5; a weight of 0 has to be allowed"),
        ({"upper": -0.5}, ValueError, r"upper\[0\] is -0.5; a weight of 0 has to be allowed"),
        ({"upper": [1.0, 2.0]}, ValueError, "upper has 2 entries"),
        ({"upper": np.nan}, ValueError, r"upper\[0\] is nan"),
        ({"l1": 0.1, "solver": "lbfgs"}, ValueError, "'lbfgs', which knows no L1 penalty"),
        ({"upper": 1.0, "solver": "blocks"}, ValueError, "no bounds; give 'auto' or one of newton"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, error, text):
    X, y, _ = problem()
    with pytest.raises(error, match=text):
        fit(X, y, **arguments)


@pytest.mark.parametrize(
    ("penalty", "reason"),
    [
        ({"l2": 0.1, "penalty_factor": [1, 1, 0]}, "column 2, which has no penalty, can separate"),
        ({"l1": 0.1, "penalty_factor": [1, 1, 0]}, "column 2, which has no penalty, can separate"),
        ({"lower": [0, 0, -np.inf], "upper": [1, 1, np.inf]}, "column 2 separates the classes"),
    ],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_a_column_without_a_penalty_that_separates_is_told(penalty, reason, sparse):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = X[:, 0] + rng.standard_normal(200) > 0
    X[:, 2] = np.where(y, 0.1, -0.1) + np.where(y, 1.0, -1.0) * rng.random(200)
    with pytest.warns(SeparationWarning, match=reason):
        result = fit(scipy.sparse.csr_array(X) if sparse else X, y, **penalty)
    assert not result.converged
    X[0, 2] *= -1.0
    assert fit(scipy.sparse.csr_array(X) if sparse else X, y, **penalty).converged


def test_working_set_is_for_penalties_with_kinks():
    with pytest.raises(ValueError, match="'working-set', which is for an L1 penalty or bounds"):
        fit(np.eye(4), [0, 1, 0, 1], l2=0.1, solver="working-set")


def test_proofs_that_fail_do_not_go_on_for_ever():
    # Columns that all classes share a weight of bend J by next to nothing: each try of conjugate
    # gradients is 50 products.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 300))
    y = (X @ rng.standard_normal((300, 4)) / 9.0 + rng.gumbel(size=(2000, 4))).argmax(axis=1)
    result = fit(X, y, l1=1e-6, solver="working-set")
    assert result.converged
    assert result.n_passes < 500


@pytest.mark.parametrize("l1", [1e-4, 1e-5])
def test_weights_whose_penalties_tie_change_at_once(l1, monkeypatch):
    """Of three classes one weight of each column may be zero: face by face that took for ever."""
    module = sys.modules["logreg_c.solvers.working_set"]
    monkeypatch.setattr(module, "WORTH", 0.0)  # no Hessian from the start
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 60))
    y = (X[:, :3] + rng.gumbel(size=(1000, 3))).argmax(axis=1)
    found = fit(X, y, l1=l1, solver="working-set", max_iter=25)
    assert found.solver == "working-set"
    assert found.converged
    assert found.objective == pytest.approx(fit(X, y, l1=l1, tol=1e-10).objective, rel=1e-6)


@pytest.mark.parametrize("solver", ["auto", "newton", "working-set"])
def test_many_classes_few_rows_and_a_tiny_penalty(solver):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((150, 60))
    y = (X[:, :4] + rng.gumbel(size=(150, 4))).argmax(axis=1)
    found = fit(X, y, l1=1e-5, solver=solver, max_iter=60)
    assert found.converged
    # Weights of a column tie where one of them is zero.
    assert (found.w == 0.0).any(axis=0).all()


@pytest.mark.parametrize("seed", [3, 5])
def test_rows_of_very_different_weights_and_a_tiny_penalty(seed):
    # Each column has rows of its own: some are sure of their labels long before others, and a
    # Hessian tells nothing of how far to go in these.
    rng = np.random.default_rng(seed)
    X = np.eye(20)[rng.integers(0, 20, 300)]
    y, offset = rng.integers(0, 3, 300), 2.0 * rng.standard_normal((300, 3))
    s = rng.integers(0, 3, 300) * 1e-3 + (rng.random(300) < 0.1) * 100.0
    found = fit(X, y, l1=3e-6, sample_weight=s, offset=offset, solver="newton", max_iter=40)
    assert found.converged
    grid = np.geomspace(0.1, 3e-6, 15)
    path = regularization_path(X, y, penalties=grid, sample_weight=s, offset=offset)
    assert found.objective - found.gap <= path.objective[-1] * (1.0 + 1e-11)
    assert path.objective[-1] - path.gap[-1] <= found.objective * (1.0 + 1e-11)
