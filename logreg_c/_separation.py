# SPDX-License-Identifier: BSD-3-Clause
r"""Whether a fit without a penalty has a finite optimum at all.

It has none if and only if some direction v, no matter how the weights are, changes the margins of
all rows in favour of their labels or not at all (Albert and Anderson 1984):

.. math::

    (2y_i - 1)\, x_i v \ge 0, \qquad v_{y_i} x_i \ge v_k x_i \text{ for K classes},

not all of them zero, and exactly zero in rows whose labels are soft. J falls along it for ever.
What is proved here is proved by such a direction, held against all rows:

- weights whose margins all have the right sign are one: complete separation;
- a column whose ranges in a class and in the rest have at most one value in common is one;
- of several columns, the direction in which a fit runs away is nearly one. Rows that it hardly
  moves are taken for those that it must not move at all, and it is projected on what leaves them
  where they are.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._arrays import diagonal_of
from ._data import Ranges
from ._examples import Examples
from ._nonsmooth import Nonsmooth
from ._objective import Objective, Point
from ._sampling import stratified
from ._validation import Floats, Indices

# Iterations between which a fit is looked at for the first time, then 1.5 times as many.
FIRST_LOOK, SECOND_LOOK = 4, 8
# A margin that still moves by this much has not come to rest.
MOVING = 0.5
# What a direction may push the wrong way, in parts of its largest margin, to be worth a proof.
WORTH = 0.1
# The same, in parts of what a row's margin is added up from, to be called almost surely separating
# without a proof; and the margin of rows that then need not be moved any further.
ALMOST, PREDICTED = 1e-4, 2.0
# A row that is moved by no more than so many times what is moved the wrong way, or by less than
# this part of the largest move, is taken for one that the direction must not move.
NOISE, TIGHT = 2.0, 1e-6
# A margin this small beside what it is added up from is zero to rounding, or if entries of a
# direction that are this small, its largest being 1, are all it has.
ZERO, STRAY = 1e-9, 1e-14
ROUNDING = 1e-15
# Directions without curvature: eigenvalues below this part of the largest.
FLAT = 1e-11
PROJECTIONS = 6
# Parameters for which the projection's matrix is worth its eigenvectors.
PROJECTED = 1500
# Rows that nearly always tell that a column separates nothing.
FEW, MORE = 1024, 4096
# Columns from where on some rows tell nothing that the ranges of a sparse X don't.
MANY = 4096


def label_groups(data: Examples) -> tuple[NDArray[np.int32], int]:
    """Return each row's class and the number K of classes; K for soft labels, -1 without weight."""
    K = max(data.K, 2)
    if data.K == 1:
        groups = data.y[0].astype(np.int32)
        groups[groups != data.y[0]] = K
    elif data.y.ndim == 1:
        groups = data.y.copy()
    else:
        groups = data.y.argmax(axis=0).astype(np.int32)
        groups[data.y.max(axis=0) < 1.0] = K
    if data.sample_weight is not None:
        groups[data.sample_weight == 0.0] = -1
    return groups, K


def own_class(groups: NDArray[np.int32], K: int) -> NDArray[np.int32]:
    """Return each row's class, 0 for those that have none."""
    return np.where((groups >= 0) & (groups < K), groups, 0)


def agreement(Z: Floats, groups: NDArray[np.int32], K: int) -> Floats:
    """Return how far margins favour the labels: those of the class above the largest other.

    Of a soft label minus what the margins differ by; infinity for rows without weight.
    """
    if len(Z) == 1:
        return np.where(
            groups == K, -np.abs(Z[0]), np.where(groups < 0, np.inf, (2 * groups - 1) * Z[0])
        )
    index = np.arange(Z.shape[1])
    own = own_class(groups, K)
    others = Z.copy()
    others[own, index] = -np.inf
    out = Z[own, index] - others.max(axis=0)
    soft = groups == K
    out[soft] = Z[:, soft].min(axis=0) - Z[:, soft].max(axis=0)
    out[groups < 0] = np.inf
    return np.asarray(out)


def columns_of(direction: Floats) -> list[int]:
    """Return the columns with a part in a direction in theta, the largest first."""
    size = np.abs(direction[:, :-1]).max(axis=0)
    order = np.argsort(-size, kind="stable")
    return [int(j) for j in order if size[j] > 1e-6 * size.max()]


class Separating(NamedTuple):
    """A column that separates a class from the rest, with its weight there going up or down.

    The threshold is a value between the two.
    """

    column: int
    of_class: int
    up: bool
    threshold: float


