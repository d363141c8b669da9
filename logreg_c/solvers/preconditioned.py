# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS for sparse data, from a matrix that knows the heavy columns and the one-hot fields.

Where that does not know enough, and the largest field leaves few columns, from the whole Hessian;
where it leaves many, or there is none, conjugate gradients follow.

Each iteration is a gather, which gives the margins of a direction, a search along them that reads
no X, and a scatter, which gives the gradient where it ends. Where full steps have been good enough
the next one is taken without a search, and both products are made while a row is in the cache. The
proof is a combination of what the iterations leave.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from .._arrays import inner
from .._combination import MOST
from .._objective import Point
from .._validation import Floats
from ._driver import Iterate, Task
from ._elimination import Elimination, price
from ._line_search import advance, along
from ._memory import Memory
from ._partial import Partial
from ._proof import Proof
from ._whole import Whole
from .newton_cg import conjugate_gradients

# Iterations at which the initial matrix is made again.
REFRESHED = (4, 12, 30, 60, 100, 150, 200, 300)
# Pairs that are kept; fewer where there are more than so many columns for the entries; more with
# the larger heads of slow fits.
MEMORY, SHORT_MEMORY, LONG_MEMORY = 20, 8, 100
ENTRIES_A_COLUMN = 50
# Points that are combined to a proof where columns are as many.
FEW_POINTS = 6
# Iterations after which a fit is slow, and slower, and slower still.
SLOW = (40, 80, 160)
# How often it is asked what is left: longer than the whole Hessian would take, or, twice in a row,
# more iterations than conjugate gradients take products, most often. They stand heavy tails and
# several classes far better, whose curvatures here are all the same.
LOOK, FAR = 20, 300
# A full step is tried first after as many in a row as there are entries in so many tenths of a row:
# what it saves is for each row, and a scatter is lost if it is not good enough.
ROW = 10
# Iterations after which the margins are computed again, which are added up from those of steps.
DRIFT = 50
# Products with the Hessian that a last proof may take.
PROOF = 40


def preconditioned(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a gather and a scatter."""
    objective, point = task.objective, task.begin()
    matrix: InitialMatrix
    if Whole.serves(objective):
        matrix, field = Whole(objective), None
    else:
        matrix, field = Partial(objective, task.random), Elimination.largest(objective)
    matrix.refresh(point)
    few = objective.data.size < ENTRIES_A_COLUMN * objective.D
    threads = objective.data.threads
    memory = Memory(SHORT_MEMORY if few else MEMORY, threads)
    proof = Proof(objective, task.goal, FEW_POINTS if few else MOST)
    proof.add(point)
    count, full, far, stuck = 0, 0, 0, False
    certain = objective.data.size / (ROW * objective.n)

    def apply(g: Floats) -> Floats:
        return memory.apply(g, matrix.apply)

    while True:
        s = apply(point.gradient)
        np.negative(s, out=s)
        lower = proof.of(point, -0.5 * inner(point.gradient, s), matrix.lower_bound, apply)
        gap = task.goal.gap(point.J)
        if point.J - lower <= gap:
            yield Iterate(point, lower)
            return
        if full > certain:
            step = advance(objective, point, s)
        else:
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
        full = full + 1 if step.length == 1.0 else 0
        new = objective.evaluate(step.point.theta) if count % DRIFT == 0 else step.point
        memory.add_step(point, new)
        point = new
        proof.add(point)
        yield Iterate(point, lower)
        if count % LOOK == 0:
            left = proof.iterations_left()
            far = far + 1 if left > FAR else 0
            if field is None and far == 2:
                return
            if field is not None and price(objective, *field) <= max(left, count):
                if not isinstance(matrix, Elimination):
                    matrix = Elimination(objective, *field)
                matrix.refresh(point)
                memory.clear()
                continue
        if count in SLOW and matrix.grow(count):
            matrix.refresh(point)
            memory = Memory(LONG_MEMORY, threads, memory)
        elif count in REFRESHED and matrix.pays < math.inf and not proof.nearly_done(matrix.pays):
            matrix.refresh(point)


class InitialMatrix(Protocol):
    """About an inverse of the Hessian, as it was at the point of the last `refresh`."""

    pays: float
    """Iterations that are to be left if another `refresh` is to save what it takes, or inf."""

    def refresh(self, point: Point) -> None:
        """Take the Hessian at a point."""

    def apply(self, g: Floats) -> Floats:
        """Return it times g."""

    def grow(self, count: int) -> bool:
        """Know more from the next refresh on, if it can, as so many iterations have not done."""

    def lower_bound(self, point: Point, gap: float) -> float | None:
        """Return a bound on J* by its own means, if it has any, J being to be this near to it."""
