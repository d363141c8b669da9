# SPDX-License-Identifier: BSD-3-Clause
"""Lower bounds on J* by every way there is, at random points, against the true optima."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from hard_problems import BIG, Exact, Problems, draw

from logreg_c._certificate import REACH, lower_bound, plain_lower_bound
from logreg_c._combination import Combination
from logreg_c._data import Dense
from logreg_c._objective import Objective, Point
from logreg_c._quadratic import model_step
from logreg_c._several import evaluate_and_prove
from logreg_c.fitting import fit_quietly
from logreg_c.solvers import NONSMOOTH, SPARSE, SPARSE_NONSMOOTH
from logreg_c.solvers._driver import Goal
from logreg_c.solvers._orthant import Inverse, face, newton_direction
from logreg_c.solvers._proximal import Solved
from logreg_c.solvers._sample import Sample
from logreg_c.solvers.newton_cg import conjugate_gradients
from logreg_c.solvers.working_set import prove

DENSE = ("newton", "sampled", "blocks", "lbfgs", "newton-cg")
# The part of problems that are also fitted.
FITTED = 0.2
# Any bound is worth a read of X.
ANY = Goal(1e9)


class Case(NamedTuple):
    """A bound, and what it must not be above: J somewhere within its reach."""

    way: str
    flavours: list[str]
    J: float
    lower: float
    least: np.longdouble
    optimal: bool  # whether `least` is the optimum, and not cut short by the reach

    @property
    def violated(self) -> bool:
        return self.lower > self.least


def along(
    objective: Objective, point: Point, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield directions from good to senseless, with their names."""
    a = objective.data.predictions(point.Z)
    newton = model_step(objective, objective.hessian(a), point).s
    random = objective.project(rng.standard_normal(newton.shape)) * 10.0 ** rng.uniform(-9, 1)
    if not objective.fit_bias:
        random[:, -1] = 0.0
    yield "newton", newton
    yield "scaled", newton * rng.choice([-1.0, 0.3, 0.9, 1.1, 2.0])
    yield "noisy", newton + random * np.abs(newton).max()
    yield "random", random


def directions(
    objective: Objective, point: Point, rng: np.random.Generator
) -> Iterator[tuple[str, float]]:
    """Yield a lower bound on J* by each way there is."""
    a = objective.data.predictions(point.Z)
    yield "none", lower_bound(objective, point, objective, a, np.zeros_like(point.Z))
    ways = dict(along(objective, point, rng))
    for way, s in ways.items():
        yield way, lower_bound(objective, point, objective, a, objective.direction_margins(s))
    newton, random = ways["newton"], ways["random"]

    # By the Hessian of another point.
    bent = objective.data.predictions(point.Z * (1.0 + 10.0 ** rng.uniform(-6, 0)))
    s = model_step(objective, objective.hessian(bent), point).s
    s = s + rng.choice([0.0, 1e-3]) * np.abs(s).max() * random
    U = objective.direction_margins(s)
    yield "another Hessian", lower_bound(objective, point, objective, a, U, bent)

    n = objective.n
    rows = np.sort(rng.choice(n, rng.integers(1, n + 1), replace=False)).astype(np.intp)
    sample = Sample(objective, rows, rng.uniform(0.5, 20, len(rows)))
    sample.hessian(point._replace(Z=point.Z * (1.0 + 10.0 ** rng.uniform(-6, 0))))
    yield "sample that stands for all", sample.lower_bound(point, np.inf)
    yield "sample", sample.lower_bound(point, 0.0)
    part = objective.sample(rows, np.ones(len(rows)))
    U = part.direction_margins(random)
    yield "random of a sample", lower_bound(objective, point, part, a[:, rows].copy(), U)

    gap = max(point.J, 0.1) * 10.0 ** rng.uniform(-8, 1)
    if objective.nonsmooth is not None:
        where = face(objective.nonsmooth, point)
        inverse, start = Inverse(objective, point, None), rng.choice([0.0, 0.1]) * random
        start = np.where(where.moves, start, 0.0)
        solution = newton_direction(objective, point, where, inverse, gap, start)
        # From a point with all of the columns, and with some.
        some = (point.theta[:, :-1] != 0.0).any(axis=0) | (rng.random(objective.D - 1) < 0.5)
        for columns in (np.arange(objective.D - 1), np.flatnonzero(some)):
            coordinates = np.append(columns, objective.D - 1)
            s = np.where(np.isin(np.arange(objective.D), coordinates), solution.s, 0.0)
            U = objective.direction_margins(s)
            there = point._replace(theta=point.theta[:, coordinates])
            last = Solved(there, s[:, coordinates], U, 0.0, there)
            yield "working set", prove(objective, coordinates, last, ANY).lower
            last = last._replace(bent=bent)
            yield "working set by another Hessian", prove(objective, coordinates, last, ANY).lower
        return
    yield "plain", plain_lower_bound(objective, point)
    if objective.K == 1:
        # By the curvatures of another point, whose Hessian the step is made with.
        other = objective.data.predictions(point.Z * (1.0 + 10.0 ** rng.uniform(-6, 0)))
        s = model_step(objective, objective.hessian(other), point).s
        s = s + rng.choice([0.0, 1e-3]) * np.abs(s).max() * random
        curvature = other[0] * (1.0 - other[0])
        yield (
            "other curvatures",
            evaluate_and_prove([objective], [point], a, curvature, point.theta + s)[0].lower,
        )
    # Points on the way to the last one, which is `point`, and a direction more.
    combination = Combination(objective)
    for t in (0.7, 0.3, 0.05, 0.0)[rng.integers(0, 3) :]:
        away = t * newton + t * 0.1 * rng.standard_normal() * random
        combination.add(objective.evaluate(point.theta + away) if t > 0.0 else point)
    yield "combination", combination.lower_bound()
    combination.add_direction(newton if rng.random() < 0.5 else random)
    yield "combination with a direction", combination.lower_bound()
    if isinstance(objective.data, Dense):
        # Points of another X, from a rounded one to one that has little to do with this.
        other = objective.rounded()
        X = other.data.X
        X *= 1.0 + 10.0 ** rng.uniform(-8, 0) * rng.standard_normal(X.shape)
        combination = Combination(other)
        for t in (0.3, 0.05, 0.0)[rng.integers(0, 3) :]:
            combination.add(other.evaluate(point.theta + t * newton))
            if rng.random() < 0.8:
                combination.lower_bound()
        yield "combination of another X", combination.bound_elsewhere(objective, point)
    products = int(rng.integers(1, 9))
    found = conjugate_gradients(objective, point, objective.project, 1e-3, gap, products)
    yield "conjugate gradients", found.lower


