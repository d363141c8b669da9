# SPDX-License-Identifier: BSD-3-Clause
"""Dense algebra: against extended precision, and with the same bits for any number of threads."""

from __future__ import annotations

import os
import signal
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
import reference

from logreg_c import _kernels

# Where long double is no longer than double, the reference itself is off by some roundings.
EXACT = np.finfo(reference.BIG).eps < 1e-18
TOLERANCE = 2e-15 if EXACT else 2e-14

# Every remainder of a panel of 4 or 8 columns, of a group of three panels, and of a step of rows.
SIZES = [
    (1, 2), (1, 9), (3, 7), (5, 8), (150, 5), (129, 15), (127, 16), (128, 17), (257, 23),
    (40, 24), (64, 25), (280, 31), (33, 32), (20, 33), (7, 63), (8, 64), (9, 65), (30, 129),
]  # fmt: skip
ORDERS = [2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129]


def gram_case(m, D, q=None, seed=0):
    rng = np.random.default_rng(seed)
    # Exact in float32, so that all four layouts hold the same numbers.
    X = (rng.standard_normal((m, D - 1)) + 100).astype(np.float32).astype(np.float64)
    h = rng.standard_normal(m if q is None else (q, m))
    return X, h, X.mean(axis=0), rng.uniform(0.1, 10, D - 1)


def gram(isa, X, rows, h, center, scale, threads=1):
    D = X.shape[1] + 1
    out = np.full((*h.shape[:-1], D, D), np.nan)
    isa.gram(X, rows, h, center, scale, out, threads)
    return out


def standardised(X, rows, center, scale, dtype=reference.BIG):
    X, center, scale = (v.astype(dtype) for v in (X, center, scale))
    x = np.hstack([(X - center) * scale, np.ones((len(X), 1), dtype)])
    return x if rows is None else x[rows]


def assert_is_gram(found, X, rows, h, center, scale):
    x = standardised(X, rows, center, scale)
    for one, weights in zip(found.reshape(-1, *found.shape[-2:]), np.atleast_2d(h), strict=True):
        expected = (x * weights[:, None]).T @ x
        size = (np.abs(x) * np.abs(weights)[:, None]).T @ np.abs(x)
        assert (np.abs(one - expected) <= TOLERANCE * size + 1e-300).all()
        assert (one == one.T).all()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_gram_in_every_layout(isa, order, dtype, size):
    X, h, center, scale = gram_case(*size)
    held = np.array(X, dtype, order=order)
    assert_is_gram(gram(isa, held, None, h, center, scale), X, None, h, center, scale)
    rng = np.random.default_rng(1)
    for rows in (rng.permutation(size[0])[: size[0] // 2 + 1], rng.integers(0, size[0], 131)):
        weights = rng.standard_normal(len(rows))
        found = gram(isa, held, rows.astype(np.intp), weights, center, scale)
        assert_is_gram(found, X, rows, weights, center, scale)


@pytest.mark.parametrize(
    ("q", "m", "D"),
    [
        (1, 50, 9),
        (3, 300, 6),
        (28, 50, 11),
        (4, 40, 170),
        (21, 129, 65),
        (325, 7, 2),
        (40, 131, 270),
    ],
)
def test_several_weights_are_several_grams(isa, q, m, D):
    X, H, center, scale = gram_case(m, D, q)
    together = gram(isa, X, None, H, center, scale)
    assert_is_gram(together, X, None, H, center, scale)
    apart = np.array([gram(isa, X, None, np.ascontiguousarray(h), center, scale) for h in H])
    assert np.abs(together - apart).max() <= TOLERANCE * np.abs(apart).max() * m


# One chunk of rows; several; more than there are at once; slabs, and more than one of them.
GRAM_THREADS = [
    (2000, 3, None), (30_000, 12, None), (6000, 51, None), (4700, 246, None), (300, 401, None),
    (2100, 261, None), (400, 60, 15), (300, 401, None), (900, 9, 3), (4000, 17, 60),
    (40_000, 55, 21),
]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "case"), [("CF"[k % 2], case) for k, case in enumerate(GRAM_THREADS)], ids=str
)
def test_gram_has_the_same_bits_for_any_number_of_threads(isa, order, case):
    X, h, center, scale = gram_case(*case)
    held = np.array(X, order=order)
    one = gram(isa, held, None, h, center, scale)
    for threads in (2, 3, 8):
        assert gram(isa, held, None, h, center, scale, threads).tobytes() == one.tobytes()
    # NumPy's own sums err more, so this finds what is left out or added twice.
    x = standardised(held, None, center, scale, float)
    assert np.allclose(one, np.einsum("...i,ij,ik->...jk", h, x, x, optimize=True), atol=1e-7)


