# SPDX-License-Identifier: BSD-3-Clause
"""Numbers: what comes in is checked once, what goes out is written the same everywhere."""

import math
import reprlib
from typing import Any


def as_number(value: Any, what: str) -> float:
    """Turn what the user gave, called so in errors, into a finite float.

    Raises
    ------
    TypeError
        If it is not a real number: a string, None, a complex number, an array.
    ValueError
        If it is NaN, infinite, or an integer beyond the largest float.

    Examples
    --------
    >>> as_number(True, "y")
    1.0
    """
    try:
        # float() alone would read the string "3".
        if not (hasattr(value, "__float__") or hasattr(value, "__index__")):
            raise TypeError
        number = float(value)
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError):
        kind = type(value).__name__
        raise TypeError(
            f"{what} is {reprlib.repr(value)}, of type {kind}; give an int or a float"
        ) from None
    if not math.isfinite(number):
        raise ValueError(f"{what} is {reprlib.repr(value)}; give a finite number")
    return number


def write_number(number: float) -> str:
    """Write a number for reading: at most six digits, and never a negative zero.

    Examples
    --------
    >>> write_number(6.0), write_number(2 / 3), write_number(-0.0)
    ('6', '0.666667', '0')
    """
    return f"{number + 0.0:.6g}"
