# SPDX-License-Identifier: BSD-3-Clause
"""The one loop: limits, history, callback, progress, certificate, and the reason to stop.

A solver is a generator that yields an `Iterate` an iteration and returns when it can get no
further. It never decides that the optimum is reached; it is asked for the next iterate or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .._certificate import all_held, full_lower_bound, plain_lower_bound
from .._objective import Objective, Point, is_finite
from .._validation import Floats

# A gap this small is nothing beside the rounding of a loss near zero.
ABSOLUTE_FLOOR = 1e-15
# Solvers whose proofs, where a weight has no penalty, are by a factor of some rows' Hessian or all
# rows': what r has there is rounding.
FACTORING = ("newton", "compressed", "sampled", "blocks")


class Goal(NamedTuple):
    """What a fit is to reach: J - J* proved to be at most tol · J*."""

    tol: float

    def gap(self, J: float) -> float:
        """Return the gap that is small enough at J."""
        return max(self.tol * J / (1.0 + self.tol), ABSOLUTE_FLOOR)

    def reached(self, J: float, lower: float) -> bool:
        """Whether J is near enough to a lower bound on J*."""
        return J - lower <= self.gap(J)

    @property
    def reason(self) -> str:
        """Why to stop where it is reached."""
        return f"J is within tol={self.tol:g} of the optimum, proved"


class Iterate(NamedTuple):
    """What a solver yields: where it is, and a proved lower bound on J*, -inf if it has none.

    A `rounded` one tells J for a rounded X, about which nothing is proved or compared with others.
    """

    point: Point
    lower: float
    rounded: bool = False


class NotFiniteError(ArithmeticError):
    """J or its gradient is not a finite number where a fit starts."""


@dataclass(frozen=True)
class Task:
    """What a solver gets."""

    objective: Objective
    theta: Floats
    goal: Goal
    seed: int
    # What goes on where this solver gets no further, "" if nothing does.
    follower: str = ""
    # The start, if it has been evaluated.
    point: Point | None = None

    @cached_property
    def random(self) -> np.random.Generator:
        """The source of what is random; a small problem is solved before it is made."""
        return np.random.default_rng(self.seed)

    def begin(self) -> Point:
        """Evaluate the start. Reads X once."""
        point = self.objective.evaluate(self.theta) if self.point is None else self.point
        if not is_finite(point):
            raise NotFiniteError
        return point

    def begin_and_survey(self, theta: Floats, inverse: Floats) -> tuple[Point, Floats, Floats]:
        """Evaluate a start and survey the rows there. Reads X once."""
        found = self.objective.evaluate_and_survey(theta, inverse)
        if not is_finite(found[0]):
            raise NotFiniteError
        return found


Solver = Callable[[Task], Iterator[Iterate]]


class Record(NamedTuple):
    """An entry of the history: where the fit was after an iteration."""

    n_iter: int
    n_passes: float
    objective: float
    gap: float

    def at(self, J: float, lower: float) -> Record:
        """Return the same for another J or lower bound."""
        return self._replace(objective=J, gap=max(J - lower, 0.0))


class Outcome(NamedTuple):
    """What the driver found."""

    point: Point
    lower: float
    converged: bool
    reason: str
    solver: str
    history: tuple[Record, ...]

    def moved(self, point: Point, lower: float, goal: Goal) -> Outcome:
        """Return the same at another point, where this is proved, after the last iteration."""
        history = (*self.history[:-1], *(last.at(point.J, lower) for last in self.history[-1:]))
        converged = self.converged and goal.reached(point.J, lower)
        return self._replace(point=point, lower=lower, converged=converged, history=history)


def drive(
    objective: Objective,
    start: Floats | Point,
    solvers: Sequence[tuple[str, Solver]],
    goal: Goal,
    seed: int,
    max_iter: int,
    watch: Callable[[Record, Point], object] | None = None,
    stop_early: Callable[[Point], str | None] | None = None,
    done: int = 0,
) -> Outcome:
    """Run the solvers, the first from a theta or a point, each from where the one before got stuck.

    `watch` sees each iterate and stops with a true value; `stop_early` tells why to stop at a
    point, if there is a reason beside the gap. So many of `max_iter` iterations are `done`.
    """
    meter = objective.data.meter
    theta, begun = (start.theta, start) if isinstance(start, Point) else (start, None)
    best: Point | None = None
    about: Point | None = None  # where the solver is since it has begun to round X
    lower, count = 0.0, done  # neither a loss nor a penalty is negative
    history: list[Record] = []
    name = solvers[0][0]
    stuck: list[str] = []

    def outcome(reason: str) -> Outcome:
        found, proved = best, lower
        if about is not None:
            found = objective.evaluate(about.theta)
            if best is not None and not found.J <= best.J:
                found = best
        assert found is not None  # there is an iterate, or nobody could get any further
        short = not goal.reached(found.J, proved)
        if short and objective.nonsmooth is None and all_held(objective):
            proved = max(proved, plain_lower_bound(objective, found))
        if history:
            history[-1] = history[-1]._replace(n_passes=meter.reads).at(found.J, proved)
        converged = goal.reached(found.J, proved)
        if converged:
            reason = goal.reason
            if stuck and name not in stuck:
                reason += f" by {name} after {', '.join(stuck)}"
        return Outcome(found, proved, converged, reason, name, tuple(history))

    followers = [name for name, _ in solvers[1:]] + [""]
    for (name, solver), follower in zip(solvers, followers, strict=True):
        task = Task(objective, theta, goal, seed, follower, begun)
        begun = None
        doubtful = follower == "newton" and name not in FACTORING and not all_held(objective)
        claimed = False
        iterates = solver(task)
        while True:
            try:
                iterate = next(iterates)
            except (StopIteration, FloatingPointError):
                break  # a Hessian without a factor is all rounding
            count += 1
            if iterate.rounded:
                about = now = iterate.point
                theta = now.theta
            else:
                about = None
                if best is None or iterate.point.J <= best.J:
                    best, theta = iterate.point, iterate.point.theta
                now, bound = best, iterate.lower
                if doubtful:
                    claimed = goal.reached(now.J, bound)
                    bound = _second_opinion(objective, now) if claimed else 0.0
                lower = max(lower, bound)
                if lower > now.J:
                    # The optimum is beyond the reach of a bound from further away.
                    lower = 0.0
            record = Record(count, meter.reads, now.J, max(now.J - lower, 0.0))
            history.append(record)
            called_off = watch is not None and watch(record, now)
            early = None if stop_early is None or called_off else stop_early(now)
            if early is not None:
                return outcome(early)
            if about is None and record.gap <= goal.gap(now.J):
                return outcome("")
            if called_off:
                return outcome(f"callback stopped it after iteration {count}")
            if count >= max_iter:
                return outcome(f"max_iter={max_iter} iterations done")
            if claimed:
                break
        stuck.append(name)
    if best is None:
        best = objective.evaluate(theta)
    return outcome(f"no further progress by {', then '.join(stuck)}: the limit of rounding")


def _second_opinion(objective: Objective, point: Point) -> float:
    """Return what the Hessian of all rows proves of a point.

    Where a weight has no penalty, what other proofs leave of a gradient bounds J* only if the
    optimum is near, and where columns nearly depend on each other, or hold an enormous entry, it
    is not.
    """
    if objective.nonsmooth is not None:
        # There a gradient may be one to go on from, not to prove by.
        point = objective.evaluate(point.theta)
    return full_lower_bound(objective, point)