def test_gram_of_very_many_columns(isa):
    # Where one slab is too much work between two looks for Ctrl-C.
    X, h, center, scale = gram_case(128, 2003)
    one = gram(isa, X, None, h, center, scale)
    assert gram(isa, X, None, h, center, scale, 3).tobytes() == one.tobytes()
    x = standardised(X, None, center, scale, float)
    assert np.allclose(one[::250], (x.T[::250] * h) @ x, atol=1e-7)
    assert (one == one.T).all()


def test_gram_keeps_what_is_not_finite_in_its_row_and_column(isa):
    X, h, center, scale = gram_case(200, 20)
    X[150, 6] = np.nan
    found = gram(isa, X, None, h, center, scale)
    bad = np.zeros((20, 20), bool)
    bad[6] = bad[:, 6] = True
    assert (np.isnan(found) == bad).all()


def spd(D, seed=0):
    B = np.random.default_rng(seed).standard_normal((D + 10, D))
    return B.T @ B


def factor(isa, A, threads=1):
    R = np.full(A.shape, np.nan)
    return isa.cholesky(A, R, threads), R


@pytest.mark.parametrize("D", [1, *ORDERS, 200, 331, 515])
def test_cholesky(isa, D):
    A = spd(D)
    code, R = factor(isa, A)
    assert code == 0
    assert (np.tril(R, -1) == 0).all()
    big = R.astype(reference.BIG) if D <= 129 else R
    error = np.abs(big.T @ big - A)
    # Higham, Accuracy and Stability, theorem 10.3: D + 1 roundings of |R'||R|, at the very most.
    assert (error <= 4 * np.sqrt(D) * np.finfo(float).eps * (np.abs(R.T) @ np.abs(R))).all()
    # Only the upper triangle is read, and out may be A.
    code = isa.cholesky(upper := np.triu(A), upper, 1)
    assert code == 0
    assert upper.tobytes() == R.tobytes()
    for threads in (2, 3, 8) if D in (1, 33, 200, 331, 515) else ():
        code, again = factor(isa, A, threads)
        assert code == 0
        assert again.tobytes() == R.tobytes()


