# SPDX-License-Identifier: BSD-3-Clause
r"""Lower bounds on the optimum J*, each with its proof.

Move the dual variables :math:`\alpha_i = a_i - y_i` of some rows S along the margins
:math:`u_i = x_i s` of a direction s, to :math:`a'_i = a_i + (\mathrm{diag}(a_i) - a_i a_i') u_i`,
and leave those of all other rows alone. Probabilities that would become negative become 0, and the
row is divided by what it then adds up to, or of two classes the other one becomes 1. As every a' is
a probability then, weak duality (Fenchel, Rockafellar 1970, theorem 31.1) holds for any such point:

.. math::

    J(\theta) - J^* \le \sum_{i \in S} p_i\, \mathrm{KL}(a'_i \| a_i)
        + \sum_{q_j > 0} \frac{r_j^2}{2 q_j} + \sum_{q_j = 0} |r_j| R_j,
    \qquad r = g + \sum_{i \in S} p_i x_i (a'_i - a_i),

because :math:`-(\nabla L)` at the moved variables is the gradient of the penalty at
:math:`\theta - r / q`. With s solving the Newton system of the rows S, r is -qs to rounding and the
sums are about half of :math:`g' H_S^{-1} g`, if few stop at 0; with s = 0 it is the plain duality
gap :math:`|g|^2 / 2q`. What is not penalised (the bias; everything without a penalty) has no bound
unless r is zero there: the bias's is taken to zero (`_balanced`). The term with
:math:`R_j = 10 \max(|\theta_j|, 1)` covers rounding, for every optimum within ten times the present
size; as it does for a q of nearly 0 while r may be rounding alone. All of it is for the centred and
scaled columns, which are only coordinates.

The curvatures need not be those at a: where s was made with a Hessian of others, M_i,
:math:`a'_i = a_i + M_i u_i` leaves an r of -qs too, and what is lost is in the divergences alone.
So a Hessian proves the steps of others like its own: of folds, and of the penalties after it.

J is computed from margins that are rounded: those of columns far from zero are small differences of
large numbers. With :math:`\tilde z_i` in place of :math:`z_i` the right-hand side lacks
:math:`\sum_i p_i (a'_i - y_i)(\tilde z_i - z_i)`. The mean of the :math:`|a_i - y_i|` is at most J,
twice that for several classes, and their root mean square at most :math:`\sqrt J`; those of
:math:`a'_i - a_i` are at most :math:`\sqrt{2 KL}`. So much of one rounding of
`Objective.margin_sizes` is allowed for.

With an L1 penalty and bounds the second sum is over the gaps of Fenchel's inequality for each
coordinate's :math:`\phi_j(\theta) = q_j \theta^2/2 + l_j |\theta|`,

.. math::

    \phi_j(\theta_j) - u_j \theta_j + \max_{|t| \le J/l_j} (u_j t - \phi_j(t)), \qquad
    -u_j = r_j - q_j \theta_j,

the maximum being over the bounds as well; and as no optimum has :math:`\sum l_j |\theta_j| > J`,
the coordinates without a ridge or a bound together add at most the largest of their
:math:`(|u_j|/l_j - 1)_+ J` in place of their maxima. s is the step to the minimum of the model
with the same penalty, so :math:`|u_j| \le l_j` to rounding.
"""

from __future__ import annotations

import math

import numpy as np

from . import _kernels
from ._arrays import EPSILON
from ._balanced import balanced, moved_along, needs_class_sums
from ._nonsmooth import Nonsmooth
from ._objective import Objective, Point
from ._quadratic import model_step
from ._sparse import Sparse
from ._validation import Floats, Indices

