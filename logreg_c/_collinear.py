# SPDX-License-Identifier: BSD-3-Clause
r"""Columns that depend on others, and the solution of least norm among those they leave open.

Without a penalty the weights are not unique if Xc is the same in all rows of weight for some
:math:`c \ne 0` (without a free bias: zero). Rows that are enough to tell are looked at first. If
the Cholesky factor of their Gram has no small pivot, nothing depends on anything, in them and so
in all rows. Else a singular value decomposition, not of the Gram, whose rounding is the square
root of what it should be, gives the candidates. Rows in which these are not constant are added
until none is found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import _kernels
from ._arrays import EPSILON, plain_gram
from ._names import Names
from ._objective import Objective, Point
from ._validation import Floats, Indices

# Rows that are looked at: so many, and so many for each column.
FEWEST, ROWS = 500, 3
# A pivot above this is no dependency, nor near one.
CLEAR = 1e-8
# What is left of a dependency by rounding, in parts of the columns' spread, and at most.
EXACT, LEAST_EXACT = 1e-11, 1e-6
# A singular value below this part of the largest is worth a word, if a fit does not converge.
NEAR = 1e-4
# A column with less than this part in a dependency has none.
PART = 1e-6
# The same as the square of what is left of it by fewer rows than columns.
LEFT = 1e-6
# Times that rows are added.
ADDED = 6
# Random combinations of the candidates that are held against all rows.
COMBINED = 4
# Columns whose singular values are worth their time.
MOST = 1500


class Dependencies(NamedTuple):
    """What of theta is open.

    Attributes
    ----------
    directions : ndarray of shape (q, d + 1)
        Independent directions in theta that change no margin, each of few columns.
    columns : tuple of int
        The columns with a part in one.
    near : ndarray of shape (p, d + 1)
        Orthonormal directions that nearly change none, the one that changes least last.
    wide : ndarray of shape (n, d) or None
        All rows, scaled, where they are fewer than the parameters: then nearly every direction is
        open, and what matters is the space of the rows instead.
    """

    directions: Floats
    columns: tuple[int, ...]
    near: Floats
    wide: Floats | None = None

    def in_words(self, names: Names) -> str:
        """Tell of near dependencies."""
        least = self.near[-1]
        columns = parts(least, 0.1) or [int(np.abs(least[:-1]).argmax())]
        if len(columns) == 1:
            return f"{names.of_columns(columns)} is nearly constant"
        return f"{names.of_columns(columns)} nearly depend on each other"


def centred(objective: Objective, rows: Indices) -> Floats:
    """Copy some rows, centred and scaled, with a column of ones for a free bias."""
    data = objective.data
    X = data.take(rows, np.ones(len(rows)), objective.center, objective.scale).X
    return np.column_stack((X, np.full(len(rows), float(objective.fit_bias))))


def rounding_of(objective: Objective) -> float:
    """Return how exact a dependency can be: columns far from zero are rounded by what they are."""
    shift = float(objective.shift.max())
    return min(max(EXACT, 8.0 * EPSILON * (1.0 + shift)), LEAST_EXACT)


def clear_factor(A: Floats, threads: int) -> tuple[Floats, Floats] | None:
    """Return the Cholesky factor of the columns' correlations, and 1 / their sizes.

    None if it has a small pivot.
    """
    G = plain_gram(A, np.ones(len(A)), threads)
    diagonal = np.diagonal(G)
    if not (diagonal > 0.0).all():
        return None
    size = 1.0 / np.sqrt(diagonal)
    R = np.ascontiguousarray(G * size * size[:, None])
    if _kernels.kernels.cholesky(R, R, threads) or (np.diagonal(R) ** 2).min() < CLEAR:
        return None
    return R, size


def null_space(A: Floats, rounding: float) -> tuple[Floats, Floats]:
    """Return an orthonormal basis (q, D) of what A takes to zero, and what it nearly does."""
    A = np.linalg.qr(A, mode="r") / np.sqrt(len(A))
    _, values, directions = np.linalg.svd(A)
    largest = max(float(values[0]), 1e-300)
    null = values <= rounding * largest
    return directions[null], directions[~null & (values < NEAR * largest)]


def echelon(basis: Floats) -> Floats:
    """Return a basis of the same space whose vectors have few entries, the largest of each 1."""
    B = basis.copy()
    for k in range(len(B)):
        i, j = divmod(int(np.abs(B[k:]).argmax()), B.shape[1])
        B[[k, k + i]] = B[[k + i, k]]
        B[k] /= B[k, j]
        others = np.arange(len(B)) != k
        B[others] -= B[others, j : j + 1] * B[k]
    B /= np.abs(B).max(axis=1, keepdims=True)
    # Rounding, which in a column of small units would be a large weight.
    B[np.abs(B) < EXACT] = 0.0
    return B


def dependencies(
    objective: Objective, extremes: Indices | None, random: np.random.Generator
) -> Dependencies:
    """Find the dependencies among the columns of X, exact to rounding, in rows of weight.

    `extremes`, if known, are rows where columns are largest and smallest, which show most of what
    is rare.
    """
    data, d = objective.data, objective.D - 1
    none = np.zeros((0, d + 1))
    nothing = Dependencies(none, (), none)
    if d > MOST:
        return nothing
    rows = some_rows(objective, extremes)
    A = centred(objective, rows)
    if not objective.fit_bias:
        A = np.ascontiguousarray(A[:, :-1])
    rounding = rounding_of(objective)
    if len(A) < A.shape[1]:
        return of_few_rows(A, d, rounding, data.threads)
    if clear_factor(A, data.threads) is not None:
        return nothing
    for _ in range(ADDED):
        null, near = (embedded(part, d + 1) for part in null_space(A, rounding))
        if not len(null):
            return nothing._replace(near=near)
        null = echelon(null)
        more = not_constant(objective, null, rounding, random) if data.n > len(rows) else rows[:0]
        if not len(more):
            columns = sorted({j for v in null for j in parts(v, PART)})
            return Dependencies(null, tuple(columns), near)
        A = np.concatenate((A, centred(objective, more)[:, : A.shape[1]]))
    return nothing


def row_space(A: Floats, rounding: float, threads: int) -> tuple[Floats, Floats]:
    """Return an orthonormal basis (D, r) of the rows' space, and its directions that nearly vanish.

    By a singular value decomposition only if the rows depend on each other: BLAS's threads wait
    spinning, which on a busy machine takes twenty times as long.
    """
    if not len(A):
        return np.zeros((A.shape[1], 0)), A
    factored = clear_factor(np.ascontiguousarray(A.T), threads)
    if factored is not None:
        basis = np.ascontiguousarray(A.T) * factored[1]
        _kernels.kernels.cholesky_half_solve(factored[0], basis, True)
        return basis, np.zeros((0, A.shape[1]))
    _, values, rows = np.linalg.svd(A, full_matrices=False)
    largest = max(float(values[0]), 1e-300)
    kept = values > rounding * largest
    return rows[kept].T, rows[kept & (values < NEAR * largest)]


def of_few_rows(A: Floats, d: int, rounding: float, threads: int) -> Dependencies:
    """Return what the rows, fewer than their entries, leave open."""
    basis, near = row_space(A, rounding, threads)
    # What is left of a column's unit vector outside their space.
    left = 1.0 - np.einsum("ji,ji->j", basis[:d], basis[:d])
    columns = tuple(int(j) for j in np.flatnonzero(left > LEFT))
    return Dependencies(np.zeros((0, d + 1)), columns, embedded(near, d + 1), A[:, :d])


def embedded(directions: Floats, D: int) -> Floats:
    """Give directions without a bias one of zero."""
    return np.pad(directions, ((0, 0), (0, D - directions.shape[1])))


def parts(direction: Floats, least: float) -> list[int]:
    """Return the columns with a part in a direction."""
    size = np.abs(direction)
    d = len(direction) - 1
    return [int(j) for j in np.flatnonzero(size > least * size.max()) if j < d]


def some_rows(objective: Objective, extremes: Indices | None) -> Indices:
    """Return rows of weight at equal distances, and the extreme ones."""
    data = objective.data
    weighted = data.sample_weight
    rows = np.arange(data.n) if weighted is None else np.flatnonzero(weighted > 0.0)
    most = max(FEWEST, ROWS * objective.D)
    rows = rows[:: max(len(rows) // most, 1)]
    if extremes is not None:
        rows = np.union1d(rows, extremes)
    return rows.astype(np.intp)


def not_constant(
    objective: Objective, directions: Floats, rounding: float, random: np.random.Generator
) -> Indices:
    """Return rows of weight whose margins along the directions are not zero, the largest first.

    Held against all rows are random combinations: what is zero along these is zero along all, but
    for chances that do not occur. Reads X once.
    """
    data = objective.data
    combined = random.standard_normal((min(COMBINED, len(directions)), len(directions)))
    v = np.ascontiguousarray(combined @ directions)
    U = objective.direction_margins(v)
    if data.sample_weight is not None:
        U[:, data.sample_weight == 0.0] = 0.0
    size = np.abs(U).max(axis=0)
    found = np.flatnonzero(size > 100.0 * rounding * np.abs(v).max() * np.sqrt(len(directions)))
    order = np.argsort(-size[found], kind="stable")
    found = found[order]
    few = 2 * len(directions) + 10
    # Some of the largest and some of all: what stands out in one column may hide others.
    return np.union1d(found[:few], found[:: max(len(found) // few, 1)]).astype(np.intp)


def unseen_decrease(objective: Objective, point: Point, directions: Floats) -> float:
    """Return by how much J falls along one of these directions, which a Hessian may not see.

    Beside other directions those that hardly change a margin are rounding, in a Hessian and in
    gradients. What they change themselves is not. The decrease is that of a Newton step of one
    class's weights. Reads X once.
    """
    data = objective.data
    U = objective.direction_margins(directions)
    a = data.predictions(point.Z)
    _, R = data.residuals(point.Z)
    slope = np.einsum("kn,qn->kq", R, U)
    curvature = np.einsum("kn,qn->kq", a * (1.0 - a) * data.shares(), U * U)
    return float((slope * slope / np.maximum(2.0 * curvature, 1e-300)).max())


def linked(directions: Floats) -> list[Indices]:
    """Return the directions in sets that have no column in common."""
    support = directions[:, :-1] != 0.0
    sets, left = [], np.ones(len(directions), dtype=bool)
    while left.any():
        inside = np.arange(len(directions)) == int(np.argmax(left))
        while True:
            more = support[:, support[inside].any(axis=0)].any(axis=1) | inside
            if (more == inside).all():
                break
            inside = more
        sets.append(np.flatnonzero(inside))
        left &= ~inside
    return sets


def least_norm(objective: Objective, theta: Floats, found: Dependencies) -> Floats:
    """Return the theta with the same margins whose weights of the columns as they are are least.

    Columns' units may differ by any factor, so that directions count in their own, and those that
    share no column are nothing to each other.
    """
    theta, directions = theta.copy(), found.directions
    if found.wide is not None:
        return in_the_space_of(found.wide, objective, theta)
    for rows in linked(directions):
        columns = np.flatnonzero(directions[rows, :-1].any(axis=0))
        free = directions[rows][:, columns] * objective.scale[columns]
        size = np.abs(free).max(axis=1, keepdims=True)
        weights = theta[:, columns] * objective.scale[columns]
        change = np.linalg.lstsq((free / size).T, weights.T, rcond=None)[0]
        theta -= change.T @ (directions[rows] / size)
    return theta


def in_the_space_of(rows: Floats, objective: Objective, theta: Floats) -> Floats:
    """Project the weights of the columns as they are on the rows' space.

    With a bias that is the space of their differences.
    """
    scale = objective.scale
    origin = rows[-1] if objective.fit_bias else np.zeros(len(scale))
    X = (rows[: len(rows) - objective.fit_bias] - origin) / (scale / scale.min())
    basis, _ = row_space(X, EXACT, objective.data.threads)
    w = theta[:, :-1] * scale
    theta[:, -1:] += theta[:, :-1] @ origin[:, None]
    theta[:, :-1] = (w @ basis) @ basis.T / scale
    theta[:, -1:] -= theta[:, :-1] @ origin[:, None]
    return theta
