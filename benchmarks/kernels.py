# SPDX-License-Identifier: BSD-3-Clause
"""How fast and how exact the kernels are: every figure that the README promises.

Run ``python -m benchmarks.kernels`` from the checkout; it takes about a minute. What competes is
timed in turns, and a ratio is the median over the turns, so that a busy moment spoils little.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import logreg_c
from logreg_c import _kernels
from logreg_c._compressed import Compressed

from .measure import Figure, duration, median_ratio, race, table_row
from .rivals import (
    Floats,
    extended_precision,
    numpy_gradient,
    numpy_loss_and_gradient,
    numpy_per_example,
    python_lists,
)
from .sparse_data import clicks, text

# n, d, and the shares of the read bandwidth hoped for: float64 by rows, by columns, and float32.
BANDWIDTH = [
    (500_000, 50, 0.80, 0.70, 0.60),
    (100_000, 500, 0.80, 0.70, 0.60),
    (20_000, 4_000, 0.80, 0.70, 0.60),
    (2_000_000, 10, 0.60, 0.60, 0.60),
]
LADDER = [(10, 3), (100, 3), (100, 30), (300, 30), (1_000, 20), (500, 100), (2_000, 20)]
LADDER += [(2_000, 50), (5_000, 30), (10_000, 30), (100, 5_000), (50_000, 20), (200_000, 20)]


def problem(n: int, d: int) -> tuple[Floats, Floats, Floats, float]:
    """Return X, y, w and b with z of about the size that a fitted model has."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = (rng.random(n) < 0.5).astype(np.float64)
    return X, y, rng.standard_normal(d) / np.sqrt(d), 0.1


def layout(order: str) -> str:
    """Name a layout by what lies together in memory."""
    return "rows" if order == "C" else "columns"


def shape(n: int, d: int) -> str:
    """Write a shape as people do."""
    return f"{n:,} x {d:,}"


def bandwidth(threads: int) -> Iterator[Figure]:
    """Compare a pass with a plain read of the same bytes of X (y is read on top)."""
    for n, d, by_rows, by_columns, single in BANDWIDTH:
        X, y, w, b = problem(n, d)
        for dtype, order in itertools.product((np.float64, np.float32), "CF"):
            array = np.asarray(X, dtype=dtype, order="C" if order == "C" else "F")
            seconds = race(
                partial(_kernels.kernels.sum_entries, array, threads),
                partial(logreg_c.loss_and_gradient, array, y, w, b),
                repeats=15,
            )
            target = single if dtype is np.float32 else by_rows if order == "C" else by_columns
            read, ours = array.nbytes / np.median(seconds, axis=0) / 1e9
            yield Figure(
                f"{shape(n, d)} {array.dtype.name}, {layout(order)}",
                median_ratio(seconds, 0, 1),
                "{:.0%}",
                target,
                note=f"{ours:.1f} of {read:.1f} GB/s",
            )


def rivals(_threads: int) -> Iterator[Figure]:
    """Compare a pass with the gradient of NumPy, which leaves out the loss, and with loops."""
    for n, d, target in ((500_000, 50, 5.0), (100_000, 500, 2.0), (2_000, 20, 8.0)):
        X, y, w, b = problem(n, d)
        ours = partial(logreg_c.loss_and_gradient, X, y, w, b)
        against = partial(numpy_gradient, X, y, w, b), partial(numpy_loss_and_gradient, X, y, w, b)
        seconds = race(*against, ours, rest=True)
        numpy_time, with_loss, our_time = np.median(seconds, axis=0)
        yield Figure(
            f"{shape(n, d)}: NumPy",
            median_ratio(seconds, 0, 2),
            "{:.1f} x",
            target,
            note=f"{duration(our_time)}, NumPy {duration(numpy_time)}",
            readme=f"{shape(n, d)}: speed-up over NumPy, the gradient alone",
        )
        yield Figure(
            f"{shape(n, d)}: NumPy with the loss",
            median_ratio(seconds, 1, 2),
            "{:.1f} x",
            note=f"{duration(our_time)}, NumPy {duration(with_loss)}",
            readme=f"{shape(n, d)}: speed-up over NumPy, loss and gradient",
        )
        if n == 500_000:
            yield from loops(X, y, w, b, our_time)


