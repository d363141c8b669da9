# SPDX-License-Identifier: BSD-3-Clause
"""The objective's own arithmetic against its formulas."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

SHAPES = [(1, 1), (1, 31), (3, 5), (10, 4)]


def parameters(K, D, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((K, D)), rng.standard_normal(D - 1), rng.uniform(0.1, 9, D - 1)


@pytest.mark.parametrize(("K", "D"), SHAPES)
def test_raw_weights_have_the_same_margins(isa, K, D):
    theta, center, scale = parameters(K, D)
    raw = np.empty_like(theta)
    isa.raw_weights(theta, center, scale, raw)
    X = np.random.default_rng(1).standard_normal((7, D - 1))
    expected = (X - center) * scale @ theta[:, :-1].T + theta[:, -1]
    np.testing.assert_allclose(X @ raw[:, :-1].T + raw[:, -1], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("fit_bias", [True, False])
@pytest.mark.parametrize(("K", "D"), SHAPES)
def test_chain_is_the_transpose_of_raw_weights(isa, K, D, fit_bias):
    g, center, scale = parameters(K, D, 2)
    theta = parameters(K, D, 3)[0]
    theta[:, -1] *= fit_bias
    raw, chained = np.empty_like(theta), g.copy()
    isa.raw_weights(theta, center, scale, raw)
    isa.chain(chained, center, scale, fit_bias)
    # <g, raw(theta)> = <chain(g), theta>
    assert np.vdot(chained, theta) == pytest.approx(np.vdot(g, raw), rel=1e-12)
    same = g.copy()
    isa.chain(same, None, None, fit_bias)
    g[:, -1] *= fit_bias
    assert (same == g).all()


@pytest.mark.parametrize(("K", "D"), SHAPES)
def test_a_line_is_gone_on_along_up_to_bounds_and_zeros(isa, K, D):
    rng = np.random.default_rng(D)
    theta, older = rng.standard_normal((2, K, D)) * (rng.random((2, K, D)) < 0.6)
    l1 = rng.uniform(0, 2, D) * (rng.random(D) < 0.7)
    upper = rng.choice([0.5, 2.0, np.inf], D)
    lower = -upper[::-1].copy()
    found, clipped = np.empty((2, K, D))
    isa.extrapolate(theta, older, 0.7, l1, lower, upper, found)
    ahead = theta + 0.7 * (theta - older)
    ahead[(l1 > 0) & (ahead * theta <= 0)] = 0
    expected = np.clip(ahead, lower, upper)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)
    assert (np.sign(found) == np.sign(expected)).all()
    isa.clip(theta, lower, upper, clipped)
    assert (clipped == np.clip(theta, lower, upper)).all()


@pytest.mark.parametrize(("K", "D"), SHAPES)
def test_scores_are_gradients_beside_their_penalty(isa, K, D):
    rng = np.random.default_rng(D)
    g = rng.standard_normal((K, D))
    upper = rng.choice([0.0, 1.0, np.inf], D)
    lower = -upper[::-1].copy()
    penalty = rng.uniform(0.1, 2, D - 1) * (rng.random(D - 1) < 0.7)
    score = np.empty(D - 1)
    isa.scores(g, lower, upper, penalty, score)
    movable = np.where(g > 0, lower < 0, upper > 0)
    size = np.where(movable, np.abs(g), 0)[:, :-1].max(axis=0)
    penalised = penalty > 0
    assert (score[penalised] == size[penalised] / penalty[penalised]).all()
    assert (score[~penalised] == np.inf).all()


@pytest.mark.parametrize("kinks", [True, False])
@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize(("K", "D"), SHAPES)
def test_terms_and_their_gradient(isa, K, D, linear, kinks):
    theta, t = parameters(K, D)[0], parameters(K, D, 4)[0] if linear else None
    q, l1 = np.random.default_rng(5).uniform(0, 2, (2, D))
    gradient = np.ones_like(theta)
    l1 = l1 if kinks else None
    value = isa.finish_gradient(gradient, None, None, True, theta, q, l1, t)
    tilt = 0.0 if t is None else t
    size = (l1 * np.abs(theta)).sum() if kinks else 0.0
    assert not kinks or isa.absolute_sum(theta, l1) == pytest.approx(size, rel=1e-13)
    expected = (q * theta**2).sum() / 2 + (tilt * theta).sum() + size
    assert value == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(gradient, 1 + q * theta + tilt, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("K", "D"), SHAPES)
def test_what_belongs_to_coordinates(isa, K, D):
    theta, center, scale = parameters(K, D)
    same, size = isa.margin_terms(theta, center, scale)
    largest = np.abs(theta[:, :-1]).max(axis=0)
    assert same == pytest.approx((np.abs(center * scale) * largest).sum(), rel=1e-13)
    assert size == pytest.approx(np.linalg.norm(theta), rel=1e-13)
    assert isa.are_plain(0.0 * center, 1.0 + 0.0 * scale)
    assert D == 1 or not isa.are_plain(center, 1.0 + 0.0 * scale)
    assert D == 1 or not isa.are_plain(0.0 * center, scale)


@pytest.mark.parametrize("fit_bias", [True, False])
@pytest.mark.parametrize(("K", "D"), SHAPES)
def test_the_diagonal_of_a_hessian(isa, K, D, fit_bias):
    rng = np.random.default_rng(10)
    H, q = rng.random((K * D, K * D)), rng.random(D)
    found, expected = H.copy(), np.diagonal(H).reshape(K, D) + q
    isa.finish_diagonal(found, q, fit_bias)
    expected[:, -1] = expected[:, -1] if fit_bias else 1.0
    np.testing.assert_array_equal(np.diagonal(found), expected.ravel())
    np.fill_diagonal(found, np.diagonal(H))
    np.testing.assert_array_equal(found, H)


@pytest.mark.parametrize("size", [0, 1, 31, 4096])
def test_inner(isa, size):
    u, v = np.random.default_rng(11).standard_normal((2, 2 * size))
    assert isa.inner(u, v) == pytest.approx(np.vdot(u, v), rel=1e-12, abs=1e-12)
    with pytest.raises(ValueError, match="entries and"):
        isa.inner(u, v[:-1] if size else np.ones(1))
    # Any layout does.
    assert isa.inner(u[::2], v[1::2]) == isa.inner(u[::2].copy(), v[1::2].copy())


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize(("K", "D"), SHAPES)
def test_terms_along_a_direction(isa, K, D, linear):
    theta, s = parameters(K, D)[0], parameters(K, D, 6)[0]
    t = parameters(K, D, 4)[0] if linear else None
    q = np.random.default_rng(5).uniform(0, 2, D)
    value, slope, curvature = isa.terms_along(theta, np.asfortranarray(s), q, t)
    gradient = np.zeros_like(theta)
    found = isa.finish_gradient(gradient, None, None, True, theta, q, None, t)
    assert found == pytest.approx(value, rel=1e-13)
    assert slope == pytest.approx((gradient * s).sum(), rel=1e-12, abs=1e-13)
    assert curvature == pytest.approx((q * s * s).sum(), rel=1e-13)


@pytest.mark.parametrize("m", [0, 1, 31, 4096, 4097, 100_003])
def test_inner_products_of_long_vectors(isa, m):
    u, v = np.random.default_rng(m).standard_normal((2, m))
    exact = (u.astype(np.longdouble) * v).sum()
    assert abs(isa.inner(u, v) - exact) <= 1e-15 * np.sqrt(m) * np.abs(u * v).sum()


@pytest.mark.parametrize("shape", [(1, 1), (3, 31), (1, 4096), (2, 100_003)])
def test_differences_of_any_layout(isa, shape):
    rng = np.random.default_rng(12)
    a, b, q, s = rng.standard_normal((4, *shape))
    for threads in (1, 2, 3):
        out = np.empty(a.size)
        isa.difference(np.asfortranarray(a), b, out, threads)
        assert (out == (a - b).ravel()).all()
        isa.difference(a, np.asfortranarray(b), out, threads, q.ravel(), s.ravel())
        np.testing.assert_allclose(out, (a - b - q * s).ravel(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("K", "D"), [(2, 1), (3, 5), (7, 4)])
def test_class_blocks_fill_the_null_space_alone(isa, K, D, masked):
    rng = np.random.default_rng(6)
    a = rng.dirichlet(np.ones(K), 20)
    V = rng.standard_normal((20, D))
    M = np.einsum("ik,kl->ikl", a, np.eye(K)) - np.einsum("ik,il->ikl", a, a)
    grams = np.array([(V * M[:, [j], k]).T @ V for j, k in combinations(range(K), 2)])
    mask = (rng.random(D) < 0.5).astype(float) if masked else None
    H = np.empty((K * D, K * D))
    isa.class_blocks(grams, mask, H)
    exact = np.einsum("ikl,ij,im->kjlm", M, V, V).reshape(K * D, K * D)
    s = rng.standard_normal((K, D))
    s -= s.mean(axis=0)
    np.testing.assert_allclose(H @ s.ravel(), exact @ s.ravel(), rtol=1e-12, atol=1e-12)
    same = np.tile(rng.standard_normal(D), (K, 1))
    fill = np.diagonal(exact).reshape(K, D).sum(axis=0) / K * (1.0 if mask is None else mask)
    np.testing.assert_allclose((H @ same.ravel()).reshape(K, D), fill * same, rtol=0, atol=1e-11)


def coordinates(isa, X, centred=True, least=1e-300, most=1e300):
    center, spread, scale = np.empty((3, X.shape[1]))
    bad = isa.column_coordinates(X, centred, least, most, 1e-100, center, spread, scale)
    np.testing.assert_allclose(scale, 1.0 / np.maximum(spread, 1e-100), rtol=1e-14)
    return center, spread, bad


def test_column_coordinates(isa):
    X = np.random.default_rng(7).standard_normal((50, 9)) * 10.0 ** np.arange(-4, 5) + 3
    center, spread, bad = coordinates(isa, X)
    np.testing.assert_allclose(center, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(spread, X.std(axis=0), rtol=1e-10)
    assert bad == -1
    center, spread, bad = coordinates(isa, X, centred=False, most=1e3)
    assert (center == 0).all()
    np.testing.assert_allclose(spread, np.sqrt((X**2).mean(axis=0)), rtol=1e-12)
    assert bad == 7


def test_column_coordinates_of_what_is_odd(isa):
    X = np.array([[0.1, 0.0, 1e300, 1e-310], [0.1, 0.0, -1e300, -1e-310]] * 3)
    center, spread, bad = coordinates(isa, X, least=1e-151, most=1e151)
    # A constant column has exactly its mean, and its size for a deviation: 1 if it is zero.
    np.testing.assert_array_equal(center[:2], [0.1, 0.0])
    np.testing.assert_allclose(spread, [0.1, 1.0, 1e300, 1e-310], rtol=1e-12)
    assert bad == 2
    assert coordinates(isa, X[:, [3]].copy(), least=1e-151)[2] == 0
    # What is no number is found by the pass that follows.
    center, spread, bad = coordinates(isa, np.array([[np.inf, 1.0], [1.0, np.nan]]))
    assert np.isfinite(center).all()
    assert np.isfinite(spread).all()
    assert bad == -1


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int32, np.int64, "f4", "f8"])
def test_read_labels(isa, dtype):
    y = (np.random.default_rng(9).random(3000) * 2).astype(dtype)
    assert isa.are_labels(y, 3000)
    assert not isa.are_labels(y[::2], 1500)
    assert not isa.are_labels(y, 2999)
    low, high, total, whole = isa.read_labels(y)
    assert (low, high) == (y.min(), y.max())
    assert total == pytest.approx(y.sum(dtype=np.float64), rel=1e-12)
    assert whole == (y.dtype.kind != "f")


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, "f4", "f8"])
def test_read_classes(isa, dtype):
    rng = np.random.default_rng(12)
    y, s = rng.integers(0, 5, 3000).astype(dtype), rng.random(3000)
    ids, sums = np.empty(3000, np.int32), np.empty(6)
    for weight in (None, s):
        isa.read_classes(y, weight, ids, sums)
        np.testing.assert_array_equal(ids, y)
        np.testing.assert_allclose(sums, np.bincount(y.astype(int), weight, 6), rtol=1e-12)


def test_read_labels_that_are_no_numbers(isa):
    assert np.isnan(isa.read_labels(np.array([1.0, np.nan, 0.0]))[2])
    assert isa.read_labels(np.array([1.0, np.inf, 0.0]))[1] == np.inf
    for y in (np.zeros(2, "i2"), np.zeros(2, "u4"), np.zeros(2, ">f8"), np.zeros((2, 1)), [0, 1]):
        assert not isa.are_labels(y, 2)


def test_are_finite(isa):
    v = np.linspace(-1.0, 1.0, 37) * 1e308
    assert isa.are_finite(v)
    assert isa.are_finite(v[:0])
    for bad in (np.nan, np.inf, -np.inf):
        for j in (0, 17, 36):
            w = v.copy()
            w[j] = bad
            assert not isa.are_finite(w)


@pytest.mark.parametrize("far", [0.0, 100.0])
@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize(("K", "D"), [(1, 1), (1, 7), (1, 90), (3, 30), (1, 300), (4, 75)])
def test_the_minimum_of_a_quadratic_satisfies_its_conditions(isa, K, D, bounded, far):
    rng, N, biases = np.random.default_rng(K * D), K * D, np.arange(D - 1, K * D, D)
    B = rng.standard_normal((N + 5, N))
    weights = np.delete(np.arange(N), biases)
    # Columns far from zero are nearly multiples of their class' bias.
    B[:, weights] += far * B[:, biases[weights // D]]
    H = np.ascontiguousarray(B.T @ B / N + 0.01 * np.eye(N))
    g, l1 = B.T @ rng.standard_normal(N + 5) / N, rng.uniform(0, 1, N) * (rng.random(N) < 0.8)
    upper = np.where(rng.random(N) < 0.5, 0.05, np.inf) if bounded else np.full(N, np.inf)
    lower = -upper[::-1].copy()
    l1[biases], lower[biases], upper[biases] = 0.0, -np.inf, np.inf
    # Some of it beyond the bounds.
    theta = rng.standard_normal(N) * 0.1 * (rng.random(N) < 0.3)
    x, r = np.empty((2, N))
    isa.minimise_quadratic(H, g, theta.reshape(K, D), l1, lower, upper, x, r, 0.0, 1)
    np.testing.assert_allclose(r, g + H @ (x - theta), rtol=0, atol=1e-11 * (1 + far**2))
    assert ((lower <= x) & (x <= upper)).all()
    # -r is a subgradient of l1 |x|, and may pull further outwards at a bound.
    pull = -r
    low = np.where(x > 0, l1, -l1)
    high = np.where(x < 0, -l1, l1)
    assert (pull >= low - 1e-9)[x > lower].all()
    assert (pull <= high + 1e-9)[x < upper].all()
    assert not bounded or N <= 7 or ((x == upper) | (x == lower)).any()
    again, s = np.empty((2, N))
    isa.minimise_quadratic(H, g, theta.reshape(K, D), l1, lower, upper, again, s, 0.0, 2)
    assert again.tobytes() == x.tobytes()


@pytest.mark.parametrize("constant", [False, True])
def test_the_minimum_where_columns_are_far_from_zero(isa, constant):
    """They are nearly multiples of the bias, one of them exactly."""
    rng, K, D = np.random.default_rng(0), 3, 40
    B = rng.standard_normal((200, D)) + 300.0 * rng.standard_normal(D)
    if constant:
        B[:, 5] = 7.0
    B /= np.sqrt((B * B).mean(axis=0))
    B[:, -1] = 1.0
    biases, l1 = np.arange(D - 1, K * D, D), np.full(K * D, 1e-5)
    l1[biases] = 0.0
    H = np.kron(np.eye(K) / K - 1.0 / K**2, B.T @ B / 200)
    H[np.ix_(biases, biases)] += 1.0 / K**2
    R = rng.standard_normal((K, 200))
    g, infinite = (R - R.mean(axis=0)) @ B / 200, np.full(K * D, np.inf)
    x, r = np.empty((2, K * D))
    isa.minimise_quadratic(H, g, np.zeros((K, D)), l1, -infinite, infinite, x, r, 0.0, 1)
    np.testing.assert_allclose(r, g.ravel() + H @ x, rtol=0, atol=1e-9)
    assert np.abs(np.where(x == 0.0, r - np.clip(r, -l1, l1), r + l1 * np.sign(x))).max() < 1e-9
    assert not constant or (x.reshape(K, D)[:, 5] == 0.0).all()


@pytest.mark.parametrize("ridge", [0.0, 1e-3])
@pytest.mark.parametrize("K", [3, 6])
def test_the_minimum_where_classes_tie(isa, K, ridge):
    """What all classes add to a weight changes no prediction: one of them has none, but for a
    ridge. The columns are correlated and the penalty is small, so that descent alone is slow."""
    rng, D, n = np.random.default_rng(K), 30, 200
    B = rng.standard_normal((n, 4)) @ rng.standard_normal((4, D))
    B += 0.3 * rng.standard_normal((n, D))
    B[:, -1] = 1.0
    P = rng.dirichlet(np.ones(K), n)
    curvature = P[:, :, None] * (np.eye(K) - P[:, None, :]) / n
    H = np.einsum("ikc,ij,il->kjcl", curvature, B, B).reshape(K * D, K * D)
    l1 = np.full(K * D, 1e-4)
    l1[D - 1 :: D] = 0.0
    H += np.diag(np.where(l1 > 0.0, ridge, 0.0))
    g = ((P - np.eye(K)[rng.integers(0, K, n)]).T @ B / n).ravel()
    theta, infinite = rng.standard_normal(K * D), np.full(K * D, np.inf)
    x, r = np.empty((2, K * D))
    isa.minimise_quadratic(H, g, theta.reshape(K, D), l1, -infinite, infinite, x, r, 0.0, 1)
    np.testing.assert_allclose(r, g + H @ (x - theta), rtol=0, atol=1e-12)
    assert np.abs(np.where(x == 0.0, r - np.clip(r, -l1, l1), r + l1 * np.sign(x))).max() < 1e-12
    tied = (x.reshape(K, D)[:, :-1] == 0.0).any(axis=0)
    assert tied.all() == (ridge == 0.0)


def test_the_minimum_where_columns_are_nearly_alike(isa):
    """Many weights change their sign on the way there, which coordinate descent does not see."""
    rng, N = np.random.default_rng(4), 200
    B = rng.standard_normal((N + 20, N)) + 300.0
    B /= np.sqrt((B * B).mean(axis=0))
    H = np.eye(N + 1)  # the bias has nothing to do with them
    H[:N, :N] = B.T @ B / N + 1e-9 * np.eye(N)
    g, l1 = np.append(0.01 * B.T @ rng.standard_normal(N + 20) / N, 0.0), np.full(N + 1, 3e-7)
    infinite = np.full(N + 1, np.inf)
    x, r = np.empty((2, N + 1))
    isa.minimise_quadratic(H, g, np.zeros((1, N + 1)), l1, -infinite, infinite, x, r, 0.0, 1)
    assert np.abs(np.where(x == 0.0, r - np.clip(r, -l1, l1), r + l1 * np.sign(x))).max() < 1e-9


@pytest.mark.parametrize("bounded", [False, True])
def test_the_minimum_where_rows_are_fewer_than_coordinates(isa, bounded):
    """Many choices of those that are zero are about as good, and pivots go round in circles."""
    rng, K, D, n = np.random.default_rng(0), 4, 61, 40
    B = rng.standard_normal((n, D)) + 30.0 * rng.standard_normal(D)
    B[:, -1] = 0.0  # no bias
    H = np.kron(np.eye(K) / K - 1.0 / K**2, B.T @ B / n)
    g = ((1.0 / K - np.eye(K)[rng.integers(0, K, n)]).T @ B / n).ravel()
    l1, theta = np.full(K * D, 1e-4), np.zeros(K * D)
    upper = np.full(K * D, 0.5 if bounded else np.inf)
    l1[D - 1 :: D], upper[D - 1 :: D] = 0.0, np.inf
    x, r = np.empty((2, K * D))
    isa.minimise_quadratic(H, g, theta.reshape(K, D), l1, -upper, upper, x, r, 0.0, 1)
    np.testing.assert_allclose(r, g + H @ x, rtol=0, atol=1e-9)
    beyond = np.where(x == 0.0, r - np.clip(r, -l1, l1), r + l1 * np.sign(x))
    assert (np.abs(x) <= upper).all()
    assert (np.abs(x) == upper).any() == bounded
    beyond[(x == upper) & (beyond < 0.0) | (x == -upper) & (beyond > 0.0)] = 0.0
    assert np.abs(beyond).max() < 1e-9


def test_a_model_without_a_factor_is_an_error(isa):
    H = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    bounds = np.full(3, np.inf)
    with pytest.raises(FloatingPointError, match="not positive definite"):
        isa.minimise_quadratic(
            H, np.ones(3), np.ones((1, 3)), np.zeros(3), -bounds, bounds, *np.empty((2, 3)), 0.0, 1
        )


def fenchel_gap(q, l1, lower, upper, x, u):
    """The gap at x: the maximum over t, between the bounds, is at an end or where a piece peaks."""
    peaks = [(u - side * l1) / q for side in (-1, 1)] if q > 0 else []
    ends = [np.clip(t, lower, upper) for t in (0.0, lower, upper, *peaks)]
    here = q * x * x / 2 + l1 * abs(x) - u * x
    return here + max(u * t - q * t * t / 2 - l1 * abs(t) for t in ends if np.isfinite(t))


def zeros_and_ones(size):
    """Return a centre and a scale of columns that are taken as they are."""
    return np.zeros(size), np.ones(size)


def test_gaps_with_kinks(isa):
    rng, J = np.random.default_rng(8), 3.0
    for case in range(200):
        q = rng.choice([0.0, 1e-30, 0.5], 6)
        l1 = rng.choice([0.0, 0.7], 6)
        upper = rng.choice([0.4, np.inf], 6)
        lower = -rng.choice([0.3, np.inf], 6)
        theta = np.clip(rng.choice([0.0, -0.5, 0.2], (1, 6)), lower, upper)
        residual = rng.standard_normal((1, 6))
        residual[0, 5] *= 1e-13  # of the bias it is rounding
        noise = rng.choice([0.0, 10.0])
        found = isa.kinked_gaps(
            q, l1, lower, upper, *zeros_and_ones(5), theta, residual, J, 10.0, 1e-22, noise, 10.0
        )
        shared, gaps = 0.0, 0.0
        for j in range(6):
            x, curved = theta[0, j], q[j] if q[j] > 1e-22 or noise < 1.0 or j == 5 else 0.0
            u = q[j] * x - residual[0, j]
            reach = 10.0 * max(abs(x), 1.0)
            most = J / l1[j] if l1[j] else np.inf
            reach = np.inf if curved else reach
            low, high = (-most, most) if l1[j] else (x - reach, x + reach)
            if l1[j] and not curved and (upper[j] if u > 0 else -lower[j]) >= most:
                # All such coordinates share J among them.
                shared = max(shared, (abs(u) - l1[j]) / l1[j])
                gaps += l1[j] * abs(x) - u * x
                continue
            low, high = max(low, lower[j]), min(high, upper[j])
            gaps += fenchel_gap(curved, l1[j], low, high, x, u)
        assert found == pytest.approx((shared, gaps), rel=1e-12, abs=1e-12), case


def test_gaps_of_optimal_weights_are_not_below_zero(isa):
    """A sum below zero would be no bound at all, and these are sums of roundings."""
    rng = np.random.default_rng(3)
    infinite = np.full(6, np.inf)
    for _ in range(50):
        theta, l1 = rng.standard_normal((1, 6)), rng.random(6)
        residual = -l1 * np.sign(theta)
        found = isa.kinked_gaps(
            np.zeros(6), l1, -infinite, infinite, *zeros_and_ones(5), theta, residual, 10.0,
            10.0, 1e-22, 1e-15, 10.0,
        )  # fmt: skip
        assert found == (0.0, 0.0)


def test_gaps_without_kinks(isa):
    q = np.array([2.0, 0.0, 1e-30, 1e-30, 0.0])
    center, scale = np.array([3.0, 3.0, -3.0, 0.0]), np.ones(4)
    theta, residual = np.array([[1.0, -3.0, 0.5, 9.0, 0]]), np.array([[4, -0.1, 2e-15, -2e-15, 0]])
    # A residual that may be noise counts as far as the reach, another one as far as it leads.
    expected = 16 / 4 + 0.1 * 10 * 3 + 2e-15 * 10 * 1 + 4e-30 / 2e-30
    found = isa.smooth_gaps(q, center, scale, theta, residual, 10.0, 1e-22, 1e-15, 10.0)
    assert found == pytest.approx(expected, rel=1e-14)


def test_a_residual_of_the_bias_that_is_no_rounding_bounds_nothing(isa):
    q, theta, limits = np.array([1.0, 0.0]), np.ones((1, 2)), (10.0, 1e-22, 1e-15, 10.0)
    bounds = np.full(2, np.inf)
    for r, bounded in ((1e-13, True), (1e-11, False)):
        residual = np.array([[0.1, r]])
        found = isa.smooth_gaps(q, *zeros_and_ones(1), theta, residual, *limits)
        with_kinks = isa.kinked_gaps(
            q, 0.0 * q, -bounds, bounds, *zeros_and_ones(1), theta, residual, 1.0, *limits
        )
        assert np.isfinite(found) == np.isfinite(with_kinks[1]) == bounded


def test_gaps_of_what_is_not_a_number(isa):
    one, infinite = np.ones(1), np.full(1, np.inf)
    theta, bad = np.zeros((1, 1)), np.full((1, 1), np.nan)
    for q in (one, 0 * one):
        for upper in (one, infinite):
            limits = (10.0, 1e-22, 1e-15, 10.0)
            found = isa.kinked_gaps(
                q, one, -upper, upper, *zeros_and_ones(0), theta, bad, 1.0, *limits
            )
            assert np.isnan(sum(found))
        assert np.isnan(isa.smooth_gaps(q, *zeros_and_ones(0), theta, bad, *limits))
