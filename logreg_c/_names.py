# SPDX-License-Identifier: BSD-3-Clause
"""Columns in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MOST_NAMED = 10


def names_of(X: Any) -> list[str] | None:
    """Return the names of a frame's columns, if it has names and all are strings."""
    names = getattr(X, "columns", None)
    if names is None or isinstance(names, str) or callable(names):
        return None
    listed = list(names)
    return listed if all(isinstance(name, str) for name in listed) else None


def columns_in_words(columns: Sequence[int], names: Sequence[str] | None = None) -> str:
    """Return "column 3" or "columns 1, 4 and 7", at most ten of them and how many more.

    With names they are these, in quotes.
    """
    words = [_word(j, names) for j in columns[:MOST_NAMED]]
    if len(columns) == 1:
        return f"column {words[0]}"
    if len(columns) > MOST_NAMED:
        return f"columns {', '.join(words)} and {len(columns) - MOST_NAMED} more"
    return f"columns {', '.join(words[:-1])} and {words[-1]}"


def sum_in_words(
    columns: Sequence[int], weights: Sequence[float], names: Sequence[str] | None = None
) -> str:
    """Return "1 · column 3 - 0.5 · column 7", at most ten terms and how many more."""
    text = ""
    for j, weight in list(zip(columns, weights, strict=True))[:MOST_NAMED]:
        sign = "-" if weight < 0.0 else "+" if text else ""
        text += f" {sign} {abs(weight):.3g} · column {_word(j, names)}"
    more = len(columns) - MOST_NAMED
    return " ".join(text.split()) + (f" and {more} more" if more > 0 else "")


def _word(j: int, names: Sequence[str] | None) -> str:
    return str(j) if names is None else repr(names[j])
