# SPDX-License-Identifier: BSD-3-Clause
r"""The seam: the function that solvers minimise, and all they know of it.

.. math::

    J(\theta) = \sum_i p_i L_i + \tfrac12 \sum_{kj} q_j \theta_{kj}^2 + \langle t, \theta \rangle
        + \sum_{kj} l_j |\theta_{kj}|, \qquad \text{lower}_j \le \theta_{kj} \le \text{upper}_j

with shares p, a diagonal q that holds the ridge penalty (and what a solver adds for itself), a
linear term t that is zero but for the model problems of a solver, and an L1 penalty and bounds if
it has any. Gradients and Hessians are those of J without the L1 penalty. theta, (K, d + 1) with the
bias last, belongs to columns that are centred and scaled: w = theta · scale and
b = theta_b - w · center. X itself is never centred or scaled. What an objective returns
never changes, and it remembers nothing of the points it was asked about.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np

from . import _kernels
from ._arrays import and_bias, inner
from ._condensed import distinct_rows, filled_in
from ._data import Dense
from ._factor import Factor
from ._nonsmooth import Nonsmooth
from ._sparse import Sparse
from ._validation import Floats, Indices

Source = Dense | Sparse


class Point(NamedTuple):
    """What one pass at theta tells: its margins Z (K, n), J and the gradient of J (but for L1)."""

    theta: Floats
    Z: Floats
    J: float
    gradient: Floats

    def margins_of(self, rows: Indices | None) -> Floats:
        """Return the margins of some rows, None for all."""
        return self.Z if rows is None else np.ascontiguousarray(self.Z[:, rows])


class Objective:
    """J over some examples.

    Parameters
    ----------
    data : Dense or Sparse
        The examples.
    penalty : float or ndarray of shape (d,)
        The strength of the ridge penalty on the weights of the columns as they are.
    center, scale : ndarray of shape (d,)
        What columns are centred by, and then multiplied by.
    fit_bias : bool
        Whether the bias is free. If not it stays 0, and so must `center`.
    quadratic : ndarray of shape (d + 1,), optional
        The diagonal q, if it is not penalty · scale^2, and 0 for the bias.
    linear : ndarray of shape (K, d + 1), optional
        The linear term t.
    nonsmooth : Nonsmooth, optional
        The L1 penalty and the bounds of theta.
    """

    def __init__(
        self,
        data: Source,
        penalty: float | Floats,
        center: Floats,
        scale: Floats,
        fit_bias: bool,
        quadratic: Floats | None = None,
        linear: Floats | None = None,
        nonsmooth: Nonsmooth | None = None,
    ) -> None:
        self.data = data
        self.penalty = penalty
        if quadratic is None:
            quadratic = np.zeros(data.d + 1)
            if not isinstance(penalty, float) or penalty != 0.0:
                quadratic[:-1] = penalty * scale * scale
        self.quadratic = quadratic
        self.center = center
        self.scale = scale
        self.fit_bias = fit_bias
        self.linear = linear
        self.nonsmooth = nonsmooth
        self.K, self.n, self.D = data.K, data.n, data.d + 1
        self._shared = None
        if self.K > 1 and nonsmooth is not None:
            # Where adding the same to all classes changes no margin and no penalty but the ridge's.
            self._shared = nonsmooth.free.astype(np.float64)
        self._l1 = None if nonsmooth is None else nonsmooth.l1
        self.plain = _kernels.kernels.are_plain(center, scale)
        self._coordinates: tuple[Floats | None, Floats | None] = (None, None)
        if not self.plain:
            self._coordinates = center, scale

    @cached_property
    def shift(self) -> Floats:
        """How far columns are from zero, in units of their scale."""
        return np.abs(self.center * self.scale)

    @cached_property
    def outlying(self) -> Floats | None:
        """How large entries far out are, in units of their column's scale, None if there are none.

        What predictions are rounded by is as many times as much in the gradient of such a column.
        """
        far = self.data.outlying
        return None if far is None else far * self.scale

    def start(self) -> Floats:
        """Return zeros of the shape of theta."""
        return np.zeros((self.K, self.D))

    def margin_sizes(self, theta: Floats) -> tuple[float, float]:
        """Return about how large the terms are that add up to a margin of the raw columns.

        That is the sum of |w_j center_j|, the same for all rows, and the root mean square over rows
        of what the others add up to; or more, but for rows unlike those that gave the scale.
        """
        return self.sizes_of(*_kernels.kernels.margin_terms(theta, self.center, self.scale))

    def sizes_of(self, same: float, size: float) -> tuple[float, float]:
        """Return `margin_sizes` from what the kernel says of theta."""
        if self.plain and isinstance(self.data, Sparse):
            length = self.data.row_length
        else:
            length = math.sqrt(self.D)
        return same, math.hypot(length, 1.0) * size + self.data.offset_size

    # Between theta and the weights of the columns as they are.

    def to_raw(self, theta: Floats) -> Floats:
        """Return the weights and biases for the columns as they are, (K, d + 1)."""
        if self.plain:
            return theta
        raw = np.empty(theta.shape)
        _kernels.kernels.raw_weights(theta, self.center, self.scale, raw)
        if self.K > 1 and self.nonsmooth is not None:
            # The same for all classes is no difference, and zero where weights add up to zero.
            raw[:, -1] -= raw[:, -1].mean()
        return raw

    def from_raw(self, raw: Floats) -> Floats:
        """Return the theta of weights and biases for the columns as they are."""
        theta = np.empty_like(raw)
        np.divide(raw[:, :-1], self.scale, out=theta[:, :-1])
        theta[:, -1] = raw[:, -1] + (raw[:, :-1] * self.center).sum(axis=1)
        return theta

    def project(self, s: Floats) -> Floats:
        """Return s with its classes summing to zero, as those of the optimum do without L1."""
        if self.K == 1:
            return s
        mean = s.mean(axis=0)
        return np.asarray(s - (mean if self._shared is None else mean * self._shared))

    def _chain(self, raw: Floats) -> Floats:
        """Turn a gradient by the raw weights and biases into one by theta. Overwrites raw."""
        _kernels.kernels.chain(raw, *self._coordinates, self.fit_bias)
        return raw

    def _point(self, theta: Floats, Z: Floats, loss: float, raw: Floats) -> Point:
        """Return the point where the data have this loss and gradient. Overwrites raw."""
        terms = _kernels.kernels.finish_gradient(
            raw, *self._coordinates, self.fit_bias, theta, self.quadratic, self._l1, self.linear
        )
        return Point(theta, Z, loss + terms, raw)

    def loss(self, point: Point) -> float:
        """Return what of J at a point is not the penalty."""
        return self.loss_of(point.J, point.theta)

    def loss_of(self, J: float, theta: Floats) -> float:
        """Return what of J at theta is the loss."""
        terms = 0.5 * inner(self.quadratic * theta, theta)
        if self.nonsmooth is not None:
            terms += self.nonsmooth.value(theta)
        if self.linear is not None:
            terms += inner(self.linear, theta)
        return J - terms

    def class_sums(self) -> tuple[Floats, Floats]:
        """Return each class's sum of share · [x, 1], (classes, d + 1), of centred, scaled columns.

        And of the offsets, (classes, classes); of two classes the first has margins of zero. Reads
        X once for the same examples.
        """
        data = self.data
        if data.class_sums is None:
            shares, offsets = data.class_shares()
            data.class_sums = data.transpose_product(shares), offsets
        sums, offsets = data.class_sums
        return self._chain(sums.copy()), offsets

    def without_weights(self, theta: Floats) -> float:
        """Return J at a theta whose weights are all zero. Reads no X."""
        return self.data.residuals(self.data.bias_margins(theta[:, -1]))[0]

    # Passes

    def evaluate(self, theta: Floats) -> Point:
        """Return J, its gradient and the margins at theta. Reads X once."""
        loss, Z, raw = self.data.evaluate(self.to_raw(theta))
        return self._point(theta, Z, loss, raw)

    def evaluate_and_survey(self, theta: Floats, inverse: Floats) -> tuple[Point, Floats, Floats]:
        """As `evaluate`; also the diagonal of J's Hessian, and leverages. Reads X once."""
        squares = np.append(self.scale * self.scale, 1.0)
        loss, Z, raw, diagonal, leverage = self.data.evaluate_and_survey(
            self.to_raw(theta), self.center, inverse * squares
        )
        diagonal *= squares
        return self._point(theta, Z, loss, raw), diagonal + self.quadratic, leverage

    def at_residuals(self, theta: Floats, Z: Floats, loss: float, R: Floats) -> Point:
        """As `evaluate` where margins, loss and residuals are known: the product with X' alone."""
        return self._point(theta, Z, loss, self.data.transpose_product(R))

    def direction_margins(self, s: Floats) -> Floats:
        """Return what a step s adds to the margins. Reads X once."""
        return self.data.margins(self.to_raw(s), offset=False)

    def piece_margins(self, s: Floats, ends: Indices, out: Floats) -> None:
        """Fill out (groups, K, n) with what a step s adds to the margins by groups of columns.

        Group g are those from ends[g] to ends[g + 1]; the bias is with the last. Reads X once.
        """
        weights = s[:, :-1] * self.scale
        terms = np.append(-weights * self.center, s[:, -1:], axis=1)
        biases = np.add.reduceat(terms, ends[:-1], axis=1)
        self.dense.piece_margins(np.insert(weights, ends[1:], biases, axis=1), ends, out)

    def pull_back(self, R: Floats) -> Floats:
        """Return the gradient of sum(R · margins) by theta. Reads X once."""
        return self._chain(self.data.transpose_product(R))

    def hessian_vector(self, a: Floats, s: Floats, U: Floats | None = None) -> Floats:
        """Return the Hessian of J at predictions a, times s; fill U with s's margins. Reads X."""
        raw = self._chain(self.data.hessian_vector(a, self.to_raw(s), U))
        raw += self.quadratic * s
        return raw

    def hessian(self, a: Floats) -> Floats:
        """Return the Hessian of J at predictions a, (K D, K D). Reads X once.

        It is singular for K > 1, where adding the same to all classes changes no prediction; what
        the penalty leaves of that null space is filled, which no direction whose classes sum to
        zero notices. A bias that is not free gets a row of the unit matrix.
        """
        return self.finished(self.class_gram(self.data.curvatures(a)))

    def finished(self, H: Floats) -> Floats:
        """Add the penalty to the Gram that a Hessian is without. Overwrites it."""
        _kernels.kernels.finish_diagonal(H, self.quadratic, self.fit_bias)
        return H

    def grams(self, h: Floats, rows: Indices | None = None) -> Floats:
        """Return sum_i h_qi v_i v_i' for each row q of h, v_i the centred, scaled [x_i, 1].

        Over these rows, for each of which h has an entry; None is all.
        """
        if rows is None:
            return self._biased(self.data.gram(h, self.center, self.scale))
        return self._biased(self.data.gram_of(rows, h, self.center, self.scale))

    def gram_rows(self, h: Floats, columns: Indices) -> Floats:
        """Return the rows of some columns, which rise, of `grams` for one h, (k, D)."""
        if isinstance(self.data, Sparse):
            return self._chain(self.data.gram_rows(h, columns) * self.scale[columns, None])
        V = self.data.lines(columns, self.center, self.scale)
        V *= h
        return self.pull_back(V)

    def group_grams(self, h: Floats, rows: Indices, starts: Indices) -> Floats:
        """As `grams`, of the groups of rows from starts[k] up to starts[k + 1] in `rows`."""
        return self._biased(self.data.group_grams(rows, starts, h, self.center, self.scale))

    def _biased(self, grams: Floats) -> Floats:
        """Take the column of ones away if there is no bias."""
        if not self.fit_bias:
            grams[:, -1, :] = 0.0
            grams[:, :, -1] = 0.0
        return grams

    def class_gram(self, h: Floats) -> Floats:
        """Return sum_i M_i (x) v_i v_i', (K D, K D), v_i the centred, scaled [x_i, 1]. Reads X.

        M_i is a symmetric (K, K) matrix whose rows add up to zero for K > 1; what is above its
        diagonal stands in column i of h. The null space that all M_i share is filled, as in
        `hessian`.
        """
        K, D = self.K, self.D
        grams = self.grams(h)
        if K == 1:
            return np.asarray(grams[0])
        H = np.empty((K * D, K * D))
        _kernels.kernels.class_blocks(grams, self._shared, H)
        return H

    def class_hessian(self, k: int, a: Floats, rows: Indices, weight: Floats) -> Floats:
        """Return class k's block of the Hessian from some rows, each for `weight`, (D, D)."""
        ak = a[k, rows]
        h = weight * ak * (1.0 - ak) * self.data.shares(rows)
        return self.finished(self.grams(h[None], rows)[0])

    @property
    def dense(self) -> Dense:
        """The examples, which must be dense."""
        assert isinstance(self.data, Dense)
        return self.data

    @property
    def sparse(self) -> Sparse:
        """The examples, which must be sparse."""
        assert isinstance(self.data, Sparse)
        return self.data

    # What sparse data are preconditioned by: one curvature a row, shared by all classes

    def mean_curvature(self, point: Point, surest: float = 0.0) -> Floats:
        """Return share · a (1 - a) of each row, the mean over the classes, (n,).

        An a nearer to 0 or 1 than `surest` counts as if it were not.
        """
        a = self.data.predictions(point.Z)
        if surest > 0.0:
            a = np.clip(a, surest, 1.0 - surest)
        if self.K == 1:
            return np.asarray(self.data.curvatures(a)[0])
        s = self.data.sample_weight
        mean: Floats = (a * (1.0 - a)).mean(axis=0) / self.data.total
        return mean if s is None else mean * s

    def mean_diagonal(self, h: Floats) -> Floats:
        """Return sum_i h_i v_ij^2, v_i the scaled [x_i, 1], (d + 1,). A scatter."""
        diagonal: Floats = self.sparse.diagonal(h[None])[0]
        diagonal[:-1] *= self.scale * self.scale
        return diagonal

    def mean_column(self, h: Floats, diagonal: Floats) -> Floats:
        """Return sum_i h_i v_ij, (d + 1,), given `mean_diagonal`, which may know it already."""
        if self.sparse.X.data is not None:
            return np.asarray(self.pull_back(h[None])[0])
        column = diagonal / np.append(self.scale, 1.0)
        column[-1] *= self.fit_bias
        return np.asarray(column)

    def head_gram(self, rows: Indices | None, h: Floats, columns: Indices) -> Floats:
        """Return sum_i h_i v_i v_i' over rows, for some columns and the bias."""
        size = np.append(self.scale[columns], 1.0)
        return np.asarray(self.sparse.head_gram(rows, h, columns) * size * size[:, None])

    def factor(self, a: Floats) -> Factor:
        """Return the Cholesky factor of the Hessian at predictions a. Reads X once."""
        return Factor(self.hessian(a), self.data.threads)

    # What looks at margins alone

    def ray(self, point: Point, s: Floats, U: Floats) -> Ray:
        """Return J along theta + t s, whose margins are Z + t U."""
        return Ray(self, point, s, U)

    # Smaller problems over some of the rows

    def sample(self, rows: Indices, weight: Floats) -> Objective:
        """Return an objective over copied rows that count `weight` times, in the same theta."""
        data = self.data.take(rows, weight, self.center, self.scale)
        return self._of_copy(data)

    def sample_again(self, part: Objective, rows: Indices) -> Objective:
        """Return the sample `part` of these rows with every row counted once."""
        s, total = self.data.sample_weight, self.data.total
        return self._of_copy(part.data.weighing(None if s is None else s[rows], total))

    def rounded(self) -> Objective:
        """Return this over a copy of X as float32, which is half as long, in the same theta.

        Columns are centred and scaled first: what they vary by is rounded, wherever they are.
        """
        return self._of_copy(self.dense.rounded(self.center, self.scale))

    def columns(
        self, columns: Indices, copied: Objective | None = None, *, data: Source | None = None
    ) -> Objective:
        """Return the objective for some of the columns, all other weights being zero.

        They are copied, unless `copied` has them from another penalty, or `data` has.
        """
        among, kinks = and_bias(columns, self.D), self.nonsmooth
        if copied is None:
            data = self.data.columns(columns) if data is None else data
            center, scale = self.center[columns], self.scale[columns]
            kinks = None if kinks is None else kinks.of(among)
        else:
            data, center, scale = copied.data, copied.center, copied.scale
            if kinks is not None and copied.nonsmooth is not None:
                kinks = copied.nonsmooth._replace(l1=kinks.l1[among])
        quadratic = self.quadratic[among]
        return Objective(data, 0.0, center, scale, self.fit_bias, quadratic, None, kinks)

    def condensed(self, repeats: bool = True) -> tuple[Objective, Indices | None]:
        """Return the same with fewer rows or with zeros filled in, where passes are then faster.

        And for each row which of the fewer it is, None if they are what they were. Rows that are
        the same are looked for if there may be `repeats`.
        """
        data, group = self.data, None
        if isinstance(data, Sparse):
            found = distinct_rows(data) if repeats else None
            if found is not None:
                data, group = found
            data = filled_in(data) or data
        same = Objective(
            data, self.penalty, self.center, self.scale, self.fit_bias, self.quadratic,
            self.linear, self.nonsmooth,
        )  # fmt: skip
        return same, group

    def _of_copy(self, data: Source) -> Objective:
        d = self.D - 1
        return Objective(
            data, self.penalty, np.zeros(d), np.ones(d), self.fit_bias, self.quadratic, None,
            self.nonsmooth,
        )  # fmt: skip

    def with_terms(self, quadratic: Floats, linear: Floats | None) -> Objective:
        """Return this objective with other added terms."""
        return Objective(
            self.data, self.penalty, self.center, self.scale, self.fit_bias, quadratic, linear,
            self.nonsmooth,
        )  # fmt: skip

    def stronger(self, factor: float) -> Objective:
        """Return this objective with its penalties multiplied."""
        kinks = self.nonsmooth
        return Objective(
            self.data, self.penalty, self.center, self.scale, self.fit_bias,
            factor * self.quadratic, self.linear,
            None if kinks is None else kinks._replace(l1=factor * kinks.l1),
        )  # fmt: skip


