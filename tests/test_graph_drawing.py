# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of the computation graph: Mermaid, DOT and SVG."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from logreg_c.graph import (
    Graph,
    constant,
    exp,
    fan_out,
    logistic_regression,
    logistic_unit,
    three_a_plus_bc,
    variable,
)

needs_graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"

NASTY = ['he said "<b>&é"', "a\\", "1. it_em", "-->", "`code`;#35;", "x]:::y", "σ²", "-->|*z*|"]


def nasty_graph() -> Graph:
    nodes = [variable(name, i) for i, name in enumerate(NASTY)]
    return Graph(sum(nodes[1:], nodes[0]).named("J & <co>"))


def mermaid_boxes(text: str) -> list[list[str]]:
    """Read the rows of each box back, with the escapes undone."""
    boxes = re.findall(r'^    n\d+\["([^"]*)"\]:::\w+$', text, re.MULTILINE)
    plain = [[re.sub("<[^>]*>", "", row) for row in box.split("<br/>")] for box in boxes]
    return [[re.sub(r"#(\d+);", lambda m: chr(int(m[1])), r) for r in rows] for rows in plain]


def dot_boxes(text: str) -> list[list[str]]:
    """Read the rows of each box back; the label must be well-formed XML."""
    labels = re.findall(r"label=<(<TABLE.*</TABLE>)>\]$", text, re.MULTILINE)
    tables = [ElementTree.fromstring(label) for label in labels]
    return [["".join(row.itertext()) for row in table.iter("TR")] for table in tables]


def test_mermaid() -> None:
    blue, red = (
        "<span style='color:mediumblue!important'>",
        "<span style='color:firebrick!important'>",
    )
    expected = f"""\
flowchart LR
    n1["<b>a</b><br/>{blue}value 5</span><br/>{red}dJ/da = 3</span>"]:::variable
    n2["<b>b</b><br/>{blue}value 3</span><br/>{red}dJ/db = 6</span>"]:::variable
    n3["<b>c</b><br/>{blue}value 2</span><br/>{red}dJ/dc = 9</span>"]:::variable
    n4["<b>u = b · c</b><br/>{blue}value 6</span><br/>{red}dJ/du = 3</span>"]:::computed
    n5["<b>v = a + u</b><br/>{blue}value 11</span><br/>{red}dJ/dv = 3</span>"]:::computed
    n6["<b>J = 3 · v</b><br/>{blue}value 33</span><br/>{red}dJ/dJ = 1</span>"]:::output
    n2 --> n4
    n3 --> n4
    n1 --> n5
    n4 --> n5
    n5 --> n6
"""
    styles = "".join(
        f"    classDef {kind} .+\n" for kind in ("variable", "constant", "computed", "output")
    )
    text = three_a_plus_bc().mermaid()
    assert text.startswith(expected)
    assert re.fullmatch(styles, text.removeprefix(expected))


def test_dot() -> None:
    text = three_a_plus_bc().dot()
    assert dot_boxes(text) == [
        ["a", "value 5", "dJ/da = 3"],
        ["b", "value 3", "dJ/db = 6"],
        ["c", "value 2", "dJ/dc = 9"],
        ["u = b · c", "value 6", "dJ/du = 3"],
        ["v = a + u", "value 11", "dJ/dv = 3"],
        ["J = 3 · v", "value 33", "dJ/dJ = 1"],
    ]
    arrows = re.findall(r'^    "(\w)" -> "(\w)"$', text, re.MULTILINE)
    assert arrows == [("b", "u"), ("c", "u"), ("a", "v"), ("u", "v"), ("v", "J")]
    assert "rankdir=LR" in text
    assert '<FONT COLOR="#1d4ed8">value 6</FONT>' in text
    assert '<FONT COLOR="#b91c1c">dJ/du = 3</FONT>' in text


def test_constants_have_no_gradient_and_a_dashed_box() -> None:
    graph = logistic_unit()
    assert ["y", "value 1"] in dot_boxes(graph.dot())
    assert ["y", "value 1"] in mermaid_boxes(graph.mermaid())
    line = next(line for line in graph.dot().splitlines() if line.startswith('    "y" ['))
    assert "dashed" in line


def test_without_gradients() -> None:
    graph = three_a_plus_bc()
    for boxes in (
        dot_boxes(graph.dot(gradients=False)),
        mermaid_boxes(graph.mermaid(gradients=False)),
    ):
        assert boxes[3] == ["u = b · c", "value 6"]
    assert graph["u"].gradient is None


