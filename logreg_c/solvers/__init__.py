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

# Flops of a Hessian of all rows that are nothing beside the rest of a fit.
SMALL = 3e7
# Rows a column and class below which samples are no smaller than all rows.
FEW_ROWS = 50
# Parameters whose Hessian is worth a factor.
FACTORED = 1500
# Rows whose own Gram is worth an eigendecomposition.
FEW_EXAMPLES = 1500


def choose(name: str, objective: Objective) -> list[str]:
    """Return the solvers to try, in that order: the one named, or by a rule.

    The rule of "auto", for n rows, D = d + 1 columns and K classes (1 for two):

    - n at most D/2 and 1,500: compressed;
    - K D at most 1,500, and either n below 50 D or a Hessian of all rows below 30 Mflop: newton;
    - K D at most 1,500: sampled, then newton;
    - else: lbfgs, then newton-cg.
    """
    n, D, K = objective.n, objective.D, objective.K
    strongest = "newton" if K * D <= FACTORED else "newton-cg"
    if name != "auto":
        if name not in SOLVERS:
            raise ValueError(f"solver is {name!r}; give 'auto' or one of {', '.join(SOLVERS)}")
        # Where a sample would be half of all rows, samples end.
        return [name, strongest] if name == "sampled" else [name]
    if 2 * n <= D and n <= FEW_EXAMPLES:
        return ["compressed", "lbfgs"]
    if K * D > FACTORED:
        return ["lbfgs", "newton-cg"]
    flops = n * D * D * (K * (K + 1) // 2)
    if n < FEW_ROWS * D or flops < SMALL:
        return ["newton", "lbfgs"]
    return ["sampled", "newton"]