def separating_columns(ranges: Ranges, K: int, fit_bias: bool) -> list[Separating]:
    """Return each column that separates a class from the rest.

    The last group, of soft labels, belongs to both sides. If a column separates several classes,
    it is the one with the widest range beside the rest's: of a column that is 1 in some rows of a
    class and else 0, that class, not those that it is 0 for.
    """
    best = np.full(ranges.low.shape[1], -np.inf)
    of_class = np.full(len(best), -1)
    up = np.zeros(len(best), dtype=bool)
    threshold = np.zeros(len(best))
    for k in [1] if K == 2 else range(K):
        rest = [g for g in range(K + 1) if g != k]
        own_low, own_high = ranges.low[[k, K]].min(axis=0), ranges.high[[k, K]].max(axis=0)
        low, high = ranges.low[rest].min(axis=0), ranges.high[rest].max(axis=0)
        if fit_bias:
            above = (own_low >= high) & (own_high > low)
            below = (own_high <= low) & (own_low < high)
        else:
            above = (own_low >= 0.0) & (high <= 0.0) & ((own_high > 0.0) | (low < 0.0))
            below = (own_high <= 0.0) & (low >= 0.0) & ((own_low < 0.0) | (high > 0.0))
        # Groups without rows have infinite ranges, whose differences mean nothing.
        wider = np.nan_to_num((own_high - own_low) - (high - low))
        better = (above | below) & (wider > best)
        best[better], of_class[better], up[better] = wider[better], k, above[better]
        if fit_bias:
            own, other = np.where(above, own_low, own_high), np.where(above, high, low)
            between = np.where(np.isfinite(other), 0.5 * own + 0.5 * other, own)
            threshold[better] = between[better]
    return [
        Separating(int(j), int(of_class[j]), bool(up[j]), float(threshold[j]))
        for j in np.flatnonzero(of_class >= 0)
    ]


class Separated(NamedTuple):
    """Why there is no finite optimum, and a direction in theta along which J falls without end."""

    reason: str
    direction: Floats