# How far from the present weights the optimum may be where rounding leaves a dual residual.
REACH = 10.0
# A penalty this weak in scaled columns bounds nothing that is rounding: as if there were none.
WEAKEST = 1e-22
# That is less than this, times one more than a column lies from zero in units of its scale.
NOISE = 1e-15
# Without a penalty a residual that is more counts as far as the reach, or not at all if it is to be
# rounding alone.
LIMITS = REACH, WEAKEST, NOISE, REACH
EXACT_LIMITS = REACH, WEAKEST, NOISE, math.inf
# What the predictions of a proof are rounded by, and may be below 0, at most.
PREDICTIONS_ROUNDED = 1e-15
# What the bound is rounded by, in parts of its size: it comes from sums over rows whose terms
# cancel, and one from a point where J is large must not be above a small optimum.
BOUND_ROUNDED = 1e-12


def all_held(objective: Objective) -> bool:
    """Whether every weight has a penalty that bounds it, so that no proof needs a reach for it."""
    l1 = None if objective.nonsmooth is None else objective.nonsmooth.l1[:-1]
    if l1 is not None and l1.all():
        return True
    held = objective.quadratic[:-1] > WEAKEST
    return bool((held if l1 is None else held | (l1 > 0.0)).all())


def bound_of(
    objective: Objective,
    J: float,
    theta: Floats,
    residual: Floats,
    divergence: float,
    limits: tuple[float, float, float, float] = LIMITS,
) -> float:
    """Return the right-hand side above, J being that at theta."""
    residual, divergence = balanced(objective, J, theta, residual, divergence)
    residual = _blurred(objective, residual)
    gaps = _kernels.kernels.smooth_gaps(
        objective.quadratic, objective.center, objective.scale, theta, residual, *limits
    )
    return bound_of_gaps(divergence, 0.0, gaps)


def bound_with_kinks(
    objective: Objective,
    nonsmooth: Nonsmooth,
    J: float,
    theta: Floats,
    residual: Floats,
    divergence: float,
    limits: tuple[float, float, float, float],
) -> float:
    """Return the bound for an L1 penalty or bounds, J being that at theta."""
    residual, divergence = balanced(objective, J, theta, residual, divergence)
    residual = _blurred(objective, residual)
    shared, gaps = _kernels.kernels.kinked_gaps(
        objective.quadratic, *nonsmooth, objective.center, objective.scale, theta, residual, J,
        *limits,
    )  # fmt: skip
    return bound_of_gaps(divergence, J * shared, gaps)


def _blurred(objective: Objective, residual: Floats) -> Floats:
    """Return a residual with what it may lack for rounded predictions of entries far out.

    Where there is a penalty: without one what is claimed is what holds within the reach.
    """
    if objective.outlying is None:
        return residual
    residual = residual.copy()
    rounded = PREDICTIONS_ROUNDED if objective.K > 1 else EPSILON / 2.0
    lacks = np.where(objective.quadratic[:-1] > 0.0, rounded * objective.outlying, 0.0)
    residual[:, :-1] += np.copysign(lacks, residual[:, :-1])
    return residual


def bound_of_gaps(divergence: float, shared: float, gaps: float) -> float:
    """Return the bound of these parts, which may be NaN."""
    bound = divergence + shared + gaps
    return math.inf if math.isnan(bound) else max(bound, 0.0)


def below(n: int, J: float, bound: float, sizes: tuple[float, float]) -> float:
    """Return J - bound, rounded down, J being of n rows and from margins of these `margin_sizes`.

    Where rows' losses are the same, so is what each addition is rounded by: of a sparse X, whose
    chunks' rows are added up one after the other, that was up to 15 roundings of J for a thousand
    rows, and 40 for three million.
    """
    if not math.isfinite(bound):
        return -math.inf
    same, varying = sizes
    moved = math.sqrt(2.0 * bound)
    margins = same * (2.0 * abs(J) + moved) + varying * (math.sqrt(abs(J)) + moved)
    roundings = 4.0 + 3.0 * math.sqrt(math.sqrt(n))
    return J - EPSILON * (roundings * abs(J) + margins + 1.0) - (1.0 + BOUND_ROUNDED) * bound


