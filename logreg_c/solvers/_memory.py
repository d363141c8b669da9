# SPDX-License-Identifier: BSD-3-Clause
"""The memory of L-BFGS: the last steps and what the gradient changed along them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .._objective import inner
from .._validation import Floats

Apply = Callable[[Floats], Floats]


class Memory:
    """Pairs (s, y) and the two-loop recursion (Nocedal 1980) that applies their inverse Hessian."""

    def __init__(self, most: int, before: Memory | None = None) -> None:
        kept = () if before is None else before._pairs
        self._pairs: deque[tuple[Floats, Floats, float]] = deque(kept, maxlen=most)

    def add(self, s: Floats, y: Floats) -> None:
        """Keep a pair if its curvature is positive beyond rounding."""
        sy = inner(s, y)
        if sy > 1e-12 * inner(y, y) ** 0.5 * inner(s, s) ** 0.5:
            self._pairs.append((s, y, sy))

    def clear(self) -> None:
        """Forget all pairs."""
        self._pairs.clear()

    def apply(self, g: Floats, initial: Apply) -> Floats:
        """Return the inverse Hessian times g, starting from `initial`."""
        q = g.copy()
        parts = []
        for s, y, sy in reversed(self._pairs):
            part = inner(s, q) / sy
            q -= part * y
            parts.append(part)
        q = initial(q)
        for (s, y, sy), part in zip(self._pairs, reversed(parts), strict=True):
            q += (part - inner(y, q) / sy) * s
        return q

    def scaling(self, initial: Apply) -> float:
        """Return what makes an initial matrix as large as the last pair says it is."""
        if not self._pairs:
            return 1.0
        _, y, sy = self._pairs[-1]
        return sy / inner(y, initial(y))
