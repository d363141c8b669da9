# SPDX-License-Identifier: BSD-3-Clause
"""The passes as functions: forward, loss, gradient, prediction.

Everywhere, X holds an example a row, shape (n, d), float32 or float64, C- or Fortran-contiguous,
read-only or memory-mapped, and is never copied. (Any other layout or type is converted once.)
People who keep examples in columns pass ``X.T``, which costs nothing. X may also be sparse: a CSR
or CSC matrix or array of SciPy's, or anything with their indptr, indices, data and shape, int32 or
int64, float32 or float64, is used as it is; entries may come in any order, those that come twice
are added up, and nothing is filled in. Other sparse formats are converted once, by their own
``tocsr``. A weight has to be finite where its column has no entries too, as for a dense X, whose
zeros times NaN are NaN. A masked array is taken if no entry is masked.

All arithmetic and all results are float64. `sample_weight` None counts every example 1. The number
of threads never changes a bit of a result.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeGuard, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _kernels
from ._compressed import Compressed
from ._entries import examined
from ._formats import is_of_scipy
from ._sparse import Sparse, squared_deviations
from ._validation import (
    FLOAT32,
    Floats,
    Matrix,
    MatrixLike,
    as_array,
    as_bias,
    as_examples,
    as_floats,
    as_labels,
    as_number,
    as_sample_weight,
    as_weights,
    by_lines,
    explain_not_finite,
    is_sparse,
    require_finite_examples,
    require_labels_in_range,
)

# Squares below this have lost digits, or all of them.
SMALLEST_SQUARE = 1e-290


class LossAndGradient(NamedTuple):
    """The averaged loss and its gradient."""

    loss: float
    dw: Floats
    db: float


class Gradient(NamedTuple):
    """One number per weight, and one for the bias: per example, or over all of them."""

    dw: Floats
    db: Any


@overload
def sigmoid(z: float) -> float: ...
@overload
def sigmoid(z: ArrayLike) -> Any: ...
def sigmoid(z: ArrayLike) -> Any:
    r"""Compute :math:`\sigma(z) = 1 / (1 + e^{-z})`, entry by entry, without overflow.

    Parameters
    ----------
    z : array_like of float, any shape
        0 and 1 at -inf and inf; NaN stays NaN.

    Returns
    -------
    float or ndarray
        The shape of z; float32 where z is float32, else float64; a float for a single number.

    Raises
    ------
    TypeError
        If z is not made of real numbers.

    Examples
    --------
    >>> from logreg_c import sigmoid
    >>> sigmoid(0)
    0.5
    >>> sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    array = as_array(z, "z")
    flat = np.ascontiguousarray(array, dtype=np.float64).ravel()
    out = np.empty(flat.shape)
    if flat.size:
        _kernels.kernels.sigmoid(flat, out, _kernels.threads_of_call(None))
    if array.ndim == 0:
        return float(out[0])
    result = out.reshape(array.shape)
    return result.astype(np.float32) if array.dtype == FLOAT32 else result


def forward(X: MatrixLike, w: ArrayLike, b: float = 0.0, *, n_threads: int | None = None) -> Floats:
    r"""Compute the predictions :math:`a = \sigma(X w + b)`, the forward pass.

    Parameters
    ----------
    X : array_like or sparse of shape (n, d)
        Examples in rows.
    w : array_like of shape (d,)
        Weights.
    b : float
        Bias.
    n_threads : int, optional
        Threads of this call; see `set_num_threads` for the default.

    Returns
    -------
    ndarray of shape (n,), float64
        The probability of label 1 for each example.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, or something is not a finite number; the message names it.
    OverflowError
        If Xw + b is beyond the range of float64.

    Examples
    --------
    >>> from logreg_c import forward
    >>> forward([[1.0, 2.0], [0.0, 0.0]], w=[2.0, -1.0])
    array([0.5, 0.5])
    """
    X = as_examples(X)
    n = X.shape[0]
    w = as_weights(w, X)
    b = as_bias(b)
    threads = _kernels.threads_of_call(n_threads)
    a = np.empty(n)
    if _by_columns(X):
        passes, theta = _passes(X, None, None, float(n), threads), np.append(w, b)[None]
        z = passes.margins(theta)
        fine = bool(np.isfinite(z).all())
        _kernels.kernels.sigmoid(z, a, threads)
    else:
        fine = _kernels.kernels.forward(X, w, b, a, threads)
    if not fine:
        explain_not_finite(X, w, b)
    return a


