# SPDX-License-Identifier: BSD-3-Clause
"""To the optimum of the breast cancer data, whose columns are left as they are.

Their standard deviations go from 0.003 to 570. `logreg_c.fit` proves how near to the optimum it
is; gradient descent, and scikit-learn if it is installed, are held against what it found.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

import logreg_c

DATA = Path(__file__).parent / "data" / "breast_cancer.csv"
STEPS = 100_000


def tell(name: str, J: float, least: float) -> None:
    """Print a line: J, and how far above the optimum it is."""
    print(f"  {name:<44} J = {J:.8f}, {J / least - 1.0:9.4%} above")


def main() -> None:
    """Fit, and compare."""
    table = np.loadtxt(DATA, delimiter=",", skiprows=1)
    X, y = table[:, :-1], table[:, -1]
    l2 = 1.0 / len(y)  # scikit-learn's C = 1

    result = logreg_c.fit(X, y, l2=l2)
    print(f"logreg_c.fit: {result.reason}")
    print(f"  J = {result.objective:.10f}, the optimum is at most {result.gap:.1e} below")
    print(f"  {result.n_iter} iterations of {result.solver}, {result.n_passes:.0f} passes over X")

    print("\nOthers:")
    # The inverse of the largest curvature that J can have; twice that may diverge.
    rate = 4.0 * len(y) / float(np.linalg.norm(np.column_stack([X, np.ones(len(y))]), 2)) ** 2
    w, b, _, _ = logreg_c.gradient_descent(X, y, learning_rate=rate, n_iter=STEPS, l2=l2)
    J = logreg_c.loss(X, y, w, b, l2=l2)
    tell(f"gradient descent, {STEPS:,} steps of {rate:.1e}", J, result.objective)
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        return
    for limit in (100, 1000):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged, which is told here
            model = LogisticRegression(C=1.0, max_iter=limit).fit(X, y)
        J = logreg_c.loss(X, y, model.coef_[0], model.intercept_[0], l2=l2)
        tell(f"scikit-learn, {model.n_iter_[0]:,} iterations", J, result.objective)


if __name__ == "__main__":
    main()
