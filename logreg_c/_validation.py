# SPDX-License-Identifier: BSD-3-Clause
"""The only place that inspects what users pass in.

Arrays of the right kind pass through untouched; what can be converted without changing a number
is converted once; everything else gets an error that names the argument, what was found, and
what to do. Whether the entries of X are finite is not checked beforehand, which would cost a
pass: a result that is not finite makes the caller ask `explain_not_finite` why.
"""

from __future__ import annotations

import math
import sys
from operator import index
from typing import Any, NoReturn, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._compressed import Compressed
from ._formats import is_of_scipy, require_convertible
from ._integers import as_integer
from ._kernels import kernels

Floats = NDArray[np.float64]
# Positions of rows, columns or parameters.
Indices = NDArray[np.intp]
# X as the passes take it.
Matrix = NDArray[Any] | Compressed


class _CompressedLike(Protocol):
    """A CSR or CSC matrix of SciPy's or anyone's."""

    @property
    def indptr(self) -> Any: ...
    @property
    def indices(self) -> Any: ...
    @property
    def data(self) -> Any: ...
    @property
    def shape(self) -> Any: ...


class _Compressible(Protocol):
    """A sparse matrix of another format."""

    def tocsr(self) -> Any: ...


# X as people give it.
MatrixLike = ArrayLike | _CompressedLike | _Compressible

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
# Strengths of a grid, beyond which a number is a mistake.
MOST_STRENGTHS = 10**6
# Rows or columns for each of which there may be a float64.
MOST_LINES = sys.maxsize // 8
_PARTS = ("indptr", "indices", "data")
_LABEL_TYPES = frozenset(
    np.dtype(t) for t in (bool, np.uint8, np.int8, np.int32, np.int64, np.float32, np.float64)
)


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Make an array of real numbers, without a copy where value is one."""
    if is_sparse(value):
        raise TypeError(
            f"{name} is a sparse {type(value).__name__}; only X may be, pass {name}.toarray()"
        )
    refuse_masked(value, name)
    if isinstance(value, np.ma.MaskedArray):
        value = value.data
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{name} can't be made an array ({error}); are all rows as long?"
        ) from None
    if array.dtype.kind not in "biuf":
        if array.ndim == 0 and array.dtype.kind == "O":
            raise TypeError(f"{name} is {value!r:.100}, a {type(value).__name__}; give numbers")
        what = {
            "O": "Python objects; convert it, for example with .astype(float), so that what is "
            "not a number shows",
            "U": "text; convert it to numbers",
            "S": "bytes; convert it to numbers",
            "c": "complex numbers; take .real or .imag",
        }.get(array.dtype.kind, "no numbers; convert it")
        raise TypeError(f"{name} has dtype {array.dtype}: {what}")
    return array


def refuse_masked(value: Any, name: str) -> None:
    """Raise ValueError if entries are masked: what is below the mask would count as data."""
    parts = value if isinstance(value, list | tuple) else (value,)
    if any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts):
        what = "is a masked array with" if isinstance(value, np.ma.MaskedArray) else "has"
        raise ValueError(f"{name} {what} masked entries; fill them or drop their rows")


def as_examples(X: Any) -> Matrix:
    """Return X as a C- or Fortran-contiguous array (n, d) of float32 or float64, or compressed.

    Such an array comes back as it is, read-only and memory-mapped ones included. Integers,
    booleans, other floats and other layouts are converted, once. The arrays of a CSR or CSC matrix
    are used as they are, if their types are those that `Compressed` has.
    """
    if kernels.is_matrix(X):
        return cast("NDArray[Any]", X)
    if isinstance(X, Compressed):
        return X
    if is_sparse(X):
        return _compressed(by_lines(X))
    array = as_array(X, "X")
    if array.ndim != 2:
        hint = (
            "X.reshape(1, -1) makes it one example, X.reshape(-1, 1) one column"
            if array.ndim == 1
            else "give a table with an example a row"
        )
        raise ValueError(f"X has {array.ndim} dimension(s), shape {array.shape}; 2 needed: {hint}")
    if array.shape[0] == 0:
        raise ValueError(f"X has no rows, shape {array.shape}; give at least one example")
    if array.shape[1] == 0:
        raise ValueError(f"X has no columns, shape {array.shape}; give at least one")
    dtype = np.float32 if array.dtype.newbyteorder("=") == FLOAT32 else np.float64
    by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
    return np.require(array, dtype, ["F" if by_columns else "C", "A"])


def is_sparse(X: Any) -> bool:
    """Whether X says by its attributes that it is sparse."""
    # A frame has its columns as attributes, whatever they are called.
    return not hasattr(X, "columns") and (hasattr(X, "indptr") or hasattr(X, "tocsr"))


def by_lines(X: Any) -> Any:
    """Return a sparse X as it is if it is CSR or CSC, and else as CSR if it can be made that."""
    if getattr(X, "format", "csr") in ("csr", "csc") and hasattr(X, "indptr"):
        return X
    if not hasattr(X, "tocsr"):
        raise TypeError(
            f"X is a sparse {type(X).__name__} of format {X.format!r}; give CSR or CSC, "
            "or something with a method tocsr"
        )
    if is_of_scipy(X):
        require_convertible(X)
    return X.tocsr()


def _compressed(X: Any) -> Compressed:
    """Return the arrays of a CSR or CSC matrix, in types that the kernels read."""
    for name in (*_PARTS, "shape"):
        if not hasattr(X, name):
            raise TypeError(
                f"X is a {type(X).__name__} with indptr and without {name}; CSR and CSC have both"
            )
    indptr, indices, data = X.indptr, X.indices, X.data
    plain = kernels.are_lines(indptr, indices, data)
    if not plain:
        indptr, indices, data = (
            as_array(part, f"X.{name}")
            for part, name in zip((indptr, indices, data), _PARTS, strict=True)
        )
        for part, name in zip((indptr, indices, data), _PARTS, strict=True):
            if part.ndim != 1:
                raise ValueError(
                    f"X.{name} has {part.ndim} dimension(s); in CSR and CSC it has one"
                )
    shape = _shape_of(X)
    by_rows = _lines_are_rows(X, shape, len(indptr))
    if len(indptr) != shape[0 if by_rows else 1] + 1:
        raise ValueError(
            f"X.indptr has {len(indptr)} entries and X has shape {shape}; "
            f"give one per {'row' if by_rows else 'column'} and one more"
        )
    if len(indices) != len(data):
        raise ValueError(
            f"X.indices has {len(indices)} entries and X.data {len(data)}; each entry has both"
        )
    if plain:
        return Compressed(indptr, indices, data, shape, by_rows)
    dtype = np.float32 if data.dtype.newbyteorder("=") == FLOAT32 else np.float64
    return Compressed(
        _integers(indptr, "X.indptr"),
        _integers(indices, "X.indices"),
        np.require(data, dtype, ["C", "A"]),
        shape,
        by_rows,
    )


def _shape_of(X: Any) -> tuple[int, int]:
    """Return the rows and columns that a sparse X says it has."""
    try:
        shape = tuple(map(index, X.shape))
    except TypeError:
        raise TypeError(f"X.shape is {X.shape!r}; give the numbers of rows and columns") from None
    if len(shape) != 2:
        raise ValueError(f"X has shape {shape}; 2 dimensions needed, an example a row")
    if shape[0] < 1:
        raise ValueError(f"X has no rows, shape {shape}; give at least one example")
    if shape[1] < 1:
        raise ValueError(f"X has no columns, shape {shape}; give at least one")
    if max(shape) > MOST_LINES:
        raise ValueError(f"X has shape {shape}; there are no arrays as long: give its own shape")
    return shape[0], shape[1]


def _lines_are_rows(X: Any, shape: tuple[int, int], starts: int) -> bool:
    """Whether a compressed X is by rows: what it says, or else what fits its shape."""
    told = getattr(X, "format", None)
    if told in ("csr", "csc"):
        return bool(told == "csr")
    if shape[0] == shape[1] or starts not in (shape[0] + 1, shape[1] + 1):
        raise ValueError(
            f"X has shape {shape} and {starts} entries in indptr, which does not tell whether it "
            "is by rows or by columns; give X.format, 'csr' or 'csc'"
        )
    return starts == shape[0] + 1


def _integers(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}; give integers")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        k = int(array.argmax())
        raise ValueError(f"{name}[{k}] is {array[k]}, beyond the range of int64; give int64")
    dtype = np.int32 if array.dtype.newbyteorder("=") == np.dtype(np.int32) else np.int64
    return np.require(array, dtype, ["C", "A"])


def _vector(value: Any, name: str, length: int, per: str) -> NDArray[Any]:
    array = as_array(value, name)
    if array.ndim != 1:
        hint = f"pass numpy.ravel({name})" if array.size == length else f"give one entry per {per}"
        raise ValueError(f"{name} has shape {array.shape}; one dimension needed: {hint}")
    if array.shape[0] != length:
        raise ValueError(
            f"{name} has {array.shape[0]} entries and X has {length} {per}s; "
            f"give one entry per {per} (X has an example a row; pass X.T if yours are in columns)"
        )
    return array


def as_labels(y: Any, n: int) -> NDArray[Any]:
    """Return y as a contiguous array (n,) of a type the kernels read, whose range they check."""
    if kernels.are_labels(y, n):
        return cast("NDArray[Any]", y)
    array = _vector(y, "y", n, "row")
    dtype = array.dtype.newbyteorder("=")
    return np.require(array, dtype if dtype in _LABEL_TYPES else FLOAT64, ["C", "A"])


def as_floats(value: Any, name: str, length: int, per: str) -> Floats:
    """Return a contiguous float64 array (length,)."""
    if kernels.is_vector(value, length):
        return cast("Floats", value)
    return np.require(_vector(value, name, length, per), FLOAT64, ["C", "A"])


def as_weights(w: Any, X: Matrix) -> Floats:
    """Return the weights of the columns of X.

    The passes over a sparse X do not read those of columns without entries, so that they are
    looked at here.
    """
    w = as_floats(w, "w", X.shape[1], "column")
    if isinstance(X, Compressed):
        _require_finite(w, "w")
    return cast("Floats", w)


def as_sample_weight(sample_weight: Any, n: int) -> tuple[Floats | None, float]:
    """Return the weights (None: all 1) and their sum, which is above zero and finite."""
    if sample_weight is None:
        return None, float(n)
    s = as_floats(sample_weight, "sample_weight", n, "row")
    with np.errstate(over="ignore"):
        total = float(s.sum())
    if not math.isfinite(total):
        _require_finite(s, "sample_weight")
        raise ValueError("sample_weight adds up to infinity; divide it by its largest entry")
    if s.min() < 0:
        i = int(np.argmax(s < 0))
        raise ValueError(f"sample_weight[{i}] is {s[i]}; weights must be 0 or above")
    if total == 0:
        raise ValueError("sample_weight is zero for every row; give at least one a weight above 0")
    if total < 1e-290:
        # Only their ratios matter, and near the end of the range those would be rounded.
        s = s * 2.0**1000
        total = float(s.sum())
    return s, total


def as_bias(b: Any) -> float:
    """Return b, a number or an array with one entry, as a float."""
    return b if type(b) is float else _number(b, "b")


def _number(value: Any, name: str) -> float:
    """Return a number, or an array with one entry, as a float."""
    if value is None or isinstance(value, str):
        raise TypeError(f"{name} is {value!r}; give a number")
    array = as_array(value, name)
    if array.size != 1:
        raise ValueError(f"{name} has shape {array.shape}; give one number")
    return float(array.item())


def as_number(
    value: Any, name: str, *, above: float = -math.inf, least: float = -math.inf
) -> float:
    """Return a finite float above one bound and not below another."""
    number = value if type(value) is float else _number(value, name)
    if not (math.isfinite(number) and number > above and number >= least):
        bound = f"above {above:g}" if above > -math.inf else f"of {least:g} or above"
        raise ValueError(f"{name} is {number}; give a finite number {bound}")
    return number


def as_count(value: Any, name: str, most: float = math.inf) -> int:
    """Return an integer from 1 to `most`."""
    count = as_integer(value)
    if count is None:
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}; give an integer")
    if not 1 <= count <= most:
        upper = "" if most == math.inf else f" to {most}"
        raise ValueError(f"{name} is {count}; give an integer from 1{upper}")
    return count


def as_flag(value: Any, name: str) -> bool:
    """Return True or False, for which 1 and 0 will do; text would be true, whatever it says."""
    if isinstance(value, np.bool_) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise TypeError(f"{name} is {value!r}, a {type(value).__name__}; give True or False")


def require_callable(value: Any, name: str) -> None:
    """Raise TypeError unless it is None or can be called."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}; give a function, or None")


