# SPDX-License-Identifier: BSD-3-Clause
"""Sparse X in the functional API: what is taken, what comes back, what is an error."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import sparse_problems
from sparse_problems import bare

import logreg_c
from logreg_c._validation import as_examples

N, D = 30, 7
ENTRIES = sparse_problems.entries(N, D, 0.4)
DENSE = sparse_problems.dense(N, D, *ENTRIES)
CSR = sparse_problems.held(N, D, *ENTRIES, "csr-int32-float64")
CSC = sparse_problems.held(N, D, *ENTRIES, "csc-int32-float64")
Y = (np.arange(N) % 3 == 0).astype(float)
W = np.linspace(-1, 1, D)
S = np.arange(N) % 4.0

FUNCTIONS = {
    "forward": lambda X, **k: logreg_c.forward(X, W, 0.5, **k),
    "backward": lambda X, **k: logreg_c.backward(X, np.full(N, 0.5), Y, **k).dw,
    "loss": lambda X, **k: logreg_c.loss(X, Y, W, 0.5, **k),
    "loss_and_gradient": lambda X, **k: logreg_c.loss_and_gradient(X, Y, W, 0.5, **k).dw,
    "per_example_gradients": lambda X, **k: logreg_c.per_example_gradients(X, Y, W, 0.5, **k).db,
    "gradient_noise": lambda X, **k: logreg_c.gradient_noise(X, Y, W, 0.5, **k).dw,
    "gradient_descent": lambda X, **k: logreg_c.gradient_descent(X, Y, n_iter=3, **k).w,
    "predict": lambda X, **k: logreg_c.predict(X, W, 0.5, **k),
    "predict_proba": lambda X, **k: logreg_c.predict_proba(X, W, 0.5, **k),
}


def of_integers():
    return scipy.sparse.csr_array(np.arange(N * D).reshape(N, D) % 3)


ACCEPTED = {
    "csr_matrix": lambda: scipy.sparse.csr_matrix(DENSE),
    "csr_array": lambda: scipy.sparse.csr_array(DENSE),
    "csc_matrix": lambda: scipy.sparse.csc_matrix(DENSE),
    "csc_array": lambda: scipy.sparse.csc_array(DENSE),
    "coo_matrix": lambda: scipy.sparse.coo_matrix(DENSE),
    "coo_array": lambda: scipy.sparse.coo_array(DENSE),
    "lil": lambda: scipy.sparse.lil_array(DENSE),
    "dok": lambda: scipy.sparse.dok_array(DENSE),
    "dia": lambda: scipy.sparse.dia_array(DENSE),
    "bsr": lambda: scipy.sparse.bsr_array(DENSE, blocksize=(3, 7)),
    "out of order": lambda: CSR,
    "out of order, csc": lambda: CSC,
    "bare": lambda: bare(CSR),
    "bare csc": lambda: bare(CSC),
    "lists": lambda: bare(
        CSR, indptr=CSR.indptr.tolist(), indices=CSR.indices.tolist(), data=CSR.data.tolist()
    ),
    "big-endian": lambda: bare(
        CSR,
        indptr=CSR.indptr.astype(">i8"),
        indices=CSR.indices.astype(">i4"),
        data=CSR.data.astype(">f8"),
    ),
    "uint64": lambda: bare(CSR, indptr=CSR.indptr.astype("u8"), indices=CSR.indices.astype("u1")),
    "strided": lambda: bare(
        CSR, indices=np.repeat(CSR.indices, 2)[::2], data=np.repeat(CSR.data, 2)[::2]
    ),
    "more entries than indptr says": lambda: bare(
        CSR, indices=np.append(CSR.indices, -1), data=np.append(CSR.data, np.nan)
    ),
    "float16": lambda: bare(CSR, data=CSR.data.astype(np.float16)),
    "integers": of_integers,
    "booleans": lambda: of_integers().astype(bool),
    "no entries": lambda: scipy.sparse.csr_array((N, D)),
    "no entries, csc": lambda: scipy.sparse.csc_matrix((N, D)),
    "explicit zeros": lambda: bare(CSR, data=0 * CSR.data),
}


def filled(X):
    if hasattr(X, "toarray"):
        return X.toarray().astype(float)
    by_rows = len(X.indptr) == N + 1
    make = scipy.sparse.csr_array if by_rows else scipy.sparse.csc_array
    parts = [np.asarray(v).astype(k) for v, k in ((X.data, "f8"), (X.indices, "i8"))]
    m = int(np.asarray(X.indptr)[-1])
    indptr = np.asarray(X.indptr).astype("i8")
    return make((parts[0][:m], parts[1][:m], indptr), shape=(N, D)).toarray()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", ACCEPTED)
def test_what_is_taken(kind, function):
    X = ACCEPTED[kind]()
    expected = FUNCTIONS[function](filled(X))
    np.testing.assert_allclose(FUNCTIONS[function](X), expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("X", [CSR, CSC], ids=["csr", "csc"])
def test_weights_and_penalty(X):
    found, expected = (
        logreg_c.loss_and_gradient(Z, Y, W, 0.5, sample_weight=S, l2=0.2) for Z in (X, DENSE)
    )
    for part, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, right, rtol=1e-12, atol=1e-15)
    value = logreg_c.loss(X, Y, W, 0.5, sample_weight=S, l2=0.2)
    assert value == pytest.approx(expected.loss, rel=1e-13)
    for labels in (Y.astype(bool), Y.astype(np.int8), Y * 0.3, Y.tolist()):
        found, expected = (logreg_c.loss_and_gradient(Z, labels, W) for Z in (X, DENSE))
        assert found.loss == pytest.approx(expected.loss, rel=1e-13)


@pytest.mark.parametrize("X", [CSR, CSC], ids=["csr", "csc"])
def test_nothing_of_x_changes(X, tmp_path):
    parts = {name: getattr(X, name).copy() for name in ("indptr", "indices", "data")}
    for part in parts.values():
        part.flags.writeable = False
    frozen = bare(X, **parts)
    mapped = {}
    for name, part in parts.items():
        np.save(tmp_path / name, part)
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    for held in (frozen, bare(X, **mapped)):
        for call in FUNCTIONS.values():
            np.testing.assert_array_equal(call(held), call(X))
    assert logreg_c.check_gradient(frozen, Y, W).ok
    for name, part in parts.items():
        np.testing.assert_array_equal(getattr(X, name), part)


def test_arrays_of_the_right_types_are_not_copied():
    held = as_examples(CSR)
    for name in ("indptr", "indices", "data"):
        assert getattr(held, name) is getattr(CSR, name)


def test_per_example_gradients_come_back_as_x_came():
    rounded = DENSE.astype(np.float32)
    expected = logreg_c.per_example_gradients(rounded, Y, W, 0.5)
    for kind in (
        scipy.sparse.csr_matrix,
        scipy.sparse.csr_array,
        scipy.sparse.csc_matrix,
        scipy.sparse.csc_array,
    ):
        X = kind(rounded)
        found = logreg_c.per_example_gradients(X, Y, W, 0.5)
        assert type(found.dw) is kind
        assert found.dw.dtype == np.float64
        np.testing.assert_allclose(found.dw.toarray(), expected.dw, rtol=1e-12, atol=1e-15)
        # Its arrays are its own.
        found.dw.indices[:] = 0
        np.testing.assert_array_equal(X.toarray(), rounded)
        mean = logreg_c.loss_and_gradient(X, Y, W, 0.5).dw
        np.testing.assert_allclose(expected.dw.mean(axis=0), mean, atol=1e-15)
    expected = logreg_c.per_example_gradients(DENSE, Y, W, 0.5)
    for X in (bare(CSR), bare(CSC)):
        dw = logreg_c.per_example_gradients(X, Y, W, 0.5).dw
        make = getattr(scipy.sparse, dw.format + "_array")
        found = make((dw.data, dw.indices, dw.indptr), shape=dw.shape)
        np.testing.assert_allclose(found.toarray(), expected.dw, rtol=1e-12, atol=1e-15)
    assert isinstance(
        logreg_c.per_example_gradients(scipy.sparse.coo_array(DENSE), Y, W).dw,
        scipy.sparse.csr_array,
    )


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (400, 900), (3, 20_000)], ids=str)
def test_check_gradient(shape, kind):
    entries = sparse_problems.entries(*shape, min(0.3, 3000 / (shape[0] * shape[1])))
    X = sparse_problems.held(*shape, *entries, kind + "-int32-float64")
    rng = np.random.default_rng(0)
    check = logreg_c.check_gradient(X, rng.random(shape[0]), rng.standard_normal(shape[1]), 0.3)
    assert check.ok
    assert len(check.kernel) == shape[1] + 1
    assert check.n_given == shape[0]


def test_check_gradient_finds_a_wrong_one(monkeypatch):
    from logreg_c import checking

    def wrong(X, y, w, b):
        found = logreg_c.loss_and_gradient(X, y, w, b)
        found.dw[2] *= 1.001
        return found

    monkeypatch.setattr(checking, "loss_and_gradient", wrong)
    assert not logreg_c.check_gradient(CSR, Y, W).ok


def test_noise_where_a_column_has_no_zeros():
    """What its zeros add is nothing, not what rounding makes of it."""
    X = np.ones((1000, 2))
    X[::2, 1] = 0.0
    s = np.random.default_rng(0).random(1000)
    # All gradients in the first column are alike.
    for weight in (None, s):
        found, expected = (
            logreg_c.gradient_noise(Z, np.zeros(1000), [0.0, 0.0], 0.3, sample_weight=weight)
            for Z in (scipy.sparse.csr_array(X), X)
        )
        assert found.dw[0] < 1e-15
        np.testing.assert_allclose(found.dw, expected.dw, rtol=1e-12, atol=1e-15)


def test_noise_in_several_pieces(monkeypatch):
    from logreg_c import _sparse

    expected = logreg_c.gradient_noise(CSR, Y, W, sample_weight=S).dw
    for entries in (1, 5, 37):
        monkeypatch.setattr(_sparse, "_ENTRIES_AT_ONCE", entries)
        found = logreg_c.gradient_noise(CSR, Y, W, sample_weight=S).dw
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def changed(name, at, value, X=CSR, **more):
    part = getattr(X, name).copy()
    part[at] = value
    return bare(X, **{name: part}, **more)


ROW = int(np.searchsorted(CSR.indptr, 20, side="right")) - 1
COLUMN = int(np.searchsorted(CSC.indptr, 20, side="right")) - 1
MALFORMED = {
    "index too large": (
        changed("indices", 20, D),
        ValueError,
        rf"X\.indices\[20\] is 7, in row {ROW}; X has 7 columns.* from 0 to 6",
    ),
    "index too large, csc": (
        changed("indices", 20, N, CSC),
        ValueError,
        rf"X\.indices\[20\] is 30, in column {COLUMN}; X has 30 rows.* from 0 to 29",
    ),
    "index negative": (changed("indices", 20, -1), ValueError, r"X\.indices\[20\] is -1, in row"),
    "index negative, csc": (
        changed("indices", 20, -1, CSC),
        ValueError,
        r"X\.indices\[20\] is -1, in column",
    ),
    "index far off": (
        bare(CSR, indices=np.full(len(CSR.indices), 2**40)),
        ValueError,
        r"X\.indices\[0\] is 1099511627776",
    ),
    "first start": (changed("indptr", 0, 1), ValueError, r"X\.indptr\[0\] is 1; the first row"),
    "first start, csc": (
        changed("indptr", 0, 1, CSC),
        ValueError,
        r"X\.indptr\[0\] is 1; the first column",
    ),
    "starts fall": (
        changed("indptr", 9, 99),
        ValueError,
        r"X\.indptr falls from 99 to .* at row 9",
    ),
    "starts fall, csc": (
        changed("indptr", 3, 84, CSC),
        ValueError,
        r"X\.indptr falls from 84 to .* at column 3",
    ),
    "starts negative": (changed("indptr", 9, -5), ValueError, r"X\.indptr falls .* at row 8"),
    # As when more than 2^31 entries were counted in int32.
    "starts overflow": (
        changed("indptr", -1, -(2**31)),
        ValueError,
        r"X\.indptr falls from \d+ to -2147483648 at row 29",
    ),
    "last start": (
        changed("indptr", -1, 10**6),
        ValueError,
        r"X\.indptr ends at 1000000 and X\.indices has 84 entries",
    ),
    "starts too few": (
        bare(CSR, indptr=CSR.indptr[:-1], format="csr"),
        ValueError,
        r"X\.indptr has 30 entries and X has shape \(30, 7\); give one per row and one more",
    ),
    "starts too few, csc": (
        bare(CSC, indptr=CSC.indptr[:-1], format="csc"),
        ValueError,
        r"X\.indptr has 7 entries .*give one per column and one more",
    ),
    "neither rows nor columns": (
        bare(CSR, indptr=CSR.indptr[:-1]),
        ValueError,
        r"does not tell whether it is by rows or by columns; give X\.format",
    ),
    "square": (
        bare(scipy.sparse.eye_array(N, format="csr")),
        ValueError,
        r"does not tell whether it is by rows or by columns; give X\.format",
    ),
    "data too short": (
        bare(CSR, data=CSR.data[:-1]),
        ValueError,
        r"X\.indices has 84 entries and X\.data 83",
    ),
    "two-dimensional": (
        bare(CSR, data=CSR.data[:, None]),
        ValueError,
        r"X\.data has 2 dimension\(s\)",
    ),
    "float indices": (
        bare(CSR, indices=CSR.indices.astype(float)),
        TypeError,
        r"X\.indices has dtype float64; give integers",
    ),
    "beyond int64": (
        bare(CSR, indices=CSR.indices.astype("u8") + np.uint64(2**63)),
        ValueError,
        r"X\.indices\[\d+\] is 92\d{17}, beyond the range of int64",
    ),
    "no indices": (
        SimpleNamespace(indptr=CSR.indptr, data=CSR.data, shape=CSR.shape),
        TypeError,
        "X is a SimpleNamespace with indptr and without indices; CSR and CSC have both",
    ),
    "float starts": (
        bare(CSR, indptr=CSR.indptr.astype(float)),
        TypeError,
        r"X\.indptr has dtype float64; give integers",
    ),
    "complex": (scipy.sparse.csr_array(DENSE + 1j), TypeError, r"X\.data has dtype complex128"),
    "objects": (bare(CSR, data=CSR.data.astype(object)), TypeError, r"X\.data has dtype object"),
    "nothing": (bare(CSR, data=None), TypeError, r"X\.data is None, a NoneType"),
    "another format": (
        bare(CSR, format="gcxs"),
        TypeError,
        r"X is a sparse SimpleNamespace of format 'gcxs'; give CSR or CSC",
    ),
    "no rows": (scipy.sparse.csr_array((0, D)), ValueError, r"X has no rows, shape \(0, 7\)"),
    "no columns": (scipy.sparse.csc_array((N, 0)), ValueError, r"X has no columns, shape"),
    "a shape beyond all arrays": (
        bare(CSR, shape=(N, 2**70), format="csr"),
        ValueError,
        r"X has shape \(30, 1180591620717411303424\); there are no arrays as long",
    ),
    "a shape of fractions": (bare(CSR, shape=(30.0, D)), TypeError, r"X\.shape is \(30\.0, 7\)"),
    "no shape": (bare(CSR, shape=None), TypeError, "X.shape is None; give the numbers of rows"),
    "masked": (
        bare(CSR, data=np.ma.masked_greater(CSR.data, 1.0)),
        ValueError,
        r"X\.data is a masked array with masked entries",
    ),
    "one dimension": (bare(CSR, shape=(N,)), ValueError, r"X has shape \(30,\); 2 dimensions"),
    "three dimensions": (bare(CSR, shape=(N, D, 1)), ValueError, r"X has shape \(30, 7, 1\); 2"),
}
for bad in (np.nan, np.inf, -np.inf):
    for X, name in ((CSR, "csr"), (CSC, "csc")):
        for kind in (np.float32, np.float64):
            lines = [int(np.searchsorted(X.indptr, 20, side="right")) - 1, int(X.indices[20])]
            i, j = lines if X is CSR else lines[::-1]
            MALFORMED[f"{bad}, {name}, {kind.__name__}"] = (
                bare(X, data=changed("data", 20, bad, X).data.astype(kind)),
                ValueError,
                rf"X\[{i}, {j}\] is {bad} \(row {i}, column {j}\)",
            )


def converted(form, **parts):
    """Return a matrix of one of SciPy's other formats, some of its arrays replaced."""
    X = scipy.sparse.csr_array(DENSE).asformat(form)
    for name, part in parts.items():
        setattr(X, name, part)
    return X


