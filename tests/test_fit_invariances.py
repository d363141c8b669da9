# SPDX-License-Identifier: BSD-3-Clause
"""`fit`: the same problem told differently has the same solution, or the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from fit_problems import QUICK, TALL, bits_of, problem, raw, twin

import logreg_c
from logreg_c import fit
from logreg_c._data import Dense

EVERY = [*TALL, "gradient-descent"]
# What columns are multiplied by, and what is added to them.
SCALE, SHIFT = np.array([1e-6, 1.0, 300.0, 1e7]), np.array([0.0, 10.0, -1.0, 1e8])


def close(one, two, rtol=1e-6):
    assert one.objective == pytest.approx(two.objective, rel=1e-11)
    np.testing.assert_allclose(one.w, two.w, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(one.b, two.b, rtol=rtol, atol=rtol)


def some(K=2, n=150, kind="gaussian", l2=1e-2):
    X, y, arguments = problem(kind, K, l2)
    return X[:n], y[:n], arguments["l2"]


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("solver", QUICK)
def test_weights_are_repetitions_of_rows(solver, K):
    X, y, l2 = some(K)
    times = np.random.default_rng(1).integers(0, 4, len(y))
    times[:K] = 1
    weighted = fit(X, y, l2=l2, sample_weight=times, solver=solver, tol=1e-13)
    repeated = fit(
        np.repeat(X, times, axis=0), np.repeat(y, times), l2=l2, solver=solver, tol=1e-13
    )
    close(weighted, repeated)
    close(fit(X, y, l2=l2, sample_weight=times * 1e200, solver=solver, tol=1e-13), weighted)


@pytest.mark.parametrize("K", [2, 3])
def test_stacking_the_rows_changes_nothing(K):
    X, y, l2 = some(K)
    once = fit(X, y, l2=l2, tol=1e-13)
    close(fit(np.vstack([X, X]), np.concatenate([y, y]), l2=l2, tol=1e-13), once)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("solver", QUICK)
def test_scaling_a_column_scales_its_weight_where_there_is_no_penalty(solver, K):
    X, y, _ = some(K)
    plain = fit(X, y, solver=solver, tol=1e-12)
    scaled = fit(X * SCALE + SHIFT, y, solver=solver, tol=1e-12)
    assert scaled.objective == pytest.approx(plain.objective, rel=1e-10)
    np.testing.assert_allclose(scaled.w * SCALE, plain.w, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scaled.b + scaled.w @ SHIFT, plain.b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("solver", TALL)
def test_the_order_of_rows_columns_and_classes(solver):
    X, y, arguments = problem("gaussian", 3)
    X, y = X[:2000], y[:2000]
    plain = fit(X, y, solver=solver, tol=1e-12, **arguments)
    rng = np.random.default_rng(4)
    rows, columns, classes = rng.permutation(len(y)), rng.permutation(4), np.array([2, 0, 1])
    close(fit(X[rows], y[rows], solver=solver, tol=1e-12, **arguments), plain)
    turned = fit(X[:, columns], y, solver=solver, tol=1e-12, **arguments)
    np.testing.assert_allclose(turned.w, plain.w[:, columns], rtol=1e-5, atol=1e-6)
    named = fit(X, classes[y], solver=solver, tol=1e-12, **arguments)
    np.testing.assert_allclose(named.w[classes], plain.w, rtol=1e-5, atol=1e-6)


def told_otherwise(how, X, y, K):
    """Return arguments of a problem, of the same told otherwise, and the way back for its raw w."""
    rng = np.random.default_rng(7)
    if how == "repeated":
        times = rng.integers(0, 4, len(y))
        once = {"X": X, "y": y, "sample_weight": times}
        return once, {"X": np.repeat(X, times, axis=0), "y": np.repeat(y, times)}, np.asarray
    once = {"X": X, "y": y}
    if how == "stacked":
        return once, {"X": np.vstack([X, X]), "y": np.concatenate([y, y])}, np.asarray
    if how == "scaled":
        turn = np.diag(np.append(SCALE, 1.0))
        turn[:-1, -1] = SHIFT
        return once, {"X": X * SCALE + SHIFT, "y": y}, lambda raw: raw @ turn
    if how == "rows":
        order = rng.permutation(len(y))
        return once, {"X": X[order], "y": y[order]}, np.asarray
    if how == "columns":
        order = np.array([2, 0, 3, 1])
        return once, {"X": X[:, order], "y": y}, lambda raw: raw[:, np.append(order.argsort(), 4)]
    names = np.roll(np.arange(K), 1)
    back = (lambda raw: raw[names]) if K > 2 else np.negative
    return once, {"X": X, "y": names[y]}, back


@pytest.mark.parametrize("how", ["repeated", "stacked", "scaled", "rows", "columns", "classes"])
@pytest.mark.parametrize(("solver", "K"), [("sampled", 2), ("sampled", 3), ("blocks", 3)])
def test_samples_of_the_same_told_otherwise_lead_within_the_proofs(solver, K, how, monkeypatch):
    drawn, take = [], Dense.take
    monkeypatch.setattr(Dense, "take", lambda self, *a: drawn.append(len(a[0])) or take(self, *a))
    rng = np.random.default_rng(K)
    X = rng.standard_normal((20_000, 4))
    y = (X @ rng.standard_normal((4, K)) + rng.gumbel(size=(20_000, K))).argmax(axis=1)
    l2 = 0.0 if how == "scaled" else 1e-2
    once, otherwise, back = told_otherwise(how, X, y, K)
    one, other = (fit(**a, l2=l2, solver=solver, tol=1e-8, n_threads=1) for a in (once, otherwise))
    assert one.solver == other.solver == solver
    assert 100 < max(drawn) < 20_000 <= min(len(once["y"]), len(otherwise["y"]))
    # Other rows are drawn, so that bits differ; each optimum is where both proofs say.
    J = float(twin(**once, l2=l2).J(back(raw(other))))
    assert pytest.approx(J, rel=1e-12) == other.objective
    assert one.objective - one.gap <= other.objective
    assert other.objective - other.gap <= one.objective
    if l2 > 0.0:
        # J rises by at least l2/2 times the square of the way to its minimum.
        reach = np.sqrt(2 * one.gap / l2) + np.sqrt(2 * other.gap / l2)
        assert np.linalg.norm((back(raw(other)) - raw(one))[:, :-1]) <= reach


def test_swapping_two_classes_changes_the_sign():
    X, y, l2 = some()
    one, other = fit(X, y, l2=l2, tol=1e-13), fit(X, 1 - y, l2=l2, tol=1e-13)
    np.testing.assert_allclose(one.w, -other.w, rtol=1e-6)
    assert one.b == pytest.approx(-other.b, rel=1e-6)


@pytest.mark.parametrize("solver", QUICK)
def test_layouts_types_and_places_of_x(solver, tmp_path):
    X, y, l2 = some()
    X = X.astype(np.float32).astype(np.float64)
    plain = fit(X, y, l2=l2, solver=solver, tol=1e-12)
    path = tmp_path / "X.npy"
    np.save(path, X)
    read_only = X.copy()
    read_only.flags.writeable = False
    same = {
        "memory-mapped": np.load(path, mmap_mode="r"),
        "read-only": read_only,
        "every second": np.repeat(X, 2, axis=0)[::2],
        "a list": X.tolist(),
    }
    for held in same.values():
        assert fit(held, y, l2=l2, solver=solver, tol=1e-12).w.tobytes() == plain.w.tobytes()
    for held in (np.asfortranarray(X), X.astype(np.float32), np.asfortranarray(X, np.float32)):
        close(fit(held, y, l2=l2, solver=solver, tol=1e-12), plain)
    assert (read_only == X).all()


def test_labels_of_every_kind():
    X, y, l2 = some()
    plain = fit(X, y, l2=l2)
    for kind in (bool, np.int8, np.uint8, np.int64, np.float32, np.float64, ">i4"):
        assert fit(X, y.astype(kind), l2=l2).w.tobytes() == plain.w.tobytes()
    assert fit(X, y.tolist(), l2=l2).w.tobytes() == plain.w.tobytes()


def test_two_columns_of_probabilities_are_two_classes():
    X, y, l2 = some()
    soft = np.clip(y * 0.9 + 0.05, 0, 1)
    one = fit(X, soft, l2=l2, tol=1e-12)
    # w = (-v/2, v/2) has the penalty |v|^2 / 4, half of that of v.
    both = fit(X, np.column_stack([1 - soft, soft]), l2=2 * l2, tol=1e-12)
    assert both.w.shape == (2, 4)
    assert both.objective == pytest.approx(one.objective, rel=1e-12)
    np.testing.assert_allclose(both.w[1] - both.w[0], one.w, rtol=1e-6)
    np.testing.assert_allclose(both.b[1] - both.b[0], one.b, rtol=1e-6)
    np.testing.assert_allclose(both.w.sum(axis=0), 0, atol=1e-12)
    offset = np.random.default_rng(0).standard_normal(150)
    moved = fit(X, soft, l2=l2, offset=offset, tol=1e-12)
    pair = np.column_stack([-offset, 0 * offset])
    again = fit(X, np.column_stack([1 - soft, soft]), l2=2 * l2, offset=pair, tol=1e-12)
    assert again.objective == pytest.approx(moved.objective, rel=1e-12)


def test_hard_labels_are_sure_probabilities():
    X, y, l2 = some(3)
    ids = fit(X, y, l2=l2, tol=1e-12)
    close(fit(X, np.eye(3)[y], l2=l2, tol=1e-12), ids)
    np.testing.assert_allclose(ids.w.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(ids.b.sum(), 0, atol=1e-12)


def test_soft_labels_are_mixtures():
    X, _, l2 = some()
    soft = np.random.default_rng(2).random(150)
    both = fit(
        np.vstack([X, X]), np.repeat([1, 0], 150), l2=l2, tol=1e-12,
        sample_weight=np.concatenate([soft, 1 - soft]),
    )  # fmt: skip
    close(fit(X, soft, l2=l2, tol=1e-12), both)


def test_an_offset_is_a_column_whose_weight_is_one():
    X, y, _ = some()
    shift = X[:, :1] * 0.8
    one = fit(X, y, tol=1e-13)
    moved = fit(X, y, offset=shift[:, 0], tol=1e-13)
    np.testing.assert_allclose(moved.w + np.array([0.8, 0, 0, 0]), one.w, rtol=1e-5)
    assert moved.objective == pytest.approx(one.objective, rel=1e-12)


def test_without_a_bias_it_is_zero_and_the_columns_are_not_centred():
    X, y, l2 = some()
    found = fit(X + 3.0, y, l2=l2, fit_intercept=False, tol=1e-12)
    assert found.b == 0.0
    with_column = fit(np.column_stack([X + 3.0, 0 * y]), y, l2=l2, fit_intercept=False, tol=1e-12)
    np.testing.assert_allclose(found.w, with_column.w[:4], rtol=1e-6)
    gradient = logreg_c.loss_and_gradient(X + 3.0, y, found.w, 0.0, l2=l2)
    np.testing.assert_allclose(gradient.dw, 0, atol=1e-6)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("solver", EVERY)
def test_same_bits_for_any_number_of_threads(solver, K):
    X, y, arguments = problem("rare", K)
    arguments = arguments | {"solver": solver, "tol": 1e-4}

    one = bits_of(fit(X, y, n_threads=1, **arguments))
    for threads in (2, 3, 8):
        assert bits_of(fit(X, y, n_threads=threads, **arguments)) == one


def test_same_bits_for_any_number_of_threads_with_fewer_rows_than_columns():
    X, y, arguments = problem("wide")
    results = [fit(X, y, n_threads=t, **arguments) for t in (1, 2, 3, 8)]
    assert len({result.w.tobytes() for result in results}) == 1
    assert results[0].solver == "compressed"


def test_two_fits_at_once_do_not_meet():
    X, y, arguments = problem("gaussian", 3)
    alone = fit(X, y, solver="sampled", **arguments)
    found = [None] * 4

    def run(i):
        found[i] = fit(X, y, solver="sampled", **arguments)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result.w.tobytes() == alone.w.tobytes() for result in found)


@pytest.mark.parametrize("solver", EVERY)
def test_an_exception_in_the_callback_gets_out_and_nothing_stays(solver):
    X, y, arguments = problem("gaussian")
    before = fit(X, y, solver=solver, tol=1e-4, **arguments)

    def stop(state):
        raise FloatingPointError("mine")

    with pytest.raises(FloatingPointError, match="mine"):
        fit(X, y, solver=solver, callback=stop, **arguments)
    after = fit(X, y, solver=solver, tol=1e-4, **arguments)
    assert after.w.tobytes() == before.w.tobytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_a_fit_and_leaves_a_working_process():
    program = """
        import numpy as np, os, signal, logreg_c
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((2000, 20)), rng.integers(0, 2, 2000)
        seen = []
        def interrupt(state):
            seen.append(state.n_iter)
            os.kill(os.getpid(), signal.SIGINT)
        try:
            logreg_c.fit(X, y, l2=1e-3, solver="lbfgs", callback=interrupt)
        except KeyboardInterrupt:
            assert seen == [1], seen
            assert logreg_c.fit(X, y, l2=1e-3).converged
            print("interrupted")
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.stdout == "interrupted\n", found.stderr
