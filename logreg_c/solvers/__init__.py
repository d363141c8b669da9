# SPDX-License-Identifier: BSD-3-Clause
"""The solvers by name, and which one is chosen for what."""

from __future__ import annotations

from typing import Any

from .._certificate import all_held
from .._objective import Objective
from .._sparse import Sparse
from ._driver import Solver
from ._price import MANY_STEPS, compressed_in_steps, hessian_in_steps
from .blocks import blocks
from .compressed import compressed
from .gradient_descent import gradient_descent
from .lbfgs import lbfgs
from .newton import newton
from .newton_cg import comes_before_newton, newton_cg
from .preconditioned import preconditioned
from .sampled import sampled
from .working_set import working_set

SOLVERS: dict[str, Solver] = {
    "newton": newton,
    "sampled": sampled,
    "blocks": blocks,
    "compressed": compressed,
    "lbfgs": lbfgs,
    "newton-cg": newton_cg,
    "preconditioned": preconditioned,
    "gradient-descent": gradient_descent,
    "working-set": working_set,
}

# Those that know of L1 penalties and bounds.
NONSMOOTH = ("newton", "sampled", "working-set")
SPARSE_NONSMOOTH = ("newton", "working-set")

# Those that a sparse X is for.
SPARSE = ("preconditioned", "newton", "lbfgs", "newton-cg", "gradient-descent")

NEEDS_KINKS = "solver is 'working-set', which is for an L1 penalty or bounds; take 'auto'"

# Flops of a Hessian of all rows: nothing beside the rest of a fit; worth it; too many even for a
# solver that gets where others do not.
SMALL, LARGE, TOO_LARGE = 1e7, 1e11, 1e12
# Rows a column below which samples do not pay beside all rows, or beside the columns that matter.
FEW_ROWS, FEW_ROWS_KINKS = 50, 40
# Parameters whose Hessian is worth a factor: of all classes at once, of two classes.
FACTORED, FACTORED_TWO_CLASSES = 1500, 4000
# And where nothing else gets to the optimum: of 200 MB.
FACTORED_LAST = 5000
# Rows, times classes, whose own Hessian is worth a factor; rows whose Gram is bearable.
FEW_EXAMPLES, MOST_EXAMPLES = 1500, 4000
# Iterations that this costs from where on L-BFGS is worth a try before.
MANY_STEPS_COMPRESSED = 40.0
# Doubles that a Hessian per class may take.
BLOCKS = 3e7
# Rows a column from where on these are worth their solves, of which a step takes some dozens: with
# fewer, L-BFGS and conjugate gradients take more passes, and less time.
BLOCKS_ROWS = 5
# With so many rows a column samples of them do for most steps, and L-BFGS is not tried before.
BLOCKS_ONLY = 30


def require_solver(name: Any) -> None:
    """Raise ValueError unless it is "auto" or the name of a solver."""
    if not isinstance(name, str) or (name != "auto" and name not in SOLVERS):
        raise ValueError(
            f"solver is {name!r}; give 'auto', which gets to the optimum of all of them, or one of "
            f"{', '.join(SOLVERS)}"
        )


