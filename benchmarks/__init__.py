# SPDX-License-Identifier: BSD-3-Clause
"""Measurements of logreg_c; run them from the checkout, as in ``python -m benchmarks.kernels``."""
