# SPDX-License-Identifier: BSD-3-Clause
"""`fit`: bad input is named, with what was found and what to do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from logreg_c import fit

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
Y = (np.arange(40) % 2).astype(float)
IDS = np.arange(40) % 3
SOLVERS = ["newton", "sampled", "blocks", "compressed", "lbfgs", "newton-cg", "gradient-descent"]


def changed(array, at, value):
    out = np.array(array, dtype=float)
    out[at] = value
    return out


BAD = [
    ({"X": X * 5e-324}, ValueError, r"X has entries around 5e-324 in column 0.*by 1e\+323"),
    ({"solver": "sgd"}, ValueError, "solver is 'sgd'; give 'auto', .* or one of newton"),
    ({"solver": None}, ValueError, "solver is None"),
    ({"solver": ["newton"]}, ValueError, r"solver is \['newton'\]; give 'auto'"),
    ({"solver": np.array(["newton", "lbfgs"])}, ValueError, "solver is array.*; give 'auto'"),
    ({"tol": 0}, ValueError, r"tol is 0\.0; give a finite number above 0"),
    ({"tol": -1.0}, ValueError, r"tol is -1\.0"),
    ({"tol": np.nan}, ValueError, "tol is nan"),
    ({"tol": np.inf}, ValueError, "tol is inf"),
    ({"tol": "small"}, TypeError, "tol is 'small'; give a number"),
    ({"max_iter": 0}, ValueError, "max_iter is 0; give an integer from 1"),
    ({"max_iter": 10.0}, TypeError, "max_iter is 10.0, a float; give an integer"),
    ({"max_iter": True}, TypeError, "max_iter is True, a bool"),
    ({"max_iter": np.array([1.0])}, TypeError, r"max_iter is array\(\[1\.\]\), a ndarray; give an"),
    ({"fit_intercept": "False"}, TypeError, "fit_intercept is 'False', a str; give True or False"),
    ({"fit_intercept": None}, TypeError, "fit_intercept is None"),
    ({"fit_intercept": np.nan}, TypeError, "fit_intercept is nan"),
    ({"l2": -1e-9}, ValueError, r"l2 is -1e-09; give a finite number of 0 or above"),
    ({"l2": np.nan}, ValueError, "l2 is nan"),
    ({"l2": np.inf}, ValueError, "l2 is inf"),
    ({"l2": [0.1, 0.2]}, ValueError, r"l2 has shape \(2,\); give one number"),
    ({"random_state": -1}, ValueError, "random_state is -1; give an integer of 0 or above"),
    ({"random_state": None}, TypeError, "random_state is None, a NoneType; give an integer"),
    ({"random_state": 1.5}, TypeError, "random_state is 1.5, a float"),
    ({"random_state": np.array([1, 2])}, TypeError, r"random_state is array\(\[1, 2\]\)"),
    ({"n_threads": 0}, ValueError, "n_threads is 0"),
    ({"callback": 3}, TypeError, "callback is 3, a int; give a function, or None"),
    ({"offset": np.zeros(39)}, ValueError, r"offset has shape \(39,\); give \(40,\)"),
    ({"offset": np.zeros((40, 1))}, ValueError, r"offset has shape \(40, 1\); give \(40,\)"),
    ({"offset": changed(np.zeros(40), 7, np.inf)}, ValueError, "offset has entries.*not finite"),
    ({"offset": "x"}, TypeError, "offset has dtype"),
    ({"w0": np.zeros(4)}, ValueError, "w0 has 4 entries and X has 3 columns"),
    ({"w0": np.zeros((1, 3))}, ValueError, r"w0 has shape \(1, 3\)"),
    ({"w0": [0, np.nan, 0]}, ValueError, "w0 or b0 has entries that are not finite"),
    ({"b0": np.zeros(2)}, ValueError, r"b0 has shape \(2,\)"),
    ({"b0": np.inf}, ValueError, "w0 or b0 has entries that are not finite"),
    ({"sample_weight": np.ones(39)}, ValueError, "sample_weight has 39 entries and X has 40 rows"),
    ({"sample_weight": changed(np.ones(40), 3, -1)}, ValueError, r"sample_weight\[3\] is -1"),
    ({"sample_weight": changed(np.ones(40), 3, np.nan)}, ValueError, r"sample_weight\[3\] is nan"),
    ({"sample_weight": np.zeros(40)}, ValueError, "sample_weight.*0"),
    ({"y": Y[:39]}, ValueError, "y has 39 entries and X has 40 rows"),
    ({"y": changed(Y, 5, np.nan)}, ValueError, r"y\[5\] is nan; drop row 5 or give its label"),
    ({"y": changed(Y, 5, 0.5) - 0.75}, ValueError, r"y\[0\] is -0\.75"),
    ({"y": np.where(Y > 0, 1, -1)}, ValueError, r"y\[0\] is -1.*use \(y == 1\)"),
    ({"y": Y * 1.5}, ValueError, r"y\[1\] is 1\.5"),
    ({"y": np.ones(40)}, ValueError, "y holds one class only, 1"),
    ({"y": np.zeros(40)}, ValueError, "y holds one class only, 0"),
    ({"y": IDS + 1}, ValueError, "y has no example with weight of class 0 of 0 to 3.*np.unique"),
    ({"y": 2 * IDS}, ValueError, "y has no example with weight of class 1 of 0 to 4"),
    ({"y": ["a", "b"] * 20}, TypeError, "y has dtype <U1"),
    ({"y": np.full((40, 3), 0.3)}, ValueError, r"y\[0\] is .*; the probabilities of a row add up"),
    ({"y": np.full((40, 1), 1.0)}, ValueError, r"y has shape \(40, 1\)"),
    ({"y": np.full((39, 2), 0.5)}, ValueError, r"y has shape \(39, 2\)"),
    ({"y": np.tile([0.5, 0.5, 0.0], (40, 1))}, ValueError, "y gives class 2 no weight"),
    ({"X": X[:, 0]}, ValueError, "X has 1 dimension"),
    ({"X": np.ma.masked_greater(X, 1.0)}, ValueError, "X is a masked array with masked entries"),
    ({"y": np.ma.masked_equal(Y, 1.0)}, ValueError, "y is a masked array"),
    ({"w0": np.ma.masked_equal([1, 2, 3], 2)}, ValueError, "w0 is a masked array"),
    ({"offset": np.ma.masked_equal(Y, 1.0)}, ValueError, "offset is a masked array"),
    ({"X": X[:0], "y": Y[:0]}, ValueError, "X has no rows"),
    ({"X": X[:, :0]}, ValueError, "X has no columns"),
    ({"X": X.astype(complex)}, TypeError, "X has dtype complex128"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "message"), BAD, ids=lambda v: str(v)[:30])
def test_bad_arguments_are_named(given, error, message):
    arguments = {"X": X, "y": Y} | given
    with pytest.raises(error, match=message):
        fit(arguments.pop("X"), arguments.pop("y"), **arguments)


@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
@pytest.mark.parametrize("y", [Y, IDS], ids=["two classes", "three"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_in_x_is_named_with_row_and_column(value, y, solver):
    for order, dtype in (("C", np.float64), ("F", np.float32)):
        bad = np.array(changed(X, (17, 2), value), dtype=dtype, order=order)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError, match=r"X\[17, 2\] is -?(nan|inf) \(row 17, column 2\)"):
                fit(bad, y, l2=0.1, solver=solver)


def test_a_cell_that_samples_do_not_see_is_found():
    many = RNG.standard_normal((8000, 2))
    y = (many[:, 0] > RNG.standard_normal(8000)).astype(int)
    many[7777, 1] = np.nan
    with pytest.raises(ValueError, match=r"X\[7777, 1\] is nan"):
        fit(many, y, solver="sampled")


@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
def test_margins_beyond_the_range_are_an_error(solver):
    with pytest.raises(OverflowError, match="X, w and b are finite"):
        fit(X * 1e100, Y, w0=np.full(3, 1e220), b0=0.0, solver=solver)


@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
@pytest.mark.parametrize(("size", "cure"), [(1e-300, r"1e\+300"), (1e300, "1e-300")])
def test_columns_whose_squares_are_beyond_the_range_are_an_error(solver, size, cure):
    with pytest.raises(ValueError, match=rf"X has entries around .* in column 1, .* by {cure}"):
        fit(X * [1.0, size, 1.0], Y, solver=solver)


@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
def test_classes_need_shapes_of_their_own(solver):
    with pytest.raises(ValueError, match=r"w0 has shape \(3,\); give \(3, 3\)"):
        fit(X, IDS, w0=np.zeros(3), solver=solver)
    with pytest.raises(ValueError, match=r"offset has shape \(40,\); give \(40, 3\)"):
        fit(X, IDS, offset=np.zeros(40), solver=solver)


@pytest.mark.parametrize("size", [1e-150, 1e-30, 1e30, 1e150])
@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
def test_columns_of_any_size(size, solver):
    y = (X[:, 0] > np.random.default_rng(1).standard_normal(40)).astype(int)
    plain = fit(X, y, tol=1e-9)
    found = fit(X * [size, 1.0, 1.0], y, solver=solver, tol=1e-5)
    assert found.objective == pytest.approx(plain.objective, rel=2e-5)


@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
def test_columns_that_say_nothing(solver):
    constant = np.column_stack([X[:, 0], np.zeros(40), np.full(40, 7.0)])
    plain = fit(X[:, :1], Y, l2=0.1, tol=1e-9)
    found = fit(constant, Y, l2=0.1, solver=solver, tol=1e-6)
    assert found.objective == pytest.approx(plain.objective, rel=1e-6)
    np.testing.assert_allclose(found.w[1:], 0, atol=1e-9)
    base_rate = fit(constant[:, 1:], Y, l2=0.1, solver=solver)
    assert base_rate.objective == pytest.approx(np.log(2), rel=1e-12)


def test_one_example_and_one_column():
    entropy = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)
    assert fit([[2.0]], [0.25]).objective == pytest.approx(entropy)


def test_compressed_is_for_few_rows():
    many = RNG.standard_normal((4001, 1))
    with pytest.raises(ValueError, match="makes a matrix of 4001 x 4001"):
        fit(many, many[:, 0] > RNG.standard_normal(4001), solver="compressed")


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("n", [6, 10])
def test_one_class_is_one_class_whatever_the_weights_add_up_to(label, n):
    # Six shares of a sixth add up to a little less than 1.
    X, y = np.arange(float(n)).reshape(-1, 1), np.full(n, label)
    with pytest.raises(ValueError, match=f"y holds one class only, {label}, in the rows"):
        fit(X, y, l2=0.1, sample_weight=np.ones(n))


@pytest.mark.parametrize("label", [0, 1])
def test_a_class_of_little_weight_is_a_class(label):
    y = np.full(6, 1 - label)
    y[0] = label
    s = np.append(1e-17, np.ones(5))
    result = fit(np.arange(6.0).reshape(-1, 1), y, l2=0.1, sample_weight=s)
    assert abs(result.b) == pytest.approx(np.log(5e17), rel=1e-3)
