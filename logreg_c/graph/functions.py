# SPDX-License-Identifier: BSD-3-Clause
"""The functions that, with + - * / and **, build a graph. Each takes nodes or numbers."""

from __future__ import annotations

from collections.abc import Iterable

from . import operations
from .node import Node, Operand, apply


def exp(x: Operand) -> Node:
    """Compute e^x.

    Raises
    ------
    OverflowError
        Where x is above 709.78.

    Examples
    --------
    >>> exp(0).value
    1.0
    """
    return apply(operations.EXP, x)


def log(x: Operand) -> Node:
    """Compute the natural logarithm of x.

    Raises
    ------
    ValueError
        Where x is zero or negative.

    Examples
    --------
    >>> log(1).value
    0.0
    """
    return apply(operations.LOG, x)


def sigmoid(z: Operand) -> Node:
    """Compute a = 1 / (1 + e^-z), which never overflows; da/dz = a (1 - a).

    Examples
    --------
    >>> sigmoid(0).value, sigmoid(-1000).value
    (0.5, 0.0)
    """
    return apply(operations.SIGMOID, z)


def cross_entropy(a: Operand, y: Operand) -> Node:
    """Compute the loss of predicting a when the label is y.

    L = -y log a - (1 - y) log(1 - a), so that dL/da = -y/a + (1 - y)/(1 - a), with 0 log 0 = 0.

    Parameters
    ----------
    a : Node or float
        The prediction, a probability in [0, 1].
    y : Node or float
        The label in [0, 1]: 0, 1, or a probability.

    Raises
    ------
    ValueError
        Outside these ranges, and where the loss is infinite: a = 0 with y > 0, a = 1 with y < 1.

    Examples
    --------
    >>> a = sigmoid(1.0)
    >>> round(cross_entropy(a, 1).value, 6)
    0.313262
    """
    return apply(operations.CROSS_ENTROPY, a, y)


def cross_entropy_from_z(z: Operand, y: Operand) -> Node:
    """Compute the loss of predicting sigmoid(z) when the label is y, for z of any size.

    L = max(z, 0) - y z + log(1 + e^-|z|), so that dL/dz = sigmoid(z) - y.

    Parameters
    ----------
    z : Node or float
        Any finite number.
    y : Node or float
        The label in [0, 1]: 0, 1, or a probability.

    Raises
    ------
    ValueError
        Where the label is outside [0, 1].

    Examples
    --------
    >>> cross_entropy_from_z(1e308, 0).value
    1e+308
    """
    return apply(operations.CROSS_ENTROPY_FROM_Z, z, y)


def weighted_sum(w: Iterable[Operand], x: Iterable[Operand], b: Operand | None = None) -> Node:
    """Compute w1 x1 + ... + wn xn, plus b if given, in one node.

    The terms are added with a single rounding, so their order does not matter.

    Parameters
    ----------
    w, x : iterable of Node or float
        As many of the one as of the other.
    b : Node or float, optional
        The bias.

    Raises
    ------
    ValueError
        If w and x differ in length.

    Examples
    --------
    >>> weighted_sum([1, 2], [10, 20], 5).value
    55.0
    """
    w, x = tuple(w), tuple(x)
    if len(w) != len(x):
        raise ValueError(f"w has {len(w)} entries and x has {len(x)}; give as many of each")
    bias = () if b is None else (b,)
    return apply(operations.WEIGHTED_SUM, *w, *x, *bias)
