# SPDX-License-Identifier: BSD-3-Clause
"""A progress bar, or nothing."""

from __future__ import annotations

from typing import Any

from ._validation import as_flag


class Bar:
    """A tqdm bar if it is to be shown.

    Raises
    ------
    ImportError
        If it is to be shown and tqdm is not installed.
    TypeError
        If it is not said whether it is to be shown.
    """

    def __init__(self, title: str, unit: str, total: int | None, shown: bool) -> None:
        self._bar: Any = None
        if as_flag(shown, "progress"):
            try:
                from tqdm.auto import tqdm
            except ImportError:
                raise ImportError("progress=True needs tqdm: python -m pip install tqdm") from None
            self._bar = tqdm(total=total, desc=title, unit=unit)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, steps: int) -> None:
        """Move the bar on."""
        if self._bar is not None:
            self._bar.update(steps)
