# SPDX-License-Identifier: BSD-3-Clause
"""The data that solvers are raced on: seeded imitations of well-known shapes, and real tables.

The imitations have what makes the originals hard: raw scales, rare columns, integers, heavy
tails, classes that no linear model tells apart. Real tables are read from the checkout, from
scikit-learn, or from a folder: dense ones from ``NAME.npz`` that holds X and y, sparse ones from
``NAME_X.npz``, which SciPy wrote, and ``NAME_y.npz``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rivals import Floats
from .sparse_data import Labels, clicks, coin_tosses, text

# X is an array, or a matrix of SciPy in compressed rows.
Table = tuple[Any, Labels]
Maker = Callable[[], Table]
CANCER = Path(__file__).parent.parent / "examples" / "data" / "breast_cancer.csv"


@dataclass(frozen=True)
class Penalty:
    """L2 by its C, l2 = 1/(C n), or L1 by its part of the least at which all weights are zero."""

    kind: str
    size: float
    # What stands for it in tables, where it is part of a series.
    title: str = ""

    def __str__(self) -> str:
        """Name it."""
        if self.title:
            return self.title
        return f"C={self.size:g}" if self.kind == "L2" else f"l1=max/{self.size:g}"

    def strengths(self, X: Any, y: Labels) -> tuple[float, float]:
        """Return l1 and l2."""
        if self.kind == "L2":
            return 0.0, 1 / (self.size * len(y))
        return largest_l1(X, y) / self.size, 0.0


def largest_l1(X: Any, y: Labels) -> float:
    """Return the least l1 at which all weights are zero, the bias free."""
    R = np.eye(int(y.max()) + 1)[y]
    R -= R.mean(axis=0)
    return float(np.abs(X.T @ R).max()) / len(y)


def by_C(*sizes: float) -> tuple[Penalty, ...]:
    """Make penalties of L2."""
    return tuple(Penalty("L2", size) for size in sizes)


def by_part(*sizes: float) -> tuple[Penalty, ...]:
    """Make penalties of L1."""
    return tuple(Penalty("L1", size) for size in sizes)


DENSE, SPARSE = by_C(1, 0.01, 1e4), by_C(0.1, 1, 100)
L1 = by_part(10, 100, 1000)


@dataclass(frozen=True)
class Dataset:
    """How to get X and y (class ids 0, 1, ...), and what to run on them.

    Of sets that are `small`, calling costs more than computing, so our scikit-learn face runs as
    well. Sets of our `own` are for logreg_c alone. `memory` asks for the peak memory of each fit.
    A set with a `file` is read from the folder of real data, and `make` is None. `penalties` are
    what it is raced at when all is raced.
    """

    make: Maker | None = None
    file: str = ""
    penalties: tuple[Penalty, ...] = DENSE
    small: bool = False
    own: bool = False
    memory: bool = False

    def load(self, folder: Path | None) -> Table:
        """Return X and y; FileNotFoundError if the folder of real data is needed and lacks it."""
        if self.make:
            return self.make()
        if folder is None:
            raise FileNotFoundError(f"{self.file} is real data: name its folder with --data")
        if self.file.endswith(".npz"):
            stored = np.load(folder / self.file)
            return np.ascontiguousarray(stored["X"], dtype=np.float64), class_ids(stored["y"])
        from scipy.sparse import load_npz

        return load_npz(folder / f"{self.file}_X.npz").tocsr(), class_ids(
            np.load(folder / f"{self.file}_y.npz")["y"]
        )


def class_ids(labels: NDArray[Any]) -> Labels:
    """Return the classes as numbers from 0 on, in the order of their labels."""
    ids: Labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return ids


def choices(rng: np.random.Generator, z: Floats) -> Labels:
    """Draw a class a row, of a softmax model with the logits z."""
    # The largest of logits plus Gumbel noise is a draw from their softmax.
    winners: Labels = np.argmax(z + rng.gumbel(size=z.shape), axis=1).astype(np.int64)
    return winners


def tall(dtype: type[np.floating[Any]] = np.float64) -> Table:
    """Independent normal columns: as easy as it gets, so what counts is the speed of a pass."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500_000, 50))
    y = coin_tosses(rng, X @ (rng.standard_normal(50) * 2 / np.sqrt(50)) - 0.5)
    return X.astype(dtype, copy=False), y


