# SPDX-License-Identifier: BSD-3-Clause
"""A path is the fits it stands for, each with its proof, from the largest useful penalty down."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from fit_problems import problem

from logreg_c import ConvergenceWarning, fit, loss, predict_proba, regularization_path


def case(kind, K=2):
    X, y, arguments = problem(kind, K)
    arguments = {name: value for name, value in arguments.items() if name != "l2"}
    return X, y, arguments


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("kind", "K"),
    [
        ("gaussian", 2), ("scales", 2), ("rare", 2), ("few positives", 2), ("soft", 2),
        ("weights", 2), ("offset", 2), ("no bias", 2), ("wide", 2), ("gaussian", 3),
        ("weights", 3), ("offset", 3),
    ],
)  # fmt: skip
def test_a_path_is_separate_fits(kind, K, l1_ratio):
    X, y, arguments = case(kind, K)
    path = regularization_path(X, y, l1_ratio=l1_ratio, n_penalties=12, eps=1e-2, **arguments)
    assert path.converged.all()
    assert (path.gap <= 1e-6 * path.objective).all()
    for k in (0, 5, 11):
        strength = path.penalties[k]
        alone = fit(
            X, y, l1=l1_ratio * strength, l2=(1.0 - l1_ratio) * strength, tol=1e-8, **arguments
        )
        assert path.objective[k] - path.gap[k] <= alone.objective
        assert alone.objective - alone.gap <= path.objective[k]
        assert path.objective[k] <= alone.objective * (1.0 + 2e-6)


@pytest.mark.parametrize("kind", ["gaussian", "scales", "weights", "offset", "no bias", "wide"])
@pytest.mark.parametrize("K", [2, 3])
def test_the_largest_penalty_is_the_least_that_leaves_nothing(kind, K):
    X, y, arguments = case(kind, K)
    path = regularization_path(X, y, n_penalties=2, eps=0.98, **arguments)
    assert path.n_nonzero[0] == 0
    assert path.n_nonzero[1] >= 1
    assert path.deviance_explained[0] == pytest.approx(0.0, abs=1e-6)
    assert path.deviance_explained[1] > 0.0


def test_where_no_weight_moves_j_is_not_computed_in_another_way():
    """Two sums of so many equal terms differ by more than a proof allows for."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4750, 45)), rng.integers(0, 3, 4750)
    path = regularization_path(X, y, n_penalties=1, fit_intercept=False)
    assert path.converged.all()
    assert path.objective[0] == pytest.approx(np.log(3))


def test_a_ridge_begins_where_hardly_anything_is_explained():
    X, y, _ = case("gaussian")
    path = regularization_path(X, y, l1_ratio=0.0, n_penalties=30)
    assert 0.0 < path.deviance_explained[0] <= 1e-3
    assert (np.diff(path.deviance_explained) >= 0.0).all()
    unpenalised = fit(X, y)
    assert path.objective[-1] == pytest.approx(unpenalised.objective, rel=1e-3)


def test_what_is_said_of_a_path():
    X, y, _ = case("gaussian")
    path = regularization_path(X, y, n_penalties=9)
    np.testing.assert_allclose(path.penalties[1:] / path.penalties[:-1], 1e-4 ** (1 / 8))
    assert path.w.shape == (9, X.shape[1])
    assert path.b.shape == path.gap.shape == path.n_iter.shape == (9,)
    np.testing.assert_array_equal(path.n_nonzero, (path.w != 0.0).sum(axis=1))
    base = loss(X, y, np.zeros(X.shape[1]), path.b[0])
    for k in (0, 4, 8):
        here = loss(X, y, path.w[k], path.b[k])
        assert path.deviance_explained[k] == pytest.approx(1.0 - here / base, abs=1e-6)


def test_progress_shows_a_bar_and_closes_it(bars, capsys):
    X, y, arguments = case("gaussian")
    shown = regularization_path(X, y, n_penalties=5, progress=True, **arguments)
    assert [(bar.n, bar.closed) for bar in bars] == [(5, True)]
    assert "5/5" in capsys.readouterr().err
    quiet = regularization_path(X, y, n_penalties=5, **arguments)
    np.testing.assert_array_equal(shown.w, quiet.w)


