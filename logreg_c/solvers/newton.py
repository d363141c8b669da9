# SPDX-License-Identifier: BSD-3-Clause
r"""Exact Newton: :math:`s = -H^{-1} g` with the Hessian of all rows, factored.

With an L1 penalty or bounds, the step to the minimum of the quadratic model and these: proximal
Newton.

For small problems, and the strongest of the solvers on hard ones. Each step's direction is the
certificate of the point before it, which bounds J* for the point after it as well; near the
optimum that proves the quadratic convergence at the price of one read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from .._certificate import lower_bound
from .._quadratic import model_step
from ._driver import Iterate, Task
from ._line_search import SHORT, advance, careful

# Steps in a row that may leave J as it is: the gradient, and the proof, may gain from one.
ROUNDED = 3
# Coordinate descent in a model ends at this part of the gap that is small enough, as long as that
# is far off: the last step, which is to prove it, goes on to rounding.
ROUGH = 1e-6


def newton(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a factored Hessian."""
    objective, point = task.objective, task.begin()
    decrement, level = math.inf, 0
    while level < ROUNDED:
        a = objective.data.predictions(point.Z)
        gap = task.goal.gap(point.J)
        enough = ROUGH * gap if decrement > gap else 0.0
        s, decrement = model_step(objective, objective.hessian(a), point, enough)
        step = advance(objective, point, s)
        lower = -math.inf
        if step is None:
            # At the limit of rounding the direction may still prove where the point is.
            U = objective.direction_margins(s)
            lower = lower_bound(objective, point, objective, a, U)
        elif abs(step.point.J - (point.J - decrement)) <= gap:
            lower = lower_bound(objective, point, objective, a, step.margins(point))
        if step is None or step.length < SHORT:
            step = careful(objective, point, step)
        if step is None:
            yield Iterate(point, lower)
            return
        yield Iterate(step.point, lower)
        level = 0 if step.point.J < point.J else level + 1
        point = step.point
