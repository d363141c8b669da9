# SPDX-License-Identifier: BSD-3-Clause
"""The passes over margins alone, against extended precision and mpmath."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations

import mpmath
import numpy as np
import pytest
import reference

BIG = reference.BIG
TOLERANCE = 1e-14 if np.finfo(BIG).eps < 1e-18 else 1e-13
SIZES = [1, 2, 5, 1023, 1024, 1025, 3000]
KINDS = ["binary", "ids2", "ids3", "soft3", "ids7"]


@cache
def rows(n, kind):
    """Margins, a direction's margins, labels as the kernels take them, Y, and weights."""
    rng = np.random.default_rng(n)
    K = 1 if kind == "binary" else int(kind[-1])
    Z, U = rng.standard_normal((2, K, n)) * rng.choice([0.1, 1.0, 30.0], n)
    if kind.startswith("ids"):
        y = rng.integers(0, K, n).astype(np.int32)
        Y = reference.one_hot(y, K)
    else:
        y = rng.random((K, n)) if K == 1 else rng.dirichlet(np.ones(K), n).T.copy()
        Y = y.astype(BIG)
    weight = rng.uniform(0, 3, n) * (rng.random(n) < 0.9)
    weight[-1] = 1.0
    return Z, U, y, Y, weight


def shares(n, weight):
    s = np.ones(n, BIG) if weight is None else weight.astype(BIG)
    return s / s.sum(), float(n) if weight is None else float(weight.sum())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_predictions_residuals_and_curvatures(isa, n, kind, weighted):
    Z, _, y, Y, weight = rows(n, kind)
    weight = weight if weighted else None
    share, total = shares(n, weight)
    exact = reference.sigmoid_or_softmax(Z)
    a = np.full_like(Z, np.nan)
    isa.predictions(Z, a, 2)
    # exp of a difference of margins has the rounding of the difference.
    apart = 1 + np.abs(Z - Z.max(axis=0)) if len(Z) > 1 else 1
    assert (np.abs(a - exact) <= TOLERANCE * exact * apart).all()

    R = np.full_like(Z, np.nan)
    J = isa.residuals(y, weight, total, Z, R, 2)
    L = reference.class_losses(Z, Y)
    assert abs(J - (share * L).sum()) <= TOLERANCE * (share * (L + 1)).sum()
    assert (np.abs(R - share * (exact - Y)) <= TOLERANCE * share * (exact * apart + Y)).all()

    K = len(Z)
    pairs = list(combinations(range(K), 2)) if K > 1 else [(0, 0)]
    out = np.full((len(pairs), n), np.nan)
    isa.curvatures(a, weight, total, out, 2)
    for found, (k, j) in zip(out, pairs, strict=True):
        expected = share * a[k] * (1 - a[k].astype(BIG) if k == j else -a[j])
        assert (np.abs(found - expected) <= TOLERANCE * np.abs(expected)).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_search_is_the_loss_along_a_line(isa, n, kind, weighted):
    Z, U, y, Y, weight = rows(n, kind)
    weight = weight if weighted else None
    share, total = shares(n, weight)
    for step in (0.0, 1.0, -0.3, 16.0, 1e-9):
        moved = Z.astype(BIG) + BIG(step) * U
        a = reference.sigmoid_or_softmax(moved)
        L = reference.class_losses(moved, Y)
        J, slope, curvature = isa.search(y, weight, total, Z, U, step, 2)
        # What the rounding of the margins is worth.
        wobble = (np.abs(Z) + abs(step) * np.abs(U) + 1).max(axis=0)
        assert abs(J - (share * L).sum()) <= TOLERANCE * (share * (L + wobble)).sum()
        terms = (a + Y) * np.abs(U) * wobble
        assert abs(slope - (share * (a - Y) * U).sum()) <= TOLERANCE * (share * terms).sum()
        exact = (share * reference.turned(a, U) * U).sum()
        assert abs(curvature - exact) <= 10 * TOLERANCE * (share * terms * np.abs(U)).sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_residuals_along_a_line_are_those_of_its_margins(isa, n, kind):
    Z, U, y, _, weight = rows(n, kind)
    total = shares(n, weight)[1]
    moved, R, expected = np.empty_like(Z), np.empty_like(Z), np.empty_like(Z)
    loss = isa.residuals_along(y, weight, total, Z, U, -0.3, moved, R, 2)
    np.testing.assert_allclose(moved, Z - 0.3 * U, rtol=1e-15, atol=1e-15 * np.abs(U).max())
    assert loss == isa.residuals(y, weight, total, moved, expected, 2)
    assert (R == expected).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_loss_and_gradient_along_pieces(isa, n, kind, weighted):
    Z, U, y, _, weight = rows(n, kind)
    weight = weight if weighted else None
    total = shares(n, weight)[1]
    K = len(Z)
    pieces = np.array([U, 0.3 * U[::-1], U * np.cos(np.arange(n))])
    c = np.random.default_rng(3).standard_normal((3, K))
    gradient, moved, R = np.empty_like(c), np.empty_like(Z), np.empty_like(Z)
    J = isa.along_pieces(y, weight, total, Z, pieces, c, gradient, moved, R, 2)
    step = (c.astype(BIG)[:, :, None] * pieces).sum(axis=0)
    exact = Z + (step - step.mean(axis=0) if K > 1 else step)
    wobble = (np.abs(Z) + np.abs(c[:, :, None] * pieces).sum(axis=0).max(axis=0) + 1).max(axis=0)
    assert (np.abs(moved - exact) <= 10 * TOLERANCE * wobble).all()
    expected = np.empty_like(Z)
    assert J == isa.residuals(y, weight, total, moved, expected, 2)
    assert (R == expected).all()
    terms = np.abs(R * pieces).sum(axis=2) + np.finfo(float).tiny
    assert (np.abs(gradient - (R.astype(BIG) * pieces).sum(axis=2)) <= TOLERANCE * terms).all()