ROWS, COLUMNS = DENSE.nonzero()
M = len(ROWS)
UNFIT = {
    "row too large": (
        converted("coo", coords=(np.where(ROWS == 9, 10**6, ROWS), COLUMNS)),
        ValueError,
        r"X\.row\[\d+\] is 1000000, where X has shape \(30, 7\); give 0 to 29",
    ),
    "row negative": (
        converted("coo", coords=(np.where(ROWS == 9, -1, ROWS), COLUMNS)),
        ValueError,
        r"X\.row\[\d+\] is -1",
    ),
    "column too large": (
        converted("coo", coords=(ROWS, np.where(COLUMNS == 3, 10**6, COLUMNS))),
        ValueError,
        r"X\.col\[\d+\] is 1000000, where X has shape \(30, 7\); give 0 to 6",
    ),
    "column negative": (
        converted("coo", coords=(ROWS, np.where(COLUMNS == 3, -1, COLUMNS))),
        ValueError,
        r"X\.col\[\d+\] is -1",
    ),
    "fractions of rows": (
        converted("coo", coords=(ROWS + 0.5, COLUMNS)),
        TypeError,
        r"X\.row has dtype float64; give integers",
    ),
    "rows too few": (
        converted("coo", coords=(ROWS[:-1], COLUMNS)),
        ValueError,
        rf"X\.row has {M - 1} entries, X\.col {M} and X\.data {M}",
    ),
    "entries too few": (
        converted("coo", data=np.ones(M - 1)),
        ValueError,
        rf"X\.row has {M} entries, X\.col {M} and X\.data {M - 1}",
    ),
    "diagonals too few": (
        converted("dia", offsets=converted("dia").offsets[:-1]),
        ValueError,
        r"X\.offsets has \d+ entries and X\.data \d+ rows",
    ),
    "lists of different lengths": (
        converted("lil", data=np.array([[1.0]] * N + [[]], dtype=object)[:N]),
        ValueError,
        r"X\.rows and X\.data have lists of different lengths",
    ),
    "blocks beyond the end": (
        converted("bsr", indptr=np.full(N + 1, 10**6)),
        ValueError,
        "X is a BSR matrix whose arrays do not fit",
    ),
}