@pytest.mark.parametrize("D", [1, 2, 8, 9, 31, 33, 70, 260])
def test_cholesky_tells_the_first_bad_pivot(isa, D):
    rng = np.random.default_rng(D)
    for k in {0, D // 2, D - 1}:
        for bad in (0.0, -1.0, np.nan, np.inf, -np.inf):
            A = np.diag(rng.uniform(1, 2, D))
            A[k, k] = bad
            code, out = factor(isa, A)
            assert code == k + 1
            assert np.isnan(out).all()
        A = spd(D)
        A[k, k] = -A[k, k]
        assert factor(isa, A)[0] == factor(isa, A, 2)[0] == k + 1
    assert factor(isa, np.full((D, D), np.nan))[0] == 1
    # One column twice: the pivot is exactly 0 in integers.
    A = np.ones((D, D)) + np.diag(np.r_[np.zeros(min(D, 2)), np.ones(max(D - 2, 0))])
    assert factor(isa, A)[0] == (2 if D > 1 else 0)


@pytest.mark.parametrize("D", [1, *ORDERS, 300])
def test_factor_and_solve(isa, D):
    scale = 10.0 ** np.random.default_rng(2).integers(-9, 9, D)
    A = spd(D) * scale * scale[:, None]
    R, S = np.zeros_like(A), np.empty(D)
    isa.factor(A, R, S, 1)
    np.testing.assert_allclose(S * np.sqrt(np.diagonal(A)), 1.0, rtol=1e-15)
    np.testing.assert_allclose(R.T @ R, A * S * S[:, None], rtol=0, atol=1e-14 * D)
    V = np.random.default_rng(1).standard_normal((3, D)) * scale
    X = V.copy()
    isa.factor_solve(R, S, X)
    one = V[1].copy()
    isa.factor_solve(R, S, one)
    assert one.tobytes() == X[1].tobytes()
    step = np.empty(D)
    assert isa.factor_step(R, S, V[::-1][1], step) == pytest.approx(0.5 * V[1] @ one, rel=1e-12)
    assert step.tobytes() == (-one).tobytes()
    eps = np.finfo(float).eps
    size = np.abs(X / S) @ np.abs(R.T) @ np.abs(R) + np.abs(V * S)
    assert (np.abs(X @ A - V) * S <= 8 * np.sqrt(D) * eps * size).all()


def test_blocks_are_solved_like_each_of_them_alone(isa):
    ends = np.array([0, 13, 14, 45, 60], dtype=np.intp)
    scale = 10.0 ** np.random.default_rng(2).integers(-9, 9, 60)
    V = np.random.default_rng(1).standard_normal((3, 60)) * scale
    factors, S = np.zeros((4, 31 * 31), dtype=np.float32), np.empty(60)
    expected = V.copy()
    for k, (begin, end) in enumerate(pairwise(ends)):
        size = end - begin
        R = np.zeros((size, size))
        block = scale[begin:end]
        isa.factor(spd(size) * block * block[:, None], R, S[begin:end], 1)
        factors[k, : size * size] = R.ravel()
        for v in expected:
            v[begin:end] *= S[begin:end]
            v[begin:end] = np.linalg.solve(np.triu(R.astype(np.float32)).T, v[begin:end])
            v[begin:end] = np.linalg.solve(np.triu(R.astype(np.float32)), v[begin:end])
            v[begin:end] *= S[begin:end]
    X = V.copy()
    isa.block_factor_solve(factors, S, ends, X, 1)
    size = np.abs(expected / S).max() * S
    assert (np.abs(X - expected) <= 1e-5 * size).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_grams_of_blocks_are_those_of_their_columns(isa, dtype, order):
    rng = np.random.default_rng(1)
    X = np.asarray(rng.standard_normal((700, 60)) + 3.0, dtype=dtype, order=order)
    rows = np.sort(rng.choice(700, 500, False)).astype(np.intp)
    h, center, scale = rng.standard_normal(500), rng.standard_normal(60), rng.uniform(0.5, 2, 60)
    ends = np.array([0, 13, 14, 45, 60], dtype=np.intp)
    V = (X[rows].astype(np.float64) - center) * scale
    found = []
    for threads in (1, 3):
        out = np.full((4, 31 * 31), np.nan)
        which = np.array([2, 0, 1], dtype=np.intp)
        isa.block_grams(X, rows, h, center, scale, ends, which, out, threads)
        found.append(out)
    assert found[0].tobytes() == found[1].tobytes()
    for k, (begin, end) in enumerate(pairwise(ends)):
        G = found[0][k, : (end - begin) ** 2].reshape(end - begin, -1)
        if k == 3:
            assert np.isnan(G).all()
            continue
        W = V[:, begin:end]
        error = 1e-13 * (np.abs(W).T @ (np.abs(h)[:, None] * np.abs(W)))
        assert (np.abs(G - W.T @ (h[:, None] * W)) <= error).all()
        assert (G == G.T).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "d"), [(30, 3), (9000, 21)], ids=str)
