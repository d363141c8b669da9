# SPDX-License-Identifier: BSD-3-Clause
"""The line search: where it leads, and that margins stay those of theta."""

from __future__ import annotations

import numpy as np
import pytest
from hard_problems import draw

from logreg_c import fit
from logreg_c._arrays import inner
from logreg_c.solvers._line_search import advance, search


def start(K, seed=0):
    problems = draw(np.random.default_rng(seed), 1, 60, 3, K)
    problems.l2[:] = 1e-3
    problems.fit_bias[:] = True
    objective = problems.posed(0).objective
    theta = objective.project(np.random.default_rng(1).standard_normal((K, 4)))
    return objective, objective.evaluate(theta)


def newton(objective, point):
    return -objective.factor(objective.data.predictions(point.Z)).solve(point.gradient)


@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("length", [1.0, 0.1, 8.0, 1e-3])
def test_it_ends_near_the_minimum_along_the_direction(K, length):
    objective, point = start(K)
    s = newton(objective, point) / length
    step = advance(objective, point, s)
    assert step.point.J < point.J
    at, left = step.length, inner(step.point.gradient, s) / inner(point.gradient, s)
    assert abs(left) <= 0.4
    assert step.left == (pytest.approx(left) if at == 1.0 else 0.0)
    np.testing.assert_allclose(step.point.theta, point.theta + at * s, rtol=1e-14)
    np.testing.assert_allclose(step.margins(point), objective.direction_margins(s), atol=1e-9)
    best = min(objective.evaluate(point.theta + t * at * s).J for t in (0.5, 0.8, 1.2, 2.0))
    assert best + 0.1 * (point.J - step.point.J) >= step.point.J


@pytest.mark.parametrize("K", [1, 3])
def test_margins_stay_those_of_theta_however_long_the_steps(K):
    """Steps of 8 times the direction once made the rounding of Z 7 times as large, each one."""
    objective, point = start(K)
    longest = 0.0
    for _ in range(25):
        step = advance(objective, point, newton(objective, point) / 30.0)
        if step is None:
            break
        point = step.point
        longest = max(longest, step.length)
        fresh = objective.evaluate(point.theta)
        assert np.abs(fresh.Z - point.Z).max() <= 1e-12
        assert pytest.approx(point.J, rel=1e-13) == fresh.J
        np.testing.assert_allclose(point.gradient, fresh.gradient, atol=1e-13)
    assert longest > 4.0


@pytest.mark.parametrize("K", [1, 3])
def test_no_step_where_nothing_is_lower(K):
    objective, point = start(K)
    assert advance(objective, point, point.gradient) is None
    assert advance(objective, point, np.zeros_like(point.theta)) is None
    assert advance(objective, point, np.full_like(point.theta, np.nan)) is None
    for _ in range(30):
        step = advance(objective, point, newton(objective, point))
        if step is None:
            break
        point = step.point
    assert step is None


@pytest.mark.parametrize("K", [1, 3])
def test_a_direction_that_overflows_is_cut(K):
    objective, point = start(K)
    s = newton(objective, point) * 1e3
    step = advance(objective, point, s)
    assert 0.0 < step.length < 0.1
    assert step.point.J < point.J


@pytest.mark.parametrize("K", [1, 3])
def test_the_search_reads_nothing(K):
    objective, point = start(K)
    s = newton(objective, point) / 3
    U = objective.direction_margins(s)
    before = objective.data.meter.reads
    length = search(objective.ray(point, s, U), point.J, inner(point.gradient, s))
    assert objective.data.meter.reads == before
    assert 1.0 < length < 16.0


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
def test_weights_do_not_grow_where_that_changes_no_margin_but_by_rounding(solver):
    """Where margins are rounded by 1e-3, J is by chance lower than its optimum."""
    for seed in (1, 9, 13, 23, 39, 43):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((60, 4))
        X[:, 1] = rng.choice([1.0, 3.7, 1e6])
        y = rng.integers(0, 5, 60)
        y[:5] = np.arange(5)
        result = fit(X, y, solver=solver, tol=1e-12)
        assert result.converged
        assert np.abs(result.w).max() < 100.0
        assert pytest.approx(fit(X, y, tol=1e-12).objective, rel=1e-11) == result.objective
