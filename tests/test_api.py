# SPDX-License-Identifier: BSD-3-Clause
"""The functional API: what it takes, what it returns, what it leaves alone."""

from __future__ import annotations

import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

import logreg_c
from logreg_c import _kernels


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 3))
    y = (X[:, 0] + rng.standard_normal(40) > 0).astype(float)
    return X, y, np.array([0.5, -0.25, 0.125]), 0.2


def test_results_are_named_and_unpack(data):
    result = logreg_c.loss_and_gradient(*data)
    loss, dw, db = result
    assert (result.loss, result.db) == (loss, db)
    assert type(loss) is float
    assert type(db) is float
    assert dw.shape == (3,)
    assert dw.dtype == np.float64
    assert pickle.loads(pickle.dumps(result)).loss == loss


@pytest.mark.parametrize(
    "function",
    [
        lambda X, y, *wb: logreg_c.forward(X, *wb),
        lambda X, y, *wb: logreg_c.predict_proba(X, *wb),
        lambda X, y, *wb: logreg_c.predict(X, *wb),
        logreg_c.loss,
        logreg_c.loss_and_gradient,
        logreg_c.per_example_gradients,
        logreg_c.gradient_noise,
        logreg_c.check_gradient,
        lambda *arguments: logreg_c.graph.logistic_regression(*arguments).forward(),
        logreg_c.graph.loss_and_gradient,
    ],
)
def test_without_a_bias_it_is_zero(data, function):
    X, y, w, _ = data
    assert repr(function(X, y, w)) == repr(function(X, y, w, 0.0))


def test_read_only_and_memory_mapped_arrays_are_not_copied(data, tmp_path, monkeypatch):
    X, y, w, b = data
    expected = logreg_c.loss_and_gradient(X, y, w, b)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    frozen = X.copy()
    frozen.flags.writeable = False
    seen = []

    class Spy:
        def __getattr__(self, name):
            return getattr(_kernels_before, name)

        def loss_and_gradient(self, X, *rest):
            seen.append(X)
            return _kernels_before.loss_and_gradient(X, *rest)

    _kernels_before = _kernels.kernels
    monkeypatch.setattr(_kernels, "kernels", Spy())
    for held in (mapped, frozen, np.asfortranarray(X), X.astype(np.float32), X.T.copy().T):
        found = logreg_c.loss_and_gradient(held, y, w, b)
        assert np.shares_memory(seen[-1], held)
        np.testing.assert_allclose(found.dw, expected.dw, rtol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.tolist(),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X[::-1][::-1],
        lambda X: X.astype(">f8"),
        lambda X: X.astype(np.longdouble),
        lambda X: np.ma.masked_array(X),
        lambda X: np.frombuffer(b"x" + X.tobytes(), np.uint8)[1:].view(float).reshape(X.shape),
    ],
    ids=["list", "strided", "reversed twice", "big-endian", "longdouble", "unmasked", "unaligned"],
)
def test_other_layouts_and_types_are_converted(data, change):
    X, y, w, b = data
    expected = logreg_c.loss_and_gradient(X, y, w, b)
    found = logreg_c.loss_and_gradient(change(X), y.tolist(), w.tolist(), np.float32(0.2))
    assert found.loss == pytest.approx(expected.loss, rel=1e-7)
    again = logreg_c.loss_and_gradient(change(X), y, w, np.array([[b]]))
    assert again.loss == expected.loss


def test_integer_examples(data):
    _, y, w, b = data
    whole = np.arange(120).reshape(40, 3) % 7
    expected = logreg_c.loss(whole.astype(float), y, w, b)
    for kind in (np.int8, np.int64, np.uint16):
        assert logreg_c.loss(whole.astype(kind), y, w, b) == expected
    assert logreg_c.loss(whole > 3, y, w, b) == logreg_c.loss((whole > 3) * 1.0, y, w, b)


def test_anything_that_becomes_an_array_is_taken(data):
    X, y, w, b = data

    class Frame:
        def __array__(self, dtype=None, copy=None):
            return X if dtype is None else X.astype(dtype)

    assert logreg_c.loss(Frame(), y, w, b) == logreg_c.loss(X, y, w, b)


