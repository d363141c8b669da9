# SPDX-License-Identifier: BSD-3-Clause
"""The Hessian's blocks of neighbouring columns, where such columns tell of each other.

Columns that stand side by side in a table often belong together: moments, places, pixels, powers of
one thing. Blocks along the diagonal then hold much of what makes the Hessian ill-conditioned, for
the price of about four passes.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .._data import Dense
from .._factor import Factor
from .._objective import Objective, Point
from .._validation import Floats
from ._memory import Apply

# Columns of a block, and rows that it is made of for each of them. With fewer a block is made of
# accidents; where there are not as many, the penalty, which is that of the columns as they are,
# counts more.
WIDTH, ROWS = 100, 20
# Blocks that tell whether the others are worth making.
TRIED = 5
# What is left of a column's curvature given those before it in its block, as -log, on average.
# 1.0 is a correlation of 0.8 from each column to the next; at 0.7 blocks gained nothing.
TELLING = 1.0
# Added to the diagonal, in parts of it: what dependent columns share is rounding.
DEPENDENT = 1e-8


def column_blocks(objective: Objective, point: Point, random: np.random.Generator) -> Apply | None:
    """Return what applies the blocks' inverses, all classes sharing them; None if of no use.

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
    blocks = [slice(*pair) for pair in pairwise(ends)]

    def factor(k: int) -> Factor:
        columns = blocks[k]
        H = data.block(rows, columns, h, objective.center[columns], objective.scale[columns])
        diagonal = H.ravel()[:: len(H) + 1]
        diagonal *= 1.0 + DEPENDENT
        diagonal += objective.quadratic[columns]
        return Factor(H, data.threads)

    try:
        factors = {k: factor(k) for k in range(0, len(blocks), -(-len(blocks) // TRIED))}
        if float(np.mean([f.told for f in factors.values()])) < TELLING:
            return None
        factors.update((k, factor(k)) for k in range(len(blocks)) if k not in factors)
    except FloatingPointError:
        return None
    bias = float(h.sum())

    def apply(q: Floats) -> Floats:
        out = np.empty_like(q)
        for k, columns in enumerate(blocks):
            out[:, columns] = factors[k].solve(np.ascontiguousarray(q[:, columns]))
        out[:, -1] = q[:, -1] / bias
        return objective.project(out)

    return apply