def _by_columns(X: Matrix) -> TypeGuard[Compressed]:
    """Whether X is a CSC matrix, which one pass does not do: its products are."""
    return isinstance(X, Compressed) and not X.by_rows


def _passes(X: Compressed, y: Any, s: Floats | None, total: float, threads: int) -> Sparse:
    """Return the products of a sparse X.

    They leave out lines that are multiplied by 0, so that entries are looked at here.
    """
    require_finite_examples(X)
    labels = np.empty((1, 0)) if y is None else y.astype(np.float64)[None]
    return Sparse(X, labels, 1, s, total, None, threads)


def backward(
    X: MatrixLike,
    a: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
) -> Gradient:
    r"""Compute the averaged gradient from what `forward` left: the backward pass.

    .. math:: dz = a - y, \qquad dw = \frac{\sum_i s_i\, dz_i\, x_i}{\sum_i s_i}, \qquad
              db = \frac{\sum_i s_i\, dz_i}{\sum_i s_i}

    Parameters
    ----------
    X : array_like or sparse of shape (n, d)
        Examples in rows.
    a : array_like of shape (n,)
        Predictions, as `forward` gives them; only checked to be finite.
    y : array_like of shape (n,)
        Labels: booleans, 0 and 1, or probabilities.
    sample_weight : array_like of shape (n,), optional
        Weights s of the examples.
    n_threads : int, optional
        Threads of this call.

    Returns
    -------
    Gradient
        dw, shape (d,), and db, in nats per unit of w and b.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, or something is not a finite number or not in its range.

    Examples
    --------
    >>> from logreg_c import backward
    >>> backward([[1.0, 2.0]], a=[0.75], y=[1])
    Gradient(dw=array([-0.25, -0.5 ]), db=-0.25)
    """
    X = as_examples(X)
    n, d = X.shape
    y = as_labels(y, n)
    require_labels_in_range(y)
    a = as_floats(a, "a", n, "row")
    if not np.isfinite(a).all():
        i = int(np.argmin(np.isfinite(a)))
        raise ValueError(f"a[{i}] is {a[i]}; give what forward gave")
    s, total = as_sample_weight(sample_weight, n)
    r = (a - y) / total if s is None else (a - y) * (s / total)
    dw = np.empty(d)
    threads = _kernels.threads_of_call(n_threads)
    if _by_columns(X):
        sums = _passes(X, None, None, total, threads).transpose_product(r[None])[0]
        dw, db = sums[:d], float(sums[d])
    else:
        if isinstance(X, Compressed):
            require_finite_examples(X)  # rows where a is y are left out
        db = _kernels.kernels.transpose_product(X, r, dw, threads)
    if not np.isfinite(dw).all():
        require_finite_examples(X)
        raise OverflowError("X'(a - y) is beyond the range of float64; scale the columns of X")
    return Gradient(dw, db)


def loss(
    X: MatrixLike,
    y: ArrayLike,
    w: ArrayLike,
    b: float = 0.0,
    *,
    sample_weight: ArrayLike | None = None,
    l2: float = 0.0,
    n_threads: int | None = None,
) -> float:
    r"""Compute the averaged cross-entropy, penalty included: J of `loss_and_gradient`.

    Takes and raises what `loss_and_gradient` does.

    Returns
    -------
    float
        In nats per unit of weight.

    Examples
    --------
    >>> from logreg_c import loss
    >>> round(loss([[1.0], [-1.0]], [1, 0], w=[0.0]), 6)
    0.693147
    """
    return _evaluate(as_examples(X), y, w, b, sample_weight, l2, n_threads, None)[0]


