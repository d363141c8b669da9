# SPDX-License-Identifier: BSD-3-Clause
"""How long a path of L1 penalties takes, and a cross-validation over ten values of C.

Run ``python -m benchmarks.paths`` from the checkout. As in ``benchmarks.peers`` each race is of
cold fits in turns. They are judged by the worst among the 100 fits of a path, or the 50 of a
cross-validation, each against the best that anyone reached for it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from .datasets import DATASETS
from .measure import duration
from .path_fits import CV, PATH, Series
from .peer_fits import Fitted, Task
from .peers_report import NOWHERE, heading, lines, record, told
from .race import Contest, Race

BUDGET = 60.0
RACES = {
    "path": (PATH, ("text", "genes", "correlated", "a9a")),
    "cv": (CV, ("cancer", "magic", "messages", "tall")),
}


class SeriesContest(Contest):
    """A contest of many fits at once: the objective is that of the worst, in units of its best."""

    def update(self) -> None:
        """Find the best of each fit again."""
        runs = [run for lane in self.lanes for run in lane.runs]
        if not runs:
            return
        best = np.min([run.parts for run in runs], axis=0)
        for lane in self.lanes:
            lane.runs = [
                replace(run, objective=float(np.max(run.parts / best))) for run in lane.runs
            ]
        self.best = 1.0


class SeriesRace(Race):
    """A race of those who do such a series."""

    sort = SeriesContest

    def __init__(self, series: Series, threads: int, budget: float) -> None:
        super().__init__(threads, budget, lambda line: print(line, flush=True))
        self.series, self.peers = series, series.peers

    def judge(self, task: Task, fitted: Fitted) -> tuple[float, tuple[float, ...]]:
        """Return the mean of J, and all J."""
        parts = self.series.judge(task, fitted)
        return float(np.mean(parts)), tuple(np.where(np.isfinite(parts), parts, np.inf).tolist())


def markdown(contests: list[Contest]) -> Iterator[str]:
    """Yield a table, a row a package."""
    for contest in contests:
        yield from (f"| {heading(contest)} | 1e-3 | 1e-6 | 1e-9 |", "|---|---:|---:|---:|")
        for lane in contest.lanes:
            cells, run = told(contest, lane), lane.nearest()
            if run and set(cells) == {NOWHERE}:
                cells[0] = f"off by {run.objective - 1:.0e} after {duration(run.seconds)}"
            yield f"| {lane.name} | " + " | ".join(cells) + " |"
        yield ""


def main(arguments: list[str] | None = None) -> None:
    """Race, and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paths", description=__doc__)
    parser.add_argument("sorts", nargs="*", metavar="SORT", help="path, cv; default: both")
    parser.add_argument("--on", nargs="+", choices=list(DATASETS), help="the data")
    parser.add_argument("--peers", nargs="+", help="default: all")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for each")
    parser.add_argument("--threads", type=int, default=2, help="2; with 1, CPU time counts")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder of real data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all runs to a file")
    parser.add_argument("--markdown", action="store_true", help="print tables for docs/peers.md")
    options = parser.parse_args(arguments)
    for sort in options.sorts:
        if sort not in RACES:
            parser.error(f"no race {sort!r}; there are {', '.join(RACES)}")
    for library in ("OMP", "OPENBLAS", "MKL"):  # the workers read these as they start
        os.environ[f"{library}_NUM_THREADS"] = str(options.threads)

    contests: list[Contest] = []
    versions: list[str] = []
    absent: dict[str, str] = {}
    for sort in options.sorts or RACES:
        series, names = RACES[sort]
        race = SeriesRace(series, options.threads, options.budget)
        peers = [name for name in options.peers or series.peers if name in series.peers]
        try:
            for name in options.on or names:
                try:
                    X, y = DATASETS[name].load(options.data)
                except (FileNotFoundError, ModuleNotFoundError) as error:
                    print(f"\n{name}: skipped, {error}")
                    continue
                contests.append(race.contest(name, X, y, series.penalty, peers))
                print("\n" + heading(contests[-1]))
                print("\n".join(list(lines(contests[-1]))[1:]), flush=True)
        finally:
            race.close()
        absent |= race.absent
        versions += [race.peers[name].version() for name in peers if name not in race.absent]
    about = (
        f"{options.threads} threads, at most {options.budget:g} s for each; "
        f"Python {platform.python_version()}, NumPy {np.__version__}, "
        f"{', '.join(dict.fromkeys(versions))}."
    )
    if options.markdown:
        print("\n".join([*markdown(contests), about]))
    if options.json:
        options.json.write_text(json.dumps(record(contests, absent, about), indent=1) + "\n")


if __name__ == "__main__":
    main()
