# SPDX-License-Identifier: BSD-3-Clause
"""Some rows in place of all: their Hessian, their tilted J, and the certificate they give."""

from __future__ import annotations

import numpy as np

from .._arrays import diagonal_of
from .._certificate import lower_bound, newton_lower_bound
from .._objective import Objective, Point
from .._quadratic import model_step
from .._validation import Floats, Indices
from ._learning_hessian import LearningHessian, learning_hessian
from ._line_search import advance

# A Hessian that leaves more of the decrement than this after a step is made anew.
LEARNT = 0.2
# Inner steps on a sample stop at this part of what they have gained, or at that many.
GAINED = 0.005
INNER_STEPS = 40
INNER_MEMORY = 10
# A decrement by the Hessian of the point before that is below this part of the noise is believed:
# it may be several times too small where rare columns are on their way.
STALE = 0.1
# Pairs of L-BFGS that a sample's factor is mended by.
MEMORY = 15


class Sample:
    """Rows of an objective, copied, each with what it stands for.

    Parameters
    ----------
    objective : Objective
        Over all rows.
    rows : ndarray of intp
        The rows of the sample.
    weight : ndarray
        How many rows each stands for.
    """

    def __init__(self, objective: Objective, rows: Indices, weight: Floats) -> None:
        self._objective = objective
        self._rows, self._weight = rows, weight
        self._weighted = objective.sample(rows, weight)
        # The certificate is about these rows, not about what they stand for.
        self._alone = objective.sample_again(self._weighted, rows)
        self.fraction = len(rows) / objective.n
        # The last Hessian and its predictions. They have their places before arrays as long as y
        # come and go, which would not find room in one piece again beside what is kept later.
        P = objective.K * objective.D
        self._H, self._bent = np.empty((P, P)), np.empty((objective.K, len(rows)))

    def hessian(self, point: Point, least: Floats | None = None) -> LearningHessian:
        """Return the Hessian at a point, its diagonal raised to `least`, to make steps with."""
        self._bent[:] = self._weighted.data.predictions(point.margins_of(self._rows))
        H = self._weighted.hessian(self._bent)
        self._H[:] = H
        if least is not None:
            np.maximum(diagonal_of(H), least.ravel(), out=diagonal_of(H))
        return learning_hessian(self._objective, H, MEMORY)

    def lower_bound(self, point: Point, gap: float) -> float:
        """Return a proved lower bound on J* by moving the dual variables of these rows.

        By the last Hessian, of which a row's part counts as often as the row, so that its dual
        variable has to move as much further; if that does not prove the gap, by that of the rows
        alone as they are at the point.
        """
        s = model_step(self._weighted, self._H, point).s
        U = self._weight * self._weighted.direction_margins(s)
        a = self._alone.data.predictions(point.margins_of(self._rows))
        lower = lower_bound(self._objective, point, self._alone, a, U, self._bent)
        if point.J - lower > gap:
            alone = newton_lower_bound(self._objective, point, self._alone, self._rows)
            lower = max(lower, alone)
        return lower

    def tilted_step(self, point: Point, hessian: LearningHessian, prox: Floats) -> Floats:
        """Return the step to the minimum of the sample's J, tilted and held near the point.

        That is f_S(theta) + <g - g_S, theta> + sum of prox / 2 (theta - theta_k)^2, whose
        gradient at the point is that of all rows; by BFGS from the Hessian, on the sample alone.
        """
        here = self._weighted.evaluate(point.theta)
        linear = point.gradient - here.gradient - prox * point.theta
        tilted = self._weighted.with_terms(self._weighted.quadratic + prox, linear)
        now = tilted.evaluate(point.theta)
        inner_hessian = hessian.afresh(INNER_MEMORY)
        start = now.J
        for _ in range(INNER_STEPS):
            s = inner_hessian.step(now).s
            step = advance(tilted, now, s)
            if step is None:
                break
            inner_hessian.learn(step.length * s, step.point.gradient - now.gradient)
            fallen = now.J - step.point.J
            now = step.point
            if fallen <= GAINED * (start - now.J):
                break
        return now.theta - point.theta


def minimise_sample(
    part: Objective, theta: Floats, noise: float, most: int
) -> tuple[Floats, Floats]:
    """Minimise a sample's J to a decrement of `noise`, in at most so many steps.

    A Hessian that learns from steps is as good as a new one while they gain as much as Newton's
    do far from the optimum. Returns theta and the diagonal of the last Hessian that was made.
    """
    point = part.evaluate(theta)
    before = 0.0
    for _ in range(most):
        if before == 0.0:
            H = part.hessian(part.data.predictions(point.Z))
            diagonal = diagonal_of(H).reshape(theta.shape).copy()
            hessian = learning_hessian(part, H, INNER_MEMORY)
        s, decrement = hessian.step(point)
        if before != 0.0 and decrement <= STALE * noise:
            break
        step = advance(part, point, s)
        if step is None:
            break
        hessian.learn(step.length * s, step.point.gradient - point.gradient)
        point = step.point
        if decrement <= noise:
            break
        before = decrement if before == 0.0 or decrement <= LEARNT * before else 0.0
    return point.theta, diagonal
