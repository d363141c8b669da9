# SPDX-License-Identifier: BSD-3-Clause
"""Columns far below an L1 penalty: that the bound on their gradients is one, and what it saves."""

from __future__ import annotations

import numpy as np
import pytest

from logreg_c import fit, regularization_path
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers._distant import FEW, Distant, _largest


def wide(K=2, d=4500, n=60, seed=0):
    """Return columns of other sizes and centres, of which five tell of the class."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * rng.lognormal(size=d) + 3.0 * rng.standard_normal(d)
    Z = (X[:, :5] - X[:, :5].mean(axis=0)) @ rng.standard_normal((5, K))
    return X, (Z + rng.gumbel(size=Z.shape)).argmax(axis=1)


def layouts(X):
    sparse = pytest.importorskip("scipy.sparse")
    X = np.where(np.random.default_rng(1).random(X.shape) < 0.2, X, 0.0)
    return sparse.csr_array(X)


@pytest.mark.parametrize("kind", ["dense", "sparse", "weights", "classes"])
def test_what_is_said_to_be_below_is(kind):
    K = 3 if kind == "classes" else 2
    X, y = wide(K)
    n, d = X.shape
    X = layouts(X) if kind == "sparse" else X
    s = np.random.default_rng(2).integers(0, 3, n).astype(float) if kind == "weights" else None
    problem = Problem(X, y, s, None, True, 0, 2)
    objective = problem.pose(as_penalty(0.0, 0.05, None, None, None, d)).objective
    l1 = objective.nonsmooth.l1[:-1]
    assert Distant.suits(objective)
    distant = Distant(objective)
    _, R = objective.data.residuals(objective.evaluate(objective.start()).Z)
    g = objective.pull_back(R)
    largest = float((np.abs(g[:, :-1]) / l1).max())
    used = np.array([7, 4000])
    distant.refer(objective, R, g, used)
    assert distant.columns is not None
    assert np.isin(used, distant.columns).all()
    far = np.setdiff1d(np.arange(d), distant.columns)
    least = float((np.abs(g[:, :-1]) / l1)[:, far].max())
    assert distant.are_below(0.5 * R, 0.51 * least * l1)
    assert not distant.are_below(R, 0.99 * least * l1)
    rng = np.random.default_rng(3)
    share = (np.full(n, 1.0) if s is None else s) / (n if s is None else s.sum())
    told = 0
    for size in np.geomspace(1e-6, 1.0, 60):
        other = R * rng.uniform(0.3, 1.2) + size * share * rng.standard_normal(R.shape)
        if distant.are_below(other, 1.05 * largest * l1):
            told += 1
            found = np.abs(objective.pull_back(other)[:, :-1]) / l1
            assert found[:, far].max() <= 1.05 * largest
    assert told > 5


@pytest.mark.parametrize("kind", ["dense", "sparse", "elastic net", "weights", "classes"])
def test_a_path_reads_all_columns_now_and_then(kind):
    K = 3 if kind == "classes" else 2
    X, y = wide(K)
    X = layouts(X) if kind == "sparse" else X
    s = np.random.default_rng(2).integers(0, 3, len(y)) if kind == "weights" else None
    ratio = 0.7 if kind == "elastic net" else 1.0
    arguments = {"sample_weight": s}
    path = regularization_path(X, y, l1_ratio=ratio, n_penalties=40, eps=0.05, **arguments)
    assert path.converged.all()
    assert path.n_passes < 20
    for k in (5, 20, 39):
        penalty = path.penalties[k]
        alone = fit(X, y, l1=ratio * penalty, l2=(1 - ratio) * penalty, tol=1e-9, **arguments)
        assert path.objective[k] - path.gap[k] <= alone.objective
        assert alone.objective - alone.gap <= path.objective[k] <= alone.objective * (1 + 2e-6)


def test_columns_that_come_from_afar_are_found():
    # Large steps in the penalty, after which hundreds of columns are missing.
    X, y = wide(n=400, d=6000)
    path = regularization_path(X, y, n_penalties=4, eps=0.02)
    assert path.converged.all()
    for k in (1, 2, 3):
        alone = fit(X, y, l1=path.penalties[k], tol=1e-9)
        assert path.objective[k] - path.gap[k] <= alone.objective
        assert path.objective[k] <= alone.objective * (1 + 2e-6)


def test_the_bits_do_not_depend_on_threads():
    X, y = wide()
    first, *others = (
        regularization_path(X, y, n_penalties=12, n_threads=threads) for threads in (1, 2, 3, 8)
    )
    for path in others:
        np.testing.assert_array_equal(path.w, first.w)
        np.testing.assert_array_equal(path.gap, first.gap)


@pytest.mark.parametrize("why", ["few columns", "bounds", "a column without a penalty", "offset"])
def test_where_all_columns_are_read(why):
    X, y = wide(d=3000 if why == "few columns" else 4500)
    d = X.shape[1]
    factor = np.append(np.ones(d - 1), 0.0) if why.endswith("penalty") else None
    lower = 0.0 if why == "bounds" else None
    offset = np.ones(len(y)) if why == "offset" else None
    problem = Problem(X, y, None, offset, True, 0, 1)
    assert not Distant.suits(problem.pose(as_penalty(0.0, 0.1, factor, lower, None, d)).objective)


@pytest.mark.parametrize("related", [-0.9, 0.0, 0.9])
def test_what_is_left_out_is_never_the_largest(related):
    rng = np.random.default_rng(5)
    size = rng.random(5000)
    length = np.abs(related * size + 0.3 * rng.random(5000)) + 0.1
    some = _largest(size, length)
    assert len(some[0]) == len(some[1]) < 1000
    for angle in np.linspace(0.0, np.pi / 2, 200):
        c, away = np.cos(angle), np.sin(angle)
        assert (c * some[0] + away * some[1]).max() == (c * size + away * length).max()
    few = _largest(size[:FEW], length[:FEW])
    assert few[0].tolist() == size[:FEW].tolist()
