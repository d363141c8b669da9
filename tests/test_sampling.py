# SPDX-License-Identifier: BSD-3-Clause
"""Which rows a sample takes, and that their weights stand for all rows."""

from __future__ import annotations

import numpy as np
import pytest

from logreg_c import _kernels, fit
from logreg_c._data import Dense
from logreg_c._sampling import by_importance, spread_out, stratified


def test_draw_takes_rows_where_the_accumulated_probability_passes_each_whole_number():
    rng = np.random.default_rng(0)
    size = rng.integers(1, 200, 1000) / 64.0  # sums of these are exact
    k, first = 0.25, 0.375
    probability = np.minimum(1.0, k * size)
    ends = np.cumsum(probability)
    expected = np.searchsorted(ends, np.arange(first, ends[-1] + 1e-9, 1.0))
    rows, weight = np.empty(1000, dtype=np.intp), np.empty(1000)
    count = _kernels.kernels.draw(size, k, first, rows, weight)
    np.testing.assert_array_equal(rows[:count], expected)
    np.testing.assert_array_equal(weight[:count], 1.0 / probability[expected])


def test_draw_never_writes_beyond_the_room_there_is():
    rows, weight = np.full(5, -1, dtype=np.intp), np.full(5, -1.0)
    count = _kernels.kernels.draw(np.ones(10), 1.0, 0.0, rows[:3], weight[:3])
    assert count == 3
    np.testing.assert_array_equal(rows, [0, 1, 2, -1, -1])
    np.testing.assert_array_equal(weight, [1.0, 1.0, 1.0, -1.0, -1.0])


def test_rows_that_matter_alone_are_taken_for_certain():
    importance = np.full(5000, 1e-3)
    heavy = np.array([0, 17, 2500, 4999])
    importance[heavy] = 100.0
    rows, weight = by_importance(importance, 200, np.random.default_rng(1))
    assert np.isin(heavy, rows).all()
    np.testing.assert_array_equal(weight[np.isin(rows, heavy)], 1.0)
    assert abs(len(rows) - 200) <= 1
    assert (np.diff(rows) > 0).all()


def test_rows_that_seem_to_matter_more_than_all_others_do_not_drown_them():
    importance = np.random.default_rng(3).chisquare(1, 20_000)
    heavy = np.array([5, 77, 19_000])
    importance[heavy] = [1e3, 1e6, 1e9]
    rows, weight = by_importance(importance.copy(), 1000, np.random.default_rng(0))
    assert np.isin(heavy, rows).all()
    assert abs(len(rows) - 1000) <= 1
    kept = ~np.isin(rows, heavy)
    # In proportion to importance, with a part of 0.3 / 1.3 that is not.
    expected = 1.3 * 20_000 / 1000 / (importance[rows[kept]] + 0.3)
    np.testing.assert_allclose(weight[kept], np.maximum(expected, 1.0), rtol=0.1)


@pytest.mark.parametrize("m", [1, 50, 3000, 10_000])
def test_weights_stand_for_all_rows(m):
    rng = np.random.default_rng(2)
    importance = rng.chisquare(1, 4000)
    values = importance + 1.0
    found = []
    for seed in range(200):
        rows, weight = by_importance(importance.copy(), m, np.random.default_rng(seed))
        assert len(np.unique(rows)) == len(rows)
        found.append(weight @ values[rows])
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - values.sum()) <= 5 * error + 1e-9 * values.sum()


@pytest.mark.parametrize(("count", "n"), [(1, 1), (3, 7), (7, 7), (100, 1_000_003)])
def test_spread_out_draws_once_from_each_range(count, n):
    seen = set()
    for seed in range(20):
        rows = spread_out(count, n, np.random.default_rng(seed))
        ends = np.arange(count + 1) * n // count
        assert ((rows >= ends[:-1]) & (rows < ends[1:])).all()
        seen.update(rows.tolist())
    assert len(seen) == n if count == n else len(seen) >= min(count, n)


def test_every_prefix_of_a_stratified_sample_has_both_classes():
    n = 20_000
    y = np.zeros((1, n))
    y[0, :40] = 1.0  # data come sorted
    data = Dense(np.zeros((n, 1)), y, 1, None, float(n), None, 1)
    rows, weight = stratified(data, 1000, np.random.default_rng(0))
    assert len(np.unique(rows)) == len(rows)
    positive = y[0, rows] > 0.5
    assert positive.sum() == 40
    assert positive[:250].any()
    np.testing.assert_allclose([weight[positive].sum(), weight[~positive].sum()], [40, n - 40])


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_leverages_that_are_not_finite_are_rounding(bad):
    """What solvers take for the end of their way, where another goes on."""
    with pytest.raises(FloatingPointError, match="leverages"):
        by_importance(np.array([1.0, bad, 2.0]), 2, np.random.default_rng(0))


def test_a_fit_whose_leverages_overflow_goes_on_by_newton():
    rng = np.random.default_rng(17)
    X, y = rng.standard_normal((40, 3)), rng.integers(0, 3, 40)
    X[:, 2] = X[:, 1]
    offset = 1e4 * rng.choice([-1.0, 1.0], (40, 3)) * (1.0 + rng.random((40, 3)))
    found = fit(X, y, offset=offset, solver="blocks", fit_intercept=False)
    assert found.converged
    assert found.solver == "newton"