def test_grams_of_groups_are_those_of_their_rows(isa, n, d, dtype, order):
    rng = np.random.default_rng(1)
    X = np.asarray(rng.standard_normal((n, d)) + 3.0, dtype=dtype, order=order)
    rows = rng.integers(0, n, 2 * n).astype(np.intp)
    starts = np.array([0, n // 3, n // 3, n, 2 * n - 5, 2 * n - 4], dtype=np.intp)
    h, center, scale = rng.standard_normal(2 * n), rng.standard_normal(d), rng.uniform(0.5, 2, d)
    V = np.column_stack([(X[rows].astype(np.float64) - center) * scale, np.ones(2 * n)])
    found = []
    for threads in (1, 2, 3, 8):
        out = np.full((5, d + 1, d + 1), np.nan)
        isa.group_grams(X, rows, starts, h, center, scale, out, threads)
        found.append(out)
    assert len({out.tobytes() for out in found}) == 1
    for G, (begin, end) in zip(found[0], pairwise(starts), strict=True):
        W, weights = V[begin:end], h[begin:end, None]
        error = 1e-13 * (np.abs(W).T @ (np.abs(weights) * np.abs(W)))
        assert (np.abs(G - W.T @ (weights * W)) <= error).all()
        assert (G == G.T).all()


def test_blocks_are_factored_like_each_of_them_alone(isa):
    ends = np.array([0, 13, 14, 45], dtype=np.intp)
    grams, diagonal = np.zeros((3, 31 * 31)), np.random.default_rng(1).uniform(0, 1, 45)
    factors, S = np.zeros((3, 31 * 31), dtype=np.float32), np.empty(45)
    for k, size in enumerate(np.diff(ends)):
        grams[k, : size * size] = spd(size).ravel()
    isa.block_factor(grams, 0.3, diagonal, ends, factors, S, 1)
    for k, (begin, end) in enumerate(pairwise(ends)):
        size = end - begin
        A, R, scale = 0.3 * spd(size), np.zeros((size, size)), np.empty(size)
        A.ravel()[:: size + 1] += diagonal[begin:end]
        isa.factor(A, R, scale, 1)
        np.testing.assert_allclose(S[begin:end], scale, rtol=1e-14)
        found = np.triu(factors[k, : size * size].reshape(size, size))
        np.testing.assert_allclose(found, np.triu(R), rtol=1e-6, atol=1e-7)
    grams[0, 1] = np.nan
    with pytest.raises(FloatingPointError):
        isa.block_factor(grams, 0.3, diagonal, ends, factors, S, 1)


def test_blocks_have_the_same_bits_for_any_number_of_threads(isa):
    sizes = [300, 200, 5, 280]
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
    grams, diagonal = np.zeros((4, 300 * 300)), np.full(ends[-1], 0.1)
    for gram, size in zip(grams, sizes, strict=True):
        gram[: size * size] = spd(size).ravel()
    V = np.random.default_rng(1).standard_normal((2, ends[-1]))
    solved = []
    for threads in (1, 2, 3):
        R, S, X = np.zeros((4, 300 * 300), np.float32), np.empty(ends[-1]), V.copy()
        isa.block_factor(grams, 2.0, diagonal, ends, R, S, threads)
        isa.block_factor_solve(R, S, ends, X, threads)
        solved.append(X)
    assert (solved[0] == solved[1]).all()
    assert (solved[0] == solved[2]).all()
    block = 2.0 * spd(300) + 0.1 * np.eye(300)
    np.testing.assert_allclose(block @ solved[0][0, :300], V[0, :300], atol=1e-3)


def test_what_has_no_factor_gets_a_little_on_its_diagonal(isa):
    x = np.array([1.0, 2.0, 3.0])
    A, R, S = np.outer(x, x), np.zeros((3, 3)), np.empty(3)
    isa.factor(A, R, S, 1)
    np.testing.assert_allclose(R.T @ R, np.ones((3, 3)), rtol=0, atol=1e-11)
    v = A @ [1.0, 1.0, 1.0]
    isa.factor_solve(R, S, v)
    np.testing.assert_allclose(A @ v, A @ [1.0, 1.0, 1.0], rtol=1e-9)
    A[0, 0] = 0.0
    A[0, 1:] = 0.0
    isa.factor(A, R, S, 1)
    assert S[0] == 1.0
    assert R[0, 0] == pytest.approx(1.0)
    for bad in (np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[1.0, 2.0], [2.0, -1.0]])):
        R, S = np.zeros((2, 2)), np.empty(2)
        with pytest.raises(FloatingPointError, match="not positive definite"):
            isa.factor(bad, R, S, 1)
    with pytest.raises(FloatingPointError, match="not finite"):
        isa.factor(np.full((2, 2), np.nan), np.zeros((2, 2)), np.empty(2), 1)


@pytest.mark.parametrize("D", [1, *ORDERS, 300])
def test_the_halves_of_a_solve(isa, D):
    _, R = factor(isa, spd(D))
    V = np.random.default_rng(1).standard_normal((3, D))
    eps = np.finfo(float).eps
    halves = V.copy()
    isa.cholesky_half_solve(R, halves, True)
    assert (np.abs(halves @ R - V) <= 4 * np.sqrt(D) * eps * (np.abs(halves) @ np.abs(R))).all()
    X = halves.copy()
    isa.cholesky_half_solve(R, X, False)
    assert (np.abs(X @ R.T - halves) <= 4 * np.sqrt(D) * eps * (np.abs(X) @ np.abs(R.T))).all()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to threads")
def test_ctrl_c_stops_a_gram():
    X = np.zeros((20_000, 600), np.float32)
    rows = np.zeros(2_000_000, np.intp)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    arguments = (np.zeros(len(rows)), np.zeros(600), np.ones(600), np.zeros((601, 601)), 2)
    began = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        _kernels.kernels.gram(X, rows, *arguments)
    timer.join()
    assert time.perf_counter() - began < 2