def neighbours(n: int, d: int, rho: float) -> Table:
    """Each column is rho times the one before it plus noise, so that X is ill-conditioned."""
    rng = np.random.default_rng(0)
    columns = rng.standard_normal((d, n))
    columns[1:] *= np.sqrt(1 - rho**2)
    for j in range(1, d):
        columns[j] += rho * columns[j - 1]
    X = np.ascontiguousarray(columns.T)
    return X, coin_tosses(rng, X @ (rng.standard_normal(d) * 2 / np.sqrt(d)))


def forest() -> Table:
    """Land cover by maps: ten raw measurements, one of 4 areas and of 40 soils; 7 classes."""
    rng = np.random.default_rng(0)
    n = 581_000
    area = rng.choice(4, n, p=[0.45, 0.05, 0.43, 0.07])
    # Soils that a fifth of the rows have, down to a handful of rows.
    share = np.geomspace(0.2, 1e-5, 40)
    soil = rng.choice(40, n, p=share / share.sum())
    elevation = 2960 + np.array([120, 250, 20, -620])[area] + rng.normal(0, 120, 40)[soil]
    elevation += rng.normal(0, 170, n)
    aspect = rng.uniform(0, 360, n)
    slope = np.minimum(rng.gamma(3.5, 4, n), 66)
    to_water = np.minimum(rng.exponential(270, n), 1400)
    above_water = to_water * rng.normal(0.17, 0.18, n)
    to_road = np.minimum(rng.gamma(2.2, 1070, n), 7170)
    to_fire = np.minimum(rng.gamma(2.2, 900, n), 7170)
    # The light at three hours of the day: nearly a function of aspect and slope.
    facing = np.deg2rad(aspect[:, None] - np.array([110, 180, 250]))
    shade = 223 - 2.2 * slope[:, None] * (0.4 - np.cos(facing)) + rng.normal(0, 6, (n, 3))
    X = np.zeros((n, 54))
    X[:, :6] = np.column_stack((elevation, aspect, slope, to_water, above_water, to_road))
    X[:, 6:9] = np.clip(shade, 0, 254)
    X[:, 9] = to_fire
    np.rint(X, out=X)
    X[np.arange(n), 10 + area] = 1
    X[np.arange(n), 14 + soil] = 1

    # Each class likes a height, which no linear function of the height can say.
    likes = np.array([3130, 2900, 2400, 2220, 2790, 2420, 3390])
    width = np.array([190, 210, 170, 110, 110, 170, 130])
    z = -0.5 * ((elevation[:, None] - likes) / width) ** 2
    z += np.array([2.3, 1.6, 0.9, -1.3, -1.2, 0.2, 0.2])
    z += rng.normal(0, 0.5, (4, 7))[area] + rng.normal(0, 0.9, (40, 7))[soil]
    z += np.outer(to_road / 1000, rng.normal(0, 0.3, 7)) + np.outer(slope, rng.normal(0, 0.02, 7))
    return X, choices(rng, z)


def strokes() -> Table:
    """Handwriting of ten digits: 28 x 28 pixels of 0..255, most of them 0, the border's rarely not.

    A digit is a line through six corners; each example moves them a little, slants, and shifts as
    a whole. A pen of about a pixel draws dots along the line.
    """
    rng = np.random.default_rng(0)
    n, corners, dots = 60_000, 6, 32
    y = rng.integers(0, 10, n)
    shapes = rng.uniform(-0.58, 0.58, (10, corners, 2))  # in units of half the picture's width
    points = shapes[y] + rng.normal(0, 0.11, (n, corners, 2))
    points[:, :, 0] += rng.normal(0, 0.25, (n, 1)) * points[:, :, 1]
    points += rng.standard_t(5, (n, 1, 2)) * 0.045
    between = np.abs(np.linspace(0, corners - 1, dots)[:, None] - np.arange(corners))
    line = 13.5 + 14 * np.einsum("kc,ncx->nxk", np.maximum(1 - between, 0), points)
    pen = rng.uniform(0.75, 1.15, (n, 1, 1, 1))
    X = np.empty((n, 784))
    for start in range(0, n, 5_000):
        some = slice(start, start + 5_000)
        # A round dot is a column times a row, so a picture is a product of two small matrices.
        distance = (np.arange(28)[:, None] - line[some, :, None, :]) / pen[some]
        across, down = np.exp(-0.5 * distance**2).swapaxes(0, 1)
        ink = np.matmul(down, across.swapaxes(1, 2)).reshape(-1, 784)
        X[some] = np.rint(255 * np.clip(1.3 * ink - 0.15, 0, 1))
    return X, y


