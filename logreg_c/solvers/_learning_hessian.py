# SPDX-License-Identifier: BSD-3-Clause
"""A Hessian, or what stands for one, that learns from the steps made with it."""

from __future__ import annotations

from typing import Protocol

from .. import _kernels
from .._arrays import inner
from .._factor import Factor
from .._objective import Objective, Point
from .._quadratic import ModelStep, model_step
from .._validation import Floats, Indices
from ._memory import Memory


class LearningHessian(Protocol):
    """What steps are made with."""

    def step(self, point: Point, enough: float = 0.0) -> ModelStep:
        """Return the step to the minimum of the quadratic model at a point.

        `enough` is that of `model_step`.
        """

    def learn(self, s: Floats, y: Floats) -> None:
        """Take in what the gradient changed by, y, along a step s."""

    def afresh(self, most: int) -> LearningHessian:
        """Return the matrix as it was at first, which will keep so many pairs if not all."""


class FactoredHessian:
    """A Cholesky factor and the pairs of L-BFGS, for objectives that are smooth."""

    def __init__(self, factor: Factor, most: int, threads: int) -> None:
        self._factor = factor
        self._threads = threads
        self._memory = Memory(most, threads)

    def step(self, point: Point, enough: float = 0.0) -> ModelStep:
        """Return the step, and the decrement of the factor alone."""
        s, decrement = self._factor.step(point.gradient)
        if self._memory:
            s = -self._memory.apply(point.gradient, self._factor.solve)
        return ModelStep(s, decrement)

    def learn(self, s: Floats, y: Floats) -> None:
        """Keep the pair."""
        self._memory.add(s, y)

    def afresh(self, most: int) -> FactoredHessian:
        """Return the factor without pairs."""
        return FactoredHessian(self._factor, most, self._threads)


class UpdatedHessian:
    """The matrix itself, updated by BFGS, for objectives with an L1 penalty or bounds."""

    def __init__(self, objective: Objective, H: Floats) -> None:
        self._objective = objective
        self._first = H
        self._H = H

    def step(self, point: Point, enough: float = 0.0) -> ModelStep:
        """Return the step to the minimum of the model."""
        return model_step(self._objective, self._H, point, enough)

    def fill(self, coordinates: Indices, curvatures: Floats) -> None:
        """Take curvatures of coordinates that have none yet."""
        self._H[coordinates, coordinates] = curvatures

    def learn(self, s: Floats, y: Floats) -> None:
        """Update the matrix, if the curvature is positive beyond rounding."""
        sy = inner(s, y)
        if not sy > 1e-12 * inner(y, y) ** 0.5 * inner(s, s) ** 0.5:
            return
        s, y = s.ravel(), y.ravel()
        Hs = product(self._H, s)
        curvature = inner(s, Hs)
        if curvature > 0.0:
            if self._H is self._first:
                self._H = self._first.copy()
            self._H += y[:, None] * (y / sy)
            self._H -= Hs[:, None] * (Hs / curvature)

    def afresh(self, most: int) -> UpdatedHessian:
        """Return the matrix before all updates."""
        return UpdatedHessian(self._objective, self._first)


def product(H: Floats, s: Floats) -> Floats:
    """Return H s, H being symmetric, with the same bits for any number of threads."""
    out = s * 0.0
    moved = s.nonzero()[0]
    _kernels.kernels.add_rows(H, moved, s[moved], out)
    return out


def learning_hessian(objective: Objective, H: Floats, most: int) -> LearningHessian:
    """Return what starts from a Hessian; of pairs, if it keeps them, the last `most`."""
    if objective.nonsmooth is None:
        threads = objective.data.threads
        return FactoredHessian(Factor(H, threads), most, threads)
    return UpdatedHessian(objective, H)
