# SPDX-License-Identifier: BSD-3-Clause
"""Logistic regression at memory speed.

The passes of logistic regression as a computation graph: forward, loss, gradient, and gradient
descent, compiled, and tested against the pure-Python graph in `logreg_c.graph`.
"""

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
from .fitting import ConvergenceWarning, FitResult, FitState, fit

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
    "set_num_threads",
    "show_config",
    "sigmoid",
]
