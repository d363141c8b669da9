# SPDX-License-Identifier: BSD-3-Clause
"""The passes over a sparse X: against extended precision, and that nothing in it can crash them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import reference
import sparse_problems
from hypothesis import given
from hypothesis import strategies as st
from sparse_problems import LAYOUTS

import logreg_c
from logreg_c import _kernels
from logreg_c._compressed import Compressed
from logreg_c._entries import examined, selected, transposed
from logreg_c._validation import as_examples

TOLERANCE = 1e-14 if np.finfo(reference.BIG).eps < 1e-18 else 1e-13

# One row, one column, less than a block of 64 rows, several, several chunks, few rows.
SHAPES = [(1, 1), (1, 40), (50, 1), (63, 5), (65, 12), (700, 31), (3000, 60), (30, 900)]
# Far more columns than a row has entries.
WIDE = (20, 70_000)


@cache
def problem(n, d):
    rng = np.random.default_rng(n + d)
    entries = sparse_problems.entries(n, d, min(0.3, 60_000 / (n * d)))
    X = sparse_problems.dense(n, d, *entries)
    y = (rng.random(n) < 0.4).astype(float)
    return entries, X, y, rng.standard_normal(d), float(rng.standard_normal()), rng.uniform(0, 3, n)


def held(shape, layout):
    return sparse_problems.held(*shape, *problem(*shape)[0], layout)


def sizes(X, entries, terms):
    """Return the sum over entries, those at one place apart, of their size by a row's term."""
    rows, columns, values = entries
    return np.bincount(columns, np.abs(values) * terms[rows], X.shape[1])


@cache
def truth(n, d, weighted):
    entries, X, y, w, b, s = problem(n, d)
    s = s if weighted else None
    l2 = 0.3 if weighted else 0.0
    J, dw, db, (J_size, _, db_size) = reference.loss_and_gradient(X, y, w, b, s, l2)
    share = np.full(n, 1 / n) if s is None else s / s.sum()
    # As if what lies at one place were added up in the end.
    rows, columns, values = entries
    z_size = np.bincount(rows, np.abs(values * w[columns]), n) + abs(b) + 1
    dw_size = sizes(X, entries, share * (1 + z_size)) + np.abs(l2 * w)
    return J, dw, db, J_size + float(share @ z_size), dw_size, db_size + float(share @ z_size)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weights-l2"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [*SHAPES, WIDE], ids=str)
