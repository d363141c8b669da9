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
from numpy.typing import NDArray

from . import _kernels
from ._arrays import EPSILON, and_bias, plain_gram
from ._names import Names
from ._nonsmooth import Nonsmooth
from ._objective import Objective, Point
from ._validation import Floats, Indices

# Rows that are looked at: so many, and so many for each column.
FEWEST, ROWS = 500, 3
# A pivot above this is no dependency, nor near one.
CLEAR = 1e-8
# Singular values below this part of the largest, and entries of a direction, are rounding.
EXACT = 1e-11
# A singular value below this part of the largest is worth a word, if a fit does not converge.
NEAR = 1e-4
# Below this part a factor of a Hessian, where it is squared, is mostly rounding.
UNSEEN = 1e-6
# A column with less than this part in a dependency has none.
PART = 1e-6
# More than so many roundings are no rounding.
SURE = 64.0
# A ridge penalty in scaled columns from where on a near dependency is no trouble to a Hessian.
FIRM = 1e-8
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
        Directions of length 1 that nearly change none.
    change : ndarray of shape (p,)
        How much they do, in parts of what a direction can.
    wide : ndarray of shape (n, d) or None
        All rows, scaled, where they are fewer than the parameters: then nearly every direction is
        open, and what matters is the space of the rows instead.
    """

    directions: Floats
    columns: tuple[int, ...]
    near: Floats
    change: Floats
    wide: Floats | None = None

    def in_words(self, names: Names) -> str:
        """Tell of near dependencies."""
        least = self.near[self.change.argmin()]
        columns = parts(least, 0.1) or [int(np.abs(least[:-1]).argmax())]
        if len(columns) == 1:
            return f"{names.of_columns(columns)} is nearly constant"
        return f"{names.of_columns(columns)} nearly depend on each other"


def centred(objective: Objective, rows: Indices) -> Floats:
    """Copy some rows, centred and scaled, with a column of ones for a free bias."""
    data = objective.data
    X = data.take(rows, np.ones(len(rows)), objective.center, objective.scale).X
    return np.column_stack((X, np.full(len(rows), float(objective.fit_bias))))


def rounded_along(objective: Objective, directions: Floats) -> Floats:
    """Return what margins along directions may be by rounding.

    What differs by less than entries and sums are rounded by is the same.
    """
    size = np.abs(directions[:, :-1]) @ (1.0 + objective.shift)
    return np.asarray(SURE * EPSILON * size)


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


def null_space(A: Floats) -> tuple[Floats, Floats]:
    """Return an orthonormal basis (q, D) of what A takes to zero or nearly, and how nearly."""
    A = np.linalg.qr(A, mode="r") / np.sqrt(len(A))
    _, values, directions = np.linalg.svd(A)
    change = values / max(float(values[0]), 1e-300)
    near = change < NEAR
    return directions[near], change[near]


def echelon(basis: Floats) -> Floats:
    """Return a basis of the same space whose vectors have few entries, the largest of each 1."""
    B = basis.copy()
    for k in range(len(B)):
        i, j = divmod(int(np.abs(B[k:]).argmax()), B.shape[1])
        B[[k, k + i]] = B[[k + i, k]]
        B[k] /= B[k, j]
        others = np.arange(len(B)) != k
        B[others] -= B[others, j : j + 1] * B[k]
    return np.asarray(B / np.abs(B).max(axis=1, keepdims=True))


def dependencies(
    objective: Objective, extremes: Indices | None, random: np.random.Generator
) -> Dependencies | None:
    """Find the dependencies among the columns of X, exact to rounding, in rows of weight.

    `extremes`, if known, are rows where columns are largest and smallest, which show most of what
    is rare. Without them there may be no telling: None.
    """
    data, d = objective.data, objective.D - 1
    none = np.zeros((0, d + 1))
    nothing = Dependencies(none, (), none, np.zeros(0))
    if d > MOST:
        return nothing
    rows = some_rows(objective, extremes, objective.D)
    A = centred(objective, rows)
    if not objective.fit_bias:
        A = np.ascontiguousarray(A[:, :-1])
    if len(A) < A.shape[1]:
        rounding = SURE * EPSILON * (1.0 + float(objective.shift.max()))
        return of_few_rows(A, d, rounding, data.threads)
    if clear_factor(A, data.threads) is not None:
        return nothing
    for _ in range(ADDED):
        near, change = null_space(A)
        near = embedded(near, d + 1)
        exact = change <= rounded_along(objective, near)
        nearly = nothing._replace(near=near[~exact], change=change[~exact])
        if not exact.any():
            return nearly
        null = echelon(near[exact])
        more = not_constant(objective, null, random) if data.n > len(rows) else rows[:0]
        if not len(more):
            columns = sorted({j for v in null for j in parts(v, PART)})
            return nearly._replace(directions=null, columns=tuple(columns))
        A = np.concatenate((A, centred(objective, more)[:, : A.shape[1]]))
    return None


def pins(found: Dependencies) -> Indices:
    """Return a column of each direction that is in no other; none if one has no such column."""
    alone = np.count_nonzero(found.directions[:, :-1], axis=0) == 1
    own = np.abs(found.directions[:, :-1]) * alone
    return own.argmax(axis=1) if own.any(axis=1).all() else np.zeros(0, dtype=np.intp)


def near_dependencies(objective: Objective, theta: Floats) -> Dependencies:
    """Find the near dependencies among the columns that no penalty holds, in some rows of weight.

    And among those of them whose weights, of any one class, are on no bound at theta, for there a
    way along the others may have to be left.
    """
    D, nonsmooth = objective.D, objective.nonsmooth
    loose = objective.quadratic[:-1] <= FIRM
    if nonsmooth is not None:
        loose &= nonsmooth.l1[:-1] == 0.0
    count = int(np.count_nonzero(loose))
    found, change = [np.zeros((0, D))], [np.zeros(0)]
    if 1 < count <= MOST >= D - 1:
        A = centred(objective, some_rows(objective, None, count + 1))

        def look(columns: NDArray[np.bool_]) -> None:
            among = and_bias(np.flatnonzero(columns), D)[: None if objective.fit_bias else -1]
            near, least = nearly_null(np.ascontiguousarray(A[:, among]), objective.data.threads)
            found.append(np.zeros((len(near), D)))
            found[-1][:, among] = near
            change.append(least)

        look(loose)
        if nonsmooth is not None and len(found[-1]):
            inside = (theta > nonsmooth.lower) & (theta < nonsmooth.upper)
            for columns in np.unique(loose & inside[:, :-1], axis=0):
                if 1 < np.count_nonzero(columns) < count:
                    look(columns)
    directions, changes = np.concatenate(found), np.concatenate(change)
    sure = changes > rounded_along(objective, directions)
    return Dependencies(found[0], (), directions[sure], changes[sure])


def nearly_null(A: Floats, threads: int) -> tuple[Floats, Floats]:
    """Return an orthonormal basis (q, D) of what A takes to zero or nearly, and how nearly."""
    if len(A) < A.shape[1]:
        return row_space(A, 0.0, threads)[1:]
    if clear_factor(A, threads) is not None:
        return np.zeros((0, A.shape[1])), np.zeros(0)
    return null_space(A)


def row_space(A: Floats, rounding: float, threads: int) -> tuple[Floats, Floats, Floats]:
    """Return an orthonormal basis (D, r) of the rows' space.

    And its directions that nearly vanish, and how nearly.

    By a singular value decomposition only if the rows depend on each other: BLAS's threads wait
    spinning, which on a busy machine takes twenty times as long.
    """
    if not len(A):
        return np.zeros((A.shape[1], 0)), A, np.zeros(0)
    factored = clear_factor(np.ascontiguousarray(A.T), threads)
    if factored is not None:
        basis = np.ascontiguousarray(A.T) * factored[1]
        _kernels.kernels.cholesky_half_solve(factored[0], basis, True)
        return basis, np.zeros((0, A.shape[1])), np.zeros(0)
    _, values, rows = np.linalg.svd(A, full_matrices=False)
    largest = max(float(values[0]), 1e-300)
    kept = values > rounding * largest
    near = kept & (values < NEAR * largest)
    return rows[kept].T, rows[near], values[near] / largest


def of_few_rows(A: Floats, d: int, rounding: float, threads: int) -> Dependencies:
    """Return what the rows, fewer than their entries, leave open."""
    basis, near, change = row_space(A, rounding, threads)
    # What is left of a column's unit vector outside their space.
    left = 1.0 - np.einsum("ji,ji->j", basis[:d], basis[:d])
    columns = tuple(int(j) for j in np.flatnonzero(left > LEFT))
    none = np.zeros((0, d + 1))
    return Dependencies(none, columns, embedded(near, d + 1), change, A[:, :d])


def embedded(directions: Floats, D: int) -> Floats:
    """Give directions without a bias one of zero."""
    return np.pad(directions, ((0, 0), (0, D - directions.shape[1])))


def parts(direction: Floats, least: float) -> list[int]:
    """Return the columns with a part in a direction."""
    size = np.abs(direction)
    d = len(direction) - 1
    return [int(j) for j in np.flatnonzero(size > least * size.max()) if j < d]


def some_rows(objective: Objective, extremes: Indices | None, columns: int) -> Indices:
    """Return rows of weight at equal distances, for so many columns, and the extreme ones."""
    data = objective.data
    weighted = data.sample_weight
    rows = np.arange(data.n) if weighted is None else np.flatnonzero(weighted > 0.0)
    most = max(FEWEST, ROWS * columns)
    rows = rows[:: max(len(rows) // most, 1)]
    if extremes is not None:
        rows = np.union1d(rows, extremes)
    return rows.astype(np.intp)


def not_constant(objective: Objective, directions: Floats, random: np.random.Generator) -> Indices:
    """Return rows of weight whose margins along the directions are not zero, the largest first.

    Held against all rows are random combinations: what is zero along these is zero along all, but
    for chances that do not occur. Reads X once.
    """
    weights = objective.data.sample_weight
    combined = random.standard_normal((min(COMBINED, len(directions)), len(directions)))
    v = np.ascontiguousarray(combined @ directions)
    size = np.abs(objective.direction_margins(v)).max(axis=0)
    if weights is not None:
        size[weights == 0.0] = 0.0
    rounded = float(rounded_along(objective, v).max())
    found = np.flatnonzero(size > rounded)
    found = found[np.argsort(-size[found], kind="stable")]
    few = 2 * len(directions) + 10
    # Some of the largest and some of all: what stands out in one column may hide others.
    rows = np.union1d(found[:few], found[:: max(len(found) // few, 1)]).astype(np.intp)
    # Large entries are rounded by what they are.
    sizes = np.abs(centred(objective, rows)) @ np.abs(v).T
    stray = size[rows] > rounded + SURE * EPSILON * sizes.max(axis=1, initial=0.0)
    return np.asarray(rows[stray])


def unseen_decrease(objective: Objective, point: Point, directions: Floats) -> Floats:
    """Return by how much J may fall along each of some directions, which a Hessian may not see.

    Beside other directions those that hardly change a margin are rounding, in a Hessian and in
    gradients. What they change themselves is not. The decrease is that of Newton steps, of each
    class's weights, as far as bounds let them go; and as much again, for J is no parabola. Reads X
    once.
    """
    data, q = objective.data, objective.quadratic
    U = objective.direction_margins(directions)
    a = data.predictions(point.Z)
    _, R = data.residuals(point.Z)
    slope = np.einsum("kn,qn->kq", R, U) + (q * point.theta) @ directions.T
    curvature = np.einsum("kn,qn->kq", a * (1.0 - a) * data.shares(), U * U)
    curvature = np.maximum(curvature + (directions * directions) @ q, 1e-300)
    length = -slope / curvature
    if objective.nonsmooth is not None:
        length = np.clip(length, *lengths_within(objective.nonsmooth, point.theta, directions))
    return np.asarray(-(length * (2.0 * slope + length * curvature)).sum(axis=0))


def lengths_within(
    nonsmooth: Nonsmooth, theta: Floats, directions: Floats
) -> tuple[Floats, Floats]:
    """Return how far theta may go against and along each direction, (K, q), within the bounds."""
    size = np.abs(directions)
    v = np.where(size > PART * size.max(axis=1, keepdims=True), directions, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [(bound - theta)[:, None] / v for bound in (nonsmooth.lower, nonsmooth.upper)]
    back, forth = np.minimum(*ends), np.maximum(*ends)
    moves = v != 0.0
    return (
        np.where(moves, back, -np.inf).max(axis=-1),
        np.where(moves, forth, np.inf).min(axis=-1),
    )


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
    theta = theta.copy()
    if found.wide is not None:
        return in_the_space_of(found.wide, objective, theta)
    # Rounding in a column of small units would be a large weight.
    directions = np.where(np.abs(found.directions) < EXACT, 0.0, found.directions)
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
    basis, _, _ = row_space(X, EXACT, objective.data.threads)
    w = theta[:, :-1] * scale
    theta[:, -1:] += theta[:, :-1] @ origin[:, None]
    theta[:, :-1] = (w @ basis) @ basis.T / scale
    theta[:, -1:] -= theta[:, :-1] @ origin[:, None]
    return theta
