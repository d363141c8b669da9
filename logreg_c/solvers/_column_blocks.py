# SPDX-License-Identifier: BSD-3-Clause
"""The Hessian's blocks of neighbouring columns.

Columns that stand side by side in a table often belong together: moments, places, pixels, powers of
one thing. Blocks along the diagonal then hold much of what makes the Hessian ill-conditioned, for
the price of a few passes.
"""

from __future__ import annotations

import numpy as np

from .._data import Dense
from .._factor import BlockFactor
from .._objective import Objective, Point
from .._validation import Floats
from ._memory import Apply

# Columns of a block, and rows that it is made of for each of them. With fewer a block is made of
# accidents; where there are not as many, the penalty, which is that of the columns as they are,
# counts more.
WIDTH, ROWS = 100, 20
# Blocks that tell whether the others are worth making where the diagonal is known.
TRIED = 5
# What is left of a column's curvature given those before it in its block, as -log, on average.
# Accidents make 0.03 of it; from 0.1 on fits took fewer passes, at 0.3, a correlation of 0.5 from
# each column to the next, a tenth to a third.
TELLING = 0.1
# Added to the diagonal, in parts of it: what dependent columns share is rounding.
DEPENDENT = 1e-8


def column_blocks(
    objective: Objective,
    point: Point,
    random: np.random.Generator,
    known: Floats | None,
) -> Apply | None:
    """Return what applies the blocks' inverses, all classes sharing them; None if of no use.

    Reads some rows of X. Where the Hessian's diagonal is `known`, (K, D), that of the blocks is
    raised to it, for columns that are rare in those rows, and blocks have to tell more than it.
    """
    data, n, d = objective.data, objective.n, objective.D - 1
    if not isinstance(data, Dense) or n < ROWS * min(WIDTH, d) or d < 2:
        return None
    rows = np.sort(random.choice(n, ROWS * WIDTH, False) if n > ROWS * WIDTH else np.arange(n))
    a = data.predictions(np.ascontiguousarray(point.Z[:, rows]))
    h: Floats = (a * (1.0 - a)).mean(axis=0) * (n / len(rows) / data.total)
    if data.sample_weight is not None:
        h *= data.sample_weight[rows]
    ends = np.linspace(0, d, max(1, round(d / WIDTH)) + 1).astype(np.intp)
    count = len(ends) - 1
    # And the bias, alone.
    factor = BlockFactor(np.append(ends, d + 1), data.threads)
    factor.put(count, np.array([[h.sum()]]))

    def put(k: int) -> float:
        columns = slice(ends[k], ends[k + 1])
        H = data.block(rows, columns, h, objective.center[columns], objective.scale[columns])
        diagonal = H.ravel()[:: len(H) + 1]
        diagonal *= 1.0 + DEPENDENT
        diagonal += objective.quadratic[columns]
        if known is not None:
            np.maximum(diagonal, known[:, columns].mean(axis=0), out=diagonal)
        return factor.put(k, H)

    tried = range(0, count, -(-count // TRIED))
    try:
        told = float(np.mean([put(k) for k in tried]))
        if known is not None and told < TELLING:
            return None
        for k in set(range(count)).difference(tried):
            put(k)
    except FloatingPointError:
        return None
    return lambda q: objective.project(factor.solve(q))
