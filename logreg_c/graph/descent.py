# SPDX-License-Identifier: BSD-3-Clause
"""Gradient descent on a graph: the update w <- w - learning_rate · dw, and nothing else."""

from collections.abc import Sequence

from .graph import Graph
from .number import as_number


def step(graph: Graph, learning_rate: float, names: Sequence[str] = ()) -> float:
    """Move variables one step downhill, w <- w - learning_rate · dJ/dw, and compute J again.

    Parameters
    ----------
    graph : Graph
        Its forward pass is up to date, as after making it or after another step.
    learning_rate : float
        Above 0.
    names : sequence of str, optional
        Which variables to move; all of them if none is named.

    Returns
    -------
    float
        J after the step.

    Raises
    ------
    ValueError
        If the learning rate is not above 0, a name is not that of a variable, or as in
        `Graph.backward` and `Graph.forward`.
    KeyError
        If a name is unknown.
    TypeError
        If names are a single string.

    Examples
    --------
    >>> from logreg_c.graph import Graph, step, variable
    >>> x = variable("x", 3)
    >>> graph = Graph(x**2)
    >>> step(graph, learning_rate=0.25), x.value
    (2.25, 1.5)
    """
    if as_number(learning_rate, "the learning rate") <= 0.0:
        raise ValueError(f"the learning rate is {learning_rate!r}; give a number above 0")
    if isinstance(names, str):
        raise TypeError(f"names is {names!r}, a string; give a list of names, [{names!r}]")
    slopes = graph.backward(*names)
    new = {name: graph[name].value - learning_rate * slope for name, slope in slopes.items()}
    return graph.forward(**new)


def gradient_descent(
    graph: Graph, learning_rate: float, steps: int, names: Sequence[str] = ()
) -> list[float]:
    """Take many steps downhill; see `step`.

    Returns
    -------
    list of float
        J before the first step and after each.

    Raises
    ------
    ValueError
        If `steps` is no integer of 0 or above. Else as `step`.

    Examples
    --------
    >>> from logreg_c.graph import gradient_descent, logistic_regression
    >>> graph = logistic_regression([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1], w=[0], b=0)
    >>> losses = gradient_descent(graph, learning_rate=0.5, steps=200)
    >>> round(losses[0], 4), round(losses[-1], 4)
    (0.6931, 0.5869)
    """
    if not hasattr(steps, "__index__") or steps < 0:
        raise ValueError(f"steps is {steps!r}; give an integer of 0 or above")
    return [graph.output.value, *(step(graph, learning_rate, names) for _ in range(steps))]
