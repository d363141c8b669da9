# SPDX-License-Identifier: BSD-3-Clause
"""Fits by passes over a copy of X as float32, and that what they return is about X itself."""

from __future__ import annotations

import sys
import warnings
import weakref

import numpy as np
import pytest
from fit_problems import KINDS, optimum, problem, raw, twin

from logreg_c import ConvergenceWarning, fit
from logreg_c._data import Dense
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers._driver import Goal, Iterate, drive

LBFGS = sys.modules["logreg_c.solvers.lbfgs"]


@pytest.fixture
def copies(monkeypatch):
    """Have X of any size copied at once, and list the copies."""
    made = []
    rounded = Dense.rounded

    def spy(self, center, scale):
        made.append(rounded(self, center, scale))
        return made[-1]

    monkeypatch.setattr(Dense, "rounded", spy)
    monkeypatch.setattr(LBFGS, "LEAST_ROUNDED", 0)
    monkeypatch.setattr(LBFGS, "MANY_PASSES", np.inf)
    monkeypatch.setattr(LBFGS, "COPIED_AFTER", 0)
    monkeypatch.setattr(LBFGS, "FAR", 0)
    return made


def J_of(result, X, y, arguments):
    """Return J where a fit ended, in extended precision."""
    return float(twin(X, y, **arguments).J(raw(result)))


def wide(order="C"):
    """Return an X that is large enough to be copied, and y."""
    rng = np.random.default_rng(0)
    X = np.asarray(rng.standard_normal((900, 600)) + 3.0, order=order)
    return X, (X[:, :5].sum(axis=1) + rng.logistic(size=900) > 15.0).astype(int)


@pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-11])
@pytest.mark.parametrize("kind", KINDS)
def test_the_optimum_is_that_of_x(kind, tol, copies):
    X, y, arguments = problem(kind)
    result = fit(X, y, solver="lbfgs", tol=tol, **arguments)
    assert result.converged
    assert [copy.X.dtype for copy in copies] == [np.float32]
    assert result.objective - optimum(kind, 2) <= result.gap + 1e-14
    assert result.gap <= tol * result.objective
    assert J_of(result, X, y, arguments) == pytest.approx(result.objective, rel=1e-12)


@pytest.mark.parametrize("count", [1, 3])
def test_a_fit_that_is_stopped_tells_j_of_x(count, copies):
    X, y, arguments = problem("scales")
    with pytest.warns(ConvergenceWarning):
        limited = fit(X, y, solver="lbfgs", tol=1e-12, max_iter=count, **arguments)
    with pytest.warns(ConvergenceWarning):
        stopped = fit(
            X, y, solver="lbfgs", tol=1e-12, callback=lambda state: state.n_iter == count,
            **arguments,
        )  # fmt: skip
    assert len(copies) == 2
    for result in (limited, stopped):
        assert result.n_iter == len(result.history) == count
        assert J_of(result, X, y, arguments) == pytest.approx(result.objective, rel=1e-14)
        assert result.history[-1].objective == result.objective
        assert result.history[-1].gap == result.gap
        assert result.gap >= result.objective - optimum("scales", 2)
    assert limited.w.tolist() == stopped.w.tolist()


def test_large_x_takes_about_as_many_passes_and_has_the_same_optimum(monkeypatch):
    X, y = wide()
    found = fit(X, y, l2=1e-3, tol=1e-8)
    monkeypatch.setattr(LBFGS, "LEAST_ROUNDED", np.inf)
    plain = fit(X, y, l2=1e-3, tol=1e-8)
    assert found.solver == plain.solver == "lbfgs"
    assert found.converged
    assert plain.converged
    assert found.n_passes != plain.n_passes
    assert found.n_passes <= plain.n_passes + 6
    assert found.objective == pytest.approx(plain.objective, rel=2e-8)


def test_fits_that_are_done_soon_make_no_copy(copies, monkeypatch):
    monkeypatch.setattr(LBFGS, "COPIED_AFTER", 6)
    monkeypatch.setattr(LBFGS, "FAR", 10)
    X, y = wide()
    far = fit(X, y, l2=1e-3)
    assert len(copies) == 1
    near = fit(X, y, l2=1.01e-3, w0=far.w, b0=far.b)
    assert near.converged
    assert near.n_passes < far.n_passes
    assert len(copies) == 1


def test_a_copy_is_let_go_with_its_last_pass(copies):
    X, y = wide()
    alive = []

    def look(state):
        copies[:] = [copy if callable(copy) else weakref.ref(copy) for copy in copies]
        alive.append([copy() is not None for copy in copies])

    with pytest.warns(ConvergenceWarning):
        fit(X, y, l2=1e-3, tol=1e-14, callback=look)
    assert alive[0] == [True]
    assert alive[-1] == [False]


def test_j_of_a_copy_is_not_compared_with_what_is_proved(copies):
    # Another solver was here and has proved all but the goal: a rounded J would be near enough.
    X, y, arguments = problem("gaussian")
    problem_ = Problem(X, y, None, None, True, 0, 1)
    objective = problem_.pose(as_penalty(arguments["l2"], 0.0, None, None, None, 4)).objective
    best = objective.from_raw(raw(fit(X, y, tol=1e-12, **arguments)))
    point = objective.evaluate(best * (1.0 + 1e-4))
    lower = point.J - 3e-6 * point.J

    def other(task):
        yield Iterate(point, lower)

    solvers = [("other", other), ("lbfgs", LBFGS.lbfgs)]
    found = drive(objective, point, solvers, Goal(1e-6), 0, 100)
    assert copies
    assert found.converged
    assert found.point.J <= point.J
    assert found.point.J == objective.evaluate(found.point.theta).J


@pytest.mark.parametrize("order", ["C", "F"])
def test_same_bits_for_any_number_of_threads(order):
    X, y = wide(order)
    results = [fit(X, y, l2=1e-3, n_threads=threads) for threads in (1, 2, 3, 8)]
    for result in results:
        assert result.w.tobytes() == results[0].w.tobytes()
        assert result.objective == results[0].objective


def test_entries_beyond_float32_are_left_to_x_itself(copies, monkeypatch):
    # The column is scaled by those of its rows that were looked at.
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((300_000, 4)), rng.integers(0, 2, 300_000)
    X[123_456, 1] = 1e42

    def fitted():
        with warnings.catch_warnings():
            # Whether the optimum is proved there is a matter of rounding.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return fit(X, y, l2=1e-3, solver="lbfgs")

    result = fitted()
    assert len(copies) == 1
    assert np.isinf(copies[0].X[123_456, 1])
    monkeypatch.setattr(LBFGS, "LEAST_ROUNDED", np.inf)
    plain = fitted()
    assert result.w.tolist() == plain.w.tolist()
    assert result.reason == plain.reason


def test_without_memory_for_a_copy_there_is_none(monkeypatch):
    X, y = wide()

    def none_left(self, center, scale):
        raise MemoryError

    monkeypatch.setattr(Dense, "rounded", none_left)
    result = fit(X, y, l2=1e-3)
    monkeypatch.setattr(LBFGS, "LEAST_ROUNDED", np.inf)
    plain = fit(X, y, l2=1e-3)
    assert result.converged
    assert result.w.tolist() == plain.w.tolist()
