# SPDX-License-Identifier: BSD-3-Clause
"""The textbook's loop, and the call that replaces it, on real data.

Trains logistic regression twice by the same gradient descent, once with loops over Python lists
and once with `logreg_c.gradient_descent`, and compares coefficients and time. Draws the learning
curve as learning_curve.png in the current folder, or here in the terminal without matplotlib.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

import logreg_c

DATA = Path(__file__).parent / "data" / "breast_cancer.csv"
LEARNING_RATE = 0.1
PASSES = 500

Floats = NDArray[np.float64]
Result = TypeVar("Result")


def load() -> tuple[Floats, Floats, Floats, Floats]:
    """Return training and held-out examples and labels; every fifth tumour is held out."""
    table = np.loadtxt(DATA, delimiter=",", skiprows=1)
    X, y = table[:, :-1], table[:, -1]
    held_out = np.arange(len(y)) % 5 == 4
    # The held-out part must not shape the training, so it has no say in mean and spread.
    X = (X - X[~held_out].mean(axis=0)) / X[~held_out].std(axis=0)
    return X[~held_out], y[~held_out], X[held_out], y[held_out]


def textbook(
    X: list[list[float]], y: list[float], learning_rate: float, passes: int
) -> tuple[list[float], float, list[float]]:
    """Gradient descent as the textbook writes it: returns w, b and the loss of each pass."""
    m, d = len(X), len(X[0])
    w, b, losses = [0.0] * d, 0.0, []
    for _ in range(passes):
        J, dw, db = 0.0, [0.0] * d, 0.0
        for i in range(m):
            z = b
            for j in range(d):
                z += w[j] * X[i][j]
            a = 1 / (1 + math.exp(-z))
            J += -(y[i] * math.log(a) + (1 - y[i]) * math.log(1 - a))
            dz = a - y[i]
            for j in range(d):
                dw[j] += X[i][j] * dz
            db += dz
        for j in range(d):
            w[j] -= learning_rate * dw[j] / m
        b -= learning_rate * db / m
        losses.append(J / m)
    return w, b, losses


def timed(train: Callable[[], Result]) -> tuple[Result, float]:
    """Train three times; return the result and the milliseconds of the fastest run."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        result = train()
        times.append(time.perf_counter() - start)
    return result, min(times) * 1e3


def held_out_losses(X: Floats, y: Floats, X_held: Floats, y_held: Floats) -> list[float]:
    """Train once more; return the held-out loss before each update, as the training loss is."""
    losses = [logreg_c.loss(X_held, y_held, np.zeros(X.shape[1]))]
    logreg_c.gradient_descent(
        X,
        y,
        learning_rate=LEARNING_RATE,
        n_iter=PASSES - 1,
        callback=lambda state: losses.append(logreg_c.loss(X_held, y_held, state.w, state.b)),
    )
    return losses


def draw(loop: list[float], call: list[float], held_out: list[float], path: Path) -> None:
    """Draw the learning curve as a picture."""
    import matplotlib as mpl

    mpl.use("agg")  # no window, so that it works over a plain terminal connection too
    from matplotlib import pyplot as plt

    passes = range(1, len(call) + 1)
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    axes.plot(passes, loop, color="#fbbf24", linewidth=7, label="training, Python loop")
    axes.plot(passes, call, color="#1d4ed8", linewidth=2, label="training, logreg_c")
    axes.plot(passes, held_out, color="#b91c1c", linestyle="--", label="held out")
    axes.set(xscale="log", xlim=(1, len(call)), ylim=(0, None))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="passes over the examples", ylabel="loss (nats per example)")
    axes.set_title("Gradient descent on breast cancer Wisconsin", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e7eb")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def chart(losses: list[float], width: int = 64, height: int = 12) -> str:
    """Draw the learning curve in plain characters, passes on a logarithmic scale."""
    top = max(losses)
    rows = [[" "] * width for _ in range(height)]
    for column in range(width):
        done = round(len(losses) ** (column / (width - 1)))
        rows[round((1 - losses[done - 1] / top) * (height - 1))][column] = "*"
    edge = [f"{top:.2f}", *[""] * (height - 2), "0.00"]
    lines = [f"{mark:>6} |{''.join(row)}".rstrip() for mark, row in zip(edge, rows, strict=True)]
    axis = f"{1:<{width // 3}}{'passes':<{width // 3}}{len(losses):>{width - 2 * (width // 3)}}"
    return "\n".join([*lines, f"{'':>6} +{'-' * width}", f"{'':>6}  {axis}"])


def main() -> None:
    """Train twice, compare, draw."""
    X, y, X_held, y_held = load()
    print(f"Breast cancer Wisconsin: {X.shape[1]} measurements of {len(y) + len(y_held)} tumours")
    print(f"{len(y)} to learn from, {len(y_held)} held out")
    print(f"\nGradient descent, {PASSES} passes, learning rate {LEARNING_RATE}:")

    rows, labels = X.tolist(), y.tolist()
    (w, b, losses), loop_ms = timed(lambda: textbook(rows, labels, LEARNING_RATE, PASSES))
    print(f"  a loop over Python lists   {loop_ms:7.1f} ms")
    result, ms = timed(
        lambda: logreg_c.gradient_descent(X, y, learning_rate=LEARNING_RATE, n_iter=PASSES)
    )
    print(f"  logreg_c.gradient_descent  {ms:7.1f} ms   {loop_ms / ms:.0f} times as fast")
    difference = np.abs(np.append(result.w, result.b) - [*w, b]).max()
    print(f"  largest difference between their coefficients: {difference:.1e}")

    right = int((logreg_c.predict(X_held, result.w, result.b) == y_held).sum())
    print(f"\nHeld-out accuracy: {right / len(y_held):.1%} ({right} of {len(y_held)})")

    verdict = str(logreg_c.check_gradient(X, y, result.w, result.b)).splitlines()[-1]
    print(f"Is the gradient right? Kernel, computation graph and central differences\n{verdict}")

    held_out = held_out_losses(X, y, X_held, y_held)
    try:
        path = Path("learning_curve.png").resolve()
        draw(losses, result.loss_history.tolist(), held_out, path)
        print(f"\nLearning curve: {path}")
    except ImportError:
        print(f"\nLearning curve, the loss of each pass:\n{chart(result.loss_history.tolist())}")


if __name__ == "__main__":
    main()
