# SPDX-License-Identifier: BSD-3-Clause
"""Paths of penalties and cross-validations by logreg_c and its peers, and how they are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .datasets import Penalty
from .peer_fits import Fitted, Peer, Task, with_bias_column
from .rivals import Floats

POINTS, DEPTH = 100, 100.0
CS, FOLDS = np.logspace(-4, 4, 10), 5
OURS = (1e3, 1e6, 1e9)


def penalties(task: Task) -> Floats:
    """Return the path's strengths of L1, of which the task has the last."""
    return np.geomspace(task.l1 * DEPTH, task.l1, POINTS)


def our_path(task: Task, effort: float) -> Fitted:
    """logreg_c.regularization_path."""
    import logreg_c

    path = logreg_c.regularization_path(
        task.X, task.y, penalties=penalties(task), tol=1 / effort, n_threads=task.threads
    )
    told = {"converged": bool(path.converged.all()), "n_passes": path.n_passes}
    return Fitted(path.w, path.b, told=told)


def glmnet_path(task: Task, effort: float) -> Fitted:
    """Python's older wrapper of glmnet, its Fortran."""
    from glmnet import LogitNet

    model = LogitNet(
        lambda_path=penalties(task), standardize=False, n_splits=0, tol=1 / effort, max_iter=10**8
    ).fit(task.columns(), task.y)
    return Fitted(model.coef_path_[0].T, model.intercept_path_[0])


def adelie_path(task: Task, effort: float) -> Fitted:
    """Adelie, with groups of one."""
    import adelie as ad

    make = ad.matrix.sparse if task.sparse else ad.matrix.dense
    state = ad.grpnet(
        make(task.columns(), n_threads=task.threads),
        ad.glm.binomial(task.y.astype(np.float64)),
        lmda_path=penalties(task),
        tol=1 / effort,
        irls_tol=1 / effort,
        n_threads=task.threads,
        early_exit=False,
        progress_bar=False,
    )
    return Fitted(state.betas.toarray(), state.intercepts)


def celer_path(task: Task, effort: float) -> Fitted:
    """Use celer's homotopy; a column of large constants stands for the bias."""
    import celer

    X, large = with_bias_column(task)
    strengths = penalties(task) * len(task.y)
    tol = len(task.y) / effort
    w = celer.celer_path(X, 2.0 * task.y - 1, "logreg", alphas=strengths, tol=tol, max_iter=1000)[1]
    return Fitted(w[:-1].T, large * w[-1])


def skglm_path(task: Task, effort: float) -> Fitted:
    """Fit after fit by skglm, each from the one before it."""
    from skglm import SparseLogisticRegression

    model = SparseLogisticRegression(max_iter=10_000, max_epochs=100_000, warm_start=True)
    X, found = task.columns(), []
    for strength in penalties(task):
        model.set_params(alpha=strength, tol=strength / effort).fit(X, task.y)
        found.append((model.coef_.ravel().copy(), float(np.ravel(model.intercept_)[0])))
    return Fitted(np.array([w for w, _ in found]), np.array([b for _, b in found]))


def validated(model: Any, task: Task) -> Fitted:
    """Fit by cross-validation, and read the weights of each fold at each C."""
    found = model.fit(task.X, task.y).coefs_paths_
    found = found.reshape(FOLDS * len(CS), task.X.shape[1] + 1)
    return Fitted(found[:, :-1], found[:, -1], told={"C": float(model.C_)})


def our_cv(task: Task, effort: float) -> Fitted:
    """logreg_c.LogisticRegressionCV."""
    import logreg_c

    model = logreg_c.LogisticRegressionCV(
        Cs=CS, cv=FOLDS, l1_ratios=(0,), scoring="neg_log_loss", tol=1 / effort
    )
    found = validated(model, task)
    found.told["converged"] = bool(np.all(model.converged_))
    return found


