# SPDX-License-Identifier: BSD-3-Clause
"""Gradient descent with a line search on cached margins: the method to compare others with."""

from __future__ import annotations

from collections.abc import Iterator

from .._certificate import plain_lower_bound
from ._driver import Iterate, Task
from ._line_search import advance


def gradient_descent(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a step along the gradient, by centred and scaled columns."""
    objective, point = task.objective, task.begin()
    rate = 1.0
    while True:
        yield Iterate(point, plain_lower_bound(objective, point))
        step = advance(objective, point, -rate * point.gradient)
        if step is None:
            return
        rate *= step.length
        point = step.point