class Separation:
    """What a fit without a penalty is asked while it goes on, and at its end.

    Attributes
    ----------
    found : Separated or None
        Why there is no finite optimum, once that is known.
    ranges : Ranges or None
        Those of all rows, if they had to be looked at.
    """

    def __init__(self, objective: Objective, random: np.random.Generator) -> None:
        self.found: Separated | None = None
        self.ranges: Ranges | None = None
        self._objective = objective
        self._random = random
        self._names = objective.data.names
        self._groups, self._K = label_groups(objective.data)
        self._hard = bool(((self._groups >= 0) & (self._groups < self._K)).any())
        self._first: Point | None = None
        self._before: Point | None = None
        self._last: Point | None = None
        self._looked_at: Point | None = None
        self._count = 0
        self._next_look = FIRST_LOOK

    def stop_early(self, point: Point) -> str | None:
        """Return why a fit cannot go on from a point, if that is so.

        Looks at the margins alone, but for some iterations where these run away.
        """
        self._count += 1
        if not self._hard:
            return None
        if point is not self._last:
            self._first = self._first or point
            self._before, self._last = self._last, point
            complete = self.completely(point)
            if complete is not None:
                self.found = self.by_columns() or complete
        if self._count >= self._next_look and self.found is None:
            before, self._looked_at = self._looked_at, point
            self._next_look = SECOND_LOOK if before is None else self._count * 3 // 2
            if before is not None and self._runs_away(before, point):
                self.found = self.by_columns() or self._by_direction(before, point)
        return None if self.found is None else self.found.reason

    def at_end(self, converged: bool) -> Separated | None:
        """Return why the fit's optimum is not finite, if that is so."""
        if self.found is not None or not self._hard or self._last is None:
            return self.found
        self.found = self.by_columns()
        for start in (self._before, self._looked_at, self._first):
            if self.found is None and start is not None:
                self.found = self._at_end_of(start, self._last, converged)
        return self.found

    def _at_end_of(self, start: Point, end: Point, converged: bool) -> Separated | None:
        if start is end or not self._runs_away(start, end):
            return None
        found = self._by_direction(start, end)
        if found is None and not converged and self._almost(start, end):
            return self._almost_surely(end.theta - start.theta)
        return found

    # Complete separation

    def completely(self, point: Point) -> Separated | None:
        """Return that the weights of a point separate as they are, if they do."""
        if not (self._hard and self._is_complete(point)):
            return None
        parts = self._names.of_columns(columns_of(point.theta))
        reason = (
            f"the columns separate the classes completely, {parts} with the largest part in it, so "
            "that J falls to 0 as the weights grow without end"
        )
        return Separated(reason, point.theta)

    def _is_complete(self, point: Point) -> bool:
        data = self._objective.data
        # A few rows first: they nearly always tell that it is not so.
        for step in (max(data.n // FEW, 1), 1):
            Z = point.Z[:, ::step]
            if data.offset is not None:
                Z = Z - data.offset[:, ::step]
            groups = np.ascontiguousarray(self._groups[::step])
            least = float(agreement(Z, groups, self._K).min())
            if not least > 0.0:
                return False
        return least > ROUNDING * self._size(point)

    def _size(self, point: Point) -> float:
        """Return how large the numbers are that the margins are added up from."""
        shift = np.abs(point.theta[:, :-1] * self._objective.scale * self._objective.center)
        return float(np.abs(point.Z).max() + shift.sum(axis=1).max())

    # One column

    def by_columns(self, nonsmooth: Nonsmooth | None = None) -> Separated | None:
        """Return which columns separate alone, if any do as far as bounds let them."""
        found = self._columns()
        if nonsmooth is not None:
            found = [one for one in found if self._may(one, nonsmooth)]
        if not found:
            return None
        k = found[0].of_class
        columns = [one.column for one in found if one.of_class == k]
        who = self._names.of_columns(columns)
        verb = "separates" if len(columns) == 1 else "each separate"
        if self._K == 2:
            return Separated(
                f"{who} {verb} the classes, whatever the others do",
                self._along(found[0], nonsmooth),
            )
        more = ", and others do other classes" if len(columns) < len(found) else ""
        whom = f"{self._names.of_class(k)} from the others{more}"
        return Separated(f"{who} {verb} {whom}", self._along(found[0], nonsmooth))

    def _along(self, one: Separating, nonsmooth: Nonsmooth | None) -> Floats:
        """Return the direction of one column's weight, or of the other classes', as bounds let."""
        raw = self._objective.start()
        k = one.of_class if len(raw) > 1 else 0
        raw[k, one.column] = 1.0 if one.up else -1.0
        raw[k, -1] = -raw[k, one.column] * one.threshold
        if nonsmooth is not None:
            end = nonsmooth.upper if one.up else nonsmooth.lower
            if np.isfinite(end[one.column]):
                raw -= raw[k]
        return self._objective.from_raw(raw)

    def _may(self, one: Separating, nonsmooth: Nonsmooth) -> bool:
        """Whether bounds let a column's weight grow without end where that separates.

        With several classes the other ones' weights can go the other way.
        """
        above = bool(nonsmooth.upper[one.column] == np.inf)
        below = bool(nonsmooth.lower[one.column] == -np.inf)
        return (above or below) if self._K > 2 else (above if one.up else below)

    def _columns(self) -> list[Separating]:
        """Return what `separating_columns` does, by a few rows where these tell that it is none."""
        objective, data = self._objective, self._objective.data
        if data.n > MORE and data.d <= MANY:
            strided = np.arange(0, data.n, data.n // FEW)
            if not self._separate(self._some(strided)):
                return []
            if not self._separate(self._some(stratified(data, MORE, self._random)[0])):
                return []
        if self.ranges is None:
            self.ranges = data.ranges(self._groups, self._K + 1)
        return separating_columns(self.ranges, self._K, objective.fit_bias)

    def _separate(self, ranges: Ranges) -> list[Separating]:
        # Of some rows columns that are constant there may separate all.
        found = separating_columns(ranges, self._K, self._objective.fit_bias)
        constant = ranges.low.min(axis=0) >= ranges.high.max(axis=0)
        return found + [Separating(int(j), 0, True, 0.0) for j in np.flatnonzero(constant)]

    def _some(self, rows: Indices) -> Ranges:
        d = self._objective.D - 1
        data = self._objective.data.take(rows, np.ones(len(rows)), np.zeros(d), np.ones(d))
        return data.ranges(np.ascontiguousarray(self._groups[rows]), self._K + 1)

    # Several columns

    def _runs_away(self, start: Point, end: Point) -> bool:
        """Whether margins still move, and nearly none against its label."""
        U = end.Z - start.Z
        top = float(np.abs(U).max())
        return top >= MOVING and bool(agreement(U, self._groups, self._K).min() >= -WORTH * top)

    def _by_direction(self, start: Point, end: Point) -> Separated | None:
        v = self._proved(end.theta - start.theta)
        if v is None:
            return None
        columns = columns_of(v)
        who = self._names.of_columns(columns)
        what = "separates" if len(columns) == 1 else "together separate"
        return Separated(f"{who} {what} the classes", v)

    def _proved(self, v: Floats) -> Floats | None:
        """Return a direction near v that separates, to rounding, if projections lead to one."""
        objective = self._objective
        if objective.K * objective.D > PROJECTED:
            return None
        v = objective.project(v)
        tight: NDArray[np.bool_] | None = None
        for _ in range(PROJECTIONS):
            U = objective.direction_margins(v)
            worst = min(float(agreement(U, self._groups, self._K).min()), 0.0)
            still = self._still(U, max(-NOISE * worst, TIGHT * float(np.abs(U).max())))
            if tight is not None and not (still & ~tight).any():
                return None
            tight = still if tight is None else tight | still
            v = self._leaving(tight, v)
            top = float(np.abs(v).max())
            if not top > 0.0:
                return None
            v /= top
            if self._separates(v, ZERO):
                return v
        return None

    def _still(self, U: Floats, most: float) -> NDArray[np.bool_]:
        """Return, (K, n), which classes a row's own class is moved above by at most so much."""
        if len(U) == 1:
            return agreement(U, self._groups, self._K)[None, :] <= most
        own = own_class(self._groups, self._K)
        index = np.arange(U.shape[1])
        still = U[own, index] - U <= most
        still[:, self._groups == self._K] = True
        still[:, self._groups < 0] = False
        still[own, index] = False
        return np.asarray(still)

    def _leaving(self, tight: NDArray[np.bool_], v: Floats) -> Floats:
        """Return the part of v that changes nothing where `tight`: in a row, between classes."""
        objective, K = self._objective, self._objective.K
        if K == 1:
            h = tight.astype(np.float64)
        else:
            own = own_class(self._groups, K)
            h = np.array(
                [
                    -1.0 * (tight[j] & (own == k)) - (tight[k] & (own == j))
                    for k, j in combinations(range(K), 2)
                ]
            )
        G = objective.class_gram(h)
        if not objective.fit_bias:
            diagonal_of(G)[objective.D - 1 :: objective.D] = 1.0
        values, vectors = np.linalg.eigh(G)
        flat = vectors[:, values <= FLAT * max(float(values[-1]), 1e-300)]
        left = np.asarray(flat @ (flat.T @ v.ravel())).reshape(v.shape)
        if not objective.fit_bias:
            left[:, -1] = 0.0
        return left

    def _separates(self, v: Floats, zero: float) -> bool:
        """Whether v moves no row against its label, and some in favour of it, but for `zero`.

        That is a part of what a row's margin is added up from, in the columns as they are or
        centred, whichever is smaller: beside one enormous entry of another row all of them would
        be rounding. Reads X once, by way of copies.
        """
        objective, data = self._objective, self._objective.data
        raw = objective.to_raw(v)
        helps = False
        rows = max(1_000_000 // objective.D, 1)
        for begin in range(0, data.n, rows):
            X = data.rows(np.arange(begin, min(begin + rows, data.n)))
            groups = self._groups[begin : begin + rows]
            scaled = (X - objective.center) * objective.scale
            U = v[:, :-1] @ scaled.T + v[:, -1:]
            centred = np.abs(v[:, :-1]) @ np.abs(scaled).T + np.abs(v[:, -1:])
            plain = np.abs(raw[:, :-1]) @ np.abs(X).T + np.abs(raw[:, -1:])
            still = zero * np.minimum(centred, plain).max(axis=0)
            still += STRAY * np.abs(v).max() * (1.0 + np.abs(scaled).sum(axis=1))
            still += ROUNDING * plain.max(axis=0)
            if (agreement(U, groups, self._K) < -still).any():
                return False
            spread = U.max(axis=0) - U.min(axis=0) if len(U) > 1 else np.abs(U[0])
            # All of v may be in columns that are constant, or depend on each other.
            enough = still + ZERO * np.abs(v).max()
            helps |= bool((spread > enough)[groups >= 0].any())
        return helps

    def _almost(self, start: Point, end: Point) -> bool:
        """Whether rows that move far are nearly predicted, and nearly none moves the wrong way."""
        U = agreement(end.Z - start.Z, self._groups, self._K)
        far = (self._groups >= 0) & (U >= MOVING)
        predicted = agreement(end.Z, self._groups, self._K)[far] >= PREDICTED
        return bool(predicted.all()) and self._separates(end.theta - start.theta, ALMOST)

    def _almost_surely(self, v: Floats) -> Separated:
        reason = (
            "the classes can almost surely be separated, mostly by "
            f"{self._names.of_columns(columns_of(v))}: the weights grow without end in a "
            "direction that moves no row against its label but for a ten-thousandth"
        )
        return Separated(reason, v)
