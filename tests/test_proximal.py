# SPDX-License-Identifier: BSD-3-Clause
"""Proximal Newton: Hessians of the columns that may move, how many are made, and none at all."""

from __future__ import annotations

import numpy as np
import pytest

from logreg_c import fit, regularization_path
from logreg_c._copied_columns import CopiedColumns
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers import _orthant, _proximal
from logreg_c.solvers._orthant import Inverse, System, face, newton_direction
from logreg_c.solvers._proximal import NEAR, Curvature, Made, Recall, last_step, scores
from logreg_c.solvers.working_set import places_of

sparse = pytest.importorskip("scipy.sparse")


def table(n=2000, d=60, seed=0):
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, d)) < rng.uniform(0.02, 0.4, d), rng.normal(1.0, 0.5, (n, d)), 0.0)
    w = np.where(rng.random(d) < 0.3, rng.normal(0.0, 1.5, d), 0.0)
    return sparse.csr_array(X), (rng.random(n) < 1 / (1 + np.exp(-(X @ w)))).astype(float)


def posed(l1=0.01, l2=0.0, fit_bias=True):
    X, y = table()
    problem = Problem(X, y, None, None, fit_bias, 0, 2, True)
    return problem.pose(as_penalty(l2, l1, None, None, None, X.shape[1])).objective


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("fit_bias", [True, False])
def test_a_hessian_is_exact_where_columns_may_move(l2, fit_bias):
    objective = posed(l2=l2, fit_bias=fit_bias)
    theta = objective.start()
    theta[0, :3] = 0.5, -0.5, 0.1
    point = objective.evaluate(theta)
    moving = scores(objective, point, objective.nonsmooth.l1[:-1]) > NEAR
    moving = np.append(moving | (theta[0, :-1] != 0.0), True)
    assert 5 < np.count_nonzero(moving) < len(moving) - 5
    exact = objective.hessian(objective.data.predictions(point.Z))
    curvature = Curvature(objective)
    hessian = curvature.hessian(point)
    found = hessian._H
    inside = np.ix_(moving, moving)
    np.testing.assert_allclose(found[inside], exact[inside], rtol=1e-12, atol=1e-15)
    others = found.copy()
    others[inside] = 0.0
    assert np.count_nonzero(others) == (0 if l2 == 0.0 else np.count_nonzero(~moving))
    # What does not move has a curvature of its own once the Hessian is to learn.
    curvature.complete(hessian)
    np.testing.assert_allclose(np.diagonal(found), np.diagonal(exact), rtol=1e-12)


def test_a_last_step_is_a_step_without_its_gradient():
    objective = posed()
    point = objective.evaluate(objective.start())
    s, decrement = Curvature(objective).hessian(point).step(point)
    last = last_step(objective, point, s, decrement)
    there = objective.evaluate(point.theta + s)
    assert last.after.J == pytest.approx(there.J, rel=1e-14)
    np.testing.assert_allclose(last.after.Z, there.Z, atol=1e-13)
    np.testing.assert_allclose(last.U, there.Z - point.Z, atol=1e-13)
    # Up is no step.
    assert last_step(objective, point, -s, decrement) is None


def test_hessians_are_as_many_as_they_are_worth(monkeypatch):
    X, y = table(20_000, 120)
    made = []
    hessian = Curvature.hessian
    monkeypatch.setattr(Curvature, "hessian", lambda *a: made.append(1) or hessian(*a))
    counts = []
    for price in (1e9, 0.0):
        monkeypatch.setattr(_proximal, "price_of_gram", lambda *a, price=price, **k: price)
        made.clear()
        result = fit(X, y, l1=0.001)
        assert result.converged
        assert result.solver == "working-set"
        counts.append(len(made))
    assert counts[0] < counts[1]


@pytest.mark.parametrize("kind", ["sparse", "dense", "classes", "elastic net"])
def test_a_hessian_proves_steps_of_the_next_penalties(kind, monkeypatch):
    X, y = table(6000, 80)
    if kind == "classes":
        y = np.where(X[:, [0]].toarray()[:, 0] > 0.5, 2, y).astype(int)
    X = X.toarray() if kind in ("dense", "classes") else X
    made, served = [], []
    hessian, step = Curvature.hessian, Recall._step
    monkeypatch.setattr(Curvature, "hessian", lambda *a: made.append(1) or hessian(*a))
    monkeypatch.setattr(Recall, "_step", lambda *a: served.append(step(*a)) or served[-1])
    ratio = 0.7 if kind == "elastic net" else 1.0
    path = regularization_path(X, y, l1_ratio=ratio, n_penalties=50, eps=0.05)
    by_others = [last for last in served if last is not None]
    assert path.converged.all()
    assert len(by_others) > 15
    assert all(last.bent is not None for last in by_others)
    assert len(made) < 45
    for k in range(0, 50, 7):
        p = path.penalties[k]
        best = fit(X, y, l1=ratio * p, l2=(1.0 - ratio) * p, tol=1e-10)
        assert -best.gap <= path.objective[k] - best.objective <= path.gap[k]