def fitted(
    problems: Problems, i: int, objective: Objective, rng: np.random.Generator
) -> tuple[np.ndarray, float, float]:
    """Return the theta, J and lower bound of a fit by a solver of those there are."""
    if problems.layout[i] != "dense":
        names = SPARSE if objective.nonsmooth is None else SPARSE_NONSMOOTH
    else:
        names = DENSE if objective.nonsmooth is None else NONSMOOTH
    data, tol = problems.data(i), 10.0 ** rng.uniform(-13, -2)
    result, _ = fit_quietly(
        *data[:2], problems.penalty(i), *data[2:], None, None, str(rng.choice(names)), tol, 50,
        int(rng.integers(100)), None, False, 1,
    )  # fmt: skip
    raw = np.column_stack([np.atleast_2d(result.w), np.atleast_1d(result.b)])
    J = result.objective
    return objective.from_raw(raw), J, np.nextafter(J - result.gap, -np.inf)


def within_reach(objective: Objective, theta: np.ndarray, best: np.ndarray) -> float:
    """Return how much of the way to the best point the bound speaks of."""
    free = objective.quadratic == 0.0
    free[-1] = False  # it speaks of any bias
    if objective.nonsmooth is not None:
        free &= objective.nonsmooth.free
    far = np.abs(best - theta)[:, free].astype(float)
    reach = REACH * np.maximum(np.abs(theta[:, free]), 1.0)
    return min(1.0, float((reach / np.maximum(far, 1e-300)).min(initial=1.0)))


def cases(seed: int, B: int, n: int, d: int, K: int, kind: str = "ridge") -> Iterator[Case]:
    """Yield the bounds of B problems, each at a point of its own."""
    rng = np.random.default_rng(seed)
    problems = draw(rng, B, n, d, K, kind)
    objectives = [problems.posed(i).objective for i in range(B)]
    exact = Exact(problems, objectives)
    start = np.stack([o.start() for o in objectives])
    best = exact.minimise(start, 200 if kind == "kinks" else 80)
    away = rng.standard_normal(start.shape) * 10.0 ** rng.uniform(-7, 0.5, (B, 1, 1))
    away *= (best != 0.0) | (rng.random((B, 1, 1)) < 0.5)
    thetas = np.clip(best + away, exact.lower, exact.upper).astype(float)
    thetas[~problems.fit_bias, :, -1] = 0.0
    thetas = np.stack([o.project(t) for o, t in zip(objectives, thetas, strict=True)])
    part = np.array(
        [within_reach(o, t, b) for o, t, b in zip(objectives, thetas, best, strict=True)]
    )
    aim = thetas + part.astype(BIG)[:, None, None] * (best - thetas)
    least, least_of_all = exact.J(aim), exact.J(best)
    for i, objective in enumerate(objectives):
        flavours = problems.flavours(i)
        point = objective.evaluate(thetas[i])
        with np.errstate(all="ignore"):  # where classes are separated a Hessian may be nothing
            try:
                for way, lower in directions(objective, point, rng):
                    yield Case(way, flavours, point.J, lower, least[i], part[i] == 1.0)
            except FloatingPointError:
                pass  # nor has it a factor
            if rng.random() < FITTED:
                theta, J, lower = fitted(problems, i, objective, rng)
                # Columns three times as large are so to rounding, which enormous weights tell.
                if "duplicates" not in flavours or within_reach(objective, theta, best[i]) == 1.0:
                    yield Case("fit", flavours, J, lower, least_of_all[i], True)


def summary(found: list[Case]) -> str:
    """Say what was tried, and the worst that was found."""
    proved = Counter(case.way for case in found if case.lower > -np.inf)
    bad = sorted((case for case in found if case.violated), key=lambda c: float(c.least - c.lower))
    lines = [f"{len(found)} bounds, {len(bad)} above the optimum; finite ones: {dict(proved)}"]
    return "\n".join([*lines, *(str(case) for case in bad[:10])])
