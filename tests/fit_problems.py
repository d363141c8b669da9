# SPDX-License-Identifier: BSD-3-Clause
"""Problems for `fit`, each with a difficulty of its own, and J of a result without any of ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import reference

from logreg_c import fit

# Tall enough that the sampled solver draws samples.
SHAPE, WIDE_SHAPE = (6000, 4), (40, 90)
KINDS = [
    "gaussian", "scales", "rare", "few positives", "soft", "weights", "offset", "wide", "no bias",
    "duplicate",
]  # fmt: skip
# An eigendecomposition of 6,000 rows is not for a test, so "compressed" has other problems.
TALL = ["newton", "sampled", "blocks", "lbfgs", "newton-cg"]
QUICK = [*TALL, "compressed"]


@cache
def problem(kind, K=2, l2=1e-3):
    """Return X, y and the other arguments."""
    rng = np.random.default_rng(KINDS.index(kind) + 100 * K)
    n, d = WIDE_SHAPE if kind == "wide" else SHAPE
    X = rng.standard_normal((n, d))
    if kind == "scales":
        X = X * [1e-3, 1.0, 30.0, 1e4] + [0.0, 5.0, 1e3, -1e5]
    elif kind == "rare":
        X[:, 0] = rng.random(n) < 0.003
        X[:, 1] = 5 * (rng.random(n) < 0.01)
    elif kind == "duplicate":
        X[:, 1] = 3 * X[:, 0]
    Z = ((X - X.mean(axis=0)) / X.std(axis=0)) @ rng.standard_normal((d, K)) * 0.7
    Z[:, 0] += 5 if kind == "few positives" else 0
    a = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    y = (rng.random((n, 1)) > np.cumsum(a, axis=1)[:, :-1]).sum(axis=1)
    y[:K] = np.arange(K)
    arguments = {"l2": l2}
    if kind == "soft":
        y = a if K > 2 else a[:, 1].copy()
    elif kind == "weights":
        arguments["sample_weight"] = rng.uniform(0, 3, n) * (rng.random(n) < 0.9) + (y < 0)
        arguments["sample_weight"][:K] = 1.0
    elif kind == "offset":
        arguments["offset"] = rng.standard_normal(n if K == 2 else (n, K)) * 2
    elif kind == "no bias":
        arguments["fit_intercept"] = False
    return X, y, arguments


def twin(X, y, l2=0.0, sample_weight=None, offset=None, fit_intercept=True):
    """Return J in extended precision."""
    y = np.asarray(y)
    if y.ndim == 2:
        Y = y.T
    elif y.max() > 1:
        Y = reference.one_hot(y, int(y.max()) + 1)
    else:
        Y = y[None].astype(float)
    share = None
    if sample_weight is not None:
        s = np.asarray(sample_weight, reference.BIG)
        share = s / s.sum()
    offset = 0.0 if offset is None else np.asarray(offset).T
    return reference.Twin(X, Y, share, offset, l2)


def raw(result):
    """Return weights and biases as (K, d + 1)."""
    return np.column_stack([np.atleast_2d(result.w), np.atleast_1d(result.b)])


@cache
def optimum(kind, K, l2=1e-3):
    """Return J*, confirmed by the decrement in extended precision."""
    X, y, arguments = problem(kind, K, l2)
    result = fit(X, y, solver="newton", tol=1e-12, **arguments)
    exact, theta = twin(X, y, **arguments), raw(result)
    gradient = exact.gradient(theta)
    scale = np.append(1 / X.std(axis=0), float(arguments.get("fit_intercept", True)))
    H = np.einsum("j,kjli,i->kjli", scale, exact.hessian(theta).astype(float), scale)
    g = (gradient * scale).astype(float).ravel()
    decrement = g @ np.linalg.lstsq(H.reshape(g.size, g.size), g, rcond=1e-12)[0] / 2
    assert abs(decrement) < 1e-13
    return float(exact.J(theta))


@cache
def unscaled():
    """Return the fixture with one column times 1e4 and one plus 1e4, on which others give up."""
    path = Path(__file__).parent / "data" / "unscaled.csv"
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return table[:, :-1], table[:, -1]


def bits_of(result):
    """Return all bits of a fit's numbers."""
    parts = (result.w, result.b, result.objective, result.gap, result.n_passes)
    return [np.asarray(part).tobytes() for part in parts]
