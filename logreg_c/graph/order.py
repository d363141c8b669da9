# SPDX-License-Identifier: BSD-3-Clause
"""The order in which a graph is computed, and what its nodes are called."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from .node import Node


def topological_order(output: Node) -> Iterator[Node]:
    """Yield each node that leads to the output, after its own inputs.

    A walk in depth with a stack of its own, since a long chain would exhaust that of Python.

    Examples
    --------
    >>> from logreg_c.graph import variable
    >>> a, b = variable("a", 5), variable("b", 3)
    >>> list(topological_order(a * b))
    [Node(a = 5), Node(b = 3), Node(a · b = 15)]
    """
    seen = {output}
    stack = [(output, iter(output.inputs))]
    while stack:
        node, inputs = stack[-1]
        for source in inputs:
            if source not in seen:
                seen.add(source)
                stack.append((source, iter(source.inputs)))
                break
        else:
            stack.pop()
            yield node


def names_of(nodes: tuple[Node, ...]) -> dict[str, Node]:
    """Name every node, but for the constants that are only numbers.

    Raises
    ------
    ValueError
        If two nodes have the same name.

    Examples
    --------
    >>> from logreg_c.graph import variable
    >>> a, b = variable("a", 5), variable("b", 3)
    >>> list(names_of(tuple(topological_order(a * b + 1))))
    ['a', 'b', 't1', 'J']
    """
    taken: dict[str, Node] = {}
    for node in nodes:
        if node.name is not None and taken.setdefault(node.name, node) is not node:
            raise ValueError(
                f"two nodes are named {node.name!r}: {taken[node.name]!r} and {node!r}; "
                "give each its own name"
            )
    free = (f"t{i}" for i in count(1) if f"t{i}" not in taken)
    named: dict[str, Node] = {}
    for node in nodes:
        if node.name is not None:
            named[node.name] = node
        elif node is nodes[-1] and "J" not in taken:
            named["J"] = node
        elif node.operation is not None or node is nodes[-1]:
            named[next(free)] = node
    return named
