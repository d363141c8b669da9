# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS for sparse data, from a matrix that knows the heavy columns and the one-hot fields.

Each iteration is a gather, which gives the margins of a direction, a search along them that reads
no X, and a scatter, which gives the gradient where it ends. The proof is made of what the
iterations leave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .._certificate import combined_lower_bound, plain_lower_bound
from ._driver import Iterate, Task
from ._head import Preconditioner
from ._line_search import along
from ._memory import Memory
from .newton_cg import conjugate_gradients

# Iterations at which the initial matrix is made again.
REFRESHED = (0, 4, 12, 30, 60, 100)
# Pairs that are kept; fewer where there are more than so many columns for the entries; more with
# the larger heads of slow fits.
MEMORY, SHORT_MEMORY, LONG_MEMORY = 20, 8, 100
ENTRIES_A_COLUMN = 50
# Iterations after which a fit is slow.
SLOW = 40
# Iterations after which the margins are computed again, which are added up from those of steps.
DRIFT = 50
# Points that a proof is made of, and how near to the goal it is tried.
COMBINED, NEAR = 10, 1e4
# Products with the Hessian that a last proof may take.
PROOF = 40


def preconditioned(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a gather and a scatter."""
    objective, point = task.objective, task.begin()
    matrix = Preconditioner(objective, task.random)
    few = objective.sparse.X.entries < ENTRIES_A_COLUMN * objective.D
    memory = Memory(SHORT_MEMORY if few else MEMORY)
    points = deque([point], maxlen=COMBINED)
    count, refreshed, stuck = 0, -1, False

    def proved() -> float:
        lower = plain_lower_bound(objective, point)
        gap = task.goal.gap(point.J)
        if gap < point.J - lower:
            lower = max(lower, combined_lower_bound(objective, list(points)))
        return lower

    lower = proved()
    if point.J - lower <= task.goal.gap(point.J):
        yield Iterate(point, lower)
    while True:
        if count in REFRESHED and count != refreshed:
            matrix.refresh(point)
            refreshed = count
        if count == SLOW and matrix.may_grow and not stuck:
            matrix.grow()
            matrix.refresh(point)
            memory = Memory(LONG_MEMORY, memory)
        s = -memory.apply(point.gradient, matrix.apply)
        step = along(objective, point, s, objective.direction_margins(s))
        if step is None:
            if stuck:
                gap = task.goal.gap(point.J)
                found = conjugate_gradients(objective, point, matrix.apply, 1e-3, gap, PROOF)
                yield Iterate(point, found.lower)
                return
            # Another matrix may know better.
            stuck = True
            memory.clear()
            point = objective.evaluate(point.theta)
            matrix.refresh(point)
            continue
        stuck = False
        count += 1
        new = step.point
        if count % DRIFT == 0:
            new = objective.evaluate(new.theta)
        memory.add(new.theta - point.theta, new.gradient - point.gradient)
        point = new
        points.appendleft(point)
        lower = proved()
        yield Iterate(point, lower)
