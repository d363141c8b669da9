# SPDX-License-Identifier: BSD-3-Clause
"""`fit` on a sparse X: the optimum of its dense copy, proved, whatever the entries look like."""

from __future__ import annotations

import sys
import types
from functools import cache

import numpy as np
import pytest
from fit_problems import bits_of, raw, twin

import logreg_c
from logreg_c import SeparationWarning, fit
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers import choose
from logreg_c.solvers._partial import Partial

sparse = pytest.importorskip("scipy.sparse")

KINDS = [
    "plain", "ones", "one-hot", "scaled one-hot", "scales", "few rows", "empty", "weights",
    "offset", "no bias", "soft",
]  # fmt: skip


def one_hot(rng, n, levels, entry=1.0):
    column = rng.integers(0, levels, n)
    return sparse.csr_matrix((np.full(n, entry), (np.arange(n), column)), shape=(n, levels))


def columns(rng, kind):
    n, d = (30, 400) if kind == "few rows" else (900, 60)
    density = rng.choice([0.05, 0.2], d)
    X = rng.standard_normal((n, d)) * (rng.random((n, d)) < density)
    if kind == "ones":
        X = (X != 0.0).astype(float)
    elif kind == "one-hot":
        X = sparse.hstack([one_hot(rng, n, 9), one_hot(rng, n, 40)])
    elif kind == "scaled one-hot":
        X = sparse.hstack([one_hot(rng, n, 6, 3.0), X[:, :20], one_hot(rng, n, 5, -0.2)])
    elif kind == "scales":
        X = X * 10.0 ** rng.uniform(-9, 9, d)
    elif kind == "empty":
        X[::3] = 0.0
        X[:, ::4] = 0.0
    return sparse.csr_matrix(X)


@cache
def problem(kind, K=2):
    """Return a CSR matrix, y and the other arguments."""
    rng = np.random.default_rng(KINDS.index(kind) + 100 * K)
    X = columns(rng, kind)
    n, d = X.shape
    size = np.sqrt(np.asarray(X.multiply(X).mean(axis=0)).ravel())
    W = rng.standard_normal((d, K)) / np.where(size > 0.0, size, 1.0)[:, None]
    Z = 0.7 * (X @ W)
    a = np.exp(Z - Z.max(axis=1, keepdims=True))
    a /= a.sum(axis=1, keepdims=True)
    y = (rng.random((n, 1)) > np.cumsum(a, axis=1)[:, :-1]).sum(axis=1)
    y[:K] = np.arange(K)
    arguments = {"l2": 1e-3}
    if kind == "soft":
        y = a if K > 2 else a[:, 1].copy()
    elif kind == "weights":
        arguments["sample_weight"] = rng.uniform(0, 3, n) * (rng.random(n) < 0.8)
        arguments["sample_weight"][:K] = 1.0
    elif kind == "offset":
        arguments["offset"] = rng.standard_normal(n if K == 2 else (n, K)) * 2
    elif kind == "no bias":
        arguments["fit_intercept"] = False
    return X, y, arguments


@cache
def optimum(kind, K):
    """Return J* of the dense copy, to 1e-12 of it."""
    X, y, arguments = problem(kind, K)
    result = fit(X.toarray(), y, tol=1e-12, **arguments)
    assert result.converged
    return result.objective


@pytest.fixture
def kept_sparse(monkeypatch):
    """Let no X be copied as a dense one because it is small."""
    monkeypatch.setattr("logreg_c.fitting.is_better_dense", lambda X: False)


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cg", "newton"])
def test_the_optimum_of_the_dense_copy_within_the_gap(kind, K, solver, kept_sparse):
    X, y, arguments = problem(kind, K)
    if kind == "scales" and solver != "auto":
        pytest.skip("a diagonal alone takes for ever")
    if kind == "few rows" and solver == "newton":
        pytest.skip("too many parameters")
    result = fit(X, y, tol=1e-7, solver=solver, **arguments)
    best = optimum(kind, K)
    assert result.converged
    wanted = "preconditioned" if solver == "auto" else solver
    # Columns of many sizes may leave it to what is stronger.
    assert result.solver == wanted or kind.startswith("scale")
    assert result.gap <= 1e-7 * best + 1e-15
    assert result.objective - best <= result.gap + 1e-12 * best
    assert result.objective >= best - 2e-12 * best
    own = float(twin(X.toarray(), y, **arguments).J(raw(result)))
    assert own == pytest.approx(result.objective, rel=1e-11)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("kind", ["plain", "one-hot", "scales", "few rows", "no bias"])
