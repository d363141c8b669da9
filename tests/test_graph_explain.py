# SPDX-License-Identifier: BSD-3-Clause
"""The two passes of the computation graph, told in words."""

from __future__ import annotations

import re

from logreg_c.graph import (
    Graph,
    constant,
    fan_out,
    logistic_regression,
    logistic_unit,
    three_a_plus_bc,
    variable,
)


def test_explain_three_a_plus_bc() -> None:
    expected = """\
Forward
  a = 5
  b = 3
  c = 2
  u = b · c = 3 · 2 = 6
  v = a + u = 5 + 6 = 11
  J = 3 · v = 3 · 11 = 33

Backward
  dJ/dJ = 1
  dJ/dv = 3
  dJ/du = dJ/dv · dv/du = 3 · 1 = 3
  dJ/da = dJ/dv · dv/da = 3 · 1 = 3
  dJ/db = dJ/du · du/db = 3 · 2 = 6   du/db = c
  dJ/dc = dJ/du · du/dc = 3 · 3 = 9   du/dc = b"""
    assert three_a_plus_bc().explain() == expected


def test_explain_adds_where_paths_fan_out() -> None:
    text = fan_out(3).explain()
    assert "  z = x = 3\n" in text
    assert "  dJ/dx = dJ/dy · dy/dx + dJ/dz · dz/dx = 9 · 2 + 18 · 1 = 36" in text


def test_explain_logistic_unit() -> None:
    lines = logistic_unit().explain().splitlines()
    assert "  w1 = 0.5" in lines
    assert "   b = -0.5" in lines
    assert any(re.fullmatch(r"   y = 1 +constant", line) for line in lines)
    assert "   z = w1 · x1 + w2 · x2 + b = 0.5 · 2 + -0.5 · -1 + -0.5 = 1" in lines
    assert (
        "   L = -y · log(a) - (1 - y) · log(1 - a)"
        " = -1 · log(0.731059) - (1 - 1) · log(1 - 0.731059) = 0.313262"
    ) in lines
    assert (
        "   dL/da = -y / a + (1 - y) / (1 - a)"
        " = -1 / 0.731059 + (1 - 1) / (1 - 0.731059) = -1.36788"
    ) in lines
    dz = "   dL/dz = dL/da · da/dz = -1.36788 · 0.196612 = -0.268941"
    assert any(line.startswith(dz) and line.endswith("   da/dz = a · (1 - a)") for line in lines)
    dw1 = "  dL/dw1 = dL/dz · dz/dw1 = -0.268941 · 2 = -0.537883"
    assert any(line.startswith(dw1) and line.endswith("   dz/dw1 = x1") for line in lines)


def test_explain_tells_a_direct_share_from_the_whole() -> None:
    x = variable("x", 2)
    y = (x * x).named("y")
    text = Graph((x * y).named("J")).explain()
    expected = r"  dJ/dx = dJ/dy · dy/dx \+ ∂J/∂x = 2 · 4 \+ 4 = 12 +dy/dx = x \+ x, ∂J/∂x = y"
    assert re.search(f"^{expected}$", text, re.MULTILINE)


def test_explain_shortens_long_sums() -> None:
    X = [[float(i)] for i in range(8)]
    text = logistic_regression(X, [1] * 8, [0], 0).explain()
    assert " total = L1 + L2 + … + L7 + L8 = 0.693147 + 0.693147 + …" in text
    line = next(line for line in text.splitlines() if line.startswith("      dJ/db"))
    assert "= dJ/dz1 · dz1/db + dJ/dz2 · dz2/db + … + dJ/dz7 · dz7/db + dJ/dz8" in line


def test_explain_writes_negative_numbers_unmistakably() -> None:
    x = variable("x", -2)
    text = Graph(-x + (1 - x) + x**2 + 6 / x).explain()
    for step_ in ("-x = -(-2) = 2", "1 - x = 1 - (-2) = 3", "(-2)^2 = 4", "6 / (-2) = -3"):
        assert step_ in text


def test_explain_brings_the_graph_up_to_date() -> None:
    graph = three_a_plus_bc()
    graph["a"].value = 6
    assert "J = 3 · v = 3 · 12 = 36" in graph.explain()


def test_explain_without_variables() -> None:
    expected = """\
Forward
  a = 3                   constant
  J = a · 2 = 3 · 2 = 6   constant"""
    assert Graph(constant(3, "a") * 2).explain() == expected
