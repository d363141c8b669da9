# SPDX-License-Identifier: BSD-3-Clause
"""One function a peer: a cold fit of the same objective, as a user of that package calls it.

All minimise J(w, b) = mean loss + l2/2 ‖w‖² + l1 ‖w‖₁ with a free b, on X as it is: scaled columns
would be another objective. How far a fit goes is its *effort*: the limit of iterations where the
package has one (its tolerance is then set to nothing), 1/tolerance where it has not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rivals import Floats

# So small that only the limit of iterations, or rounding, ends a fit.
NOTHING = 1e-14


@dataclass(frozen=True)
class Task:
    """What to fit: X (n, d), class ids y, one penalty or the other, and the threads to use.

    X is an array or in compressed rows.
    """

    X: Any
    y: NDArray[np.int64]
    l1: float
    l2: float
    threads: int

    @property
    def C(self) -> float:
        """The strength of the penalty against the sum of the losses, as scikit-learn has it."""
        return 1 / ((self.l1 + self.l2) * len(self.y))

    @property
    def l1_ratio(self) -> float:
        """Which penalty it is."""
        return 1.0 if self.l1 else 0.0

    @property
    def sparse(self) -> bool:
        """Whether X is in compressed rows."""
        return hasattr(self.X, "indptr")

    def columns(self) -> Any:
        """X by columns, which coordinate descent wants: part of the time of a fit."""
        return self.X.tocsc() if self.sparse else np.asfortranarray(self.X)

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
    """A solver of some package, the efforts to try, each a cold fit, and what it is for."""

    fit: Callable[[Task, float], Fitted]
    package: str
    module: str
    ladder: tuple[float, ...]
    softmax: bool = True
    # Whether effort is a limit of iterations: then those between two rungs are tried as well, and
    # a rung that gains nothing is the last.
    iterations: bool = True
    penalties: str = "L2"
    layouts: str = "dense"
    # More columns than that would take a Hessian that memory has no room for.
    widest: int = 10**9
    # Whether one thread may be faster than several on sparse data: both run, the better counts.
    alone: bool = False

    def missing(self) -> str:
        """Why it cannot run here, or nothing."""
        try:
            module = importlib.import_module(self.module)
        except Exception as error:  # a broken package must not end the race of the others
            return f"not installed ({error})"
        if self.package == "logreg_c" and not hasattr(module, "fit"):
            return "this logreg_c has no fit"
        return ""

    def takes(self, task: Task) -> bool:
        """Whether it is for such data and such a penalty."""
        return (
            (self.softmax or task.classes == 2)
            and ("L1" if task.l1 else "L2") in self.penalties
            and ("sparse" if task.sparse else "dense") in self.layouts
            and task.X.shape[1] <= self.widest
        )

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


def penalty(task: Task) -> dict[str, Any]:
    """Name the penalty as logreg_c does."""
    return {"l1": task.l1} if task.l1 else {"l2": task.l2}


def ours(task: Task, effort: float) -> Fitted:
    """logreg_c.fit, which is told how near to the optimum to come and certifies it."""
    import logreg_c

    found = logreg_c.fit(task.X, task.y, **penalty(task), tol=1 / effort, n_threads=task.threads)
    names = ("objective", "gap", "converged", "reason", "n_iter", "n_passes", "solver")
    return Fitted(found.w, found.b, told={name: getattr(found, name) for name in names})


def our_estimator(task: Task, effort: float) -> Fitted:
    """Our scikit-learn face, at the same tolerances."""
    import logreg_c

    Model = logreg_c.LogisticRegression
    model = Model(C=task.C, l1_ratio=task.l1_ratio, tol=1 / effort)
    return from_estimator(model.fit(task.X, task.y), ended=False)


def sklearn(solver: str, task: Task, effort: float) -> Fitted:
    """scikit-learn with the solver of that name."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    model = LogisticRegression(
        C=task.C, l1_ratio=task.l1_ratio, solver=solver, tol=NOTHING, max_iter=int(effort)
    )
    with threadpool_limits(task.threads, user_api="blas"):
        model.fit(task.X, task.y)
    return from_estimator(model, int(np.max(model.n_iter_)) < int(effort))


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
        alpha=task.l1 + task.l2,
        l1_ratio=task.l1_ratio,
        solver="irls-cd" if task.l1 else "irls-ls",
        gradient_tol=NOTHING,
        max_iter=int(effort),
    ).fit(task.X, task.y)
    return from_estimator(model, int(model.n_iter_) < int(effort))


