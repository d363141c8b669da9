# SPDX-License-Identifier: BSD-3-Clause
"""The objective: against the graph, extended precision, finite differences, and itself."""

from __future__ import annotations

import numpy as np
import pytest
import reference

from logreg_c import graph
from logreg_c._data import Dense
from logreg_c._objective import Objective

KINDS = ["binary", "ids3", "soft4"]


class Problem:
    """An objective, the same in raw columns in extended precision, a point and a direction."""

    def __init__(self, kind, weighted=True, fit_bias=True, l2=0.3, n=60, d=4, plain=False):
        rng = np.random.default_rng(len(kind) + d)
        K = 1 if kind == "binary" else int(kind[-1])
        X = rng.standard_normal((n, d)) * [1, 1e-3, 1e3, 5][:d] + [0, 0, 3e3, -7][:d]
        if kind.startswith("ids"):
            y = rng.integers(0, K, n).astype(np.int32)
            Y = reference.one_hot(y, K)
        else:
            Y = y = rng.random((1, n)) if K == 1 else rng.dirichlet(np.ones(K), n).T.copy()
        s = rng.uniform(0, 3, n) * (rng.random(n) < 0.9) if weighted else None
        offset = rng.standard_normal((K, n)) if weighted else None
        total = float(n) if s is None else float(s.sum())
        self.X, self.Y, self.s, self.offset, self.l2 = X, Y, s, offset, l2
        self.data = Dense(X, y, K, s, total, offset, 2)
        self.center = np.zeros(d) if plain or not fit_bias else X.mean(axis=0)
        self.scale = np.ones(d) if plain else 1 / X.std(axis=0)
        self.objective = Objective(self.data, l2, self.center, self.scale, fit_bias)
        share = None if s is None else s / s.sum(dtype=reference.BIG)
        self.twin = reference.Twin(X, Y, share, 0.0 if offset is None else offset, l2)
        self.theta, self.s_ = rng.standard_normal((2, K, d + 1))
        if not fit_bias:
            self.theta[:, -1] = self.s_[:, -1] = 0.0

    def chain(self, gradient):
        """Turn a gradient by raw weights into one by theta."""
        out = np.array(gradient)
        out[:, :-1] = (out[:, :-1] - out[:, -1:] * self.center) * self.scale
        if not self.objective.fit_bias:
            out[:, -1] = 0.0
        return out


problems = pytest.mark.parametrize(
    "p",
    [
        pytest.param(Problem(kind, weighted, fit_bias, l2), id=f"{kind}-{weighted}-{fit_bias}-{l2}")
        for kind in KINDS
        for weighted in (False, True)
        for fit_bias in (False, True)
        for l2 in (0.0, 0.3)
    ],
)


def predictions(p, point):
    return p.data.predictions(point.Z)


def name_of(k, j):
    return f"t{k}_{j}"


def graph_of(p):
    """Return the graph of J, for two classes or for several, over the raw weights and biases."""
    raw = p.objective.to_raw(p.theta)
    K, D = raw.shape
    t = [[graph.variable(name_of(k, j), raw[k, j]) for j in range(D)] for k in range(K)]
    losses = []
    for i, x in enumerate(p.X.tolist()):
        offset = np.zeros(K) if p.offset is None else p.offset[:, i]
        z = [graph.weighted_sum([*t[k], 1.0], [*x, 1.0, offset[k]]) for k in range(K)]
        y = p.Y[:, i].astype(float)
        if K == 1:
            losses.append(graph.cross_entropy_from_z(z[0], y[0]))
        else:
            total = graph.weighted_sum([1.0] * K, [graph.exp(zk) for zk in z])
            losses.append(graph.log(total) - graph.weighted_sum(y, z))
    s = np.ones(len(losses)) if p.s is None else p.s
    weights = [tkj for tk in t for tkj in tk[:-1]]
    penalty = p.l2 / 2 * graph.weighted_sum(weights, weights)
    return graph.Graph(graph.weighted_sum(s, losses) / s.sum() + penalty)


