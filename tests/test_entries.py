# SPDX-License-Identifier: BSD-3-Clause
"""What is asked of the entries of a sparse X: order, transposes, Grams of some columns, fields."""

from __future__ import annotations

import numpy as np
import pytest

from logreg_c import _kernels
from logreg_c._compressed import Compressed
from logreg_c._entries import FEW, examined, one_hot_fields, transposed
from logreg_c._validation import as_examples

sparse = pytest.importorskip("scipy.sparse")


def matrix(n=500, d=40, index=np.int32, values=np.float64, seed=0):
    X = sparse.random(n, d, 0.2, format="csr", random_state=seed)
    X.data = np.round(X.data * 8 - 4).astype(values)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def array(X):
    return X.dense()


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("values", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 3])
def test_transposes(isa, index, values, threads):
    X = matrix(3000, 70, index, values)
    there = as_examples(X)
    there.sound = True
    back = transposed(there, threads)
    assert not back.by_rows
    assert back.indptr.tolist() == X.tocsc().indptr.tolist()
    assert back.indices.tolist() == X.tocsc().indices.tolist()
    assert back.data.tolist() == X.tocsc().data.tolist()
    np.testing.assert_array_equal(array(transposed(back, threads)), X.toarray())


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("values", [np.float32, np.float64, None])
@pytest.mark.parametrize("some", [False, True])
def test_the_gram_matrix_of_some_columns(isa, index, values, some):
    rng = np.random.default_rng(0)
    X = matrix(2500, 40, index, values or np.float64)
    if values is None:
        X.data[:] = 1.0
    there = Compressed(X.indptr, X.indices, X.data if values else None, X.shape, True, True)
    columns = np.sort(rng.choice(40, 17, replace=False))
    place = np.full(40, -1, np.int32)
    place[columns] = np.arange(17)
    rows = np.sort(rng.choice(2500, 900, replace=False)).astype(np.intp) if some else None
    V = np.column_stack([X.toarray()[:, columns], np.ones(2500)])
    V = V if rows is None else V[rows]
    h = rng.uniform(0, 1, len(V)) * (rng.random(len(V)) < 0.9)
    found = []
    for threads in (1, 2, 3, 8):
        out = np.empty((18, 18))
        _kernels.kernels.head_gram(there, rows, h, place, out, threads)
        found.append(out.tobytes())
    np.testing.assert_allclose(out, (V.T * h) @ V, rtol=1e-12, atol=1e-12)
    assert len(set(found)) == 1


@pytest.mark.parametrize("k", [1, 15, 16, 17, 300])
def test_the_gram_of_more_columns_than_a_row_has_entries(isa, k):
    X = sparse.random(600, 300, 0.02, format="csr", random_state=0)
    there = examined(as_examples(X), 1).X
    h = np.random.default_rng(1).uniform(0, 1, 600)
    place = np.full(300, -1, dtype=np.int32)
    place[:k] = np.arange(k)
    V = np.hstack([X.toarray()[:, :k], np.ones((600, 1))])
    outs = [np.empty((k + 1, k + 1)) for _ in range(3)]
    for threads, out in zip((1, 2, 8), outs, strict=True):
        _kernels.kernels.head_gram(there, None, h, place, out, threads)
        np.testing.assert_allclose(out, (V.T * h) @ V, rtol=1e-12, atol=1e-12)
    assert len({out.tobytes() for out in outs}) == 1


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("values", [np.float32, np.float64, None])
def test_sums_of_groups_of_rows(isa, index, values):
    rng = np.random.default_rng(0)
    X = matrix(800, 40, index, values or np.float64)
    if values is None:
        X.data[:] = 1.0
    there = Compressed(X.indptr, X.indices, X.data if values else None, X.shape, True, True)
    starts = np.array([0, 5, 5, 300, 420], dtype=np.intp)  # one group has no rows
    rows = rng.integers(0, 800, 420).astype(np.intp)
    r = rng.standard_normal(420)
    V = np.column_stack([X.toarray(), np.ones(800)])[rows] * r[:, None]
    outs = [np.zeros((4, 41)) for _ in range(4)]
    for threads, out in zip((1, 2, 3, 8), outs, strict=True):
        _kernels.kernels.row_sums(there, starts, rows, r, out, threads)
        for k in range(4):
            expected = V[starts[k] : starts[k + 1]].sum(axis=0)
            np.testing.assert_allclose(out[k], expected, rtol=1e-12, atol=1e-12)
    assert len({out.tobytes() for out in outs}) == 1