def test_loss_and_gradient(isa, shape, layout, weighted):
    _, _, y, w, b, s = problem(*shape)
    J, dw, db, J_size, dw_size, db_size = truth(*shape, weighted)
    arguments = {"sample_weight": s, "l2": 0.3} if weighted else {}
    found = logreg_c.loss_and_gradient(held(shape, layout), y, w, b, **arguments)
    assert abs(found.loss - J) <= TOLERANCE * J_size
    assert (np.abs(found.dw - dw) <= TOLERANCE * dw_size).all()
    assert abs(found.db - db) <= TOLERANCE * db_size
    value = logreg_c.loss(held(shape, layout), y, w, b, **arguments)
    assert abs(value - J) <= TOLERANCE * J_size


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_other_passes(isa, shape, layout):
    _, X, y, w, b, s = problem(*shape)
    n = shape[0]
    x = held(shape, layout)
    a = logreg_c.forward(X, w, b)
    np.testing.assert_allclose(logreg_c.forward(x, w, b), a, rtol=1e-12)
    assert logreg_c.predict(x, w, b).tolist() == logreg_c.predict(X, w, b).tolist()

    expected, found = (logreg_c.backward(Z, a, y, sample_weight=s) for Z in (X, x))
    np.testing.assert_allclose(found.dw, expected.dw, rtol=1e-12, atol=1e-14)
    assert found.db == pytest.approx(expected.db, rel=1e-12, abs=1e-15)

    expected, found = (logreg_c.per_example_gradients(Z, y, w, b) for Z in (X, x))
    assert type(found.dw) is type(x)
    assert found.dw.nnz == x.nnz
    assert found.dw.dtype == np.float64
    np.testing.assert_allclose(found.dw.toarray(), expected.dw, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.db, expected.db, rtol=1e-12, atol=1e-15)

    expected, found = (
        logreg_c.gradient_descent(Z, y, n_iter=3, batch_size=n // 3 + 1, shuffle=True, l2=0.1)
        for Z in (X, x)
    )
    np.testing.assert_allclose(found.w, expected.w, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(found.loss_history, expected.loss_history, rtol=1e-12)
    if n == 1:
        return
    for weight in (None, s, np.where(s > 1, s, 0.0)):
        expected, found = (
            logreg_c.gradient_noise(Z, y, w, b, sample_weight=weight) for Z in (X, x)
        )
        np.testing.assert_allclose(found.dw, expected.dw, rtol=1e-9, atol=1e-14)
        assert found.db == pytest.approx(expected.db, rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(65, 12), (3000, 60), (30, 9000), (20_000, 7)], ids=str)
def test_same_bits_for_any_number_of_threads(isa, shape, layout):
    _, _, y, w, b, s = problem(*shape)
    x = held(shape, layout)

    def everything(threads):
        J, dw, db = logreg_c.loss_and_gradient(x, y, w, b, sample_weight=s, n_threads=threads)
        a = logreg_c.forward(x, w, b, n_threads=threads)
        back = logreg_c.backward(x, a, y, n_threads=threads)
        value = logreg_c.loss(x, y, w, b, n_threads=threads)
        noise = logreg_c.gradient_noise(x, y, w, b, n_threads=threads)
        down = logreg_c.gradient_descent(x, y, n_iter=2, batch_size=999, n_threads=threads)
        parts = [J, dw, db, a, back.dw, back.db, value, noise.dw, noise.db, down.w]
        return [np.asarray(part).tobytes() for part in parts]

    one = everything(1)
    for threads in (2, 3, 8):
        assert everything(threads) == one


def test_calls_at_the_same_time(isa):
    """The memory for sums that stays from call to call is never in two calls at once."""
    problems = [((20_000, 7), 1), ((30, 9000), 2), ((3000, 60), 1), ((5000, 5000), 2)]

    def call(k):
        shape, threads = problems[k % len(problems)]
        _, _, y, w, b, _ = problem(*shape)
        J, dw, db = logreg_c.loss_and_gradient(
            held(shape, "csr-int32-float64"), y, w, b, n_threads=threads
        )
        return J, dw.tobytes(), db

    alone = [call(k) for k in range(len(problems))]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(call, range(200)))
    assert all(found == alone[k % len(alone)] for k, found in enumerate(together))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_very_different_lengths(isa, layout):
    """Chunks have as many entries as each other: one row may be more than one of them."""
    n, d = 3000, 4000
    rng = np.random.default_rng(3)
    lengths = rng.integers(0, 3, n)
    lengths[[0, 1, 1500, n - 1]] = 4000
    rows = np.repeat(np.arange(n), lengths)
    columns = rng.integers(0, d, len(rows))
    values = rng.choice([-1.0, 0.5, 2.0], len(rows))
    X = sparse_problems.dense(n, d, rows, columns, values)
    x = sparse_problems.held(n, d, rows, columns, values, layout)
    y, w = (rng.random(n) < 0.5).astype(float), rng.standard_normal(d) / 50
    expected, found = (logreg_c.loss_and_gradient(Z, y, w, 0.1, n_threads=2) for Z in (X, x))
    assert found.loss == pytest.approx(expected.loss, rel=1e-13)
    np.testing.assert_allclose(found.dw, expected.dw, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_with_values_of_one_and_with_squares(isa, layout):
    shape = (700, 31)
    (rows, columns, values), *_ = problem(*shape)
    rng = np.random.default_rng(0)
    theta, R = rng.standard_normal((2, 3, shape[1] + 1)), rng.standard_normal((3, shape[0]))
    ones = np.ones_like(values)
    x = as_examples(sparse_problems.held(*shape, rows, columns, ones, "csr-" + layout[4:]))
    unread = Compressed(x.indptr, x.indices, None, x.shape, True)
    for K in (1, 3):
        results = []
        for X in (x, unread):
            Z, out = np.empty((K, shape[0])), np.empty((K, shape[1] + 1))
            isa.class_margins_of(X, theta[0][:K], None, Z, 2)
            isa.class_transpose_product(X, R[:K], out, 2)
            results.append((Z, out))
        X = sparse_problems.dense(*shape, rows, columns, ones)
        for Z, out in results:
            expected = theta[0][:K, :-1] @ X.T + theta[0][:K, -1:]
            np.testing.assert_allclose(Z, expected, rtol=1e-11, atol=1e-12)
            np.testing.assert_allclose(out[:, :-1], R[:K] @ X, atol=1e-12)
    x = as_examples(sparse_problems.held(*shape, rows, columns, values, "csr-" + layout[4:]))
    out = np.empty((3, shape[1] + 1))
    isa.class_transpose_product(x, R, out, 2, True)
    squares = sparse_problems.dense(*shape, rows, columns, values**2)
    np.testing.assert_allclose(out[:, :-1], R @ squares, atol=1e-12)
    np.testing.assert_allclose(out[:, -1], R.sum(axis=1), atol=1e-12)


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if "csr" in layout])
@pytest.mark.parametrize("K", [2, 3, 4, 5, 8, 9, 12, 20])
def test_several_classes_are_those_of_a_dense_X(isa, K, layout):
    """Fours and eights of classes, and what is left: one entry serves them all at once."""
    n, d = 3000, 61
    rng = np.random.default_rng(K)
    entries = sparse_problems.entries(n, d, 0.1)
    x, X = sparse_problems.held(n, d, *entries, layout), sparse_problems.dense(n, d, *entries)
    theta, R = rng.standard_normal((K, d + 1)), rng.standard_normal((K, n))
    ids, offset = rng.integers(0, K, n).astype(np.int32), rng.standard_normal((K, n))
    s = rng.uniform(0, 2, n)

    def everything(data, threads):
        Z, U, *sums = (np.empty((K, m)) for m in (n, n, d + 1, d + 1, d + 1))
        loss = isa.evaluate(data, ids, s, s.sum(), offset, theta, Z, sums[0], threads)
        isa.class_transpose_product(data, R, sums[1], threads)
        a = np.exp(Z - Z.max(axis=0))
        a /= a.sum(axis=0)
        isa.hessian_vector(data, a, s, s.sum(), theta, U, sums[2], threads)
        isa.class_margins_of(data, theta, offset, margins := np.empty((K, n)), threads)
        return loss, Z, U, margins, *sums

    ones = Compressed(x.indptr, x.indices, None, (n, d), by_rows=True)
    for data, dense in ((as_examples(x), X), (ones, ones.dense())):
        found = everything(data, 1)
        for part, expected in zip(found, everything(dense, 1), strict=True):
            np.testing.assert_allclose(part, expected, rtol=1e-11, atol=1e-11)
        for threads in (2, 3, 8):
            again = everything(data, threads)
            assert [np.asarray(part).tobytes() for part in again] == [
                np.asarray(part).tobytes() for part in found
            ]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_other_lines(isa, shape, layout):
    _, X, *_ = problem(*shape)
    x = as_examples(held(shape, layout))
    other = transposed(x, 2)
    assert other.by_rows != x.by_rows
    assert other.data.dtype == x.data.dtype
    np.testing.assert_allclose(other.dense(), X, atol=1e-13)
    line = np.repeat(np.arange(len(other.indptr) - 1), np.diff(other.indptr))
    assert (np.diff(other.indices)[np.diff(line) == 0] >= 0).all()
    once = examined(x, 2).X
    assert once.by_rows
    assert len(once.data) == len({*zip(*problem(*shape)[0][:2], strict=True)})
    np.testing.assert_allclose(once.dense(), X, atol=1e-13)
    assert examined(once, 2).X.indices is once.indices


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_some_columns(isa, shape, layout):
    X = examined(as_examples(held(shape, layout)), 2).X
    full = X.dense()
    for columns in (np.arange(0, shape[1], 3), np.arange(shape[1]), np.zeros(0, dtype=int)):
        for threads in (1, 3):
            some = selected(X, columns, threads)
            assert some.by_rows
            np.testing.assert_array_equal(some.dense(), full[:, columns])
        ones = Compressed(X.indptr, X.indices, None, X.shape, True, True)
        np.testing.assert_array_equal(selected(ones, columns, 2).dense(), ones.dense()[:, columns])