def mail() -> Table:
    """Frequencies of words in mail, in percent, and lengths of runs of capitals: heavy tails."""
    rng = np.random.default_rng(0)
    n, words = 4_600, 54
    y = (rng.random(n) < 0.39).astype(np.int64)
    X = np.empty((n, 57))
    # How often a word is there at all, and how much of it, in either kind of mail.
    logit = rng.normal(-1.6, 1.0, words) + y[:, None] * rng.normal(0, 1.3, words)
    there = coin_tosses(rng, logit.ravel()).reshape(n, words)
    amount = np.exp(rng.normal(-0.6, 0.9, (n, words)) + y[:, None] * rng.normal(0, 0.4, words))
    X[:, :words] = there * np.round(np.minimum(amount, 43), 2)
    run = np.exp(rng.normal(0.6 + 0.7 * y, 0.6))
    longest = np.rint(run * np.exp(rng.normal(1.5, 0.9, n)))
    total = np.rint(longest * np.exp(rng.normal(1.8, 0.9, n)))
    X[:, words:] = np.column_stack(
        (np.round(1 + run, 3), longest + 1, np.minimum(total, 15_800) + 1)
    )
    return X, y


def letters() -> Table:
    """Sixteen integers of 0..15 that describe a letter's picture; each letter in three fonts."""
    rng = np.random.default_rng(0)
    n, classes, d = 20_000, 26, 16
    y = rng.integers(0, classes, n)
    centre = rng.normal(7, 1.9, (classes, 1, d)) + rng.normal(0, 1.3, (classes, 3, d))
    mixing = rng.normal(0, 0.55, (classes, d, d))
    noise = np.einsum("ni,nij->nj", rng.standard_normal((n, d)), mixing[y])
    X = centre[y, rng.integers(0, 3, n)] + noise
    return np.clip(np.rint(X), 0, 15), y


def cancer() -> Table:
    """Tumours, the table of the examples."""
    table = np.loadtxt(CANCER, delimiter=",", skiprows=1)
    return np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(np.int64)


def iris() -> Table:
    """Flowers, from scikit-learn."""
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True)
    return X, y.astype(np.int64)


def one_against_rest(make: Maker, wanted: tuple[int, ...]) -> Table:
    """Ask a question of yes or no: whether the class is one of those."""
    X, y = make()
    return X, np.isin(y, wanted).astype(np.int64)


def scaled(make: Maker, factor: float) -> Table:
    """Multiply X."""
    X, y = make()
    X *= factor
    return X, y


odd_digits = partial(one_against_rest, strokes, (1, 3, 5, 7, 9))
DATASETS = {
    "tall": Dataset(tall, penalties=DENSE + L1, memory=True),
    "tall-float32": Dataset(partial(tall, np.float32), own=True, memory=True),
    "correlated": Dataset(
        partial(neighbours, 100_000, 500, 0.9), penalties=DENSE + L1, memory=True
    ),
    "square": Dataset(partial(neighbours, 5_000, 5_000, 0.9)),
    "forest": Dataset(partial(one_against_rest, forest, (0,)), memory=True),
    "forest-7": Dataset(forest),
    "strokes": Dataset(odd_digits),
    "strokes-unit": Dataset(partial(scaled, odd_digits, 1 / 255)),
    "strokes-10": Dataset(strokes),
    "strokes-10-unit": Dataset(partial(scaled, strokes, 1 / 255)),
    "mail": Dataset(mail),
    "letters": Dataset(letters),
    "cancer": Dataset(cancer, small=True),
    "iris": Dataset(iris, small=True),
    "optdigits": Dataset(file="keel_optdigits.npz"),
    "magic": Dataset(file="magic04.npz"),
    "satimage": Dataset(file="keel_satimage.npz"),
    "genes": Dataset(file="micro_chowdary.npz", penalties=L1),
    "notes": Dataset(partial(text, 5_000, 10_000, 40.0), penalties=SPARSE + L1),
    "text": Dataset(text, penalties=SPARSE + L1),
    "clicks": Dataset(clicks, penalties=SPARSE + L1),
    "flights": Dataset(file="nycflights_ohe", penalties=SPARSE + L1),
    "a9a": Dataset(file="a9a", penalties=SPARSE + L1),
    "adult": Dataset(file="adult_ohe", penalties=SPARSE + L1),
    "mushrooms": Dataset(file="agaricus", penalties=SPARSE + L1),
    "messages": Dataset(file="sms_spam_tfidf", penalties=SPARSE + L1),
}
QUICK = ["tall", "mail", "cancer", "iris", "notes"]
