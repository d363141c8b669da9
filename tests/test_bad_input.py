# SPDX-License-Identifier: BSD-3-Clause
"""Bad input: every function gives a clear error, never a crash or a wrong number."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import logreg_c

X = np.arange(12.0).reshape(4, 3)
Y = np.array([0.0, 1.0, 1.0, 0.0])
W = np.zeros(3)


def with_entry(value, array=X, at=(2, 1)):
    changed = array.copy()
    changed[at] = value
    return changed


BAD_X = [
    (X[0], ValueError, r"X has 1 dimension.*X\.reshape\(1, -1\)"),
    (X[None], ValueError, "X has 3 dimension"),
    (5.0, ValueError, "X has 0 dimension"),
    (np.empty((0, 3)), ValueError, "X has no rows"),
    (np.empty((4, 0)), ValueError, "X has no columns"),
    ([], ValueError, "X has 1 dimension"),
    ([[1, 2], [3]], ValueError, "X can't be made an array"),
    (X.astype(object), TypeError, "X has dtype object"),
    (None, TypeError, "X is None, a NoneType; give numbers"),
    ({1.0}, TypeError, r"X is \{1.0\}, a set; give numbers"),
    (X.astype(str), TypeError, "X has dtype <U.*text"),
    (X.astype(bytes), TypeError, "X has dtype .*bytes"),
    (X.astype(complex), TypeError, "X has dtype complex128"),
    (X.astype("datetime64[s]"), TypeError, "X has dtype datetime64"),
    (np.ma.masked_equal(X, 4.0), ValueError, "X is a masked array"),
    (list(np.ma.masked_equal(X, 4.0)), ValueError, "X has masked entries; fill them or drop"),
    (with_entry(np.nan), ValueError, r"X\[2, 1\] is nan \(row 2, column 1\)"),
    (with_entry(np.inf), ValueError, r"X\[2, 1\] is inf \(row 2, column 1\)"),
    (with_entry(-np.inf), ValueError, r"X\[2, 1\] is -inf \(row 2, column 1\)"),
    (with_entry(np.nan).astype(np.float32), ValueError, r"X\[2, 1\] is nan"),
    (np.asfortranarray(with_entry(np.nan)), ValueError, r"X\[2, 1\] is nan"),
]
BAD_Y = [
    (Y[:3], ValueError, "y has 3 entries and X has 4 rows"),
    (Y[:, None], ValueError, r"y has shape \(4, 1\).*numpy\.ravel\(y\)"),
    (1.0, ValueError, r"y has shape \(\)"),
    ([0, 1, 2, 1], ValueError, r"y\[2\] is 2.*a label is 0, 1"),
    ([-1, 1, 1, -1], ValueError, r"y\[0\] is -1.*\(y == 1\)"),
    ([0, 1, np.nan, 1], ValueError, r"y\[2\] is nan"),
    ([0, 1, np.inf, 1], ValueError, r"y\[2\] is inf"),
    ([0, 1, 1.0001, 1], ValueError, r"y\[2\] is 1.0001"),
    (["a", "b", "a", "b"], TypeError, "y has dtype <U1"),
    (Y.astype(object), TypeError, "y has dtype object"),
    (None, TypeError, "y is None, a NoneType; give numbers"),
    (np.ma.masked_equal(Y, 1.0), ValueError, "y is a masked array with masked entries"),
    ([], ValueError, "y has 0 entries"),
]
BAD_W = [
    (W[:2], ValueError, "w has 2 entries and X has 3 columns"),
    (W[:, None], ValueError, r"w has shape \(3, 1\).*numpy\.ravel\(w\)"),
    ([0, np.nan, 0], ValueError, r"w\[1\] is nan"),
    ([0, 0, np.inf], ValueError, r"w\[2\] is inf"),
    ("abc", TypeError, "w has dtype <U3"),
    (np.ma.masked_equal([0.0, 1.0, 2.0], 1.0), ValueError, "w is a masked array"),
]
BAD_B = [
    (np.nan, ValueError, "b is nan"),
    (np.inf, ValueError, "b is inf"),
    ([1.0, 2.0], ValueError, r"b has shape \(2,\)"),
    ("x", TypeError, "b is .x.; give a number"),
    (None, TypeError, "b is None; give a number"),
]
BAD_WEIGHT = [
    (np.ones(3), ValueError, "sample_weight has 3 entries and X has 4 rows"),
    ([1, 1, -1, 1], ValueError, r"sample_weight\[2\] is -1"),
    ([1, 1, np.nan, 1], ValueError, r"sample_weight\[2\] is nan"),
    ([1, 1, np.inf, 1], ValueError, r"sample_weight\[2\] is inf"),
    (np.zeros(4), ValueError, "sample_weight is zero for every row"),
    (np.full(4, 1e308), ValueError, "sample_weight adds up to infinity"),
    (["1"] * 4, TypeError, "sample_weight has dtype <U1"),
    (np.ma.masked_equal([1, 1, 2, 1], 2), ValueError, "sample_weight is a masked array"),
]
BAD_THREADS = [
    (0, ValueError, "n_threads is 0"),
    (-1, ValueError, "n_threads is -1"),
    (100_000, ValueError, "n_threads is 100000; give a number from 1 to 256"),
    (2.0, TypeError, r"n_threads is 2\.0"),
    (True, TypeError, "n_threads is True"),
    (np.array([2.0]), TypeError, r"n_threads is array\(\[2\.\]\), a ndarray; give an integer"),
]

FUNCTIONS = {
    "loss": lambda X=X, y=Y, w=W, b=0.0, **k: logreg_c.loss(X, y, w, b, **k),
    "loss_and_gradient": lambda X=X, y=Y, w=W, b=0.0, **k: logreg_c.loss_and_gradient(
        X, y, w, b, **k
    ),
    "per_example_gradients": lambda X=X, y=Y, w=W, b=0.0, **k: logreg_c.per_example_gradients(
        X, y, w, b, **k
    ),
    "gradient_noise": lambda X=X, y=Y, w=W, b=0.0, **k: logreg_c.gradient_noise(X, y, w, b, **k),
    "gradient_descent": lambda X=X, y=Y, w=W, b=0.0, **k: logreg_c.gradient_descent(
        X, y, w=w, b=b, n_iter=2, **k
    ),
    "check_gradient": lambda X=X, y=Y, w=W, b=0.0: logreg_c.check_gradient(X, y, w, b),
    "forward": lambda X=X, w=W, b=0.0, **k: logreg_c.forward(X, w, b, **k),
    "predict": lambda X=X, w=W, b=0.0, **k: logreg_c.predict(X, w, b, **k),
    "predict_proba": lambda X=X, w=W, b=0.0, **k: logreg_c.predict_proba(X, w, b, **k),
    "backward": lambda X=X, y=Y, **k: logreg_c.backward(X, np.full(4, 0.5), y, **k),
}
TAKES = {
    "X": (BAD_X, set(FUNCTIONS)),
    "y": (BAD_Y, set(FUNCTIONS) - {"forward", "predict", "predict_proba"}),
    "w": (BAD_W, set(FUNCTIONS) - {"backward"}),
    "b": (BAD_B, set(FUNCTIONS) - {"backward"}),
    "sample_weight": (
        BAD_WEIGHT,
        {"loss", "loss_and_gradient", "gradient_noise", "gradient_descent", "backward"},
    ),
    "n_threads": (BAD_THREADS, set(FUNCTIONS) - {"check_gradient"}),
}


@pytest.mark.parametrize(
    ("function", "argument", "value", "error", "message"),
    [
        (function, argument, *case)
        for argument, (cases, functions) in TAKES.items()
        for function in sorted(functions)
        for case in cases
    ],
)
def test_the_error_names_the_argument_and_what_to_do(function, argument, value, error, message):
    with pytest.raises(error, match=message):
        FUNCTIONS[function](**{argument: value})


def test_masked_arrays_without_masked_entries_are_arrays():
    masked = (np.ma.array(part) for part in (X, Y, W))
    assert logreg_c.loss(*masked) == logreg_c.loss(X, Y, W)


def test_l2_is_one_number_and_its_penalty_must_fit():
    for l2, error in (("much", TypeError), ([1.0, 2.0], ValueError), (None, TypeError)):
        with pytest.raises(error, match=r"l2 .* give (a|one) number"):
            logreg_c.loss(X, Y, W, l2=l2)
    with pytest.raises(OverflowError, match="take smaller weights"):
        logreg_c.loss(X * 1e-300, Y, np.full(3, 1e200), l2=1)
    assert logreg_c.loss(X, Y, W, l2=0) == logreg_c.loss(X, Y, W)


@pytest.mark.parametrize("l2", [-1.0, np.nan, np.inf])
def test_l2(l2):
    with pytest.raises(ValueError, match=r"l2 is .*0 or above"):
        logreg_c.loss(X, Y, W, l2=l2)


def test_the_bad_cell_is_found_far_down_and_in_any_layout():
    big = np.zeros((300_000, 5), dtype=np.float32, order="F")
    big[299_998, 4] = np.nan
    with pytest.raises(ValueError, match=r"X\[299998, 4\] is nan \(row 299998, column 4\)"):
        logreg_c.loss(big, np.zeros(300_000), np.zeros(5))


def test_a_row_of_weight_zero_must_be_finite_too():
    with pytest.raises(ValueError, match=r"X\[2, 1\] is nan"):
        logreg_c.loss(with_entry(np.nan), Y, W, sample_weight=[1, 1, 0, 1])


def test_overflow_of_z_is_said():
    huge = np.full((4, 3), 1e300)
    for call in (
        lambda: logreg_c.loss(huge, Y, np.full(3, 1e10)),
        lambda: logreg_c.forward(huge, np.full(3, 1e10), 0.0),
    ):
        with pytest.raises(OverflowError, match="scale the columns of X"):
            call()


@pytest.mark.parametrize("n", [2, 0, -1.5, "all"])
def test_set_num_threads_says_what_it_wants(n):
    if n == 2:
        logreg_c.set_num_threads(n)
        logreg_c.set_num_threads(None)
        return
    with pytest.raises((TypeError, ValueError), match="n_threads is"):
        logreg_c.set_num_threads(n)


def test_noise_needs_two_examples():
    with pytest.raises(ValueError, match="at least 2 examples"):
        logreg_c.gradient_noise(X[:1], Y[:1], W)


def test_results_beyond_the_range_of_float64_are_errors():
    huge = np.array([[1e200], [-1e200]])
    with pytest.raises(OverflowError, match="scale the columns of X"):
        logreg_c.gradient_noise(huge, [1, 1], [0.0])
    tiny = np.array([[1.0, 1e-170], [1.0, 3e-170], [1.0, 2e-170]])
    for held in (tiny, scipy.sparse.csr_array(tiny)):
        with pytest.raises(OverflowError, match="gradients of column 1 are beyond the range"):
            logreg_c.gradient_noise(held, [1, 1, 0], [0.0, 0.0])
    # Gradients that are all the same have no noise.
    assert logreg_c.gradient_noise(np.ones((3, 1)), [1, 1, 1], [0.0]) == (0.0, 0.0)
    with pytest.raises(OverflowError, match="scale the columns of X"):
        logreg_c.backward(huge * 1e108, [7, -7], [0, 0])
    with pytest.raises(OverflowError, match="scale the columns of X"):
        logreg_c.per_example_gradients(huge * 1e108, [0, 0], [10.0])
    with pytest.raises(ValueError, match=r"X\[0, 0\] is inf"):
        logreg_c.per_example_gradients([[np.inf, 1.0]], [0], [1.0, 1.0])
    with pytest.raises(ValueError, match="z is a masked array"):
        logreg_c.sigmoid(np.ma.masked_equal([1.0, 2.0], 2.0))
    with pytest.raises(ValueError, match="n_iter is 1000000000000"):
        logreg_c.gradient_descent(X, Y, n_iter=10**12)


def test_threshold():
    with pytest.raises(ValueError, match=r"threshold is 1\.5"):
        logreg_c.predict(X, W, threshold=1.5)
    with pytest.raises(ValueError, match=r"threshold is -0\.5"):
        logreg_c.predict(X, W, threshold=-0.5)
    with pytest.raises(TypeError, match=r"threshold is '0\.5'; give a number"):
        logreg_c.predict(X, W, threshold="0.5")


def test_backward_checks_its_predictions():
    with pytest.raises(ValueError, match="a has 3 entries and X has 4 rows"):
        logreg_c.backward(X, np.full(3, 0.5), Y)
    with pytest.raises(ValueError, match=r"a\[1\] is nan"):
        logreg_c.backward(X, [0.5, np.nan, 0.5, 0.5], Y)


@pytest.mark.parametrize("z", ["abc", [1j], None, [[1], [2, 3]]])
def test_sigmoid_takes_real_numbers(z):
    with pytest.raises((TypeError, ValueError)):
        logreg_c.sigmoid(z)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"learning_rate": 0.0}, ValueError, "learning_rate is 0.0; give a finite number above 0"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate is nan"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate is .fast.; give a number"),
        ({"n_iter": 0}, ValueError, "n_iter is 0"),
        ({"n_iter": 1.5}, TypeError, "n_iter is 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size is 2.0"),
        ({"n_iter": np.array([1.0])}, TypeError, r"n_iter is array\(\[1\.\]\), a ndarray; give an"),
        ({"batch_size": np.array([1, 2])}, TypeError, r"batch_size is array\(\[1, 2\]\)"),
        (
            {"random_state": "a", "shuffle": True, "batch_size": 2},
            TypeError,
            r"random_state is 'a', a str; give an integer of 0 or above, or a numpy\.random\.Gen",
        ),
        ({"random_state": -1, "shuffle": True, "batch_size": 2}, ValueError, "random_state is -1"),
        ({"shuffle": "no"}, TypeError, "shuffle is 'no', a str; give True or False"),
        ({"l2": -0.1}, ValueError, "l2 is -0.1"),
        ({"tol": -1.0}, ValueError, "tol is -1.0"),
    ],
)
def test_gradient_descent_arguments(changed, error, message):
    with pytest.raises(error, match=message):
        logreg_c.gradient_descent(X, Y, **changed)


def test_what_a_frame_calls_its_columns_does_not_make_it_sparse():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["tocsr", "indptr", "format"])
    assert logreg_c.loss(frame, Y, W + 0.1) == logreg_c.loss(X, Y, W + 0.1)


def test_a_rate_too_large_for_the_penalty_is_said_to_be_that():
    with pytest.warns(RuntimeWarning, match=r"too large for l2=100; take one below 2 / l2 = 0.02"):
        logreg_c.gradient_descent([[0.1], [-0.1]], [1, 0], l2=100.0, learning_rate=0.1)


@pytest.mark.parametrize("progress", ["yes", 2, None])
def test_progress_is_a_flag(progress):
    with pytest.raises(TypeError, match=r"progress is .*give True or False"):
        logreg_c.fit(X, Y, l2=1.0, progress=progress)
    with pytest.raises(TypeError, match=r"progress is .*give True or False"):
        logreg_c.gradient_descent(X, Y, learning_rate=0.1, progress=progress)
