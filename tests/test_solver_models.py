# SPDX-License-Identifier: BSD-3-Clause
"""What solvers have in place of a Hessian: per-class blocks with exact rows, and samples."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

from logreg_c._arrays import inner
from logreg_c._certificate import lower_bound
from logreg_c._data import Dense
from logreg_c._factor import Factor
from logreg_c._objective import Objective, Ray
from logreg_c.solvers._line_search import search
from logreg_c.solvers._sample import minimise_sample
from logreg_c.solvers.newton_cg import Smooth, conjugate_gradients

# The package has the solver of that name in its place.
blocks = importlib.import_module("logreg_c.solvers.blocks")


def posed(n=400, d=5, K=4, l2=1e-2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = (X @ rng.standard_normal((d, K)) + rng.gumbel(size=(n, K))).argmax(axis=1).astype(np.int32)
    data = Dense(X, y, K, None, float(n), None, 1)
    return Objective(data, l2, np.zeros(d), np.ones(d), True)


def model_of(objective, a, trouble):
    rows, weight = np.arange(objective.n), np.ones(objective.n)
    hessians = [objective.class_hessian(k, a, rows, weight) for k in range(objective.K)]
    start = blocks.ClassFactors(objective, np.array(hessians))
    exact = blocks.Trouble.of(objective, trouble)
    return blocks.Model(objective, start, exact, np.ones(objective.n))


def test_the_exact_rows_are_solved_for():
    objective = posed()
    point = objective.evaluate(objective.project(np.random.default_rng(1).normal(size=(4, 6))))
    a = objective.data.predictions(point.Z)
    trouble = np.arange(0, 400, 3)
    model = model_of(objective, a, trouble)
    exact = np.ascontiguousarray(a[:, trouble])
    for fraction in (1.0, 0.2):
        x = model.solve(exact, fraction, point.gradient)
        Hx = model.trouble.part.hessian_vector(exact, x)
        again = model.apply(point.gradient - Hx) / fraction
        assert np.linalg.norm(again - x) <= 0.2 * np.linalg.norm(x)
        # Without the rows it would be this, which is nowhere near.
        bare = model.apply(point.gradient) / fraction
        assert np.linalg.norm(bare - x) > 0.2 * np.linalg.norm(x)


def test_a_proof_that_the_divergence_rules_out_is_given_up():
    objective = posed()
    theta, _ = minimise_sample(objective, objective.start(), 1e-3, 30)
    point = objective.evaluate(theta + 0.03 * np.sin(np.arange(24)).reshape(4, 6))
    factor = objective.factor(objective.data.predictions(point.Z))
    decrement = 0.5 * inner(point.gradient, factor.solve(point.gradient))
    rows = np.arange(0, 400, 2)
    part = objective.sample(rows, np.ones(len(rows)))
    meter = objective.data.meter

    def reads(gap):
        before = meter.reads
        found = conjugate_gradients(objective, point, objective.project, 1e-12, gap, 50, part, rows)
        return meter.reads - before, point.J - found.lower

    hopeless, proved = reads(1e-3 * decrement)
    assert proved == math.inf
    assert hopeless <= 0.5  # one product over half of the rows
    more, proved = reads(10.0 * decrement)
    assert decrement <= proved <= 10.0 * decrement
    assert more > hopeless


def test_a_smoothed_direction_proves_as_much_as_any_of_them():
    objective = posed()
    point = objective.evaluate(0.1 * np.sin(np.arange(24.0)).reshape(4, 6))
    a, q = objective.data.predictions(point.Z), objective.quadratic
    gap = 1e-3
    smooth = Smooth(objective, point, np.zeros_like(point.Z), gap)
    rng = np.random.default_rng(0)

    def cost(U):
        """The divergence to second order and half of what the dual residual costs."""
        change = a * (U - (a * U).sum(axis=0)) / objective.n
        v = point.gradient + objective.pull_back(change)
        left = (v[:, :-1] ** 2 / q[:-1]).sum() + (10.0**2 / gap * v[:, -1] ** 2).sum()
        return 0.5 * float((change * U).sum() + left)

    least = cost(0.0 * point.Z)
    for _ in range(20):
        s = objective.project(rng.standard_normal(point.theta.shape)) * 10.0 ** rng.uniform(-3, 0)
        U = np.empty_like(point.Z)
        r = -point.gradient - objective.hessian_vector(a, s, U)
        smooth.take(s, r, U)
        least = min(least, cost(U), cost(smooth.U))
        assert cost(smooth.U) == pytest.approx(least, rel=1e-9)
    bound, divergence = smooth.bound()
    change = a * (smooth.U - (a * smooth.U).sum(axis=0)) / objective.n
    assert divergence == pytest.approx(0.5 * float((change * smooth.U).sum()), rel=1e-6)
    proved = point.J - lower_bound(objective, point, objective, a, smooth.U)
    assert proved == pytest.approx(bound, rel=0.2)


@pytest.mark.parametrize("K", [1, 4])
def test_a_sample_is_minimised_with_few_hessians(K, monkeypatch):
    objective = posed(n=2000, K=max(K, 2)) if K > 1 else binary()
    made = []
    hessian = Objective.hessian
    monkeypatch.setattr(
        Objective, "hessian", lambda self, *a: made.append(self) or hessian(self, *a)
    )
    theta, diagonal = minimise_sample(objective, objective.start(), 1e-12, 30)
    point = objective.evaluate(theta)
    H = hessian(objective, objective.data.predictions(point.Z))
    decrement = 0.5 * inner(point.gradient, Factor(H, 1).solve(point.gradient))
    assert decrement <= 1e-11
    assert diagonal.shape == theta.shape
    # Newton's method would make five or six.
    assert len(made) <= 3


def binary():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((2000, 5))
    y = (rng.random(2000) < 1 / (1 + np.exp(-X.sum(axis=1)))).astype(float)
    data = Dense(X, y[None], 1, None, 2000.0, None, 1)
    return Objective(data, 1e-2, np.zeros(5), np.ones(5), True)


def test_a_search_finds_a_minimum_that_is_a_thousandth_of_the_step(monkeypatch):
    objective = posed()
    point = objective.evaluate(objective.start())
    s = -1000.0 * objective.factor(objective.data.predictions(point.Z)).solve(point.gradient)
    tried = []
    look = Ray.at
    monkeypatch.setattr(Ray, "at", lambda self, t: tried.append(t) or look(self, t))
    ray = objective.ray(point, s, objective.direction_margins(s))
    length = search(ray, point.J, inner(point.gradient, s))
    assert 5e-4 < length < 5e-3
    # Halving alone takes ten from 1 to where the minimum is.
    assert len(tried) <= 8
