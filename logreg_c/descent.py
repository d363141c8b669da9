# SPDX-License-Identifier: BSD-3-Clause
"""Gradient descent with a fixed learning rate: the textbook's loop, run inside the kernels."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import _kernels
from ._compressed import Compressed
from ._entries import examined
from ._progress import Bar
from ._validation import (
    Floats,
    MatrixLike,
    as_bias,
    as_count,
    as_examples,
    as_flag,
    as_floats,
    as_labels,
    as_number,
    as_sample_weight,
    require_callable,
)
from .api import loss

# A loss this many times the one at the start, or log 2 if that is larger, has diverged.
DIVERGED_RISE = 1000.0

# A loss that ends this many times the one at the start is worth a warning; single examples and
# small batches make it waver by less.
WARNED_RISE = 1.1

# A history of more passes than this would hardly fit in memory.
MOST_PASSES = 10**9

# How long the kernels run between two looks at a progress bar.
_BAR_SECONDS = 0.1


class DescentState(NamedTuple):
    """What `callback` is shown after each pass."""

    n_iter: int
    loss: float
    w: Floats
    b: float


class GradientDescentResult(NamedTuple):
    """What `gradient_descent` returns."""

    w: Floats
    b: float
    loss_history: Floats
    reason: str

    @property
    def n_iter(self) -> int:
        """The number of passes over the examples."""
        return len(self.loss_history)


def gradient_descent(
    X: MatrixLike,
    y: ArrayLike,
    *,
    learning_rate: float = 0.1,
    n_iter: int = 100,
    batch_size: int | None = None,
    w: ArrayLike | None = None,
    b: float = 0.0,
    l2: float = 0.0,
    sample_weight: ArrayLike | None = None,
    shuffle: bool = False,
    random_state: int | np.random.Generator | None = 0,
    tol: float | None = None,
    callback: Callable[[DescentState], object] | None = None,
    progress: bool = False,
    n_threads: int | None = None,
) -> GradientDescentResult:
    r"""Train by :math:`w \leftarrow w - \alpha\, dw`, :math:`b \leftarrow b - \alpha\, db`.

    Follows the textbook's loop exactly: for each pass over the examples, for each batch in turn,
    forward, backward, average, update. For the whole set at once the gradient is that of
    `loss_and_gradient`; in a batch B of examples with weights s it is

    .. math:: dw = \frac{1}{|B|} \sum_{i \in B} \frac{s_i}{\bar s}\, dz_i\, x_i + l_2\, w

    with :math:`\bar s` the mean of all weights, so that the batches' gradients average to it.

    Parameters
    ----------
    X : array_like or sparse of shape (n, d)
        Examples in rows. Columns of very different scales make any learning rate too large for
        some and too small for others: standardise them first. A sparse X is copied once
        unless it is by rows (CSR) whose entries are in order; an update takes time for all d
        weights, however few entries a batch has.
    y : array_like of shape (n,)
        Labels: booleans, 0 and 1, or probabilities.
    learning_rate : float
        The step alpha, above 0.
    n_iter : int
        Passes over the examples (for batch_size None: updates).
    batch_size : int, optional
        Examples an update: 1 is stochastic gradient descent, None all of them. The last batch of
        a pass may be smaller.
    w : array_like of shape (d,), optional
        Where to start; zeros if not given. Not changed.
    b : float
        Where the bias starts.
    l2 : float
        Strength of the ridge penalty on w.
    sample_weight : array_like of shape (n,), optional
        Weights of the examples.
    shuffle : bool
        Take the examples in a new random order in each pass (if the batch is not the whole set):
        ``rng.permutation(n)`` with ``rng = np.random.default_rng(random_state)``.
    random_state : int, numpy.random.Generator or None
        Seed of these orders; the same seed gives the same bits. None: others in each call.
    tol : float, optional
        Stop when the loss changes by at most this from one pass to the next; None: never.
    callback : callable, optional
        Called with a `DescentState` (n_iter, loss, w, b; its own copies) after each pass; a true
        return value stops.
    progress : bool
        Show a bar (needs tqdm).
    n_threads : int, optional
        Threads of this call. The result does not depend on it.

    Returns
    -------
    GradientDescentResult
        w, b, loss_history (an entry a pass: the averaged J that the forward passes found, each
        before its update), reason (in words), and the property n_iter.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong; the message says what to do.
    ImportError
        If progress is asked for and tqdm is not installed.
    KeyboardInterrupt
        On Ctrl-C, within a fraction of a second; nothing passed in has changed. Use a callback
        to keep intermediate states.

    Warns
    -----
    RuntimeWarning
        If the loss became a thousand times the one at the start or left the range of float64 (it
        diverged; w and b are the last ones with a loss in bounds), or ended more than a tenth
        above the one at the start: the learning rate is too large.

    Examples
    --------
    >>> from logreg_c import gradient_descent
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> result = gradient_descent(X, y, learning_rate=0.5, n_iter=200)
    >>> result.w.round(2), round(result.b, 2)
    (array([3.38]), -4.77)
    >>> result.reason
    'all 200 passes done'
    """
    X = as_examples(X)
    n, d = X.shape
    y = as_labels(y, n)
    s, total = as_sample_weight(sample_weight, n)
    w = np.zeros(d) if w is None else as_floats(w, "w", d, "column").copy()
    bias = np.array([as_bias(b)])
    rate = as_number(learning_rate, "learning_rate", above=0.0)
    l2 = as_number(l2, "l2", least=0.0)
    change = -1.0 if tol is None else as_number(tol, "tol", least=0.0)
    passes = as_count(n_iter, "n_iter", MOST_PASSES)
    require_callable(callback, "callback")
    batch = n if batch_size is None else min(n, as_count(batch_size, "batch_size"))
    threads = _kernels.threads_of_call(n_threads)
    if isinstance(X, Compressed):
        X = examined(X, threads).X
    orders = _orders(random_state) if as_flag(shuffle, "shuffle") and batch < n else None

    # One forward pass at the start tells bad data and a bad start from a bad learning rate.
    start = loss(X, y, w, float(bias[0]), sample_weight=s, l2=l2, n_threads=threads)
    ceiling = DIVERGED_RISE * max(start, math.log(2))
    last = np.append(w, bias)
    history = np.empty(passes)
    done, stop, called_off = 0, 0, False
    several = 1
    with Bar("gradient descent", "pass", passes, progress) as bar:
        while done < passes and not stop and not called_off:
            # Whoever wants to hear of each pass, or to reorder it, gets one pass at a time.
            if callback is None and orders is None:
                until = min(passes, done + several) if progress else passes
            else:
                until = done + 1
            order = None if orders is None else orders.permutation(n).astype(np.intp, copy=False)
            began = time.perf_counter()
            before = done
            done, stop = _kernels.kernels.descend(
                X, y, s, total, order, batch, rate, l2, change, ceiling,
                w, bias, last, history, done, until, threads,
            )  # fmt: skip
            if time.perf_counter() - began < _BAR_SECONDS:
                several *= 2
            bar.update(done - before)
            if callback is not None and done > before:
                state = DescentState(done, float(history[done - 1]), w.copy(), float(bias[0]))
                called_off = bool(callback(state))

    diverged = stop == _kernels.kernels.DIVERGED
    if diverged:
        end = float(history[done])
    else:
        # The last update has not been looked at yet.
        try:
            end = loss(X, y, w, float(bias[0]), sample_weight=s, l2=l2, n_threads=threads)
        except OverflowError:
            end = math.inf
        diverged = end > ceiling
        if diverged:
            w, bias = last[:d].copy(), last[d:]
            done -= 1
    if diverged:
        reason = f"diverged in pass {done + 1}"
    elif called_off:
        reason = f"callback stopped it after pass {done}"
    elif stop == _kernels.kernels.CONVERGED_BY_TOL:
        reason = f"the loss changed by at most tol={change:g} in pass {done}"
    else:
        reason = f"all {done} passes done"
    if diverged or end > WARNED_RISE * start:
        reason += _too_large(rate, l2, start, end, diverged)
        warnings.warn(reason, RuntimeWarning, stacklevel=2)
    return GradientDescentResult(w, float(bias[0]), history[:done].copy(), reason)


def _orders(random_state: Any) -> np.random.Generator:
    """Return what the orders of the examples are drawn from."""
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"random_state is {random_state!r}, a {type(random_state).__name__}; give an integer "
            "of 0 or above, or a numpy.random.Generator"
        ) from None


def _too_large(rate: float, l2: float, start: float, end: float, diverged: bool) -> str:
    """Return what tells that the learning rate is too large, by the loss at start and end."""
    rise = f"went from {start:.6g} to {end:.6g}" if end > start else "left no finite weights"
    # The penalty alone makes weights of more than opposite sign from there on.
    for_what, cure = "these columns", "standardise them, or take a smaller one"
    if rate * l2 >= 2.0:
        for_what, cure = f"l2={l2:g}", f"take one below 2 / l2 = {2.0 / l2:g}"
    told = f": the loss {rise}, so learning_rate={rate:g} is too large for {for_what}; {cure}"
    return f"{told}. w and b are the last ones with a loss in bounds" if diverged else told