def choose(name: str, objective: Objective) -> list[str]:
    """Return the solvers to try, in that order: what is asked for, then what is stronger.

    The rule of "auto", for n rows, D = d + 1 columns and K classes (1 for two):

    - n at most D/2, K n at most 1,500, and one penalty for all columns: compressed, after lbfgs if
      that costs 40 passes and all columns are penalised;
    - else K D at most 1,500, several classes, n below 50 D, all columns penalised, and a Hessian
      and its factor as long as 12 products with it: newton-cg;
    - else K D at most 1,500 (4,000 for two classes), and n below 50 D or a Hessian of all rows
      below 10 Mflop: newton, if that Hessian takes at most 100 Gflop; for two
      classes after lbfgs if that costs 30 passes, which it does from about 500 columns on, and
      all are penalised;
    - else K D within the same limits and n at least 50 D: sampled;
    - else several classes whose Hessians, one each, take at most 240 MB, and n at least 5 D or some
      columns without a penalty: blocks, after lbfgs if n is below 30 D and all columns are
      penalised;
    - else lbfgs.

    With a sparse X, but for small and hardly sparse ones, which are copied as dense:
    preconditioned, or working-set with an L1 penalty or bounds.

    With an L1 penalty or bounds:

    - K D at most 1,500, n at least D/2, and a Hessian of all rows below 10 Mflop: newton;
    - else K D at most 1,500 and n at least 40 D: sampled;
    - else working-set.

    What gets stuck, or lbfgs where a Hessian costs 30 passes and it takes longer than two, is
    followed by newton if X is dense, K D within the limits above and a Hessian of all rows takes at
    most 1,000 Gflop, else by newton-cg, and that by newton if K D is at most 5,000 and its Hessian
    the same; with an L1 penalty or bounds, by newton if K D is at most 1,500 and, of a dense X, its
    Hessian the same, else by working-set. What is tried before another one ends in time: newton-cg
    after half of what newton costs, lbfgs after what compressed costs, and before blocks or
    newton-cg where it would take three times as many passes more as it is left in peace: 300, or
    with several classes 300 D/n, at most 100; preconditioned after 60 iterations or more where it
    would take 300 more, but for one-hot data whose largest field leaves few columns.
    """
    require_solver(name)
    n, D, K = objective.n, objective.D, objective.K
    flops = n * D * D * (K * (K + 1) // 2)
    factored = K * D <= (FACTORED if K > 1 else FACTORED_TWO_CLASSES)
    sparse = isinstance(objective.data, Sparse)
    stronger = ["newton"] if factored and not sparse else ["newton-cg", "newton"]
    if K * D > FACTORED_LAST or flops >= TOO_LARGE:
        stronger = ["newton-cg"]
    if sparse:
        return _choose_sparse(name, stronger, objective)
    if name == "preconditioned":
        raise ValueError("solver is 'preconditioned', which is for a sparse X; take 'auto'")
    if name == "compressed" and n > MOST_EXAMPLES:
        raise ValueError(
            f"solver is 'compressed', which makes a matrix of {n} x {n} for the {n} rows of X; it "
            f"is for up to {MOST_EXAMPLES} rows: take 'auto'"
        )
    if name == "working-set" and objective.nonsmooth is None:
        raise ValueError(NEEDS_KINKS)
    uniform = isinstance(objective.penalty, float)
    if name == "compressed" and not uniform:
        raise ValueError(
            "solver is 'compressed', which takes one penalty for all columns; leave penalty_factor "
            "out, or take 'auto'"
        )
    if objective.nonsmooth is not None:
        return _choose_nonsmooth(name, flops, objective)
    if name == "auto":
        # L-BFGS proves little without a penalty.
        penalised = all_held(objective)
        if 2 * n <= D and K * n <= FEW_EXAMPLES and uniform:
            if penalised and compressed_in_steps(objective) >= MANY_STEPS_COMPRESSED:
                return ["lbfgs", "compressed", *stronger]
            name = "compressed"
        elif factored and n < FEW_ROWS * D and comes_before_newton(objective):
            name = "newton-cg"
        elif factored and flops < SMALL:
            name = "newton"
        elif factored and n < FEW_ROWS * D and flops < LARGE:
            # With several classes L-BFGS gains little.
            cheap = K == 1 and hessian_in_steps(objective, D) >= MANY_STEPS
            name = "lbfgs" if cheap and penalised else "newton"
        elif factored and n >= FEW_ROWS * D:
            name = "sampled"
        elif K > 1 and K * D * D <= BLOCKS and (n >= BLOCKS_ROWS * D or not penalised):
            if penalised and n < BLOCKS_ONLY * D:
                return ["lbfgs", "blocks", *stronger]
            name = "blocks"
        else:
            name = "lbfgs"
    return _followed(name, stronger)


def _followed(name: str, stronger: list[str]) -> list[str]:
    """Return a solver and what is stronger."""
    return [name, *(other for other in stronger if other != name)]


def _choose_sparse(name: str, stronger: list[str], objective: Objective) -> list[str]:
    """Return the solvers to try where X is sparse."""
    if objective.nonsmooth is not None:
        return _choose_sparse_nonsmooth(name, objective)
    if name == "auto":
        name = "preconditioned"
    if name == "working-set":
        raise ValueError(NEEDS_KINKS)
    if name not in SPARSE:
        raise ValueError(
            f"solver is {name!r}, which is for a dense X; give 'auto' or one of {', '.join(SPARSE)}"
        )
    return _followed(name, stronger)


def _choose_sparse_nonsmooth(name: str, objective: Objective) -> list[str]:
    """Return the solvers to try where X is sparse, and there is an L1 penalty or a bound."""
    if name not in ("auto", *SPARSE_NONSMOOTH):
        what = "knows no L1 penalty and no bounds" if name in SPARSE else "is for a dense X"
        raise ValueError(
            f"solver is {name!r}, which {what}; give 'auto' or one of {', '.join(SPARSE_NONSMOOTH)}"
        )
    factored = objective.K * objective.D <= FACTORED
    if name == "auto":
        name = "working-set"
    return _followed(name, ["newton" if factored else "working-set"])


def _choose_nonsmooth(name: str, flops: int, objective: Objective) -> list[str]:
    """Return the solvers to try where there is an L1 penalty or a bound."""
    if name not in ("auto", *NONSMOOTH):
        raise ValueError(
            f"solver is {name!r}, which knows no L1 penalty and no bounds; give 'auto' or one of "
            f"{', '.join(NONSMOOTH)}"
        )
    n, D, K = objective.n, objective.D, objective.K
    factored = K * D <= FACTORED
    if name == "auto":
        if factored and 2 * n >= D and flops < SMALL:
            name = "newton"
        elif factored and n >= FEW_ROWS_KINKS * D:
            name = "sampled"
        else:
            name = "working-set"
    return _followed(name, ["newton" if factored and flops < TOO_LARGE else "working-set"])
