# SPDX-License-Identifier: BSD-3-Clause
"""The computation graph: values, gradients, text and errors."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import logreg_c.graph
from logreg_c.graph import (
    Graph,
    Node,
    constant,
    cross_entropy,
    cross_entropy_from_z,
    exp,
    fan_out,
    log,
    logistic_unit,
    sigmoid,
    three_a_plus_bc,
    variable,
    weighted_sum,
)

quick = settings(deadline=None, max_examples=150, database=None)


def central_difference(graph: Graph, name: str, h: float = 1e-3) -> float:
    """Differentiate by five points; the error is of order h^4."""
    x = graph[name].value
    f = {k: graph.forward(**{name: x + k * h}) for k in (-2, -1, 1, 2)}
    graph.forward(**{name: x})
    return (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * h)


def assert_gradients_agree(graph: Graph, tolerance: float = 1e-8) -> None:
    gradients = graph.backward()
    for name, gradient in gradients.items():
        scale = max(1.0, abs(gradient), abs(graph.output.value))
        assert abs(gradient - central_difference(graph, name)) <= tolerance * scale, name


# --- worked examples ------------------------------------------------------------------------


def test_three_a_plus_bc() -> None:
    graph = three_a_plus_bc()
    assert graph.forward() == 33.0
    assert (graph["u"].value, graph["v"].value, graph["J"].value) == (6.0, 11.0, 33.0)
    assert graph.backward() == {"a": 3.0, "b": 6.0, "c": 9.0}
    gradients = {name: graph[name].gradient for name in "Jvuabc"}
    assert gradients == {"J": 1.0, "v": 3.0, "u": 3.0, "a": 3.0, "b": 6.0, "c": 9.0}


def test_three_a_plus_bc_with_other_numbers() -> None:
    graph = three_a_plus_bc(a=1, b=-2, c=4)
    assert graph.forward() == 3 * (1 - 8)
    assert graph.backward() == {"a": 3.0, "b": 12.0, "c": -6.0}


@pytest.mark.parametrize("x", [3.0, -1.5, 0.0])
def test_fan_out_adds_up_both_ways(x: float) -> None:
    graph = fan_out(x)
    y, z = graph["y"].value, graph["z"].value
    assert (y, z, graph.forward()) == (2 * x, x, 6 * x * x)
    assert graph.backward() == {"x": 6 * z + 3 * y}
    assert graph["y"].gradient == 3 * z
    assert graph["z"].gradient == 3 * y


@pytest.mark.parametrize("y", [0.0, 1.0, 0.25])
def test_logistic_unit(y: float) -> None:
    graph = logistic_unit(x1=2, x2=-1, w1=0.5, w2=-0.5, b=-0.5, y=y)
    a = 1 / (1 + math.exp(-1))
    assert graph["z"].value == 1.0
    assert graph["a"].value == a
    loss = -y * math.log(a) - (1 - y) * math.log(1 - a)
    assert graph.forward() == pytest.approx(loss, rel=1e-15)

    gradients = graph.backward()
    assert graph["a"].gradient == -y / a + (1 - y) / (1 - a)
    dz = graph["z"].gradient
    assert dz is not None
    assert dz == pytest.approx(a - y, rel=1e-15)
    assert gradients == {"w1": 2 * dz, "w2": -1 * dz, "b": dz}
    assert graph["x1"].gradient is None
    assert graph["y"].gradient is None


# --- values ---------------------------------------------------------------------------------


def test_arithmetic_with_nodes_and_numbers_on_either_side() -> None:
    x, y = variable("x", 3), variable("y", 2)
    made = [x + y, x - y, x * y, x / y, x**y, -x, +x]
    made += [x + 7, x - 7, x * 7, x / 7, x**7, 7 + x, 7 - x, 7 * x, 7 / x, 7**x]
    expected = [5.0, 1.0, 6.0, 1.5, 9.0, -3.0, 3.0]
    expected += [10.0, -4.0, 21.0, 3 / 7, 2187.0, 10.0, 4.0, 21.0, 7 / 3, 343.0]
    assert [node.value for node in made] == expected
    assert all(type(node.value) is float for node in made)


def test_functions() -> None:
    assert exp(1).value == math.e
    assert log(math.e).value == 1.0
    assert sigmoid(0).value == 0.5
    assert weighted_sum([2, 3], [10, 100]).value == 320.0
    assert weighted_sum((w for w in [2, 3]), (x for x in [10, 100]), 0.5).value == 320.5
    assert weighted_sum([], []).value == 0.0


def test_weighted_sum_rounds_once() -> None:
    assert weighted_sum([1, 1, 1], [1e16, 1.0, -1e16]).value == 1.0


def test_sigmoid_is_stable_everywhere() -> None:
    assert [sigmoid(z).value for z in (-1e308, -800.0, 800.0, 1e308)] == [0.0, 0.0, 1.0, 1.0]
    assert sigmoid(-700).value == pytest.approx(math.exp(-700), rel=1e-15)
    for z in (-1e308, -800, 800, 1e308):
        assert Graph(sigmoid(variable("z", z))).backward() == {"z": 0.0}


@pytest.mark.parametrize(
    ("z", "y", "loss", "slope"),
    [
        (1e308, 0, 1e308, 1.0),
        (1e308, 1, 0.0, 0.0),
        (-1e308, 1, 1e308, -1.0),
        (-1e308, 0, 0.0, 0.0),
        (1e308, 0.5, 5e307, 0.5),
        (800, 0, 800.0, 1.0),
        (-800, 1, 800.0, -1.0),
        (-700, 0, math.exp(-700), math.exp(-700)),
        (0, 1, math.log(2), -0.5),
    ],
)
def test_cross_entropy_from_z_never_overflows(
    z: float, y: float, loss: float, slope: float
) -> None:
    graph = Graph(cross_entropy_from_z(variable("z", z), y))
    assert graph.forward() == pytest.approx(loss, rel=1e-15)
    assert graph.backward()["z"] == pytest.approx(slope, rel=1e-15)


@quick
@given(st.floats(-15, 15), st.floats(0, 1))
def test_both_cross_entropies_agree(z: float, y: float) -> None:
    plain = Graph(cross_entropy(sigmoid(variable("z", z)), y))
    stable = Graph(cross_entropy_from_z(variable("z", z), y))
    assert plain.forward() == pytest.approx(stable.forward(), rel=1e-8)
    assert plain.backward()["z"] == pytest.approx(stable.backward()["z"], rel=1e-8, abs=1e-12)


def test_cross_entropy_counts_zero_log_zero_as_zero() -> None:
    assert cross_entropy(0, 0).value == 0.0
    assert cross_entropy(1, 1).value == 0.0
    assert Graph(cross_entropy(variable("a", 0), 0)).backward() == {"a": 1.0}
    assert Graph(cross_entropy(variable("a", 1), 1)).backward() == {"a": -1.0}


def test_zero_to_the_power_zero_is_one_and_flat() -> None:
    graph = Graph(variable("x", 0) ** 0)
    assert graph.forward() == 1.0
    assert graph.backward() == {"x": 0.0}


def test_powers_of_zero_are_flat_in_the_exponent() -> None:
    assert Graph(0 ** variable("y", 2)).backward() == {"y": 0.0}


def test_numbers_of_other_kinds_are_taken() -> None:
    x = variable("x", 3)
    numbers: list[Any] = [True, np.float32(1), np.float64(1), np.int64(1), np.array(1.0)]
    for number in numbers:
        value = variable("a", number).value
        assert (type(value), value) == (float, 1.0)
        assert (x + number).value == 4.0
        assert isinstance(number + x, Node)
        assert (number + x).value == 4.0


# --- gradients ------------------------------------------------------------------------------

OPERATIONS: list[tuple[Callable[[Node, Node], Node], float, float]] = [
    (lambda x, y: x + y, 1.25, -0.5),
    (lambda x, y: x - y, 1.25, -0.5),
    (lambda x, y: x * y, 1.25, -0.5),
    (lambda x, y: x / y, 1.25, -0.5),
    (lambda x, y: x / y, -3.0, 2.0),
    (lambda x, y: x**y, 1.25, -0.5),
    (lambda x, y: x**y, 0.5, 3.0),
    (lambda x, y: x**3 + y ** (-2), -1.5, -0.75),
    (lambda x, y: x**0 + y**1, 0.0, 0.0),
    (lambda x, y: 2**x + 0.5**y, -1.5, 2.5),
    (lambda x, y: -x * +y, 1.25, -0.5),
    (lambda x, y: exp(x) * exp(-y), 0.5, 0.75),
    (lambda x, y: log(x) * log(y), 0.5, 2.0),
    (lambda x, y: sigmoid(x) * sigmoid(y), 2.0, -3.0),
    (lambda a, y: cross_entropy(a, y), 0.2, 0.7),
    (lambda a, y: cross_entropy(a, y), 0.9, 0.3),
    (lambda z, y: cross_entropy_from_z(z, y), 2.5, 0.7),
    (lambda z, y: cross_entropy_from_z(z, y), -2.5, 0.3),
    (lambda x, y: weighted_sum([x, 2, y], [y, x, 3], x), 1.25, -0.5),
    (lambda x, y: weighted_sum([x, y], [x, y]), 1.25, -0.5),
]


@pytest.mark.parametrize(("build", "x", "y"), OPERATIONS)
def test_every_operation_against_differences(
    build: Callable[[Node, Node], Node], x: float, y: float
) -> None:
    assert_gradients_agree(Graph(build(variable("x", x), variable("y", y))))


def test_the_gradient_by_a_label() -> None:
    graph = Graph(cross_entropy(0.2, variable("y", 0.7)))
    assert graph.backward()["y"] == pytest.approx(math.log(0.8) - math.log(0.2), rel=1e-15)
    graph = Graph(cross_entropy_from_z(2.5, variable("y", 1)))
    assert graph.backward() == {"y": -2.5}


# Each builds a node and the same number by plain arithmetic; none leaves a moderate range fast.
Pair = tuple[Node, float]
COMBINE: list[Callable[[Pair, Pair], Pair]] = [
    lambda p, q: (p[0] + q[0], p[1] + q[1]),
    lambda p, q: (p[0] - q[0], p[1] - q[1]),
    lambda p, q: (p[0] * q[0], p[1] * q[1]),
    lambda p, q: (p[0] / (1.5 + q[0] * q[0]), p[1] / (1.5 + q[1] * q[1])),
    lambda p, q: ((1 + p[0] ** 2) ** sigmoid(q[0]), (1 + p[1] ** 2) ** logistic(q[1])),
    lambda p, q: (exp(sigmoid(p[0]) - 1) * 2 - q[0], math.exp(logistic(p[1]) - 1) * 2 - q[1]),
    lambda p, q: (-log(1 + p[0] * p[0]) + q[0], -math.log(1 + p[1] * p[1]) + q[1]),
    lambda p, q: (
        cross_entropy_from_z(p[0], sigmoid(q[0])),
        math.log1p(math.exp(p[1])) - logistic(q[1]) * p[1],
    ),
    lambda p, q: (
        cross_entropy(sigmoid(sigmoid(p[0])), sigmoid(q[0])),
        -math.log(logistic(logistic(p[1]))) + (1 - logistic(q[1])) * logistic(p[1]),
    ),
    lambda p, q: (weighted_sum([p[0], 2], [q[0], p[0]], 1), p[1] * q[1] + 2 * p[1] + 1),
]


def logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


@quick
@given(
    values=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    steps=st.lists(
        st.tuples(st.sampled_from(COMBINE), st.integers(0, 99), st.integers(0, 99)),
        min_size=1,
        max_size=7,
    ),
)
def test_random_expressions(values: list[float], steps: list[Any]) -> None:
    # Every step takes any two of what there is, so that paths fan out and meet again.
    made: list[Pair] = [(variable(f"x{i}", value), value) for i, value in enumerate(values)]
    for combine, i, j in steps:
        p, q = made[i % len(made)], made[j % len(made)]
        assume(max(abs(p[1]), abs(q[1])) < 10)
        made.append(combine(p, q))
    node, expected = made[-1]
    assert node.value == pytest.approx(expected, rel=1e-9, abs=1e-9)
    graph = Graph(node)
    assume(graph.variables)
    assert_gradients_agree(graph, tolerance=1e-5)


def test_a_node_used_twice_by_the_same_operation() -> None:
    x = variable("x", 3)
    assert Graph(x * x).backward() == {"x": 6.0}
    assert Graph(x / x).backward() == {"x": 0.0}
    assert Graph(x - x).backward() == {"x": 0.0}


def test_backward_twice_gives_the_same() -> None:
    graph = fan_out(3)
    first = graph.backward()
    assert graph.backward() == first == {"x": 36.0}
    assert graph["x"].gradient == 36.0


def test_requested_gradients() -> None:
    graph = three_a_plus_bc()
    assert graph.backward("u", graph["b"], "J") == {"u": 3.0, "b": 6.0, "J": 1.0}


def test_the_output_may_be_a_variable() -> None:
    graph = Graph(variable("x", 3))
    assert graph.forward(x=4) == 4.0
    assert graph.backward() == {"x": 1.0}


# --- forward again --------------------------------------------------------------------------


def test_forward_with_new_inputs() -> None:
    graph = three_a_plus_bc()
    assert graph.forward(a=6) == 36.0
    assert graph.forward(b=1, c=1) == 21.0
    assert graph["a"].value == 6.0
    assert graph.backward() == {"a": 3.0, "b": 3.0, "c": 3.0}


def test_forward_after_setting_a_value() -> None:
    graph = three_a_plus_bc()
    graph["a"].value = 6
    assert graph.forward() == 36.0


def test_forward_with_a_new_constant() -> None:
    graph = logistic_unit(y=1)
    before = graph.forward()
    assert graph.forward(y=0) == pytest.approx(before + 1.0, rel=1e-15)


def test_forward_forgets_the_gradients() -> None:
    graph = three_a_plus_bc()
    graph.backward()
    graph.forward(a=6)
    assert [node.gradient for node in graph.nodes] == [None] * len(graph.nodes)


def test_an_input_may_have_any_name() -> None:
    graph = Graph(variable("self", 2) * variable("dw 1", 3))
    assert graph.forward(**{"self": 5, "dw 1": 7}) == 35.0


def test_graph_brings_old_nodes_up_to_date() -> None:
    x = variable("x", 3)
    y = 2 * x
    x.value = 5
    assert Graph(y + 1).output.value == 11.0


def test_backward_refuses_old_values() -> None:
    graph = three_a_plus_bc()
    graph["a"].value = 6
    with pytest.raises(ValueError, match=r"a was set to 6 after the last forward.*call forward\("):
        graph.backward()
    graph.forward()
    assert graph.backward()["a"] == 3.0


def test_backward_notices_what_another_graph_changed() -> None:
    x = variable("x", 3)
    y = x * x
    one, other = Graph(y + 1), Graph(y * y)
    other.forward(x=5)
    x.value = 3  # As it was for `one`, but y is that of x = 5.
    with pytest.raises(ValueError, match="x was set to 3 after"):
        one.backward()


def test_setting_the_same_value_changes_nothing() -> None:
    graph = three_a_plus_bc()
    graph["a"].value = 5
    assert graph.backward()["b"] == 6.0


def test_a_failed_forward_must_be_repeated() -> None:
    graph = Graph(log(variable("x", 3)))
    with pytest.raises(ValueError, match="logarithm"):
        graph.forward(x=-1)
    with pytest.raises(ValueError, match=r"did not finish; correct the inputs and call forward\("):
        graph.backward()
    graph.forward(x=2)
    assert graph.backward() == {"x": 0.5}


def test_a_refused_forward_changes_nothing() -> None:
    graph = three_a_plus_bc()
    with pytest.raises(KeyError):
        graph.forward(a=100, q=1)
    with pytest.raises(ValueError, match="nan"):
        graph.forward(a=100, b=math.nan)
    assert graph["a"].value == 5.0
    assert graph.backward()["b"] == 6.0


# --- names ----------------------------------------------------------------------------------


def test_unnamed_nodes_get_names_that_are_free() -> None:
    x = variable("t2", 2)
    graph = Graph(exp(-x) * (x + 1))
    assert [graph.label(node) for node in graph.nodes] == ["t2", "t1", "t3", "1", "t4", "J"]
    assert graph["t4"].value == 3.0
    graph = Graph(variable("J", 2) * 3)
    assert graph["t1"] is graph.output


def test_repr() -> None:
    a, b = variable("a", 5), variable("b", -3)
    assert repr(a) == "Node(a = 5)"
    assert repr(a * b) == "Node(a · b = -15)"
    assert repr((a - b).named("u")) == "Node(u = a - b = 8)"
    assert repr((a - b) / 3) == "Node(… / 3 = 2.66667)"
    assert repr(constant(3)) == "Node(3)"
    assert repr(Graph(a * b)) == "Graph(J = a · b = -15; variables: a, b)"
    assert repr(Graph(constant(3) + 1)) == "Graph(J = 3 + 1 = 4; variables: none)"
    wide = Graph(weighted_sum([1] * 9, [variable(f"x{i}", i) for i in range(9)]))
    expected = "Graph(J = x0 + x1 + … + x7 + x8 = 36; variables: x0, x1, x2, x3, …, x8)"
    assert repr(wide) == expected


# --- long chains ----------------------------------------------------------------------------

CHAIN = """
import gc
from {package} import Graph, variable

