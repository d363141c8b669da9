# SPDX-License-Identifier: BSD-3-Clause
"""What is asked of the entries of a sparse X: order, transposes, Grams of some columns, fields."""

from __future__ import annotations

import numpy as np
import pytest

from logreg_c import _kernels
from logreg_c._compressed import Compressed
from logreg_c._entries import FEW, examined, one_hot_fields, transposed
from logreg_c._sparse import Sparse
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


def in_disorder(X):
    """Return the same matrix with the entries of each row the other way round."""
    X = X.copy()
    for i in range(X.shape[0]):
        row = slice(X.indptr[i], X.indptr[i + 1])
        X.indices[row], X.data[row] = X.indices[row][::-1].copy(), X.data[row][::-1].copy()
    X.has_sorted_indices = False
    return X


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
    X, _, _, tally = examined(as_examples(sparse.hstack(parts).tocsr()), 2, tallied=True)
    fields = one_hot_fields(X, tally, 2)
    found = list(zip(fields.first.tolist(), fields.last.tolist(), strict=True))
    assert found == [(10, 17), (18, 23), (27, 28)]
    Z = np.zeros(X.shape[1])
    for first, last in found:
        Z[:] = 0.0
        Z[first:last] = fields.combination[first:last]
        np.testing.assert_allclose(array(X) @ Z, 1.0, rtol=1e-12)
    again = one_hot_fields(X, None, 2)
    for one, other in zip(fields, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("turn", [sparse.csc_matrix, in_disorder])
def test_nothing_is_told_of_columns_where_nothing_is_to_be_had(turn):
    rng = np.random.default_rng(0)
    X = examined(as_examples(matrix()), 1, tallied=True)
    assert X.tally is None
    assert one_hot_fields(X.X, None, 1) is None
    made = sparse.hstack([one_hot(rng, 900, 7), one_hot(rng, 900, 5)]).tocsr()
    X = examined(as_examples(turn(made)), 1, tallied=True)
    assert X.tally is None
    assert one_hot_fields(X.X, None, 1).last.tolist() == [7, 12]


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_columns_are_told_apart_by_their_rows(isa, index):
    n = 3000
    X = matrix(n, 40, index)
    numbers = np.empty((n, 2))
    rows = sparse.identity(n, format="csr")
    rows.indices, rows.indptr = rows.indices.astype(index), rows.indptr.astype(index)
    total = isa.inspect(as_examples(rows), 1, numbers)[-1]
    assert len(np.unique(numbers[:, 0])) == n
    assert numbers[:, 0].sum() == total < 2**53
    assert numbers[:, 0].min() >= 1.0
    assert (numbers[:, 1] == 1.0).all()
    # Half of them stand above the middle, and no bit goes with that of the row before.
    high = numbers[:, 0] > total / n
    assert abs(high.mean() - 0.5) < 0.05
    assert abs((high[1:] == high[:-1]).mean() - 0.5) < 0.05
    held = np.zeros((n, 40), dtype=bool)
    held[np.repeat(np.arange(n), np.diff(X.indptr)), X.indices] = True
    for threads in (1, 2, 3, 8):
        columns = np.empty((40, 2))
        assert isa.inspect(as_examples(X), threads, columns)[-1] == total
        np.testing.assert_array_equal(columns[:, 0], numbers[:, 0] @ held)
        np.testing.assert_array_equal(columns[:, 1], held.sum(axis=0))


@pytest.mark.parametrize(("levels", "entry", "halves"), [(None, 1.0, 0), (7, 1.0, 1), (7, -2.5, 3)])
def test_what_is_read_for_fields_is_told(levels, entry, halves):
    """Nothing where there are none, or all rows once, which the first look may have done, and for
    values twice more."""
    rng = np.random.default_rng(0)
    n = 3 * FEW
    made = as_examples(matrix(n, 10) if levels is None else one_hot(rng, n, levels, entry))
    for tallied in (False, True):
        X, _, _, tally = examined(made, 1, tallied)
        told = []
        fields = one_hot_fields(X, tally, 1, told.append)
        assert (fields is None) == (levels is None)
        assert sum(told) == max(halves - tallied, 0) * n


@pytest.mark.parametrize("tallied", [False, True])
@pytest.mark.parametrize("alike", [False, True])
def test_what_is_counted_is_the_diagonal_of_rows_that_count_alike(tallied, alike):
    rng = np.random.default_rng(0)
    made = as_examples(sparse.hstack([one_hot(rng, 900, 7), one_hot(rng, 900, 5)]).tocsr())
    X, _, _, tally = examined(made, 1, tallied)
    data = Sparse(X, np.zeros(900), 1, None, 900.0, None, 1)
    data.tally = tally
    h = np.full((2, 900), [[0.25], [0.5]]) if alike else rng.random((2, 900))
    V = np.column_stack([array(X), np.ones(900)])
    np.testing.assert_allclose(data.diagonal(h), h @ V**2, rtol=1e-12)
    assert data.meter.reads == (0.0 if tallied and alike else 0.5)
    assert data.column_entries.tolist() == array(X).sum(axis=0).tolist()


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
