# SPDX-License-Identifier: BSD-3-Clause
"""Fits without a penalty that have no finite optimum, and those that nearly look so."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logreg_c import (
    LogisticRegression,
    LogisticRegressionCV,
    SeparationWarning,
    _kernels,
    _separation,
    fit,
)
from logreg_c._collinear import Dependencies

SOLVERS = ["newton", "sampled", "blocks", "compressed", "lbfgs", "newton-cg", "gradient-descent"]


def normal(n=150, d=4, K=2, seed=0):
    """Return columns and labels that overlap everywhere."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    Z = X @ rng.standard_normal((d, K)) * 0.7 + rng.gumbel(size=(n, K))
    y = Z.argmax(axis=1)
    y[:K] = np.arange(K)
    return X, y


def with_dummy(X, y, k, count=9):
    """Append a column that is 1 in a few rows of class k alone."""
    dummy = np.zeros(len(X))
    dummy[np.flatnonzero(y == k)[:count]] = 1.0
    return np.column_stack((X, dummy))


def with_pair(X, y, seed=1):
    """Append two columns whose difference is never against the label, though each alone is."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 3, (2, len(X))).astype(float)
    wrong = (a - b) * (2 * y - 1) < 0
    a[wrong], b[wrong] = b[wrong], a[wrong]
    return np.column_stack((X, a, b))


def separated(X, y, match, **arguments):
    """Fit, and expect the warning and the reason."""
    with pytest.warns(SeparationWarning, match="there is no finite optimum") as caught:
        result = fit(X, y, **arguments)
    assert len(caught) == 1
    assert not result.converged
    cure = "these a penalty_factor" if {"l1", "l2"} & set(arguments) else "l2 a value"
    before, after = (
        f"there is no finite optimum: {result.reason}. The direction is ",
        f". The weights are those at which the fit was stopped, J = {result.objective:.6g}; give "
        f"{cure} above 0, which makes the optimum finite, or drop what separates the classes",
    )
    message = str(caught[0].message)
    assert message.startswith(before)
    assert message.endswith(after)
    assert " · column " in message[len(before) : -len(after)]
    assert np.isfinite(result.w).all()
    assert 0 <= result.gap <= result.objective
    assert match in result.reason
    if "almost surely" not in result.reason:
        assert_separates(result.direction, X, y, arguments.get("sample_weight"))
    return result


def assert_separates(direction, X, y, weight=None):
    """Hold a direction against all rows: none is moved against its label, and some for it."""
    w, b = direction
    assert np.abs(w).max() == 1.0
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, float)
    y = np.asarray(y)
    counts = np.ones(len(X), bool) if weight is None else np.asarray(weight) > 0
    size = (np.abs(X)[:, :, None] * np.abs(np.atleast_2d(w).T)).sum(axis=1).max(axis=1)
    size = size + np.abs(b).max() + 1e-6
    U = X @ w.T + b
    if U.ndim == 1:
        U = np.column_stack((np.zeros(len(X)), U))
    Y = y if y.ndim == 2 else np.column_stack((1 - y, y)) if U.shape[1] == 2 else None
    if Y is None:
        Y = np.arange(U.shape[1]) == y[:, None]
    # The least that the classes a row may be of gain on the others.
    gain = np.where(Y > 0, U, np.inf).min(axis=1) - U.max(axis=1)
    assert (gain >= -1e-8 * size)[counts].all()
    assert (np.ptp(U, axis=1) > 1e-8 * size)[counts].any()


@pytest.mark.parametrize("K", [2, 3])
def test_the_warning_tells_the_direction_by_the_columns_names(K):
    pandas = pytest.importorskip("pandas")
    X, y = normal(K=K)
    y = y % 2 if K == 2 else y
    names = ["age", "income", "height", "weight", "one", "other"]
    frame = pandas.DataFrame(with_pair(X, y), columns=names)
    for model in (fit, lambda X, y: LogisticRegression(C=np.inf).fit(X, y)):
        with pytest.warns(match="columns '(one|other)' and '(one|other)' together") as caught:
            model(frame, y)
        assert re.search(r"direction is -? ?1 · column 'o.* [-+] 1 · column 'o", str(caught[0]))
        assert ("for class" in str(caught[0])) == (K > 2)


def test_the_estimators_tell_classes_by_their_labels():
    X, y = normal(K=3)
    A, labels = with_dummy(X, y, 1), np.array(["red", "green", "blue"])[np.argsort([2, 1, 0])[y]]
    for model in (LogisticRegression(C=np.inf), LogisticRegressionCV(Cs=[np.inf], cv=3)):
        with pytest.warns(match="column 4 separates class 'green' from the others"):
            model.fit(A, labels)


@pytest.mark.parametrize("solver", SOLVERS)
def test_several_columns_separate_completely(solver):
    X, _ = normal()
    y = (X[:, 0] + X[:, 1] - 0.5 * X[:, 2] > 0.2).astype(int)
    result = separated(X, y, "separate the classes", solver=solver)
    if solver in ("newton", "sampled"):
        assert result.reason.startswith("the columns separate the classes completely, columns ")
        assert result.reason.endswith(
            " with the largest part in it, so that J falls to 0 as the weights grow without end"
        )


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_column_separates(solver):
    X, y = normal()
    reason = "column 4 separates the classes, whatever the others do"
    assert separated(with_dummy(X, y, 1), y, reason, solver=solver).reason == reason
    y = (X[:, 2] > 0.3).astype(int)
    separated(X, y, "column 2 separates the classes", solver=solver)


@pytest.mark.parametrize("solver", SOLVERS)
def test_two_columns_separate_together(solver):
    X, y = normal()
    result = separated(with_pair(X, y), y, "together separate the classes", solver=solver)
    assert result.reason.startswith(("columns 4 and 5", "columns 5 and 4"))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_column_separates_one_of_several_classes(solver):
    X, y = normal(K=3)
    reason = "column 4 separates class 2 from the others"
    separated(with_dummy(X, y, 2), y, reason, solver=solver)
    separated(X, X[:, :3].argmax(axis=1), "separate the classes", solver=solver)


def test_columns_separate_the_same_class_or_others():
    X, y = normal(K=3)
    A = with_dummy(X, y, 2)
    reason = "columns 4 and 5 each separate class 2 from the others"
    assert separated(with_dummy(A, y, 2), y, reason).reason == reason
    reason = "column 4 separates class 2 from the others, and others do other classes"
    assert separated(with_dummy(A, y, 0), y, reason).reason == reason


@pytest.mark.parametrize("penalty", [{"l2": 0.1}, {"l1": 0.1}])
def test_columns_without_a_penalty_separate(penalty):
    X, y = normal()
    reason = "column 4, which has no penalty, can separate the classes"
    found = separated(with_dummy(X, y, 1), y, reason, penalty_factor=[1, 1, 1, 1, 0], **penalty)
    assert found.reason == reason
    A, factor = with_pair(X, y), np.array([1, 1, 1, 1, 0, 0])
    reason = "columns 4 and 5, which have no penalty, can separate the classes"
    assert separated(A, y, reason, penalty_factor=factor, **penalty).reason == reason
    assert fit(A, y, penalty_factor=1 - factor, **penalty).converged


def test_columns_separate_several_classes_together():
    X, y = normal(K=3)
    X = with_pair(X, (y == 1).astype(int))
    separated(X, y, "together separate the classes")


@pytest.mark.parametrize("solver", ["newton", "newton-cg"])
def test_almost_surely_where_no_proof_is_tried(monkeypatch, solver):
    monkeypatch.setattr(_separation, "PROJECTED", 0)
    X, y = normal()
    reason = "almost surely be separated, mostly by columns"
    result = separated(with_pair(X, y), y, reason, solver=solver, max_iter=24, tol=1e-15)
    assert "4" in result.reason
    assert "5" in result.reason
    assert result.reason.endswith(
        ": the weights grow without end in a direction that moves no row against its label but for "
        "a ten-thousandth"
    )


def test_more_than_ten_columns_are_not_named():
    X, _ = normal(40, 14)
    X[:, :] = X[:, :1]
    reason = "columns 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 4 more each separate"
    separated(X, (X[:, 0] > 0).astype(int), reason)


def test_a_penalty_makes_the_optimum_finite():
    X, y = normal()
    for A, labels in ((with_dummy(X, y, 1), y), (with_pair(X, y), y), (X, X[:, 0] > 0)):
        assert fit(A, labels, l2=1e-6).converged


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [300, 20_000])
def test_layouts_and_threads(layout, dtype, n):
    X, y = normal(n)
    for A, reason in ((with_dummy(X, y, 0), "column 4 sep"), (with_pair(X, y), "together")):
        A = layout(A.astype(dtype))
        one, two = (separated(A, y, reason, n_threads=k) for k in (1, 2))
        assert (one.w == two.w).all()
        assert one.b == two.b
        assert one.reason == two.reason
        assert one.history == two.history


def test_rows_without_weight_do_not_count():
    X, _ = normal()
    y = (X[:, 0] > 0.1).astype(int)
    y[:5] = 1 - y[:5]
    weight = np.ones(len(y))
    assert fit(X, y, sample_weight=weight).converged
    weight[:5] = 0.0
    separated(X, y, "column 0 separates", sample_weight=weight)


def test_soft_labels_forbid_separation():
    X, _ = normal()
    y = (X[:, 0] > 0.1).astype(float)
    y[np.abs(X[:, 0] - 0.1) < 1.0] = 0.5
    assert fit(X, y).converged
    assert fit(X, np.full(len(X), 0.3)).converged
    # Unless they lie where the direction does not move them.
    X, y = normal()
    A, soft = with_dummy(X, y, 1), y.astype(float)
    soft[A[:, 4] == 0.0] = 0.3
    separated(A, soft, "column 4 separates")
    separated(A, np.column_stack((1 - soft, soft)), "column 4 separates")


def test_soft_labels_of_several_classes():
    X, y = normal(K=3)
    Y = np.eye(3)[y]
    separated(with_dummy(X, y, 1), Y, "column 4 separates class 1")
    Y[np.flatnonzero(y == 1)[:3]] = [0.2, 0.5, 0.3]
    assert fit(with_dummy(X, y, 1), Y).converged


def test_offsets_are_no_direction():
    X, y = normal()
    offset = 30.0 * (2 * y - 1)
    assert fit(X, y, offset=offset).converged
    y = (X[:, 0] > 0.1).astype(int)
    separated(X, y, "column 0", offset=30.0 * (2 * y - 1))


def test_without_a_bias_the_threshold_is_zero():
    X, y = normal()
    X[:, 0] = y + 1.0
    assert fit(X[:, :1], y, fit_intercept=False).converged
    separated(X, y, "column 0")
    X[:, 0] = 2.0 * y - 1.0
    separated(X, y, "column 0", fit_intercept=False)
    separated(np.abs(X), np.ones(len(X)), "each separate", fit_intercept=False)


def test_a_start_beyond_the_smallest_loss_is_told_too():
    X, _ = normal()
    y = (X[:, 0] > 0.1).astype(int)
    separated(X, y, "column 0", w0=[1e4, 0, 0, 0], b0=-1e3)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 3), (2, 1), (5, 8), (20, 60)])
def test_few_rows(n, d):
    X = np.random.default_rng(n).standard_normal((n, d))
    y = np.arange(n) % 2
    separated(X, y if n > 1 else [1], "separate", fit_intercept=n > 1)
    assert fit(X, 0.2 + 0.6 * y, fit_intercept=n > 1).converged


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_finite_optimum_is_found(solver):
    """One row against all others is enough for a column; its weight is large, and finite."""
    X, y = normal(150, 3)
    X = np.column_stack((with_dummy(X, y, 1, 30), np.arange(150) / 150))
    X[np.flatnonzero(y == 0)[0], 3] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeparationWarning)
        if solver == "gradient-descent":
            warnings.simplefilter("ignore")
        result = fit(X, y, solver=solver)
    assert result.converged or solver == "gradient-descent"


@pytest.mark.parametrize("K", [2, 3, 4])
def test_a_constant_column_is_no_direction(K):
    for seed in range(100):
        X = np.random.default_rng(seed).standard_normal((12, 1))
        y = np.ones(12, dtype=int)
        y[:K] = np.arange(K)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            alone = fit(X, y, tol=1e-4)
            result = fit(np.column_stack((X, np.ones(12))), y, tol=1e-4)
        assert (result.direction is None) == (alone.direction is None)


def test_without_a_bias_the_direction_has_none():
    X, y = normal(n=12, d=4, K=3, seed=3)
    result = separated(X, y, "columns 0, 3, 2 and 1 together separate", fit_intercept=False)
    assert (result.direction[1] == 0).all()


def test_an_enormous_entry_hides_no_other():
    """Beside 1e12 all other entries of the column look like zeros."""
    X, y = normal()
    X[np.argmax(y), 0] = 1e12
    X[np.argmin(y), 1] = -1e12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", SeparationWarning)
        for solver in ("newton", "lbfgs"):
            fit(X, y, solver=solver, max_iter=60)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("sparse", [False, True])
def test_weights_within_bounds_separate(K, sparse):
    X = np.abs(normal(n=3000 if sparse else 300, d=90)[0])
    X[X < (1.3 if sparse else 0.1)] = 0.0
    y = X[:, :3].sum(axis=1) > 2.0 if K == 2 else X[:, :K].argmax(axis=1)
    A = pytest.importorskip("scipy.sparse").csr_array(X) if sparse else X
    result = separated(A, y, "columns separate the classes completely", lower=0.0)
    assert (result.w >= 0).all()
    # Only as far as bounds let them, where they do not.
    result = fit(A, y, lower=0.0, upper=0.5)
    assert result.converged
    assert result.objective > 1e-3


def test_weights_that_bounds_hold_may_be_no_part_of_what_separates():
    X = np.array([
        [-2, 2, 2, -2], [-1, -1, 1, -1], [-2, 0, -2, 1], [0, -2, -2, -1], [-1, -2, -1, -2],
        [1, 1, 0, 1], [1, 1, -2, -1], [1, -2, 0, -1], [0, 0, -1, -1], [0, -2, 1, -1],
        [0, 1, -1, -2], [0, 1, 1, 0], [2, -1, -2, 1],
    ])  # fmt: skip
    y = np.array([1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0])
    infinite = np.inf
    with pytest.warns(SeparationWarning, match="completely, columns 0, 1 and 2 with"):
        result = fit(
            X, y, lower=[-infinite, -infinite, -infinite, -1.0],
            upper=[1.0, infinite, infinite, infinite], fit_intercept=False,
        )  # fmt: skip
    assert not result.converged
    assert result.w[3] == -1.0  # at its bound
    assert result.direction[0][3] == 0.0
    assert (np.where(y, 1, -1) * (X @ result.direction[0]) > 0).all()


def test_bounds_may_hold_what_would_separate():
    x = np.arange(8.0)[:, None]
    result = fit(x, x[:, 0] < 4, lower=0.0)
    assert result.converged
    assert result.w[0] == 0
    assert result.objective == pytest.approx(np.log(2))
    separated(x, x[:, 0] >= 4, "columns separate the classes completely", lower=0.0)
    separated(x, x[:, 0] < 4, "columns separate the classes completely", upper=0.0)


@pytest.mark.parametrize("K", [2, 3])
def test_a_column_within_bounds_separates(K):
    X, y = normal(K=K)
    A = with_dummy(X, y, 1)
    result = separated(A, y, "column 4 separates", lower=-9.0)
    assert (result.direction[0] >= 0).all()
    if K == 3:
        result = separated(A, y, "column 4 separates", upper=9.0)
        assert (result.direction[0] <= 0).all()
    B = A * [1, 1, 1, 1, -1]
    result = separated(B, y, "column 4 separates", upper=9.0)
    assert (result.direction[0] <= 0).all()
    bounds = {"upper": 9.0} if K == 2 else {"lower": -9.0, "upper": 9.0}
    result = fit(A, y, **bounds)
    assert result.converged
    assert (np.abs(result.w) <= 9).all()


def test_a_callback_that_stops_is_not_asked_to_wait():
    X, y = normal()
    with pytest.warns(match="callback stopped it after iteration 2") as caught:
        fit(with_dummy(X, y, 1), y, callback=lambda state: state.n_iter == 2)
    assert not any(issubclass(w.category, SeparationWarning) for w in caught)
    x = np.arange(8.0)[:, None]
    with pytest.warns(match="callback stopped it after iteration 1"):
        result = fit(x, x[:, 0] > 3, callback=lambda _: True)
    assert result.direction is None


def test_what_a_healthy_fit_pays(monkeypatch):
    """A few rows tell that no column separates, nor depends on others: no read of all."""
    X, y = normal(40_000, 5)
    asked = fit(X, y)
    monkeypatch.setattr("logreg_c._unpenalised.Separation.at_end", lambda self, converged: None)
    monkeypatch.setattr("logreg_c._unpenalised.dependencies", nothing)
    not_asked = fit(X, y)
    assert asked.n_passes - not_asked.n_passes < 0.25
    assert (asked.w == not_asked.w).all()


def nothing(objective, extremes, random):
    none = np.zeros((0, objective.D))
    return Dependencies(none, (), none, np.zeros(0))


KINDS = ["normal", "integers", "dummies"]


def columns(kind, rng, n, d):
    if kind == "normal":
        return rng.standard_normal((n, d))
    if kind == "integers":
        return rng.integers(-2, 3, (n, d)).astype(float)
    return (rng.random((n, d)) < 0.25).astype(float)


@settings(max_examples=150)
@given(
    st.sampled_from(KINDS), st.integers(2, 4), st.integers(1, 4), st.booleans(),
    st.integers(0, 10**6),
)  # fmt: skip
def test_overlap_is_never_called_separation(kind, K, d, bias, seed):
    """Rows that span the space, each with all labels: no direction can move any of them."""
    rng = np.random.default_rng(seed)
    X = columns(kind, rng, 30, d)
    y = (X @ rng.standard_normal((d, K)) * rng.choice([1, 5]) + rng.gumbel(size=(30, K))).argmax(1)
    base = np.concatenate((np.eye(d), np.zeros((1, d)))) * 3.0
    X = np.concatenate((X, np.repeat(base, K, axis=0)))
    y = np.concatenate((y, np.tile(np.arange(K), d + 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeparationWarning)
        assert fit(X, y, fit_intercept=bias).converged


@settings(max_examples=150)
@given(st.sampled_from(KINDS), st.integers(2, 4), st.integers(1, 5), st.integers(0, 10**6))
def test_a_direction_is_always_found(kind, K, d, seed):
    """Labels as a direction has it, those of rows that it does not move by chance."""
    rng = np.random.default_rng(seed)
    n = 50
    X = columns(kind, rng, n, d)
    direction = rng.integers(-1, 2, d)
    direction[rng.integers(d)] = 1
    u = X @ direction - np.median(X @ direction)
    noise = rng.integers(0, K, n)
    y = np.where(u > 0, 0, np.where(u < 0, np.maximum(noise, 1), noise))
    y[np.argsort(u)[:K]] = np.arange(K)[::-1]  # every class is there, and 0 where u is largest
    y[np.flatnonzero(u > 0)] = 0
    y[np.flatnonzero((u < 0) & (y == 0))] = 1
    if len(np.unique(y)) < K or not u.any():
        return
    with pytest.warns(SeparationWarning):
        fit(X, y)


@pytest.mark.parametrize("n", [1, 7, 300, 5000])
def test_ranges_of_columns(isa, n):
    rng = np.random.default_rng(n)
    X = rng.integers(-50, 50, (n, 9)).astype(float)
    groups = rng.integers(-1, 3, n).astype(np.int32)
    for dtype in (np.float64, np.float32):
        for A in (np.ascontiguousarray(X, dtype), np.asfortranarray(X, dtype)):
            out = np.empty((2, 4, 4, 9))
            for k in (0, 1):
                _kernels.kernels.column_ranges(A, groups, out[k], k + 1)
            assert (out[0] == out[1]).all()
            for g, (high, high_row, low, low_row) in enumerate(out[0]):
                rows = np.flatnonzero(groups == g)
                if not len(rows):
                    assert (high == -np.inf).all()
                    assert (low_row == -1).all()
                    continue
                assert (high == X[rows].max(axis=0)).all()
                assert (-low == X[rows].min(axis=0)).all()
                # The first of equal ones.
                assert (high_row == rows[X[rows].argmax(axis=0)]).all()
                assert (low_row == rows[X[rows].argmin(axis=0)]).all()