@pytest.mark.parametrize("function", [*FUNCTIONS, "check_gradient", "fit"])
@pytest.mark.parametrize("case", UNFIT)
def test_formats_that_scipy_would_convert_out_of_bounds(case, function):
    X, error, message = UNFIT[case]
    others = {
        "check_gradient": lambda X: logreg_c.check_gradient(X, Y, W),
        "fit": lambda X: logreg_c.fit(X, Y),
    }
    with pytest.raises(error, match=message):
        (FUNCTIONS | others)[function](X)


@pytest.mark.parametrize("form", ["coo", "dia", "lil", "bsr", "dok"])
def test_formats_that_are_sound_are_converted(form):
    np.testing.assert_array_equal(as_examples(converted(form)).dense(), DENSE)


@pytest.mark.parametrize("X", [CSR, CSC, DENSE], ids=["csr", "csc", "dense"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "call",
    [
        lambda X, w: logreg_c.forward(X, w),
        lambda X, w: logreg_c.predict(X, w),
        lambda X, w: logreg_c.predict_proba(X, w),
        lambda X, w: logreg_c.loss(X, Y, w),
        lambda X, w: logreg_c.loss_and_gradient(X, Y, w),
        lambda X, w: logreg_c.per_example_gradients(X, Y, w),
        lambda X, w: logreg_c.gradient_noise(X, Y, w),
        lambda X, w: logreg_c.check_gradient(X, Y, w),
        lambda X, w: logreg_c.gradient_descent(X, Y, w=w, n_iter=2),
    ],
)
def test_a_weight_that_is_not_finite_is_an_error_without_entries_too(call, bad, X):
    """A column without entries is one of zeros, and 0 times NaN is NaN."""
    wide = np.hstack((X, np.zeros((N, 1)))) if X is DENSE else bare(X, shape=(N, D + 1))
    if X is CSC:
        wide.indptr = np.append(X.indptr, X.indptr[-1])
    with pytest.raises(ValueError, match=rf"w\[7\] is {bad}"):
        call(wide, np.append(W, bad))


@pytest.mark.parametrize("function", [*FUNCTIONS, "check_gradient"])
@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_an_error(case, function):
    X, error, message = MALFORMED[case]
    call = FUNCTIONS.get(function, lambda X: logreg_c.check_gradient(X, Y, W))
    with pytest.raises(error, match=message):
        call(X)


@pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.csc_array])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_entries_times_zero_are_an_error(make, bad):
    X, y, w = make([[bad, 1.0], [1.0, 1.0]]), [0, 1], [0.0, 1.0]
    for function in (
        lambda: logreg_c.forward(X, w),
        lambda: logreg_c.backward(X, y, y),
        lambda: logreg_c.loss(X, y, w),
        lambda: logreg_c.loss_and_gradient(X, y, w, sample_weight=[0.0, 1.0]),
        lambda: logreg_c.per_example_gradients(X, y, w),
    ):
        with pytest.raises(ValueError, match=rf"X\[0, 0\] is {bad}"):
            function()


@pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_the_gradient_of_an_x_without_entries_is_checked(make):
    report = logreg_c.check_gradient(make((3, 2)), [0, 1, 1], [0.0, 1.0], 0.5)
    assert report.ok
    np.testing.assert_array_equal(report.kernel[:2], 0.0)


@pytest.mark.parametrize("X", [CSR, CSC], ids=["csr", "csc"])
def test_other_arguments(X):
    cases = [
        (dict(y=Y[:-1]), ValueError, "y has 29 entries and X has 30 rows"),
        (dict(w=W[:-1]), ValueError, "w has 6 entries and X has 7 columns"),
        (dict(w=np.append(W[:-1], np.nan)), ValueError, r"w\[6\] is nan"),
        (dict(w=W * 1e308), OverflowError, "scale the columns of X"),
        (dict(b=np.inf), ValueError, "b is inf"),
        (dict(y=Y * 2), ValueError, r"y\[0\] is 2.0; a label is 0, 1"),
        (dict(y=scipy.sparse.csr_array(Y[None])), TypeError, "y is a sparse csr_array; only X may"),
        (dict(w=scipy.sparse.csr_array(W[None])), TypeError, "w is a sparse csr_array; only X may"),
    ]
    for arguments, error, message in cases:
        given = dict(y=Y, w=W, b=0.0) | arguments
        for function in (
            logreg_c.loss,
            logreg_c.loss_and_gradient,
            logreg_c.per_example_gradients,
            logreg_c.gradient_noise,
            logreg_c.check_gradient,
        ):
            with pytest.raises(error, match=message):
                function(X * 10 if error is OverflowError else X, **given)
        if "y" not in arguments:
            with pytest.raises(error, match=message):
                logreg_c.forward(X * 10 if error is OverflowError else X, given["w"], given["b"])
    with pytest.raises(TypeError, match="sample_weight is a sparse csc_matrix; only X may"):
        logreg_c.loss(X, Y, W, sample_weight=scipy.sparse.csc_matrix(S[None]))
    with pytest.raises(ValueError, match="at least 2 examples"):
        logreg_c.gradient_noise(X[:1], Y[:1], W)
    with pytest.raises(OverflowError, match="scale the columns of X"):
        logreg_c.backward(X * 1e300, np.full(N, 1e10), Y)
