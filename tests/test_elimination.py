# SPDX-License-Identifier: BSD-3-Clause
"""The Hessian of one-hot data, factored without its largest field, and the fits that need it."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from logreg_c import fit
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers import _elimination, _head_and_tail, _partial, _whole
from logreg_c.solvers._elimination import Elimination

sparse = pytest.importorskip("scipy.sparse")
preconditioned = importlib.import_module("logreg_c.solvers.preconditioned")


def one_hot(level, levels, entry=1.0):
    n = len(level)
    return sparse.csr_matrix((np.full(n, entry), (np.arange(n), level)), shape=(n, levels))


def nested(n=3000, entry=1.0, seed=0):
    """Return routes, which know their airline, with planes and a number; some have no rows."""
    rng = np.random.default_rng(seed)
    route = np.minimum(rng.geometric(0.03, n) - 1, 199)
    route[-1] = 199
    parts = [one_hot(route % 7, 7), rng.standard_normal((n, 1)), one_hot(route, 200, entry)]
    X = sparse.csr_matrix(sparse.hstack([*parts, one_hot(rng.integers(0, 80, n), 80)]))
    z = (X != 0) @ rng.standard_normal(X.shape[1])
    return X, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)


def objective_of(X, y, fit_bias=True, threads=1, weight=None):
    problem = Problem(X, y, weight, None, fit_bias, 0, threads, keep_sparse=True)
    penalty = as_penalty(1e-5, 0.0, np.linspace(0.5, 2.0, X.shape[1]), None, None, X.shape[1])
    return problem.pose(penalty).objective


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_bias", [False, True])
@pytest.mark.parametrize("entry", [1.0, -0.3, 40.0])
def test_it_is_the_inverse_of_the_hessian(entry, fit_bias, weighted):
    X, y = nested(entry=entry)
    rng = np.random.default_rng(1)
    weight = rng.uniform(0, 2, len(y)) if weighted else None
    objective = objective_of(X, y, fit_bias, weight=weight)
    field = Elimination.largest(objective)
    assert field == (8, 208)
    g = rng.standard_normal((1, objective.D))
    g[0, -1] *= fit_bias
    point = objective.evaluate(0.1 * g)
    elimination = Elimination(objective, *field)
    for _ in range(2):
        elimination.refresh(point)
        s = elimination.apply(g)
        back = objective.hessian_vector(objective.data.predictions(point.Z), s)
        np.testing.assert_allclose(back, g, rtol=0, atol=1e-8)


def test_same_bits_for_any_number_of_threads():
    X, y = nested()
    found = []
    for threads in (1, 2, 3):
        objective = objective_of(X, y, threads=threads)
        elimination = Elimination(objective, 8, 208)
        point = objective.evaluate(objective.start())
        elimination.refresh(point)
        found.append(elimination.apply(point.gradient).tobytes())
    assert len(set(found)) == 1


def test_only_of_fields_that_leave_few_columns_and_of_two_classes(monkeypatch):
    X, y = nested()
    objective = objective_of(X, y)
    three = objective_of(X, np.arange(len(y)) % 3)
    assert Elimination.largest(three) is None
    monkeypatch.setattr(_elimination, "MOST_OTHERS", 50)
    assert Elimination.largest(objective) is None


def test_a_slow_fit_takes_it_and_proves_its_optimum(monkeypatch):
    X, y = nested(20_000)
    arguments = {"l2": 1e-9, "tol": 1e-8}
    expected = fit(X, y, **arguments)
    # As if there were more columns than are factored at once.
    monkeypatch.setattr(_whole, "SMALL", 0)
    monkeypatch.setattr(_whole, "COMPLETE", 0.0)
    monkeypatch.setattr(_partial, "HEAD_COLUMNS", 4)
    monkeypatch.setattr(_head_and_tail, "FEWEST", 0)
    monkeypatch.setattr(preconditioned, "SLOW", ())
    monkeypatch.setattr(_elimination, "MOST_OTHERS", 0)
    slow = fit(X, y, **arguments)
    monkeypatch.setattr(_elimination, "MOST_OTHERS", 5000)
    quick = fit(X, y, **arguments)
    assert expected.solver == quick.solver == "preconditioned"
    assert quick.converged
    assert abs(quick.objective - expected.objective) <= 2e-8 * expected.objective
    assert quick.n_passes < 0.9 * slow.n_passes
