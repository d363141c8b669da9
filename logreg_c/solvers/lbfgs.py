# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS (Liu and Nocedal 1989) from the exact diagonal, or in the columns as they are.

One read of X an iteration. When the predicted decrease is small, conjugate gradients that start
from L-BFGS's own inverse Hessian prove the gap, or improve the step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._certificate import plain_lower_bound
from .._objective import Objective, Point, inner
from .._validation import Floats
from ._driver import Iterate, Task
from ._line_search import advance
from ._memory import Apply, Memory
from .newton_cg import conjugate_gradients

MEMORY = 20
# The usual condition of L-BFGS on a full step's slope: searching further costs more than it gains.
LOOSE = 0.9
# Products with the Hessian that a proof may take.
PROOF = 40


def from_diagonal(objective: Objective, diagonal: Floats) -> tuple[Memory, Apply]:
    """Return a memory and its inverse Hessian, from 1 / diagonal at the size of the last pair."""
    memory = Memory(MEMORY, objective.data.threads)
    inverse = 1.0 / np.maximum(diagonal, 1e-12 * diagonal.max())

    def by_column(q: Floats) -> Floats:
        return objective.project(inverse * q)

    def apply(g: Floats) -> Floats:
        return memory.apply(g, lambda q: memory.scaling(by_column) * by_column(q))

    return memory, apply


def few_passes(objective: Objective, point: Point, diagonal: Floats, count: int) -> Iterator[Point]:
    """Yield at most so many points of L-BFGS from the diagonal."""
    memory, apply = from_diagonal(objective, diagonal)
    for _ in range(count):
        step = advance(objective, point, -apply(point.gradient), LOOSE)
        if step is None:
            return
        memory.add(step.point.theta - point.theta, step.point.gradient - point.gradient)
        point = step.point
        yield point


def lbfgs(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a read of X."""
    objective, point = task.objective, task.begin()
    ones = np.ones_like(point.theta)
    if objective.n > objective.D:
        diagonal = objective.evaluate_and_survey(point.theta, ones)[1]
    else:
        # The penalty, which counts more the fewer rows there are, is that of the columns as they
        # are: scaling by curvature does harm.
        diagonal = ones * max(inner(point.gradient, point.gradient) ** 0.5, 1e-300)
    memory, apply = from_diagonal(objective, diagonal)
    trigger = 0.3
    retried = False
    while True:
        s = -apply(point.gradient)
        gap = task.goal.gap(point.J)
        lower = plain_lower_bound(objective, point)
        if -0.5 * inner(point.gradient, s) <= trigger * gap and point.J - lower > gap:
            found = conjugate_gradients(objective, point, apply, 1e-3, gap, PROOF)
            s, lower = found.s, max(lower, found.lower)
            trigger *= 0.1
        if point.J - lower <= gap:
            yield Iterate(point, lower)
            return
        step = advance(objective, point, s, LOOSE)
        if step is None:
            if retried:
                yield Iterate(point, lower)
                return
            memory.clear()
            retried = True
            continue
        retried = False
        memory.add(step.point.theta - point.theta, step.point.gradient - point.gradient)
        point = step.point
        yield Iterate(point, lower)
