# SPDX-License-Identifier: BSD-3-Clause
"""A sparse X looked at once for a fit: by rows, sound, in order, and what its columns are like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _kernels
from ._compressed import Compressed
from ._validation import Floats, Indices, require_finite_examples

# Rows that tell whether one-hot fields are worth looking for in all.
FEW = 512
# Fields that are used: a matrix of them all is factored.
MOST_FIELDS = 1000
# What the entries of a column may differ by, relative to their size, to be called equal.
EQUAL = 1e-12


class Tally(NamedTuple):
    """Which rows have an entry in each column, by sums that no two sets of rows are to share.

    Attributes
    ----------
    sums, counts : ndarray of shape (d,)
        Of each column's rows, the sum of a number each has, and how many they are.
    total : float
        The sum of all rows' numbers.
    """

    sums: Floats
    counts: Floats
    total: float


class Examined(NamedTuple):
    """What `examined` returns.

    Attributes
    ----------
    X : Compressed
        By rows, sound, each row's entries in order and none twice; `data` is None if all are 1.
    extreme : bool
        Whether some entries are so large or small that columns had better be scaled.
    squares : float or None
        The sum of their squares, if no entries came twice.
    tally : Tally or None
        Of the columns, if it was wanted, X is as it came, and its first rows may have fields.
    """

    X: Compressed
    extreme: bool
    squares: float | None
    tally: Tally | None


class Fields(NamedTuple):
    """One-hot fields: contiguous columns of which every row has an entry in exactly one.

    All entries of a column are the same, so that a combination of the columns is 1 in every row.

    Attributes
    ----------
    first, last : ndarray of shape (q,)
        Field f is the columns first[f] to last[f] - 1.
    combination : ndarray of shape (d,)
        1 / the entry of each column in a field, 0 elsewhere.
    """

    first: Indices
    last: Indices
    combination: Floats


def transposed(X: Compressed, threads: int) -> Compressed:
    """Return the same matrix by its other lines: its rows by columns, or the other way round.

    Entries of a line come in their order, copied once. X must be sound.
    """
    lines = X if X.by_rows else X.T
    entries = int(X.indptr[-1])
    starts = np.empty(lines.shape[1] + 1, dtype=np.int64)
    places = np.empty(entries, dtype=np.int32)
    values = None if X.data is None else np.empty(entries, dtype=X.data.dtype)
    _kernels.kernels.transpose(lines, starts, places, values, threads)
    return Compressed(narrowed(starts), places, values, X.shape, not X.by_rows, True)


def selected(X: Compressed, columns: Indices, threads: int) -> Compressed:
    """Copy some columns, which rise, of a sound X by rows."""
    n, d = X.shape
    place = places_among(columns, d)
    starts = np.zeros(n + 1, dtype=np.int64)
    _kernels.kernels.count_selected(X, place, starts[1:], threads)
    np.cumsum(starts, out=starts)
    places = np.empty(starts[-1], dtype=np.int32)
    values = None if X.data is None else np.empty(starts[-1], dtype=X.data.dtype)
    _kernels.kernels.select_columns(X, place, starts, places, values, threads)
    return Compressed(narrowed(starts), places, values, (n, len(columns)), True, True)


def places_among(columns: Indices, d: int) -> NDArray[np.int32]:
    """Return where each of d columns stands among some of them, -1 if it does not."""
    place = np.full(d, -1, dtype=np.int32)
    place[columns] = np.arange(len(columns), dtype=np.int32)
    return place


def narrowed(starts: NDArray[np.int64]) -> NDArray[Any]:
    """Return where lines start as int32, if that does."""
    return starts.astype(np.int32) if starts[-1] <= np.iinfo(np.int32).max else starts


def without_repeats(X: Compressed) -> Compressed:
    """Return X with entries of the same place added up; its lines are in order."""
    lengths = np.diff(X.indptr)
    line = np.repeat(np.arange(len(lengths)), lengths)
    first = np.ones(len(line), dtype=bool)
    first[1:] = (X.indices[1:] != X.indices[:-1]) | (line[1:] != line[:-1])
    if first.all():
        return X
    starts = np.flatnonzero(first)
    data = np.ones(len(line)) if X.data is None else X.data.astype(np.float64)
    sums = np.add.reduceat(data, starts)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(line[starts], minlength=len(lengths)))))
    return Compressed(
        indptr.astype(X.indptr.dtype), X.indices[starts], sums, X.shape, X.by_rows, True
    )


def examined(X: Compressed, threads: int, tallied: bool = False) -> Examined:
    """Look at every entry once; copy X only if it is by columns, or not in order.

    And tell columns apart by their rows, if wanted and worth it. Raises ValueError if an index is
    out of range or an entry is not a finite number.
    """
    lines, tally = X if X.by_rows else X.T, None
    if tallied and X.by_rows and _may_have_fields(X, threads):
        found, tally = _inspected_and_tallied(X, threads)
    else:
        found = _Inspected(*_kernels.kernels.inspect(lines, threads))
    if found.not_finite:
        require_finite_examples(X)
    places, values = X.indices, X.data if found.not_one else None
    if len(places) > X.entries:
        # Behind the end of the last line SciPy's matrices may have spare entries.
        places, values = places[: X.entries], None if values is None else values[: X.entries]
    X = Compressed(X.indptr, places, values, X.shape, X.by_rows, True)
    if found.falls and X.by_rows:
        X = transposed(X, threads)
    if not X.by_rows:
        X = transposed(X, threads)
    once = without_repeats(X) if found.falls else X
    squares = found.squares if once is X else None
    return Examined(once, bool(found.extreme), squares, None if found.falls else tally)


class _Inspected(NamedTuple):
    """What the kernel returns of all entries."""

    falls: float
    not_finite: float
    not_one: float
    extreme: float
    squares: float
    total: float


def _inspected_and_tallied(X: Compressed, threads: int) -> tuple[_Inspected, Tally]:
    columns = np.empty((X.shape[1], 2))
    found = _Inspected(*_kernels.kernels.inspect(X, threads, columns))
    return found, Tally(columns[:, 0], columns[:, 1], found.total)


def _may_have_fields(X: Compressed, threads: int) -> bool:
    """Whether some first rows have one-hot fields: what is none there is none."""
    rows = min(X.shape[0], FEW)
    some = Compressed(X.indptr[: rows + 1], X.indices, X.data, (rows, X.shape[1]), True, X.sound)
    return len(_blocks(_inspected_and_tallied(some, threads)[1])) > 0


def scattered(X: Compressed, R: Floats, threads: int, squared: bool = False) -> Floats:
    """Return R [X, 1] of an X by rows, with the squares of its entries if wanted."""
    out = np.empty((len(R), X.shape[1] + 1))
    _kernels.kernels.class_transpose_product(X, R, out, threads, squared)
    return out


def one_hot_fields(
    X: Compressed,
    tally: Tally | None,
    threads: int,
    read: Callable[[int], None] = lambda rows: None,
) -> Fields | None:
    """Return the one-hot fields of an examined X, None if there are none.

    `tally` is what `examined` found, if it did; `read` is told of each scatter of so many rows.

    Every row has a random number. Columns whose rows' numbers add up to those of all rows, and
    which have an entry for each row between them, are a field but for chances that do not occur.
    """
    n, d = X.shape
    if tally is None:
        if not _may_have_fields(X, threads):
            return None
        read(n)
        tally = _inspected_and_tallied(X, threads)[1]
    blocks = _blocks(tally)
    if not len(blocks):
        return None
    inside = np.zeros(d + 1)
    np.add.at(inside, blocks[:, 0], 1.0)
    np.add.at(inside, blocks[:, 1], -1.0)
    combination = np.cumsum(inside)[:d]
    if X.data is not None:
        read(2 * n)
        ones = np.ones((1, n))
        total = scattered(X, ones, threads)[0, :d]
        squares = scattered(X, ones, threads, squared=True)[0, :d]
        count = tally.counts
        equal = (total != 0.0) & (count * squares - total * total <= EQUAL * total * total)
        other = np.concatenate(([0], np.cumsum((count > 0.0) & ~equal)))
        blocks = blocks[other[blocks[:, 1]] == other[blocks[:, 0]]]
        if not len(blocks):
            return None
        usable = equal & (combination > 0.0)
        combination = np.divide(count, total, out=np.zeros(d), where=usable)
    return Fields(blocks[:MOST_FIELDS, 0], blocks[:MOST_FIELDS, 1], combination)


def _blocks(tally: Tally) -> Indices:
    """Return where blocks of columns begin and end, (q, 2), that may be fields."""
    used = np.flatnonzero(tally.counts)
    m = len(used)
    before = np.zeros(m + 1, dtype=np.int64)
    np.cumsum(tally.sums[used].astype(np.int64), out=before[1:])
    wanted = before + np.int64(tally.total)
    end = np.searchsorted(before, wanted)
    blocks: list[tuple[int, int]] = []
    for k in np.flatnonzero((end <= m) & (before[np.minimum(end, m)] == wanted)):
        if not blocks or used[k] >= blocks[-1][1]:
            blocks.append((int(used[k]), int(used[end[k] - 1]) + 1))
    return np.array(blocks, dtype=np.intp).reshape(-1, 2)