def graph_at(p, J, theta):
    """Return J and its gradient by theta, as the graph has them there."""
    raw = p.objective.to_raw(theta)
    value = J.forward(**{name_of(k, j): raw[k, j] for k, j in np.ndindex(*raw.shape)})
    slopes = J.backward()
    gradient = [[slopes[name_of(k, j)] for j in range(raw.shape[1])] for k in range(len(raw))]
    return value, p.chain(gradient)


# The columns are small where they are scaled: a penalty on their weights is then enormous.
graphs = pytest.mark.parametrize(
    "p",
    [
        pytest.param(
            Problem(kind, weighted, l2=l2, n=9, d=2, plain=plain), id=f"{kind}-{weighted}-{plain}"
        )
        for kind in KINDS
        for weighted in (False, True)
        for plain, l2 in ((False, 3e-7), (True, 0.3))
    ],
)


@graphs
def test_value_and_gradient_are_the_graphs(p, isa):
    point = p.objective.evaluate(p.theta)
    J, gradient = graph_at(p, graph_of(p), p.theta)
    assert pytest.approx(J, rel=1e-12) == point.J
    np.testing.assert_allclose(point.gradient, gradient, rtol=1e-11, atol=1e-12)


@graphs
def test_hessian_and_its_products_are_differences_of_the_graphs_gradients(p, isa):
    objective, J, step = p.objective, graph_of(p), 1e-5
    a = predictions(p, objective.evaluate(p.theta))
    H = objective.hessian(a)
    for k, j in np.ndindex(*p.theta.shape):
        s = np.zeros_like(p.theta)
        s[k, j] = 1.0
        s = objective.project(s)  # of several classes what adds up is filled in
        ahead, behind = (graph_at(p, J, p.theta + t * s)[1] for t in (step, -step))
        difference = (ahead - behind) / (2 * step)
        product = objective.hessian_vector(a, s)
        np.testing.assert_allclose(product, difference, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(
            (H @ s.ravel()).reshape(s.shape), difference, rtol=1e-6, atol=1e-8
        )


@problems
def test_value_and_gradient_in_extended_precision(p):
    point = p.objective.evaluate(p.theta)
    raw = p.objective.to_raw(p.theta)
    assert pytest.approx(float(p.twin.J(raw)), rel=1e-12) == point.J
    exact = p.chain(p.twin.gradient(raw)).astype(float)
    np.testing.assert_allclose(point.gradient, exact, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(point.Z, p.twin.margins(raw).astype(float), rtol=1e-10)


@problems
def test_gradient_and_products_are_central_differences(p):
    objective, step = p.objective, 1e-5
    point = objective.evaluate(p.theta)
    ahead, behind = (objective.evaluate(p.theta + t * p.s_) for t in (step, -step))
    slope = (point.gradient * p.s_).sum()
    assert slope == pytest.approx((ahead.J - behind.J) / (2 * step), rel=1e-6, abs=1e-9)
    U = np.empty_like(point.Z)
    product = objective.hessian_vector(predictions(p, point), p.s_, U)
    difference = (ahead.gradient - behind.gradient) / (2 * step)
    np.testing.assert_allclose(product, difference, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(U, (ahead.Z - behind.Z) / (2 * step), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(objective.direction_margins(p.s_), U, rtol=1e-12, atol=1e-12)


@problems
def test_hessian_is_that_of_the_formula_and_of_the_products(p):
    objective = p.objective
    point = objective.evaluate(p.theta)
    a = predictions(p, point)
    H = objective.hessian(a)
    assert H.tolist() == H.T.tolist()
    K, D = p.theta.shape
    s = objective.project(p.s_)
    np.testing.assert_allclose(
        (H @ s.ravel()).reshape(K, D), objective.hessian_vector(a, s), rtol=1e-10, atol=1e-11
    )
    # d raw / d theta: the diagonal of scales, and what centring takes from the bias.
    T = np.diag(np.append(p.scale, 1.0))
    T[-1, :-1] = -p.center * p.scale
    if not objective.fit_bias:
        T[-1] = 0.0
    exact = np.einsum("ai,kajb,bl->kijl", T, p.twin.hessian(objective.to_raw(p.theta)), T)
    for k in range(K):
        for j in range(K):
            found = H.reshape(K, D, K, D)[k, :, j, :].copy()
            if not objective.fit_bias:
                found[-1, -1] = 0.0
            expected = exact[k, :, j, :].astype(float)
            off = found - expected
            assert np.abs(off - np.diag(np.diag(off))).max() <= 1e-10
            if K == 1:
                assert np.abs(off).max() <= 1e-10
    if K > 1:  # only the null space of the classes' sum is filled, and all of it
        assert np.linalg.eigvalsh(H)[0] > 1e-6


@problems
def test_the_survey_is_an_evaluation_and_the_hessians_diagonal(p):
    objective = p.objective
    point = objective.evaluate(p.theta)
    a = predictions(p, point)
    inverse = np.random.default_rng(0).uniform(0.1, 10, p.theta.shape)
    surveyed, diagonal, leverage = objective.evaluate_and_survey(p.theta, inverse)
    assert surveyed.J == point.J
    assert surveyed.gradient.tolist() == point.gradient.tolist()
    assert surveyed.Z.tolist() == point.Z.tolist()
    K, D = p.theta.shape
    last = D if objective.fit_bias else D - 1
    for k, j in np.ndindex(K, last):
        unit = np.zeros_like(p.theta)
        unit[k, j] = 1.0
        product = objective.hessian_vector(a, unit)
        assert diagonal[k, j] == pytest.approx(product[k, j], rel=1e-9, abs=1e-12)
    V = np.column_stack([(p.X - p.center) * p.scale, np.ones(len(p.X))])
    np.testing.assert_allclose(leverage, a * (1 - a) * (inverse @ (V**2).T), rtol=1e-9)


@problems
def test_search_is_the_objective_along_the_line(p):
    objective = p.objective
    point = objective.evaluate(p.theta)
    U = objective.direction_margins(p.s_)
    for t in (0.0, 1.0, -0.7, 3.0):
        there = objective.evaluate(p.theta + t * p.s_)
        J, slope, curvature = objective.ray(point, p.s_, U).at(t)
        assert pytest.approx(there.J, rel=1e-11) == J
        assert slope == pytest.approx((there.gradient * p.s_).sum(), rel=1e-9, abs=1e-10)
        product = objective.hessian_vector(predictions(p, there), p.s_)
        assert curvature == pytest.approx((product * p.s_).sum(), rel=1e-8, abs=1e-10)


@problems
def test_evaluation_from_known_margins(p):
    point = p.objective.evaluate(p.theta)
    found = p.objective.at_residuals(p.theta, point.Z, *p.data.residuals(point.Z))
    assert pytest.approx(point.J, rel=1e-14) == found.J
    np.testing.assert_allclose(found.gradient, point.gradient, rtol=1e-9, atol=1e-10)


@problems
def test_pull_back_is_the_adjoint_of_the_margins(p):
    R = np.random.default_rng(1).standard_normal(p.objective.evaluate(p.theta).Z.shape)
    left = (R * p.objective.direction_margins(p.s_)).sum()
    assert left == pytest.approx((p.objective.pull_back(R) * p.s_).sum(), rel=1e-10)


@problems
def test_coordinates_change_nothing(p):
    d = p.X.shape[1]
    plain = Objective(p.data, p.l2, np.zeros(d), np.ones(d), p.objective.fit_bias)
    raw = p.objective.to_raw(p.theta)
    np.testing.assert_allclose(p.objective.from_raw(raw), p.theta, rtol=1e-12, atol=1e-12)
    assert plain.to_raw(raw) is raw
    there = plain.evaluate(raw)
    point = p.objective.evaluate(p.theta)
    assert pytest.approx(there.J, rel=1e-14) == point.J
    np.testing.assert_allclose(point.gradient, p.chain(there.gradient), rtol=1e-9, atol=1e-10)
    assert (p.objective.start() == 0.0).all()


@problems
def test_samples_add_up_to_the_whole(p):
    objective, rng = p.objective, np.random.default_rng(5)
    point = objective.evaluate(p.theta)
    order = rng.permutation(len(p.X)).astype(np.intp)
    sums, losses = np.zeros_like(p.theta), 0.0
    penalty = 0.5 * (objective.quadratic * p.theta**2).sum()
    for rows in (order[:7], order[7:41], order[41:]):
        part = objective.sample(rows, np.ones(len(rows)))
        here = part.evaluate(p.theta)
        np.testing.assert_allclose(here.Z, point.Z[:, rows], rtol=1e-9, atol=1e-9)
        losses += here.J - penalty
        sums += here.gradient - objective.quadratic * p.theta
        double = objective.sample(rows, np.full(len(rows), 2.0))
        assert double.evaluate(p.theta).J - penalty == pytest.approx(2 * (here.J - penalty))
        again = objective.sample_again(double, rows)
        assert again.evaluate(p.theta).J == pytest.approx(here.J, rel=1e-14)
    assert losses + penalty == pytest.approx(point.J, rel=1e-12)
    sums += objective.quadratic * p.theta
    np.testing.assert_allclose(sums, point.gradient, rtol=1e-9, atol=1e-10)


@problems
def test_a_class_hessian_of_all_rows_is_the_block_of_the_hessian(p):
    objective = p.objective
    a = predictions(p, objective.evaluate(p.theta))
    n, (K, D) = len(p.X), p.theta.shape
    rows = np.arange(n, dtype=np.intp)
    for k in range(K):
        H = objective.class_hessian(k, a, rows, np.ones(n))
        direct = np.empty((D, D))
        for j in range(D):
            unit = np.zeros_like(p.theta)
            unit[k, j] = 1.0
            direct[:, j] = objective.hessian_vector(a, unit)[k]
        if not objective.fit_bias:
            direct[:, -1] = direct[-1] = 0.0
            direct[-1, -1] = 1.0
        np.testing.assert_allclose(H, direct, rtol=1e-9, atol=1e-11)


@problems
def test_other_terms_are_added(p):
    quadratic, linear = p.objective.quadratic + 0.7, np.ones_like(p.theta) * 0.2
    tilted = p.objective.with_terms(quadratic, linear)
    point, there = p.objective.evaluate(p.theta), tilted.evaluate(p.theta)
    added = 0.35 * (p.theta**2).sum() + 0.2 * p.theta.sum()
    assert pytest.approx(point.J + added) == there.J
    np.testing.assert_allclose(there.gradient, point.gradient + 0.7 * p.theta + 0.2)
    U = tilted.direction_margins(p.s_)
    J, slope, _ = tilted.ray(there, p.s_, U).at(1.0)
    end = tilted.evaluate(p.theta + p.s_)
    assert pytest.approx(end.J) == J
    assert slope == pytest.approx((end.gradient * p.s_).sum())


@problems
def test_every_method_counts_its_reads(p):
    objective, n = p.objective, len(p.X)
    meter = p.data.meter
    point = objective.evaluate(p.theta)
    a = predictions(p, point)

    def reads(call, *args):
        before = meter.reads
        call(*args)
        return meter.reads - before

    assert reads(objective.evaluate, p.theta) == pytest.approx(1)
    assert reads(objective.evaluate_and_survey, p.theta, p.theta) == pytest.approx(1)
    half = 1.0 if len(p.theta) == 1 else 0.5
    assert reads(objective.direction_margins, p.s_) == pytest.approx(half)
    assert reads(objective.pull_back, point.Z) == pytest.approx(half)
    assert reads(objective.hessian_vector, a, p.s_) == pytest.approx(1)
    assert reads(objective.hessian, a) == pytest.approx(1)
    assert reads(objective.ray(point, p.s_, point.Z).at, 0.5) == 0
    assert reads(objective.ray(point, p.s_, point.Z).go, 0.5) == pytest.approx(half)
    rows = np.arange(n // 4, dtype=np.intp)
    assert reads(objective.sample, rows, np.ones(len(rows))) == pytest.approx(len(rows) / n)
    part = objective.sample(rows, np.ones(len(rows)))
    assert reads(part.evaluate, p.theta) == pytest.approx(len(rows) / n)


def test_projection_sums_to_zero_over_the_classes():
    p = Problem("ids3")
    assert np.abs(p.objective.project(p.s_).sum(axis=0)).max() < 1e-15
    binary = Problem("binary")
    assert binary.objective.project(binary.s_) is binary.s_
