# SPDX-License-Identifier: BSD-3-Clause
"""Steps of several classes in pieces."""

from __future__ import annotations

import numpy as np
import pytest

from logreg_c import fit
from logreg_c._data import Dense
from logreg_c._objective import Objective
from logreg_c.solvers import _pieces


def posed(K=4, order="C", dtype=np.float64, threads=1, weighted=True, fit_bias=True):
    """400 rows, 12 columns that are neither centred nor of one scale, and one that is constant."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((400, 12)) * np.geomspace(0.2, 5, 12) + 1).astype(np.float32)
    X[:, 5] = 0.0
    y = (X @ rng.standard_normal((12, K)) + rng.gumbel(size=(400, K))).argmax(axis=1)
    y = y.astype(np.int32) if K > 1 else (X[:, :1].T > 1.0).astype(np.float64)
    weight = rng.uniform(0.5, 2.0, 400) if weighted else None
    total = 400.0 if weight is None else float(weight.sum())
    data = Dense(np.array(X, dtype, order=order), y, K, weight, total, None, threads)
    center = X.mean(axis=0).astype(np.float64) * fit_bias
    return Objective(data, 3e-2, center, 1.0 / np.geomspace(0.2, 5, 12), fit_bias)


def start_of(objective):
    rng = np.random.default_rng(1)
    theta, s = (objective.project(0.3 * rng.standard_normal(objective.start().shape)) for _ in "ab")
    if not objective.fit_bias:
        theta[:, -1] = s[:, -1] = 0.0
    point = objective.evaluate(theta)
    return point, s * -np.sign(np.vdot(point.gradient, s))


@pytest.mark.parametrize(("K", "fit_bias"), [(1, True), (4, True), (7, False)])
def test_steps_lead_to_the_minimum_over_the_pieces(monkeypatch, K, fit_bias):
    monkeypatch.setattr(_pieces, "WIDTH", 4)
    monkeypatch.setattr(_pieces, "ROUNDS", 30)
    monkeypatch.setattr(_pieces, "GAINED", 1e-14)
    objective = posed(K, fit_bias=fit_bias)
    point, s = start_of(objective)
    pieces = _pieces.Pieces(objective, np.random.default_rng(2))
    pieces.draw(np.ones(400))
    pieces.sample = np.arange(400), np.ones(400)
    reads = objective.data.meter.reads
    moved = pieces.advance(objective, point, s)
    # A product with X, and one with its transpose: each a pass of two classes, half of more.
    assert objective.data.meter.reads - reads == (2.0 if K == 1 else 1.0)
    new, margins = moved
    np.testing.assert_allclose(margins, objective.direction_margins(s), rtol=0, atol=1e-12)

    # What is kept of the new point is what a read of X finds there.
    fresh = objective.evaluate(new.theta)
    np.testing.assert_allclose(new.Z, fresh.Z, rtol=0, atol=1e-12)
    np.testing.assert_allclose(new.gradient, fresh.gradient, rtol=0, atol=1e-13)
    assert abs(new.J - fresh.J) <= 1e-14
    # The step is of pieces, and J is flat along each of them: three groups, the bias in the last.
    assert pieces.ends.tolist() == [0, 4, 8, 12]
    for k in range(K):
        for columns in (slice(0, 4), slice(4, 8), slice(8, 13)):
            piece = np.zeros_like(s)
            piece[k, columns] = s[k, columns]
            slope = np.vdot(objective.project(piece), new.gradient)
            assert abs(slope) <= 1e-8 * abs(np.vdot(s, point.gradient))
    assert new.J < min(objective.evaluate(point.theta + t * s).J for t in np.linspace(0, 2, 21))


def test_layouts_agree_and_threads_give_the_same_bits(monkeypatch):
    monkeypatch.setattr(_pieces, "WIDTH", 4)

    def stepped(**kind):
        objective = posed(**kind)
        pieces = _pieces.Pieces(objective, np.random.default_rng(2))
        pieces.draw(np.linspace(0.0, 1.0, 400))
        return pieces.advance(objective, *start_of(objective)).point

    one = stepped()
    for threads in (2, 3, 8):
        many = stepped(threads=threads)
        assert many.theta.tobytes() == one.theta.tobytes()
        assert many.Z.tobytes() == one.Z.tobytes()
    for order, dtype in (("F", np.float64), ("C", np.float32), ("F", np.float32)):
        np.testing.assert_allclose(stepped(order=order, dtype=dtype).theta, one.theta, atol=1e-10)


def test_far_steps_are_shortened_and_wrong_ways_refused():
    objective = posed(weighted=False)
    point, s = start_of(objective)
    pieces = _pieces.Pieces(objective, np.random.default_rng(2))
    pieces.draw(np.ones(400))
    assert pieces.advance(objective, point, -s) is None
    moved = pieces.advance(objective, point, 1e2 * s)
    assert moved.point.J < point.J


def pixels():
    """Twelve classes of 130 columns, which four directions tell apart; some columns are rare."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 130)) * (rng.random((4000, 130)) < np.linspace(0.01, 1, 130))
    W = rng.standard_normal((130, 4)) @ rng.standard_normal((4, 12))
    return X, (0.3 * X @ W + rng.gumbel(size=(4000, 12))).argmax(axis=1)


def test_pieces_save_passes(monkeypatch):
    X, y = pixels()
    in_pieces = fit(X, y, l2=1e-3, solver="blocks")
    monkeypatch.setattr(_pieces, "WIDTH", 1e9)
    monkeypatch.setattr(_pieces, "ROUNDS", 0)
    whole = fit(X, y, l2=1e-3, solver="blocks")
    assert in_pieces.converged
    assert whole.converged
    assert in_pieces.n_passes < 0.9 * whole.n_passes
    assert abs(in_pieces.objective - whole.objective) <= max(in_pieces.gap, whole.gap)


@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
def test_a_slope_that_does_not_change_halves_the_step():
    for seed in (0, 15, 24):
        X, y = np.random.default_rng(seed).standard_normal((6, 3)), [0, 1, 2, 0, 0, 2]
        weight = [0.1, 0.1, 0.1, 1e-3, 4e-4, 0.0]
        penalty = {"l2": 1e-5, "penalty_factor": [1, 0, 2], "tol": 1e-7}
        result = fit(X, y, sample_weight=weight, solver="blocks", **penalty)
        assert np.isfinite(result.objective)