# What may be wrong with the arrays is tried on arrays that end where a page of nothing may begin.
integers = st.one_of(
    st.integers(-2, 12), st.sampled_from([-(2**63), 2**63 - 1, 2**31 - 1, -(2**31), 2**31, 2**40])
)


@st.composite
def lines(draw):
    """Return indptr, indices, data and shape of anything at all."""
    n, d = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    kind = draw(st.sampled_from([np.int32, np.int64]))
    fitting = integers.filter(lambda k: np.iinfo(kind).min <= k <= np.iinfo(kind).max)
    m = draw(st.integers(0, 12))
    starts = draw(
        st.one_of(
            st.lists(fitting, min_size=n + 1, max_size=n + 1),
            st.lists(st.integers(0, m), min_size=n - 1, max_size=n - 1).map(
                lambda inner: [0, *sorted(inner), m]
            ),
        )
    )
    indices = draw(
        st.one_of(
            st.lists(fitting, min_size=m, max_size=m),
            st.lists(st.integers(0, d - 1), min_size=m, max_size=m),
        )
    )
    data = draw(st.lists(st.floats(-5, 5, width=32), min_size=m, max_size=m))
    return (
        np.array(starts, kind),
        np.array(indices, kind),
        np.array(data, draw(st.sampled_from([np.float32, np.float64]))),
        (n, d),
    )


