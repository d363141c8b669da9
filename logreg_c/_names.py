# SPDX-License-Identifier: BSD-3-Clause
"""Columns and classes in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

MOST_NAMED = 10


class Names(NamedTuple):
    """What columns and classes are called, None where that is their numbers.

    Attributes
    ----------
    columns : sequence of str or None
        The names of the columns.
    classes : sequence or None
        The labels of the classes.
    """

    columns: Sequence[str] | None = None
    classes: Sequence[Any] | None = None

    @staticmethod
    def of_frame(X: Any) -> Names:
        """Return the names of a frame's columns, if it has names and all are strings."""
        names = getattr(X, "columns", None)
        if names is None or isinstance(names, str) or callable(names):
            return Names()
        listed = list(names)
        return Names(listed if all(isinstance(name, str) for name in listed) else None)

    def of_columns(self, columns: Sequence[int]) -> str:
        """Return "column 3" or "columns 1, 4 and 7", at most ten of them and how many more."""
        words = [self._of_column(j) for j in columns[:MOST_NAMED]]
        if len(columns) == 1:
            return f"column {words[0]}"
        if len(columns) > MOST_NAMED:
            return f"columns {', '.join(words)} and {len(columns) - MOST_NAMED} more"
        return f"columns {', '.join(words[:-1])} and {words[-1]}"

    def of_sum(self, columns: Sequence[int], weights: Sequence[float]) -> str:
        """Return "1 · column 3 - 0.5 · column 7", at most ten terms and how many more."""
        text = ""
        for j, weight in list(zip(columns, weights, strict=True))[:MOST_NAMED]:
            sign = "-" if weight < 0.0 else "+" if text else ""
            text += f" {sign} {abs(weight):.3g} · column {self._of_column(j)}"
        more = len(columns) - MOST_NAMED
        return " ".join(text.split()) + (f" and {more} more" if more > 0 else "")

    def of_class(self, k: int) -> str:
        """Return "class 2" or "class 'red'"."""
        return f"class {k if self.classes is None else repr(self.classes[k])}"

    def _of_column(self, j: int) -> str:
        return str(j) if self.columns is None else repr(self.columns[j])