def test_every_gap_of_the_history_is_true(kind, K, kept_sparse):
    X, y, arguments = problem(kind, K)
    result = fit(X, y, tol=1e-10, **arguments)
    best = fit(X.toarray(), y, tol=1e-12, **arguments).objective
    for before, record in zip((None, *result.history), result.history, strict=False):
        assert record.gap >= record.objective - best - 1e-12 * best
        if before is not None:
            assert record.objective <= before.objective
            assert record.n_passes >= before.n_passes
            assert record.gap <= before.gap


@pytest.mark.parametrize("kind", ["plain", "ones", "one-hot"])
def test_every_layout_is_the_same_problem(kind, kept_sparse):
    X, y, arguments = problem(kind)
    plain = fit(X, y, **arguments)
    for layout in ("csr", "csc", "coo"):
        for index in (np.int32, np.int64):
            other = X.asformat(layout)
            if layout != "coo":
                other.indices = other.indices.astype(index)
                other.indptr = other.indptr.astype(index)
            result = fit(other, y, **arguments)
            np.testing.assert_allclose(result.w, plain.w, rtol=1e-9, atol=1e-12)
            assert result.n_passes == plain.n_passes
    single = X.astype(np.float32)
    double = fit(single.astype(np.float64), y, **arguments)
    np.testing.assert_allclose(fit(single, y, **arguments).w, double.w, rtol=1e-9, atol=1e-12)


def test_repeated_and_unordered_entries_are_added_up(kept_sparse):
    rng = np.random.default_rng(0)
    n, d, m = 300, 20, 3000
    row = np.sort(rng.integers(0, n, m))
    X = types.SimpleNamespace(
        indptr=np.searchsorted(row, np.arange(n + 1)), indices=rng.integers(0, d, m),
        data=rng.standard_normal(m), shape=(n, d), format="csr",
    )  # fmt: skip
    for part in (X.indptr, X.indices, X.data):
        part.flags.writeable = False
    dense = np.zeros((n, d))
    np.add.at(dense, (row, X.indices), X.data)
    y = rng.integers(0, 2, n)
    one, two = fit(X, y, l2=1e-2, tol=1e-10), fit(dense, y, l2=1e-2, tol=1e-10)
    assert one.solver == "preconditioned"
    np.testing.assert_allclose(one.w, two.w, atol=1e-4)
    assert one.objective == pytest.approx(two.objective, rel=1e-9)


@pytest.mark.parametrize(("kind", "K"), [("plain", 2), ("one-hot", 2), ("weights", 3)])
def test_same_bits_for_any_number_of_threads(kind, K, kept_sparse, monkeypatch):
    monkeypatch.setattr("logreg_c.solvers._whole.SMALL", 0)
    monkeypatch.setattr("logreg_c.solvers._whole.COMPLETE", 0.0)
    X, y, arguments = problem(kind, K)
    # Enough work for threads to share it, and rows of very different lengths.
    X, y = sparse.vstack([X] * 8).tocsr(), np.tile(y, 8)
    arguments = {k: np.tile(v, 8) if isinstance(v, np.ndarray) else v for k, v in arguments.items()}

    one = bits_of(fit(X, y, n_threads=1, **arguments))
    for threads in (2, 3, 8):
        assert bits_of(fit(X, y, n_threads=threads, **arguments)) == one


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (5, 1000), (2, 3), (200, 1)])
@pytest.mark.parametrize("filled", [0.0, 0.1, 1.0])
def test_odd_shapes(shape, K, filled, kept_sparse):
    rng = np.random.default_rng(0)
    n = shape[0]
    K = min(K, max(n, 2))
    X = sparse.csr_matrix(rng.standard_normal(shape) * (rng.random(shape) < filled))
    y = np.arange(n) % K
    arguments = {"l2": 0.1, "fit_intercept": n > 1, "tol": 1e-9}
    result = fit(X, y, **arguments)
    assert result.converged
    assert result.objective == pytest.approx(fit(X.toarray(), y, **arguments).objective, rel=1e-8)