def test_a_graph_without_variables_can_be_drawn() -> None:
    graph = Graph(constant(3, "a") * 2)
    assert dot_boxes(graph.dot()) == [["a", "value 3"], ["J = a · 2", "value 6"]]
    assert mermaid_boxes(Graph(constant(3)).mermaid()) == [["J", "value 3"]]


def test_pictures_never_show_old_numbers() -> None:
    graph = three_a_plus_bc()
    graph.backward()
    graph["a"].value = 6
    graph["b"].value = 7
    assert ["J = 3 · v", "value 60", "dJ/dJ = 1"] in dot_boxes(graph.dot())
    assert ["c", "value 2", "dJ/dc = 21"] in mermaid_boxes(graph.mermaid())


def test_one_arrow_for_a_node_used_twice() -> None:
    x = variable("x", 3)
    assert Graph(x * x).mermaid().count("-->") == 1
    assert Graph(x * x).dot().count(" -> ") == 1


def test_names_are_escaped() -> None:
    graph = nasty_graph()
    for boxes in (mermaid_boxes(graph.mermaid()), dot_boxes(graph.dot())):
        assert [boxes[i][0] for i in (0, 1, 3, 5, 7, 9, 11, 13)] == NASTY
        assert boxes[0][2] == f"dJ & <co>/d{NASTY[0]} = 1"
        assert boxes[-1][0] == f"J & <co> = t6 + {NASTY[7]}"
    # Outside the tags there is nothing that Mermaid or Markdown could take for an instruction.
    for line in graph.mermaid().splitlines():
        if match := re.match(r'    n\d+\["(.*)"\]:::\w+$', line):
            text = re.sub(r"</?(b|br/|span[^<>]*)>", "", match[1])
            assert not re.search(r'["<>&`*\[\]\\_]|#(?!\d+;)', text)


@needs_graphviz
def test_svg_shows_every_name() -> None:
    root = ElementTree.fromstring(nasty_graph().svg())
    texts = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert set(NASTY) < {text.replace("\xa0", " ") for text in texts}


@needs_graphviz
def test_svg_stands_by_itself() -> None:
    picture = fan_out().svg()
    assert picture.startswith("<svg")
    assert picture.rstrip().endswith("</svg>")
    assert "dJ/dx = 36" in picture
    assert "dJ/dx" not in fan_out().svg(gradients=False)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("three-a-plus-bc", three_a_plus_bc),
        ("fan-out", fan_out),
        ("logistic-unit", logistic_unit),
    ],
)
def test_stored_pictures_are_up_to_date(name: str, make: Callable[[], Graph]) -> None:
    path = PICTURES / f"graph-{name}.svg"
    if not path.exists():
        pytest.skip("the documentation is not here")
    stored = re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text(encoding="utf-8"))
    drawn = [row for box in dot_boxes(make().dot()) for row in box]
    assert sorted(html.unescape(text).replace("\xa0", " ") for text in stored) == sorted(drawn)


def test_without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(
        FileNotFoundError, match=r"dot of Graphviz was not found; install.*apt inst"
    ):
        three_a_plus_bc().svg()
    bundle = three_a_plus_bc()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/markdown"}
    assert bundle["text/markdown"] == f"```mermaid\n{three_a_plus_bc().mermaid()}```"
    assert bundle["text/plain"] == repr(three_a_plus_bc())


def test_graphviz_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="no fonts\n")
    monkeypatch.setattr(shutil, "which", lambda program: "/usr/bin/dot")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(RuntimeError, match=r"Graphviz could not draw the graph: no fonts$"):
        three_a_plus_bc().svg()


@needs_graphviz
def test_a_notebook_shows_the_picture() -> None:
    bundle = three_a_plus_bc()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/svg+xml"}
    assert bundle["image/svg+xml"] == three_a_plus_bc().svg()


def test_a_notebook_does_not_draw_a_crowd() -> None:
    X = [[float(i), 1.0] for i in range(100)]
    bundle = logistic_regression(X, [1] * 100, [0, 0], 0)._repr_mimebundle_()
    assert set(bundle) == {"text/plain"}


def test_unnamed_nodes_are_drawn_with_their_names() -> None:
    x = variable("x", 0)
    assert ["t1 = -x", "value 0", "dJ/dt1 = 1"] in dot_boxes(Graph(exp(-x)).dot())
