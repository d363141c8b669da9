# SPDX-License-Identifier: BSD-3-Clause
"""A grid of penalties fitted to all examples, and to all but those of each fold.

Folds are weights over the same X: held-out examples have weight 0. Where a fold is fitted at a
penalty, it starts from its own solution at the penalty before, plus what the solution for all
examples has changed by since.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._continuation import Continuation, Fitted
from ._objective import Point
from ._penalty import Penalty
from ._progress import Bar
from ._validation import Floats, Indices
from .fitting import Posed, Problem


class Grid(NamedTuple):
    """What was found; axes are folds, shares of L1, strengths.

    Attributes
    ----------
    full : list of list of Fitted
        The fits to all examples, by share of L1 and strength.
    coefficients : ndarray of shape (folds, shares, strengths, K, d + 1)
        Weights and bias of the fits to folds.
    scores, n_iter, converged : ndarray of shape (folds, shares, strengths)
        Of the fits to folds.
    reasons : list of str
        Why fits ended that did not converge.
    """

    full: list[list[Fitted]]
    coefficients: Floats
    scores: Floats
    n_iter: NDArray[np.int32]
    converged: NDArray[np.bool_]
    reasons: list[str]


Score = Callable[[int, Point, Floats], float]


def fold_weights(
    problem: Problem, trains: Sequence[Indices], describe: Callable[[int], str]
) -> list[Floats]:
    """Return the weights of each fold's training rows; `describe` names a class by its number."""
    folds = []
    for k, train in enumerate(trains):
        s = np.zeros(problem.data.n)
        weights = problem.data.sample_weight
        # A splitter may draw a row several times.
        np.add.at(s, train, 1.0 if weights is None else weights[train])
        totals = _class_totals(problem, s)
        if not (totals > 0.0).all():
            missing = int(np.argmin(totals))
            raise ValueError(
                f"the training rows of fold {k} hold no example of class {describe(missing)} that "
                "has weight; take fewer folds, a splitter that is stratified, or drop the class"
            )
        folds.append(s)
    return folds


def _class_totals(problem: Problem, s: Floats) -> Floats:
    y = problem.data.y
    ids = y if y.ndim == 1 else y[0].astype(np.intp)
    return np.bincount(ids, s, 2 if y.ndim == 2 else problem.data.K).astype(np.float64, copy=False)


def fit_grid(
    problem: Problem,
    folds: Sequence[Floats],
    strengths: Sequence[float],
    shares: Sequence[float],
    continuation: Continuation,
    score: Score,
    progress: bool,
) -> Grid:
    """Fit all strengths (C, the larger the weaker) and shares of L1, to all examples and folds.

    `folds` are weights of all examples.
    `score` is given a fold's number, the point and its coefficients (K, d + 1).
    """
    shape = len(folds), len(shares), len(strengths)
    K, D = problem.data.K, problem.data.d + 1
    coefficients = np.empty((*shape, K, D))
    scores, n_iter = np.empty(shape), np.empty(shape, dtype=np.int32)
    converged = np.empty(shape, dtype=bool)
    full: list[list[Fitted]] = []
    reasons: list[str] = []
    problems: list[Problem] = []
    weights = 1.0 if problem.data.sample_weight is None else problem.data.sample_weight
    left_out = [np.flatnonzero(s != weights) for s in folds]
    with Bar("cross-validation", "fit", (len(folds) + 1) * shape[1] * shape[2], progress) as bar:
        for i, share in enumerate(shares):
            found: dict[int, Fitted] = {}
            before: list[Fitted] = []
            last: Sequence[Fitted] = ()
            # From the strongest penalty to the weakest.
            for j in np.argsort(strengths, kind="stable").tolist():
                posed = problem.pose(penalty_of(strengths[j], share, problem.data.total))
                now = continuation.fit_next(
                    posed, before[-1] if before else None, before[-2] if len(before) > 1 else None
                )
                bar.update(1)
                # Not before the first fit: what it finds out about X is shared.
                problems = problems or [problem.weighing(s) for s in folds]
                posed_folds = [
                    p.pose(penalty_of(strengths[j], share, p.data.total)) for p in problems
                ]
                thetas = [now.theta_for(posed) for posed in posed_folds]
                if before:
                    thetas = [
                        transported(posed, theta, before[-1], own)
                        for posed, theta, own in zip(posed_folds, thetas, last, strict=True)
                    ]
                # One step was enough from where the fit to all examples was: so it will be here.
                ended = last if now.n_iter == 1 else ()
                last = continuation.fit_folds(posed_folds, thetas, left_out, ended)
                for k, fit in enumerate(last):
                    coefficients[k, i, j] = fit.posed.objective.to_raw(fit.point.theta)
                    scores[k, i, j] = score(k, fit.point, coefficients[k, i, j])
                    if not math.isfinite(scores[k, i, j]):
                        # Now, and not after all other fits.
                        raise ValueError(
                            f"the score of fold {k} at C={strengths[j]:g} and l1_ratio={share:g} "
                            f"is {scores[k, i, j]}; give a scoring that is a finite number for "
                            "every fold"
                        )
                    outcome = fit.review.outcome
                    n_iter[k, i, j] = fit.n_iter
                    converged[k, i, j] = outcome.converged
                    if not outcome.converged:
                        reasons.append(outcome.reason)
                    bar.update(1)
                if not now.review.outcome.converged:
                    reasons.append(now.review.outcome.reason)
                before.append(now)
                found[j] = now
            full.append([found[j] for j in range(len(strengths))])
    return Grid(full, coefficients, scores, n_iter, converged, reasons)


def transported(posed: Posed, theta: Floats, before: Fitted, own: Fitted) -> Floats:
    """Return a fold's own last solution plus what the one for all has changed by, up to theta."""
    last = own.theta_for(posed)
    new: Floats = last + (theta - before.theta_for(posed))
    if posed.objective.nonsmooth is not None:
        new[(theta == 0.0) & (last == 0.0)] = 0.0
    return new


def penalty_of(C: float, share: float, total: float) -> Penalty:
    """Return the penalty of scikit-learn's C and l1_ratio."""
    if np.isinf(C):
        return Penalty(0.0, 0.0, None, None, None)
    return Penalty((1.0 - share) / (C * total), share / (C * total), None, None, None)