def test_a_small_one_is_copied_as_a_dense_one():
    X, y, arguments = problem("plain")
    result, other = fit(X, y, **arguments), fit(X.toarray(), y, **arguments)
    assert result.w.tobytes() == other.w.tobytes()
    assert fit(X, y, solver="preconditioned", **arguments).solver == "preconditioned"
    with pytest.raises(ValueError, match="'preconditioned', which is for a sparse X"):
        fit(X.toarray(), y, solver="preconditioned", **arguments)


def test_what_is_wrong_with_x_is_named(kept_sparse):
    X, y, arguments = problem("plain")
    k = X.indptr[7]
    bad = X.copy()
    bad.data[k] = np.inf
    with pytest.raises(ValueError, match=rf"X\[7, {X.indices[k]}\] is inf"):
        fit(bad, y, **arguments)
    with pytest.raises(ValueError, match=rf"X\[7, {X.indices[k]}\] is inf"):
        fit(bad.tocsc(), y, **arguments)
    bad = X.copy()
    bad.indices[k] = 60
    with pytest.raises(ValueError, match=r"is 60, in row 7; X has 60 columns"):
        fit(bad, y, **arguments)
    with pytest.raises(ValueError, match="is 'sampled', which is for a dense X"):
        fit(X, y, solver="sampled", **arguments)


@pytest.mark.parametrize("layout", ["csr", "csc"])
def test_x_is_left_alone(layout, kept_sparse):
    X, y, arguments = problem("plain")
    X = X.asformat(layout)
    before = [part.tobytes() for part in (X.data, X.indices, X.indptr)]
    fit(X, y, **arguments)
    assert [part.tobytes() for part in (X.data, X.indices, X.indptr)] == before


def test_columns_whose_squares_are_out_of_range(kept_sparse):
    X, y, arguments = problem("plain")
    X = X.copy()
    X.data *= 1e160
    with pytest.raises(ValueError, match="whose squares are beyond the range of float64"):
        fit(X, y, **arguments)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
def test_spare_entries_behind_the_last_one_are_not_read(form, kept_sparse):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 5)) * (rng.random((80, 5)) < 0.5) * [1e9, 1.0, 1.0, 1.0, 1e-9]
    X, y = form(X), rng.integers(0, 2, 80)
    spare = types.SimpleNamespace(
        indptr=X.indptr,
        indices=np.append(X.indices, np.int32([7, -1])),
        data=np.append(X.data, [1.0, np.nan]),
        shape=X.shape,
        format=X.format,
    )
    np.testing.assert_array_equal(fit(spare, y, l2=1e-3).w, fit(X, y, l2=1e-3).w)


def test_a_start_at_the_optimum_and_one_far_off(kept_sparse):
    X, y, arguments = problem("one-hot")
    there = fit(X, y, tol=1e-12, **arguments)
    again = fit(X, y, w0=there.w, b0=there.b, **arguments)
    assert again.converged
    assert again.n_iter <= 2
    far = fit(X, y, w0=np.full(X.shape[1], 30.0), b0=-50.0, **arguments)
    assert far.objective - optimum("one-hot", 2) <= far.gap


def test_a_callback_a_limit_and_the_record(kept_sparse):
    X, y, arguments = problem("plain")
    seen = []
    fit(X, y, callback=seen.append, **arguments)
    assert [state.n_iter for state in seen] == list(range(1, len(seen) + 1))
    with pytest.warns(logreg_c.ConvergenceWarning, match="max_iter=2 iterations done"):
        assert not fit(X, y, max_iter=2, **arguments).converged


def weak(n=1000, d=900):
    """Return a problem with a penalty so weak that combinations of points prove little."""
    rng = np.random.default_rng(3)
    X = sparse.random(n, d, 0.012, format="csr", random_state=rng, data_rvs=rng.standard_normal)
    w = np.where(rng.random(d) < 0.03, 2.0 * rng.standard_normal(d), 0.0)
    return X, (X @ w + rng.logistic(size=n) > 0.0).astype(int), {"l2": 3e-8}


def test_a_weak_penalty_on_few_entries_is_proved(kept_sparse):
    X, y, arguments = weak()
    result = fit(X, y, **arguments)
    assert result.converged
    assert result.solver == "preconditioned"
    J = fit(X.toarray(), y, tol=1e-9, **arguments).objective
    assert result.objective - result.gap <= J * (1 + 1e-11)


