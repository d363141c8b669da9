# SPDX-License-Identifier: BSD-3-Clause
"""scikit-learn's own data and J of a model, for the tests of the estimators."""

from __future__ import annotations

import numpy as np
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from logreg_c import LogisticRegression


def data(name, standardised=True):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return (StandardScaler().fit_transform(X) if standardised else X), y


def fitted(name):
    X, y = data(name)
    return X, y, LogisticRegression().fit(X, y)


def objective(X, y, model, C, weight=None):
    """J, written as the formulas stand."""
    z = X @ model.coef_.T + model.intercept_
    z = np.column_stack([np.zeros(len(X)), z[:, 0]]) if z.shape[1] == 1 else z
    ids = np.searchsorted(model.classes_, y)
    top = z.max(axis=1)
    losses = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top - z[np.arange(len(X)), ids]
    s = np.ones(len(X)) if weight is None else weight
    return (s @ losses + (model.coef_**2).sum() / (2 * C)) / s.sum()