def is_right(indptr, indices, shape):
    starts = [int(k) for k in indptr]
    rises = starts[0] == 0 and all(a <= b for a, b in pairwise(starts))
    if not rises or starts[-1] > len(indices):
        return False
    return all(0 <= int(k) < shape[1] for k in indices[: starts[-1]])


@given(parts=lines(), by_rows=st.booleans())
def test_any_arrays_are_right_or_an_error(isa, parts, by_rows):
    indptr, indices, data, shape = parts
    n, d = shape if by_rows else shape[::-1]
    x = sparse_problems.bare(
        None, indptr=indptr, indices=indices, data=data, shape=(n, d),
        format="csr" if by_rows else "csc",
    )  # fmt: skip
    y, w = np.arange(n) % 2.0, np.linspace(-1, 1, d)
    calls = [
        lambda Z: logreg_c.loss_and_gradient(Z, y, w, 0.5).dw,
        lambda Z: logreg_c.loss(Z, y, w, 0.5),
        lambda Z: logreg_c.forward(Z, w, 0.5),
        lambda Z: logreg_c.backward(Z, np.full(n, 0.5), y).dw,
        lambda Z: logreg_c.per_example_gradients(Z, y, w).db,
        lambda Z: logreg_c.gradient_descent(Z, y, n_iter=1, batch_size=2, shuffle=True).w,
    ]
    if n > 1:
        calls.append(lambda Z: logreg_c.gradient_noise(Z, y, w).dw)
    if not is_right(indptr, indices, shape):
        for call in calls:
            with pytest.raises(ValueError, match=r"X\.ind(ptr|ices)"):
                call(x)
        return
    X = Compressed(indptr, indices, data, (n, d), by_rows).dense()
    for call in calls:
        np.testing.assert_allclose(call(x), call(X), rtol=1e-9, atol=1e-9)


def test_what_changes_while_it_is_read_is_an_error(isa):
    # As a block of rows is read, its indices are looked at, whoever changed them since.
    x = as_examples(held((3000, 60), "csr-int32-float64"))
    x.indices[-1] = 10**6
    with pytest.raises(ValueError, match=r"X\.indices\[\d+\] is 1000000, in row 29"):
        isa.forward(x, np.zeros(60), 0.0, np.empty(3000), 2)
    assert _kernels.kernels is isa
