# SPDX-License-Identifier: BSD-3-Clause
"""A process for each peer, so that a fit can be stopped, may crash, and starves nobody's threads.

A worker stays for the whole race, its package imported and its threads started: what is timed is
the fit alone.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from .peer_fits import Fitted, Peer, Task

STARTING_SECONDS = 300
# Short fits are repeated within a turn, and the best one counts: the first meets threads asleep.
REPEATS, ENOUGH_SECONDS = 5, 0.2


@dataclass(frozen=True)
class Turn:
    """What a worker says of a fit: best time, bytes of memory beyond X, time to read X once.

    `others` is the share of the processor that other processes had, if it matters. What the system
    does not tell is None, and so is the time of reading but for logreg_c.
    """

    fitted: Fitted
    seconds: float
    memory: int | None
    read: float | None
    others: float | None


class Gone(Exception):
    """The worker crashed, or had to be stopped."""


class Worker:
    """A process with one peer."""

    def __init__(self, peer: Peer, threads: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs, peer, threads), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, what: tuple[Any, ...], limit: float = STARTING_SECONDS) -> Any:
        """Return the answer; an error of the peer is a RuntimeError, no answer in time is Gone."""
        try:
            self._pipe.send(what)
            if not self._pipe.poll(limit):
                self.stop()
                raise Gone("out of time")
            answer = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join()
            raise Gone(f"crashed (exit code {self._process.exitcode})") from error
        if isinstance(answer, Exception):
            raise RuntimeError(str(answer))
        return answer

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join()


def serve(pipe: Connection, peer: Peer, threads: int) -> None:
    """Answer requests until the parent is gone; runs in the process of the worker."""
    warnings.simplefilter("ignore")
    # Some packages print from their compiled code.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    task = None
    while True:
        try:
            what, *arguments = pipe.recv()
        except EOFError:
            return
        answer: Any
        try:
            if what == "start":
                answer = peer.missing()
            elif what == "load":
                task = None  # lets go of the last data before the next come
                X, y, l1, l2 = arguments
                task = Task(stored(X), stored(y), l1, l2, threads)
                answer = None
                warm_up(peer, task)
            else:
                assert task is not None
                answer = take_turn(peer, task, *arguments)
        except Exception as error:
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        pipe.send(answer)


def stored(file: str) -> Any:
    """Read an array, or a matrix in compressed rows."""
    if file.endswith(".npy"):
        return np.load(file)
    from scipy.sparse import load_npz

    return load_npz(file)


def warm_up(peer: Peer, task: Task) -> None:
    """Import, compile and start threads by a fit of next to nothing, of the same kind."""
    rng = np.random.default_rng(0)
    X: Any = rng.standard_normal((60, 3)).astype(task.X.dtype)
    if task.sparse:
        X = type(task.X)(X)
    y = np.arange(60) % task.classes
    peer.fit(Task(X, y, 0.1 * bool(task.l1), 0.1 * bool(task.l2), task.threads), peer.ladder[0])


def take_turn(peer: Peer, task: Task, effort: float) -> Turn:
    """Fit, and measure."""
    read = reading_time(task) if peer.package == "logreg_c" else None
    before = memory(reset=True)
    now = clock(task.threads)
    tasks = [replace(task, threads=k) for k in threads_of(peer, task)]
    spent: list[float] = []
    best = math.inf
    mine, busy, begin = time.process_time(), busy_seconds(), time.perf_counter()
    while not spent or (len(spent) < REPEATS and sum(spent) < ENOUGH_SECONDS):
        for one in tasks:
            start = now()
            found = peer.fit(one, effort)
            spent.append(now() - start)
            if spent[-1] < best:
                best, fitted = spent[-1], found
    share = None
    if task.threads > 1 and busy is not None and (busy_now := busy_seconds()) is not None:
        theirs = busy_now - busy - (time.process_time() - mine)
        share = max(0.0, theirs / (time.perf_counter() - begin) / (os.cpu_count() or 1))
    peak = memory()
    return Turn(fitted, best, peak and before and max(0, peak - before), read, share)


def clock(threads: int) -> Callable[[], float]:
    """Return the clock: for one thread it is the processor's time, which others cannot take."""
    return time.process_time if threads == 1 else time.perf_counter


def threads_of(peer: Peer, task: Task) -> set[int]:
    """With how many threads to try."""
    return {1, task.threads} if peer.alone and task.sparse else {task.threads}


def reading_time(task: Task) -> float:
    """Return the seconds of a sweep at this moment.

    That is a plain sum over a dense X; what a pass over a sparse one costs is not reading but to
    gather and scatter, so there it is the pass for the loss and its gradient.
    """
    import logreg_c
    from logreg_c import _kernels
    from logreg_c._compressed import Compressed

    sweep: Callable[[], object]
    if task.sparse:
        X = task.X
        values = None if np.all(X.data == 1) else X.data  # as `fit` does
        rows = Compressed(X.indptr, X.indices, values, X.shape, by_rows=True, sound=True)
        y, w = task.y.astype(np.float64), np.zeros(X.shape[1])
        sweep = partial(logreg_c.loss_and_gradient, rows, y, w, n_threads=task.threads)
    else:
        sweep = partial(_kernels.kernels.sum_entries, task.X, task.threads)
    now, seconds = clock(task.threads), []
    for _ in range(5):
        start = now()
        sweep()
        seconds.append(now() - start)
    return min(seconds)


def busy_seconds() -> float | None:
    """Return the seconds that all processors have worked so far, or None where /proc is not."""
    try:
        line = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _waiting, *interrupts = (int(ticks) for ticks in line[1:8])
    return (user + nice + system + sum(interrupts)) / float(os.sysconf("SC_CLK_TCK"))


def memory(reset: bool = False) -> int | None:
    """Return the most bytes in use since the last reset, or None where Linux's /proc is not."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        # getrusage will not do: its peak begins with that of the parent.
        if reset:
            clear.write_text("5")
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
