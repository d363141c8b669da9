# SPDX-License-Identifier: BSD-3-Clause
"""Integers as people give them."""

from __future__ import annotations

import operator
from typing import Any


def as_integer(value: Any) -> int | None:
    """Return an integer of any type as Python's, or None for what is none.

    Booleans are none: who gives one means something else. Arrays of NumPy's have the method that
    tells integers, whatever is in them.
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
