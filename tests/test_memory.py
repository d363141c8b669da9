# SPDX-License-Identifier: BSD-3-Clause
"""What solvers keep of where they have been: the pairs of L-BFGS, and the points of a proof."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from logreg_c._combination import FEW, Combination
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers._driver import Goal
from logreg_c.solvers._memory import Memory
from logreg_c.solvers._proof import RECENT, Proof


def two_loops(pairs, g, initial):
    """Nocedal's recursion, as it is in textbooks."""
    q, parts = g.copy(), []
    for s, y in reversed(pairs):
        parts.append((s * q).sum() / (s * y).sum())
        q = q - parts[-1] * y
    q = initial(q)
    for (s, y), part in zip(pairs, reversed(parts), strict=True):
        q = q + (part - (y * q).sum() / (s * y).sum()) * s
    return q


def pairs_of(count, shape, seed):
    """Steps of all sizes and what the gradient of a quadratic changed by."""
    rng = np.random.default_rng(seed)
    curvature = rng.uniform(0.1, 10.0, shape)
    steps = rng.standard_normal((count, *shape)) * 10.0 ** rng.uniform(-6, 2, (count, 1, 1))
    return [(s, curvature * s) for s in steps], rng.standard_normal(shape)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 7), (1, 9000)])
@pytest.mark.parametrize("count", [0, 1, 4, 11])
def test_it_is_the_two_loops_of_the_last_pairs(count, shape):
    pairs, g = pairs_of(count, shape, count)
    memory = Memory(5, 2)
    for s, y in pairs:
        memory.add(s, y)
    found = memory.apply(g, lambda q: 0.5 * q)
    expected = two_loops(pairs[-5:], g, lambda q: 0.5 * q)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())
    # A larger one goes on from there.
    larger = Memory(7, 2, memory)
    more = pairs_of(4, shape, 99)[0]
    for s, y in more:
        larger.add(s, y)
    expected = two_loops([*pairs[-5:], *more][-7:], g, lambda q: 0.5 * q)
    found = larger.apply(g, lambda q: 0.5 * q)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())
    memory.clear()
    assert (memory.apply(g, lambda q: 2.0 * q) == 2.0 * g).all()


def test_pairs_without_curvature_are_not_kept():
    g = np.ones((1, 3))
    memory = Memory(5, 1)
    memory.add(g, -g)
    memory.add(g, 0.0 * g)
    assert (memory.apply(g, lambda q: 2.0 * q) == 2.0 * g).all()
    assert memory.scaling(lambda q: q) == 1.0
    assert (memory.scaled(lambda q: q, g) == g).all()
    memory.add(g, 4.0 * g)
    assert memory.scaling(lambda q: q) == 0.25
    assert (memory.scaled(lambda q: q, g) == 0.25 * g).all()


def test_what_is_known_of_some_coordinates():
    pairs, g = pairs_of(6, (2, 20), 7)
    memory = Memory(5, 1)
    for s, y in pairs:
        memory.add(s, y)
    places = np.array([3, 39, -1, 8, 20])
    some = memory.at(places)
    known = places >= 0
    cut = [[np.where(known, v.ravel()[places], 0.0)[None] for v in pair] for pair in pairs[-5:]]
    g = g.ravel()[places][None]
    expected = two_loops(cut, g, lambda q: 0.5 * q)
    np.testing.assert_allclose(some.apply(g, lambda q: 0.5 * q), expected, rtol=1e-9)
    # They go on to learn.
    more = pairs_of(2, (1, 5), 8)[0]
    for s, y in more:
        some.add(s, y)
    expected = two_loops([*cut, *more][-5:], g, lambda q: 0.5 * q)
    np.testing.assert_allclose(some.apply(g, lambda q: 0.5 * q), expected, rtol=1e-9)
    assert len(memory) == 5


def test_of_pairs_cut_short_only_those_with_a_curvature_are_known():
    memory = Memory(5, 1)
    memory.add(np.array([[1.0, 1.0, 1.0]]), np.array([[2.0, -1.0, 0.01]]))
    assert len(memory.at(np.array([0, 1, 2]))) == 1
    assert len(memory.at(np.array([1, 2]))) == 0
    assert len(memory.at(np.array([0]))) == 1
    assert len(memory.at(np.zeros(0, dtype=np.intp))) == 0
    # At right angles but for a little, where the second coordinate counts most.
    assert len(memory.at(np.array([0, 2]), np.array([1.0, 1e4]))) == 1
    memory.add(np.array([[1.0, 0.01, 0.0]]), np.array([[0.001, 1.0, 0.0]]))
    assert len(memory.at(np.array([0, 1]))) == 1


def test_of_a_full_memory_they_take_the_oldest_ones_place():
    pairs, g = pairs_of(7, (1, 30), 5)
    memory = Memory(4, 1)
    for s, y in pairs[:5]:
        memory.add(s, y)
    memory.add(pairs[5][0], -pairs[5][1])
    kept = pairs[2:5]
    for further in ([], pairs[5:6], pairs[6:]):
        for s, y in further:
            memory.add(s, y)
        kept = [*kept, *further][-4:]
        expected = two_loops(kept, g, lambda q: 0.5 * q)
        found = memory.apply(g, lambda q: 0.5 * q)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())
        assert len(Memory(6, 1, memory)) == len(kept)
        found = Memory(6, 1, memory).apply(g, lambda q: 0.5 * q)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("K", [1, 3])
