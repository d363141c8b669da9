# SPDX-License-Identifier: BSD-3-Clause
"""Worked examples, from three numbers to logistic regression."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import SupportsFloat

from .functions import cross_entropy, cross_entropy_from_z, sigmoid, weighted_sum
from .graph import Graph
from .node import constant, variable
from .number import as_number


def three_a_plus_bc(a: float = 5, b: float = 3, c: float = 2) -> Graph:
    """Build J = 3 (a + b c), step by step: u = b c, v = a + u, J = 3 v.

    Examples
    --------
    >>> graph = three_a_plus_bc()
    >>> graph.backward()
    {'a': 3.0, 'b': 6.0, 'c': 9.0}
    """
    u = (variable("b", b) * variable("c", c)).named("u")
    v = (variable("a", a) + u).named("v")
    return Graph((3 * v).named("J"))


def fan_out(x: float = 3) -> Graph:
    """Build J = 3 y z where x feeds both y = 2 x and z = x: dJ/dx adds up both ways, 6 z + 3 y.

    Examples
    --------
    >>> graph = fan_out(3)
    >>> graph.backward()
    {'x': 36.0}
    """
    source = variable("x", x)
    y = (2 * source).named("y")
    z = (+source).named("z")
    p = (y * z).named("p")
    return Graph((3 * p).named("J"))


def logistic_unit(
    x1: float = 2, x2: float = -1, w1: float = 0.5, w2: float = -0.5, b: float = -0.5, y: float = 1
) -> Graph:
    """Build one logistic unit: z = w1 x1 + w2 x2 + b, a = sigmoid(z), L = cross-entropy of a and y.

    Backward, da = -y/a + (1 - y)/(1 - a) and da/dz = a (1 - a) make dz = a - y, and from it
    dw1 = x1 dz, dw2 = x2 dz, db = dz. The inputs x1, x2 and the label y are constants.

    Examples
    --------
    >>> graph = logistic_unit()
    >>> gradient = graph.backward("z", "w1", "w2", "b")
    >>> {name: round(slope, 6) for name, slope in gradient.items()}
    {'z': -0.268941, 'w1': -0.537883, 'w2': 0.268941, 'b': -0.268941}
    """
    w = [variable("w1", w1), variable("w2", w2)]
    x = [constant(x1, "x1"), constant(x2, "x2")]
    z = weighted_sum(w, x, variable("b", b)).named("z")
    a = sigmoid(z).named("a")
    return Graph(cross_entropy(a, constant(y, "y")).named("L"))


def logistic_regression(
    X: Iterable[Iterable[SupportsFloat]],
    y: Iterable[SupportsFloat],
    w: Iterable[SupportsFloat],
    b: SupportsFloat = 0.0,
    *,
    sample_weight: Iterable[SupportsFloat] | None = None,
    l2: float = 0.0,
) -> Graph:
    """Build the objective of logistic regression over m examples.

    J = sum_i s_i L_i / sum_i s_i + l2/2 ||w||^2, with L_i the cross-entropy of z_i = x_i w + b
    and y_i, in nats. The bias is not penalised.

    Parameters
    ----------
    X : iterable of m rows of d numbers
        The examples: lists, a NumPy array, or anything that gives its rows one after the other.
    y : iterable of m numbers
        The labels, each in [0, 1].
    w : iterable of d numbers
        The weights; variables w1, ..., wd of the graph.
    b : float
        The bias; variable b of the graph.
    sample_weight : iterable of m numbers, optional
        The weights s_i of the examples, none negative and not all zero; all 1 if not given.
    l2 : float, optional
        The strength of the penalty, zero or above.

    Returns
    -------
    Graph
        With nodes w1 ... wd, b, z1 ... zm, L1 ... Lm and J.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or a number is outside its range or not finite.
    TypeError
        If something is not a number.

    Examples
    --------
    >>> graph = logistic_regression([[1, 2], [3, -1]], [1, 0], w=[0, 0], b=0)
    >>> graph.backward()
    {'w1': 0.5, 'w2': -0.75, 'b': 0.0}
    """
    rows = [_numbers(row, f"X[{i}]") for i, row in enumerate(_rows(X))]
    labels = _numbers(y, "y")
    start = _numbers(w, "w")
    s = [1.0] * len(rows) if sample_weight is None else _numbers(sample_weight, "sample_weight")
    _check(rows, labels, start, s, l2)

    weights = [variable(f"w{j}", value) for j, value in enumerate(start, 1)]
    bias = variable("b", as_number(b, "b"))
    losses = []
    for i, (row, label) in enumerate(zip(rows, labels, strict=True), 1):
        z = weighted_sum(weights, row, bias).named(f"z{i}")
        losses.append(cross_entropy_from_z(z, label).named(f"L{i}"))
    total = weighted_sum(s, losses).named("total")
    average = total / math.fsum(s)
    if l2 == 0:
        return Graph(average.named("J"))
    penalty = l2 / 2 * weighted_sum(weights, weights).named("squares")
    return Graph((average.named("average") + penalty.named("penalty")).named("J"))


def loss_and_gradient(
    X: Iterable[Iterable[SupportsFloat]],
    y: Iterable[SupportsFloat],
    w: Iterable[SupportsFloat],
    b: SupportsFloat = 0.0,
    *,
    sample_weight: Iterable[SupportsFloat] | None = None,
    l2: float = 0.0,
) -> tuple[float, list[float], float]:
    """Compute J, dw and db of logistic regression, by building its graph and walking it.

    Takes and raises what `logistic_regression` does.

    Returns
    -------
    loss : float
        J.
    dw : list of float
        dJ/dw1, ..., dJ/dwd.
    db : float
        dJ/db.

    Examples
    --------
    >>> loss_and_gradient([[1, 2], [3, -1]], [1, 0], w=[0, 0], b=0)
    (0.6931471805599453, [0.5, -0.75], 0.0)
    """
    graph = logistic_regression(X, y, w, b, sample_weight=sample_weight, l2=l2)
    gradient = graph.backward()
    db = gradient.pop("b")
    return graph.output.value, [gradient[f"w{j}"] for j in range(1, len(gradient) + 1)], db


def _rows(X: Iterable[Iterable[SupportsFloat]]) -> Iterable[Iterable[SupportsFloat]]:
    # What a frame of polars or pandas yields is its columns, or their names.
    frame = getattr(X, "to_numpy", None)
    try:
        return iter(X if frame is None else frame().tolist())
    except TypeError:
        raise ValueError(f"X must be a sequence of rows, and {X!r} is a single number") from None


def _numbers(values: Iterable[SupportsFloat], name: str) -> list[float]:
    try:
        items = list(values)
    except TypeError:
        raise ValueError(
            f"{name} must be a sequence of numbers, and {values!r} is not; put it in a list"
        ) from None
    return [as_number(value, f"{name}[{i}]") for i, value in enumerate(items)]


def _check(
    rows: list[list[float]], y: list[float], w: list[float], s: list[float], l2: float
) -> None:
    if not rows:
        raise ValueError("X has no rows; give at least one example")
    for i, row in enumerate(rows):
        if len(row) != len(w):
            raise ValueError(
                f"X[{i}] has {len(row)} entries and w has {len(w)}; give one weight per column"
            )
    for name, values in (("y", y), ("sample_weight", s)):
        if len(values) != len(rows):
            raise ValueError(
                f"{name} has {len(values)} entries and X has {len(rows)} rows; give one per row"
            )
    for i, label in enumerate(y):
        if not 0.0 <= label <= 1.0:
            raise ValueError(f"y[{i}] is {label!r}; a label must lie in [0, 1]")
    if min(s) < 0.0 or max(s) == 0.0:
        raise ValueError(
            f"the sample weights run from {min(s)!r} to {max(s)!r}; "
            "none may be negative, and one at least must be above 0"
        )
    if as_number(l2, "l2") < 0.0:
        raise ValueError(f"l2 is {l2!r}; give a penalty of 0 or above")