def test_what_is_in_order_is_not_copied():
    X = as_examples(matrix())
    found = examined(X, 2)
    assert np.shares_memory(found.X.data, X.data)
    assert np.shares_memory(found.X.indices, X.indices)
    assert not found.extreme
    assert found.squares == pytest.approx((X.data[: X.entries].astype(float) ** 2).sum(), rel=1e-12)
    X.data[3] = 1e9
    assert examined(X, 2).extreme
    X.data[:] = 1.0
    assert examined(X, 2).X.data is None


def one_hot(rng, n, levels, entry=1.0):
    return sparse.csr_matrix(
        (np.full(n, entry), (np.arange(n), rng.integers(0, levels, n))), shape=(n, levels)
    )


def test_fields_are_found():
    rng = np.random.default_rng(0)
    n = 2000
    # A level that never occurs, entries other than 1, a column of ones, one row without a level.
    empty = sparse.csr_matrix((n, 1))
    lacking = one_hot(rng, n, 4).tolil()
    lacking[1700] = 0.0
    parts = [
        matrix(n, 10), one_hot(rng, n, 7), empty, one_hot(rng, n, 5, -2.5), lacking,
        np.ones((n, 1)), matrix(n, 3),
    ]  # fmt: skip
    X = examined(as_examples(sparse.hstack(parts).tocsr()), 2).X
    fields = one_hot_fields(X, np.random.default_rng(1), 2)
    found = list(zip(fields.first.tolist(), fields.last.tolist(), strict=True))
    assert found == [(10, 17), (18, 23), (27, 28)]
    Z = np.zeros(X.shape[1])
    for first, last in found:
        Z[:] = 0.0
        Z[first:last] = fields.combination[first:last]
        np.testing.assert_allclose(array(X) @ Z, 1.0, rtol=1e-12)
    assert one_hot_fields(examined(as_examples(matrix()), 1).X, rng, 1) is None


@pytest.mark.parametrize(("levels", "entry", "halves"), [(None, 1.0, 0), (7, 1.0, 1), (7, -2.5, 4)])
def test_what_is_read_for_fields_is_told(levels, entry, halves):
    """Some rows where there are none, all rows once, or for their values three times more."""
    rng = np.random.default_rng(0)
    n = 3 * FEW
    made = matrix(n, 10) if levels is None else one_hot(rng, n, levels, entry)
    told = []
    fields = one_hot_fields(examined(as_examples(made), 1).X, rng, 1, told.append)
    assert (fields is None) == (levels is None)
    assert sum(told) == FEW + halves * n


@pytest.mark.parametrize("K", [1, 3])
def test_the_divergence_of_combined_predictions(isa, K):
    rng = np.random.default_rng(0)
    margins = [rng.standard_normal((K, 4000)) * 2]
    margins += [margins[0] + 0.1 * rng.standard_normal((K, 4000)) for _ in range(2)]
    predicted = np.empty((3, K, 4000))
    for Z, a in zip(margins, predicted, strict=True):
        isa.predictions(Z, a, 1)
    a, u = predicted[0], 1e-3 * rng.standard_normal((K, 4000))
    change = a * (u - (a * u).sum(axis=0))
    weights = np.array([-0.8, 0.5, 0.3, 2.0])
    other = a + np.tensordot(weights, [*predicted, change], 1)
    s = rng.uniform(0, 1, 4000)
    found = []
    for threads in (1, 2, 3, 8):
        moves = np.empty(K)
        bound, outside = isa.divergence(margins, [change], weights, s, s.sum(), moves, threads)
        found.append((bound, outside, moves.tobytes()))
    assert found == found[:1] * 4
    both = [(a, other)] if K > 1 else [(a, other), (1 - a, 1 - other)]
    exact = sum((q * np.log(q / p)).sum(axis=0) for p, q in both) @ s / s.sum()
    assert outside == 0
    assert exact <= bound <= exact * 1.02
    np.testing.assert_allclose(moves, (other - a) @ s / s.sum(), rtol=1e-9, atol=1e-15)
    change[0, 7] -= 0.6 * a[0, 7]
    assert isa.divergence(margins, [change], weights, s, s.sum(), moves, 1)[1] == 1
    with pytest.raises(ValueError, match="65 changes"):
        isa.divergence(margins, [change] * 62, np.ones(65), s, s.sum(), moves, 1)
