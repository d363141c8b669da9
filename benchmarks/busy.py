# SPDX-License-Identifier: BSD-3-Clause
"""What fits take on cores that are busy with something else: ``python -m benchmarks.busy``.

With all threads and with one, in turns: alone, beside a process that never rests, and beside one
that fits the same. Threads that wait for each other show as times far above those of
one thread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from logreg_c import fit, get_num_threads

from .datasets import DATASETS
from .measure import duration, race

SPIN = [sys.executable, "-c", "while True: pass"]


def fitting(name: str, data: Path | None) -> list[str]:
    """Return the command of a process that fits the same again and again."""
    folder = [] if data is None else ["--data", str(data)]
    return [sys.executable, "-m", "benchmarks.busy", name, *folder, "--forever"]


def main() -> None:
    """Print a line for each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["mail", "letters", "tall"])
    parser.add_argument("--data", type=Path, help="the folder of real data")
    parser.add_argument("--forever", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    print(f"{get_num_threads()} threads / 1 thread, medians")
    for name in arguments.names:
        X, y = DATASETS[name].load(arguments.data)
        solve = partial(fit, X, y, l2=1 / len(y))
        while arguments.forever:
            solve()
        cells = []
        for title, company in (
            ("alone", []),
            ("beside one that spins", [SPIN]),
            ("beside one that fits", [fitting(name, arguments.data)]),
        ):
            others = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in company]
            try:
                seconds = np.median(race(solve, partial(solve, n_threads=1), repeats=15), axis=0)
            finally:
                for other in others:
                    other.kill()
            cells.append(f"{title} " + " / ".join(duration(time) for time in seconds))
        print(f"{name}: " + ", ".join(cells), flush=True)


if __name__ == "__main__":
    main()
