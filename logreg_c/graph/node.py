# SPDX-License-Identifier: BSD-3-Clause
"""Nodes: named numbers, and the operations that lead from one to the next.

A node is a variable, a constant, or an operation on other nodes. Ordinary arithmetic builds
them, and each knows its value as soon as it is built:

>>> a = variable("a", 5)
>>> b = variable("b", 3)
>>> u = (a * b).named("u")
>>> u
Node(u = a · b = 15)
>>> (2 * u + 1).value
31.0
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from . import operations
from .number import as_number, write_number
from .operations import Operation

Operand: TypeAlias = "Node | float"
Label: TypeAlias = "Callable[[Node], str]"

UNNAMED = "…"


def own_label(node: Node) -> str:
    """Write a node as its name, a constant without one as its number; a graph knows better."""
    if node.name is not None:
        return node.name
    return write_number(node.value) if node.operation is None else UNNAMED


def _both_ways(
    operation: Operation,
) -> tuple[Callable[[Node, Operand], Node], Callable[[Node, Operand], Node]]:
    """Make the methods for node + other and for other + node."""
    return (
        lambda node, other: apply(operation, node, other),
        lambda node, other: apply(operation, other, node),
    )


class Node:
    """A number in a computation, made by `variable`, `constant` or arithmetic on nodes.

    Attributes
    ----------
    name : str or None
        What it is called; give an operation a name with `named`.
    value : float
        The value from the last time it was computed. That of a variable or constant can be set;
        then call `Graph.forward` to bring the rest up to date.
    gradient : float or None
        dJ/d(this node), from the last `Graph.backward`; None before that, after a new
        `Graph.forward`, and where nothing varies.
    operation : Operation or None
        What computes it; None for variables and constants.
    inputs : tuple of Node
        What it is computed from.
    varies : bool
        Whether it is a variable or is computed from one, so that it has a gradient.
    changes : int
        How often the value was set to another one, by which a graph notices that it is behind.
    """

    __slots__ = ("_name", "_value", "changes", "gradient", "inputs", "operation", "varies")

    def __init__(
        self,
        operation: Operation | None,
        inputs: tuple[Node, ...],
        value: float,
        varies: bool,
        name: str | None = None,
    ) -> None:
        self.operation = operation
        self.inputs = inputs
        self.varies = varies
        self.gradient: float | None = None
        self.changes = 0
        self._value = value
        self._name = name

    @property
    def name(self) -> str | None:
        """What the node is called, or None."""
        return self._name

    def named(self, name: str) -> Node:
        """Give the node a name, once, and return the node.

        Raises
        ------
        ValueError
            If it has a name already, or the new one is empty or cannot be printed on one line.

        Examples
        --------
        >>> x = variable("x", 3)
        >>> (2 * x).named("y")
        Node(y = 2 · x = 6)
        """
        if self._name is not None:
            raise ValueError(f"{self._name} has a name already, and cannot be renamed {name!r}")
        self._name = _checked_name(name)
        return self

    @property
    def value(self) -> float:
        """The value from the last time the node was computed."""
        return self._value

    @value.setter
    def value(self, value: float) -> None:
        if self.operation is not None:
            raise AttributeError(
                f"{self!r} is computed and cannot be set; set the variables it is computed from, "
                "then call forward()"
            )
        number = as_number(value, own_label(self))
        self.changes += number != self._value
        self._value = number

    def compute(self, label: Label = own_label) -> None:
        """Compute the value again from the values of the inputs; a leaf keeps its own.

        Raises
        ------
        ValueError, ZeroDivisionError
            Outside the domain of the operation.
        OverflowError
            If the result is beyond the largest float.
        """
        if self.operation is None:
            return
        try:
            value = self.operation.value(*[node._value for node in self.inputs])
        except OverflowError:
            value = math.inf
        except (ValueError, ZeroDivisionError) as error:
            task = _equation([*self._names(label), *self._numbers()])
            raise type(error)(f"cannot compute {task}: {error}") from None
        if not math.isfinite(value):
            task = _equation([*self._names(label), *self._numbers()])
            raise OverflowError(
                f"cannot compute {task}: the result is beyond the largest float, 1.8e308; "
                "make the inputs smaller"
            )
        self._value = value

    def derivatives(self, label: Label = own_label) -> Iterator[tuple[Node, float]]:
        """Yield d(this node)/d(input) for each input that varies.

        Raises
        ------
        ValueError
            Where the derivative does not exist or is infinite, like that of x^0.5 at x = 0.
        """
        if self.operation is None:
            return
        values = [node._value for node in self.inputs]
        slopes = self.operation.derivatives(*values, self._value)
        for node, slope in zip(self.inputs, slopes, strict=True):
            if not node.varies:
                continue
            if not math.isfinite(slope):
                name = label(node)
                raise ValueError(
                    f"no gradient through {self.working(label)}: it has no finite derivative "
                    f"by {name} at {name} = {write_number(node._value)}; move the inputs away "
                    f"from there, or make {name} a constant"
                )
            yield node, slope

    def formula(self, label: Label = own_label) -> str:
        """Write the node as a formula: ``u = b · c``, or only the name of a leaf."""
        return _equation(self._names(label))

    def working(self, label: Label = own_label) -> str:
        """Write the formula, then the numbers in it, then the value: ``u = b · c = 3 · 2 = 6``."""
        return _equation([*self._names(label), *self._numbers(), write_number(self._value)])

    def _names(self, label: Label = own_label) -> list[str]:
        right = [self.operation.write(*map(label, self.inputs))] if self.operation else []
        return [label(self), *right]

    def _numbers(self) -> list[str]:
        numbers = [write_number(node._value) for node in self.inputs]
        return [self.operation.write(*numbers)] if self.operation else []

    def __repr__(self) -> str:
        """Show the formula and the value."""
        return f"Node({_equation([*self._names(), write_number(self._value)])})"

    __add__, __radd__ = _both_ways(operations.ADD)
    __sub__, __rsub__ = _both_ways(operations.SUBTRACT)
    __mul__, __rmul__ = _both_ways(operations.MULTIPLY)
    __truediv__, __rtruediv__ = _both_ways(operations.DIVIDE)
    __pow__, __rpow__ = _both_ways(operations.POWER)

    def __neg__(self) -> Node:
        """Build -x."""
        return apply(operations.NEGATE, self)

    def __pos__(self) -> Node:
        """Build a node of its own with the same value, as in z = x."""
        return apply(operations.IDENTITY, self)


def _equation(sides: Iterable[str]) -> str:
    # dict.fromkeys drops what repeats: z = x = 3 = 3 would help nobody.
    return " = ".join(dict.fromkeys(side for side in sides if side != UNNAMED))


def _checked_name(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a name must be a string, and {name!r} is of type {type(name).__name__}")
    if not name.strip() or not name.isprintable():
        raise ValueError(f"a name must be printable and not blank, and {name!r} is not")
    return name


def variable(name: str, value: float) -> Node:
    """Make a variable: an input that has a gradient.

    Parameters
    ----------
    name : str
        What to call it; each name once in a graph.
    value : float
        Its value, a finite number.

    Raises
    ------
    TypeError, ValueError
        If the value is not a finite number, or the name not a string that can be printed.

    Examples
    --------
    >>> variable("a", 5)
    Node(a = 5)
    """
    name = _checked_name(name)
    return Node(None, (), as_number(value, name), True, name)


def constant(value: float, name: str | None = None) -> Node:
    """Make a constant: an input held fixed, which has no gradient.

    Plain numbers in a formula become constants by themselves. One with a name, such as a label
    or a measurement, is shown in pictures, and can be given another value in `Graph.forward`.

    Parameters
    ----------
    value : float
        Its value, a finite number.
    name : str, optional
        What to call it; without a name it is written as its value.

    Raises
    ------
    TypeError, ValueError
        If the value is not a finite number, or the name not a string that can be printed.

    Examples
    --------
    >>> constant(1, "y")
    Node(y = 1)
    >>> 3 * variable("v", 11)
    Node(3 · v = 33)
    """
    if name is not None:
        name = _checked_name(name)
    return Node(None, (), as_number(value, name or "a number in a formula"), False, name)


def apply(operation: Operation, *operands: Operand) -> Node:
    """Make the node that applies an operation to nodes, or to numbers taken as constants.

    Raises
    ------
    TypeError, ValueError
        If an operand is neither a node nor a finite number.
    ValueError, ZeroDivisionError, OverflowError
        If the value does not exist; see `Node.compute`.

    Examples
    --------
    >>> apply(operations.MULTIPLY, 2, 3)
    Node(2 · 3 = 6)
    """
    try:
        inputs = tuple(
            operand if isinstance(operand, Node) else constant(operand) for operand in operands
        )
    except (TypeError, ValueError) as error:
        texts = [own_label(o) if isinstance(o, Node) else reprlib.repr(o) for o in operands]
        raise type(error)(f"cannot build {operation.write(*texts)}: {error}") from None
    node = Node(operation, inputs, math.nan, any(node.varies for node in inputs))
    node.compute()
    return node