def loss_and_gradient(
    X: MatrixLike,
    y: ArrayLike,
    w: ArrayLike,
    b: float = 0.0,
    *,
    sample_weight: ArrayLike | None = None,
    l2: float = 0.0,
    n_threads: int | None = None,
) -> LossAndGradient:
    r"""Compute the averaged cross-entropy and its gradient, reading X once.

    .. math::

        J(w, b) = \frac{\sum_i s_i L_i}{\sum_i s_i} + \frac{l_2}{2} \|w\|^2, \qquad
        L_i = -y_i \log a_i - (1 - y_i) \log (1 - a_i), \quad a_i = \sigma(x_i w + b)

    The loss is computed from z = Xw + b, so it never overflows and never takes the log of 0.

    Parameters
    ----------
    X : array_like or sparse of shape (n, d)
        Examples in rows; float32 or float64, C- or Fortran-contiguous, is used as it is.
    y : array_like of shape (n,)
        Labels: booleans, 0 and 1, or probabilities in [0, 1] (soft labels).
    w : array_like of shape (d,)
        Weights.
    b : float
        Bias; never penalised.
    sample_weight : array_like of shape (n,), optional
        Weights s of the examples, none negative, not all 0.
    l2 : float
        Strength of the ridge penalty, 0 or above.
    n_threads : int, optional
        Threads of this call; see `set_num_threads` for the default.

    Returns
    -------
    LossAndGradient
        loss (nats per unit of weight), dw of shape (d,) and db.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, a label is not in [0, 1], or something is not a finite number; the
        message names the argument, its row and column, and what to do.
    OverflowError
        If Xw + b is beyond the range of float64.

    Examples
    --------
    >>> from logreg_c import loss_and_gradient
    >>> loss, dw, db = loss_and_gradient([[1.0, 2.0], [3.0, -1.0]], [1, 0], w=[0.0, 0.0])
    >>> round(loss, 6), dw, db
    (0.693147, array([ 0.5 , -0.75]), 0.0)
    """
    X = as_examples(X)
    dw = np.empty(X.shape[1])
    loss, db = _evaluate(X, y, w, b, sample_weight, l2, n_threads, dw)
    return LossAndGradient(loss, dw, db)


def _evaluate(
    X: Matrix,
    y: Any,
    w: Any,
    b: Any,
    sample_weight: Any,
    l2: Any,
    n_threads: Any,
    dw: Floats | None,
) -> tuple[float, float]:
    """Return J and db, and fill dw if it is given."""
    n, d = X.shape
    y = as_labels(y, n)
    w = as_weights(w, X)
    b = as_bias(b)
    s, total = as_sample_weight(sample_weight, n)
    threads = _kernels.threads_of_call(n_threads)
    if _by_columns(X):
        require_labels_in_range(y)
        passes, theta = _passes(X, y, s, total, threads), np.append(w, b)[None]
        loss, r = passes.residuals(passes.margins(theta))
        outside = db = 0.0
        if dw is not None:
            sums = passes.transpose_product(r)[0]
            dw[:], db = sums[:d], float(sums[d])
    else:
        loss, db, outside = _kernels.kernels.loss_and_gradient(X, y, w, b, s, total, dw, threads)
    if outside or not math.isfinite(loss):
        explain_not_finite(X, w, b, y)
    if type(l2) is float and l2 == 0.0:
        return loss, db
    l2 = as_number(l2, "l2", least=0.0)
    with np.errstate(over="ignore"):
        pull = l2 * w
        # Not w @ w: the bits of BLAS depend on its own number of threads.
        loss += 0.5 * float(np.add.reduce(pull * w))
    if not (math.isfinite(loss) and np.isfinite(pull).all()):
        raise OverflowError(
            "l2/2 * ||w||^2 or its gradient is beyond the range of float64; take smaller weights"
        )
    if dw is not None:
        dw += pull
    return loss, db


