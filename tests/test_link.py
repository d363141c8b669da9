# SPDX-License-Identifier: BSD-3-Clause
"""exp, log1p and sigmoid against mpmath, on every instruction set."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import logreg_c

SMALLEST = 5e-324


def ulps(found, exact):
    """Differences in units in the last place of the exact value, subnormals included."""
    out = []
    with mpmath.workprec(200):
        for value, truth in zip(found.tolist(), exact, strict=True):
            unit = max(abs(float(np.spacing(float(truth)))), SMALLEST)
            out.append(float(abs(mpmath.mpf(value) - truth) / unit))
    return np.array(out)


def arguments():
    rng = np.random.default_rng(0)
    reductions = -np.arange(1076) * np.log(2)  # k log 2, and the edges half a step away
    return np.concatenate(
        [
            -rng.uniform(0, 1, 1500),
            -rng.uniform(0, 40, 1500),
            -rng.uniform(0, 750, 1500),
            -(10.0 ** rng.uniform(-320, 0, 500)),
            reductions,
            reductions - np.log(2) / 2,
            np.nextafter(reductions, -np.inf),
            [0.0, -0.0, -708.0, -708.4, -709.1, -744.0, -745.0, -745.13, -745.14, -746.0],
        ]
    )


def test_exp_and_log1p_are_within_two_units_in_the_last_place(isa):
    t = arguments()
    t = t[t <= 0]
    e, log1p_e = np.empty_like(t), np.empty_like(t)
    isa.link_functions(t, e, log1p_e)
    with mpmath.workprec(200):
        exact = [mpmath.exp(mpmath.mpf(value)) for value in t.tolist()]
        exact_log = [mpmath.log1p(mpmath.mpf(value)) for value in e.tolist()]
    assert ulps(e, exact).max() <= 2
    assert ulps(log1p_e, exact_log).max() <= 2


def test_exp_at_the_ends(isa):
    t = np.array([0.0, -0.0, -np.inf, np.nan, -1e308, -800.0, -SMALLEST])
    e, log1p_e = np.empty_like(t), np.empty_like(t)
    isa.link_functions(t, e, log1p_e)
    np.testing.assert_array_equal(e, [1, 1, 0, np.nan, 0, 0, 1])
    assert log1p_e[0] == np.log(2)
    assert np.isnan(log1p_e[3])
    assert log1p_e[2] == 0


def test_sigmoid_is_right_everywhere(isa):
    z = np.concatenate([arguments(), -arguments()])
    with mpmath.workprec(200):
        # The form without cancellation: at 1 / (1 + exp(745)) 200 bits are not enough.
        exact = [
            mpmath.exp(v) / (1 + mpmath.exp(v)) if v < 0 else 1 / (1 + mpmath.exp(-v))
            for v in map(mpmath.mpf, z.tolist())
        ]
    assert ulps(logreg_c.sigmoid(z), exact).max() <= 4


@pytest.mark.parametrize(
    ("z", "a"),
    [(0.0, 0.5), (-0.0, 0.5), (np.inf, 1.0), (-np.inf, 0.0), (1e308, 1.0), (-1e308, 0.0)],
)
def test_sigmoid_at_the_ends(isa, z, a):
    assert logreg_c.sigmoid(z) == a


def test_sigmoid_keeps_nan_shape_and_type(isa):
    assert np.isnan(logreg_c.sigmoid(np.nan))
    assert type(logreg_c.sigmoid(3)) is float
    assert logreg_c.sigmoid(np.zeros((2, 3, 4))).shape == (2, 3, 4)
    assert logreg_c.sigmoid(np.zeros((0, 3))).shape == (0, 3)
    assert logreg_c.sigmoid(np.zeros(3, np.float32)).dtype == np.float32
    assert logreg_c.sigmoid([True, False]).dtype == np.float64
    assert logreg_c.sigmoid(np.ones((4, 6))[::2, ::3]).tolist() == [[logreg_c.sigmoid(1.0)] * 2] * 2


def test_sigmoid_does_not_change_its_argument(isa):
    z = np.array([1.0, 2.0])
    z.flags.writeable = False
    logreg_c.sigmoid(z)
    assert z.tolist() == [1.0, 2.0]
