# SPDX-License-Identifier: BSD-3-Clause
"""Head and tail of sparse data, whose columns count from their means."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from logreg_c import fit
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers import _orthant, _partial, _whole
from logreg_c.solvers._head_and_tail import HeadAndTail
from logreg_c.solvers._orthant import Inverse, face, orthant_step

sparse = pytest.importorskip("scipy.sparse")
working_set = importlib.import_module("logreg_c.solvers.working_set")


def documents(n=1500, d=600, words=40, seed=0):
    """Return rows of unit length with nothing below zero: what adds up to the bias."""
    rng = np.random.default_rng(seed)
    share = 1.0 / (np.arange(d) + 3.0)
    X = sparse.csr_array((rng.random((n, d)) < words * share / share.sum()).astype(float))
    X.data *= rng.uniform(0.5, 1.5, X.nnz)
    X = sparse.csr_array(X.multiply(1.0 / np.sqrt(X.multiply(X).sum(axis=1))[:, None]))
    z = X @ rng.laplace(0.0, 4.0, d)
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)


def objective_of(X, y, l1=0.0, fit_bias=True, weight=None):
    penalty = as_penalty(1e-4, l1, None, None, None, X.shape[1])
    return Problem(X, y, weight, None, fit_bias, 0, 1, True).pose(penalty).objective


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_bias", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_a_head_of_all_columns_is_the_inverse_of_the_hessian(centred, fit_bias, weighted):
    X, y = documents(400, 60, 8)
    rng = np.random.default_rng(1)
    weight = rng.uniform(0, 2, len(y)) if weighted else None
    objective = objective_of(X, y, fit_bias=fit_bias, weight=weight)
    g = rng.standard_normal((1, objective.D))
    g[0, -1] *= fit_bias
    point = objective.evaluate(0.1 * g)
    parts = HeadAndTail(objective, objective.mean_curvature(point), 60, None, centred)
    assert (parts.means is not None) == (centred and fit_bias)
    s = parts.apply(g)
    back = objective.hessian_vector(objective.data.predictions(point.Z), s)
    np.testing.assert_allclose(back, g, rtol=0, atol=1e-10)


def test_a_tail_of_independent_columns_is_nearly_the_whole_hessian():
    # One of the columns is in all rows, and nothing but a second bias.
    X, y = documents(20_000, 50, 10)
    X.data[:] = 1.0
    objective = objective_of(sparse.csr_array(sparse.hstack([X, np.ones((len(y), 1))])), y)
    point = objective.evaluate(objective.start())
    H = objective.hessian(objective.data.predictions(point.Z))
    far = []
    for centred in (False, True):
        parts = HeadAndTail(objective, objective.mean_curvature(point), 1, None, centred)
        assert (parts.inverse > 0.0).all()
        sizes = np.linalg.eigvals(parts.apply(np.eye(objective.D)) @ H).real
        far.append(float(np.abs(sizes - 1.0).max()))
    assert far[0] > 3.0
    assert far[1] < 0.2


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("l1", [0.0, 3e-4])
def test_fits_whose_columns_count_from_their_means_take_fewer_passes(l1, K, monkeypatch):
    X, y = documents()
    if K > 2:
        rng = np.random.default_rng(3)
        y = np.argmax(X @ rng.laplace(0.0, 4.0, (600, K)) + rng.gumbel(size=(1500, K)), axis=1)
    monkeypatch.setattr(_partial, "HEAD_COLUMNS", 20)
    monkeypatch.setattr(_orthant, "HEAD_COLUMNS", 20)
    monkeypatch.setattr(working_set, "FACTORED_PART", 0)
    monkeypatch.setattr(_whole.Whole, "serves", lambda objective: False)
    arguments = {"l1": l1} if l1 else {"l2": 1e-4}
    few = fit(X, y, **arguments)
    made = HeadAndTail.__init__

    def uncentred(self, objective, h, k, rows, centred):
        made(self, objective, h, k, rows, False)

    monkeypatch.setattr(HeadAndTail, "__init__", uncentred)
    many = fit(X, y, **arguments)
    assert few.converged
    assert many.converged
    assert few.n_passes < 0.8 * many.n_passes


def test_the_bias_makes_up_for_weights_that_stop_at_zero():
    X, y = documents()
    objective = objective_of(X, y, l1=1e-3)
    point = objective.evaluate(np.append(np.full(600, 5.0), -5.0)[None])
    where = face(objective.nonsmooth, point)
    s = np.zeros_like(point.theta)
    s[0, :300] = -8.0
    means = np.linspace(0.0, 0.01, 600)
    stopped = 3.0 * means[:300].sum()
    for what, more in ((None, 0.0), (means, -stopped)):
        step = orthant_step(objective, point, where, s, what)
        assert step.point.theta[0, -1] == pytest.approx(-5.0 + more, abs=1e-9)
        assert (step.point.theta[0, :300] == 0.0).all()


def test_a_face_without_a_column_of_the_head_moves_nothing_in_it():
    X, y = documents()
    objective = objective_of(X, y, l1=1e-3)
    inverse = Inverse(objective, objective.evaluate(objective.start()), None)
    r = np.ones((1, objective.D))
    assert not inverse.within(np.zeros((1, objective.D), dtype=bool))(r).any()
    assert inverse.within(np.ones((1, objective.D), dtype=bool))(r).all()
