# SPDX-License-Identifier: BSD-3-Clause
"""Logistic regression at memory speed, to a proved optimum.

- `fit` minimises the averaged cross-entropy, with a ridge penalty or without, for two classes or
  several, on columns as they are, and proves how near to the optimum it is.
- `regularization_path` does that for a whole grid of penalties.
- `LogisticRegression` is the same as an estimator of scikit-learn's (if that is installed), and
  `LogisticRegressionCV` chooses its penalty by cross-validation.
- `forward`, `loss`, `backward`, `loss_and_gradient` and others are the passes that fits are made
  of, compiled, each reading X once, and `gradient_descent` is the textbook's loop over them.
- `graph` is the computation graph in plain Python that the passes are tested against, and
  `check_gradient` compares the two on your data.

`set_num_threads` sets how many threads all of it takes, which changes no bit of a result.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from . import graph
from ._kernels import get_num_threads, set_num_threads, show_config
from .api import (
    Gradient,
    LossAndGradient,
    backward,
    forward,
    gradient_noise,
    loss,
    loss_and_gradient,
    per_example_gradients,
    predict,
    predict_proba,
    sigmoid,
)
from .checking import GradientCheck, check_gradient
from .descent import DescentState, GradientDescentResult, gradient_descent
from .fitting import ConvergenceWarning, FitResult, FitState, SeparationWarning, fit
from .paths import RegularizationPath, regularization_path

if TYPE_CHECKING:
    from .sklearn import LogisticRegression as LogisticRegression
    from .sklearn_cv import LogisticRegressionCV as LogisticRegressionCV

__version__ = "0.1.0"

__all__ = [
    "ConvergenceWarning",
    "DescentState",
    "FitResult",
    "FitState",
    "Gradient",
    "GradientCheck",
    "GradientDescentResult",
    "LossAndGradient",
    "RegularizationPath",
    "SeparationWarning",
    "__version__",
    "backward",
    "check_gradient",
    "fit",
    "forward",
    "get_num_threads",
    "gradient_descent",
    "gradient_noise",
    "graph",
    "loss",
    "loss_and_gradient",
    "per_example_gradients",
    "predict",
    "predict_proba",
    "regularization_path",
    "set_num_threads",
    "show_config",
    "sigmoid",
]


if not TYPE_CHECKING:
    # An estimator is fetched when it is asked for, so that who does without it neither waits for
    # scikit-learn nor needs it. For the same reason it is not in __all__.
    def __getattr__(name: str) -> Any:
        if name == "LogisticRegression":
            from .sklearn import LogisticRegression

            return LogisticRegression
        if name == "LogisticRegressionCV":
            from .sklearn_cv import LogisticRegressionCV

            return LogisticRegressionCV
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        # help() fetches all that is listed here.
        fetchable = ["LogisticRegression", "LogisticRegressionCV"] if find_spec("sklearn") else []
        return [*__all__, *fetchable]