def lower_bound(
    objective: Objective,
    point: Point,
    part: Objective,
    a: Floats,
    U: Floats,
    bent: Floats | None = None,
    factored: bool = True,
) -> float:
    """Return a proved lower bound on J*, -inf where it overflows.

    Parameters
    ----------
    objective : Objective
        What is minimised, over all rows.
    point : Point
        Where it has been evaluated.
    part : Objective
        Over the rows S, with the shares they have in `objective`; `objective` itself for all.
    a : ndarray of shape (K, m)
        The predictions of these rows at the point.
    U : ndarray of shape (K, m)
        The margins of the direction on the rows S.
    bent : ndarray of shape (K, m), optional
        The predictions of these rows whose Hessian the direction was made with, if not a.
    factored : bool
        Whether the direction is by a factor of that Hessian: then what is left of a gradient where
        there is no penalty has to be rounding.
    """
    divergence, change = moved_along(
        part, U, lambda: a if bent is None else bent, lambda U: part.data.dual_step(a, U, bent),
        float(point.gradient[0, -1]),
    )  # fmt: skip
    residual = point.gradient + part.pull_back(change)
    # A sparse X is not centred: what a factor leaves there is what the columns' means make of it.
    exact = factored and not isinstance(objective.data, Sparse)
    limits = EXACT_LIMITS if exact else LIMITS
    return bound_at(objective, point.J, point.theta, residual, divergence, limits)


def bound_at(
    objective: Objective,
    J: float,
    theta: Floats,
    residual: Floats,
    divergence: float,
    limits: tuple[float, float, float, float] = LIMITS,
    most: float = math.inf,
) -> float:
    """Return the lower bound on J* where r and the divergence are known.

    -inf where that takes a read of X, as `balanced` may, and it is about more than `most` below J.
    """
    worth = most == math.inf or not needs_class_sums(objective, residual)
    if not (worth or about_bound(objective, J, theta, residual, divergence) <= most):
        return -math.inf
    nonsmooth = objective.nonsmooth
    if nonsmooth is None:
        bound = bound_of(objective, J, theta, residual, divergence, limits)
    else:
        bound = bound_with_kinks(objective, nonsmooth, J, theta, residual, divergence, limits)
    return below(objective.n, J, bound, objective.margin_sizes(theta))


def about_bound(
    objective: Objective, J: float, theta: Floats, residual: Floats, divergence: float
) -> float:
    """Return how far J may be above J* if the bias of the optimum is within the reach. No proof.

    Reads no X.
    """
    held = residual.copy()
    held[:, -1] = 0.0
    bias = np.abs(residual[:, -1]) * np.maximum(np.abs(theta[:, -1]), 1.0)
    return J - bound_at(objective, J, theta, held, divergence) + REACH * float(bias.sum())


def newton_lower_bound(
    objective: Objective,
    point: Point,
    part: Objective,
    rows: Indices | None,
    level: Floats | None = None,
) -> float:
    """Return the bound of the Newton direction of `part`, over these rows (None: all).

    Along the directions `level`, which change no margin but for rounding, it does not go.
    """
    a = part.data.predictions(point.margins_of(rows))
    H = part.hessian(a)
    if level is not None and len(level):
        basis = np.linalg.qr(level.T)[0]
        H += np.kron(np.eye(part.K), np.trace(H) / len(H) * basis @ basis.T)
    s = model_step(part, H, point).s
    return lower_bound(objective, point, part, a, part.direction_margins(s))


def full_lower_bound(objective: Objective, point: Point, level: Floats | None = None) -> float:
    """Return the bound of the Newton direction of all rows, -inf if their Hessian has no factor."""
    try:
        return newton_lower_bound(objective, point, objective, None, level)
    except FloatingPointError:
        return -math.inf


def plain_lower_bound(objective: Objective, point: Point, most: float = math.inf) -> float:
    """Return the bound of s = 0, J - |g|^2 / 2q. `most` is that of `bound_at`."""
    return bound_at(objective, point.J, point.theta, point.gradient, 0.0, most=most)