def cyanure(solver: str, task: Task, effort: float) -> Fitted:
    """Either of the solvers between which cyanure chooses by itself, not always well."""
    from cyanure.estimators import LogisticRegression

    model = LogisticRegression(
        loss="logistic" if task.classes == 2 else "multiclass-logistic",
        penalty="l1" if task.l1 else "l2",
        lambda_1=task.l1 + task.l2,
        solver=solver,
        tol=NOTHING,
        max_iter=int(effort),
        n_threads=task.threads,
    ).fit(task.X, task.y)
    return from_estimator(model, ended=False)


def liblinear(solver: str, task: Task, effort: float) -> Fitted:
    """LIBLINEAR; the option -R leaves the bias out of the penalty, where the solver knows it."""
    from liblinear.liblinearutil import train
    from scipy.sparse import csr_matrix

    # Its own way from an array goes through Python's numbers; that from a sparse matrix does not.
    options = f"-s {solver} -c {task.C!r} -e {1 / effort!r} -B 1 -q"
    model = train(task.y.astype(np.float64), csr_matrix(task.X), options)
    w, b = model.get_decfun()
    sign = 1.0 if model.get_labels()[0] == 1 else -1.0
    return Fitted(sign * np.array(w), sign * b)


def snapml(task: Task, effort: float) -> Fitted:
    """Snap ML's dual coordinate descent, which penalises the bias; its primal one has no bias."""
    from snapml import LogisticRegression

    model = LogisticRegression(
        regularizer=1 / task.C,
        fit_intercept=True,
        tol=1 / effort,
        max_iter=100_000,
        n_jobs=task.threads,
    ).fit(task.X, task.y)
    return from_estimator(model, ended=False)


def glmnet(task: Task, effort: float) -> Fitted:
    """Python's older wrapper of glmnet, its Fortran, at one penalty."""
    from glmnet import LogitNet

    model = LogitNet(
        alpha=task.l1_ratio,
        lambda_path=np.array([task.l1 + task.l2]),
        standardize=False,
        n_splits=0,
        tol=1 / effort,
        max_iter=10**8,
    ).fit(task.columns(), task.y)
    w, b = model.coef_path_, model.intercept_path_
    return Fitted(w[0, :, -1], float(b[0, -1]))


def adelie(task: Task, effort: float) -> Fitted:
    """Adelie's group descent, with groups of one, at one penalty."""
    import adelie as ad

    make = ad.matrix.sparse if task.sparse else ad.matrix.dense
    state = ad.grpnet(
        make(task.columns(), n_threads=task.threads),
        ad.glm.binomial(task.y.astype(np.float64)),
        alpha=task.l1_ratio,
        lmda_path=np.array([task.l1 + task.l2]),
        tol=1 / effort,
        irls_tol=1 / effort,
        n_threads=task.threads,
        early_exit=False,
        progress_bar=False,
    )
    return Fitted(state.betas[-1].toarray().ravel(), float(state.intercepts[-1]))


def skglm(task: Task, effort: float) -> Fitted:
    """Use skglm's working sets, told how much of l1 the subgradient may be off by."""
    from skglm import SparseLogisticRegression

    model = SparseLogisticRegression(
        alpha=task.l1, tol=task.l1 / effort, max_iter=10_000, max_epochs=100_000
    )
    return from_estimator(model.fit(task.columns(), task.y), ended=False)


