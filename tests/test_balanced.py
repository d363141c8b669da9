# SPDX-License-Identifier: BSD-3-Clause
"""Dual points without a residual of the bias, whatever they are made from."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest
from hard_problems import BIG, Exact, draw

from logreg_c import ConvergenceWarning, fit
from logreg_c._balanced import ROUNDED, balanced, moved_along
from logreg_c._certificate import plain_lower_bound


def drawn(K, kind="ridge", B=48, n=12, d=2):
    problems = draw(np.random.default_rng(2), B, n, d, K, kind)
    problems.l2[:] = np.maximum(problems.l2, 1e-3)
    problems.fit_bias[:] = True
    return problems, [problems.posed(i).objective for i in range(B)]


@pytest.mark.parametrize("kind", ["ridge", "sparse"])
@pytest.mark.parametrize("K", [1, 3, 5])
def test_a_mixture_is_a_dual_point_of_the_same_examples(K, kind):
    """Made from its rows it has the residual that is told, and no more of a divergence."""
    problems, objectives = drawn(K, kind)
    exact = Exact(problems, objectives)
    rng = np.random.default_rng(0)
    theta = np.stack([o.project(0.2 * rng.standard_normal((K, o.D))) for o in objectives])
    Y = exact.Y if K > 1 else np.concatenate((1 - exact.Y, exact.Y), axis=1)
    for i, o in enumerate(objectives):
        point = o.evaluate(theta[i])
        left = point.gradient[:, -1]
        residual, divergence = balanced(o, point.J, theta[i], point.gradient, 0.0)
        assert np.abs(residual[:, -1]).max() < 1e-15
        # t and t_k from the residual, as the module says.
        a = exact.predictions(exact.margins(theta))[i]
        a, r = (a, left) if K > 1 else (np.vstack((1 - a, a)), np.array([-left[0], left[0]]))
        P = (exact.share[i] * Y[i]).sum(axis=1)
        odds = (r / P).max()
        t = odds / (1 + odds)
        parts = t * P - (1 - t) * r
        mixed = (1 - t) * a + parts[:, None]
        assert (parts >= -1e-15).all()
        assert np.abs(mixed.sum(axis=0) - 1).max() < 1e-15
        move = (exact.share[i] * (mixed - a)[a.shape[0] - K :]) @ exact.V[i]
        np.testing.assert_allclose(
            residual, (point.gradient + move).astype(float), rtol=1e-9, atol=1e-10
        )
        with np.errstate(all="ignore"):
            kl = np.where(mixed > 0, mixed * np.log(mixed / a), 0).sum(axis=0)
        kl = np.where(a.min(axis=0) > 0, kl, 0)
        assert divergence >= (exact.share[i] * kl).sum() * (1 - 1e-12)


def test_rounding_is_left_alone():
    _, objectives = drawn(1)
    residual = np.full((1, 3), 0.1)
    residual[:, -1] = ROUNDED
    found = balanced(objectives[0], 1.0, np.zeros((1, 3)), residual, 0.2)
    assert found[0] is residual
    assert found[1] == 0.2
    assert objectives[0].data.class_sums is None


def test_x_is_read_once_for_all_of_them():
    _, objectives = drawn(1)
    objective = objectives[0]
    point = objective.evaluate(np.ones((1, 3)))
    meter = objective.data.meter
    before = meter.reads
    first = plain_lower_bound(objective, point)
    assert meter.reads == before + 1.0
    assert plain_lower_bound(objective, point) == first
    assert plain_lower_bound(objective, point, most=1e-300) == first
    assert meter.reads == before + 1.0


def test_no_read_of_x_where_it_could_not_prove_enough():
    _, objectives = drawn(1)
    point = objectives[0].evaluate(np.ones((1, 3)))
    assert plain_lower_bound(objectives[0], point, most=1e-9) == -np.inf
    assert objectives[0].data.class_sums is None


def test_margins_move_until_nothing_is_left():
    _, objectives = drawn(1, n=30)
    for objective in objectives:
        data = objective.data
        Z = objective.evaluate(np.full((1, 3), 0.1)).Z
        U = np.full_like(Z, 1e-3)
        move = partial(data.dual_residuals, Z)
        _, R = moved_along(objective, U, partial(data.predictions, Z), move)
        if abs(R.sum()) > ROUNDED:  # too far away: nothing has moved
            assert R.tolist() == move(U)[1].tolist()


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cg", "gradient-descent", "sampled"])
def test_a_bias_a_hundred_away_is_within_the_proof(solver):
    """One row far out among a few puts it there; a proof may not take it for nearer."""
    proved = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(4, 9))
        X = rng.standard_normal((n, 2))
        X[0, 0] *= 10.0 ** rng.uniform(1, 4)
        y = np.arange(n) % 2
        l2, tol = 10.0 ** rng.uniform(-4, -1), 10.0 ** rng.uniform(-5, -0.3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            best = fit(X, y, l2=l2, tol=1e-11, solver="newton")
            result = fit(X, y, l2=l2, tol=tol, solver=solver, max_iter=200)
        lower = BIG(result.objective) - BIG(result.gap)
        assert lower <= BIG(best.objective) * (1 + 1e-12), seed
        proved += result.converged
    assert proved > 10


@pytest.mark.parametrize("solver", ["newton", "sampled", "blocks", "lbfgs", "newton-cg"])
def test_margins_with_much_in_common_leave_probabilities(solver):
    """A row of 1e8 moves all classes' margins by as much: what a row adds up to is still 1."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        n, K = int(rng.integers(8, 16)), int(rng.integers(3, 7))
        X = rng.integers(-3, 4, (n, 2)).astype(float)
        X[0] = rng.integers(1, 9, 2) * 10.0 ** rng.integers(5, 10)
        y, offset = np.arange(n) % K, 1e3 * rng.integers(-3, 4, (n, K))
        l2 = 10.0 ** rng.integers(-3, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            rough, exact = (
                fit(X, y, l2=l2, offset=offset, fit_intercept=False, tol=tol, solver=name)
                for tol, name in ((1e-4, solver), (1e-10, "newton"))
            )
        assert rough.objective - rough.gap <= exact.objective * (1 + 1e-12)


@pytest.mark.parametrize("K", [3, 6])
def test_what_a_row_adds_up_to_does_not_change(isa, K):
    rng = np.random.default_rng(0)
    n = 300
    a = rng.dirichlet(np.full(K, 0.3), n).T.copy()
    for level in (1.0, 1e4, 1e8, 1e12):
        U = 0.1 * rng.standard_normal((K, n)) + level * rng.standard_normal(n)
        change = np.empty_like(U)
        isa.dual_step(a, None, 1.0, U, change, 1)
        assert np.abs(change.sum(axis=0)).max() < 4e-16
        isa.turned(a, None, 1.0, U, change, 1)
        assert np.abs(change.sum(axis=0)).max() < 4e-16 * (1.0 + 1e-16 * level)
