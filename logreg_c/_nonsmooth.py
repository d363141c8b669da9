# SPDX-License-Identifier: BSD-3-Clause
r"""What of a penalty has kinks: :math:`l_j |\theta_j|`, and bounds of :math:`\theta_j`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._validation import Floats, Indices


class Nonsmooth(NamedTuple):
    """An L1 penalty and bounds, the same for all classes.

    Attributes
    ----------
    l1 : ndarray of shape (d + 1,)
        The penalty's strength on each coordinate, 0 for the bias.
    lower, upper : ndarray of shape (d + 1,)
        Bounds on each side of 0, infinite for the bias.
    """

    l1: Floats
    lower: Floats
    upper: Floats

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which coordinates have neither."""
        return np.asarray((self.l1 == 0.0) & (self.lower == -np.inf) & (self.upper == np.inf))

    def lets_grow(self, theta: Floats) -> bool:
        """Whether every multiple of theta from 1 on is within the bounds."""
        return np.array_equal(self.growing(theta), theta)

    def growing(self, theta: Floats) -> Floats:
        """Return theta with zeros where a bound ends its multiples from 1 on."""
        held = ((theta < 0.0) & (self.lower > -np.inf)) | ((theta > 0.0) & (self.upper < np.inf))
        return np.where(held, 0.0, theta)

    def value(self, theta: Floats) -> float:
        """Return the L1 penalty, the same bits for any number of threads."""
        return _kernels.kernels.absolute_sum(theta, self.l1)

    def clip(self, theta: Floats) -> Floats:
        """Return theta within the bounds."""
        out = np.empty_like(theta)
        _kernels.kernels.clip(theta, self.lower, self.upper, out)
        return out

    def extrapolate(self, theta: Floats, older: Floats, ratio: float) -> Floats:
        """Return theta + ratio · (theta - older) within the bounds; no penalised sign changes."""
        out = np.empty_like(theta)
        _kernels.kernels.extrapolate(theta, older, ratio, *self, out)
        return out

    def of(self, columns: Indices) -> Nonsmooth:
        """Return what belongs to some of the coordinates."""
        return Nonsmooth(self.l1[columns], self.lower[columns], self.upper[columns])