def test_forward_then_backward_is_the_gradient(data):
    X, y, w, b = data
    a = logreg_c.forward(X, w, b)
    dw, db = logreg_c.backward(X, a, y)
    whole = logreg_c.loss_and_gradient(X, y, w, b)
    np.testing.assert_allclose(dw, whole.dw, rtol=1e-13)
    assert db == pytest.approx(whole.db, rel=1e-13)


def test_per_example_gradients_average_to_the_gradient(data):
    each = logreg_c.per_example_gradients(*data)
    whole = logreg_c.loss_and_gradient(*data)
    np.testing.assert_allclose(each.dw.mean(axis=0), whole.dw, atol=1e-16)
    assert each.db.mean() == pytest.approx(whole.db, rel=1e-13)


def test_averaging_removes_noise_as_one_over_the_root_of_m():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((64_000, 4))
    y = (rng.random(64_000) < 0.5).astype(float)
    w = np.array([0.3, 0.0, -0.2, 0.1])
    noise = [logreg_c.gradient_noise(X[:m], y[:m], w).dw for m in (1000, 4000, 16_000, 64_000)]
    for more, less in zip(noise[1:], noise[:-1], strict=True):
        np.testing.assert_allclose(less / more, 2.0, rtol=0.1)
    # And it is the spread that averages of fresh samples have.
    batches = [
        logreg_c.loss_and_gradient(X[i : i + 1000], y[i : i + 1000], w).dw
        for i in range(0, 64_000, 1000)
    ]
    np.testing.assert_allclose(np.std(batches, axis=0), noise[0], rtol=0.25)


def test_predictions(data):
    X, _, w, b = data
    a = logreg_c.forward(X, w, b)
    both = logreg_c.predict_proba(X, w, b)
    assert both.shape == (40, 2)
    np.testing.assert_array_equal(both[:, 1], a)
    np.testing.assert_allclose(both.sum(axis=1), 1.0)
    np.testing.assert_array_equal(logreg_c.predict(X, w, b), both.argmax(axis=1))
    np.testing.assert_array_equal(logreg_c.predict(X, w, b, threshold=0.8), a > 0.8)
    assert logreg_c.predict(X, w, b).dtype == np.int64


def test_arguments_are_left_as_they_were(data):
    X, y, w, b = data
    before = [v.copy() for v in (X, y, w)]
    s = np.ones(40)
    logreg_c.loss_and_gradient(X, y, w, b, sample_weight=s, l2=1.0)
    logreg_c.gradient_descent(X, y, w=w, b=b, sample_weight=s, n_iter=3)
    logreg_c.per_example_gradients(X, y, w, b)
    logreg_c.gradient_noise(X, y, w, b, sample_weight=s)
    for value, old in zip((X, y, w), before, strict=True):
        np.testing.assert_array_equal(value, old)


def test_zero_l2_and_weight_of_zero(data):
    X, y, w, b = data
    s = np.ones(40)
    s[7] = 0
    kept = np.arange(40) != 7
    found = logreg_c.loss_and_gradient(X, y, w, b, sample_weight=s)
    expected = logreg_c.loss_and_gradient(X[kept], y[kept], w, b)
    assert found.loss == pytest.approx(expected.loss, rel=1e-14)
    np.testing.assert_allclose(found.dw, expected.dw, atol=1e-16)


@pytest.mark.parametrize("order", ["C", "F"])
def test_check_gradient_agrees_and_reports(data, order):
    X, y, w, b = data
    report = logreg_c.check_gradient(np.asarray(X, order=order), y, w, b)
    assert report.ok
    assert report.graph_error < 1e-14
    text = str(report)
    assert "dw3" in text
    assert "agree" in text
    assert "40 of 40 examples" in text


