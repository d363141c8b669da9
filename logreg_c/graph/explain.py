# SPDX-License-Identifier: BSD-3-Clause
"""Both passes in words: each step with its formula, its numbers and its result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .node import Node
from .number import write_number

if TYPE_CHECKING:
    from .graph import Graph


class Path(NamedTuple):
    """One way forward from a node: to a node that it feeds, and how fast that one grows with it.

    The slope is the derivative of that one stage; the rule is its formula, in names and in numbers.
    """

    target: Node
    slope: float
    rule: str
    worked: str


class Line(NamedTuple):
    """A line of the text: left = right, and a note."""

    left: str
    right: str
    note: str


def explain(graph: Graph) -> str:
    """Run the forward and the backward pass of a graph and tell each step; see `Graph.explain`."""
    graph.forward()
    text = ["Forward", *_aligned(_forward_lines(graph))]
    if graph.output.varies:
        text += ["", "Backward", *_aligned(_backward_lines(graph))]
    return "\n".join(text)


def _forward_lines(graph: Graph) -> list[Line]:
    leaves = [node for node in graph.nodes if node.operation is None and node.name is not None]
    computed = [node for node in graph.nodes if node.operation is not None]
    lines = []
    for node in [*leaves, *computed]:
        name = graph.label(node)
        right = node.working(graph.label).removeprefix(f"{name} = ")
        lines.append(Line(name, right, "" if node.varies else "constant"))
    return lines


def _backward_lines(graph: Graph) -> list[Line]:
    varying = [node for node in reversed(graph.nodes) if node.varies]
    gradients = graph.backward(*varying)
    paths = _paths(graph)
    computed = [node for node in varying if node.operation is not None]
    # The variables last and in their own order, whatever depth they enter the graph at.
    lines = []
    for node in dict.fromkeys([*computed, *graph.variables]):
        name = graph.label(node)
        sides, note = _chain_rule(graph, name, paths.get(node, []), gradients)
        right = " = ".join(dict.fromkeys([*sides, write_number(gradients[name])]))
        lines.append(Line(f"d{graph.label(graph.output)}/d{name}", right, note))
    return lines


def _paths(graph: Graph) -> dict[Node, list[Path]]:
    """Collect for each node the nodes it feeds; one fed twice, as in x · x, is one path."""
    paths: dict[Node, list[Path]] = {}
    for node in graph.nodes:
        if node.operation is None or not node.varies:
            continue
        values = [source.value for source in node.inputs]
        slopes = node.operation.derivatives(*values, node.value)
        rules = node.operation.rules(*map(graph.label, node.inputs), graph.label(node))
        worked = node.operation.rules(*map(write_number, [*values, node.value]))
        for source, slope, rule, work in zip(node.inputs, slopes, rules, worked, strict=True):
            path = Path(node, slope, rule, work)
            known = paths.setdefault(source, [])
            known.append(_joined(known.pop(), path) if known and known[-1].target is node else path)
    return paths


def _joined(first: Path, second: Path) -> Path:
    return Path(
        first.target,
        first.slope + second.slope,
        f"{first.rule} + {second.rule}",
        f"{first.worked} + {second.worked}",
    )


def _chain_rule(
    graph: Graph, name: str, paths: list[Path], gradients: dict[str, float]
) -> tuple[list[str], str]:
    """Write the sides of the chain rule for one node, in names then numbers, and its rules."""
    output = graph.label(graph.output)
    if [path.target for path in paths] == [graph.output]:
        return [paths[0].rule, paths[0].worked], ""
    names, numbers, rules = [], [], []
    for target, slope, rule, _ in paths:
        if target is graph.output:
            # The direct share only; dJ/dx would be all of it, by every path.
            local = f"∂{output}/∂{name}"
            names.append(local)
            numbers.append(write_number(slope))
        else:
            stage = graph.label(target)
            local = f"d{stage}/d{name}"
            names.append(f"d{output}/d{stage} · {local}")
            numbers.append(f"{write_number(gradients[stage])} · {write_number(slope)}")
        if rule != write_number(slope):
            rules.append(f"{local} = {rule}")
    sides = [" + ".join(_shortened(terms)) for terms in (names, numbers) if terms]
    return sides, ", ".join(_shortened(rules))


def _shortened(terms: list[str]) -> list[str]:
    return terms if len(terms) <= 5 else [*terms[:2], "…", *terms[-2:]]


def _aligned(lines: list[Line]) -> Iterator[str]:
    """Line up the equals signs, and the notes after the equations."""
    left_width = max((len(line.left) for line in lines), default=0)
    # A few very long equations do not push the notes of all others to the far right.
    right_width = min(60, max((len(line.right) for line in lines), default=0))
    for left, right, note in lines:
        equation = f"  {left:>{left_width}} = {right:<{right_width}}   {note}"
        yield equation.rstrip()
