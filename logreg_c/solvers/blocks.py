# SPDX-License-Identifier: BSD-3-Clause
r"""A factor per class, the penalty from strong to weak, and troublesome rows kept exact.

For several classes with more parameters than one Hessian can hold. L-BFGS starts from the
classes' own Hessians, each of an importance sample, between projections on classes that sum to
zero. Where columns are rare nearly all that a step gets wrong comes from a few hundred rows,
whose logits move far beyond what a quadratic model holds for: these rows are left out of the
model and kept as they are,

.. math::

    \min_s\; g \cdot s + \tfrac12 s' B s + \sum_{i \in S} p_i\,
        [L(z_i + x_i s) - L(z_i) - L'(z_i)\, x_i s],

which Newton-CG solves, preconditioned by :math:`B^{-1}`. A direction made of
:math:`B^{-1} r` has :math:`B p` known, so B is never formed. With few rows for each column the
penalty comes down by tens from where it matters, each stage starting where the one before got to.
How classes go together the factors do not know: steps are searched over their pieces.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._arrays import inner, reciprocal
from .._certificate import all_held, newton_lower_bound, plain_lower_bound
from .._factor import BlockFactor
from .._objective import Objective, Point
from .._sampling import by_importance, stratified
from .._validation import Floats, Indices
from ._driver import Iterate, Task
from ._memory import Memory
from ._pieces import Pieces
from ._strengths import at_penalty
from .lbfgs import few_passes
from .newton_cg import conjugate_gradients

MEMORY = 50
# Steps of L-BFGS from the diagonal at the first stage, on a sample as large as those for Hessians;
# and the ridge, in parts of the parameters a row, that keeps it from what only the sample says.
STEPS, HELD = 16, 0.05
# Stages of the penalty: the strongest, in parts of the Hessian's diagonal, and from one to the
# next; passes in each but the last, and the decrement that ends one, in J.
STRONGEST, STAGE = 3e-3, 10.0
STAGE_PASSES = 5
STAGE_DECREMENT = 3e-4
# Rows for a class's Hessian, in parts of n; never fewer than so many a column.
SAMPLED = 0.1
FEWEST = 10
# Rows kept exact, in parts of n, by leverage and by what the last step got wrong. With four times
# as many there are as many steps, and four times the reads.
TROUBLE = 0.0025
# A row outside that a step gets wrong by this part of the decrement joins them.
JOINS, MOST_JOINING = 0.02, 100
# Products with the exact rows in a step.
PRODUCTS = 40
# Passes after which the last stage's Hessians are made anew.
REFRESH = 12
# The part of a residual's square that a solution with the exact rows may leave.
SOLVED = 1e-2
# Rows that the certificate moves, in parts of n, and the most products with their Hessian.
PROVED_BY, PROOF = 0.2, 60
# The proof is tried where the decrement is this part of the gap that is small enough. Its bound is
# looser, as it moves only some rows; and what its products leave of the gradient must be small
# beside a weak penalty, to which a few more passes lead for less.
PROVED_AT = 0.02
# Parameters whose Hessian over these rows is factored instead.
FACTORED_PROOF = 1500


class ClassFactors:
    """The inverse Hessians of the classes, a block each, on classes that sum to zero."""

    def __init__(self, objective: Objective, hessians: Floats) -> None:
        K, D = objective.K, objective.D
        self._project = objective.project
        self._factor = BlockFactor(np.arange(0, (K + 1) * D, D), objective.data.threads)
        self._factor.make(hessians.reshape(K, D * D), 1.0, np.zeros(K * D))

    def solve(self, r: Floats) -> Floats:
        """Return Pi blockdiag(H_k)^-1 Pi r.

        Raises FloatingPointError if that is not finite: the Hessians are all rounding.
        """
        x = self._factor.solve(self._project(r))
        if not np.isfinite(x).all():
            raise FloatingPointError("Hessians of the classes without a curvature")
        return self._project(x)


class Trouble(NamedTuple):
    """The rows that are kept exact: their numbers, and an objective without penalty over them."""

    rows: Indices
    part: Objective

    @staticmethod
    def of(objective: Objective, rows: Indices) -> Trouble:
        """Copy these rows."""
        part = objective.sample(rows, np.ones(len(rows)))
        return Trouble(rows, part.with_terms(np.zeros(objective.D), None))


class Model:
    """What a step minimises: B by classes' factors and L-BFGS, and the troublesome rows."""

    def __init__(
        self, objective: Objective, initial: ClassFactors, trouble: Trouble, leverage: Floats
    ) -> None:
        self.initial = initial
        self.trouble = trouble
        self.leverage = leverage
        self.memory = Memory(MEMORY, objective.data.threads)

    def apply(self, r: Floats) -> Floats:
        """Return B^-1 r."""
        return self.memory.apply(r, self.initial.solve)

    def solve(self, a: Floats, fraction: float, r: Floats) -> Floats:
        """Return about (fraction · B + H)^-1 r, H being that of the exact rows at predictions a."""
        part = self.trouble.part
        x = np.zeros_like(r)
        z = self.apply(r) / fraction
        p, Bp = z, r
        rz = first = inner(r, z)
        for _ in range(PRODUCTS):
            Hp = Bp + part.hessian_vector(a, p)
            length = rz / inner(p, Hp)
            x = x + length * p
            r = r - length * Hp
            z = self.apply(r) / fraction
            rz, last = inner(r, z), rz
            if not rz > SOLVED * first:
                break
            p, Bp = z + (rz / last) * p, r + (rz / last) * Bp
        return x

    def step(self, point: Point) -> Floats:
        """Return about the minimum of the model by Newton-CG."""
        part = self.trouble.part
        Z = point.margins_of(self.trouble.rows)
        a0 = a = part.data.predictions(Z)
        s, Bs = np.zeros_like(point.theta), np.zeros_like(point.theta)
        U = np.zeros_like(Z)
        gradient = point.gradient
        products = 0
        first = -1.0
        while products < PRODUCTS:
            r = -gradient
            z = self.apply(r)
            p, Bp = z, r
            rz = inner(r, z)
            first = rz if first < 0.0 else first
            enough = max(0.01 * rz, 1e-4 * first)
            if not rz > 1e-3 * first:  # nor where it is no number
                break
            ds, dB, dU = np.zeros_like(s), np.zeros_like(s), np.zeros_like(U)
            Up = np.empty_like(U)
            while products < PRODUCTS and rz > enough:
                Hp = Bp + part.hessian_vector(a, p, Up)
                curvature = inner(p, Hp)
                if not curvature > 0.0:
                    products = PRODUCTS  # rounding is all that is left
                    break
                length = rz / curvature
                ds, dB, dU = ds + length * p, dB + length * Bp, dU + length * Up
                r = r - length * Hp
                z = self.apply(r)
                rz, last = inner(r, z), rz
                p, Bp = z + (rz / last) * p, r + (rz / last) * Bp
                products += 1
            t = self._damped(point, s, Bs, U, ds, dB, dU, Z)
            s, Bs, U = s + t * ds, Bs + t * dB, U + t * dU
            a = part.data.predictions(Z + U)
            change = part.pull_back((a - a0) * part.data.shares())
            gradient = point.gradient + Bs + change
        return s

    def _damped(
        self, point: Point, s: Floats, Bs: Floats, U: Floats, ds: Floats, dB: Floats, dU: Floats,
        Z: Floats,
    ) -> float:  # fmt: skip
        """Return how much of ds lowers the model: halved until it does."""
        data = self.trouble.part.data
        _, R0 = data.residuals(Z)

        def value(t: float) -> float:
            loss, _, _ = data.search(Z + U, dU, t)
            linear = inner(point.gradient, s + t * ds) - float(
                np.add.reduce((R0 * (U + t * dU)).ravel())
            )
            B = 0.5 * inner(s + t * ds, Bs + t * dB)
            return loss + linear + B

        here, t = value(0.0), 1.0
        while value(t) > here and t > 1e-3:
            t *= 0.5
        return t


