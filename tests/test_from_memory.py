# SPDX-License-Identifier: BSD-3-Clause
"""An X that is taken to come from memory, which is read in another way than a small one."""

from __future__ import annotations

import numpy as np
import pytest

import logreg_c

BYTES = 4_300_000
# A row of a few vectors, short ones, and long ones, in both types; no multiples of a vector.
COLUMNS = [3, 17, 100, 301, 1203]


@pytest.fixture(scope="module", params=[np.float64, np.float32])
def dtype(request):
    return request.param


def data(d, dtype, order):
    n = BYTES // (d * np.dtype(dtype).itemsize) + 5
    rng = np.random.default_rng(d)
    return rng.standard_normal((n, d)).astype(dtype, order=order), rng


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("d", COLUMNS)
def test_two_classes(isa, dtype, d, order):
    X, rng = data(d, dtype, order)
    y, w = (rng.random(len(X)) < 0.5).astype(float), rng.standard_normal(d) / np.sqrt(d)
    a = 1 / (1 + np.exp(-(X.astype(float) @ w + 0.3)))
    dz = (a - y) / len(X)
    dw = dz @ X.astype(float)

    np.testing.assert_allclose(logreg_c.forward(X, w, 0.3, n_threads=2), a, rtol=1e-12)
    back = logreg_c.backward(X, a, y, n_threads=2)
    both = logreg_c.loss_and_gradient(X, y, w, 0.3, n_threads=2)
    for found in (back, both):
        np.testing.assert_allclose(found.dw, dw, rtol=0, atol=1e-14)
        assert found.db == pytest.approx(dz.sum(), abs=1e-14)
    assert both.loss == pytest.approx(-np.log(np.where(y == 1, a, 1 - a)).mean(), rel=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("K", [2, 3, 7])
@pytest.mark.parametrize("d", COLUMNS)
def test_several_classes(isa, dtype, d, K, order):
    X, rng = data(d, dtype, order)
    n = len(X)
    y, theta = rng.integers(0, K, n).astype(np.int32), rng.standard_normal((K, d + 1)) / np.sqrt(d)
    V = np.column_stack([X.astype(float), np.ones(n)])
    Z = theta @ V.T
    R = np.exp(Z) / np.exp(Z).sum(axis=0)
    R[y, np.arange(n)] -= 1

    margins, gradient, product = np.empty((K, n)), np.empty_like(theta), np.empty_like(theta)
    isa.evaluate(X, y, None, float(n), None, theta, margins, gradient, 2)
    isa.class_transpose_product(X, R, product, 2)
    np.testing.assert_allclose(margins, Z, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gradient, R @ V / n, rtol=0, atol=1e-14)
    np.testing.assert_allclose(product / n, R @ V / n, rtol=0, atol=1e-14)
