# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's own data, for the tests of the estimators."""

from __future__ import annotations

from sklearn import datasets
from sklearn.preprocessing import StandardScaler


def data(name, standardised=True):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return (StandardScaler().fit_transform(X) if standardised else X), y
