# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of neighbouring columns, and the proofs of L-BFGS, which read nothing."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from logreg_c import fit
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers import _column_blocks, _expected
from logreg_c.solvers._column_blocks import Variances, column_blocks
from logreg_c.solvers._expected import Expected

lbfgs = importlib.import_module("logreg_c.solvers.lbfgs")


def neighbours(n, d, rho=0.95, classes=2, seed=0):
    """Each column is rho times the one before it plus noise, all far from zero."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = rho * X[:, j - 1] + (1 - rho**2) ** 0.5 * X[:, j]
    Z = X @ rng.standard_normal((d, classes)) * (3 / d**0.5)
    return X + 10.0, (Z + rng.gumbel(size=Z.shape)).argmax(axis=1)


def objective_of(X, y, l2=1e-3, weight=None, fit_bias=True, **kwargs):
    problem = Problem(X, y, weight, None, fit_bias, 0, 1, **kwargs)
    return problem.pose(as_penalty(l2, 0.0, None, None, None, X.shape[1])).objective


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_bias", [False, True])
def test_they_are_the_inverses_of_the_hessians_blocks(monkeypatch, fit_bias, weighted):
    monkeypatch.setattr(_column_blocks, "WIDTH", 8)
    monkeypatch.setattr(_column_blocks, "ROWS", 50)
    X, y = neighbours(400, 33)
    rng = np.random.default_rng(1)
    weight = rng.uniform(0, 2, len(y)) if weighted else None
    # Without a bias columns are not centred.
    objective = objective_of(X if fit_bias else X - 10.0, y, weight=weight, fit_bias=fit_bias)
    g = rng.standard_normal((1, objective.D))
    g[0, -1] *= fit_bias
    point = objective.evaluate(0.1 * g)
    before = objective.data.meter.reads
    blocks = column_blocks(objective, point, rng, None)
    f = objective.mean_curvature(point).sum()
    used = blocks.weigh(f)
    s = blocks.solve(g)
    assert objective.data.meter.reads - before == pytest.approx(1.0, abs=0.01)
    H = objective.hessian(objective.data.predictions(point.Z))
    block = np.repeat(np.arange(5), [8, 8, 8, 9, 1])
    H[block[:, None] != block] = 0.0
    assert np.allclose(H @ s[0], g[0], rtol=0, atol=1e-5)
    q = objective.quadratic[:-1]
    # An estimate from random signs, which are all that is random in it.
    exact = 33 - (np.diag(np.linalg.inv(H))[:-1] * q).sum()
    assert used == pytest.approx(exact, abs=0.05 * 33)
    # Another size of C, and the same penalty.
    blocks.weigh(0.1 * f)
    H[:-1, :-1] = 0.1 * (H[:-1, :-1] - np.diag(q)) + np.diag(q)
    assert np.allclose(H[:-1, :-1] @ blocks.solve(g)[0, :-1], g[0, :-1], rtol=0, atol=1e-5)


def test_classes_share_them():
    X, y = neighbours(700, 30, classes=3)
    objective = objective_of(X, y, l2=0.0)
    point = objective.evaluate(objective.start())
    rng = np.random.default_rng(1)
    g = objective.project(rng.standard_normal((3, 31)))
    blocks = column_blocks(objective, point, rng, None)
    blocks.weigh(1.0)
    s = blocks.solve(g)
    assert np.allclose(s.sum(axis=0), 0.0)
    # Where all classes are as likely the Hessian is the same for each of them, but for its size.
    Hs = objective.hessian_vector(objective.data.predictions(point.Z), s)
    assert np.allclose(Hs, g * (Hs[0, 0] / g[0, 0]), atol=1e-5)


def blocks_of(X, y, known):
    objective = objective_of(X, y, keep_sparse=True)
    point = objective.evaluate(objective.start())
    diagonal = None
    if known:
        diagonal = 4.0 * objective.evaluate_and_survey(point.theta, np.ones_like(point.theta))[1]
    return column_blocks(objective, point, np.random.default_rng(0), diagonal)


@pytest.mark.parametrize("known", [False, True])
def test_none_for_few_rows(known):
    X, y = neighbours(700, 60)
    assert blocks_of(X, y, known) is not None
    assert blocks_of(X[:500], y[:500], known) is None


def test_none_where_they_tell_no_more_than_a_known_diagonal():
    X, y = neighbours(1300, 60, 0.0)
    assert blocks_of(X, y, True) is None
    assert blocks_of(X, y, False) is not None
    X, y = neighbours(1300, 60, 0.5)
    assert blocks_of(X, y, True) is not None


def test_rare_columns_count_as_much_as_they_do_in_all_rows():
    """The 2,000 rows of the blocks may have nothing of them."""
    X, y = neighbours(12_000, 200, 0.9)
    drawn = np.random.default_rng(0).choice(len(X), 2000, False)
    X[:, 40] = 0.0
    X[np.setdiff1d(np.arange(len(X)), drawn)[:20], 40] = 1.0
    objective = objective_of(X, y, l2=1e-7)
    point = objective.evaluate(objective.start())
    H = objective.evaluate_and_survey(point.theta, np.ones_like(point.theta))[1]
    rare = np.zeros_like(H)
    rare[0, 40] = H[0, 40]
    found = []
    for known in (4.0 * (H - objective.quadratic), None):
        blocks = column_blocks(objective, point, np.random.default_rng(0), known)
        blocks.weigh(0.25)
        found.append(blocks.solve(rare)[0, 40])
    with_it, without = found
    assert with_it == pytest.approx(1.0, abs=0.1)
    assert without > 20.0


def test_none_for_a_sparse_x():
    sparse = pytest.importorskip("scipy.sparse")
    X, y = neighbours(1300, 60)
    assert blocks_of(sparse.csr_matrix(X), y, False) is None


@pytest.mark.parametrize(("rho", "part"), [(0.95, 0.6), (0.7, 0.8), (0.0, 1.1)])
@pytest.mark.parametrize("classes", [2, 3])
def test_they_save_passes(monkeypatch, classes, rho, part):
    X, y = neighbours(3000, 250, rho, classes=classes)
    with_blocks = fit(X, y, l2=1e-3, solver="lbfgs")
    monkeypatch.setattr(_expected, "column_blocks", lambda *args: None)
    without = fit(X, y, l2=1e-3, solver="lbfgs")
    assert with_blocks.converged
    assert without.converged
    assert with_blocks.n_passes < part * without.n_passes
    assert abs(with_blocks.objective - without.objective) <= max(with_blocks.gap, without.gap)


def test_same_bits_for_any_number_of_threads():
    X, y = neighbours(3000, 250)
    first, *others = (fit(X, y, l2=1e-3, solver="lbfgs", n_threads=k) for k in (1, 2, 3, 8))
    for other in others:
        assert (other.w == first.w).all()
        assert other.gap == first.gap


@pytest.mark.parametrize("fit_bias", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_proof_reads_nothing(monkeypatch, classes, fit_bias):
    def never(*args):
        raise AssertionError("products with the Hessian")

    monkeypatch.setattr(lbfgs, "conjugate_gradients", never)
    X, y = neighbours(1500, 40, 0.5, classes)
    found = fit(X - 10.0, y, l2=1e-3, solver="lbfgs", fit_intercept=fit_bias, tol=1e-8)
    assert found.converged
    assert found.solver == "lbfgs"
    assert (np.diff([record.n_passes for record in found.history[1:]]) <= 2.0).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_they_are_made_of_some_rows(order, dtype):
    X, y = neighbours(6000, 150)
    X = np.asarray(X, dtype=dtype, order=order)
    objective = objective_of(X, y)
    point = objective.evaluate(objective.start())
    before = objective.data.meter.reads
    blocks = column_blocks(objective, point, np.random.default_rng(0), None)
    blocks.weigh(0.25)
    assert objective.data.meter.reads - before == pytest.approx(2000 / 6000, rel=0.02)
    # Two blocks of 75 columns, of which none knows the other, but about all of its own.
    s = blocks.solve(point.gradient)
    H = objective.hessian(objective.data.predictions(point.Z))
    for block in (slice(75), slice(75, 150)):
        exact = np.linalg.solve(H[block, block], point.gradient[0, block])
        off = s[0, block] - exact
        assert off @ H[block, block] @ off < 0.1 * exact @ H[block, block] @ exact


def test_variances_alone():
    q = np.array([0.5, 1.0, 0.0])
    variances = Variances(np.array([[1.0, 2.0, 1.0], [3.0, 0.0, 1.0]]), q)
    used = variances.weigh(2.0)
    assert used == pytest.approx((2 / 2.5 + 4 / 5 + 6 / 6.5 + 0) / 2)
    v = np.ones((2, 2, 3))
    expected = [[1 / 2.5, 1 / 5, 1 / 2], [1 / 6.5, 1.0, 1 / 2]]
    np.testing.assert_allclose(variances.solve(v), [expected, expected], rtol=1e-9)


def settled(objective, point):
    """Return the expected inverse at a point, and its matrix."""
    expected = Expected(objective, point, np.random.default_rng(0))
    for _ in range(30):
        expected.adapt(point)
    return expected(np.eye(objective.D)[:, None])[:, 0]


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize(("n", "part"), [(400, 0.45), (200, 0.8)])
def test_few_rows_leave_less_curvature_than_theirs(monkeypatch, n, part, blocks):
    """The mean eigenvalue of the inverse Hessian is what is expected of it."""
    monkeypatch.setattr(_column_blocks, "WIDTH", 5 if blocks else 100)
    monkeypatch.setattr(_expected, "CLOSE", 1.001)
    X, y = neighbours(n, 400, 0.0)
    objective = objective_of(X, y, l2=0.02)
    point = objective.evaluate(objective.start())
    H = objective.hessian(objective.data.predictions(point.Z))
    exact = np.trace(np.linalg.inv(H)[:-1, :-1])
    assert np.trace(settled(objective, point)[:-1, :-1]) == pytest.approx(exact, rel=0.05)
    # Not what the rows' curvatures add up to.
    plain = np.trace(np.linalg.inv(0.25 * np.eye(400) + np.diag(objective.quadratic[:-1])))
    assert plain < part * exact


def test_the_bias_is_apart_from_the_columns_means():
    """However few rows the columns are centred by, at the start."""
    X, y = neighbours(3000, 250)
    objective = objective_of(X, y)
    rough = objective.center + 0.3 / objective.scale
    objective = type(objective)(
        objective.data, objective.penalty, rough, objective.scale, True, objective.quadratic
    )
    point = objective.evaluate(objective.start())
    H = objective.hessian(objective.data.predictions(point.Z))
    assert np.abs(H[-1, :-1]).max() > 0.05
    expected = Expected(objective, point, np.random.default_rng(0))
    column = expected(np.ascontiguousarray(H[-1:]))[0]
    np.testing.assert_allclose(column, np.eye(251)[-1], atol=1e-9)


def test_as_predictions_become_sure_the_penalty_counts_more():
    X, y = neighbours(300, 400, 0.5)
    objective = objective_of(X, y, l2=1e-3)
    point = objective.evaluate(objective.start())
    expected = Expected(objective, point, np.random.default_rng(0))
    before = expected(np.eye(401)[:1])[0, 0]
    reads = objective.data.meter.reads
    sure = point._replace(Z=np.where(y, 9.0, -9.0)[None])
    for _ in range(30):
        expected.adapt(sure)
    assert objective.data.meter.reads == reads
    limit = 1.0 / objective.quadratic[0]
    assert before < 0.01 * limit < 0.8 * limit < expected(np.eye(401)[:1])[0, 0] < limit


@pytest.mark.parametrize("classes", [2, 3])
def test_it_saves_passes_to_expect_less_of_few_rows(monkeypatch, classes):
    X, y = neighbours(600, 600, 0.9, classes=classes)
    X = (X - 10.0) * 10.0 ** np.random.default_rng(0).uniform(-1, 1, 600)
    found = fit(X, y, l2=1e-2, solver="lbfgs")
    monkeypatch.setattr(Expected, "adapt", lambda *args: None)
    without = fit(X, y, l2=1e-2, solver="lbfgs")
    assert found.converged
    assert without.converged
    assert found.n_passes < 0.85 * without.n_passes


def test_where_it_takes_long_newton_goes_on():
    """After as much as two Hessians cost, which from about 500 columns on is worth a try."""
    X, y = neighbours(700, 600, 0.95)
    easy, hard = (fit(X - 10.0, y, l2=l2) for l2 in (1e-1, 1e-7))
    assert easy.converged
    assert easy.solver == "lbfgs"
    assert hard.converged
    assert hard.solver == "newton"
    gone_on = [record.n_passes for record in hard.history]
    assert gone_on[0] < 10.0
    assert 100.0 < gone_on[-1] < 150.0
    assert fit(X[:, :300], y, l2=1e-1).solver == "newton"
    assert fit(X[:, :450] - 10.0, np.arange(700) % 3, l2=1e-1).solver == "newton-cg"
    factor = np.ones(600)
    factor[3] = 0.0
    assert fit(X - 10.0, y, l2=1e-1, penalty_factor=factor).solver == "newton"
