# SPDX-License-Identifier: BSD-3-Clause
"""The operations: for each, its value and its derivatives, as numbers and as text.

An operation is one line of calculus. It knows no nodes and no graph: only how to compute
``out`` from its inputs, and how fast ``out`` grows with each of them. What it says twice,
once for the machine and once for the reader, stands side by side:

>>> MULTIPLY.value(3.0, 2.0), MULTIPLY.write("b", "c")
(6.0, 'b · c')
>>> MULTIPLY.derivatives(3.0, 2.0, 6.0), MULTIPLY.rules("b", "c", "u")
((2.0, 3.0), ('c', 'b'))
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One step of a computation, out = f(x, y, ...).

    Parameters
    ----------
    write : callable
        ``write(*texts)``: the formula, from the texts of the inputs.
    value : callable
        ``value(*inputs)``: out. Outside the domain it raises ValueError or ZeroDivisionError with
        the reason; the node adds its name. A result too large may be infinite or OverflowError.
    derivatives : callable
        ``derivatives(*inputs, out)``: d(out)/d(input), one for each input. Infinite or NaN where
        it does not exist, and not an exception: nobody may be asking for that one.
    rules : callable
        ``rules(*texts, out)``: the derivatives again, as formulas.
    """

    write: Callable[..., str]
    value: Callable[..., float]
    derivatives: Callable[..., tuple[float, ...]]
    rules: Callable[..., tuple[str, ...]]


def grouped(text: str) -> str:
    """Put a negative number between parentheses, for where its sign could be misread."""
    return f"({text})" if text.startswith("-") else text


# --- arithmetic -----------------------------------------------------------------------------


IDENTITY = Operation(
    write=lambda x: x,
    value=lambda x: x,
    derivatives=lambda x, out: (1.0,),
    rules=lambda x, out: ("1",),
)

NEGATE = Operation(
    write=lambda x: f"-{grouped(x)}",
    value=lambda x: -x,
    derivatives=lambda x, out: (-1.0,),
    rules=lambda x, out: ("-1",),
)

ADD = Operation(
    write=lambda x, y: f"{x} + {y}",
    value=lambda x, y: x + y,
    derivatives=lambda x, y, out: (1.0, 1.0),
    rules=lambda x, y, out: ("1", "1"),
)

SUBTRACT = Operation(
    write=lambda x, y: f"{x} - {grouped(y)}",
    value=lambda x, y: x - y,
    derivatives=lambda x, y, out: (1.0, -1.0),
    rules=lambda x, y, out: ("1", "-1"),
)

MULTIPLY = Operation(
    write=lambda x, y: f"{x} · {y}",
    value=lambda x, y: x * y,
    derivatives=lambda x, y, out: (y, x),
    rules=lambda x, y, out: (y, x),
)


def _divide(x: float, y: float) -> float:
    if y == 0.0:
        raise ZeroDivisionError("division by zero; keep the denominator away from 0")
    return x / y


DIVIDE = Operation(
    write=lambda x, y: f"{x} / {grouped(y)}",
    value=_divide,
    # -out / y and not -x / y²: the square of a small y would underflow to zero.
    derivatives=lambda x, y, out: (1.0 / y, -out / y),
    rules=lambda x, y, out: (f"1 / {grouped(y)}", f"-{grouped(x)} / {grouped(y)}^2"),
)


def _power(x: float, y: float) -> float:
    if x == 0.0 and y < 0.0:
        raise ZeroDivisionError("0 has no negative power; keep the base away from 0")
    if x < 0.0 and not y.is_integer():
        raise ValueError(
            "a negative base has no fractional power; use an integer exponent or a base above 0"
        )
    return math.pow(x, y)


def _power_derivatives(x: float, y: float, out: float) -> tuple[float, float]:
    try:
        by_base = y * math.pow(x, y - 1.0) if y != 0.0 else 0.0
    except (ValueError, OverflowError):
        by_base = math.nan
    by_exponent = math.nan
    if x > 0.0:
        by_exponent = out * math.log(x)
    elif x == 0.0 and y > 0.0:
        by_exponent = 0.0
    return by_base, by_exponent


POWER = Operation(
    write=lambda x, y: f"{grouped(x)}^{grouped(y)}",
    value=_power,
    derivatives=_power_derivatives,
    rules=lambda x, y, out: (f"{y} · {grouped(x)}^({y} - 1)", f"{out} · log({x})"),
)


def _weighted_sum(*inputs: float) -> float:
    n = len(inputs) // 2
    terms = [w * x for w, x in zip(inputs[:n], inputs[n:], strict=False)]
    terms += inputs[2 * n :]
    # fsum rounds once, so the order of the terms cannot change the sum.
    return math.fsum(terms) if all(map(math.isfinite, terms)) else math.inf


