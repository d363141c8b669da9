# SPDX-License-Identifier: BSD-3-Clause
"""How long each peer takes to come near to the best objective that anyone reaches.

All climb their ladders in turns, a rung a turn, each rung a cold fit. The time to a relative
suboptimality is that of the quickest fit that came as near: J <= (1 + eps) J*.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .datasets import Penalty
from .measure import REST_SECONDS
from .peer_fits import PEERS, Fitted, Peer, Task
from .worker import Gone, Worker

EPSILONS = (1e-3, 1e-6, 1e-9)
# Rungs between two that are nearer than this would tell nothing new.
NEAR = 1.2
# A rung that gains less than this on the last one ends the ladder: it is at rounding, or stuck.
STUCK = 1e-13
# The ends of ladders that more time would not have changed.
BY_ITSELF, NO_PROGRESS, LAST_RUNG = "stopped by itself", "no more progress", "end of the ladder"
ENDS = (BY_ITSELF, NO_PROGRESS, LAST_RUNG)


@dataclass(frozen=True)
class Run:
    """One rung: effort, time, what it reached, and what the fit told of itself."""

    effort: float
    seconds: float
    objective: float
    memory: int | None = None
    read: float | None = None
    others: float | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    # Where a fit is a series of fits, the objective of each.
    parts: tuple[float, ...] = ()


@dataclass
class Lane:
    """The runs of one peer, and why they ended."""

    name: str
    runs: list[Run] = field(default_factory=list)
    end: str = ""
    spent: float = 0.0

    def time_to(self, goal: float) -> float | None:
        """Return the time of the quickest run with an objective of at most that."""
        return min((run.seconds for run in self.runs if run.objective <= goal), default=None)

    def nearest(self) -> Run | None:
        """Return the best run, if one came to anything."""
        run = min(self.runs, key=lambda run: run.objective, default=None)
        return run if run and math.isfinite(run.objective) else None

    def between(self, goal: float) -> float | None:
        """Return a limit between the least that reaches the goal and the next one below."""
        enough = min((run.effort for run in self.runs if run.objective <= goal), default=None)
        if enough is None:
            return None
        below = max((run.effort for run in self.runs if run.effort < enough), default=enough)
        middle = round(math.sqrt(below * enough))
        return middle if below * NEAR < enough and below < middle < enough else None

    def memory(self) -> int | None:
        """Return the most memory beyond X that a run took."""
        return max((run.memory for run in self.runs if run.memory is not None), default=None)


@dataclass
class Contest:
    """One data set at one penalty: the lanes, and J*, the best objective known."""

    name: str
    penalty: Penalty
    shape: tuple[int, int]
    classes: int
    size: int
    # How many entries a sparse X has; None if it is dense.
    entries: int | None
    lanes: list[Lane]
    best: float = math.inf
    # An objective of an earlier race, and whether that was found to be the optimum.
    elsewhere: float = math.inf
    elsewhere_settled: bool = False
    # Memory counts only of workers that were new to it.
    measured_memory: bool = False

    @property
    def key(self) -> str:
        """Its name among others."""
        return f"{self.name} {self.penalty}"

    def update(self) -> None:
        """Find the best objective again."""
        found = (run.objective for lane in self.lanes for run in lane.runs)
        self.best = min(found, default=math.inf)
        self.best = min(self.best, self.elsewhere)

    def times(self, lane: Lane) -> list[float | None]:
        """Return the times to each eps."""
        return [lane.time_to(self.best * (1 + eps)) for eps in EPSILONS]

    def settled(self) -> bool:
        """Whether J* is the optimum to the smallest eps, as far as a race can tell.

        The best of fits that all ran out of time is not, and would flatter whoever holds it. So
        either our certificate says so, or two that came to an end by themselves agree. Those still
        on their way do not count: the same algorithm in two packages agrees all along.
        """
        eps = EPSILONS[-1]
        there = [lane for lane in self.lanes if self.times(lane)[-1] is not None]
        if sum(lane.end in ENDS for lane in there) >= 2:
            return True
        if self.elsewhere_settled and self.elsewhere <= self.best * (1 + eps):
            return True
        return any(
            run.told.get("converged") and tol <= eps and run.objective <= self.best * (1 + eps)
            for tol, run in self.certified()
        )

    def others(self) -> float:
        """Return the share of the processor that other programs had meanwhile, as far as known."""
        runs = [run for lane in self.lanes for run in lane.runs if run.others is not None]
        total = sum(run.seconds for run in runs)
        return sum((run.others or 0) * run.seconds for run in runs) / total if total else 0.0

    def certified(self) -> Iterator[tuple[float, Run]]:
        """Yield our runs at the tolerances of the race, with the tolerance."""
        for lane in self.lanes:
            if lane.name == "logreg_c":
                for run in lane.runs:
                    for eps in EPSILONS:
                        if math.isclose(run.effort, 1 / eps):
                            yield eps, run

    def false_certificates(self) -> list[str]:
        """Say of each of our runs that claims to be nearer to J* than it is, what is wrong."""
        return [
            f"{self.key}, tol={eps:g}: claims convergence, but is off by "
            f"{run.objective / self.best - 1:.1e}"
            for eps, run in self.certified()
            if run.told.get("converged") and run.objective > self.best * (1 + eps)
        ]


class Race:
    """The peers' workers, which stay from one contest to the next."""

    peers: Mapping[str, Peer] = PEERS
    sort: type[Contest] = Contest

    def __init__(self, threads: int, budget: float, say: Callable[[str], None]) -> None:
        self.threads, self.budget, self.say = threads, budget, say
        self.workers: dict[str, Worker] = {}
        self.absent: dict[str, str] = {}

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers.values():
            worker.stop()

    def worker(self, name: str) -> Worker | None:
        """Return a worker that is ready, or None, and then `absent` has the reason."""
        if name not in self.workers and name not in self.absent:
            worker = Worker(self.peers[name], self.threads)
            try:
                missing = worker.ask(("start",))
            except (Gone, RuntimeError) as error:
                missing = str(error)
            if missing:
                self.absent[name] = missing
                self.say(f"{name}: {missing}")
                worker.stop()
            else:
                self.workers[name] = worker
        return self.workers.get(name)

    def forget(self, name: str) -> None:
        """Let the next call of `worker` start a new one."""
        worker = self.workers.pop(name, None)
        if worker:
            worker.stop()

    def contest(
        self,
        name: str,
        X: Any,
        y: NDArray[np.int64],
        penalty: Penalty,
        peers: list[str],
        known: tuple[float, bool] = (math.inf, False),
        fresh: bool = False,
    ) -> Contest:
        """Race those of the peers that take such data on X and y.

        `known` is an objective that was reached elsewhere, and whether it was settled. `fresh`
        starts all workers anew, so that no memory which an earlier fit left behind hides what the
        next one needs.
        """
        task = Task(X, y, *penalty.strengths(X, y), self.threads)
        lanes = [Lane(peer) for peer in peers if self.peers[peer].takes(task)]
        parts = (X.data, X.indices, X.indptr) if task.sparse else (X,)
        result = self.sort(
            name,
            penalty,
            X.shape,
            task.classes,
            sum(part.nbytes for part in parts),
            len(parts[0]) if task.sparse else None,
            lanes,
            math.inf,
            *known,
            fresh,
        )
        with TemporaryDirectory() as folder:
            request = (store(Path(folder) / "X", X), store(Path(folder) / "y", y), task.l1, task.l2)
            for lane in lanes:
                if fresh:
                    self.forget(lane.name)
                self.enter(lane, request)
            for rung in range(
                max((len(self.peers[lane.name].ladder) for lane in lanes), default=0)
            ):
                for lane in lanes:
                    self.climb(lane, task, rung)
            for lane in lanes:
                lane.end = lane.end or LAST_RUNG
            result.update()
            self.refine(result, task, request)
        result.update()
        return result

    def enter(self, lane: Lane, request: tuple[Any, ...]) -> None:
        """Give the data to the lane's worker."""
        worker = self.worker(lane.name)
        if worker is None:
            lane.end = self.absent[lane.name]
            return
        try:
            worker.ask(("load", *request))
        except (Gone, RuntimeError) as error:
            self.forget(lane.name)
            lane.end = f"did not take the data: {error}"

    def climb(self, lane: Lane, task: Task, rung: int) -> None:
        """Let the lane take the next rung of its ladder, if it still runs."""
        ladder = self.peers[lane.name].ladder
        if lane.end or rung >= len(ladder):
            return
        # The next rung takes no less time than this one did.
        if lane.runs and lane.spent + lane.runs[-1].seconds > self.budget:
            lane.end = "out of time"
            return
        ended = self.run(lane, task, ladder[rung], self.budget - lane.spent)
        if lane.end:
            return
        objectives = [run.objective for run in lane.runs[-2:]]
        if ended:
            lane.end = BY_ITSELF
        elif len(objectives) == 2 and self.peers[lane.name].iterations:
            gain = objectives[0] - objectives[1]
            if abs(gain) <= STUCK * objectives[0]:
                lane.end = NO_PROGRESS

    def run(self, lane: Lane, task: Task, effort: float, limit: float) -> bool:
        """Make one fit; return whether it stopped by itself."""
        time.sleep(REST_SECONDS)  # until the threads of whoever came before sleep
        worker = self.workers[lane.name]
        start = time.perf_counter()
        try:
            turn = worker.ask(("fit", effort), limit + 1)
        except Gone as error:
            lane.end = str(error)
            self.forget(lane.name)
            return False
        except RuntimeError as error:
            lane.end = f"failed: {error}"
            return False
        finally:
            lane.spent += time.perf_counter() - start
        J, parts = self.judge(task, turn.fitted)
        J = J if math.isfinite(J) else math.inf
        measured = turn.memory, turn.read, turn.others
        lane.runs.append(Run(effort, turn.seconds, J, *measured, turn.fitted.told, parts))
        return bool(turn.fitted.ended)

    def judge(self, task: Task, fitted: Fitted) -> tuple[float, tuple[float, ...]]:
        """Return J, and that of all parts if there are any."""
        return objective(task, fitted), ()

    def refine(self, result: Contest, task: Task, request: tuple[Any, ...]) -> None:
        """Try efforts between the first that was enough and the last that was not.

        Half of the budget again is for that, so that a ladder which ran out of time has it too.
        """
        for lane in result.lanes:
            if lane.runs and lane.name not in self.workers:  # it was stopped
                end, lane.end = lane.end, ""
                self.enter(lane, request)
                lane.end = lane.end or end
        spent = {lane.name: lane.spent for lane in result.lanes}
        for eps in EPSILONS * 2:
            for lane in result.lanes:
                if lane.name not in self.workers or not self.peers[lane.name].iterations:
                    continue
                goal = result.best * (1 + eps)
                effort, seconds = lane.between(goal), lane.time_to(goal)
                left = self.budget / 2 - (lane.spent - spent[lane.name])
                if effort is not None and seconds is not None and seconds < left:
                    self.run(lane, task, effort, left)


def store(path: Path, array: Any) -> str:
    """Write an array, or a matrix in compressed rows; return the name of the file."""
    if isinstance(array, np.ndarray):
        np.save(file := path.with_suffix(".npy"), array)
    else:
        from scipy.sparse import save_npz

        save_npz(file := path.with_suffix(".npz"), array, compressed=False)
    return str(file)


def objective(task: Task, fitted: Fitted) -> float:
    """Return J in float64, by NumPy and SciPy: the one judge of all."""
    w = np.asarray(fitted.w, np.float64)
    losses = []
    for start in range(0, len(task.y), 20_000):
        rows, y = task.X[start : start + 20_000], task.y[start : start + 20_000]
        z = rows @ w.T + fitted.b
        if task.classes == 2:
            loss = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
        else:
            z -= z.max(axis=1, keepdims=True)
            loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]
        losses.append(float(loss.sum()))
    penalty = task.l2 / 2 * float((w * w).sum()) + task.l1 * float(np.abs(w).sum())
    return math.fsum(losses) / len(task.y) + penalty