def test_soft_labels_explain_all_there_is():
    X, y, _ = case("soft")
    path = regularization_path(X, y, n_penalties=10)
    assert path.deviance_explained[-1] == pytest.approx(1.0, abs=1e-3)


def test_several_classes():
    X, y, _ = case("gaussian", 3)
    path = regularization_path(X, y, n_penalties=5)
    assert path.w.shape == (5, 3, X.shape[1])
    assert path.b.shape == (5, 3)
    np.testing.assert_array_equal(path.n_nonzero, path.w.any(axis=1).sum(axis=1))


def test_ones_own_penalties_come_back_in_order():
    X, y, _ = case("gaussian")
    path = regularization_path(X, y, penalties=[0.01, 0.1, 0.0], l1_ratio=0.5)
    assert path.penalties.tolist() == [0.1, 0.01, 0.0]
    assert path.converged.all()
    assert path.objective[2] == pytest.approx(fit(X, y).objective, rel=2e-6)


def test_columns_that_are_never_penalised_are_in_from_the_start():
    X, y, _ = case("gaussian")
    factor = np.array([0.0, 1.0, 2.0, 1.0])
    path = regularization_path(X, y, n_penalties=4, eps=0.1, penalty_factor=factor)
    assert path.n_nonzero[0] == 1
    assert path.w[0, 0] != 0.0
    assert path.deviance_explained[0] == pytest.approx(0.0, abs=1e-5)
    alone = fit(X, y, l1=path.penalties[2], penalty_factor=factor)
    assert path.objective[2] == pytest.approx(alone.objective, rel=2e-6)


def test_bounds():
    X, y, _ = case("gaussian")
    path = regularization_path(X, y, n_penalties=4, lower=0.0, upper=0.02)
    assert (path.w >= 0.0).all()
    assert path.w.max() == 0.02
    assert path.n_nonzero.tolist()[:2] == [0, 1]
    alone = fit(X, y, l1=path.penalties[3], lower=0.0, upper=0.02)
    assert path.objective[3] == pytest.approx(alone.objective, rel=2e-6)


def many_columns(K=2, sparse=False, d=60):
    """Return a problem of 200 x d whose labels depend on ten columns."""
    rng = np.random.default_rng(K)
    X = rng.standard_normal((200, d)) + 0.7 * rng.standard_normal((200, 1))
    if sparse:
        X *= rng.random(X.shape) < 0.1
    Z = X[:, :10] @ rng.standard_normal((10, K))
    return X, (Z + rng.gumbel(size=Z.shape)).argmax(axis=1)