def test_check_gradient_sees_a_wrong_kernel(data, monkeypatch):
    from logreg_c import checking

    def wrong(X, y, w, b):
        loss, dw, db = logreg_c.loss_and_gradient(X, y, w, b)
        return logreg_c.LossAndGradient(loss, dw * (1 + 1e-9), db)

    monkeypatch.setattr(checking, "loss_and_gradient", wrong)
    report = logreg_c.check_gradient(*data)
    assert not report.ok
    assert "DISAGREE" in str(report)


def test_check_gradient_takes_rows_of_large_data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30_000, 200)) * np.geomspace(1e-3, 1e3, 200)
    y = rng.random(30_000) < 0.5
    report = logreg_c.check_gradient(X, y, np.zeros(200))
    assert report.ok
    assert report.n_examples == 500
    assert np.isnan(report.difference).any()
    assert len(str(report).splitlines()) < 30


def test_threads_are_set_and_asked_for():
    before = logreg_c.get_num_threads()
    try:
        logreg_c.set_num_threads(3)
        assert logreg_c.get_num_threads() == (3 if _kernels.kernels.OPENMP_RUNTIME else 1)
    finally:
        logreg_c.set_num_threads(None)
    assert logreg_c.get_num_threads() == before


def test_calls_from_several_python_threads_do_not_disturb_each_other():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 30))
    y = (rng.random(20_000) < 0.5) * 1.0
    ws = rng.standard_normal((4, 30))
    expected = [logreg_c.loss_and_gradient(X, y, w).dw.tobytes() for w in ws]
    found = [None] * 4

    def work(k):
        for _ in range(20):
            found[k] = logreg_c.loss_and_gradient(X, y, ws[k]).dw.tobytes()

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == expected


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_runs_serial_and_does_not_hang():
    done = run(
        "import os, numpy as np, logreg_c\n"
        "X = np.ones((200_000, 10)); y = np.ones(200_000); w = np.zeros(10)\n"
        "a = logreg_c.loss_and_gradient(X, y, w, n_threads=2)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    b = logreg_c.loss_and_gradient(X, y, w, n_threads=2)\n"
        "    same = a.dw.tobytes() == b.dw.tobytes() and logreg_c.get_num_threads() == 1\n"
        "    os._exit(0 if same else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", _kernels.available())
def test_the_instruction_set_can_be_forced(name):
    done = run("import logreg_c; logreg_c.show_config()", LOGREG_C_ISA=name, OMP_NUM_THREADS="1")
    assert f"instruction set: {name} " in done.stdout
    assert "threads: 1" in done.stdout
    assert logreg_c.__version__ in done.stdout
    assert "OpenMP: " in done.stdout


def test_an_unknown_instruction_set_is_an_error():
    done = run("import logreg_c", LOGREG_C_ISA="avx1024")
    assert "LOGREG_C_ISA is 'avx1024'" in done.stderr
    assert "baseline" in done.stderr


def test_an_unbuilt_tree_says_what_to_run(tmp_path):
    package = tmp_path / "logreg_c"
    folder = pathlib.Path(logreg_c.__file__).parent
    shutil.copytree(folder, package, ignore=shutil.ignore_patterns("_kernels_*", "__pycache__"))
    # An editable install finds the package's built half by an import hook; -S leaves it out.
    paths = [str(tmp_path), str(pathlib.Path(np.__file__).parent.parent)]
    code = f"import sys; sys.path[:0] = {paths!r}; import logreg_c"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "python -m pip install -e ." in done.stderr


def test_import_needs_numpy_alone():
    done = run(
        "import sys\n"
        "for name in ('scipy', 'sklearn', 'matplotlib', 'tqdm', 'pandas'):\n"
        "    sys.modules[name] = None\n"
        "import logreg_c\n"
        "print(logreg_c.sigmoid(0))\n"
    )
    assert done.stdout == "0.5\n", done.stderr


def test_everything_public_is_there_and_documented():
    for name in logreg_c.__all__:
        assert getattr(logreg_c, name).__doc__, name
    for name in ("sigmoid", "forward", "backward", "loss", "loss_and_gradient"):
        assert "Examples" in getattr(logreg_c, name).__doc__
