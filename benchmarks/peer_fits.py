# SPDX-License-Identifier: BSD-3-Clause
"""One function a peer: a cold fit of the same objective, as a user of that package calls it.

All minimise J(w, b) = mean loss + l2/2 ‖w‖² with a free b and l2 = 1/(C n), on X as it is: scaled
columns would be another objective. How far a fit goes is its *effort*: the limit of iterations
where the package has one (its tolerance is then set to nothing), 1/tolerance where it has not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rivals import Floats

# So small that only the limit of iterations, or rounding, ends a fit.
NOTHING = 1e-14


@dataclass(frozen=True)
class Task:
    """What to fit: X (n, d), class ids y, the penalty as C, and the threads to use."""

    X: NDArray[Any]
    y: NDArray[np.int64]
    C: float
    threads: int

    @property
    def l2(self) -> float:
        """The penalty of J."""
        return 1 / (self.C * len(self.y))

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.y.max()) + 1


@dataclass(frozen=True)
class Fitted:
    """Weights (d,) and bias of two classes, (K, d) and (K,) of more; what the fit told of itself.

    `ended`: it stopped by itself, so that more effort would find the same.
    """

    w: Floats
    b: Any
    ended: bool = False
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A solver of some package, and the efforts to try, each a cold fit."""

    fit: Callable[[Task, float], Fitted]
    package: str
    module: str
    ladder: tuple[float, ...]
    softmax: bool = True
    # Whether effort is a limit of iterations: then those between two rungs are tried as well, and
    # a rung that gains nothing is the last.
    iterations: bool = True

    def missing(self) -> str:
        """Why it cannot run here, or nothing."""
        try:
            module = importlib.import_module(self.module)
        except Exception as error:  # a broken package must not end the race of the others
            return f"not installed ({error})"
        if self.package == "logreg_c" and not hasattr(module, "fit"):
            return "this logreg_c has no fit"
        return ""

    def version(self) -> str:
        """Name the package with its version."""
        return f"{self.package} {metadata.version(self.package)}"


def from_estimator(model: Any, ended: bool, told: dict[str, Any] | None = None) -> Fitted:
    """Read the weights of anything that looks like scikit-learn's LogisticRegression."""
    w, b = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if b.size == 1:
        return Fitted(w.ravel(), float(b.ravel()[0]), ended, told or {})
    # cyanure keeps a class a column.
    return Fitted(w if len(w) == len(b) else w.T, b.ravel(), ended, told or {})


def ours(task: Task, effort: float) -> Fitted:
    """logreg_c.fit, which is told how near to the optimum to come and certifies it."""
    import logreg_c

    y = task.y if task.classes > 2 else task.y.astype(np.float64)
    found = logreg_c.fit(  # type: ignore[attr-defined, unused-ignore]
        task.X, y, l2=task.l2, tol=1 / effort, n_threads=task.threads
    )
    names = ("objective", "gap", "converged", "reason", "n_iter", "n_passes", "solver")
    return Fitted(found.w, found.b, told={name: getattr(found, name) for name in names})


def our_estimator(task: Task, effort: float) -> Fitted:
    """Our scikit-learn face, at the same tolerances."""
    import logreg_c

    Model = logreg_c.LogisticRegression  # type: ignore[attr-defined, unused-ignore]
    return from_estimator(Model(C=task.C, tol=1 / effort).fit(task.X, task.y), ended=False)


def sklearn(solver: str) -> Callable[[Task, float], Fitted]:
    """scikit-learn with the solver of that name."""

    def fit(task: Task, effort: float) -> Fitted:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=task.C, solver=solver, tol=NOTHING, max_iter=int(effort))
        model.fit(task.X, task.y)
        return from_estimator(model, int(np.max(model.n_iter_)) < int(effort))

    return fit


def intelex(task: Task, effort: float) -> Fitted:
    """scikit-learn's lbfgs on oneDAL's passes."""
    from sklearnex.linear_model import LogisticRegression

    model = LogisticRegression(
        C=task.C, tol=NOTHING, max_iter=int(effort), n_jobs=task.threads
    ).fit(task.X, task.y)
    return from_estimator(model, int(np.max(model.n_iter_)) < int(effort))


def glum(task: Task, effort: float) -> Fitted:
    """Call glum's iterated least squares; it has no softmax."""
    from glum import GeneralizedLinearRegressor

    model = GeneralizedLinearRegressor(
        family="binomial",
        alpha=task.l2,
        solver="irls-ls",
        gradient_tol=NOTHING,
        max_iter=int(effort),
    ).fit(task.X, task.y)
    return from_estimator(model, int(model.n_iter_) < int(effort))