@pytest.mark.parametrize(
    ("K", "l1_ratio", "n_penalties", "d"),
    [
        (2, 0.5, 4, 500), (2, 0.5, 25, 500), (2, 1.0, 4, 500), (2, 1.0, 25, 500),
        (2, 1.0, 4, 60), (2, 0.5, 25, 60), (3, 0.5, 4, 60), (3, 1.0, 12, 60),
    ],
)  # fmt: skip
def test_columns_that_are_left_out_are_rightly_so(K, l1_ratio, n_penalties, d):
    # Few penalties make large steps, where the strong rule is often wrong; with 60 columns and two
    # classes none is left out.
    X, y = many_columns(K, d=d)
    path = regularization_path(X, y, l1_ratio=l1_ratio, n_penalties=n_penalties, eps=0.02)
    assert path.converged.all()
    assert path.n_nonzero[0] == 0 < path.n_nonzero[-1]
    for k in (1, n_penalties // 2, n_penalties - 1):
        l1, l2 = l1_ratio * path.penalties[k], (1.0 - l1_ratio) * path.penalties[k]
        alone = fit(X, y, l1=l1, l2=l2, tol=1e-9)
        assert alone.objective - alone.gap <= path.objective[k] <= alone.objective * (1.0 + 2e-6)
        assert path.objective[k] - path.gap[k] <= alone.objective
        # The subgradient conditions, of columns with a weight and of those without.
        a = predict_proba(X, path.w[k], path.b[k])[:, 1:] if K == 2 else softmax(X, path, k)
        Y = y[:, None] if K == 2 else np.eye(K)[y]
        g = X.T @ (a - Y) / len(y) + l2 * np.atleast_2d(path.w[k]).T
        assert np.abs(g).max() <= l1 * 1.02


@pytest.mark.parametrize("l1_ratio", [0.8, 1.0])
def test_supports_of_hundreds_end_where_fits_of_their_own_do(l1_ratio):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    X = sparse.random(900, 700, 0.02, format="csr", random_state=rng)
    w = np.where(rng.random(700) < 0.1, 4 * rng.standard_normal(700), 0.0)
    y = (X @ w + rng.logistic(size=900) > 0).astype(int)
    path = regularization_path(X, y, l1_ratio=l1_ratio, n_penalties=8, eps=1e-3)
    assert path.converged.all()
    assert path.n_nonzero[-1] > 400
    for k in (3, 7):
        l1, l2 = l1_ratio * path.penalties[k], (1 - l1_ratio) * path.penalties[k]
        alone = fit(X.toarray(), y, l1=l1, l2=l2, solver="newton", tol=1e-10)
        assert path.objective[k] - path.gap[k] <= alone.objective
        assert path.objective[k] <= alone.objective * (1 + 1e-6)
        slope = X.T @ (1 / (1 + np.exp(-(X @ path.w[k] + path.b[k]))) - y) / 900 + l2 * path.w[k]
        assert np.abs(slope).max() <= l1 * (1 + 1e-2)


@pytest.mark.parametrize("d", [8, 60])
def test_a_hessian_serves_several_penalties(d):
    X = np.random.default_rng(d).standard_normal((200, d))
    y = (X[:, :5].sum(axis=1) > 0).astype(int)
    path = regularization_path(X, y, n_penalties=60, eps=0.05)
    assert path.converged.all()
    # Two reads for a penalty, and few Hessians.
    assert path.n_passes < 2.5 * 60


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_columns_without_a_penalty_that_separate_are_told_of(l1_ratio):
    X = np.random.default_rng(0).standard_normal((60, 4))
    y = (X[:, 2] > 0).astype(int)
    factor = [1.0, 1.0, 0.0, 1.0]
    with pytest.warns(ConvergenceWarning, match="column 2"):
        path = regularization_path(
            X, y, l1_ratio=l1_ratio, penalties=[0.1, 0.09], penalty_factor=factor
        )
    assert not path.converged.any()


def test_columns_that_are_the_same():
    X = np.random.default_rng(0).standard_normal((80, 6))
    y = (X[:, 0] + np.random.default_rng(1).logistic(size=80) > 0).astype(int)
    X[:, 5] = X[:, 0]
    path = regularization_path(X, y)
    assert path.converged.all()
    alone = regularization_path(X[:, :5], y, penalties=path.penalties)
    np.testing.assert_allclose(path.objective, alone.objective, rtol=2e-6)


def softmax(X, path, k):
    Z = X @ path.w[k].T + path.b[k]
    A = np.exp(Z - Z.max(axis=1, keepdims=True))
    return A / A.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("layout", ["csr", "csc"])
def test_sparse_is_dense(layout, l1_ratio):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    X, y = many_columns(sparse=True)
    dense = regularization_path(X, y, l1_ratio=l1_ratio, n_penalties=8, tol=1e-9)
    sparse = regularization_path(
        getattr(scipy_sparse, f"{layout}_array")(X), y, l1_ratio=l1_ratio, n_penalties=8, tol=1e-9
    )
    assert sparse.converged.all()
    np.testing.assert_allclose(sparse.penalties, dense.penalties, rtol=1e-9)
    np.testing.assert_allclose(sparse.objective, dense.objective, rtol=2e-9)
    np.testing.assert_allclose(sparse.w, dense.w, atol=1e-3)


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("K", [2, 3])
def test_the_bits_do_not_depend_on_threads(K, l1_ratio):
    X, y = many_columns(K) if l1_ratio else case("gaussian", K)[:2]
    paths = [
        regularization_path(X, y, l1_ratio=l1_ratio, n_penalties=8, n_threads=k)
        for k in (1, 2, 3, 8)
    ]
    for path in paths[1:]:
        np.testing.assert_array_equal(path.w, paths[0].w)
        np.testing.assert_array_equal(path.gap, paths[0].gap)
        np.testing.assert_array_equal(path.deviance_explained, paths[0].deviance_explained)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts(order, dtype):
    X, y, _ = case("gaussian")
    path = regularization_path(np.asarray(X, dtype, order=order), y, n_penalties=5)
    expected = regularization_path(X, y, n_penalties=5)
    np.testing.assert_allclose(path.w, expected.w, atol=2e-3)


def test_a_named_solver_is_used():
    X, y, _ = case("gaussian")
    path = regularization_path(X, y, l1_ratio=0.0, n_penalties=4, solver="lbfgs")
    expected = regularization_path(X, y, l1_ratio=0.0, n_penalties=4)
    np.testing.assert_allclose(path.objective, expected.objective, rtol=2e-6)


def test_fits_that_are_not_proved_are_told_of():
    X, y, _ = case("gaussian")
    with pytest.warns(ConvergenceWarning, match=r"of 6 fits did not converge.*first at penalty"):
        path = regularization_path(X, y, n_penalties=6, max_iter=1, tol=1e-12)
    assert not path.converged.all()


def test_a_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    X, y, _ = case("gaussian")
    path = regularization_path(X, y, n_penalties=5)
    _, ax = pyplot.subplots()
    assert path.plot(ax, names=["a", "b", "c", "d"]) is ax
    used = path.w.any(axis=0).sum()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b", "c", "d"][:used]
    assert path.plot(ax).xaxis_inverted()  # once, however many are drawn
    with pytest.raises(ValueError, match="names has 1 entries and the path 4 columns"):
        path.plot(ax, names=["a"])
    several = regularization_path(*case("gaussian", 3)[:2], n_penalties=5)
    assert several.plot() is pyplot.gca()
    # No penalty has a place on a logarithmic axis.
    assert regularization_path(X, y, penalties=[0.0]).plot(pyplot.figure().gca()).get_xscale() == (
        "linear"
    )
    pyplot.close("all")


def test_a_plot_without_matplotlib(monkeypatch):
    X, y, _ = case("gaussian")
    path = regularization_path(X, y, n_penalties=2)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        path.plot()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"l1_ratio": 1.5}, ValueError, "l1_ratio is 1.5"),
        ({"l1_ratio": -0.1}, ValueError, "l1_ratio is -0.1"),
        ({"n_penalties": 0}, ValueError, "n_penalties is 0"),
        ({"n_penalties": 2.5}, TypeError, "n_penalties is 2.5"),
        ({"n_penalties": 2**70}, ValueError, "n_penalties is 1180591620717411303424; give an"),
        ({"eps": 0.0}, ValueError, "eps is 0"),
        ({"eps": 5e-324}, ValueError, "eps is 5e-324, and times .* that is 0; give a larger one"),
        ({"solver": ["newton"]}, ValueError, r"solver is \['newton'\]"),
        ({"eps": 2.0}, ValueError, "eps is 2"),
        ({"penalties": [1.0], "eps": 2.0}, ValueError, "eps is 2"),
        ({"penalties": [1.0], "n_penalties": 0}, ValueError, "n_penalties is 0"),
        ({"penalty_factor": np.zeros(4)}, ValueError, "penalty_factor is 0 for every column, so"),
        ({"lower": 0.0, "upper": 0.0}, ValueError, "lower and upper keep every penalised weight"),
        ({"callback": 1}, TypeError, "callback is 1, a int; give a function"),
        ({"penalties": [1.0, -1.0]}, ValueError, r"penalties\[1\] is -1"),
        ({"penalties": []}, ValueError, "penalties has shape"),
        ({"penalties": 0.1}, ValueError, "penalties has shape"),
        ({"solver": "magic"}, ValueError, "solver is 'magic'"),
        ({"tol": 0.0}, ValueError, "tol is 0"),
        ({"max_iter": 0}, ValueError, "max_iter is 0"),
        ({"penalty_factor": [1.0]}, ValueError, "penalty_factor has 1"),
    ],
)
def test_bad_arguments(arguments, error, says):
    X, y, _ = case("gaussian")
    with pytest.raises(error, match=says):
        regularization_path(X, y, **arguments)


