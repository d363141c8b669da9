# SPDX-License-Identifier: BSD-3-Clause
"""The whole Hessian of sparse data, of all rows: a sample would miss what bends J least."""

from __future__ import annotations

from .._certificate import lower_bound
from .._objective import Objective, Point
from .._validation import Floats

# So many parameters, or the cube root of so many times the entries of X, are few.
SMALL, COMPLETE = 500, 100.0


class Whole:
    """The inverse of the Hessian as it was at the point of the last `refresh`."""

    pays = 3.0

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    @staticmethod
    def serves(objective: Objective) -> bool:
        """Whether parameters are few enough."""
        most = max(SMALL, (COMPLETE * objective.data.size) ** (1 / 3))
        return bool(objective.K * objective.D <= most)

    def refresh(self, point: Point) -> None:
        """Take the Hessian at a point."""
        self._factor = self._objective.factor(self._objective.data.predictions(point.Z))

    def apply(self, g: Floats) -> Floats:
        """Return the inverse of the Hessian times g."""
        return self._objective.project(self._factor.solve(g))

    def grow(self, count: int) -> bool:
        """Return that there is no more to know."""
        return False

    def lower_bound(self, point: Point, gap: float) -> float:
        """Return the bound of a Newton step, made anew, which leaves no residual."""
        objective = self._objective
        self.refresh(point)
        a = objective.data.predictions(point.Z)
        s = -self.apply(point.gradient)
        return lower_bound(objective, point, objective, a, objective.direction_margins(s))
