# SPDX-License-Identifier: BSD-3-Clause
"""What the race of the peers says: lines for the terminal, Markdown, JSON and a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .measure import duration
from .race import EPSILONS, Contest, Lane

# Of X that fits into caches, the time to read it once says nothing of memory.
CACHED_BYTES = 64e6
# More than this of the processor to other programs spoils the times.
BUSY = 0.1
NOWHERE = "—"
MARKS = {
    "†": "J* may not be the optimum: nobody proved or confirmed it. Times with a ? are to this J*.",
    "‡": "Other programs were busy meanwhile: the times are too long.",
}


def told(contest: Contest, lane: Lane) -> list[str]:
    """Write the times of a lane; that it did *not* get there is certain whatever J* is."""
    doubt = "" if contest.settled() else "?"
    times = contest.times(lane)
    return [NOWHERE if seconds is None else duration(seconds) + doubt for seconds in times]


def heading(contest: Contest) -> str:
    """Name the data and the penalty."""
    n, d = contest.shape
    classes = f", {contest.classes} classes" if contest.classes > 2 else ""
    return f"{contest.name}, {n:,} x {d:,}{classes}, {contest.penalty}"


def lines(contest: Contest) -> Iterator[str]:
    """Yield what the terminal shows of a contest."""
    yield f"\n{heading(contest)}: J*={contest.best:.12g}"
    if not contest.settled():
        yield "  nobody proved or confirmed this J*: times with a ? are to it, not to the optimum"
    if contest.others() > BUSY:
        yield f"  other programs had {contest.others():.0%} of the processor: times are too long"
    yield f"  {'':<26}" + "".join(f"{eps:>10.0e}" for eps in EPSILONS) + f"{'missed by':>11}"
    for lane in contest.lanes:
        cells = "".join(f"{time:>10}" for time in told(contest, lane))
        run = lane.nearest()
        gap = f"{max(run.objective / contest.best - 1, 0):.0e}" if run else NOWHERE
        after = f" after {duration(run.seconds)}" if run else ""
        memory = lane.memory()
        note = f", {memory / 1e6:,.0f} MB beyond X" if memory and contest.measured_memory else ""
        yield f"  {lane.name:<26}{cells}{gap:>11}{after:<14}  {lane.end}{note}"
    for eps, _ in contest.certified():
        yield f"  logreg_c at tol={eps:.0e}: " + ", ".join(certified_cells(contest, eps))


def certified_cells(contest: Contest, eps: float) -> list[str]:
    """Return time, passes and sweeps, certified and true gap of our fit, in parts of J*."""
    for tol, run in contest.certified():
        if tol == eps:
            verdict = "" if run.told.get("converged") else " (not certified)"
            sweeps = NOWHERE
            if run.read and (contest.entries or contest.size > CACHED_BYTES):
                sweeps = f"{run.seconds / run.read:.3g}"
                if contest.entries:
                    sweeps += f" (of {run.read / contest.entries * 1e9:.2f} ns an entry)"
            cells = [duration(run.seconds) + verdict]
            if "n_passes" in run.told:
                cells.append(f"{run.told['n_passes']:.4g} passes")
            cells.append(f"{sweeps} sweeps")
            if "gap" in run.told:
                cells.append(f"gap {run.told['gap'] / contest.best:.0e}")
            return [*cells, f"true {max(run.objective / contest.best - 1, 0):.0e}"]
    return []


def cell(contest: Contest, lane: Lane) -> str:
    """Return the times of a lane as one cell of a table."""
    times = told(contest, lane)
    return NOWHERE if set(times) == {NOWHERE} else " / ".join(times)


def marks(contest: Contest) -> str:
    """Return the footnote marks of a contest."""
    alone, crowded = MARKS
    return alone * (not contest.settled()) + crowded * (contest.others() > BUSY)


def markdown(contests: list[Contest], absent: dict[str, str], versions: str) -> str:
    """Return the tables of the documentation: a table a penalty, a row a data set."""
    out = []
    for penalty in dict.fromkeys(contest.penalty for contest in contests):
        chosen = [contest for contest in contests if contest.penalty == penalty]
        names = list(dict.fromkeys(lane.name for contest in chosen for lane in contest.lanes))
        names = [name for name in names if name not in absent]
        out += [f"{penalty}:", "", "| data | " + " | ".join(names) + " |"]
        out.append("|---|" + "---:|" * len(names))
        for contest in chosen:
            by_name = {lane.name: cell(contest, lane) for lane in contest.lanes}
            cells = " | ".join(by_name.get(name, "") for name in names)
            out.append(f"| {heading(contest).rpartition(', ')[0]}{marks(contest)} | {cells} |")
        out.append("")
    marked = "".join(marks(contest) for contest in contests)
    for mark, meaning in MARKS.items():
        out += [f"{mark} {meaning}", ""] * (mark in marked)
    certified = [contest for contest in contests if list(contest.certified())]
    if certified:
        out += ["| logreg_c, certified | " + " | ".join(f"tol={eps:g}" for eps in EPSILONS) + " |"]
        out.append("|---|" + "---|" * len(EPSILONS))
        for contest in certified:
            cells = " | ".join(", ".join(certified_cells(contest, eps)) for eps in EPSILONS)
            out.append(f"| {heading(contest)} | {cells} |")
        out.append("")
    out += [*memory_table(contests), versions]
    out += [f"Not raced: {name}, {why}." for name, why in absent.items()]
    return "\n".join(out)


def memory_table(contests: list[Contest]) -> Iterator[str]:
    """Yield the table of the peak memory beyond X, if any was measured."""
    measured = [contest for contest in contests if contest.measured_memory]
    if not measured:
        return
    yield from ("| peak memory beyond X, as a share of X | |", "|---|---|")
    for contest in measured:
        shares = [
            f"{lane.name} {memory / contest.size:.0%}"
            for lane in contest.lanes
            if (memory := lane.memory()) is not None
        ]
        yield f"| {heading(contest)} | {', '.join(shares)} |"
    yield ""


def record(contests: list[Contest], absent: dict[str, str], versions: str) -> dict[str, Any]:
    """Return everything, for JSON."""
    found = {}
    for contest in contests:
        lanes = {
            lane.name: {
                "times": contest.times(lane),
                "end": lane.end,
                "memory": lane.memory(),
                "runs": [asdict(run) for run in lane.runs],
            }
            for lane in contest.lanes
        }
        found[contest.key] = {
            "shape": contest.shape,
            "classes": contest.classes,
            "best": contest.best,
            "settled": contest.settled(),
            "others": contest.others(),
            "peers": lanes,
        }
    return {"versions": versions, "absent": absent, "contests": found}


def picture(contests: list[Contest], file: Path) -> None:
    """Draw time against suboptimality, a panel a contest."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    # Text stays text, and nothing random or dated goes in: small, and the same for the same data.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "peers", "font.size": 7})
    columns = min(4, len(contests))
    rows = math.ceil(len(contests) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.6 * columns, 2.1 * rows + 0.5), squeeze=False, sharey=True
    )
    names = list(dict.fromkeys(lane.name for contest in contests for lane in contest.lanes))
    drawn = {}
    for axis, contest in zip(axes.flat, contests, strict=False):
        decades = []
        for lane in contest.lanes:
            points = frontier(contest, lane)
            if points:
                decades += [math.log10(seconds) for seconds, _ in points]
                style = {"color": f"C{names.index(lane.name) % 10}", "lw": 1.0, "ms": 2.5}
                if lane.name.startswith("logreg_c"):
                    style |= {"color": "black", "lw": 1.8}
                (drawn[lane.name],) = axis.plot(*zip(*points, strict=True), "o-", **style)
        axis.set(xscale="log", yscale="log", ylim=(3e-13, 3), yticks=[1, *EPSILONS, 1e-12])
        if decades:  # whole ones: the axis names nothing in between
            axis.set_xlim(10.0 ** math.floor(min(decades)), 10.0 ** math.ceil(max(decades)))
        axis.minorticks_off()
        axis.set_title(heading(contest) + marks(contest), fontsize=6.5)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(contests) :]:
        axis.set_visible(False)
    figure.supylabel("J / J* − 1")
    figure.supxlabel("seconds of a cold fit")
    figure.legend(drawn.values(), drawn.keys(), loc="upper center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / figure.get_figheight()))
    figure.savefig(file, metadata={"Date": None})


def frontier(contest: Contest, lane: Lane) -> list[tuple[float, float]]:
    """Return (time, suboptimality) of the runs that no quicker run was as near as."""
    points: list[tuple[float, float]] = []
    for run in sorted(lane.runs, key=lambda run: run.seconds):
        # Below 1e-12 it is rounding, and 0 has no place on a logarithmic axis.
        gap = max(run.objective / contest.best - 1, 1e-12)
        if gap < EPSILONS[-1] and not contest.settled():
            continue  # J* itself, which would look like the optimum
        if math.isfinite(gap) and (not points or gap < points[-1][1]):
            points.append((run.seconds, gap))
    return points
