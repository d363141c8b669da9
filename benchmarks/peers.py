# SPDX-License-Identifier: BSD-3-Clause
"""How long logreg_c and its peers take to come near to the optimum.

Run ``python -m benchmarks.peers`` from the checkout: a quick choice of data in a few minutes.
``--all`` takes hours. For each data set and penalty it prints the time of a cold fit to a relative
suboptimality of 1e-3, 1e-6 and 1e-9 against the best objective that anyone reached; "—" is not
reached. Needs ``pip install -e ".[bench]"``, and PyTorch if it is to take part; what is not
installed is left out, and told.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
from pathlib import Path

import numpy as np

from .datasets import DATASETS, QUICK, by_C, by_part
from .peer_fits import PEERS
from .peers_report import lines, markdown, picture, record
from .race import Contest, Race

# For each peer on each data set, in seconds.
BUDGET, QUICK_BUDGET = 30.0, 6.0


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(DATASETS)}")
    parser.add_argument("--all", action="store_true", help="all data at all their penalties")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--C", nargs="+", type=float, default=[], help="penalties of L2: 1/(l2 n)")
    parser.add_argument(
        "--l1",
        nargs="+",
        type=float,
        default=[],
        metavar="PART",
        help="penalties of L1: how many times less than what makes all weights zero",
    )
    parser.add_argument(
        "--budget",
        type=float,
        help="seconds for each peer on each problem, and half of it again to refine; "
        f"default: {BUDGET:g}, of the quick choice {QUICK_BUDGET:g}",
    )
    parser.add_argument("--threads", type=int, default=2, help="2; with 1, CPU time counts")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder of real data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all runs to a file")
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="count best objectives of an earlier --json"
    )
    parser.add_argument("--markdown", action="store_true", help="print tables for docs/peers.md")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw a panel a problem")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in DATASETS:
            parser.error(f"no data set {name!r}; there are {', '.join(DATASETS)}")
    quick = not (options.names or options.all)
    options.budget = options.budget or (QUICK_BUDGET if quick else BUDGET)
    options.penalties = by_C(*options.C) + by_part(*options.l1)
    options.names = list(DATASETS) if options.all else options.names or QUICK
    return options


def main(arguments: list[str] | None = None) -> None:
    """Race, and tell."""
    options = options_of(arguments)
    # The workers read these as they start.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(options.threads)
    known: dict[str, tuple[float, bool]] = {}
    if options.against:
        earlier = json.loads(options.against.read_text())["contests"]
        known = {key: (contest["best"], contest["settled"]) for key, contest in earlier.items()}

    def say(line: str) -> None:
        print(line, file=sys.stderr if options.markdown else sys.stdout, flush=True)

    race = Race(options.threads, options.budget, say)
    contests: list[Contest] = []
    try:
        for name in options.names:
            dataset = DATASETS[name]
            try:
                X, y = dataset.load(options.data)
            except (FileNotFoundError, ModuleNotFoundError) as error:
                say(f"\n{name}: skipped, {error}")
                continue
            standard = dataset.penalties if options.all else by_C(1)
            for penalty in options.penalties or standard:
                contest = race.contest(
                    name,
                    X,
                    y,
                    penalty,
                    [
                        peer
                        for peer in options.peers
                        if takes_part(peer, dataset.small, dataset.own)
                    ],
                    known.get(f"{name} {penalty}", (math.inf, False)),
                    dataset.memory,
                )
                contests.append(contest)
                for line in lines(contest):
                    say(line)
    finally:
        race.close()

    # Who had nothing to race on was not asked whether it is installed.
    entered = {lane.name for contest in contests for lane in contest.lanes}
    raced = [peer for peer in options.peers if peer in entered and peer not in race.absent]
    versions = ", ".join(dict.fromkeys(PEERS[peer].version() for peer in raced))
    versions = (
        f"{options.threads} threads, at most {options.budget:g} s for each peer on each problem; "
        f"Python {platform.python_version()}, NumPy {np.__version__}, {versions}."
    )
    if options.markdown:
        print(markdown(contests, race.absent, versions))
    if options.json:
        found = record(contests, race.absent, versions)
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.picture and contests:
        picture(contests, options.picture)
    wrong = [line for contest in contests for line in contest.false_certificates()]
    if wrong:
        sys.exit("\n".join(wrong))


def takes_part(peer: str, small: bool, own: bool) -> bool:
    """Whether a peer races on data that are small, or for our own eyes."""
    if peer == "logreg_c estimator":
        return small
    return not own or PEERS[peer].package == "logreg_c"


if __name__ == "__main__":
    main()