def test_full_steps_are_tried_without_a_search_after_full_steps(kept_sparse, monkeypatch):
    X, y, arguments = problem("plain", 2)
    searched, found = [], {}
    module = sys.modules["logreg_c.solvers.preconditioned"]
    along = module.along

    def counted(*of):
        searched[-1] += 1
        return along(*of)

    monkeypatch.setattr(module, "along", counted)
    for row in (1e-9, 1e9):
        monkeypatch.setattr(module, "ROW", row)
        searched.append(0)
        found[row] = fit(X, y, tol=1e-9, **arguments)
        assert found[row].solver == "preconditioned"
        assert found[row].converged
    assert searched[0] == found[1e-9].n_iter - 1
    assert searched[1] < searched[0]
    assert found[1e9].objective == pytest.approx(found[1e-9].objective, rel=1e-9)


@pytest.mark.parametrize(
    ("d", "solvers"),
    [
        (1000, ["preconditioned", "newton-cg", "newton"]),
        (3000, ["preconditioned", "newton-cg"]),
    ],
)
def test_what_auto_takes(d, solvers, kept_sparse):
    X = sparse.random_array((200, d), density=0.01, rng=np.random.default_rng(0), format="csr")
    problem = Problem(X, np.arange(200) % 3, None, None, True, 0, None)
    posed = problem.pose(as_penalty(0.1, 0.0, None, None, None, d))
    assert choose("auto", posed.objective) == solvers


def test_what_would_take_far_too_long_is_left_to_conjugate_gradients(kept_sparse):
    # Entries over five orders of magnitude, in four classes, of which each bends in its own way.
    rng = np.random.default_rng(0)
    X = sparse.random_array((2000, 400), density=0.05, rng=rng, format="csr")
    X.data = rng.standard_cauchy(X.nnz) * 10.0 ** rng.uniform(-1, 1, 400)[X.indices]
    Z = X @ rng.standard_normal((400, 4)) / 30.0
    y = (Z + rng.gumbel(size=Z.shape)).argmax(axis=1)
    result = fit(X, y, l2=1e-5)
    assert result.converged
    assert result.solver == "newton-cg"
    assert "after preconditioned" in result.reason
    J = fit(X.toarray(), y, l2=1e-5, tol=1e-8).objective
    assert J * (1.0 - 1e-7) <= result.objective <= J + result.gap


def test_a_head_grows_as_far_as_slow_iterations_pay_for(kept_sparse):
    X, y, _ = weak()
    penalty = as_penalty(3e-8, 0.0, None, None, None, X.shape[1])
    objective = Problem(X, y, None, None, True, 0, 1, True).pose(penalty).objective
    for count, grows in ((1, False), (1000, True)):
        matrix = Partial(objective, np.random.default_rng(0))
        assert matrix.grow(count) == grows


@pytest.mark.parametrize("K", [2, 3])
def test_without_a_penalty(K, kept_sparse):
    X, y, arguments = problem("plain", K)
    arguments = arguments | {"l2": 0.0}
    dense = fit(X.toarray(), y, **arguments)
    result = fit(X, y, **arguments)
    assert result.converged == dense.converged
    assert result.objective == pytest.approx(dense.objective, rel=2e-6)


def test_without_a_penalty_fields_are_dependencies(kept_sparse):
    rng = np.random.default_rng(0)
    X = sparse.hstack([one_hot(rng, 400, 3), one_hot(rng, 400, 5)]).tocsr()
    y = rng.integers(0, 2, 400)
    dense, result = fit(X.toarray(), y), fit(X, y)
    assert dense.converged
    assert result.converged
    assert result.dependent == dense.dependent
    np.testing.assert_allclose(result.w, dense.w, atol=5e-3)


def test_without_a_penalty_separated_classes_are_found(kept_sparse):
    X, y, _ = problem("plain")
    X = X.tolil()
    X[:, 5] = np.where(y == 1, np.arange(len(y)) % 3 == 0, 0.0)[:, None]
    X = X.tocsr()
    with pytest.warns(SeparationWarning, match="column 5 separates the classes"):
        assert not fit(X, y).converged


def test_a_column_far_from_zero_without_a_penalty():
    rng = np.random.default_rng(0)
    X = rng.normal([1e5, 0.0, 0.0], 1.0, (50, 3))
    y = rng.dirichlet(np.ones(3), 50)
    A = sparse.csr_array(X)
    result = fit(A, y, l2=0.01, penalty_factor=[0, 1, 1], solver="preconditioned")
    assert result.converged
