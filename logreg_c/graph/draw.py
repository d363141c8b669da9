# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a graph, as on a blackboard: from left to right, each node with its numbers.

A box holds the formula of a node, below it the value from the forward pass, in blue, and the
gradient from the backward pass, in red. Constants without a name stay inside the formulas.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .node import Node
from .number import write_number

if TYPE_CHECKING:
    from .graph import Graph

BLUE = "#1d4ed8"
RED = "#b91c1c"

DOT_STYLES = {
    "variable": 'fillcolor="#fef9c3", ',
    "constant": 'fillcolor="#f3f4f6", style="rounded,filled,dashed", ',
    "computed": "",
    "output": "penwidth=3, ",
}
MERMAID_STYLES = """\
    classDef variable fill:#fef9c3,stroke:#444,color:#000
    classDef constant fill:#f3f4f6,stroke:#444,color:#000,stroke-dasharray:4 3
    classDef computed fill:#fff,stroke:#444,color:#000
    classDef output fill:#fff,stroke:#000,color:#000,stroke-width:3px
"""

# Beyond this Graphviz takes long, and nobody could read the picture.
NOTEBOOK_LIMIT = 500


class Box(NamedTuple):
    """What a picture shows of one node."""

    node: Node
    name: str
    formula: str
    value: str
    gradient: str | None


def mermaid(graph: Graph, *, gradients: bool = True) -> str:
    """Draw a graph as Mermaid text; see `Graph.mermaid`."""
    boxes = _boxes(graph, gradients)
    ids = {box.node: f"n{i}" for i, box in enumerate(boxes, 1)}
    lines = ["flowchart LR"]
    for box in boxes:
        rows = [f"<b>{_mermaid_text(box.formula)}</b>", _mermaid_coloured("mediumblue", box.value)]
        if box.gradient is not None:
            rows.append(_mermaid_coloured("firebrick", box.gradient))
        lines.append(f'    {ids[box.node]}["{"<br/>".join(rows)}"]:::{_kind(graph, box.node)}')
    lines += [f"    {ids[source]} --> {ids[target]}" for source, target in _arrows(boxes)]
    return "\n".join(lines) + "\n" + MERMAID_STYLES


def _mermaid_coloured(colour: str, text: str) -> str:
    # Important, because the colour that a class sets is so too.
    return f"<span style='color:{colour}!important'>{_mermaid_text(text)}</span>"


def _mermaid_text(text: str) -> str:
    # Mermaid reads #34; as the character 34. Whatever it or Markdown could take for an
    # instruction goes in that way; letters of any alphabet and plain signs stay readable.
    return re.sub(r"[^\w +\-=/^().,|·…]|_", lambda match: f"#{ord(match[0])};", text)


def dot(graph: Graph, *, gradients: bool = True) -> str:
    """Draw a graph as DOT text; see `Graph.dot`."""
    boxes = _boxes(graph, gradients)
    ids = {box.node: _dot_id(box.name) for box in boxes}
    lines = [
        "digraph computation {",
        "    graph [rankdir=LR, bgcolor=white, nodesep=0.3, ranksep=0.6]",
        '    node [shape=box, style="rounded,filled", fontname="Helvetica,Arial,sans-serif"]',
        '    node [fontsize=13, margin="0.1,0.07", fillcolor=white]',
        '    edge [color="#444444", arrowsize=0.7]',
    ]
    for box in boxes:
        style = DOT_STYLES[_kind(graph, box.node)]
        lines.append(f"    {ids[box.node]} [{style}label=<{_dot_label(box)}>]")
    lines += [f"    {ids[source]} -> {ids[target]}" for source, target in _arrows(boxes)]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_id(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _dot_label(box: Box) -> str:
    rows = [f"<B>{html.escape(box.formula)}</B>"]
    rows.append(f'<FONT COLOR="{BLUE}">{html.escape(box.value)}</FONT>')
    if box.gradient is not None:
        rows.append(f'<FONT COLOR="{RED}">{html.escape(box.gradient)}</FONT>')
    table = "".join(f"<TR><TD>{row}</TD></TR>" for row in rows)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{table}</TABLE>'


def svg(graph: Graph, *, gradients: bool = True) -> str:
    """Draw a graph as SVG with Graphviz; see `Graph.svg`."""
    program = shutil.which("dot")
    if program is None:
        raise FileNotFoundError(
            "the program dot of Graphviz was not found; install Graphviz (apt install graphviz, "
            "brew install graphviz, conda install graphviz, winget install graphviz), "
            "or use mermaid() or dot(), which need no program"
        )
    run = subprocess.run(
        [program, "-Tsvg"],
        input=dot(graph, gradients=gradients),
        capture_output=True,
        encoding="utf-8",
    )
    if run.returncode != 0:
        raise RuntimeError(f"Graphviz could not draw the graph: {run.stderr.strip()}")
    # Without the XML prologue, the picture can stand inside a page.
    return run.stdout[run.stdout.index("<svg") :]


def notebook_bundle(graph: Graph) -> dict[str, str]:
    """Show a graph in a notebook: as a picture by Graphviz or else by Mermaid, and as text."""
    if sum(1 + len(node.inputs) for node in graph.nodes) > NOTEBOOK_LIMIT:
        return {"text/plain": repr(graph)}
    if shutil.which("dot") is None:
        picture = {"text/markdown": f"```mermaid\n{mermaid(graph)}```"}
    else:
        picture = {"image/svg+xml": svg(graph)}
    return {"text/plain": repr(graph), **picture}


def _boxes(graph: Graph, gradients: bool) -> list[Box]:
    """Run the passes, so that the picture never shows old numbers, and collect the boxes."""
    graph.forward()
    output = graph.label(graph.output)
    slopes: dict[str, float] = {}
    if gradients and graph.output.varies:
        slopes = graph.backward(*(node for node in graph.nodes if node.varies))
    boxes = []
    for node in graph.nodes:
        if node.operation is None and node.name is None and node is not graph.output:
            continue
        name = graph.label(node)
        gradient = f"d{output}/d{name} = {write_number(slopes[name])}" if name in slopes else None
        value = f"value {write_number(node.value)}"
        boxes.append(Box(node, name, node.formula(graph.label), value, gradient))
    return boxes


def _arrows(boxes: list[Box]) -> Iterator[tuple[Node, Node]]:
    """Yield each pair of a drawn node and one that it feeds, once even in x · x."""
    drawn = {box.node for box in boxes}
    for box in boxes:
        for source in dict.fromkeys(box.node.inputs):
            if source in drawn:
                yield source, box.node


def _kind(graph: Graph, node: Node) -> str:
    if node is graph.output:
        return "output"
    if node.operation is not None:
        return "computed"
    return "variable" if node.varies else "constant"
