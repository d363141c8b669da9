# SPDX-License-Identifier: BSD-3-Clause
"""Fits one after another, each starting from what those before it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._certificate import all_held
from ._objective import Objective, Point, is_finite
from ._several import Hessians, evaluate_all, without_rows
from ._unpenalised import Review
from ._validation import Floats, Indices
from .fitting import Posed
from .solvers import SOLVERS, choose, require_solver
from .solvers._driver import Goal, Outcome, Solver
from .solvers._strengths import at_penalty
from .solvers.near import LastHessian, near
from .solvers.screened import Screen, screened
from .solvers.together import MOST, Reached, suits, together

# What the tolerance of the model itself is multiplied by, and the smallest that makes sense.
REFINED, SMALLEST_TOL = 1e-3, 1e-13
# Penalties up to this ratio have Hessians that are about the same.
ALIKE = 1.25


class Fitted(NamedTuple):
    """What was minimised, and what was found."""

    posed: Posed
    review: Review
    n_iter: int

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
        require_solver(solver)
        self._solver = solver
        self._goal = goal
        self._max_iter = max_iter
        self._last_hessian = LastHessian()
        self._screen = Screen()
        # The objective of the last small fit, and the Hessian of its last step.
        self._whole: tuple[Objective, Hessians] | None = None

    def fit(self, posed: Posed, theta: Floats, start: Point | None = None) -> Fitted:
        """Fit from theta; `start` is what is known there already."""
        if self._small(posed):
            return self._in_rounds(posed, theta, start, False)
        return self._alone(posed, theta, start, 0)

    def _in_rounds(self, posed: Posed, theta: Floats, start: Point | None, alike: bool) -> Fitted:
        """Fit by `together`; the Hessian is likely to be `alike` to the last one."""
        objective, about = posed.objective, None
        start = objective.evaluate(theta) if start is None else start
        if alike and self._whole is not None and self._whole[0].scale is objective.scale:
            about = self._whole[1]
        found = together([objective], [start], self._goal, about)
        if found[0].hessians is not None:
            self._whole = objective, found[0].hessians
        return self._finished([posed], found)[0]

    def fit_folds(
        self,
        folds: Sequence[Posed],
        thetas: Sequence[Floats],
        rows: Sequence[Indices],
        before: Sequence[Fitted],
    ) -> list[Fitted]:
        """Fit problems whose weights differ in some rows each from those that were fitted last.

        From `thetas`, or where the fits `before` have ended, with another penalty, if there are
        any: what a step from there needs is known.
        """
        if not self._small(folds[0]):
            return [self._alone(*pair, None, 0) for pair in zip(folds, thetas, strict=True)]
        objectives, about = [posed.objective for posed in folds], None
        points = known(before, objectives)
        if points is None:
            points = evaluate_all(objectives, np.concatenate(thetas))
        if self._whole is not None and self._whole[0].scale is objectives[0].scale:
            about = without_rows(*self._whole, objectives, rows)
        return self._finished(folds, together(objectives, points, self._goal, about))

    def _small(self, posed: Posed) -> bool:
        """Whether it is a problem for `together`."""
        objective = posed.objective
        if self._solver != "auto" or self._max_iter <= MOST or objective.K > 1:
            return False
        if objective.nonsmooth is None and not self._last_hessian.suits(objective):
            return False
        # Columns that no penalty holds may separate the classes, or nearly depend on each other,
        # which fits alone look for.
        return all_held(objective) and suits(objective)

    def _alone(
        self,
        posed: Posed,
        theta: Floats,
        start: Point | None,
        rounds: int,
        first: Sequence[tuple[str, Solver]] = (),
    ) -> Fitted:
        """Fit from theta, after some rounds with others, by certain solvers first."""
        objective = posed.objective
        solvers = [(name, SOLVERS[name]) for name in choose(self._solver, objective)]
        if self._solver == "auto" and self._last_hessian.suits(objective):
            first = [("near", near(self._last_hessian, start))]
        solvers = [*first, *solvers]
        review = posed.minimise(theta, solvers, self._goal, self._max_iter, done=rounds)
        return Fitted(posed, review, rounds + len(review.outcome.history))

    def _finished(self, folds: Sequence[Posed], found: Sequence[Reached]) -> list[Fitted]:
        """Fit on its own what has not reached its goal in rounds with others."""
        fits = []
        for posed, (point, lower, rounds, *_) in zip(folds, found, strict=True):
            if point.J - lower <= self._goal.gap(point.J):
                outcome = Outcome(point, lower, True, self._goal.reason, "newton", ())
                fits.append(Fitted(posed, Review(outcome, None, ()), rounds))
            else:
                start = point if is_finite(point) else None
                fits.append(self._alone(posed, point.theta, start, rounds))
        return fits

    def refine(self, fitted: Fitted) -> Fitted:
        """Take a step of Newton's further, where Hessians are no trouble.

        Tolerances aside, the model should not depend on the way to it.
        """
        objective = fitted.posed.objective
        if choose("auto", objective)[0] != "newton":
            return fitted
        goal = Goal(max(REFINED * self._goal.tol, SMALLEST_TOL))
        solvers = [("newton", SOLVERS["newton"])]
        review = fitted.posed.minimise(fitted.point.theta, solvers, goal, self._max_iter)
        found = review.outcome
        outcome = fitted.review.outcome
        outcome = outcome._replace(point=found.point, lower=max(outcome.lower, found.lower))
        return Fitted(fitted.posed, fitted.review._replace(outcome=outcome), fitted.n_iter)

    def fit_next(self, posed: Posed, before: Fitted | None, older: Fitted | None = None) -> Fitted:
        """Fit with another penalty, from where those before it lead."""
        if before is None:
            return self.fit(posed, posed.null())
        theta = before.theta_for(posed)
        mine, theirs = before.posed, posed
        if theirs.objective.nonsmooth is None and mine.objective.nonsmooth is None:
            if mine.objective.scale is theirs.objective.scale:
                point = at_penalty(mine.objective, theirs.objective, before.point)
                return self.fit(posed, theta, point)
            return self.fit(posed, theta)
        if older is not None:
            theta = secant(theta, older.theta_for(posed), mine.penalty.l1, posed, older)
        kinks = mine.objective.nonsmooth
        if self._small(posed):
            alike = mine.penalty.l1 <= ALIKE * posed.penalty.l1
            return self._in_rounds(posed, theta, None, alike)
        if self._solver == "auto" and kinks is not None and Screen.suits(posed.objective):
            solver = screened(self._screen, before.point, kinks.l1)
            return self._alone(posed, theta, None, 0, [("screened", solver)])
        return self._alone(posed, theta, None, 0)


def known(before: Sequence[Fitted], objectives: Sequence[Objective]) -> list[Point] | None:
    """Return what objectives are where others that differ in their ridges alone have ended.

    None if there are none, or they differ in more.
    """
    if not before:
        return None
    points = []
    for fitted, objective in zip(before, objectives, strict=True):
        mine = fitted.posed.objective
        if mine.scale is not objective.scale or mine.nonsmooth or objective.nonsmooth:
            return None
        points.append(at_penalty(mine, objective, fitted.point))
    return points


def secant(theta: Floats, older: Floats, l1: float, posed: Posed, before: Fitted) -> Floats:
    """Go on along the line through two solutions; weights that would change their sign are zero.

    Between changes of sign the solutions of L1 are about a straight line in the penalty.
    """
    step = before.posed.penalty.l1 - l1
    ratio = min((l1 - posed.penalty.l1) / step, 1.0) if step > 0.0 else 0.0
    nonsmooth = posed.objective.nonsmooth
    if nonsmooth is None:
        return theta + ratio * (theta - older)
    return nonsmooth.extrapolate(theta, older, ratio)