def loops(X: Floats, y: Floats, w: Floats, b: float, our_time: float) -> Iterator[Figure]:
    """Compare a pass with loops over the first rows, their time scaled up to all rows."""
    some, few = slice(20_000), slice(4_000)
    per_example = partial(numpy_per_example, X[some], y[some], w, b)
    lists = partial(python_lists, X[few].tolist(), y[few].tolist(), w.tolist(), b)
    for name, loop, rows, target in (
        ("a loop calling NumPy once an example", per_example, some.stop, 300.0),
        ("a loop over Python lists", lists, few.stop, 3000.0),
    ):
        seconds = float(np.median(race(loop, repeats=5))) * len(y) / rows
        yield Figure(
            f"{shape(*X.shape)}: {name}",
            seconds / our_time,
            "{:,.0f} x",
            target,
            note=f"{duration(our_time)}, the loop {duration(seconds)} (scaled from {rows:,} rows)",
            readme=f"{shape(*X.shape)}: speed-up over {name}",
        )


def small_calls(_threads: int) -> Iterator[Figure]:
    """Time the public function on ten examples, where only the call itself costs."""
    X, y, w, b = problem(10, 3)
    seconds = race(partial(logreg_c.loss_and_gradient, X, y, w, b), repeats=51)
    yield Figure(
        "10 x 3",
        float(np.median(seconds)) * 1e6,
        "{:.2f} us",
        3.0,
        at_most=True,
        readme="10 x 3: time of a call",
    )


def thread_ladder(threads: int) -> Iterator[Figure]:
    """Compare several threads with one, from tiny to large: they must never cost anything."""
    for order in "CF":
        worst, worst_shape, best = 0.0, "", 0.0
        for n, d in LADDER:
            X, y, w, b = problem(n, d)
            X = X if order == "C" else np.asfortranarray(X)
            calls = [
                partial(logreg_c.loss_and_gradient, X, y, w, b, n_threads=k) for k in (threads, 1)
            ]
            ratio = median_ratio(race(*calls, repeats=15), 0, 1)
            if ratio > 1.05:  # or was it the machine? A longer look decides.
                ratio = median_ratio(race(*calls, repeats=101), 0, 1)
            best = max(best, 1 / ratio)
            if ratio > worst:
                worst, worst_shape = ratio, shape(n, d)
        yield Figure(
            f"{threads} threads / 1, the worst of {len(LADDER)} shapes, {layout(order)}",
            worst,
            "{:.2f}",
            1.05,
            at_most=True,
            note=f"at {worst_shape}; at best {best:.2f} times as fast",
            readme=f"time with {threads} threads over time with 1, worst of "
            f"{len(LADDER)} shapes, {layout(order)}",
        )


def exactness(_threads: int) -> Iterator[Figure]:
    """Compare bits between thread counts, and numbers with extended precision."""
    shapes = [(1, 1), (257, 1), (10_007, 3), (4_001, 31), (20_000, 50), (3_000, 500), (50, 5_000)]
    calls, different, errors = 0, 0, {"float64": 0.0, "float32": 0.0}
    for (n, d), dtype, order in itertools.product(shapes, (np.float64, np.float32), "CF"):
        X, y, w, b = problem(n, d)
        array = np.asarray(X, dtype=dtype, order="C" if order == "C" else "F")
        results = [bits(array, y, w, b, k) for k in (1, 2, 3, 8)]
        calls += len(results)
        different += sum(result != results[0] for result in results)
        truth, sizes = extended_precision(array, y, w, b)
        error = np.max(np.abs(np.frombuffer(results[0]) - truth) / sizes)
        errors[array.dtype.name] = max(errors[array.dtype.name], float(error))
    note = f"of {calls} calls with 1, 2, 3 and 8 threads"
    yield Figure(
        "results with other bits",
        different,
        "{:.0f}",
        0,
        at_most=True,
        note=note,
        readme="results whose bits depend on the number of threads",
    )
    for name, error in errors.items():
        note = "of the mean size of the terms, against long double"
        label = f"largest error, {name}"
        yield Figure(label, error, "{:.1e}", 1e-14, at_most=True, note=note, readme=label)
    yield Figure(
        "results not finite at z of +-1e308",
        sum(not finite_at(np.array(y)) for y in itertools.product((0.0, 1.0), repeat=2)),
        "{:.0f}",
        0,
        at_most=True,
        note="of 4 pairs of labels",
    )


def bits(X: NDArray[Any], y: Floats, w: Floats, b: float, threads: int) -> bytes:
    """Return loss, dw and db as the bytes they are."""
    loss, dw, db = logreg_c.loss_and_gradient(X, y, w, b)
    return np.array([loss, *dw, db]).tobytes()