def _log_sum(Z: Floats) -> Floats:
    """Return the log of what normalises each row's probabilities."""
    if len(Z) == 1:
        return np.asarray(np.logaddexp(0.0, Z[0]))
    top: Floats = Z.max(axis=0)
    return np.asarray(top + np.log(np.exp(Z - top).sum(axis=0)))


def excess(objective: Objective, Z: Floats, U: Floats) -> Floats:
    """Return each row's share of loss at Z + U above its tangent at Z."""
    data = objective.data
    rise = _log_sum(Z + U) - _log_sum(Z) - (data.predictions(Z) * U).sum(axis=0)
    return np.asarray(rise * data.shares())


def penalties(objective: Objective, diagonal: Floats) -> list[float]:
    """Return what the penalty is multiplied by, stage by stage, down to 1."""
    n, D = objective.n, objective.D
    if not objective.quadratic[:-1].all() or n >= 300 * D or D <= 100:
        return [1.0]
    strongest = STRONGEST * float(np.median(diagonal[:, :-1] / objective.quadratic[:-1]))
    stages = []
    while strongest > 5.0:
        stages.append(strongest)
        strongest /= STAGE
    return [*stages, 3.0, 1.0] if stages else [1.0]


def build(
    task: Task, stage: Objective, point: Point, wrong: Floats | None, leverage: Floats
) -> Model:
    """Return a model of the rows at a point, given their leverages, which it overwrites."""
    full = task.objective
    n, D = full.n, full.D
    count = max(int(TROUBLE * n), min(n // 10, 30))
    total = leverage.sum(axis=0)
    if wrong is None:
        rows = np.argpartition(-total, count)[:count]
    else:
        most = np.argpartition(-total, count)[: 2 * count // 3]
        rows = np.union1d(most, np.argpartition(-wrong, count)[: count // 3])
    rows = np.sort(rows).astype(np.intp)
    trouble = Trouble.of(full, rows)
    leverage[:, rows] = 0.0
    m = max(int(SAMPLED * n), FEWEST * D)
    hessians = np.empty((full.K, D, D))
    a = full.data.predictions(point.Z)
    for k in range(full.K):
        taken, weight = by_importance(leverage[k], min(m, n), task.random)
        keep = ~np.isin(taken, rows)
        taken, weight = taken[keep], weight[keep]
        hessians[k] = stage.class_hessian(k, a, taken, weight)
    return Model(stage, ClassFactors(full, hessians), trouble, total)


def prove(task: Task, model: Model, point: Point, gap: float) -> float:
    """Return a lower bound on J* by moving the dual variables of the rows that matter most."""
    full = task.objective
    rows, _ = by_importance(model.leverage.copy(), int(PROVED_BY * full.n), task.random)
    rows = np.union1d(rows, model.trouble.rows).astype(np.intp)
    part = full.sample(rows, np.ones(len(rows)))
    if full.K * full.D <= FACTORED_PROOF or (full.K == 1 and not all_held(full)):
        return newton_lower_bound(full, point, part, rows)
    # Of the other rows' curvature the certificate has as large a part as of the rows.
    exact = model.trouble.part.data.predictions(point.margins_of(model.trouble.rows))
    fraction = len(rows) / full.n
    found = conjugate_gradients(
        full, point, lambda r: model.solve(exact, fraction, r), 1e-6, gap, PROOF, part, rows
    )
    return found.lower


def blocks(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a full pass."""
    full = task.objective
    start, diagonal, _ = task.begin_and_survey(task.theta, np.ones_like(task.theta))
    stages = penalties(full, diagonal)
    first = full.stronger(stages[0])
    theta = on_sample(task, first, diagonal)
    found = full.evaluate_and_survey(theta, reciprocal(diagonal))
    if not at_penalty(full, first, found[0]).J < at_penalty(full, first, start).J:
        found = full.evaluate_and_survey(start.theta, reciprocal(diagonal))
    yield Iterate(found[0], -math.inf)
    yield from through_penalties(task, stages, *found)


def on_sample(task: Task, stage: Objective, diagonal: Floats) -> Floats:
    """Return where a few steps on a sample lead, from this diagonal of all rows' Hessian."""
    n, D = stage.n, stage.D
    m = min(max(int(SAMPLED * n), FEWEST * D), n // 2)
    part = stage.sample(*stratified(stage.data, m, task.random))
    held = stage.quadratic.copy()
    held[:-1] += HELD * D / max(m, 1)
    part = part.with_terms(held, None)
    harder = diagonal + (held - task.objective.quadratic)
    *_, last = few_passes(part, part.evaluate(task.theta), harder, STEPS)
    return last.point.theta


def through_penalties(
    task: Task, stages: list[float], point: Point, diagonal: Floats, leverage: Floats
) -> Iterator[Iterate]:
    """Yield an iterate a full pass, from a point where the rows have been surveyed."""
    full = task.objective
    wrong: Floats | None = None
    model: Model | None = None
    pieces = Pieces(full, task.random)
    held = all_held(full)
    for number, factor in enumerate(stages):
        last = number == len(stages) - 1
        stage = full.stronger(factor)
        here = at_penalty(full, stage, point)
        passes = since = 0
        trigger = PROVED_AT
        while True:
            if model is None or (passes == 0 and (number % 2 == 0 or last)) or since >= REFRESH:
                if model is not None:
                    inverse = reciprocal(diagonal)
                    _, diagonal, leverage = full.evaluate_and_survey(point.theta, inverse)
                model = build(task, stage, here, wrong, leverage)
                pieces.draw(model.leverage)
                since = 0
            decrement = 0.5 * inner(here.gradient, model.apply(here.gradient))
            gap = task.goal.gap(point.J)
            lower = plain_lower_bound(full, point, gap) if held else -math.inf
            if last and decrement <= trigger * gap:
                lower = max(lower, prove(task, model, point, gap))
                if point.J - lower <= gap:
                    yield Iterate(point, lower)
                    return
                # Not again before a better point, and with a model of it.
                trigger *= 0.3
                since = REFRESH
            if not last and (passes >= STAGE_PASSES or decrement <= STAGE_DECREMENT * here.J):
                break
            s = model.step(here)
            moved = pieces.advance(stage, here, s)
            if moved is None:
                if since == 0:
                    yield Iterate(point, lower)
                    return
                since = REFRESH
                continue
            wrong = excess(full, here.Z, moved.margins)
            _remember(model, here, moved.point)
            _join(model, full, wrong, -0.5 * inner(here.gradient, s))
            here = moved.point
            point = at_penalty(stage, full, here)
            passes += 1
            since += 1
            yield Iterate(point, lower)


def _remember(model: Model, before: Point, after: Point) -> None:
    """Keep the pair of a step, without what the exact rows did."""
    part, rows = model.trouble.part, model.trouble.rows
    _, R0 = part.data.residuals(before.margins_of(rows))
    _, R1 = part.data.residuals(after.margins_of(rows))
    s = after.theta - before.theta
    model.memory.add(s, after.gradient - before.gradient - part.pull_back(R1 - R0))


def _join(model: Model, full: Objective, wrong: Floats, decrement: float) -> None:
    """Take rows that the model got very wrong among the exact ones."""
    wrong = wrong.copy()
    wrong[model.trouble.rows] = 0.0
    bad = np.flatnonzero(wrong > JOINS * decrement)
    if bad.size:
        bad = bad[np.argsort(-wrong[bad])[:MOST_JOINING]]
        rows = np.union1d(model.trouble.rows, bad).astype(np.intp)
        model.trouble = Trouble.of(full, rows)
