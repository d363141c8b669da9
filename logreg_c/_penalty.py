# SPDX-License-Identifier: BSD-3-Clause
"""The penalty and the bounds as people give them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ._nonsmooth import Nonsmooth
from ._validation import Floats, Indices, as_array, as_floats, as_number


class Penalty(NamedTuple):
    """sum_j f_j (l2/2 w_j^2 + l1 |w_j|) with lower <= w <= upper.

    Attributes
    ----------
    l2, l1 : float
        Strengths of the ridge and of the L1 penalty.
    factor : ndarray of shape (d,) or None
        What they are multiplied by for each column; None is 1 for all.
    lower, upper : ndarray of shape (d,) or None
        Bounds of the weights; None if there are none at all.
    """

    l2: float
    l1: float
    factor: Floats | None
    lower: Floats | None
    upper: Floats | None

    @property
    def unpenalised(self) -> bool:
        """Whether there is no penalty."""
        return self.strengthless or (self.factor is not None and not self.factor.any())

    @property
    def strengthless(self) -> bool:
        """Whether there is none whatever the factors are."""
        return self.l2 == 0.0 and self.l1 == 0.0

    @property
    def nothing(self) -> bool:
        """Whether there is no penalty and no bound."""
        return self.unpenalised and self.lower is None

    @property
    def only_bounds(self) -> bool:
        """Whether there are bounds and no penalty."""
        return self.unpenalised and self.lower is not None

    def unheld(self, d: int) -> Indices:
        """Return the columns with neither a penalty nor a bound, where others have one."""
        if self.factor is None and not self.unpenalised:
            return np.zeros(0, dtype=np.intp)
        unpenalised = np.full(d, self.unpenalised)
        if self.factor is not None:
            unpenalised |= self.factor == 0.0
        if self.lower is not None and self.upper is not None:
            unpenalised &= (self.lower == -np.inf) & (self.upper == np.inf)
        return np.flatnonzero(unpenalised)

    def ridge(self, pair: bool) -> float | Floats:
        """Return the ridge penalty's strength, for the difference of two columns of a pair."""
        # With w = (-v/2, v/2) the squares add up to v^2/2, and the absolute values to |v|.
        l2 = 0.5 * self.l2 if pair else self.l2
        return l2 if self.factor is None else l2 * self.factor

    def nonsmooth(self, scale: Floats, pair: bool) -> Nonsmooth | None:
        """Return the L1 penalty and the bounds of theta = w / scale, None without any."""
        if self.lower is None and (self.l1 == 0.0 or self.unpenalised):
            return None
        l1 = np.zeros(len(scale) + 1)
        np.multiply(scale, self.l1, out=l1[:-1])
        if self.factor is not None:
            l1[:-1] *= self.factor
        bounds = _unbounded(len(l1))
        if self.lower is not None and self.upper is not None:
            # Of a pair both -v/2 and v/2 have to be within them.
            reach = 2.0 * np.minimum(self.upper, -self.lower)
            bounds = bounds.copy()
            bounds[:, :-1] = (-reach, reach) if pair else (self.lower, self.upper)
            bounds[:, :-1] /= scale
        return Nonsmooth(l1, bounds[0], bounds[1])

    def clip(self, w: Floats) -> Floats:
        """Return w within the bounds, and on one where it is off by the rounding of its scale."""
        if self.lower is None or self.upper is None:
            return w
        for bound in (self.lower, self.upper):
            w = np.where(np.isclose(w, bound, rtol=4e-16, atol=0.0), bound, w)
        return np.clip(w, self.lower, self.upper)


@lru_cache(maxsize=1)
def _unbounded(size: int) -> Floats:
    """Return lower and upper bounds that are none; the penalties of a path have the same."""
    bounds = np.full((2, size), np.inf)
    bounds[0] = -np.inf
    bounds.setflags(write=False)
    return bounds


def as_penalty(l2: Any, l1: Any, factor: Any, lower: Any, upper: Any, d: int) -> Penalty:
    """Return what people give as `l2`, `l1`, `penalty_factor`, `lower` and `upper`."""
    strengths = as_number(l2, "l2", least=0.0), as_number(l1, "l1", least=0.0)
    if factor is not None:
        factor = as_floats(factor, "penalty_factor", d, "column")
        bad = ~((factor >= 0.0) & (factor < np.inf))
        if bad.any():
            j = int(np.argmax(bad))
            raise ValueError(
                f"penalty_factor[{j}] is {factor[j]}; give finite numbers of 0 or above, 0 for a "
                "column that is never penalised"
            )
        if (factor == 1.0).all():
            factor = None
    if lower is None and upper is None:
        return Penalty(*strengths, factor, None, None)
    low = _bound(lower, "lower", -math.inf, d)
    high = _bound(upper, "upper", math.inf, d)
    if (low == -np.inf).all() and (high == np.inf).all():
        return Penalty(*strengths, factor, None, None)
    return Penalty(*strengths, factor, low, high)


def _bound(value: Any, name: str, default: float, d: int) -> Floats:
    """Return a bound for each column, on its side of 0."""
    if value is None:
        return np.full(d, default)
    array = as_array(value, name)
    if array.ndim == 0:
        array = np.full(d, float(array))
    bound = as_floats(array, name, d, "column")
    bad = ~(bound <= 0.0) if default < 0.0 else ~(bound >= 0.0)
    if bad.any():
        j = int(np.argmax(bad))
        side = "0 or below" if default < 0.0 else "0 or above"
        raise ValueError(
            f"{name}[{j}] is {bound[j]}; a weight of 0 has to be allowed: give {side}, or "
            f"{default} for no bound"
        )
    return bound
