# SPDX-License-Identifier: BSD-3-Clause
"""The solvers by name, and which one is chosen for what."""

from __future__ import annotations

from .._objective import Objective
from ._driver import Solver
from .blocks import blocks
from .compressed import compressed
from .gradient_descent import gradient_descent
from .lbfgs import lbfgs
from .newton import newton
from .newton_cg import newton_cg
from .sampled import sampled

SOLVERS: dict[str, Solver] = {
    "newton": newton,
    "sampled": sampled,
    "blocks": blocks,
    "compressed": compressed,
    "lbfgs": lbfgs,
    "newton-cg": newton_cg,
    "gradient-descent": gradient_descent,
}

# Flops of a Hessian of all rows that are nothing beside the rest of a fit, and that are too many.
SMALL, LARGE = 3e7, 1e12
# Rows a column below which samples are no smaller than all rows.
FEW_ROWS = 50
# Parameters whose Hessian is worth a factor: of all classes at once, of two classes.
FACTORED, FACTORED_PAIR = 1500, 4000
# Rows whose own Gram is worth an eigendecomposition.
FEW_EXAMPLES = 1500
# Doubles that a factor per class may take.
BLOCKS = 3e7


def choose(name: str, objective: Objective) -> list[str]:
    """Return the solvers to try, in that order.

    The rule of "auto", for n rows, D = d + 1 columns and K classes (1 for two):

    - n at most D/2 and 1,500, and K n at most 1,500: compressed;
    - else K D at most 1,500 (4,000 for two classes), and n below 50 D or a Hessian of all rows
      below 30 Mflop: newton, but n below 50 D above 1e11 flops: lbfgs;
    - else K D within the same limits: sampled, then newton;
    - else several classes whose factors take at most 240 MB: blocks;
    - else lbfgs.

    newton-cg comes last, for where the others get stuck.
    """
    n, D, K = objective.n, objective.D, objective.K
    if name != "auto":
        if name not in SOLVERS:
            raise ValueError(f"solver is {name!r}; give 'auto' or one of {', '.join(SOLVERS)}")
        # Samples end where one would be half of all rows; few directions, at their rounding.
        if name == "sampled" and K * D <= FACTORED:
            return [name, "newton"]
        return [name, "newton-cg"] if name in ("sampled", "compressed") else [name]
    if 2 * n <= D and n <= FEW_EXAMPLES and K * n <= FACTORED:
        return ["compressed", "newton-cg"]
    if K * D <= (FACTORED if K > 1 else FACTORED_PAIR):
        flops = n * D * D * (K * (K + 1) // 2)
        if flops < SMALL or (n < FEW_ROWS * D and flops < 0.1 * LARGE):
            return ["newton", "newton-cg"]
        if n >= FEW_ROWS * D:
            return ["sampled", "newton" if flops < LARGE else "newton-cg"]
    elif K > 1 and K * D * D <= BLOCKS:
        return ["blocks", "newton-cg"]
    return ["lbfgs", "newton-cg"]
