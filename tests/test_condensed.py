# SPDX-License-Identifier: BSD-3-Clause
"""Rows that are the same, and zeros that are filled in: another layout of the same objective."""

from __future__ import annotations

import numpy as np
import pytest

from logreg_c._compressed import Compressed
from logreg_c._condensed import distinct_rows, filled_in, is_better_dense
from logreg_c._data import Dense
from logreg_c._penalty import as_penalty
from logreg_c._validation import as_examples
from logreg_c.fitting import Problem, fit

sparse = pytest.importorskip("scipy.sparse")


def one_hot(n=1200, weighted=False, values=False):
    """Return the objective of three fields with 4, 3 and 2 levels, and of three empty columns."""
    rng = np.random.default_rng(0)
    X = np.zeros((n, 12))
    for first, count in ((0, 4), (4, 3), (7, 2)):
        X[np.arange(n), first + rng.integers(0, count, n)] = 1.0
    if values:
        X[:, 8] *= 0.5
    y = rng.random(n) < 0.4
    s = rng.integers(0, 3, n).astype(float) if weighted else None
    problem = Problem(sparse.csr_array(X), y, s, None, True, 0, 2, keep_sparse=True)
    return problem.pose(as_penalty(0.01, 0.02, None, None, None, 12)).objective


@pytest.mark.parametrize("by_columns", [False, True])
@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_objective_is_the_same(weighted, values, by_columns):
    objective = one_hot(weighted=weighted, values=values)
    if by_columns:
        objective = objective.columns(np.arange(12))
        assert not objective.data.X.by_rows
    theta = np.random.default_rng(1).standard_normal((1, 13))
    distinct, group = distinct_rows(objective.data)
    assert distinct.n == 24
    fewer, again = objective.condensed()
    np.testing.assert_array_equal(again, group)
    assert isinstance(fewer.data, Dense)
    for data in (distinct, fewer.data, filled_in(objective.data)):
        other = objective.columns(np.arange(12))
        other.data = data
        old, new = objective.evaluate(theta), other.evaluate(theta)
        rows = slice(None) if data.n == objective.n else group
        np.testing.assert_allclose(new.Z[:, rows], old.Z, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(new.J, old.J, rtol=1e-13)
        np.testing.assert_allclose(new.gradient, old.gradient, atol=1e-14)
        H = other.hessian(data.predictions(new.Z))
        np.testing.assert_allclose(
            H, objective.hessian(objective.data.predictions(old.Z)), atol=1e-14
        )


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
def test_a_fit_fills_in_what_is_hardly_sparse(form):
    """Columns of it may be far from zero, which only a dense X is centred for."""
    rng = np.random.default_rng(0)
    X = np.where(rng.random((3000, 90)) < 0.8, rng.standard_normal((3000, 90)), 0.0)
    X[:, 0] += 1e4
    y = X[:, 0] + X[:, 1] + rng.logistic(size=3000) > 1e4
    assert is_better_dense(as_examples(form(X)))
    found, expected = fit(form(X), y, l2=1e-3), fit(X, y, l2=1e-3)
    assert found.solver == expected.solver
    assert found.w.tobytes() == expected.w.tobytes()
    assert not is_better_dense(as_examples(form(X * (rng.random(X.shape) < 0.8))))
    assert fit(form(X), y, l2=1e-3, solver="preconditioned").solver == "preconditioned"


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
def test_a_dense_copy_piece_by_piece(form, monkeypatch):
    rng = np.random.default_rng(0)
    X = form(sparse.random_array((70, 30), density=0.2, rng=rng))
    X.indices[X.indptr[1] : X.indptr[2]] = 3  # entries of one place
    for data in (X, X.astype(np.float32)):
        expected = data.toarray().astype(np.float64)
        for places in (1, 50, 2**18):
            monkeypatch.setattr("logreg_c._compressed.PLACES", places)
            np.testing.assert_allclose(as_examples(data).dense(), expected, rtol=1e-6)


@pytest.mark.parametrize("places", [np.int32, np.int64])
@pytest.mark.parametrize("values", [None, np.float32, np.float64])
def test_rows_are_grouped_as_by_comparing_them_all(isa, values, places):
    rng = np.random.default_rng(0)
    A = (rng.random((3000, 6)) < 0.4) * rng.integers(1, 3, (3000, 6))
    A = (A > 0) if values is None else A
    X = sparse.csr_array(A.astype(float))
    data = None if values is None else X.data.astype(values)
    X = Compressed(X.indptr.astype(places), X.indices.astype(places), data, X.shape, True, True)
    _, wanted, inverse = np.unique(A, axis=0, return_index=True, return_inverse=True)
    group, first = np.empty(3000, dtype=np.intp), np.empty(len(wanted), dtype=np.intp)
    assert isa.group_rows(X, 3000, len(wanted), group, first) == len(wanted)
    np.testing.assert_array_equal(first, np.sort(wanted))
    np.testing.assert_array_equal(first[group], wanted[inverse])
    assert isa.group_rows(X, 3000, len(wanted) - 1, group, first) == -1


def test_rows_that_differ_are_left():
    rng = np.random.default_rng(0)
    X = sparse.random(2000, 30, 0.1, format="csr", random_state=rng)
    y = rng.random(2000) < 0.5
    problem = Problem(X, y, None, None, True, 0, 2, keep_sparse=True)
    objective = problem.pose(as_penalty(0.01, 0.0, None, None, None, 30)).objective
    condensed, group = objective.condensed()
    assert group is None
    assert condensed.data is objective.data