def sklearn_cv(solver: str, task: Task, effort: float) -> Fitted:
    """scikit-learn's LogisticRegressionCV; effort 0 is what it does when nothing is asked for."""
    from sklearn.linear_model import LogisticRegressionCV

    limits = {"tol": 1 / effort, "max_iter": 100_000} if effort else {}
    model = LogisticRegressionCV(
        Cs=CS,
        cv=FOLDS,
        l1_ratios=(0,),
        scoring="neg_log_loss",
        solver=solver,
        use_legacy_attributes=False,
        **limits,
    )
    return validated(model, task)


@dataclass(frozen=True)
class Series:
    """A sort of many fits at once: who does it, and how the result is judged."""

    peers: dict[str, Peer]
    judge: Callable[[Task, Fitted], Floats]
    penalty: Penalty


def losses_by(task: Task, fitted: Fitted, share: Callable[[slice], Floats]) -> Floats:
    """Return the mean loss of each fit, over rows that count as `share` (rows, fits) says."""
    total = np.zeros(len(fitted.b))
    for start in range(0, len(task.y), 10_000):
        rows = slice(start, start + 10_000)
        z = task.X[rows] @ fitted.w.T + fitted.b
        total += (share(rows) * (np.logaddexp(0, z) - task.y[rows, None] * z)).sum(axis=0)
    return total


def judge_path(task: Task, fitted: Fitted) -> Floats:
    """Return J of each fit."""
    n = len(task.y)
    losses = losses_by(task, fitted, lambda _: np.array(1 / n))
    J: Floats = losses + penalties(task) * np.abs(fitted.w).sum(axis=1)
    return J


def judge_cv(task: Task, fitted: Fitted) -> Floats:
    """Return J of each fit over the rows that its fold leaves in."""
    from sklearn.model_selection import StratifiedKFold

    inside = np.ones((len(task.y), FOLDS))
    for k, (_, held_out) in enumerate(StratifiedKFold(FOLDS).split(task.y, task.y)):
        inside[held_out, k] = 0
    counts = inside.sum(axis=0)
    losses = losses_by(task, fitted, lambda rows: np.repeat(inside[rows] / counts, len(CS), axis=1))
    l2 = (1 / (counts[:, None] * CS)).ravel()
    J: Floats = losses + l2 / 2 * (fitted.w**2).sum(axis=1)
    return J


def tolerances(*powers: int) -> tuple[float, ...]:
    """Return efforts."""
    return tuple(10.0**power for power in powers)


# glmnet, adelie: their own default is 1e-7.
CLOSE = tolerances(3, 5, 7, 8, 9, 10, 11, 12)
ANY: dict[str, Any] = {"penalties": "L1 and L2", "layouts": "dense and sparse", "iterations": False}
SKLEARN = ("scikit-learn", "sklearn.linear_model")
PATH = Series(
    {
        "logreg_c": Peer(our_path, "logreg_c", "logreg_c", OURS, **ANY),
        "glmnet": Peer(glmnet_path, "python-glmnet", "glmnet", CLOSE, **ANY),
        "adelie": Peer(adelie_path, "adelie", "adelie", CLOSE, **ANY),
        "celer": Peer(celer_path, "celer", "celer", tolerances(2, 4, 6, 8, 10), **ANY),
        "skglm": Peer(skglm_path, "skglm", "skglm", tolerances(1, 2, 3, 4, 5, 6), **ANY),
    },
    judge_path,
    Penalty("L1", DEPTH, f"{POINTS} penalties of L1 to max/{DEPTH:g}"),
)
CV = Series(
    {
        "logreg_c": Peer(our_cv, "logreg_c", "logreg_c", OURS, **ANY),
        "sklearn lbfgs, defaults": Peer(partial(sklearn_cv, "lbfgs"), *SKLEARN, (0.0,), **ANY),
        "sklearn lbfgs": Peer(partial(sklearn_cv, "lbfgs"), *SKLEARN, tolerances(4, 6, 8), **ANY),
        "sklearn newton-cholesky": Peer(
            partial(sklearn_cv, "newton-cholesky"),
            *SKLEARN,
            tolerances(4, 6, 8),
            widest=2_000,
            **ANY,
        ),
    },
    judge_cv,
    Penalty("L2", 1.0, f"{FOLDS} folds at {len(CS)} values of C from {CS[0]:g} to {CS[-1]:g}"),
)
