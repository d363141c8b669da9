# SPDX-License-Identifier: BSD-3-Clause
"""The graph: a forward pass that computes values, a backward pass that computes gradients.

>>> from logreg_c.graph import Graph, variable
>>> a, b, c = variable("a", 5), variable("b", 3), variable("c", 2)
>>> graph = Graph((3 * (a + b * c)).named("J"))
>>> graph.forward(a=6)
36.0
>>> graph.backward()
{'a': 3.0, 'b': 6.0, 'c': 9.0}
"""

from __future__ import annotations

import math

from .draw import dot, mermaid, notebook_bundle, svg
from .explain import explain
from .node import Node, own_label
from .number import as_number, write_number
from .order import names_of, topological_order


class UnknownNameError(KeyError):
    """No node of the graph has that name."""

    def __str__(self) -> str:
        """Show the message as it is; KeyError would put it between quotes."""
        return str(self.args[0])


class Graph:
    """Everything that leads to one output, in an order in which it can be computed.

    Nodes without a name are called t1, t2, ... in that order, and an output without one J.

    Parameters
    ----------
    output : Node
        The node J whose gradients are wanted, usually a loss.

    Attributes
    ----------
    output : Node
        J.
    nodes : tuple of Node
        All nodes, each after its inputs, J last.
    variables : tuple of Node
        Those that are variables.

    Raises
    ------
    TypeError
        If the output is not a node.
    ValueError
        If two nodes have the same name.

    Examples
    --------
    >>> from logreg_c.graph import Graph, variable
    >>> x = variable("x", 3)
    >>> graph = Graph(x * x + x)
    >>> graph
    Graph(J = t1 + x = 12; variables: x)
    >>> graph["t1"]
    Node(x · x = 9)
    """

    def __init__(self, output: Node) -> None:
        if not isinstance(output, Node):
            raise TypeError(
                f"a Graph is made from a Node, and {output!r} is of type {type(output).__name__}; "
                "build the output from variable(name, value)"
            )
        self.output = output
        self.nodes = tuple(topological_order(output))
        self.variables = tuple(n for n in self.nodes if n.varies and n.operation is None)
        self._leaves = tuple(n for n in self.nodes if n.operation is None)
        self._by_name = names_of(self.nodes)
        self._labels = {node: name for name, node in self._by_name.items()}
        # How often each leaf had been changed at the last forward pass; None if that failed.
        self._seen: list[int] | None = None
        self.forward()

    def __getitem__(self, name: str) -> Node:
        """Find a node by its name."""
        try:
            return self._by_name[name]
        except (KeyError, TypeError):
            names = list(self._by_name)
            known = ", ".join(names if len(names) <= 20 else [*names[:10], "…", *names[-5:]])
            raise UnknownNameError(
                f"no node named {name!r} leads to {self.label(self.output)}; the names are: {known}"
            ) from None

    def __repr__(self) -> str:
        """Show the last formula, its value and the variables."""
        names = [self.label(node) for node in self.variables]
        shown = ", ".join(names if len(names) <= 6 else [*names[:4], "…", names[-1]]) or "none"
        formula = self.output.formula(self.label)
        return f"Graph({formula} = {write_number(self.output.value)}; variables: {shown})"

    def label(self, node: Node) -> str:
        """Write a node of the graph as its name, or a constant without one as its number."""
        return self._labels.get(node) or own_label(node)

    def forward(self, /, **inputs: float) -> float:
        """Compute every value from the variables and constants, and forget the gradients.

        Parameters
        ----------
        **inputs : float
            New values, by name, for variables and named constants. The others keep theirs.

        Returns
        -------
        float
            The value of the output.

        Raises
        ------
        KeyError
            If a name is unknown.
        TypeError, ValueError
            If a name belongs to a computed node, or a value is not a finite number.
            No value has been changed then.
        ValueError, ZeroDivisionError, OverflowError
            If a value cannot be computed: log(0), 1 / 0, exp(1000).
        """
        new = [(self[name], self._input(name, value)) for name, value in inputs.items()]
        self._seen = None
        for node, value in new:
            node.value = value
        for node in self.nodes:
            node.gradient = None
            node.compute(self.label)
        self._seen = [leaf.changes for leaf in self._leaves]
        return self.output.value

    def _input(self, name: str, value: float) -> float:
        node = self[name]
        if node.operation is not None:
            raise ValueError(
                f"{name} cannot be set: it is computed, {node.formula(self.label)}; "
                "set the variables it is computed from"
            )
        return as_number(value, name)

    def backward(self, *requested: str | Node) -> dict[str, float]:
        """Compute dJ/d(node) for every node that varies, by the chain rule.

        One walk from the output back to the variables. When it comes to a node, all that the node
        feeds has been visited, so the node's gradient is complete: it is used for the node's
        inputs, each receiving gradient · d(node)/d(input), and adding up what it receives.

        Parameters
        ----------
        *requested : str or Node
            Which gradients to return, by name or node; all variables if none is named.

        Returns
        -------
        dict
            Name to gradient. Every node's own is in its ``gradient``.

        Raises
        ------
        KeyError, ValueError
            If a requested node is unknown, does not lead to the output, or does not vary, or if
            the output depends on no variable.
        ValueError
            If an input was changed after the last forward pass, or where a derivative does not
            exist.
        OverflowError
            If a gradient is beyond the largest float.
        """
        chosen = [self._differentiable(which) for which in requested or self.variables]
        self._check_ready()
        gradients = {self.output: 1.0}
        for node in reversed(self.nodes):
            if not node.varies:
                continue
            gradient = gradients[node]
            if not math.isfinite(gradient):
                raise OverflowError(
                    f"d{self.label(self.output)}/d{self.label(node)} is beyond the largest "
                    "float, 1.8e308; make the inputs smaller"
                )
            for source, slope in node.derivatives(self.label):
                gradients[source] = gradients.get(source, 0.0) + gradient * slope
        for node, gradient in gradients.items():
            node.gradient = gradient
        return {self.label(node): gradients[node] for node in chosen}

    def _differentiable(self, which: str | Node) -> Node:
        node = which if isinstance(which, Node) else self[which]
        output = self.label(self.output)
        if node.varies and node not in self._labels:
            raise ValueError(f"{node!r} has no path to {output}; use it in the formula first")
        if not node.varies:
            raise ValueError(
                f"{self.label(node)} does not vary, so d{output}/d{self.label(node)} is not "
                "computed; make it with variable() to have a gradient"
            )
        return node

    def _check_ready(self) -> None:
        output = self.label(self.output)
        if not self.output.varies:
            raise ValueError(
                f"{output} depends on no variable, so there is nothing to differentiate; "
                "make at least one input with variable()"
            )
        if self._seen is None:
            raise ValueError(
                "the last forward pass did not finish; correct the inputs and call forward() "
                "before backward()"
            )
        for leaf, seen in zip(self._leaves, self._seen, strict=True):
            if leaf.changes != seen:
                raise ValueError(
                    f"{self.label(leaf)} was set to {write_number(leaf.value)} after the last "
                    "forward pass; call forward() before backward()"
                )

    def explain(self) -> str:
        """Run the forward and the backward pass and tell each step on a line.

        The backward lines multiply the gradient of the stage after by the derivative of that one
        stage, ``dJ/du = dJ/dv · dv/du``, and add over the stages that a node feeds. The share that
        it feeds into J directly is written ``∂J/∂u``. A formula that the line needs stands at
        its end.

        Returns
        -------
        str
            The text.

        Raises
        ------
        ValueError, ZeroDivisionError, OverflowError
            As `forward` and `backward` do.

        Examples
        --------
        >>> from logreg_c.graph import three_a_plus_bc
        >>> print(three_a_plus_bc().explain())
        Forward
          a = 5
          b = 3
          c = 2
          u = b · c = 3 · 2 = 6
          v = a + u = 5 + 6 = 11
          J = 3 · v = 3 · 11 = 33
        <BLANKLINE>
        Backward
          dJ/dJ = 1
          dJ/dv = 3
          dJ/du = dJ/dv · dv/du = 3 · 1 = 3
          dJ/da = dJ/dv · dv/da = 3 · 1 = 3
          dJ/db = dJ/du · du/db = 3 · 2 = 6   du/db = c
          dJ/dc = dJ/du · du/dc = 3 · 3 = 9   du/dc = b
        """
        return explain(self)

    def mermaid(self, *, gradients: bool = True) -> str:
        """Draw the graph as Mermaid text, which GitHub and many editors show as a picture.

        Parameters
        ----------
        gradients : bool, default True
            Whether to run the backward pass too, and show its gradients.

        Returns
        -------
        str
            The text.

        Examples
        --------
        >>> from logreg_c.graph import three_a_plus_bc
        >>> three_a_plus_bc().mermaid().splitlines()[0]
        'flowchart LR'
        """
        return mermaid(self, gradients=gradients)

    def dot(self, *, gradients: bool = True) -> str:
        """Draw the graph as DOT text, the language of Graphviz.

        Parameters
        ----------
        gradients : bool, default True
            Whether to run the backward pass too, and show its gradients.

        Returns
        -------
        str
            The text.

        Examples
        --------
        >>> from logreg_c.graph import three_a_plus_bc
        >>> three_a_plus_bc().dot().splitlines()[-2]
        '    "v" -> "J"'
        """
        return dot(self, gradients=gradients)

    def svg(self, *, gradients: bool = True) -> str:
        """Draw the graph as SVG, by the program ``dot`` of Graphviz.

        Parameters
        ----------
        gradients : bool, default True
            Whether to run the backward pass too, and show its gradients.

        Returns
        -------
        str
            The ``<svg>`` element, for a file or inside a page.

        Raises
        ------
        FileNotFoundError
            If Graphviz is not installed.
        RuntimeError
            If Graphviz fails.
        """
        return svg(self, gradients=gradients)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return notebook_bundle(self)
