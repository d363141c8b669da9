# SPDX-License-Identifier: BSD-3-Clause
"""The kernels: against the graph, against extended precision, and by their invariances."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

import logreg_c
from logreg_c import graph

# Where long double is no longer than double, the reference itself is off by some roundings.
TOLERANCE = 1e-14 if np.finfo(reference.BIG).eps < 1e-18 else 1e-13

# Every remainder of the four lines at once, one block, several blocks, several chunks; few
# columns and many.
SHAPES = [
    (1, 1), (1, 5), (2, 3), (3, 2), (5, 1), (7, 4), (10, 3), (33, 17), (129, 8), (500, 31),
    (1027, 5), (4099, 50), (30011, 11), (130, 700), (37, 2500), (2500, 300),
]  # fmt: skip


def layouts(X):
    return {
        "C64": np.ascontiguousarray(X, np.float64),
        "F64": np.asfortranarray(X, np.float64),
        "C32": np.ascontiguousarray(X, np.float32),
        "F32": np.asfortranarray(X, np.float32),
    }


def problem(n, d, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    # Exact in float32, so that all four layouts hold the same numbers.
    X = rng.standard_normal((n, d)).astype(np.float32).astype(np.float64)
    w = rng.standard_normal(d) * scale / np.sqrt(d)
    y = (rng.random(n) < 0.4).astype(float)
    return X, y, w, float(rng.standard_normal()), rng.uniform(0, 3, n)


def assert_matches_reference(found, X, y, w, b, s=None, l2=0.0):
    J, dw, db, (J_size, dw_size, db_size) = reference.loss_and_gradient(X, y, w, b, s, l2)
    assert abs(found.loss - J) <= TOLERANCE * J_size + 1e-300
    assert (np.abs(found.dw - dw) <= TOLERANCE * dw_size + 1e-300).all()
    assert abs(found.db - db) <= TOLERANCE * db_size + 1e-300


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", ["C64", "F64", "C32", "F32"])
def test_loss_and_gradient_to_1e_14(isa, layout, shape):
    X, y, w, b, s = problem(*shape, scale=3.0)
    held = layouts(X)[layout]
    assert_matches_reference(logreg_c.loss_and_gradient(held, y, w, b), X, y, w, b)
    found = logreg_c.loss_and_gradient(held, y, w, b, sample_weight=s, l2=0.3)
    assert_matches_reference(found, X, y, w, b, s, 0.3)
    assert logreg_c.loss(held, y, w, b, sample_weight=s, l2=0.3) == pytest.approx(
        found.loss, rel=1e-14
    )


@pytest.mark.parametrize("shape", [(1500, 3), (5000, 1), (5000, 20), (1_000_000, 2)], ids=str)
@pytest.mark.parametrize("layout", ["C64", "F64", "C32", "F32"])
def test_sums_of_equal_terms_to_1e_14(isa, layout, shape):
    # All roundings have one direction there: one term after the other, they would add up.
    X = layouts(np.ones(shape))[layout]
    for b in (0.3, 0.7, -1.1):
        found = logreg_c.loss_and_gradient(X, np.zeros(len(X)), np.zeros(X.shape[1]), b)
        J, dw, *_ = reference.loss_and_gradient(np.ones((1, 1)), [0], [0], b)
        np.testing.assert_allclose(found.dw, float(dw[0]), rtol=TOLERANCE)
        assert found.db == pytest.approx(float(dw[0]), rel=TOLERANCE)
        assert found.loss == pytest.approx(float(J), rel=TOLERANCE)


numbers = st.floats(-30, 30, width=32)
extremes = st.one_of(numbers, st.sampled_from([0.0, 1e10, -1e10, 1e30, -1e30, 1e-30]))


@st.composite
def small_problems(draw, entries=numbers):
    n, d = draw(st.integers(1, 9)), draw(st.integers(1, 6))
    vector = lambda length, of: draw(st.lists(of, min_size=length, max_size=length))  # noqa: E731
    X = np.array([vector(d, entries) for _ in range(n)]).astype(np.float32).astype(float)
    y = np.array(vector(n, st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))))
    # A share below the range of normal numbers has no digits, and entries of X may be 1e30.
    s = np.array(vector(n, st.one_of(st.just(0.0), st.floats(1e-200, 10))))
    s[draw(st.integers(0, n - 1))] = 1.0
    return X, y, np.array(vector(d, numbers)), draw(numbers), s, draw(st.floats(0, 2))


@given(case=small_problems(), layout=st.sampled_from(["C64", "F64", "C32", "F32"]))
def test_gradient_is_the_graphs(isa, case, layout):
    X, y, w, b, s, l2 = case
    found = logreg_c.loss_and_gradient(layouts(X)[layout], y, w, b, sample_weight=s, l2=l2)
    J, dw, db = graph.loss_and_gradient(
        X.tolist(), y.tolist(), w.tolist(), b, sample_weight=s.tolist(), l2=l2
    )
    *_, (J_size, dw_size, db_size) = reference.loss_and_gradient(X, y, w, b, s, l2)
    assert abs(found.loss - J) <= TOLERANCE * J_size
    # The graph forms a - y, whose rounding is a matter of a and y, not of their difference.
    rounding = 2e-16 * s / s.sum()
    assert (np.abs(found.dw - dw) <= TOLERANCE * dw_size + rounding @ np.abs(X) + 1e-300).all()
    assert abs(found.db - db) <= TOLERANCE * db_size + rounding.sum()


@given(case=small_problems(entries=extremes), layout=st.sampled_from(["C64", "F64", "C32", "F32"]))
def test_extreme_z_stays_finite_and_right(isa, case, layout):
    X, y, w, b, s, _ = case
    found = logreg_c.loss_and_gradient(layouts(X)[layout], y, w, b, sample_weight=s)
    assert_matches_reference(found, X, y, w, b, s)


@pytest.mark.parametrize("z", [1e308, -1e308, 1e300, -1e300, 800.0, -800.0, 37.0, -37.0])
@pytest.mark.parametrize("y", [0.0, 1.0, 0.25])
@pytest.mark.parametrize("order", ["C", "F"])
def test_z_up_to_1e308(isa, z, y, order):
    X = np.full((100, 2), [z, 0.0], order=order)
    found = logreg_c.loss_and_gradient(X, np.full(100, y), np.array([1.0, 0.0]), 0.0)
    side = 1.0 if z > 0 else 0.0
    assert found.loss == pytest.approx(
        abs(z) * abs(side - y) + np.log1p(np.exp(-abs(z))), rel=1e-14
    )
    expected = side - y if y == 0.25 or side != y else 0.0
    assert found.db == pytest.approx(expected, rel=1e-14, abs=1e-15)
    assert np.isfinite(found.dw).all()


def test_gradient_keeps_its_digits_where_the_model_is_sure(isa):
    # a - y itself would be 1 - 1 = 0 from z = 37 on.
    for z in (40.0, 300.0, 700.0):
        found = logreg_c.loss_and_gradient([[z]], [1], [1.0])
        assert found.db == pytest.approx(-np.exp(-z), rel=1e-14)
        assert found.loss == pytest.approx(np.exp(-z), rel=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("z", [0.0, 1e-3, 1.0, 20.0, 40.0, 700.0])
def test_loss_keeps_its_digits_at_any_size(isa, z, weighted):
    n = 2_003  # more than a block, whose factors 1 + exp(-z) are multiplied
    s = np.ones(n) if weighted else None
    found = logreg_c.loss_and_gradient(np.full((n, 1), z), np.ones(n), np.ones(1), sample_weight=s)
    assert found.loss == pytest.approx(np.log1p(np.exp(-z)), rel=1e-14)


@pytest.mark.parametrize("layout", ["C64", "F64", "C32", "F32"])
@pytest.mark.parametrize("shape", [(1, 1), (57, 3), (4099, 50), (130, 700)], ids=str)
def test_closed_form_at_zero_weights(isa, layout, shape):
    X, y, *_ = problem(*shape)
    found = logreg_c.loss_and_gradient(layouts(X)[layout], y, np.zeros(shape[1]))
    assert found.loss == pytest.approx(np.log(2), rel=1e-14)
    np.testing.assert_allclose(found.dw, ((0.5 - y)[:, None] * X).mean(axis=0), atol=1e-14)
    assert found.db == pytest.approx(np.mean(0.5 - y), abs=1e-15)


@pytest.mark.parametrize("layout", ["C64", "F64", "C32", "F32"])
def test_central_differences(isa, layout):
    X, y, w, b, s = problem(200, 7)
    held = layouts(X)[layout]
    step = 1e-5
    _, dw, db = logreg_c.loss_and_gradient(held, y, w, b, sample_weight=s, l2=0.1)
    value = lambda w, b: logreg_c.loss(held, y, w, b, sample_weight=s, l2=0.1)  # noqa: E731
    for j, unit in enumerate(np.eye(7) * step):
        assert dw[j] == pytest.approx(
            (value(w + unit, b) - value(w - unit, b)) / (2 * step), abs=1e-9
        )
    assert db == pytest.approx((value(w, b + step) - value(w, b - step)) / (2 * step), abs=1e-9)


@pytest.mark.parametrize("layout", ["C64", "F64", "C32", "F32"])
@pytest.mark.parametrize(
    "shape", [(10, 3), (1027, 5), (30011, 11), (60000, 3), (2500, 300), (900, 2500)], ids=str
)
def test_same_bits_for_any_number_of_threads(isa, layout, shape):
    X, y, w, b, s = problem(*shape)
    held = layouts(X)[layout]

    def everything(threads):
        J, dw, db = logreg_c.loss_and_gradient(held, y, w, b, sample_weight=s, n_threads=threads)
        a = logreg_c.forward(held, w, b, n_threads=threads)
        back = logreg_c.backward(held, a, y, n_threads=threads)
        each = logreg_c.per_example_gradients(held, y, w, b, n_threads=threads)
        noise = logreg_c.gradient_noise(held, y, w, b, n_threads=threads)
        down = logreg_c.gradient_descent(
            held, y, n_iter=2, batch_size=shape[0] // 2, shuffle=True, n_threads=threads
        )
        parts = [J, dw, db, a, back.dw, back.db, each.dw, each.db, noise.dw, noise.db, down.w]
        return [np.asarray(part).tobytes() for part in parts]

    one = everything(1)
    for threads in (2, 3, 8):
        assert everything(threads) == one


@pytest.mark.parametrize("layout", ["C64", "F64", "C32", "F32"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_other_passes(isa, layout, shape):
    X, y, w, b, s = problem(*shape)
    held = layouts(X)[layout]
    n = shape[0]
    z = X.astype(reference.BIG) @ w + b
    a = 1 / (1 + np.exp(-z))
    found = logreg_c.forward(held, w, b)
    np.testing.assert_allclose(found, a.astype(float), rtol=1e-13)

    each = (a - y)[:, None] * X
    got = logreg_c.per_example_gradients(held, y, w, b)
    np.testing.assert_allclose(got.dw, each.astype(float), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got.db, (a - y).astype(float), rtol=1e-12, atol=1e-14)
    assert got.dw.flags.c_contiguous == held.flags.c_contiguous

    dw, db = logreg_c.backward(held, found, y, sample_weight=s)
    share = s / s.sum()
    np.testing.assert_allclose(dw, (share @ each).astype(float), atol=1e-13)
    assert db == pytest.approx(float(share @ (a - y)), abs=1e-14)

    if n > 1:
        noise = logreg_c.gradient_noise(held, y, w, b)
        np.testing.assert_allclose(
            noise.dw, (each.std(axis=0, ddof=1) / np.sqrt(n)).astype(float), rtol=1e-11, atol=1e-15
        )
        assert noise.db == pytest.approx(float((a - y).std(ddof=1) / np.sqrt(n)), rel=1e-11)
        noise = logreg_c.gradient_noise(held, y, w, b, sample_weight=s)
        center = share @ each
        expected = np.sqrt(n / (n - 1) * (share[:, None] ** 2 * (each - center) ** 2).sum(axis=0))
        np.testing.assert_allclose(noise.dw, expected.astype(float), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize(
    "kind",
    [
        bool,
        np.int8,
        np.uint8,
        np.int16,
        np.int32,
        np.int64,
        np.uint64,
        np.float16,
        np.float32,
        np.float64,
        ">f8",
        ">i4",
    ],
)
def test_labels_of_every_type(isa, kind):
    X, y, w, b, s = problem(101, 4)
    expected = logreg_c.loss_and_gradient(X, y, w, b, sample_weight=s)
    found = logreg_c.loss_and_gradient(X, y.astype(kind), w, b, sample_weight=s)
    assert found.loss == expected.loss
    assert found.dw.tolist() == expected.dw.tolist()
    assert logreg_c.loss(X, y.astype(kind).tolist(), w, b, sample_weight=s) == expected.loss


def test_repeating_a_row_is_weighting_it(isa):
    X, y, w, b, _ = problem(60, 5)
    times = np.random.default_rng(1).integers(0, 4, 60)
    repeated = logreg_c.loss_and_gradient(np.repeat(X, times, axis=0), np.repeat(y, times), w, b)
    weighted = logreg_c.loss_and_gradient(X, y, w, b, sample_weight=times)
    assert weighted.loss == pytest.approx(repeated.loss, rel=1e-14)
    np.testing.assert_allclose(weighted.dw, repeated.dw, atol=1e-15)
    twice = logreg_c.loss_and_gradient(np.vstack([X, X]), np.concatenate([y, y]), w, b)
    assert twice.loss == pytest.approx(logreg_c.loss(X, y, w, b), rel=1e-14)


def test_scaling_columns_scales_the_gradient(isa):
    X, y, w, b, s = problem(300, 6)
    scale = 2.0 ** np.arange(-20, 20, 7)
    plain = logreg_c.loss_and_gradient(X, y, w, b, sample_weight=s)
    scaled = logreg_c.loss_and_gradient(X * scale, y, w / scale, b, sample_weight=s)
    assert scaled.loss == plain.loss
    assert (scaled.dw / scale).tolist() == plain.dw.tolist()
    heavy = logreg_c.loss_and_gradient(X, y, w, b, sample_weight=s * 1e300)
    assert heavy.loss == pytest.approx(plain.loss, rel=1e-13)


def test_soft_labels_are_mixtures(isa):
    X, _, w, b, _ = problem(50, 3)
    soft = np.random.default_rng(2).random(50)
    found = logreg_c.loss_and_gradient(X, soft, w, b)
    both = logreg_c.loss_and_gradient(
        np.vstack([X, X]), np.repeat([1.0, 0.0], 50), w, b,
        sample_weight=np.concatenate([soft, 1 - soft]),
    )  # fmt: skip
    assert found.loss == pytest.approx(both.loss, rel=1e-14)
    np.testing.assert_allclose(found.dw, both.dw, atol=1e-15)


def test_examples_in_columns_cost_a_transpose(isa):
    X, y, w, b, _ = problem(1000, 20)
    columns = np.ascontiguousarray(X.T)
    assert np.shares_memory(columns.T, columns)
    assert logreg_c.loss(columns.T, y, w, b) == pytest.approx(logreg_c.loss(X, y, w, b), rel=1e-14)
