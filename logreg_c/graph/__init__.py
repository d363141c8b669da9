# SPDX-License-Identifier: BSD-3-Clause
"""A computation graph in plain Python: logistic regression with every step in the open.

Ordinary arithmetic on named numbers builds a graph. A forward pass computes its values, a backward
pass its gradients, and the graph can be told in words (`Graph.explain`) and drawn (`Graph.svg`,
`Graph.mermaid`, `Graph.dot`):

>>> from logreg_c.graph import Graph, variable
>>> a, b, c = variable("a", 5), variable("b", 3), variable("c", 2)
>>> u = (b * c).named("u")
>>> v = (a + u).named("v")
>>> graph = Graph((3 * v).named("J"))
>>> graph.forward()
33.0
>>> graph.backward()
{'a': 3.0, 'b': 6.0, 'c': 9.0}
>>> u.value, u.gradient
(6.0, 3.0)

It uses nothing but the standard library, and nothing outside this folder. To read it, follow
the dependencies upwards: ``operations`` (the calculus), ``node`` and ``functions`` (building),
``graph`` (the two passes), ``explain``, ``draw``, ``examples`` and ``descent``.
"""

from .descent import gradient_descent, step
from .examples import (
    fan_out,
    logistic_regression,
    logistic_unit,
    loss_and_gradient,
    three_a_plus_bc,
)
from .functions import cross_entropy, cross_entropy_from_z, exp, log, sigmoid, weighted_sum
from .graph import Graph, UnknownNameError
from .node import Node, constant, variable

__all__ = [
    "Graph",
    "Node",
    "UnknownNameError",
    "constant",
    "cross_entropy",
    "cross_entropy_from_z",
    "exp",
    "fan_out",
    "gradient_descent",
    "log",
    "logistic_regression",
    "logistic_unit",
    "loss_and_gradient",
    "sigmoid",
    "step",
    "three_a_plus_bc",
    "variable",
    "weighted_sum",
]