# Half the time would go into looking for garbage that is not there.
gc.disable()

node = variable("x", 1.5)
for _ in range(100_000):
    node = -node
graph = Graph(node)
assert graph.forward(x=2) == 2.0
assert graph.backward() == {{"x": 1.0}}
assert len(graph.explain().splitlines()) == 200_005
assert graph.mermaid().count("-->") == 100_000
assert graph.dot().count(" -> ") == 100_000
assert len(repr(graph)) + len(repr(node)) < 200
# The graph holds all nodes; without it they hang on one another.
del graph
del node
print("done")
"""


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the package alone under another name."""
    source = Path(logreg_c.graph.__file__).parent
    shutil.copytree(source, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_chain_of_a_hundred_thousand_nodes(copy: Path) -> None:
    run = run_python(CHAIN.format(package="elsewhere"), copy)
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr


def test_the_folder_stands_by_itself(copy: Path) -> None:
    run = run_python(
        """
sys.modules["numpy"] = None
before = set(sys.modules)
import elsewhere
assert elsewhere.three_a_plus_bc().backward() == {"a": 3.0, "b": 6.0, "c": 9.0}
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
assert loaded - set(sys.stdlib_module_names) == {"elsewhere"}, loaded
""",
        copy,
    )
    assert run.returncode == 0, run.stderr
