# SPDX-License-Identifier: BSD-3-Clause
"""Newton on samples, corrected by full passes: for many more rows than parameters.

A stratified sample gives the start for the price of a part of a read. One full pass there finds
which rows matter, and an importance sample of these stands for the Hessian from then on. With
100 rows a column or more each iteration minimises the sample's own J, tilted so that its
gradient is that of all rows (DANE: Shamir, Srebro, Zhang 2014), which follows the exponential
tails of rare columns where a Newton step would not. With fewer, the sample's Hessian is the
initial matrix of L-BFGS. The same sample gives the certificate. A sample that stops paying is
drawn again where the fit has got to.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator

import numpy as np

from .._arrays import reciprocal
from .._objective import Objective, Point
from .._sampling import by_importance, stratified
from .._validation import Floats
from ._driver import Iterate, Task
from ._line_search import advance
from ._price import price_of_gram, price_of_step
from ._sample import Sample, minimise_sample
from .blocks import penalties, through_penalties
from .lbfgs import few_passes

# Rows of X for each column from where on a sample's optimum is worth more than passes.
SAMPLE_START = 300
# Rows a column in an importance sample, at least and at most.
FEWEST, MOST = 20, 400
# Rows a column from where on DANE gains more than L-BFGS; with classes, for each but one.
DANE_ROWS, DANE_ROWS_A_CLASS = 100, 50
# What a Gram may cost, in reads of X, for DANE, which makes one an iteration.
CHEAP_GRAM = 2.0
# Passes of L-BFGS from the diagonal where a sample's optimum is not worth it, with two classes and
# with more, whose curvatures change for longer. The survey of the rows is at the end of one more.
PAIR_PASSES, CLASS_PASSES = 2, 7
# A sample's first level has so many rows a column, each next one so many times more.
FIRST_LEVEL, LEVEL = 5, 4
# A column that differs from its usual value in fewer rows of a sample is left out of its model.
SEEN = 8
# With few rows for each column, rows of so many times the mean leverage are what stops a sample:
# `blocks` knows what to do with them.
HEAVY = 300.0
# An iteration that leaves more of the decrement than this has stalled.
STALLED = 0.2


def gram_cost(task: Task, m: int) -> float:
    """Return what the Hessian of m rows costs, in passes over X."""
    return price_of_gram(task.objective, m) / price_of_step(task.objective)


def dane_rows(objective: Objective) -> int:
    """Return how many rows a sample needs for DANE."""
    return max(DANE_ROWS, DANE_ROWS_A_CLASS * (objective.K - 1)) * objective.D


def sample_size(task: Task) -> int:
    """Return how many rows an importance sample takes, by the balance of passes and Grams."""
    n, D = task.objective.n, task.objective.D
    if n <= SAMPLE_START * D:
        return FEWEST * D
    wanted, gamma = 312.0 * n / D**2, 1.0
    while gamma * math.log(gamma + 1.0) ** 2 < wanted and gamma < MOST:
        gamma *= 1.2
    m = int(min(max(gamma, FEWEST), MOST)) * D
    least = dane_rows(task.objective)
    cheap = CHEAP_GRAM / gram_cost(task, least)
    return max(least, min(m, int(cheap * least))) if cheap > 1.0 else m


def sampled(task: Task) -> Iterator[Iterate]:
    """Yield an iterate a full pass."""
    objective = task.objective
    m = sample_size(task)
    if objective.n > SAMPLE_START * objective.D or objective.nonsmooth is not None:
        point, diagonal, leverage = task.begin_and_survey(*sample_start(task, m))
        if is_worse_than_nothing(task, point):
            # An entry far out that the sample has not seen: the next one will, by its leverage.
            point, diagonal, leverage = survey(objective, task.theta, diagonal)
        yield Iterate(point, -math.inf)
    else:
        start, diagonal, _ = task.begin_and_survey(task.theta, np.ones_like(task.theta))
        passes = PAIR_PASSES if objective.K == 1 else CLASS_PASSES
        for heading in few_passes(objective, start, diagonal, passes):
            yield Iterate(heading.point, -math.inf)
        found = survey(objective, heading.point.theta + heading.s, diagonal)
        if not found[0].J <= heading.point.J:
            found = survey(objective, heading.point.theta, diagonal)
        point, diagonal, leverage = found
        yield Iterate(point, -math.inf)
        lever = of_all_classes(leverage)
        if float(lever.max()) > HEAVY * float(lever.mean()):
            yield from through_penalties(
                task, penalties(objective, diagonal), point, diagonal, leverage
            )
            return
    while 2 * m < objective.n:
        rows, weight = by_importance(of_all_classes(leverage), m, task.random)
        sample = Sample(objective, rows, weight)
        dane = len(rows) >= 0.9 * dane_rows(objective) and gram_cost(task, m) <= CHEAP_GRAM
        iterates = with_sample(task, sample, point, diagonal, dane)
        # As long as y; not before the sample has its place, or that of one of them is split up.
        del point, leverage
        point = yield from iterates
        # Until a sample is so large that its Hessian is as good as that of all rows.
        m *= 2
        diagonal, leverage = survey(objective, point.theta, diagonal)[1:]


def is_worse_than_nothing(task: Task, point: Point) -> bool:
    """Whether J is higher than with no weights at all, if there are none where the fit starts."""
    if point.J <= math.log(max(task.objective.K, 2)) or task.theta[:, :-1].any():
        return False
    return point.J > task.objective.without_weights(task.theta)


def of_all_classes(leverage: Floats) -> Floats:
    """Add up the classes' leverages."""
    return np.asarray(leverage[0] if len(leverage) == 1 else leverage.sum(axis=0))