def require_labels_in_range(y: NDArray[Any]) -> None:
    """Raise if a label is not in [0, 1]."""
    inside = (y >= 0) & (y <= 1)
    if inside.all():
        return
    i = int(np.argmin(inside))
    if not np.isfinite(y[i]):
        raise ValueError(f"y[{i}] is {y[i]}; drop row {i} or give its label")
    values = np.unique(y[:10_000])
    hint = (
        f"for the two labels here use (y == {values[1]}).astype(float)"
        if len(values) == 2
        else "make the label of one class 1 and of the others 0, as in (y == label).astype(float)"
    )
    raise ValueError(f"y[{i}] is {y[i]}; a label is 0, 1, or a probability in between: {hint}")


def _require_finite(values: NDArray[Any], name: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        i = int(np.argmin(finite))
        raise ValueError(f"{name}[{i}] is {values[i]}; give finite numbers")


def require_finite_examples(X: Matrix) -> None:
    """Raise if an entry of X is NaN or infinite, naming its row and column."""
    if isinstance(X, Compressed):
        if X.data is None:
            return
        finite = np.isfinite(X.data[: X.indptr[-1]])
        if not finite.all():
            k = int(np.argmin(finite))
            i, j = X.where(k)
            _raise_not_finite(i, j, X.data[k])
        return
    rows = max(1, 1_000_000 // X.shape[1])
    for start in range(0, X.shape[0], rows):
        finite = np.isfinite(X[start : start + rows])
        if not finite.all():
            i, j = (int(k) for k in np.argwhere(~finite)[0])
            _raise_not_finite(start + i, j, X[start + i, j])


def _raise_not_finite(i: int, j: int, entry: Any) -> NoReturn:
    raise ValueError(
        f"X[{i}, {j}] is {entry} (row {i}, column {j}); "
        "drop such rows or fill such entries before the call"
    )


def explain_not_finite(X: Matrix, w: Floats, b: float, y: NDArray[Any] | None = None) -> NoReturn:
    """Raise the error that tells why a pass gave a number that is not finite."""
    require_finite_examples(X)
    if y is not None:
        require_labels_in_range(y)
    _require_finite(w, "w")
    if not math.isfinite(b):
        raise ValueError(f"b is {b}; give a finite number")
    raise OverflowError(
        "X, w and b are finite, but X @ w + b or the average of the loss is beyond the range of "
        "float64; scale the columns of X (and an offset), or start from smaller weights"
    )