def _write_weighted_sum(*texts: str) -> str:
    n = len(texts) // 2
    pairs = zip(texts[:n], texts[n:], strict=False)
    terms = [x if w == "1" else f"{w} · {x}" for w, x in pairs]
    terms += texts[2 * n :]
    if len(terms) > 5:
        terms[2:-2] = ["…"]
    return " + ".join(terms) or "0"


def _swapped(one: T, inputs: tuple[T, ...]) -> tuple[T, ...]:
    n = len(inputs) // 2
    return (*inputs[n : 2 * n], *inputs[:n], *(one for _ in inputs[2 * n :]))


# Inputs: w1 ... wn, x1 ... xn and, when their number is odd, the bias b.
WEIGHTED_SUM = Operation(
    write=_write_weighted_sum,
    value=_weighted_sum,
    derivatives=lambda *inputs: _swapped(1.0, inputs[:-1]),
    rules=lambda *texts: _swapped("1", texts[:-1]),
)


# --- functions ------------------------------------------------------------------------------


EXP = Operation(
    write=lambda x: f"exp({x})",
    value=math.exp,
    derivatives=lambda x, out: (out,),
    rules=lambda x, out: (out,),
)


def _log(x: float) -> float:
    if x <= 0.0:
        raise ValueError("the logarithm needs a number above 0; keep its input positive")
    return math.log(x)


LOG = Operation(
    write=lambda x: f"log({x})",
    value=_log,
    derivatives=lambda x, out: (1.0 / x,),
    rules=lambda x, out: (f"1 / {x}",),
)


def _sigmoid(z: float) -> float:
    # exp of a negative number only: it can underflow to zero, which is right, never overflow.
    e = math.exp(-abs(z))
    return 1.0 / (1.0 + e) if z >= 0.0 else e / (1.0 + e)


SIGMOID = Operation(
    write=lambda z: f"sigmoid({z})",
    value=_sigmoid,
    # From the same rounded a that cross-entropy divides by, so that the two cancel in dL/dz.
    derivatives=lambda z, a: (a * (1.0 - a),),
    rules=lambda z, a: (f"{a} · (1 - {a})",),
)


# --- cross-entropy --------------------------------------------------------------------------


def _check_label(y: float) -> None:
    if not 0.0 <= y <= 1.0:
        raise ValueError(f"the label must lie in [0, 1], and {y!r} does not")


def _cross_entropy(a: float, y: float) -> float:
    _check_label(y)
    if not 0.0 <= a <= 1.0:
        raise ValueError(
            f"the prediction must lie in [0, 1], and {a!r} does not; take the sigmoid first"
        )
    if (a == 0.0 and y > 0.0) or (a == 1.0 and y < 1.0):
        raise ValueError(
            "the loss is infinite, the prediction being certain and wrong; "
            "use cross_entropy_from_z, which never needs log(0)"
        )
    # 0 · log 0 counts as 0, its limit.
    loss_if_one = -y * math.log(a) if y > 0.0 else 0.0
    loss_if_zero = -(1.0 - y) * math.log1p(-a) if y < 1.0 else 0.0
    return loss_if_one + loss_if_zero


def _cross_entropy_derivatives(a: float, y: float, out: float) -> tuple[float, float]:
    by_prediction = (-y / a if y > 0.0 else 0.0) + ((1.0 - y) / (1.0 - a) if y < 1.0 else 0.0)
    by_label = math.log1p(-a) - math.log(a) if 0.0 < a < 1.0 else math.nan
    return by_prediction, by_label


CROSS_ENTROPY = Operation(
    write=lambda a, y: f"-{y} · log({a}) - (1 - {y}) · log(1 - {a})",
    value=_cross_entropy,
    derivatives=_cross_entropy_derivatives,
    rules=lambda a, y, out: (
        f"-{y} / {a} + (1 - {y}) / (1 - {a})",
        f"log(1 - {a}) - log({a})",
    ),
)


def _cross_entropy_from_z(z: float, y: float) -> float:
    _check_label(y)
    return max(z, 0.0) - y * z + math.log1p(math.exp(-abs(z)))


CROSS_ENTROPY_FROM_Z = Operation(
    write=lambda z, y: f"max({z}, 0) - {y} · {z} + log1p(exp(-|{z}|))",
    value=_cross_entropy_from_z,
    derivatives=lambda z, y, out: (_sigmoid(z) - y, -z),
    rules=lambda z, y, out: (f"sigmoid({z}) - {y}", f"-{grouped(z)}"),
)