def survey(objective: Objective, theta: Floats, diagonal: Floats) -> tuple[Point, Floats, Floats]:
    """Return the point, the Hessian's diagonal, about this elsewhere, and the rows' leverages.

    Reads X once.
    """
    return objective.evaluate_and_survey(theta, reciprocal(diagonal))


def sample_start(task: Task, m: int) -> tuple[Floats, Floats]:
    """Return the optimum of a stratified sample of m rows, and 1 / its Hessian's diagonal.

    From level to level four times as many rows, each solved to its own noise.
    """
    objective = task.objective
    D = objective.D
    rows, weight = stratified(objective.data, m, task.random)
    theta = task.theta
    sizes = [m]
    while sizes[-1] >= LEVEL * max(FIRST_LEVEL * D, 300):
        sizes.append(sizes[-1] // LEVEL)
    for size in reversed(sizes):
        part = objective.sample(rows[:size], weight[:size] * (len(rows) / size))
        # The ridge keeps a sample whose classes can be separated from running away, and a column
        # hardly seen in it where it is.
        ridge = np.full(D, 1.0 / size)
        ridge[:-1][part.dense.rarely_other(SEEN)] = 1.0
        ridge[-1] = 0.0
        held = part.with_terms(part.quadratic + ridge, None)
        theta, diagonal = minimise_sample(held, theta, 0.1 * D / size, 8)
    # Without the ridge, but as if a column had differed in one row of the sample: rows in which an
    # unseen column has a value then count as much as they can.
    return theta, 1.0 / np.maximum(diagonal - ridge, 0.1 / m)


def with_sample(
    task: Task, sample: Sample, point: Point, diagonal: Floats, dane: bool
) -> Generator[Iterate, None, Point]:
    """Iterate with one sample until it stalls; return where to draw the next one."""
    objective, goal = task.objective, task.goal
    size = sample.fraction * objective.n
    # In units of each column's curvature, that of a common column being a quarter at most.
    prox = 4.0 / size
    patience = max(3.0, gram_cost(task, int(size)))
    hessian = sample.hessian(point, diagonal)
    before = math.inf
    passes = 0
    while True:
        s, decrement = hessian.step(point)
        gap = goal.gap(point.J)
        lower = -math.inf
        if decrement <= (0.3 if dane else 2.0 * sample.fraction) * gap:
            lower = sample.lower_bound(point, gap)
            if point.J - lower <= gap:
                yield Iterate(point, lower)
                return point
        stalled = decrement > STALLED * before
        before = decrement
        if stalled and passes >= patience:
            return point
        if dane and passes > 1:
            # Where two steps were not enough the curvature has changed. Not before the certificate
            # was tried: its Gram is another one.
            hessian = sample.hessian(point)
        if dane:
            s = sample.tilted_step(point, hessian, prox * diagonal.mean(axis=0))
        step = advance(objective, point, s)
        if step is None:
            return point
        prox = prox * 10.0 if step.length < 1.0 else prox / 3.0
        if step.length < 1.0:
            before = 0.0
        if not dane:
            hessian.learn(step.length * s, step.point.gradient - point.gradient)
        point = step.point
        passes += 1
        yield Iterate(point, lower)