def test_conjugate_gradients_go_over_to_the_face_of_the_model(monkeypatch):
    # From the solution for a larger penalty some columns come in only when others have moved.
    monkeypatch.setattr(_orthant, "FEWEST_PRODUCTS", 300)
    X, y = table(600, 300)
    problem = Problem(X, y, None, None, True, 0, 2, True)
    l1 = 0.004
    before = fit(X, y, l1=2 * l1, tol=1e-10)
    objective = problem.pose(as_penalty(0.0, l1, None, None, None, 300)).objective
    point = objective.evaluate(np.append(before.w, before.b)[None])
    where = face(objective.nonsmooth, point)
    inverse = Inverse(objective, point, None)
    gap = 1e-6 * point.J

    def above():
        found = newton_direction(objective, point, where, inverse, gap, objective.start())
        assert found.exact
        np.testing.assert_allclose(found.U, objective.direction_margins(found.s), atol=1e-12)
        a = objective.data.predictions(point.Z)
        g = point.gradient + objective.hessian_vector(a, found.s)
        return float((np.abs(g[0, :-1]) / l1).max()) - 1.0

    assert above() <= 1e-6
    monkeypatch.setattr(System, "refaced", lambda *a: None)
    assert above() > 1e-3


def test_a_face_is_looked_for_where_nothing_is_lost():
    objective = posed()
    point = objective.evaluate(objective.start())._replace(J=0.0)
    where = face(objective.nonsmooth, point)
    system = System(
        objective, point, objective.data.predictions(point.Z), where,
        Inverse(objective, point, None), objective.start(),
    )  # fmt: skip
    assert system.refaced(1e-15) is None


@pytest.mark.parametrize("layout", ["csr", "csc", "ones", "float32", "dense", "dense by columns"])
@pytest.mark.parametrize("fit_bias", [True, False])
def test_a_hessian_goes_over_to_other_columns(layout, fit_bias):
    X, y = table(600, 30)
    if layout == "ones":
        X.data[:] = 1.0
    dense = layout.startswith("dense")
    if dense:
        X = np.array(X.toarray() + 3.0, order="F" if "columns" in layout else "C")
    elif layout == "float32":
        X = X.astype(np.float32)
    elif layout == "csc":
        X = X.tocsc()
    problem = Problem(X, y, np.linspace(0.5, 2.0, 600), None, fit_bias, 0, 2, True)
    whole = problem.pose(as_penalty(0.1, 0.01, None, None, None, 30)).objective
    point = whole.evaluate(whole.start())
    a = whole.data.predictions(point.Z)

    def part_of(columns):
        if not dense:
            return whole.columns(columns)
        copied = CopiedColumns(whole.data)
        for some in np.array_split(columns, 3):
            copied.add(some)
        assert np.array_equal(copied.columns, columns)
        assert np.array_equal(copied.data().X, X[:, columns])
        return whole.columns(columns, data=copied.data())

    first, then = np.arange(0, 20, 2), np.arange(1, 27)
    part, other = part_of(first), part_of(then)
    made = Made(part.hessian(a), part.quadratic.copy(), None, a).at(places_of(then, first, whole))
    kept = np.isin(then, first)
    assert np.array_equal(made.columns, kept)
    assert not made.with_ridge_of(other)[:-1, :-1][~kept][:, kept].any()
    made.take(other, np.flatnonzero(~kept)[:7])
    exact = other.hessian(a)
    has = np.flatnonzero(np.append(made.columns, True))
    assert len(has) == 9 + 7 + 1
    found = made.with_ridge_of(other)
    np.testing.assert_allclose(
        found[np.ix_(has, has)], exact[np.ix_(has, has)], rtol=1e-12, atol=1e-14
    )
    without = np.delete(np.arange(27), has)
    np.testing.assert_array_equal(found[np.ix_(without, has)], 0.0)


@pytest.mark.parametrize("kind", ["sparse", "dense", "elastic net", "no bias"])
def test_columns_that_come_in_are_added_to_a_hessian(kind, monkeypatch):
    X, y = table(6000, 80)
    X = X.toarray() if kind == "dense" else X
    monkeypatch.setattr(_proximal, "KEPT", 0.0)
    taken, take = [], Made.take
    monkeypatch.setattr(Made, "take", lambda *a: taken.append(len(a[2])) or take(*a))
    ratio, bias = 0.7 if kind == "elastic net" else 1.0, kind != "no bias"
    path = regularization_path(
        X, y, l1_ratio=ratio, n_penalties=50, eps=0.05, fit_intercept=bias, tol=1e-8
    )
    assert path.converged.all()
    assert sum(taken) > 3
    for k in range(0, 50, 7):
        p = path.penalties[k]
        best = fit(X, y, l1=ratio * p, l2=(1.0 - ratio) * p, tol=1e-10, fit_intercept=bias)
        assert -best.gap <= path.objective[k] - best.objective <= path.gap[k]