def finite_at(y: Floats) -> bool:
    """Whether loss and gradient are finite for z of 1e308 and -1e308 and the labels y."""
    try:
        found = logreg_c.loss_and_gradient(np.array([[1.0], [-1.0]]), y, np.array([1e308]))
    except OverflowError:
        return False
    return bool(np.isfinite([found.loss, *found.dw, found.db]).all())


def sparse(threads: int) -> Iterator[Figure]:
    """Compare a pass over compressed rows with the two products of SciPy, which has no threads."""
    for name, make, target in (
        ("text", text, 1.0),
        ("one-hot", clicks, 1.0),
        ("one-hot, the ones not read", clicks, 0.75),
    ):
        X, y = make()
        rows = X
        if "not read" in name:  # as `fit` does when it has seen that all are 1
            rows = Compressed(X.indptr, X.indices, None, X.shape, by_rows=True, sound=True)
        w, labels = np.random.default_rng(0).standard_normal(X.shape[1]), y.astype(np.float64)
        dz = 0.5 - labels
        seconds = race(
            partial(products, X, w, dz),
            partial(numpy_gradient, X, labels, w, 0.0),
            partial(logreg_c.loss_and_gradient, rows, labels, w),
            repeats=7,
        )
        scipy_time, gradient_time, our_time = np.median(seconds, axis=0)
        yield Figure(
            f"{shape(*X.shape)}, {name}: SciPy's X @ w and X.T @ dz",
            median_ratio(seconds, 0, 2),
            "{:.1f} x",
            3.0,
            note=f"{duration(our_time)}, SciPy {duration(scipy_time)}, "
            f"with dz {duration(gradient_time)}",
            readme=f"{shape(*X.shape)}, {name}: speed-up over SciPy's two products",
        )
        yield Figure(
            f"{shape(*X.shape)}, {name}: an entry",
            float(our_time) / X.nnz * 1e9,
            "{:.2f} ns",
            target,
            at_most=True,
            readme=f"{shape(*X.shape)}, {name}: time of an entry with {threads} threads",
        )


def products(X: Any, w: Floats, dz: Floats) -> tuple[Floats, Floats]:
    """Return both products with X."""
    return X @ w, X.T @ dz


SECTIONS: dict[str, tuple[str, Callable[[int], Iterator[Figure]]]] = {
    "bandwidth": ("Share of the speed of a plain read of X", bandwidth),
    "rivals": ("How many times as fast as ...", rivals),
    "small": ("Time of a call on next to nothing", small_calls),
    "threads": ("Time with several threads over time with one", thread_ladder),
    "sparse": ("Sparse data", sparse),
    "exact": ("Exactness", exactness),
}


def markdown(found: dict[str, list[Figure]]) -> str:
    """Return the README's tables."""
    lines = []
    shares = found.get("bandwidth", [])
    if shares:
        lines += [
            "| X | float64, rows | float64, columns | float32, rows | float32, columns |",
            "|---|---:|---:|---:|---:|",
        ]
    for k in range(0, len(shares), 4):
        cells = [f"{figure.measured} ({figure.note})" for figure in shares[k : k + 4]]
        lines.append(" | ".join([f"| {shares[k].name.partition(' float')[0]}", *cells]) + " |")
    lines += ["", "| what | measured | |", "|---|---:|---|"]
    for figure in itertools.chain(*found.values()):
        if figure.readme:
            lines.append(f"| {figure.readme} | {figure.measured} | {figure.note} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print a line a figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    default = logreg_c.get_num_threads()
    parser.add_argument("--threads", type=int, default=default, help=f"default here: {default}")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--markdown", action="store_true", help="print the README's tables")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    logreg_c.set_num_threads(options.threads)
    # NumPy's way of writing the loss warns of the overflow that it does not avoid.
    warnings.simplefilter("ignore", RuntimeWarning)

    if not options.markdown:
        logreg_c.show_config()
        print(f"{options.threads} threads used, NumPy {np.__version__}")
    found: dict[str, list[Figure]] = {}
    for section in options.only:
        title, measure = SECTIONS[section]
        if not options.markdown:
            print(f"\n{title}")
        found[section] = []
        for figure in measure(options.threads):
            found[section].append(figure)
            if not options.markdown:
                print(table_row(figure), flush=True)
    if options.markdown:
        print(markdown(found))
    short = sum(not figure.ok for figures in found.values() for figure in figures)
    print(f"\n{short} short of the target" if short else "\nall targets met", file=sys.stderr)
    if options.json:
        record = {
            "isa": _kernels.isa,
            "threads": options.threads,
            "numpy": np.__version__,
            "figures": {
                section: [{**asdict(figure), "ok": figure.ok} for figure in figures]
                for section, figures in found.items()
            },
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