def test_why_there_is_no_largest_penalty():
    X, y, _ = case("gaussian")
    one = X[:, :1] * np.sign(X[:, 0] @ (y - 0.5))
    with pytest.raises(ValueError, match="lower and upper keep every penalised weight at 0"):
        regularization_path(one, y, upper=0.0)
    rng = np.random.default_rng(0)
    factor = np.repeat([0.0, 1.0], 30)
    with pytest.raises(ValueError, match=r"separate the classes completely.* no largest penalty"):
        regularization_path(rng.standard_normal((20, 60)), np.arange(20) % 2, penalty_factor=factor)


def test_the_limit_that_is_told_is_the_one_that_was_given():
    X, y, _ = case("gaussian")
    arguments = {"n_penalties": 6, "max_iter": 3, "tol": 1e-13, "solver": "gradient-descent"}
    with pytest.warns(ConvergenceWarning, match="max_iter=3 iterations done"):
        regularization_path(X, y, l1_ratio=0.0, **arguments)


def test_bad_data():
    X, y, _ = case("gaussian")
    X = X.copy()
    X[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"X\[7, 2\] is nan"):
        regularization_path(X, y)
    with pytest.raises(ValueError, match="anything to do with y"):
        regularization_path(np.ones((4, 2)), [0, 1, 0, 1])


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("value", [0.1, -7e5])
@pytest.mark.parametrize(("n", "K"), [(7, 2), (1000, 2), (1000, 3), (100_000, 2)])
def test_constant_columns_have_nothing_to_do_with_y(n, K, value, l1_ratio):
    y = np.sort(np.arange(n) % 7 % K)  # rounding adds up
    with pytest.raises(ValueError, match="anything to do with y"):
        regularization_path(np.full((n, 3), value), y, l1_ratio=l1_ratio)


