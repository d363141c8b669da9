# SPDX-License-Identifier: BSD-3-Clause
"""Choose the kernels' instruction set and the number of threads."""

from __future__ import annotations

import importlib.util
import math
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._integers import as_integer

if TYPE_CHECKING:
    from types import ModuleType

    from . import _kernels_baseline

NOT_BUILT = """\
logreg_c's compiled kernels are not here ({error}).
This looks like a source tree that has not been built. In its top folder, run

    python -m pip install -e .

or, to use an installed logreg_c instead, start Python in another folder."""

# Above this a request is a mistake, not a machine.
MOST_THREADS = 256

# In the order of what they need, the position being the level the processor reports.
_INSTRUCTION_SETS = ("baseline", "avx2", "avx512")


def _load(name: str) -> ModuleType:
    return importlib.import_module(f"logreg_c._kernels_{name}")


def available() -> list[str]:
    """List the instruction sets built here that this processor supports, the best one last.

    Returns
    -------
    list of str
        From "baseline", "avx2" and "avx512".
    """
    level: int = _load("baseline").INSTRUCTION_LEVEL
    return [
        name
        for name in _INSTRUCTION_SETS[: level + 1]
        if importlib.util.find_spec(f"logreg_c._kernels_{name}") is not None
    ]


def choose(forced: str | None) -> tuple[str, ModuleType]:
    """Load the best kernels this processor supports, or those asked for.

    Raises
    ------
    ImportError
        If the kernels are not built, or the processor does not support what is asked for.
    """
    try:
        names = available()
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("logreg_c"):
            raise
        raise ImportError(NOT_BUILT.format(error=error)) from None
    name = forced.strip().lower() if forced else names[-1]
    if name not in names:
        raise ImportError(
            f"LOGREG_C_ISA is {forced!r}, which this build and processor do not have; "
            f"set it to one of {', '.join(names)}, or unset it"
        )
    return name, _load(name)


def _cgroup_quota() -> float:
    """Return the processors that the Linux control group may use at once; inf without a limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return math.inf if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        folder = Path("/sys/fs/cgroup/cpu")
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return quota / int((folder / "cpu.cfs_period_us").read_text()) if quota > 0 else math.inf
    except (OSError, ValueError):
        return math.inf


def default_threads() -> int:
    """Return the least of the processors this process may run on, its quota and OMP_NUM_THREADS."""
    affinity = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    threads = min(affinity, MOST_THREADS, max(1.0, _cgroup_quota()))
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        threads = min(threads, int(asked))
    return math.ceil(threads)


# The functions are the same in every instruction set; the baseline's stub tells their types.
if TYPE_CHECKING:
    isa: str
    kernels = _kernels_baseline
else:
    isa, kernels = choose(os.environ.get("LOGREG_C_ISA"))
_threads = default_threads() if kernels.OPENMP_RUNTIME else 1
_after_fork = False


def _become_serial() -> None:
    # The threads of GNU's OpenMP do not survive a fork, and the child would wait for them forever.
    global _after_fork
    _after_fork = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_become_serial)


def get_num_threads() -> int:
    """Return how many threads a call uses when it does not say.

    Returns
    -------
    int
        In a process made by ``fork``, and where the build has no OpenMP, always 1.

    Examples
    --------
    >>> import logreg_c
    >>> logreg_c.get_num_threads() >= 1
    True
    """
    return 1 if _after_fork else _threads


def set_num_threads(n_threads: int | None) -> None:
    """Set how many threads a call uses when it does not say. The results do not depend on it.

    Parameters
    ----------
    n_threads : int or None
        From 1 to 256. None goes back to the default, the least of the processors this process
        may run on, its control group's quota, and the variable ``OMP_NUM_THREADS``.

    Raises
    ------
    TypeError, ValueError
        If it is not an integer, or not in that range.

    Examples
    --------
    >>> import logreg_c
    >>> logreg_c.set_num_threads(1)
    >>> logreg_c.get_num_threads()
    1
    >>> logreg_c.set_num_threads(None)
    """
    global _threads
    threads = default_threads() if n_threads is None else checked_threads(n_threads)
    _threads = threads if kernels.OPENMP_RUNTIME else 1


def checked_threads(n_threads: Any, name: str = "n_threads") -> int:
    """Return a number of threads that is an integer in range, or say what is wrong with it."""
    threads = as_integer(n_threads)
    if threads is None:
        raise TypeError(
            f"{name} is {n_threads!r}, a {type(n_threads).__name__}; give an integer or None"
        )
    if not 1 <= threads <= MOST_THREADS:
        raise ValueError(
            f"{name} is {threads}; give a number from 1 to {MOST_THREADS}, "
            f"or None for the default ({get_num_threads()} here)"
        )
    return threads


def threads_of_call(n_threads: Any) -> int:
    """Return the threads of one call: what it asks for, or the default."""
    if n_threads is None:
        return 1 if _after_fork else _threads
    threads = checked_threads(n_threads)
    return 1 if _after_fork or not kernels.OPENMP_RUNTIME else threads


def show_config() -> None:
    """Print the version, instruction set, OpenMP runtime and number of threads in use.

    Examples
    --------
    >>> import logreg_c
    >>> logreg_c.show_config()  # doctest: +ELLIPSIS
    logreg_c ...
    """
    from . import __version__

    built = ", ".join(available())
    print(
        f"logreg_c {__version__}, Python {platform.python_version()}, {platform.machine()}\n"
        f"instruction set: {isa} (here: {built}; LOGREG_C_ISA forces one)\n"
        f"OpenMP: {kernels.OPENMP_RUNTIME or 'none, this build runs on one thread'}\n"
        f"threads: {get_num_threads()}"
    )
