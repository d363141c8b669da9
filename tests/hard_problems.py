# SPDX-License-Identifier: BSD-3-Clause
"""Small problems of the awkward kinds, many at once, and their optima in extended precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse

from logreg_c._nonsmooth import Nonsmooth
from logreg_c._objective import Objective
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Posed, Problem

BIG = np.longdouble
FLAVOURS = [
    "gaussian", "rare", "heavy", "scales", "duplicates", "offsets", "one positive", "far row",
]  # fmt: skip
# Rows from where on one in a thousand is positive, whatever the columns are.
MANY = 1000


class Problems(NamedTuple):
    """B problems of one shape; everything per problem first."""

    X: np.ndarray  # (B, n, d)
    Y: np.ndarray  # (B, K, n)
    weight: np.ndarray  # (B, n)
    offset: np.ndarray  # (B, K, n)
    fit_bias: np.ndarray  # (B,)
    l2: np.ndarray  # (B,)
    l1: np.ndarray  # (B,)
    factor: np.ndarray  # (B, d)
    lower: np.ndarray  # (B, d)
    upper: np.ndarray  # (B, d)
    layout: list[str]  # "dense", "csr" or "csc"

    def flavours(self, i: int) -> list[str]:
        """Return what is awkward about a problem: its columns, and its labels and weights."""
        soft = bool(((self.Y[i] > 0.0) & (self.Y[i] < 1.0)).any())
        weights = bool((self.weight[i] != 1.0).any())
        return [FLAVOURS[i % len(FLAVOURS)]] + ["soft"] * soft + ["weights"] * weights

    def penalty(self, i: int) -> tuple:
        """Return l2, l1, penalty_factor, lower and upper."""
        return self.l2[i], self.l1[i], self.factor[i], self.lower[i], self.upper[i]

    def data(self, i: int) -> tuple:
        """Return X, y, sample_weight, offset and fit_intercept."""
        X = self.X[i]
        if self.layout[i] != "dense":
            X = scipy.sparse.csr_array(X).asformat(self.layout[i])
        Y, offset = (v[i][0] if v.shape[1] == 1 else v[i].T for v in (self.Y, self.offset))
        return X, Y, self.weight[i], offset, bool(self.fit_bias[i])

    def posed(self, i: int) -> Posed:
        sparse = self.layout[i] != "dense"
        problem = Problem(*self.data(i), random_state=0, n_threads=1, keep_sparse=sparse)
        return problem.pose(as_penalty(*self.penalty(i), self.X.shape[2]))


def columns(rng: np.random.Generator, n: int, d: int, flavour: str) -> np.ndarray:
    X = rng.standard_normal((n, d))
    if flavour == "rare":
        X[:, 0] = rng.random(n) < 2 / n
        X[:, -1] *= rng.random(n) < 0.1
    elif flavour == "heavy":
        X = rng.standard_t(1.2, (n, d))
    elif flavour == "scales":
        X *= 10.0 ** rng.uniform(-8, 8, d)
    elif flavour == "duplicates":
        X[:, -1] = X[:, 0] * rng.choice([1.0, -3.0])
        X[:, d // 2] = rng.choice([0.0, 1.0, 1e4])
    elif flavour == "far row":
        X[0] *= 10.0 ** rng.uniform(1, 4)
    elif flavour == "offsets":
        X = X * 10.0 ** rng.uniform(-2, 2, d) + rng.standard_normal(d) * 1e4
    return X


def labels(rng: np.random.Generator, n: int, K: int, flavour: str) -> np.ndarray:
    classes = max(K, 2)
    if rng.random() < 0.3:
        Y = rng.dirichlet(np.full(classes, 0.5), n).T.copy()
    else:
        ids = rng.integers(0, classes, n)
        if n >= MANY:
            ids[:] = rng.random(n) < 1e-3
        elif flavour == "one positive":
            ids[:] = 0
        ids[:classes] = np.arange(classes)
        Y = (ids == np.arange(classes)[:, None]).astype(float)
    return Y[1:] if K == 1 else Y


def draw(rng: np.random.Generator, B: int, n: int, d: int, K: int, kind: str = "ridge") -> Problems:
    """Draw problems: "ridge", which are dense; "sparse" ones; or "kinks", of all layouts."""
    flavours = [FLAVOURS[i % len(FLAVOURS)] for i in range(B)]
    X = np.stack([columns(rng, n, d, f) for f in flavours])
    Y = np.stack([labels(rng, n, K, f) for f in flavours])
    weight = np.where(rng.random((B, 1)) < 0.5, 1.0, 10.0 ** rng.uniform(-3, 3, (B, n)))
    weight *= (rng.random((B, n)) < 0.9) | (rng.random((B, 1)) < 0.7)
    weight[:, : max(K, 2)] = 1.0  # there is each class
    offset = rng.standard_normal((B, K, n)) * rng.choice([0.0, 3.0], (B, 1, 1))
    l2 = np.where(rng.random(B) < 0.3, 0.0, 10.0 ** rng.uniform(-9, 1, B))
    fit_bias = rng.random(B) < 0.8
    l1, factor, most = np.zeros(B), np.ones((B, d)), np.full((B, d), np.inf)
    lower, upper, layout = -most, most, ["dense"] * B
    if kind != "ridge":
        layout = [str(name) for name in rng.choice(["csr", "csc"], B)]
        X *= (rng.random((B, n, d)) < 0.6) | (rng.random((B, 1, 1)) < 0.5)
    if kind == "kinks":
        # In units of what makes all weights zero, and of what weights may be.
        spread = X.std(axis=1) + 1e-3 * np.abs(X).max(axis=1) + 1e-12
        l1 = 10.0 ** rng.uniform(-6, -0.5, B) * np.median(spread, axis=1) * (rng.random(B) < 0.7)
        some = rng.random((B, d)) < rng.choice([0.0, 0.5], (B, 1))
        factor = np.where(some, rng.choice([0.0, 0.1, 5.0], (B, d)), 1.0)
        bounded = (l1 == 0.0)[:, None] | (rng.random((B, 1)) < 0.3)
        for bound in (lower, upper):
            here = bounded & (rng.random((B, d)) < 0.7)
            size = rng.choice([0.0, 0.1, 1.0], (B, d)) / spread
            bound[here] = np.copysign(size, bound)[here]
        layout = [str(name) for name in rng.choice(["dense", "csr", "csc"], B)]
    return Problems(X, Y, weight, offset, fit_bias, l2, l1, factor, lower, upper, layout)


class Exact:
    """The problems in extended precision, in the coordinates that their objectives use."""

    def __init__(self, problems: Problems, objectives: list[Objective]) -> None:
        B, n, _ = problems.X.shape
        kinks = [o.nonsmooth or Nonsmooth(*none_of(o.D)) for o in objectives]
        self.l1, self.lower, self.upper = (
            np.stack(v)[:, None, :].astype(BIG) for v in zip(*kinks, strict=True)
        )
        center = np.stack([o.center for o in objectives])[:, None, :].astype(BIG)
        scale = np.stack([o.scale for o in objectives])[:, None, :].astype(BIG)
        bias = np.broadcast_to(problems.fit_bias[:, None, None], (B, n, 1))
        self.V = np.concatenate([(problems.X - center) * scale, bias], axis=2)
        self.Y = problems.Y.astype(BIG)
        weight = problems.weight.astype(BIG)
        self.share = (weight / weight.sum(axis=1, keepdims=True))[:, None, :]
        self.offset = problems.offset
        self.q = np.stack([o.quadratic for o in objectives]).astype(BIG)[:, None, :]

    def margins(self, theta: np.ndarray) -> np.ndarray:
        return np.einsum("bkd,bnd->bkn", theta.astype(BIG), self.V) + self.offset

    def J(self, theta: np.ndarray) -> np.ndarray:
        Z = self.margins(theta)
        if Z.shape[1] == 1:
            L = np.maximum(Z, 0) - self.Y * Z + np.log1p(np.exp(-np.abs(Z)))
        else:
            top = Z.max(axis=1, keepdims=True)
            L = self.Y * (top - Z)
            L[:, 0] += np.log(np.exp(Z - top).sum(axis=1))
        theta = theta.astype(BIG)
        penalty = (self.q * theta**2 / 2 + self.l1 * np.abs(theta)).sum(axis=(1, 2))
        return (self.share * L).sum(axis=(1, 2)) + penalty

    def predictions(self, Z: np.ndarray) -> np.ndarray:
        if Z.shape[1] == 1:
            e = np.exp(-np.abs(Z))
            return np.where(Z >= 0, 1, e) / (1 + e)
        e = np.exp(Z - Z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradients (B, K D) and Hessians (B, K D, K D)."""
        a = self.predictions(self.margins(theta))
        B, K, _ = a.shape
        D = self.V.shape[2]
        g = np.einsum("bkn,bnd->bkd", self.share * (a - self.Y), self.V) + self.q * theta
        H = np.zeros((B, K, D, K, D), BIG)
        for k in range(K):
            for j in range(k, K):
                h = self.share[:, 0] * a[:, k] * (1 - a[:, k] if k == j else -a[:, j])
                block = np.matmul(self.V.transpose(0, 2, 1) * h[:, None, :], self.V)
                H[:, k, :, j, :] = block
                H[:, j, :, k, :] = block
        index = np.arange(D)
        for k in range(K):
            H[:, k, index, k, index] += self.q[:, 0]
        return g.reshape(B, K * D), H.reshape(B, K * D, K * D)

    def minimise(self, theta: np.ndarray, steps: int = 80) -> np.ndarray:
        """Return what Newton's method, damped as it needs, gets to from theta.

        With kinks it goes along the weights that are free to move; those that pass zero or a bound
        stay there.
        """
        theta = np.clip(theta.astype(BIG), self.lower, self.upper)
        J, damping = self.J(theta), np.full(len(theta), BIG(1e-3))
        # Where adding the same to all classes changes nothing, rounding would add it up.
        alike = (self.q == 0) & (self.l1 == 0) & np.isinf(self.lower) & np.isinf(self.upper)
        alike &= theta.shape[1] > 1
        for _ in range(steps):
            g, H = self.derivatives(theta)
            slope = g.reshape(theta.shape)
            sign = np.sign(np.where(theta != 0, theta, -slope * (np.abs(slope) > self.l1)))
            slope = slope + self.l1 * sign
            held = (self.l1 > 0) & (sign == 0)
            held |= (theta <= self.lower) & (slope > 0) | (theta >= self.upper) & (slope < 0)
            moves = ~held.reshape(g.shape)
            H *= moves[:, :, None] & moves[:, None, :]
            diagonal = np.einsum("bii->bi", H)
            diagonal += damping[:, None] * (diagonal + 1e-12) + BIG(1e-30) + ~moves
            with np.errstate(all="ignore"):  # what is not finite is not better
                step = solve(H, slope.reshape(g.shape) * moves).reshape(theta.shape)
                step -= step.mean(axis=1, keepdims=True) * alike
                new = np.where(((theta - step) * sign < 0) & (self.l1 > 0), 0, theta - step)
                new = np.clip(new, self.lower, self.upper)
                new_J = self.J(new)
            better = new_J <= J
            theta[better], J[better] = new[better], new_J[better]
            damping = np.clip(np.where(better, damping / 20, damping * 10), 1e-19, 1e6)
        return theta


def none_of(D: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an L1 penalty and bounds that are none."""
    return np.zeros(D), np.full(D, -np.inf), np.full(D, np.inf)


def solve(H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Solve positive definite systems by elimination; NumPy's solver is for doubles only."""
    A = np.concatenate([H, g[:, :, None]], axis=2)
    m = A.shape[1]
    for i in range(m):
        A[:, i + 1 :, i:] -= (A[:, i + 1 :, i] / A[:, i, i, None])[:, :, None] * A[:, i, None, i:]
    x = np.zeros_like(g)
    for i in reversed(range(m)):
        rest = (A[:, i, i + 1 : m] * x[:, i + 1 :]).sum(axis=1)
        x[:, i] = (A[:, i, m] - rest) / A[:, i, i]
    return x