def test_constant_columns_of_a_sparse_x():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    X = scipy_sparse.csr_array(np.full((1000, 300), 0.1))
    with pytest.raises(ValueError, match="anything to do with y"):
        regularization_path(X, np.arange(1000) >= 700)


def test_a_large_column_of_a_sparse_x_hides_no_other(monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    monkeypatch.setattr("logreg_c.fitting.is_better_dense", lambda X: False)
    rng = np.random.default_rng(0)
    A = sparse.random_array((2000, 5), density=0.05, rng=rng)
    y = A @ rng.standard_normal(5) * 9.0 + rng.logistic(size=2000) > 0.0
    year = 1.7e16 + 1e14 * rng.random((2000, 1))
    path, found = (
        regularization_path(X.tocsr(), y, penalty_factor=np.append(0.0, np.ones(5)), n_penalties=3)
        for X in (sparse.hstack([year, A]), sparse.hstack([year / 1e16, A]))
    )
    np.testing.assert_allclose(path.penalties, found.penalties, rtol=1e-6)
    assert path.n_nonzero.tolist() == found.n_nonzero.tolist()


def test_a_callback_sees_what_is_finished_and_ends_it():
    X, y, _ = case("gaussian")
    whole, seen = regularization_path(X, y, n_penalties=8), []

    def stop(path):
        seen.append(path)
        return len(path.penalties) == 3

    path = regularization_path(X, y, n_penalties=8, callback=stop)
    assert path is not whole
    assert [len(p.n_iter) for p in seen] == [1, 2, 3]
    for name in ("penalties", "w", "b", "gap", "converged", "deviance_explained", "n_nonzero"):
        np.testing.assert_array_equal(getattr(path, name), getattr(whole, name)[:3])
        np.testing.assert_array_equal(getattr(seen[1], name), getattr(whole, name)[:2])


def test_small_and_far_columns_are_none_that_are_constant():
    X, y, _ = case("gaussian")
    expected = regularization_path(X, y, n_penalties=1).penalties
    for factor, shift in ((1e-20, 0.0), (1.0, 1e8), (1e20, 0.0)):
        found = regularization_path(X * factor + shift, y, n_penalties=1).penalties
        np.testing.assert_allclose(found, expected * factor, rtol=1e-6)
