# SPDX-License-Identifier: BSD-3-Clause
"""The solvers by name, and which one is chosen for what."""

from __future__ import annotations

from .._objective import Objective
from ._driver import Solver
from .gradient_descent import gradient_descent
from .lbfgs import lbfgs
from .newton import newton
from .newton_cg import newton_cg
from .sampled import sampled

SOLVERS: dict[str, Solver] = {
    "newton": newton,
    "newton-cg": newton_cg,
    "lbfgs": lbfgs,
    "sampled": sampled,
    "gradient-descent": gradient_descent,
}


def choose(name: str, objective: Objective) -> list[str]:
    """Return the solvers to try, in that order."""
    if name != "auto" and name not in SOLVERS:
        raise ValueError(f"solver is {name!r}; give 'auto' or one of {', '.join(SOLVERS)}")
    return ["newton"] if name == "auto" else [name]
