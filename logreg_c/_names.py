# SPDX-License-Identifier: BSD-3-Clause
"""Columns in words."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 10


def columns_in_words(columns: Sequence[int]) -> str:
    """Return "column 3" or "columns 1, 4 and 7", at most ten of them and how many more."""
    if len(columns) == 1:
        return f"column {columns[0]}"
    if len(columns) > MOST_NAMED:
        named = ", ".join(str(j) for j in columns[:MOST_NAMED])
        return f"columns {named} and {len(columns) - MOST_NAMED} more"
    named = ", ".join(str(j) for j in columns[:-1])
    return f"columns {named} and {columns[-1]}"