def test_a_step_is_the_pair_of_its_points(K):
    objective = objective_of(K)
    way = [objective.evaluate(objective.start())]
    for _ in range(4):
        way.append(objective.evaluate(way[-1].theta - 0.5 * way[-1].gradient))
    one, other = Memory(3, 1), Memory(3, 1)
    for before, after in itertools.pairwise(way):
        one.add_step(before, after)
        other.add(after.theta - before.theta, after.gradient - before.gradient)
    g = way[0].gradient
    assert (one.apply(g, lambda q: q) == other.apply(g, lambda q: q)).all()


def test_the_memory_has_the_same_bits_for_any_number_of_threads():
    pairs, g = pairs_of(8, (1, 300_000), 3)
    found = []
    for threads in (1, 2, 3, 8):
        memory = Memory(5, threads)
        for s, y in pairs:
            memory.add(s, y)
        found.append(memory.apply(g, lambda q: 0.5 * q).tobytes())
    assert found == found[:1] * 4


def objective_of(K, threads=1):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 6))
    y = rng.integers(0, max(K, 2), 300)
    problem = Problem(X, y, None, None, True, 0, threads)
    return problem.pose(as_penalty(0.01, 0.0, None, None, None, 6)).objective


@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("between", [1, 3, 20])
def test_bounds_on_the_way_change_nothing_of_the_last_one(K, between):
    objective = objective_of(K)
    rng = np.random.default_rng(1)
    way = [objective.evaluate(objective.start())]
    for k in range(11):
        point = way[-1]
        s = -point.gradient * rng.uniform(0.5, 2.0, point.theta.shape) / (1.0 + 0.1 * k)
        way.append(objective.evaluate(point.theta + s))
    combination = Combination(objective, 5)
    for k, point in enumerate(way):
        combination.add(point)
        if k % between == 0 and k < len(way) - 1:
            combination.lower_bound()
            combination.add_direction(-combination.residual)
    alone = Combination(objective, 5)
    for point in way[-5:]:
        alone.add(point)
    for _ in range(7):
        lower = combination.lower_bound()
        assert lower <= point.J
        assert point.J - alone.lower_bound() == pytest.approx(point.J - lower, rel=1e-6)
        np.testing.assert_allclose(
            combination.residual, alone.residual, rtol=1e-6, atol=1e-9 * np.abs(point.theta).max()
        )
        combination.add_direction(-point.gradient)
        alone.add_direction(-point.gradient)


@pytest.mark.parametrize("K", [1, 3])
def test_a_direction_counts_and_not_its_length(K):
    objective = objective_of(K)
    first = objective.evaluate(objective.start())
    point = objective.evaluate(first.theta - first.gradient)
    found = []
    for length in (1.0, 1e4):
        combination = Combination(objective)
        combination.add(first)
        combination.add(point)
        combination.add_direction(-length * point.gradient)
        found.append(combination.lower_bound())
    assert -np.inf < found[0] == pytest.approx(found[1], rel=1e-9)


@pytest.mark.parametrize("K", [1, 3])
def test_a_bound_that_will_not_do_is_left_out_by_its_second_order(K, monkeypatch):
    objective = objective_of(K)
    combination = Combination(objective)
    point = objective.evaluate(objective.start())
    for _ in range(9):
        combination.add(point)
        point = objective.evaluate(point.theta - 0.5 * point.gradient)
    bound = combination._points[0].J - combination.lower_bound()
    assert combination.bound == pytest.approx(bound, rel=1e-6)
    residual = combination.residual
    assert combination.lower_bound(2.0 * bound) == combination._points[0].J - bound
    monkeypatch.setattr(objective.data, "divergence", None)  # which goes over all rows
    assert combination.lower_bound(0.5 * bound) == -np.inf
    assert combination.bound == pytest.approx(bound, rel=0.05)
    np.testing.assert_allclose(combination.residual, residual, rtol=0, atol=1e-6)


def test_more_iterations_are_to_come_while_a_bound_is_far():
    objective = objective_of(1)
    proof = Proof(objective, Goal(1e-3), FEW)
    point = objective.evaluate(objective.start())
    proof.add(point)
    proof.of(point, 1.0, lambda point, gap: None, lambda g: g)
    assert not proof.nearly_done(3.0)
    proof._decrements += [1e-1, 1e-2]
    # A little more than one iteration is left to 1e-3 of J.
    assert proof.nearly_done(3.0)
    assert not proof.nearly_done(1.0)
    proof._decrements += [1e-3, 1e-4]
    assert proof.nearly_done(1.0)
    proof._excess = 1e9
    assert not proof.nearly_done(3.0)
    # J hardly falls, and to the goal it need not.
    proof._values = [1.0 + 0.5**k * 1e-4 for k in range(2 * RECENT + 1)]
    proof._excess = 0.0
    assert proof.iterations_left() == 0.0
    proof._excess = 1e9
    assert proof.iterations_left() > RECENT


def test_what_was_never_written_is_never_read(monkeypatch):
    empty = np.empty

    def full_of_nan(*arguments, **keywords):
        out = empty(*arguments, **keywords)
        if out.dtype == np.float64:
            out.fill(np.nan)
        return out

    monkeypatch.setattr(np, "empty", full_of_nan)
    rng = np.random.default_rng(0)
    diagonal = rng.uniform(1.0, 2.0, (1, 50))
    memory = Memory(10, 1)
    for _ in range(25):
        s, g = rng.standard_normal((2, 1, 50))
        memory.add(s, diagonal * s if rng.random() < 0.8 else -s)
        assert np.isfinite(memory.apply(g, lambda q: q)).all()
        assert np.isfinite(memory.at(np.arange(40)).apply(g[:, :40], lambda q: q)).all()
