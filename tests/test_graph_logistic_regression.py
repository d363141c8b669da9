# SPDX-License-Identifier: BSD-3-Clause
"""Logistic regression and gradient descent on the computation graph."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from logreg_c.graph import (
    gradient_descent,
    logistic_regression,
    loss_and_gradient,
    step,
    three_a_plus_bc,
)


def logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z))


X = [[1.0, 2.0], [3.0, -1.0], [0.5, 0.25], [-2.0, 1.0]]
Y = [1.0, 0.0, 0.3, 1.0]
W = [0.1, -0.2]


def by_hand(s: list[float], l2: float, b: float = 0.05) -> tuple[float, list[float], float]:
    loss, dw, db = 0.0, [0.0, 0.0], 0.0
    for row, y, weight in zip(X, Y, s, strict=True):
        a = logistic(row[0] * W[0] + row[1] * W[1] + b)
        loss += weight / sum(s) * (-y * math.log(a) - (1 - y) * math.log(1 - a))
        dz = weight / sum(s) * (a - y)
        dw = [dw[0] + row[0] * dz, dw[1] + row[1] * dz]
        db += dz
    loss += l2 / 2 * (W[0] ** 2 + W[1] ** 2)
    return loss, [dw[0] + l2 * W[0], dw[1] + l2 * W[1]], db


@pytest.mark.parametrize("s", [None, [1.0, 2.0, 0.0, 0.5]])
@pytest.mark.parametrize("l2", [0.0, 0.7])
def test_logistic_regression_by_hand(s: list[float] | None, l2: float) -> None:
    loss, dw, db = loss_and_gradient(X, Y, W, 0.05, sample_weight=s, l2=l2)
    expected = by_hand(s or [1.0] * 4, l2)
    assert loss == pytest.approx(expected[0], rel=1e-14)
    assert dw == pytest.approx(expected[1], rel=1e-14)
    assert db == pytest.approx(expected[2], rel=1e-14)


def test_logistic_regression_by_differences() -> None:
    graph = logistic_regression(X, Y, W, 0.05, sample_weight=[1, 2, 3, 4], l2=0.3)
    h = 1e-6
    for name, gradient in graph.backward().items():
        x = graph[name].value
        rise = graph.forward(**{name: x + h}) - graph.forward(**{name: x - h})
        graph.forward(**{name: x})
        assert gradient == pytest.approx(rise / (2 * h), rel=1e-7)


def test_logistic_regression_names() -> None:
    graph = logistic_regression(X, Y, W, 0.05, l2=0.1)
    for name in ["w1", "w2", "b", "z1", "z4", "L1", "L4", "J"]:
        assert graph[name].name == name
    assert set(graph.backward()) == {"w1", "w2", "b"}
    a = logistic(graph["z2"].value)
    assert graph["z2"].gradient == pytest.approx((a - Y[1]) / 4, rel=1e-15)


def test_a_weight_is_a_repetition() -> None:
    once = loss_and_gradient(X, Y, W, 0.05, sample_weight=[1, 3, 1, 2])
    order = [0, 1, 1, 1, 2, 3, 3]
    repeated = loss_and_gradient([X[i] for i in order], [Y[i] for i in order], W, 0.05)
    assert once[0] == pytest.approx(repeated[0], rel=1e-14)
    assert once[1] == pytest.approx(repeated[1], rel=1e-14)


@pytest.mark.parametrize("convert", [np.array, tuple, iter, lambda values: np.array(values, "f4")])
def test_logistic_regression_takes_anything_row_by_row(convert: Callable[[Any], Any]) -> None:
    numbers = convert([[1.0, 2.0], [3.0, -1.0]]), convert([1.0, 0.0]), convert([0.5, -0.25])
    assert loss_and_gradient(*numbers, 0.05) == loss_and_gradient(
        [[1.0, 2.0], [3.0, -1.0]], [1, 0], [0.5, -0.25], 0.05
    )


def test_logistic_regression_without_columns() -> None:
    loss, dw, db = loss_and_gradient([[], []], [1, 0], [], 0, l2=1.0)
    assert loss == pytest.approx(math.log(2), rel=1e-15)
    assert (dw, db) == ([], 0.0)


def test_gradient_descent_is_the_update() -> None:
    graph = logistic_regression(X, Y, W, 0.05)
    w, b = list(W), 0.05
    losses = []
    for _ in range(5):
        loss, dw, db = loss_and_gradient(X, Y, w, b)
        losses.append(loss)
        w, b = [wj - 0.3 * dwj for wj, dwj in zip(w, dw, strict=True)], b - 0.3 * db
    losses.append(loss_and_gradient(X, Y, w, b)[0])
    assert gradient_descent(graph, 0.3, 5) == losses
    assert [graph["w1"].value, graph["w2"].value, graph["b"].value] == [*w, b]
    assert losses == sorted(losses, reverse=True)


def test_step_moves_only_what_is_named() -> None:
    graph = three_a_plus_bc()
    assert step(graph, 0.5, ["b"]) == 3 * (5 + 0 * 2)
    assert (graph["a"].value, graph["b"].value, graph["c"].value) == (5.0, 0.0, 2.0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": []}, ValueError, "X has no rows; give at least one example"),
        ({"X": 3.0}, ValueError, "X must be a sequence of rows, and 3.0 is a single number"),
        ({"X": [1.0, 2.0, 3.0, 4.0]}, ValueError, "X[0] must be a sequence of numbers, and 1.0"),
        ({"X": [*X[:3], [1.0]]}, ValueError, "X[3] has 1 entries and w has 2; give one weight"),
        ({"X": [*X[:3], [1.0, math.nan]]}, ValueError, "X[3][1] is nan; give a finite number"),
        ({"X": [*X[:3], [1.0, "2"]]}, TypeError, "X[3][1] is '2', of type str"),
        ({"y": [1, 0]}, ValueError, "y has 2 entries and X has 4 rows; give one per row"),
        ({"y": [1, 0, 2, 1]}, ValueError, "y[2] is 2.0; a label must lie in [0, 1]"),
        ({"y": 1}, ValueError, "y must be a sequence of numbers, and 1 is not"),
        ({"w": [0.1]}, ValueError, "X[0] has 2 entries and w has 1; give one weight per column"),
        ({"w": [0.1, None]}, TypeError, "w[1] is None"),
        ({"b": math.inf}, ValueError, "b is inf"),
        ({"sample_weight": [1]}, ValueError, "sample_weight has 1 entries and X has 4 rows"),
        ({"sample_weight": [1, 1, 1, -1]}, ValueError, "run from -1.0 to 1.0; none may be neg"),
        ({"sample_weight": [0] * 4}, ValueError, "one at least must be above 0"),
        ({"l2": -1}, ValueError, "l2 is -1; give a penalty of 0 or above"),
        ({"l2": math.nan}, ValueError, "l2 is nan"),
    ],
)
def test_errors_in_logistic_regression(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments: dict[str, Any] = {"X": X, "y": Y, "w": W, "b": 0.05, **change}
    with pytest.raises(error, match=re.escape(message)):
        logistic_regression(**arguments)


def test_errors_in_gradient_descent() -> None:
    graph = three_a_plus_bc()
    with pytest.raises(ValueError, match="the learning rate is -1; give a number above 0"):
        step(graph, -1)
    with pytest.raises(ValueError, match="the learning rate is nan"):
        step(graph, math.nan)
    with pytest.raises(ValueError, match="u cannot be set"):
        step(graph, 0.1, ["a", "u"])
    assert graph["a"].value == 5.0
