# SPDX-License-Identifier: BSD-3-Clause
r"""Exact Newton: :math:`s = -H^{-1} g` with the Hessian of all rows, factored.

With an L1 penalty or bounds, the step to the minimum of the quadratic model and these: proximal
Newton.

A Hessian costs several steps, so each one serves for a second (Shamanskii 1967), by the gradient
where the first led to: about as many steps, and half the Hessians. One that costs many serves for
more, and learns from them as in L-BFGS. Proximal steps have a Hessian each, for the minimum of a
model costs as much.

For small problems, and the strongest of the solvers on hard ones. The direction of a step by the
Hessian alone is the certificate of the point before it, which bounds J* for the point after it as
well; near the optimum that proves the convergence at the price of one read, and no Hessian is made
for it alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from .._certificate import lower_bound
from ._driver import Iterate, Task
from ._learning_hessian import learning_hessian
from ._line_search import SHORT, advance, careful

# Steps in a row that may leave J as it is: the gradient, and the proof, may gain from one.
ROUNDED = 3
# Coordinate descent in a model ends at this part of the gap that is small enough, as long as that
# is far off: the last step, which is to prove it, goes on to rounding.
ROUGH = 1e-6
# Steps with a Hessian after its first: for one of less than so many times the arithmetic of a
# gradient, and for others.
CHEAP, FURTHER, MORE = 16, 1, 3
# By an older Hessian a proof misses about so many times the decrement times |stretch - 1|, which is
# what curvatures have changed by: in some rows they change more than on the whole.
UNEVEN = 2.0


def newton(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a step."""
    objective, point = task.objective, task.begin()
    decrement, level = math.inf, 0
    further = FURTHER if objective.D * (objective.K + 1) < 8 * CHEAP else MORE
    while level < ROUNDED:
        a = objective.data.predictions(point.Z)
        gap = task.goal.gap(point.J)
        hessian = learning_hessian(objective, objective.hessian(a), MORE)
        s, decrement = hessian.step(point, ROUGH * gap if decrement > gap else 0.0)
        step = advance(objective, point, s)
        lower = -math.inf
        if step is None:
            # At the limit of rounding the direction, to its last digit, may still prove where the
            # point is.
            U = objective.direction_margins(hessian.step(point).s)
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
        # Of the curvature that the Hessian has along a step there was 1 - left on the whole, hence
        # the square of that at its end, and the cube on a way as long again.
        stretch = (1.0 - step.left) ** -3
        for count in range(further + 1 if objective.nonsmooth is None else 0):
            # The decrement is no less than left^2 of what it was (Cauchy, Schwarz).
            if count == further and step.left**2 * decrement > gap:
                break
            if further > 1:
                hessian.learn(step.point.theta - point.theta, step.point.gradient - point.gradient)
            point = step.point
            s, decrement = hessian.step(point)
            last = max(1.0, UNEVEN * abs(stretch - 1.0)) * decrement <= gap
            if last and further > 1:
                s = hessian.afresh(MORE).step(point).s  # what pairs add proves nothing
            following = advance(objective, point, stretch * s) if last or count < further else None
            if following is None:
                break
            step, lower = following, -math.inf
            if last:
                here, U = objective.data.predictions(point.Z), step.margins(point) / stretch
                lower = lower_bound(objective, point, objective, here, U, bent=a)
            yield Iterate(step.point, lower)
            if last:
                break
        point = step.point
