# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS for sparse data, from a matrix that knows the heavy columns and the one-hot fields.

Each iteration is a gather, which gives the margins of a direction, a search along them that reads
no X, and a scatter, which gives the gradient where it ends. The proof is a combination of what
the iterations leave; where the matrix is the whole Hessian, it is a Newton step of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from .._certificate import lower_bound
from .._combination import MOST, Combination
from .._objective import Objective, Point, inner
from .._validation import Floats
from ._driver import Iterate, Task
from ._head import Preconditioner
from ._line_search import along
from ._memory import Memory
from .newton_cg import conjugate_gradients

# Iterations at which the initial matrix is made again.
REFRESHED = (4, 12, 30, 60, 100)
# Pairs that are kept; fewer where there are more than so many columns for the entries; more with
# the larger heads of slow fits.
MEMORY, SHORT_MEMORY, LONG_MEMORY = 20, 8, 100
ENTRIES_A_COLUMN = 50
# Points that are combined to a proof where columns are as many. A proof is tried where this part of
# what the last one lacked, in proportion to the decrease there is still to expect, would do.
FEW_POINTS, LIKELY = 6, 0.5
# Iterations after which a fit is slow.
SLOW = 40
# Iterations after which the margins are computed again, which are added up from those of steps.
DRIFT = 50
# Products with the Hessian that a last proof may take.
PROOF = 40


def preconditioned(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a gather and a scatter."""
    objective, point = task.objective, task.begin()
    matrix = Preconditioner(objective, task.random)
    matrix.refresh(point)
    few = objective.sparse.X.entries < ENTRIES_A_COLUMN * objective.D
    memory = Memory(SHORT_MEMORY if few else MEMORY)
    seen = Combination(objective, FEW_POINTS if few else MOST)
    seen.add(point)
    count, stuck = 0, False
    looseness = 1.0  # of the bound, in parts of the decrease that L-BFGS expects
    while True:
        gap = task.goal.gap(point.J)
        s = -memory.apply(point.gradient, matrix.apply)
        lower = -math.inf
        decrement = -0.5 * inner(point.gradient, s)
        if LIKELY * looseness * decrement <= gap:
            lower = seen.lower_bound()
            if lower > -math.inf:
                looseness = max((point.J - lower) / decrement, 1.0)
            if point.J - lower > gap and matrix.complete:
                matrix.refresh(point)
                s = -matrix.apply(point.gradient)
                lower = max(lower, proved_by(objective, point, s))
            if point.J - lower <= gap:
                yield Iterate(point, lower)
                return
        step = along(objective, point, s, objective.direction_margins(s))
        if step is None:
            if stuck:
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
        new = objective.evaluate(step.point.theta) if count % DRIFT == 0 else step.point
        memory.add(new.theta - point.theta, new.gradient - point.gradient)
        point = new
        seen.add(point)
        yield Iterate(point, lower)
        if count == SLOW and matrix.may_grow:
            matrix.grow()
            matrix.refresh(point)
            memory = Memory(LONG_MEMORY, memory)
        elif count in REFRESHED:
            matrix.refresh(point)


def proved_by(objective: Objective, point: Point, s: Floats) -> float:
    """Return the lower bound on J* that a direction gives, for a gather and a scatter."""
    a = objective.data.predictions(point.Z)
    return lower_bound(objective, point, objective, a, s, objective.direction_margins(s))
