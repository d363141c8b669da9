# SPDX-License-Identifier: BSD-3-Clause
"""Fits one after another, each starting from what those before it found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._objective import Point
from ._unpenalised import Review
from ._validation import Floats
from .fitting import Posed
from .solvers import SOLVERS, choose
from .solvers._driver import Goal
from .solvers.near import Metric, moved, near


class Fitted(NamedTuple):
    """What was minimised, and what was found."""

    posed: Posed
    review: Review

    @property
    def point(self) -> Point:
        """Where the fit ended."""
        return self.review.outcome.point

    def theta_for(self, other: Posed) -> Floats:
        """Return theta in the coordinates of another of the problem's objectives."""
        mine, theirs = self.posed.objective, other.objective
        if mine.scale is theirs.scale:
            return self.point.theta
        return theirs.from_raw(mine.to_raw(self.point.theta))


class Continuation:
    """Solves problems that differ in their penalties and weights; they share a Hessian.

    Parameters
    ----------
    solver : str
        As in `fit`; with "auto" the Hessian that was made last is tried first.
    goal : Goal
        Of every fit.
    max_iter : int
        Most iterations of a fit.
    """

    def __init__(self, solver: str, goal: Goal, max_iter: int) -> None:
        self._solver = solver
        self._goal = goal
        self._max_iter = max_iter
        self._metric = Metric()

    def fit(self, posed: Posed, theta: Floats, start: Point | None = None) -> Fitted:
        """Fit from theta; `start` is what is known there already."""
        objective = posed.objective
        solvers = [(name, SOLVERS[name]) for name in choose(self._solver, objective)]
        if self._solver == "auto" and self._metric.suits(objective):
            solvers.insert(0, ("near", near(self._metric, start)))
        return Fitted(posed, posed.minimise(theta, solvers, self._goal, self._max_iter))

    def fit_next(self, posed: Posed, before: Fitted | None, older: Fitted | None = None) -> Fitted:
        """Fit with another penalty, from where those before it lead."""
        if before is None:
            return self.fit(posed, posed.start())
        theta = before.theta_for(posed)
        mine, theirs = before.posed, posed
        if theirs.objective.nonsmooth is None and mine.objective.nonsmooth is None:
            if mine.objective.scale is theirs.objective.scale:
                point = moved(mine.objective, theirs.objective, before.point)
                return self.fit(posed, theta, point)
            return self.fit(posed, theta)
        if older is not None:
            theta = secant(theta, older.theta_for(posed), mine.penalty.l1, posed, older)
        return self.fit(posed, theta)


def secant(theta: Floats, older: Floats, l1: float, posed: Posed, before: Fitted) -> Floats:
    """Go on along the line through two solutions; weights that would change their sign are zero.

    Between changes of sign the solutions of L1 are about a straight line in the penalty.
    """
    step = before.posed.penalty.l1 - l1
    ratio = (l1 - posed.penalty.l1) / step if step > 0.0 else 0.0
    ahead = theta + min(ratio, 1.0) * (theta - older)
    if posed.objective.nonsmooth is not None:
        kinked = posed.objective.nonsmooth.l1 > 0.0
        ahead = np.where(kinked & (np.sign(ahead) * np.sign(theta) <= 0.0), 0.0, ahead)
        ahead = posed.objective.nonsmooth.clip(ahead)
    return np.asarray(ahead)
