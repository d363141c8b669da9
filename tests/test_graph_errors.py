# SPDX-License-Identifier: BSD-3-Clause
"""The errors of the computation graph: each names the node, what is wrong and what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from logreg_c.graph import (
    Graph,
    Node,
    constant,
    cross_entropy,
    cross_entropy_from_z,
    exp,
    gradient_descent,
    log,
    logistic_unit,
    loss_and_gradient,
    step,
    three_a_plus_bc,
    variable,
    weighted_sum,
)

TEXT: Any = "3"


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda x: log(x), ValueError, "cannot compute log(x) = log(0): the logarithm needs a"),
        (lambda x: log(x - 2), ValueError, "cannot compute log(…) = log(-2): the logarithm"),
        (lambda x: 1 / x, ZeroDivisionError, "1 / x = 1 / 0: division by zero; keep the denom"),
        (lambda x: x**-1, ZeroDivisionError, "x^(-1) = 0^(-1): 0 has no negative power; keep"),
        (lambda x: (x - 8) ** (1 / 3), ValueError, "(-8)^0.333333: a negative base has no frac"),
        (lambda x: exp(x + 1000), OverflowError, "exp(1000): the result is beyond the largest"),
        (lambda x: (x + 10) ** 400, OverflowError, "10^400: the result is beyond the largest"),
        (lambda x: (x + 1e308) * 10, OverflowError, "1e+308 · 10: the result is beyond"),
        (lambda x: weighted_sum([1e308, 1e308], [9, x - 9]), OverflowError, "is beyond the larg"),
        (lambda x: cross_entropy(x, 1), ValueError, "the loss is infinite"),
        (lambda x: cross_entropy(x + 1, 0.5), ValueError, "use cross_entropy_from_z"),
        (lambda x: cross_entropy(x - 1, 1), ValueError, "the prediction must lie in [0, 1], and"),
        (lambda x: cross_entropy(0.5, x + 1.5), ValueError, "label must lie in [0, 1], and 1.5"),
        (lambda x: cross_entropy_from_z(x, -0.5), ValueError, "in [0, 1], and -0.5 does not"),
        (lambda x: x + "2", TypeError, "cannot build x + '2': "),
        (lambda x: "2" + x, TypeError, "cannot build '2' + x: "),
        (lambda x: x * None, TypeError, "a number in a formula is None, of type NoneType; give"),
        (lambda x: x * 2j, TypeError, "is 2j, of type complex; give an int or a float"),
        (lambda x: x / math.nan, ValueError, "cannot build x / nan: a number in a formula is nan"),
        (lambda x: x - math.inf, ValueError, "is inf; give a finite number"),
        (lambda x: x + 10**400, ValueError, "; give a finite number"),
        (lambda x: log(TEXT), TypeError, "cannot build log('3'): a number in a"),
        (lambda x: weighted_sum([1], [x, x]), ValueError, "w has 1 entries and x has 2; give as"),
    ],
)
def test_errors_in_building(
    build: Callable[[Node], Node], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        build(variable("x", 0))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (math.nan, ValueError, "a is nan; give a finite number"),
        (-math.inf, ValueError, "a is -inf; give a finite number"),
        ("5", TypeError, "a is '5', of type str; give an int or a float"),
        (None, TypeError, "a is None, of type NoneType; give an int or a float"),
        (np.array([1.0, 2.0]), TypeError, "a is array([1., 2.]), of type ndarray"),
    ],
)
def test_errors_in_values(value: Any, error: type[Exception], message: str) -> None:
    graph = three_a_plus_bc()
    with pytest.raises(error, match=re.escape(message)):
        variable("a", value)
    with pytest.raises(error, match=re.escape(message)):
        constant(value, "a")
    with pytest.raises(error, match=re.escape(message)):
        graph["a"].value = value
    with pytest.raises(error, match=re.escape(message)):
        graph.forward(a=value)


def test_errors_of_forward_name_the_node_and_its_numbers() -> None:
    x = variable("x", 3)
    graph = Graph((log(x - 2) * 2).named("J"))
    with pytest.raises(ValueError, match=re.escape("cannot compute t2 = log(t1) = log(-1): the")):
        graph.forward(x=1)
    graph = Graph(exp(x).named("e"))
    with pytest.raises(OverflowError, match=re.escape("e = exp(x) = exp(1000): the result")):
        graph.forward(x=1000)


@pytest.mark.parametrize(
    ("build", "x", "message"),
    [
        (lambda x: x**0.5, 0, "J = x^0.5 = 0^0.5 = 0: it has no finite derivative by x at x = 0"),
        (lambda x: (-2) ** x, 3, "J = (-2)^x = (-2)^3 = -8: it has no finite derivative by x"),
        (lambda x: 0**x, 0, "J = 0^x = 0^0 = 1: it has no finite derivative by x at x = 0"),
        (lambda x: x**-200, 1e-1, None),
        (lambda x: x**-308, 0.1, "no finite derivative by x at x = 0.1"),
        (lambda x: cross_entropy(1, x), 1, "no finite derivative by x at x = 1; move the inputs"),
        (lambda x: log(x), 1e-310, "or make x a constant"),
    ],
)
def test_errors_in_derivatives(
    build: Callable[[Node], Node], x: float, message: str | None
) -> None:
    graph = Graph(build(variable("x", x)))
    if message is None:
        assert math.isfinite(graph.backward()["x"])
        return
    with pytest.raises(ValueError, match=re.escape(message)):
        graph.backward()


def test_a_derivative_nobody_asks_for_may_be_missing() -> None:
    assert Graph(variable("x", -2) ** 3).backward() == {"x": 12.0}
    assert Graph(cross_entropy(variable("a", 1), 1)).backward() == {"a": -1.0}


def test_a_gradient_may_overflow() -> None:
    x = variable("x", 1e-200)
    u = (x * 1e200).named("u")
    graph = Graph((u * 1e200).named("J"))
    with pytest.raises(OverflowError, match=r"dJ/dx is beyond the largest float, 1.8e308; make"):
        graph.backward()
    assert x.gradient is None


def test_names_must_be_unique() -> None:
    with pytest.raises(ValueError, match=r"two nodes are named 'a': Node\(a = 1\) and Node\(a = 2"):
        Graph(variable("a", 1) + variable("a", 2))
    u = variable("b", 1) * 2
    with pytest.raises(ValueError, match=r"two nodes are named 'b'.*give each its own name"):
        Graph(u.named("b") + 1)


def test_names_must_be_printable() -> None:
    for name in ("", "  ", "a\nb", "a\ud800"):
        with pytest.raises(ValueError, match="must be printable and not blank, and '"):
            variable(name, 1)
        with pytest.raises(ValueError, match="must be printable"):
            constant(1, name)
        with pytest.raises(ValueError, match="must be printable"):
            (variable("x", 1) + 1).named(name)
    wrong: Any = None
    with pytest.raises(TypeError, match="a name must be a string, and None is of type NoneType"):
        variable(wrong, 1)


def test_a_name_is_given_once() -> None:
    u = (variable("x", 1) + 1).named("u")
    with pytest.raises(ValueError, match="u has a name already, and cannot be renamed 'v'"):
        u.named("v")


def test_computed_nodes_cannot_be_set() -> None:
    graph = three_a_plus_bc()
    with pytest.raises(AttributeError, match=r"u = b · c = 6\) is computed and cannot be set; set"):
        graph["u"].value = 7
    with pytest.raises(ValueError, match=r"u cannot be set: it is computed, u = b · c; set the v"):
        graph.forward(u=7)


def test_unknown_names() -> None:
    graph = three_a_plus_bc()
    message = "no node named 'q' leads to J; the names are: b, c, a, u, v, J"
    for call in (lambda: graph["q"], lambda: graph.forward(q=1), lambda: graph.backward("q")):
        with pytest.raises(KeyError) as caught:
            call()
        assert sorted(str(caught.value)) == sorted(message)
        assert str(caught.value).startswith(message[:45])
    wide = Graph(weighted_sum([1] * 30, [variable(f"x{i}", i) for i in range(30)]))
    with pytest.raises(KeyError, match=r"x0, x1, .*x9, …, x26, x27, x28, x29, J$"):
        wide["q"]
    wrong: Any = [1]
    with pytest.raises(KeyError, match=r"no node named \[1\]"):
        wide[wrong]


def test_gradients_that_do_not_exist() -> None:
    graph = logistic_unit()
    with pytest.raises(ValueError, match=r"Node\(q = 1\) has no path to L; use it in the formula"):
        graph.backward(variable("q", 1))
    with pytest.raises(
        ValueError, match=r"y does not vary, so dL/dy is not computed; make it with"
    ):
        graph.backward("y")
    with pytest.raises(ValueError, match="J depends on no variable, so there is nothing"):
        Graph(constant(3) * 2).backward()


def test_a_graph_is_made_from_a_node() -> None:
    wrong: Any = 3.0
    with pytest.raises(TypeError, match=r"a Graph is made from a Node, and 3.0 is of type float"):
        Graph(wrong)


def test_descent_says_what_it_takes() -> None:
    graph = Graph(variable("ab", 1.0) ** 2)
    with pytest.raises(TypeError, match=r"names is 'ab', a string; give a list of names, \['ab'\]"):
        step(graph, 0.1, "ab")
    wrong: Any
    for wrong in (-1, 2.5):
        with pytest.raises(ValueError, match=r"steps is .*; give an integer of 0 or above"):
            gradient_descent(graph, 0.1, wrong)
    assert gradient_descent(graph, 0.1, 0) == [1.0]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_read_by_rows(library: str) -> None:
    frame: Any = pytest.importorskip(library).DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    expected = loss_and_gradient([[1.0, 3.0], [2.0, 4.0]], [1, 0], [1.0, 0.5])
    assert loss_and_gradient(frame, [1, 0], [1.0, 0.5]) == expected
