# SPDX-License-Identifier: BSD-3-Clause
"""The Hessian's blocks of neighbouring columns.

Columns that stand side by side in a table often belong together: moments, places, pixels, powers of
one thing. Blocks along the diagonal then hold much of what makes the Hessian ill-conditioned, for
the price of a few passes. Where they do not, the blocks are as good as the diagonal.
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
# Added to the diagonal, in parts of it: what dependent columns share is rounding.
DEPENDENT = 1e-8


def column_blocks(objective: Objective, point: Point, random: np.random.Generator) -> Apply | None:
    """Return what applies the blocks' inverses, all classes sharing them; None for too few rows.

    Reads some rows of X.
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

    try:
        for k in range(count):
            columns = slice(ends[k], ends[k + 1])
            H = data.block(rows, columns, h, objective.center[columns], objective.scale[columns])
            diagonal = H.ravel()[:: len(H) + 1]
            diagonal *= 1.0 + DEPENDENT
            diagonal += objective.quadratic[columns]
            factor.put(k, H)
    except FloatingPointError:
        return None
    return lambda q: objective.project(factor.solve(q))
