# SPDX-License-Identifier: BSD-3-Clause
"""The passes of the solvers that read X, against extended precision, and their invariances."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
import reference

BIG = reference.BIG
TOLERANCE = 1e-14 if np.finfo(BIG).eps < 1e-18 else 1e-13

# Remainders of four rows, the borders of a block (1024 rows; 4 KiB of X; 256 KiB by columns),
# several chunks, few columns and many; classes that fill lanes by fours, and too few for that.
SHAPES = [
    (1, 1), (2, 3), (5, 1), (39, 50), (129, 8), (1023, 2), (1025, 2), (2051, 31),
    (30, 700), (9001, 4), (1331, 70),
]  # fmt: skip
KINDS = ["binary", "ids3", "soft3", "ids7", "ids19"]
LAYOUTS = ["C64", "F64", "C32", "F32"]


class Case(NamedTuple):
    X: np.ndarray
    y: np.ndarray  # as the kernels take it
    Y: np.ndarray  # (K, n) in extended precision
    theta: np.ndarray
    direction: np.ndarray
    weight: np.ndarray
    offset: np.ndarray


@cache
def problem(n, d, kind):
    rng = np.random.default_rng(n + d)
    K = 1 if kind == "binary" else int(kind.lstrip("idsoft"))
    # Exact in float32, so that all four layouts hold the same numbers.
    X = rng.standard_normal((n, d)).astype(np.float32).astype(np.float64)
    if kind.startswith("ids"):
        y = rng.integers(0, K, n).astype(np.int32)
        Y = reference.one_hot(y, K)
    else:
        y = rng.random((K, n)) if K == 1 else rng.dirichlet(np.ones(K), n).T.copy()
        y[:, ::3] = 0.0 if K == 1 else reference.one_hot(rng.integers(0, K, len(y[0, ::3])), K)
        Y = y.astype(BIG)
    theta, direction = rng.standard_normal((2, K, d + 1)) * 2 / np.sqrt(d)
    weight = rng.uniform(0, 3, n) * (rng.random(n) < 0.9)
    weight[0] = 1.0
    return Case(X, y, Y, theta, direction, weight, rng.standard_normal((K, n)))


def held(X, layout):
    array = np.asarray(X, np.float32 if layout.endswith("32") else np.float64)
    return np.asfortranarray(array) if layout[0] == "F" else np.ascontiguousarray(array)


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))]).astype(BIG)


class Truth(NamedTuple):
    """What a pass must find, and what one rounding may be worth in each."""

    Z: np.ndarray
    Z_size: np.ndarray
    J: float
    J_size: float
    gradient: np.ndarray
    gradient_size: np.ndarray
    a: np.ndarray
    share: np.ndarray


@cache
def truth(n, d, kind, weighted):
    case = problem(n, d, kind)
    V = with_ones(case.X)
    offset = case.offset if weighted else 0 * case.offset
    Z = case.theta.astype(BIG) @ V.T + offset
    Z_size = np.abs(case.theta) @ np.abs(V).T + np.abs(offset) + 1
    s = case.weight.astype(BIG) if weighted else np.ones(n, BIG)
    share = s / s.sum()
    a = reference.sigmoid_or_softmax(Z)
    L = reference.class_losses(Z, case.Y)
    # A rounding of the margins moves a by as much at most; that of a - Y is one of a.
    error = share * (a + case.Y + Z_size.max(axis=0))
    return Truth(
        Z, Z_size, (share * L).sum(), (share * (L + Z_size.max(axis=0))).sum(),
        (share * (a - case.Y)) @ V, error @ np.abs(V), a, share,
    )  # fmt: skip


def arguments(case, layout, weighted):
    """X, y, sample_weight, total, offset as the kernels want them."""
    if weighted:
        return held(case.X, layout), case.y, case.weight, float(case.weight.sum()), case.offset
    return held(case.X, layout), case.y, None, float(len(case.X)), None


def assert_near(found, exact, size):
    assert (np.abs(found - exact) <= TOLERANCE * size + 1e-300).all()


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weights-offset"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_evaluate(isa, shape, kind, weighted):
    case, exact = problem(*shape, kind), truth(*shape, kind, weighted)
    for layout in LAYOUTS:
        Z, gradient = np.full_like(case.offset, np.nan), np.full_like(case.theta, np.nan)
        J = isa.evaluate(*arguments(case, layout, weighted), case.theta, Z, gradient, 2)
        assert_near(J, exact.J, exact.J_size)
        assert_near(Z, exact.Z, exact.Z_size)
        assert_near(gradient, exact.gradient, exact.gradient_size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_survey_is_the_diagonal_of_the_hessian_and_the_leverage(isa, shape, kind):
    case, exact = problem(*shape, kind), truth(*shape, kind, True)
    rng = np.random.default_rng(2)
    center = rng.standard_normal(shape[1])
    inverse = rng.uniform(0.1, 10, case.theta.shape)
    V = with_ones(case.X.astype(BIG) - center)
    h = exact.a * (1 - exact.a)
    for layout in LAYOUTS:
        X, *rest = arguments(case, layout, True)
        Z, gradient = np.empty_like(case.offset), np.empty_like(case.theta)
        diagonal, leverage = np.full_like(case.theta, np.nan), np.full_like(Z, np.nan)
        J = isa.evaluate_and_survey(
            X, *rest, case.theta, center, inverse, Z, gradient, diagonal, leverage, 2
        )
        assert_near(J, exact.J, exact.J_size)
        assert_near(gradient, exact.gradient, exact.gradient_size)
        # 1 - a has the rounding of a.
        error = 3 * exact.a * exact.Z_size.max(axis=0)
        assert_near(diagonal, (exact.share * h) @ V**2, (exact.share * error) @ V**2)
        lever = inverse @ (V**2).T
        assert_near(leverage, h * lever, error * lever)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_margins_products_and_hessian_vectors(isa, shape, kind):
    case, exact = problem(*shape, kind), truth(*shape, kind, True)
    V, s = with_ones(case.X), case.direction
    a = exact.a.astype(np.float64)
    move = exact.share * reference.turned(a, s @ V.T)
    U_size = np.abs(s) @ np.abs(V).T + 1
    for layout in LAYOUTS:
        X, _, weight, total, offset = arguments(case, layout, True)
        Z = np.full_like(case.offset, np.nan)
        isa.class_margins_of(X, case.theta, offset, Z, 2)
        assert_near(Z, exact.Z, exact.Z_size)
        isa.class_margins_of(X, s, None, Z, 2)
        assert_near(Z, s @ V.T, U_size)
        out = np.full_like(s, np.nan)
        isa.class_transpose_product(X, case.offset, out, 2)
        assert_near(out, case.offset @ V, np.abs(case.offset) @ np.abs(V))
        U, size = np.full_like(Z, np.nan), (exact.share * U_size.max(axis=0)) @ np.abs(V)
        isa.hessian_vector(X, a, weight, total, s, U, out, 2)
        assert_near(out, move @ V, size)
        assert_near(U, s @ V.T, U_size)
        again = np.full_like(out, np.nan)
        isa.hessian_vector(X, a, weight, total, s, None, again, 2)
        assert again.tolist() == out.tolist()


def groups_of(d):
    """Ends of some groups of d columns, of all widths."""
    return np.unique([0, d // 7, d // 2, d]).astype(np.intp)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_margins_of_pieces(isa, shape, kind):
    case, ends = problem(*shape, kind), groups_of(shape[1])
    biases = np.random.default_rng(1).standard_normal((len(case.theta), len(ends) - 1))
    theta = np.insert(case.theta[:, :-1], ends[1:], biases, axis=1)
    for layout in LAYOUTS:
        out = np.full((len(ends) - 1, *case.offset.shape), np.nan)
        isa.piece_margins(held(case.X, layout), theta, ends, out, 2)
        for g, (begin, end) in enumerate(pairwise(ends)):
            W, X = case.theta[:, begin:end].astype(BIG), case.X[:, begin:end]
            b = biases[:, g, None]
            assert_near(out[g], W @ X.T + b, np.abs(W) @ np.abs(X).T + np.abs(b))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_take_copies_rows_centred_and_scaled(isa, layout, shape):
    X, rng = problem(*shape, "binary").X, np.random.default_rng(3)
    rows = rng.integers(0, shape[0], shape[0] + 5).astype(np.intp)
    center, scale = rng.standard_normal(shape[1]), rng.uniform(0.1, 10, shape[1])
    out = np.full((len(rows), shape[1]), np.nan)
    isa.take(held(X, layout), rows, center, scale, out, 2)
    np.testing.assert_allclose(out, (X[rows] - center) * scale, rtol=1e-15, atol=1e-300)
    isa.take(held(X, layout), rows, np.zeros(shape[1]), np.ones(shape[1]), out, 2)
    assert out.tolist() == X[rows].tolist()


@pytest.mark.parametrize("layout", ["C64", "F64"])
@pytest.mark.parametrize("shape", [*SHAPES, (2051, 700)], ids=str)
def test_rounded_copies_all_centred_and_scaled(isa, layout, shape):
    rng = np.random.default_rng(4)
    X = held(rng.standard_normal(shape), layout)
    center, scale = rng.standard_normal(shape[1]), rng.uniform(0.1, 10, shape[1])
    for threads in (1, 2, 3, 8):
        out = np.full(shape, np.nan, dtype=np.float32)
        isa.rounded(X, center, scale, out, threads)
        assert out.tolist() == ((X - center) * scale).astype(np.float32).tolist()


@pytest.mark.parametrize("kind", ["binary", "ids3", "soft3"])
@pytest.mark.parametrize("layout", ["C64", "F64", "C32"])
@pytest.mark.parametrize("shape", [(9001, 4), (2051, 31)], ids=str)
def test_same_bits_for_any_number_of_threads(isa, shape, layout, kind):
    case, exact = problem(*shape, kind), truth(*shape, kind, True)
    a = exact.a.astype(np.float64)
    given = arguments(case, layout, True)
    center, ones = np.full(shape[1], 0.3), np.ones(shape[1])
    rows = np.arange(shape[0])[::-1].astype(np.intp)
    ends = groups_of(shape[1])
    theta = np.insert(case.theta[:, :-1], ends[1:], 0.1, axis=1)

    def everything(threads):
        per_row = [np.empty_like(case.offset) for _ in range(4)]
        sums = [np.empty_like(case.theta) for _ in range(5)]
        leverage, taken = np.empty_like(case.offset), np.empty(shape)
        pieces = np.empty((len(ends) - 1, *case.offset.shape))
        J = isa.evaluate(*given, case.theta, per_row[0], sums[0], threads)
        isa.evaluate_and_survey(
            *given, case.theta, center, np.ones_like(case.theta), per_row[1], sums[1],
            sums[2], leverage, threads,
        )  # fmt: skip
        isa.class_margins_of(given[0], case.theta, None, per_row[2], threads)
        isa.piece_margins(given[0], theta, ends, pieces, threads)
        isa.class_transpose_product(given[0], case.offset, sums[3], threads)
        isa.hessian_vector(
            given[0], a, given[2], given[3], case.direction, per_row[3], sums[4], threads
        )
        isa.take(given[0], rows, center, ones, taken, threads)
        parts = (J, leverage, taken, pieces, *per_row, *sums)
        return [np.asarray(part).tobytes() for part in parts]

    one = everything(1)
    for threads in (2, 3, 8):
        assert everything(threads) == one


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("largest", [1000.0, 1e38])
def test_rows_with_large_margins(isa, layout, largest):
    X = np.array([[1.0], [-1.0], [0.0]] * 40) * largest
    y = np.array([0, 1, 2] * 40, np.int32)
    theta = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    Z, gradient = np.empty((3, 120)), np.empty((3, 2))
    J = isa.evaluate(held(X, layout), y, None, 120.0, None, theta, Z, gradient, 1)
    # The rows of zeros know nothing; all others are sure, and right.
    assert pytest.approx(np.log(3) / 3, rel=1e-14) == J
    np.testing.assert_allclose(gradient[:, 1], np.array([1, 1, -2]) / 9, rtol=1e-14)
    np.testing.assert_array_equal(gradient[:, 0], 0.0)
    assert np.abs(Z).max() == np.abs(held(X, layout)).max()