def cyanure(solver: str) -> Callable[[Task, float], Fitted]:
    """Either of the solvers between which cyanure chooses by itself, not always well."""

    def fit(task: Task, effort: float) -> Fitted:
        from cyanure.estimators import LogisticRegression

        model = LogisticRegression(
            loss="logistic" if task.classes == 2 else "multiclass-logistic",
            lambda_1=task.l2,
            solver=solver,
            tol=NOTHING,
            max_iter=int(effort),
            n_threads=task.threads,
        ).fit(task.X, task.y)
        return from_estimator(model, ended=False)

    return fit


def liblinear(task: Task, effort: float) -> Fitted:
    """LIBLINEAR's Newton method in the primal, told (-R) to leave the bias out of the penalty."""
    from liblinear.liblinearutil import train
    from scipy.sparse import csr_matrix

    # Its own way from an array goes through Python's numbers; that from a sparse matrix does not.
    options = f"-s 0 -c {task.C!r} -e {1 / effort!r} -B 1 -R -q"
    model = train(task.y.astype(np.float64), csr_matrix(task.X), options)
    w, b = model.get_decfun()
    sign = 1.0 if model.get_labels()[0] == 1 else -1.0
    return Fitted(sign * np.array(w), sign * b)


def torch(task: Task, effort: float) -> Fitted:
    """PyTorch's L-BFGS on all rows at once, with its line search."""
    import torch

    torch.set_num_threads(task.threads)
    X = torch.from_numpy(task.X)
    y = torch.from_numpy(task.y)
    w = torch.zeros(task.classes, X.shape[1], dtype=X.dtype)
    b = torch.zeros(task.classes, dtype=X.dtype)
    if task.classes == 2:
        w, b, y = w[0].clone(), b[0].clone(), y.to(X.dtype)
    parameters = [w.requires_grad_(), b.requires_grad_()]
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=int(effort),
        max_eval=10 * int(effort),
        tolerance_grad=0,
        tolerance_change=0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )
    losses = torch.nn.functional

    def closure() -> Any:
        optimizer.zero_grad()
        if task.classes == 2:
            J = losses.binary_cross_entropy_with_logits(X @ w + b, y)
        else:
            J = losses.cross_entropy(X @ w.T + b, y)
        J = J + task.l2 / 2 * (w * w).sum()
        J.backward()
        return J

    optimizer.step(closure)
    ended = optimizer.state[w]["n_iter"] < int(effort)
    bias = b.detach().numpy().astype(np.float64)
    return Fitted(w.detach().numpy().astype(np.float64), bias, ended)


def doubling(first: int, steps: int) -> tuple[float, ...]:
    """Efforts that double."""
    return tuple(float(first * 2**k) for k in range(steps))


# Our tolerances are promises, so they are raced as they are; the last one only tells the others
# where the optimum is.
OURS = (1e3, 1e6, 1e9, 1e12)
ITERATIONS = tuple(float(2**k) for k in range(1, 17))
SKLEARN = ("scikit-learn", "sklearn.linear_model")
CYANURE = ("cyanure", "cyanure.estimators")
PEERS = {
    "logreg_c": Peer(ours, "logreg_c", "logreg_c", OURS, iterations=False),
    "logreg_c estimator": Peer(our_estimator, "logreg_c", "logreg_c", OURS, iterations=False),
    "sklearn lbfgs": Peer(sklearn("lbfgs"), *SKLEARN, ITERATIONS),
    "sklearn newton-cg": Peer(sklearn("newton-cg"), *SKLEARN, ITERATIONS),
    "sklearn newton-cholesky": Peer(sklearn("newton-cholesky"), *SKLEARN, ITERATIONS),
    "sklearnex lbfgs": Peer(intelex, "scikit-learn-intelex", "sklearnex", ITERATIONS),
    "glum": Peer(glum, "glum", "glum", ITERATIONS, softmax=False),
    "cyanure qning-ista": Peer(cyanure("qning-ista"), *CYANURE, ITERATIONS),
    "cyanure qning-miso": Peer(cyanure("qning-miso"), *CYANURE, ITERATIONS),
    # One thread is all it has, and it takes X as sparse, which is part of its time.
    "liblinear": Peer(
        liblinear,
        "liblinear-official",
        "liblinear.liblinearutil",
        tuple(10.0**k for k in range(1, 12)),
        softmax=False,
        iterations=False,
    ),
    "torch lbfgs": Peer(torch, "torch", "torch", ITERATIONS),
}