def excess(t):
    """The polynomial as it is proved, in the type of t."""
    near = t * t / 2 - t**3 / 6
    low, high = near + t**4 / 3, np.where(t <= 1, near + t**4 / 12, t * t / 2)
    return np.where(t < 0, low, high)


@pytest.mark.parametrize("by_others", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_dual_step_moves_predictions_and_bounds_the_divergence(isa, n, kind, by_others):
    Z, U, *_, weight = rows(n, kind)
    # Predictions with a sum of one to rounding, and steps that keep most of them in [0, 1].
    a = reference.sigmoid_or_softmax(Z / 10).astype(float)
    bent = reference.sigmoid_or_softmax(Z / 11).astype(float) if by_others else None
    U = U / 40
    share, total = shares(n, weight)
    change = np.full_like(a, np.nan)
    divergence = isa.dual_step(a, weight, total, U, change, 2, bent)
    # What would leave [0, 1] stops there, and all are divided by what they then add up to.
    move = reference.turned(bent if by_others else a, U)
    after = a + move
    stopped = np.clip(after, 0, 1) if len(a) == 1 else np.maximum(after, 0)
    over = 0 if len(a) == 1 else (stopped - after).sum(axis=0)
    some = (stopped != after).any(axis=0)
    move = np.where(some, stopped / (1 + over) - a, move)
    assert n < 100 or some.any()
    assert (np.abs(change - share * move) <= TOLERANCE * share * a * np.abs(U).max(axis=0)).all()
    both = np.vstack([a, 1 - a]).astype(BIG) if len(a) == 1 else a.astype(BIG)
    moves = np.vstack([move, -move]) if len(a) == 1 else move
    expected = (share * both * excess(moves / both)).sum()
    assert divergence == pytest.approx(float(expected), rel=1e-12)
    after = both + moves
    with np.errstate(divide="ignore", invalid="ignore"):
        kl = np.where(after > 0, after * np.log(after / both), 0).sum(axis=0)
    assert divergence >= float((share * kl).sum()) * (1 - 1e-12)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_dual_residuals_are_those_of_the_moved_predictions(isa, n, kind, turned):
    Z, U, y, _, weight = rows(n, kind)
    Z, U, total = Z / 10, U / 40, shares(n, weight)[1]
    a, R, moved, change = np.empty((4, *Z.shape))
    isa.predictions(Z, a, 1)
    isa.residuals(y, weight, total, Z, R, 1)
    bent = None
    if turned:
        bent = np.empty_like(Z)
        isa.predictions(Z + U, bent, 1)
    divergence = isa.dual_step(a, weight, total, U, change, 1, bent)
    found = isa.dual_residuals(y, weight, total, Z, U, moved, 2, bent)
    assert found == pytest.approx(divergence, rel=1e-12, abs=1e-300)
    np.testing.assert_allclose(moved, R + change, rtol=1e-12, atol=1e-15 / n)


def alone(isa, t):
    """Return the excess of t: of a step from the predictions (p, 1), p so small that 1 stays."""
    p, change = 2.0**-60, np.empty((2, 1))
    U = np.array([[t], [0.0]])
    return isa.dual_step(np.array([[p], [1.0]]), None, 1.0, U, change, 1) / p


def test_excess_is_above_the_divergence_and_equal_at_zero_to_third_order(isa):
    rng = np.random.default_rng(0)
    below, above = -(10.0 ** rng.uniform(-9, 0, 200)), 10.0 ** rng.uniform(-9, 9, 300)
    ts = np.concatenate([np.linspace(-1, 2, 301), below, above])
    for t in ts.tolist():
        found = alone(isa, t)
        with mpmath.workprec(200):
            x = mpmath.mpf(t)
            h = (1 + x) * mpmath.log1p(x) - x if t > -1 else mpmath.mpf(1)
            assert found >= h * (1 - mpmath.mpf(1e-15))
            third = x**2 / 2 - x**3 / 6
            assert abs(found - third) <= x**4 / 3 + mpmath.mpf(4e-16) * x**2 or t > 1


def divergence(isa, Z, change, weight=None, total=1.0, threads=1):
    """Return that of a change of the predictions at Z, and how many left [0, 1]."""
    moves = np.empty(len(Z))
    return isa.divergence([Z], [change], np.array([0.0, 1.0]), weight, total, moves, threads)


@pytest.mark.parametrize("z", [-1.0, -5.0, -40.0, -300.0, -660.0, 5.0, 36.0])
@pytest.mark.parametrize("to", [1e-12, 1e-3, 0.3, 0.9])
def test_a_divergence_is_close_where_a_prediction_becomes_many_times_what_it_was(isa, z, to):
    change = to * (1 - 2 * (z > 0)) - math.exp(-abs(z)) * (z < 0)
    with mpmath.workprec(400):
        a, na = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
        b, nb = a + mpmath.mpf(change), na - mpmath.mpf(change)
        if b < 0 or nb < 0:
            pytest.skip("no probability")
        kl = b * mpmath.log(b / a) + nb * mpmath.log(nb / na)
        many = abs(change) > min(a, na)
    found, outside = divergence(isa, np.array([[z]]), np.array([[change]]))
    assert outside == 0
    assert found >= kl * (1 - mpmath.mpf(1e-11))
    if many:
        assert found <= kl * mpmath.mpf(1.2)


def test_a_divergence_from_a_prediction_of_nothing_is_no_bound(isa):
    found, _ = divergence(isa, np.array([[-745.0]]), np.array([[0.1]]))
    assert not found < np.inf


@pytest.mark.parametrize("t", [-1.0000001, -5.0, -1e9])
def test_a_class_stops_at_nothing_and_the_others_share_what_is_left(isa, t):
    a = np.array([[0.5], [0.3], [0.2]])
    u = np.array([[0.4], [-0.1], [0.0]])
    u[2] = (t + (a * u).sum()) / 0.8
    change = np.empty((3, 1))
    divergence = isa.dual_step(a, None, 1.0, u, change, 1)
    after = (a + change).ravel()
    wanted = np.maximum(a * (1 + u - (a * u).sum()), 0).ravel()
    np.testing.assert_allclose(after, wanted / wanted.sum(), rtol=1e-12, atol=1e-15)
    assert (after >= 0).all()
    kl = (after[:2] * np.log(after[:2] / a[:2].ravel())).sum()
    assert divergence >= kl


@pytest.mark.parametrize("u", [np.inf, -np.inf, np.nan])
def test_a_step_that_is_no_number_bounds_nothing(isa, u):
    change = np.empty((2, 1))
    divergence = isa.dual_step(np.full((2, 1), 0.5), None, 1.0, np.array([[u], [0.0]]), change, 1)
    assert not divergence < np.inf


def test_a_step_of_two_classes_that_is_no_number_bounds_nothing(isa):
    change = np.empty((1, 1))
    assert not isa.dual_step(np.full((1, 1), 0.5), None, 1.0, change + np.nan, change, 1) < np.inf


@pytest.mark.parametrize("t", [1.0000001, 5.0, 1e300, np.inf])
def test_of_two_classes_one_stops_at_nothing(isa, t):
    a, change = np.array([[0.5, 0.5, 0.25]]), np.empty((1, 3))
    # a + a (1 - a) u leaves [0, 1] at u = -2 and u = 2 for a = 1/2, and at 4 for a = 1/4.
    divergence = isa.dual_step(a, None, 1.0, np.array([[-2 * t, 2 * t, 4 * t]]), change, 1)
    assert (a + change).tolist() == [[0.0, 1.0, 1.0]]
    assert 2 * math.log(2) + math.log(4) <= divergence < 8


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_what_margins_add_to_predictions_is_linear_in_them(isa, n, kind, weighted):
    Z, U, *_, weight = rows(n, kind)
    weight = weight if weighted else None
    share, total = shares(n, weight)
    a = reference.sigmoid_or_softmax(Z).astype(float)
    out = np.full_like(a, np.nan)
    isa.turned(a, weight, total, U, out, 2)
    expected = share * reference.turned(a, U)
    assert (np.abs(out - expected) <= TOLERANCE * share * a * np.abs(U).max(axis=0)).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_for_any_number_of_threads(isa, kind, weighted):
    n = 30000
    Z, U, y, _, weight = rows(n, kind)
    weight = weight if weighted else None
    total = shares(n, weight)[1]
    pairs = max(len(Z) * (len(Z) - 1) // 2, 1)
    pieces, c = np.array([U, -0.2 * U]), np.array([[1.0], [0.5]]) * np.ones(len(Z))

    def everything(threads):
        a, R, change, moved, along, turned = (np.empty_like(Z) for _ in range(6))
        out, slopes = np.empty((pairs, n)), np.empty(c.shape)
        on, there = np.empty((2, *Z.shape))
        isa.predictions(Z, a, threads)
        numbers = (
            isa.residuals(y, weight, total, Z, R, threads),
            *isa.search(y, weight, total, Z, U, 0.3, threads),
            isa.residuals_along(y, weight, total, Z, U, 0.3, moved, along, threads),
            *divergence(isa, Z, U / 1e9, weight, total, threads),
            isa.dual_step(a, weight, total, U / 40, change, threads),
            isa.along_pieces(y, weight, total, Z, pieces, c, slopes, on, there, threads),
        )
        isa.curvatures(a, weight, total, out, threads)
        isa.turned(a, weight, total, U, turned, threads)
        parts = (numbers, a, R, change, moved, along, turned, out, slopes, on, there)
        return [np.asarray(part).tobytes() for part in parts]

    one = everything(1)
    for threads in (2, 3, 8):
        assert everything(threads) == one


def one_by_one(isa, y, Z):
    """The loss of each row, each in the middle of all the others."""
    return np.array([
        isa.residuals(y, unit, 1.0, Z, np.empty_like(Z), 1) for unit in np.eye(Z.shape[1])
    ])  # fmt: skip


EXTREME = [
    (1000.0, 0.0, -1000.0), (8e307, 0.0, -8e307), (1e308, 1e308, 1e308), (-1e308, -1e308, -1e308),
    (0.0, -745.0, 709.0), (1e16, 0.0, 1.0), (1e300, 1e300, 0.0), (-1e308, 1e307, 1e307),
    (40.0, 3.0, -2.0), (0.0, -0.0, 0.0),
]  # fmt: skip


@pytest.mark.parametrize("soft", [False, True], ids=["ids", "soft"])
@pytest.mark.parametrize("target", [0, 1, 2])
def test_extreme_margins_of_three_classes(isa, target, soft):
    Z = np.ascontiguousarray(np.array(EXTREME).T)
    y = np.full(Z.shape[1], target, np.int32)
    Y = reference.one_hot(y, 3)
    given = Y.astype(float) if soft else y
    expected = reference.class_losses(Z, Y)
    with np.errstate(over="ignore"):
        expected = expected.astype(float)
    np.testing.assert_allclose(one_by_one(isa, given, Z), expected, rtol=1e-14, atol=3e-16)
    a, R = np.empty_like(Z), np.empty_like(Z)
    isa.predictions(Z, a, 1)
    exact = reference.sigmoid_or_softmax(Z)
    np.testing.assert_allclose(a, exact.astype(float), rtol=1e-14, atol=1e-323)
    isa.residuals(given, None, float(Z.shape[1]), Z, R, 1)
    expected = ((exact - Y) / Z.shape[1]).astype(float)
    np.testing.assert_allclose(R, expected, rtol=1e-14, atol=1e-17)


def test_extreme_margins_of_two_classes(isa):
    z = [1e308, -1e308, 1000.0, -1000.0, 745.0, -745.2, 37.0, -37.0, 0.0, -0.0]
    Z = np.array([z])
    for target in (0.0, 1.0, 0.25):
        y = np.full_like(Z, target)
        expected = reference.class_losses(Z, y).astype(float)
        np.testing.assert_allclose(one_by_one(isa, y, Z), expected, rtol=1e-14, atol=1e-323)
        J, slope, curvature = isa.search(y, None, float(len(z)), Z, np.zeros_like(Z), 0.5, 1)
        assert pytest.approx(expected.mean(), rel=1e-14) == J
        assert (slope, curvature) == (0.0, 0.0)
    a = np.empty_like(Z)
    isa.predictions(Z, a, 1)
    assert a[0, :4].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert a[0, -2:].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("margin", [0.0, 1.0, -1e308, 1e308, 1000.0])
def test_equal_margins_lose_log_of_the_classes(isa, margin):
    for K in [*range(2, 40), 64, 100, 127, 128, 129, 255, 256, 257, 1000]:
        Z = np.full((K, 3), margin)
        losses = one_by_one(isa, np.array([0, K // 2, K - 1], np.int32), Z)
        assert losses.tolist() == pytest.approx([np.log(K)] * 3, rel=4e-16)


def test_the_logarithm_is_within_two_units_in_the_last_place(isa):
    """The loss of the likeliest of K classes is log(k + exp(t)): k as likely, one less, none."""
    rng = np.random.default_rng(1)
    for k in (1, 2, 3, 4, 7, 8, 9, 31, 100, 500):
        t = np.concatenate([-rng.uniform(0, 3, 20), -(10.0 ** rng.uniform(-16, 1.5, 20)), [0.0]])
        Z = np.full((k + 2, len(t)), -1e308)
        Z[:k] = 0.0
        Z[k] = t
        found = one_by_one(isa, np.zeros(len(t), np.int32), Z)
        for value, at in zip(found.tolist(), t.tolist(), strict=True):
            with mpmath.workprec(200):
                # log's argument is a double: its rounding belongs to the sum before it.
                total = mpmath.mpf(float(k + mpmath.exp(mpmath.mpf(at))))
                exact = mpmath.log(total)
                error = abs(mpmath.mpf(value) - exact)
                assert error <= 2 * np.spacing(float(exact)) + np.spacing(float(total)) / total
