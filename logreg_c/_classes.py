# SPDX-License-Identifier: BSD-3-Clause
"""Labels of any type as positions 0, 1, ... among the sorted classes, and weights of classes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._validation import Floats, Indices, as_number

# Integer labels this far apart or less are counted, more are sorted.
_WIDEST_COUNT = 1 << 16


def encode(y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sorted labels in y, and the position of each example's label among them.

    Two labels, and integers that lie close together, are found without a sort: sorting a million
    labels takes longer than a fit.

    Parameters
    ----------
    y : ndarray of shape (n,)
        At least one label.

    Returns
    -------
    tuple of ndarray
        The labels, shape (K,), of y's dtype, and the positions, shape (n,), booleans where K is at
        most 2, else integers.
    """
    if y.dtype.kind in "iu":
        low, high = int(np.minimum.reduce(y)), int(np.maximum.reduce(y))
        if high - low == 1:
            return np.array([low, high], y.dtype), y == high
        if 1 < high - low <= _WIDEST_COUNT and high <= sys.maxsize:
            above = y.astype(np.intp, copy=False) - low
            present = np.bincount(above).nonzero()[0]
            classes = (present + low).astype(y.dtype)
            if len(present) == 2:
                return classes, y == high
            return classes, above if len(present) > high - low else present.searchsorted(above)
    if y.dtype.kind in "biufU":
        differs = y != y[0]
        other = int(differs.argmax())
        if not differs[other]:
            return y[:1].copy(), differs
        if (differs == (y == y[other])).all():
            classes = y[[0, other]]
            return (classes, differs) if classes[0] < classes[1] else (classes[::-1], ~differs)
    return np.unique(y, return_inverse=True)


def encode_plain(y: Any, n: int) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return what `encode` does for an array of n numbers that are labels beyond doubt, or None.

    Fractions may be the targets of a regression, and so may labels of which there are nearly as
    many as examples; more thorough checks than these tell.
    """
    if type(y) is not np.ndarray or y.shape != (n,) or y.dtype.kind not in "biuf":
        return None
    classes, ids = encode(y)
    if 2 * len(classes) > n:
        return None
    if y.dtype.kind == "f" and not (np.isfinite(classes) & (classes == np.rint(classes))).all():
        return None
    return classes, ids


def positions(y: NDArray[Any], classes: NDArray[Any]) -> Indices:
    """Return the position of each label in the sorted classes, or say which one is not there."""
    ids = np.searchsorted(classes, y)
    ids[ids == len(classes)] = 0
    known = classes[ids] == y
    if not known.all():
        i = int(np.argmin(known))
        raise ValueError(
            f"y[{i}] is {y[i : i + 1].tolist()[0]!r}, which is not one of the classes "
            f"{classes.tolist()}; give all classes in the first call"
        )
    return ids


def weights_of_classes(class_weight: Any, classes: NDArray[Any], totals: Floats) -> Floats:
    """Return a weight for each class.

    Parameters
    ----------
    class_weight : dict or "balanced"
        Weights by label, 1 for those left out; "balanced" gives every class the same total weight,
        and all together the one they have.
    classes : ndarray of shape (K,)
        The labels.
    totals : ndarray of shape (K,)
        Sums of the examples' weights in each class, above 0.

    Returns
    -------
    ndarray of shape (K,)
        The weights, above 0.

    Raises
    ------
    ValueError, TypeError
        If `class_weight` is something else, a weight is not above 0, or it names a label that does
        not occur while it leaves out one that does.
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        weights: Floats = totals.sum() / (len(classes) * totals)
        return weights
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"class_weight is {class_weight!r}; give a dict of weights by label, 'balanced' or None"
        )
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    left_out = [label for label in labels if label not in class_weight]
    # One that is not in this part of the data may be in another; with one missing it is a mistake.
    if unknown and left_out:
        raise ValueError(
            f"class_weight has a weight for {unknown[0]!r}, which is not a label in y, and none "
            f"for {left_out[0]!r}, which is; its keys must be labels: {labels}"
        )
    return np.array(
        [
            as_number(class_weight.get(label, 1.0), f"class_weight[{label!r}]", above=0.0)
            for label in labels
        ]
    )
