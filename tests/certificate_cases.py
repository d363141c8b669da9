# SPDX-License-Identifier: BSD-3-Clause
"""Lower bounds on J* by every way there is, at random points, against the true optima."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from hard_problems import BIG, FLAVOURS, Exact, draw

from logreg_c._certificate import REACH, lower_bound, plain_lower_bound
from logreg_c._combination import Combination
from logreg_c._objective import Objective, Point
from logreg_c.solvers._model import Model
from logreg_c.solvers.newton_cg import conjugate_gradients

EPS = float(np.finfo(np.float64).eps)


class Case(NamedTuple):
    """A bound, and what it must not be above: J somewhere within its reach."""

    way: str
    flavour: str
    J: float
    lower: float
    least: float
    rounding: float
    optimal: bool  # whether `least` is the optimum, and not cut short by the reach

    @property
    def violated(self) -> bool:
        return self.lower > self.least + self.rounding


def directions(
    objective: Objective, point: Point, rng: np.random.Generator
) -> Iterator[tuple[str, float]]:
    """Yield a lower bound on J* by each way there is."""
    yield "plain", plain_lower_bound(objective, point)
    a = objective.data.predictions(point.Z)
    newton = -objective.factor(a).solve(point.gradient)
    random = objective.project(rng.standard_normal(newton.shape)) * 10.0 ** rng.uniform(-9, 1)
    if not objective.fit_bias:
        random[:, -1] = 0.0
    tries = {"newton": newton, "scaled": newton * rng.choice([-1.0, 0.3, 0.9, 1.1, 2.0])}
    tries["noisy"] = newton + random * np.abs(newton).max()
    tries["random"] = random
    for way, s in tries.items():
        yield way, lower_bound(objective, point, objective, a, s, objective.direction_margins(s))

    # Points on the way to the last one, which is `point`, and a direction more.
    combination = Combination(objective)
    for t in (0.7, 0.3, 0.05, 0.0)[rng.integers(0, 3) :]:
        away = t * newton + t * 0.1 * rng.standard_normal() * random
        combination.add(objective.evaluate(point.theta + away) if t > 0.0 else point)
    yield "combination", combination.lower_bound()
    combination.add_direction(newton if rng.random() < 0.5 else random)
    yield "combination with a direction", combination.lower_bound()

    n = objective.n
    rows = np.sort(rng.choice(n, rng.integers(1, n + 1), replace=False)).astype(np.intp)
    model = Model(objective, rows, rng.uniform(0.5, 20, len(rows)))
    yield "sample", model.lower_bound(point)
    part = objective.sample(rows, np.ones(len(rows)))
    a, U = a[:, rows].copy(), part.direction_margins(random)
    yield "random of a sample", lower_bound(objective, point, part, a, random, U)

    gap = max(point.J, 0.1) * 10.0 ** rng.uniform(-8, 1)
    found = conjugate_gradients(objective, point, objective.project, 1e-3, gap, rng.integers(1, 9))
    yield "conjugate gradients", found.lower


def within_reach(objective: Objective, theta: np.ndarray, best: np.ndarray) -> float:
    """Return how much of the way to the best point the bound speaks of."""
    free = objective.quadratic == 0.0
    far = np.abs(best - theta)[:, free].astype(float)
    reach = REACH * np.maximum(np.abs(theta[:, free]), 1.0)
    return min(1.0, float((reach / np.maximum(far, 1e-300)).min(initial=1.0)))


def rounding_of(objective: Objective, point: Point) -> float:
    """Return what the rounding of the margins of raw columns may be worth in J."""
    raw = np.abs(objective.to_raw(point.theta))
    offset = objective.data.offset
    sizes = raw[:, :-1] @ np.abs(objective.data.X).T + raw[:, -1:] + np.abs(offset) + 1.0
    share = objective.data.sample_weight / objective.data.total
    return 8.0 * EPS * (float((share * sizes.max(axis=0)).sum()) + abs(point.J))


def cases(seed: int, B: int, n: int, d: int, K: int) -> Iterator[Case]:
    """Yield the bounds of B problems, each at a point of its own."""
    rng = np.random.default_rng(seed)
    problems = draw(rng, B, n, d, K)
    objectives = [problems.objective(i) for i in range(B)]
    exact = Exact(problems, objectives)
    start = np.stack([o.start() for o in objectives])
    best = exact.minimise(start)
    away = rng.standard_normal(start.shape) * 10.0 ** rng.uniform(-7, 0.5, (B, 1, 1))
    thetas = (best + away).astype(float)
    thetas[~problems.fit_bias, :, -1] = 0.0
    thetas = np.stack([o.project(t) for o, t in zip(objectives, thetas, strict=True)])
    part = np.array(
        [within_reach(o, t, b) for o, t, b in zip(objectives, thetas, best, strict=True)]
    )
    aim = thetas + part.astype(BIG)[:, None, None] * (best - thetas)
    least = exact.J(aim).astype(float)
    for i, objective in enumerate(objectives):
        point = objective.evaluate(thetas[i])
        rounding = rounding_of(objective, point)
        with np.errstate(all="ignore"):  # where classes are separated a Hessian may be nothing
            found = list(directions(objective, point, rng))
        for way, lower in found:
            flavour = FLAVOURS[i % len(FLAVOURS)]
            yield Case(way, flavour, point.J, lower, float(least[i]), rounding, part[i] == 1.0)


def summary(found: list[Case]) -> str:
    """Say what was tried, and the worst that was found."""
    proved = Counter(case.way for case in found if case.lower > -np.inf)
    bad = sorted((case for case in found if case.violated), key=lambda c: c.least - c.lower)
    lines = [f"{len(found)} bounds, {len(bad)} above the optimum; finite ones: {dict(proved)}"]
    return "\n".join([*lines, *(str(case) for case in bad[:10])])