class Ray:
    """J along theta + t s for t of 0 and above, whose margins are Z + t U. Reads no X."""

    def __init__(self, objective: Objective, point: Point, s: Floats, U: Floats) -> None:
        self._objective, self._point, self._s, self._U = objective, point, s, U
        # All of the penalty that is smooth is a quadratic of t.
        self._terms = _kernels.kernels.terms_along(
            point.theta, s, objective.quadratic, objective.linear
        )

    def at(self, t: float) -> tuple[float, float, float]:
        """Return J at t and its two derivatives.

        J has its L1 penalty; the derivatives are those of the rest.
        """
        objective, point = self._objective, self._point
        J, slope, curvature = objective.data.search(point.Z, self._U, t)
        value, first, second = self._terms
        J += value + t * (first + 0.5 * t * second)
        if objective.nonsmooth is not None:
            J += objective.nonsmooth.value(point.theta + t * self._s)
        return J, slope + first + t * second, curvature + second

    def go(self, t: float) -> Point:
        """Return the point at t: the product with X' alone."""
        objective, point = self._objective, self._point
        loss, Z, R = objective.data.residuals_along(point.Z, self._U, t)
        return objective.at_residuals(point.theta + t * self._s, Z, loss, R)


def is_finite(point: Point) -> bool:
    """Whether J and the gradient are finite numbers."""
    return math.isfinite(point.J) and _kernels.kernels.are_finite(point.gradient)