def with_bias_column(task: Task) -> tuple[Any, float]:
    """Return X by columns with one more, of a constant so large that its weight costs nothing."""
    large = 100.0
    column = np.full((len(task.y), 1), large)
    if task.sparse:
        from scipy.sparse import hstack

        return hstack([task.X, column], format="csc"), large
    return np.asfortranarray(np.hstack([task.X, column])), large


def celer(task: Task, effort: float) -> Fitted:
    """Use celer's working sets; it has no bias, so a column of large constants stands for it."""
    from celer import LogisticRegression

    X, large = with_bias_column(task)
    model = LogisticRegression(C=task.C, tol=1 / effort, max_iter=1000).fit(X, task.y)
    w = model.coef_.ravel()
    return Fitted(w[:-1], float(large * w[-1]))


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


# Our tolerances are promises, so they are raced as they are; the last one also tells where the
# optimum is.
OURS = (1e3, 1e6, 1e9, 1e12)
ITERATIONS = tuple(float(2**k) for k in range(1, 17))
TOLERANCES = tuple(10.0**k for k in range(1, 14))
SKLEARN = ("scikit-learn", "sklearn.linear_model", ITERATIONS)
CYANURE = ("cyanure", "cyanure.estimators", ITERATIONS)
LIBLINEAR = ("liblinear-official", "liblinear.liblinearutil", TOLERANCES[:11], False, False)
BOTH, ANY = "L1 and L2", "dense and sparse"
PEERS = {
    "logreg_c": Peer(ours, "logreg_c", "logreg_c", OURS, True, False, BOTH, ANY),
    "logreg_c estimator": Peer(our_estimator, "logreg_c", "logreg_c", OURS, True, False, BOTH, ANY),
    "sklearn lbfgs": Peer(partial(sklearn, "lbfgs"), *SKLEARN, layouts=ANY, alone=True),
    "sklearn newton-cg": Peer(partial(sklearn, "newton-cg"), *SKLEARN, layouts=ANY, alone=True),
    "sklearn newton-cholesky": Peer(
        partial(sklearn, "newton-cholesky"), *SKLEARN, layouts=ANY, widest=12_000, alone=True
    ),
    "sklearn saga": Peer(partial(sklearn, "saga"), *SKLEARN, penalties=BOTH, layouts=ANY),
    # On sparse data it calls scikit-learn's own.
    "sklearnex lbfgs": Peer(intelex, "scikit-learn-intelex", "sklearnex", ITERATIONS),
    "glum": Peer(
        glum, "glum", "glum", ITERATIONS, False, penalties=BOTH, layouts=ANY, widest=12_000
    ),
    "cyanure qning-ista": Peer(
        partial(cyanure, "qning-ista"), *CYANURE, penalties=BOTH, layouts=ANY
    ),
    "cyanure qning-miso": Peer(
        partial(cyanure, "qning-miso"), *CYANURE, penalties=BOTH, layouts=ANY
    ),
    # One thread is all that it has, and it takes X as sparse, which is part of its time. The dual
    # method cannot leave the bias out of the penalty.
    "liblinear": Peer(partial(liblinear, "0 -R"), *LIBLINEAR, layouts=ANY),
    "liblinear dual": Peer(partial(liblinear, "7"), *LIBLINEAR, layouts=ANY),
    "liblinear L1": Peer(partial(liblinear, "6 -R"), *LIBLINEAR, penalties="L1", layouts=ANY),
    "snapml": Peer(snapml, "snapml", "snapml", TOLERANCES, False, False, layouts=ANY, alone=True),
    "glmnet": Peer(glmnet, "python-glmnet", "glmnet", TOLERANCES, False, False, BOTH, ANY),
    "adelie": Peer(adelie, "adelie", "adelie", TOLERANCES, False, False, BOTH, ANY),
    "skglm": Peer(skglm, "skglm", "skglm", TOLERANCES, False, False, "L1", ANY),
    "celer": Peer(celer, "celer", "celer", TOLERANCES, False, False, "L1", ANY),
    "torch lbfgs": Peer(torch, "torch", "torch", ITERATIONS),
}