def per_example_gradients(
    X: MatrixLike, y: ArrayLike, w: ArrayLike, b: float = 0.0, *, n_threads: int | None = None
) -> Gradient:
    r"""Compute each example's own gradient, :math:`dw_i = dz_i\, x_i` and :math:`db_i = dz_i`.

    Their average over the examples is the gradient of `loss_and_gradient`.

    Parameters
    ----------
    X : array_like or sparse of shape (n, d)
        Examples in rows.
    y : array_like of shape (n,)
        Labels.
    w : array_like of shape (d,)
        Weights.
    b : float
        Bias.
    n_threads : int, optional
        Threads of this call.

    Returns
    -------
    Gradient
        dw of shape (n, d), float64, in the memory layout of X, and db of shape (n,). For a sparse
        X dw is sparse, with an entry for each of X: of the same class if that is one of SciPy's,
        and else an object with the attributes indptr, indices, data, shape and format.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As `loss_and_gradient`.

    Examples
    --------
    >>> from logreg_c import per_example_gradients
    >>> per_example_gradients([[1.0, 2.0], [3.0, -1.0]], [1, 0], w=[0.0, 0.0]).dw
    array([[-0.5, -1. ],
           [ 1.5, -0.5]])
    """
    if is_sparse(X):
        return _sparse_per_example_gradients(by_lines(X), y, w, b, n_threads)
    X = cast("NDArray[Any]", as_examples(X))
    n, d = X.shape
    y = as_labels(y, n)
    w = as_weights(w, X)
    b = as_bias(b)
    dw = np.empty((n, d), order="C" if X.flags.c_contiguous else "F")
    db = np.empty(n)
    total, outside = _kernels.kernels.per_example_gradients(
        X, y, w, b, dw, db, _kernels.threads_of_call(n_threads)
    )
    if outside:
        explain_not_finite(X, w, b, y)
    if not math.isfinite(total):
        # The sum of the losses may overflow where no z does; forward raises if one does.
        require_labels_in_range(y)
        forward(X, w, b, n_threads=n_threads)
    return Gradient(dw, db)


def _sparse_per_example_gradients(given: Any, y: Any, w: Any, b: Any, n_threads: Any) -> Gradient:
    X = cast("Compressed", as_examples(given))
    n = X.shape[0]
    y = as_labels(y, n)
    require_labels_in_range(y)
    w = as_weights(w, X)
    b = as_bias(b)
    passes = _passes(X, y, None, 1.0, _kernels.threads_of_call(n_threads))
    theta = np.append(w, b)[None]
    z = passes.margins(theta)
    if not np.isfinite(z).all():
        explain_not_finite(X, w, b)
    db = passes.residuals(z)[1][0]
    dw: Any = X.scaled_rows(db)
    if is_of_scipy(given):
        dw = type(given)((dw.data, dw.indices, dw.indptr), shape=dw.shape)
    return Gradient(dw, db)


