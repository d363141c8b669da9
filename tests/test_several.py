# SPDX-License-Identifier: BSD-3-Clause
"""Several objectives of one X at once are as each alone; steps by Hessians of others prove."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse

from logreg_c._arrays import inner
from logreg_c._certificate import lower_bound
from logreg_c._objective import Objective
from logreg_c._penalty import Penalty
from logreg_c._quadratic import model_step
from logreg_c._scoring import MOST_LOSS
from logreg_c._several import (
    Hessians,
    evaluate_all,
    evaluate_and_prove,
    minima,
    predictions_and_curvatures,
    without_rows,
)
from logreg_c.fitting import Problem
from logreg_c.solvers._driver import Goal
from logreg_c.solvers.together import together

LAYOUTS = ["C64", "F64", "C32", "F32", "csr"]
# Few columns and many, rows of one block and of several chunks, problems up to lanes of them.
SHAPES = [(40, 3, 1), (300, 5, 4), (5000, 7, 3), (130, 70, 13)]


def objectives(n, d, m, layout="C64", offset=True, l2=0.01, l1=0.0, threads=1):
    """Return one of all rows and m of folds, which differ in their weights and penalties."""
    rng = np.random.default_rng(n + d)
    X = np.round(4 * rng.standard_normal((n, d))) / 4 + 0.25
    X *= rng.random((n, d)) < 0.5
    y = (X[:, 0] + rng.logistic(size=n) > 0).astype(np.int64)
    if layout == "csr":
        X = scipy.sparse.csr_array(X)
    else:
        X = np.array(X, order=layout[0], dtype=np.float32 if layout[1:] == "32" else np.float64)
    shift = rng.standard_normal(n) if offset else None
    problem = Problem(X, y, None, shift, True, 0, threads, keep_sparse=True)
    folds, rows = [], []
    for k in range(m):
        s = np.ones(n)
        s[k :: m + 1] = 0.0
        s[(k + 1) :: 3 * m + 1] *= 2.0
        rows.append(np.flatnonzero(s != 1.0))
        posed = problem.weighing(s).pose(Penalty(l2 * (1 + k), l1, None, None, None))
        folds.append(posed.objective)
    return problem.pose(Penalty(l2, l1, None, None, None)).objective, folds, rows, rng


def bent(objective, a):
    """Return the Hessian at predictions a, (1, n)."""
    grams = objective.class_gram(objective.data.curvatures(a))[None]
    return Hessians(grams, a[0] * (1 - a[0]))


@pytest.mark.parametrize("l1", [0.0, 0.02])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_points_and_bounds_are_those_of_each_alone(isa, shape, layout, l1):
    whole, folds, _, rng = objectives(*shape, layout, l1=l1)
    folds = [whole, *folds]
    theta, steps = rng.standard_normal((2, len(folds), whole.D)) * [[[0.1]], [[0.01]]]
    for k, objective in enumerate(folds):
        # As steps by a Hessian leave the bias: without a residual, or there is no bound.
        for _ in range(9):
            point = objective.evaluate(theta[k : k + 1])
            weight = objective.data.curvatures(objective.data.predictions(point.Z))[0]
            theta[k, -1] -= point.gradient[0, -1] / weight.sum()
        point = objective.evaluate(theta[k : k + 1])
        weight = objective.data.curvatures(objective.data.predictions(point.Z))[0]
        left = point.gradient[0, -1] + weight @ objective.direction_margins(steps[k : k + 1])[0]
        steps[k, -1] -= left / weight.sum()
    points = evaluate_all(folds, theta)
    a, h = predictions_and_curvatures(folds, points)
    found = evaluate_and_prove(folds, points, a, None, theta + steps)
    without = evaluate_and_prove(folds, points, None, None, theta + steps)
    for k, objective in enumerate(folds):
        alone = objective.evaluate(theta[k : k + 1])
        np.testing.assert_allclose(points[k].Z, alone.Z, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(points[k].gradient, alone.gradient, rtol=1e-11, atol=1e-13)
        assert points[k].J == pytest.approx(alone.J, rel=1e-13)
        predicted = objective.data.predictions(alone.Z)
        np.testing.assert_allclose(a[k : k + 1], predicted, rtol=1e-12)
        np.testing.assert_allclose(h[k], objective.data.curvatures(predicted)[0], rtol=1e-12)
        end = objective.evaluate(theta[k : k + 1] + steps[k])
        assert found[k].point.J == pytest.approx(end.J, rel=1e-13)
        U = end.Z - alone.Z
        expected = lower_bound(objective, alone, objective, predicted, U)
        assert found[k].lower == pytest.approx(expected, rel=1e-9)
        assert without[k].lower == found[k].lower
        slopes = inner(alone.gradient, steps[k]), inner(end.gradient, steps[k])
        assert (found[k].slope, found[k].end_slope) == pytest.approx(slopes, rel=1e-9)
        if l1:
            size = objective.nonsmooth.value
            assert found[k].kinks == pytest.approx(size(end.theta) - size(alone.theta), rel=1e-9)
        H = objective.hessian(predicted)
        least = minima([objective], [alone], objective.class_gram(h[k : k + 1])[None])
        expected = alone.theta + model_step(objective, H, alone).s
        np.testing.assert_allclose(least, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_hessians_without_rows_are_those_of_the_folds(shape, layout):
    whole, folds, rows, rng = objectives(*shape, layout)
    a = whole.data.predictions(whole.evaluate(0.1 * rng.standard_normal((1, whole.D))).Z)
    hessians = without_rows(whole, bent(whole, a), folds, rows)
    np.testing.assert_array_equal(hessians.curvature, a[0] * (1 - a[0]))
    for gram, objective in zip(hessians.grams, folds, strict=True):
        expected = objective.class_gram(objective.data.curvatures(a))
        np.testing.assert_allclose(gram, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_a_step_by_another_points_hessian_proves_to_second_order():
    # The residual is gone whatever curvatures the Hessian is made of, if predictions move by them.
    whole, folds, rows, rng = objectives(300, 5, 4)
    goal = Goal(1e-12)
    best = [found.point for found in together(folds, evaluate_all(folds, np.zeros((4, 6))), goal)]
    there = whole.evaluate(best[0].theta + 0.01 * rng.standard_normal((1, 6)))
    a = whole.data.predictions(there.Z)
    hessians = without_rows(whole, bent(whole, a), folds, rows)
    theta = np.concatenate([point.theta for point in best]) + 1e-3
    points = evaluate_all(folds, theta)
    predicted, _ = predictions_and_curvatures(folds, points)
    ends = minima(folds, points, hessians.grams)
    found = evaluate_and_prove(folds, points, predicted, hessians.curvature, ends)
    by_own = evaluate_and_prove(folds, points, predicted, None, ends)
    for k, point in enumerate(points):
        gap = point.J - best[k].J
        assert found[k].lower <= best[k].J * (1 + 1e-12)
        assert point.J - found[k].lower < 1.3 * gap
        # By its own curvatures the same step leaves a residual, which costs more.
        assert by_own[k].lower < found[k].lower


@pytest.mark.parametrize("l1", [0.0, 0.02])
def test_hessians_of_others_lead_to_the_same_optima(l1):
    whole, folds, rows, _ = objectives(300, 5, 4, l1=l1)
    start = evaluate_all(folds, np.zeros((4, 6)))
    plain = together(folds, start, Goal(1e-10))
    about = without_rows(whole, bent(whole, np.full((1, whole.n), 0.5)), folds, rows)
    helped = together(folds, start, Goal(1e-10), about)
    # A Hessian that is nothing like theirs, or none at all, does no harm.
    for scale in (1e-6, np.nan):
        wrong = about._replace(grams=scale * about.grams)
        helped += together(folds, start, Goal(1e-10), wrong)
    for k, found in enumerate(helped):
        alone = plain[k % 4]
        assert found.point.J - found.lower <= Goal(1e-10).gap(found.point.J)
        assert found.point.J == pytest.approx(alone.point.J, rel=2e-10)


def test_rows_that_would_leave_the_unit_interval_prove_nothing_wrong():
    whole, folds, _, _ = objectives(40, 3, 1)
    points = evaluate_all(folds, np.zeros((1, 4)))
    best = together(folds, points, Goal(1e-12))[0].point.J
    a, _ = predictions_and_curvatures(folds, points)
    far = np.array([[50.0, 50.0, 50.0, 0.0]])
    for curvature in (None, np.full(whole.n, 0.25)):
        assert evaluate_and_prove(folds, points, a, curvature, far)[0].lower < best
        nowhere = evaluate_and_prove(folds, points, a, curvature, far * math.nan)
        assert nowhere[0].lower == -math.inf


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_bits_for_any_number_of_threads(isa, shape):
    found = []
    for threads in (1, 2, 3, 8):
        _, folds, _, rng = objectives(*shape, threads=threads)
        theta = rng.standard_normal((len(folds), folds[0].D))
        points = evaluate_all(folds, theta)
        a, h = predictions_and_curvatures(folds, points)
        ends = evaluate_and_prove(folds, points, a, None, theta * 1.01)
        gradients = [point.gradient.tobytes() for point in (*points, *(end.point for end in ends))]
        found.append((gradients, a.tobytes(), h.tobytes(), [end.lower for end in ends]))
    assert all(other == found[0] for other in found)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("K", [1, 3])
def test_scores_of_margins(isa, K, weighted):
    rng = np.random.default_rng(K)
    Z = rng.standard_normal((K, 3000)) * rng.choice([0.1, 1.0, 60.0], 3000)
    Z[:, ::7] = np.round(Z[:, ::7])  # some are the same
    ids = rng.integers(0, max(K, 2), 3000).astype(np.int32)
    rows = rng.permutation(3000)[:2500]
    weight = rng.random(2500) if weighted else None
    s = np.ones(2500) if weight is None else weight
    hits, losses, total = isa.score_margins(Z, ids, rows, weight, MOST_LOSS)
    z, k = Z[:, rows], ids[rows]
    if K == 1:
        predicted, loss = z[0] > 0, np.logaddexp(0, np.where(k == 1, -z[0], z[0]))
    else:
        predicted = z.argmax(axis=0)
        loss = np.logaddexp.reduce(z, axis=0) - z[k, np.arange(2500)]
    assert total == pytest.approx(s.sum(), rel=1e-13)
    assert hits == pytest.approx(s[predicted == k].sum(), rel=1e-13)
    assert losses == pytest.approx((s * np.minimum(loss, MOST_LOSS)).sum(), rel=1e-12)
    assert loss.max() > MOST_LOSS


def test_one_objective_is_an_objective():
    whole, _, _, _ = objectives(300, 5, 1)
    assert isinstance(whole, Objective)
    found = together([whole], [whole.evaluate(whole.start())], Goal(1e-9))[0]
    assert found.point.J - found.lower <= Goal(1e-9).gap(found.point.J)
    # What its last step was by is kept, for the folds.
    expected = whole.class_gram((found.hessians.curvature / whole.n)[None])
    np.testing.assert_allclose(found.hessians.grams[0], expected, rtol=1e-10, atol=1e-14)
