# SPDX-License-Identifier: BSD-3-Clause
"""What Hessians cost beside passes: seconds on one thread, of which only the ratios matter."""

from __future__ import annotations

from .._objective import Objective
from .._sparse import Sparse
from .._validation import Indices

# A product in a Gram and a row of one, and the calls; a product in a factor.
GRAM, GRAM_ROW, MAKE, FACTOR = 3e-11, 1e-8, 1e-4, 2.4e-11
# An entry in a pass, of a dense and of a sparse X; a row's link; the calls of an iteration.
PASS, PASS_SPARSE, LINK, STEP = 4e-10, 2.5e-9, 4e-9, 2.5e-4

# Hessians that Newton's method takes, about.
NEWTON_STEPS = 6.0
# Iterations that a Hessian and its factor cost from where on L-BFGS is worth a try before Newton.
MANY_STEPS = 30.0


def price_of_gram(
    objective: Objective, rows: int | None = None, columns: Indices | None = None
) -> float:
    """Return what making a Hessian costs, from all rows or from so many.

    Of all columns or, where X is sparse, of these.
    """
    K, data = objective.K, objective.data
    part = 1.0 if rows is None else rows / data.n
    pairs = max(K * (K - 1) // 2, 1)
    work = data.gram_work if columns is None else objective.sparse.gram_work_of(columns)
    return (GRAM * pairs * work + GRAM_ROW * data.n) * part + MAKE


def price_of_factor(parameters: int) -> float:
    """Return what factoring a Hessian of so many parameters costs."""
    return FACTOR * float(parameters) ** 3


def size_of_factor(price: float) -> int:
    """Return how many parameters' Hessian is factored at that price."""
    return int((price / FACTOR) ** (1.0 / 3.0))


def price_of_step(objective: Objective) -> float:
    """Return what an iteration costs that reads X once, a product with a Hessian say."""
    data = objective.data
    entry = PASS_SPARSE if isinstance(data, Sparse) else PASS
    return objective.K * (entry * data.size + LINK * data.n) + STEP


def hessian_in_steps(objective: Objective, parameters: int) -> float:
    """Return how many iterations the Hessian costs, and the factor of so many rows of it."""
    made = price_of_gram(objective) + price_of_factor(parameters)
    return made / price_of_step(objective)


def newton_in_steps(objective: Objective) -> float:
    """Return how many iterations Newton's method costs."""
    return NEWTON_STEPS * hessian_in_steps(objective, objective.K * objective.D)


def compressed_in_steps(objective: Objective) -> float:
    """Return how many iterations it costs to solve the problem of the rows, once for all."""
    n, K = objective.n, objective.K
    pairs = max(K * (K - 1) // 2, 1)
    newton = GRAM * pairs * float(n) ** 3 + price_of_factor(K * (n + 1)) + MAKE
    return (GRAM * float(n) ** 2 * objective.D + NEWTON_STEPS * newton) / price_of_step(objective)