def gradient_noise(
    X: MatrixLike,
    y: ArrayLike,
    w: ArrayLike,
    b: float = 0.0,
    *,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
) -> Gradient:
    r"""Estimate the standard error of each component of the averaged gradient.

    With :math:`g_i` the gradient of example i, :math:`\bar g` their weighted average and
    :math:`p_i = s_i / \sum_k s_k`,

    .. math:: \mathrm{se} = \sqrt{\frac{n}{n-1} \sum_i p_i^2 (g_i - \bar g)^2}

    which for equal weights is the standard deviation of the examples' gradients divided by
    :math:`\sqrt n`: averaging over more examples removes noise as one over the root of their
    number.

    Parameters
    ----------
    X : array_like or sparse of shape (n, d)
        Examples in rows; at least two.
    y : array_like of shape (n,)
        Labels.
    w : array_like of shape (d,)
        Weights.
    b : float
        Bias.
    sample_weight : array_like of shape (n,), optional
        Weights s of the examples.
    n_threads : int, optional
        Threads of this call.

    Returns
    -------
    Gradient
        The standard errors of dw, shape (d,), and of db. Takes three reads of X. Of a sparse
        X more, which is copied unless it is by rows whose entries are in order.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As `loss_and_gradient`, and ValueError for a single example.

    Examples
    --------
    >>> from logreg_c import gradient_noise
    >>> gradient_noise([[1.0], [1.0], [1.0], [1.0]], [1, 0, 1, 0], w=[0.0]).dw.round(6)
    array([0.288675])
    """
    X = as_examples(X)
    n, d = X.shape
    w, b = as_floats(w, "w", d, "column"), as_bias(b)
    if n < 2:
        raise ValueError("X has 1 row; the noise of an average needs at least 2 examples")
    y = as_labels(y, n)
    require_labels_in_range(y)
    s, total = as_sample_weight(sample_weight, n)
    threads = _kernels.threads_of_call(n_threads)
    if isinstance(X, Compressed):
        X = examined(X, threads).X
    dz = forward(X, w, b, n_threads=n_threads) - y
    average = np.empty(d + 1)
    share = dz / total if s is None else dz * (s / total)
    average[d] = _kernels.kernels.transpose_product(X, share, average[:d], threads)
    if isinstance(X, Compressed):
        weights = np.full(n, 1.0 / total) if s is None else s / total
        squares = squared_deviations(X, dz, weights, average)
    else:
        squares = np.empty(d + 1)
        _kernels.kernels.squared_deviations(X, dz, s, total, average, squares, threads)
    small = (average != 0.0) & (average * average < SMALLEST_SQUARE)
    lost = ~np.isfinite(squares) | (small & (squares < SMALLEST_SQUARE))
    if lost.any():
        j = int(lost.argmax())
        where = f"column {j}" if j < d else "the bias"
        raise OverflowError(
            f"the squares of the gradients of {where} are beyond the range of float64; scale the "
            "columns of X"
        )
    noise = np.sqrt(squares * (n / (n - 1)))
    return Gradient(noise[:d], float(noise[d]))


def predict_proba(
    X: MatrixLike, w: ArrayLike, b: float = 0.0, *, n_threads: int | None = None
) -> Floats:
    """Compute the probabilities of both labels, 1 - a and a, as scikit-learn's method does.

    Takes and raises what `forward` does, which gives a alone.

    Returns
    -------
    ndarray of shape (n, 2), float64
        Column 0 the probability of label 0, column 1 of label 1.

    Examples
    --------
    >>> from logreg_c import predict_proba
    >>> predict_proba([[0.0], [2.0]], w=[1.0]).round(3)
    array([[0.5  , 0.5  ],
           [0.119, 0.881]])
    """
    a = forward(X, w, b, n_threads=n_threads)
    return np.column_stack((1.0 - a, a))


def predict(
    X: MatrixLike,
    w: ArrayLike,
    b: float = 0.0,
    *,
    threshold: float = 0.5,
    n_threads: int | None = None,
) -> NDArray[np.int64]:
    """Predict labels: 1 where the prediction a is above the threshold, else 0.

    Takes and raises what `forward` does, and ValueError for a threshold outside [0, 1].

    Returns
    -------
    ndarray of shape (n,), int64
        Labels 0 and 1.

    Examples
    --------
    >>> from logreg_c import predict
    >>> predict([[-1.0], [0.0], [2.0]], w=[1.0])
    array([0, 0, 1])
    """
    threshold = as_number(threshold, "threshold", least=0.0)
    if threshold > 1.0:
        raise ValueError(f"threshold is {threshold}; give a probability, from 0 to 1")
    return (forward(X, w, b, n_threads=n_threads) > threshold).astype(np.int64)
