# SPDX-License-Identifier: BSD-3-Clause
# The compiled kernels, the same functions for every instruction set. Arrays must be as
# logreg_c._validation hands them over; nothing is checked here.
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._validation import Matrix

OPENMP_RUNTIME: str
INSTRUCTION_LEVEL: int
CONVERGED_BY_TOL: int
DIVERGED: int
ALLOCATOR: object
LEAST_KEPT: int

def allocate_by(allocator: object) -> object: ...
def is_matrix(X: object) -> bool: ...
def is_vector(v: object, length: int) -> bool: ...
def are_labels(y: object, length: int) -> bool: ...
def read_labels(y: NDArray[Any]) -> tuple[float, float, float, bool]: ...
def read_classes(
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    ids: NDArray[np.int32],
    sums: NDArray[np.float64],
) -> None: ...
def are_lines(indptr: object, indices: object, data: object) -> bool: ...
def link_functions(
    t: NDArray[np.float64], e: NDArray[np.float64], log1p_e: NDArray[np.float64]
) -> None: ...
def threads_woken(threads: int, now: float) -> int: ...
def threads_met(threads: int, begun: float, done: float, now: float) -> None: ...
def sum_entries(X: NDArray[Any], threads: int) -> float: ...
def sigmoid(z: NDArray[np.float64], out: NDArray[np.float64], threads: int) -> None: ...
def forward(
    X: Matrix, w: NDArray[np.float64], b: float, a: NDArray[np.float64], threads: int
) -> bool: ...
def loss_and_gradient(
    X: Matrix,
    y: NDArray[Any],
    w: NDArray[np.float64],
    b: float,
    sample_weight: NDArray[np.float64] | None,
    total: float,
    dw: NDArray[np.float64] | None,
    threads: int,
) -> tuple[float, float, float]: ...
def transpose_product(
    X: Matrix, r: NDArray[np.float64], out: NDArray[np.float64], threads: int
) -> float: ...
def per_example_gradients(
    X: Matrix,
    y: NDArray[Any],
    w: NDArray[np.float64],
    b: float,
    dw: NDArray[np.float64],
    db: NDArray[np.float64],
    threads: int,
) -> tuple[float, float]: ...
def squared_deviations(
    X: Matrix,
    dz: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    center: NDArray[np.float64],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def descend(
    X: Matrix,
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    order: NDArray[np.intp] | None,
    batch: int,
    rate: float,
    l2: float,
    tol: float,
    ceiling: float,
    w: NDArray[np.float64],
    b: NDArray[np.float64],
    last: NDArray[np.float64],
    history: NDArray[np.float64],
    done: int,
    passes: int,
    threads: int,
) -> tuple[int, int]: ...
def gram(
    X: NDArray[Any],
    rows: NDArray[np.intp] | None,
    h: NDArray[np.float64],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def group_grams(
    X: NDArray[Any],
    rows: NDArray[np.intp],
    starts: NDArray[np.intp],
    h: NDArray[np.float64],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def block_grams(
    X: NDArray[Any],
    rows: NDArray[np.intp],
    h: NDArray[np.float64],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    ends: NDArray[np.intp],
    which: NDArray[np.intp],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def cholesky(A: NDArray[np.float64], out: NDArray[np.float64], threads: int) -> int: ...
def factor(
    A: NDArray[np.float64], out: NDArray[np.float64], scale: NDArray[np.float64], threads: int
) -> None: ...
def factor_solve(
    R: NDArray[np.float64], scale: NDArray[np.float64], v: NDArray[np.float64]
) -> None: ...
def factor_step(
    R: NDArray[np.float64],
    scale: NDArray[np.float64],
    g: NDArray[np.float64],
    s: NDArray[np.float64],
) -> float: ...
def block_factor(
    grams: NDArray[np.float64],
    f: float,
    diagonal: NDArray[np.float64],
    ends: NDArray[np.intp],
    R: NDArray[np.float32],
    scale: NDArray[np.float64],
    threads: int,
) -> None: ...
def block_factor_solve(
    R: NDArray[np.float32],
    scale: NDArray[np.float64],
    ends: NDArray[np.intp],
    v: NDArray[np.float64],
    threads: int,
) -> None: ...
def cholesky_half_solve(
    R: NDArray[np.float64], v: NDArray[np.float64], transposed: bool
) -> None: ...
def column_ranges(
    X: NDArray[Any], groups: NDArray[np.int32], out: NDArray[np.float64], threads: int
) -> None: ...

# What the objective calls. Margins and predictions are (K, n), gradients (K, d + 1).
def evaluate(
    X: Matrix,
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    offset: NDArray[np.float64] | None,
    theta: NDArray[np.float64],
    Z: NDArray[np.float64],
    gradient: NDArray[np.float64],
    threads: int,
) -> float: ...
def evaluate_and_survey(
    X: NDArray[Any],
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    offset: NDArray[np.float64] | None,
    theta: NDArray[np.float64],
    center: NDArray[np.float64],
    inverse: NDArray[np.float64],
    Z: NDArray[np.float64],
    gradient: NDArray[np.float64],
    diagonal: NDArray[np.float64],
    leverage: NDArray[np.float64],
    threads: int,
) -> float: ...
def class_margins_of(
    X: Matrix,
    theta: NDArray[np.float64],
    offset: NDArray[np.float64] | None,
    Z: NDArray[np.float64],
    threads: int,
) -> None: ...
def class_transpose_product(
    X: Matrix,
    R: NDArray[np.float64],
    out: NDArray[np.float64],
    threads: int,
    squared: bool = False,
) -> None: ...
def hessian_vector(
    X: Matrix,
    a: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    v: NDArray[np.float64],
    U: NDArray[np.float64] | None,
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def search(
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    Z: NDArray[np.float64],
    U: NDArray[np.float64],
    step: float,
    threads: int,
) -> tuple[float, float, float]: ...
def piece_margins(
    X: NDArray[Any],
    theta: NDArray[np.float64],
    ends: NDArray[np.intp],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def along_pieces(
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    Z: NDArray[np.float64],
    U: NDArray[np.float64],
    c: NDArray[np.float64],
    gradient: NDArray[np.float64],
    moved: NDArray[np.float64],
    R: NDArray[np.float64],
    threads: int,
) -> float: ...
def dual_step(
    a: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    U: NDArray[np.float64],
    change: NDArray[np.float64],
    threads: int,
    bent: NDArray[np.float64] | None = None,
) -> float: ...
def dual_residuals(
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    Z: NDArray[np.float64],
    U: NDArray[np.float64],
    R: NDArray[np.float64],
    threads: int,
    bent: NDArray[np.float64] | None = None,
) -> float: ...
def turned(
    a: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    U: NDArray[np.float64],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def divergence(
    margins: Sequence[NDArray[np.float64]],
    changes: Sequence[NDArray[np.float64]],
    weights: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    moves: NDArray[np.float64],
    threads: int,
) -> tuple[float, float]: ...
def inspect(
    X: Matrix, threads: int, columns: NDArray[np.float64] | None = None
) -> tuple[float, float, float, float, float, float]: ...
def head_gram(
    X: Matrix,
    rows: NDArray[np.intp] | None,
    h: NDArray[np.float64],
    place: NDArray[np.int32],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def row_sums(
    X: Matrix,
    starts: NDArray[np.intp],
    rows: NDArray[np.intp],
    r: NDArray[np.float64],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def transpose(
    X: Matrix,
    starts: NDArray[np.int64],
    rows: NDArray[np.int32],
    values: NDArray[Any] | None,
    threads: int,
) -> None: ...
def count_selected(
    X: Matrix, place: NDArray[np.int32], counts: NDArray[np.int64], threads: int
) -> None: ...
def select_columns(
    X: Matrix,
    place: NDArray[np.int32],
    starts: NDArray[np.int64],
    places: NDArray[np.int32],
    values: NDArray[Any] | None,
    threads: int,
) -> None: ...
def group_rows(
    X: Matrix, n: int, most: int, group: NDArray[np.intp], first: NDArray[np.intp]
) -> int: ...
def predictions(Z: NDArray[np.float64], a: NDArray[np.float64], threads: int) -> None: ...
def residuals(
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    Z: NDArray[np.float64],
    R: NDArray[np.float64],
    threads: int,
) -> float: ...
def residuals_along(
    y: NDArray[Any],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    Z: NDArray[np.float64],
    U: NDArray[np.float64],
    step: float,
    out: NDArray[np.float64],
    R: NDArray[np.float64],
    threads: int,
) -> float: ...
def curvatures(
    a: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    total: float,
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def evaluate_problems(
    X: Matrix,
    y: NDArray[Any],
    weights: Sequence[NDArray[np.float64] | None],
    totals: Sequence[float],
    offset: NDArray[np.float64] | None,
    theta: NDArray[np.float64],
    before: Sequence[NDArray[np.float64]] | None,
    a: NDArray[np.float64] | None,
    curvature: NDArray[np.float64] | None,
    Z: NDArray[np.float64],
    gradient: NDArray[np.float64],
    moves: NDArray[np.float64],
    told: NDArray[np.float64],
    threads: int,
) -> None: ...
def bend_problems(
    weights: Sequence[NDArray[np.float64] | None],
    totals: Sequence[float],
    margins: Sequence[NDArray[np.float64]],
    a: NDArray[np.float64],
    h: NDArray[np.float64],
    threads: int,
) -> None: ...
def model_minima(
    grams: NDArray[np.float64],
    quadratics: Sequence[NDArray[np.float64]],
    kinks: Sequence[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None],
    thetas: Sequence[NDArray[np.float64]],
    gradients: Sequence[NDArray[np.float64]],
    fit_bias: bool,
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def end_problems(
    theta: NDArray[np.float64],
    gradient: NDArray[np.float64],
    moves: NDArray[np.float64],
    quadratics: Sequence[NDArray[np.float64]],
    kinks: Sequence[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    plain: bool,
    fit_bias: bool,
    thetas: Sequence[NDArray[np.float64]] | None,
    gradients: Sequence[NDArray[np.float64]] | None,
    Js: Sequence[float] | None,
    reach: float,
    weakest: float,
    noise: float,
    far: float,
    out: NDArray[np.float64],
) -> None: ...
def score_margins(
    Z: NDArray[np.float64],
    ids: NDArray[np.int32],
    rows: NDArray[np.intp],
    weight: NDArray[np.float64] | None,
    most: float,
) -> tuple[float, float, float]: ...
def take(
    X: NDArray[Any],
    rows: NDArray[np.intp],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
def rounded(
    X: NDArray[np.float64],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    out: NDArray[np.float32],
    threads: int,
) -> None: ...
def draw(
    size: NDArray[np.float64],
    k: float,
    first: float,
    rows: NDArray[np.intp],
    weight: NDArray[np.float64],
) -> int: ...
def raw_weights(
    theta: NDArray[np.float64],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None: ...
def chain(
    gradient: NDArray[np.float64],
    center: NDArray[np.float64] | None,
    scale: NDArray[np.float64] | None,
    fit_bias: bool,
) -> None: ...
def absolute_sum(theta: NDArray[np.float64], l1: NDArray[np.float64]) -> float: ...
def clip(
    theta: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None: ...
def extrapolate(
    theta: NDArray[np.float64],
    older: NDArray[np.float64],
    ratio: float,
    l1: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None: ...
def scores(
    gradient: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    penalty: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None: ...
def finish_gradient(
    gradient: NDArray[np.float64],
    center: NDArray[np.float64] | None,
    scale: NDArray[np.float64] | None,
    fit_bias: bool,
    theta: NDArray[np.float64],
    quadratic: NDArray[np.float64],
    l1: NDArray[np.float64] | None,
    linear: NDArray[np.float64] | None,
) -> float: ...
def terms_along(
    theta: NDArray[np.float64],
    s: NDArray[np.float64],
    quadratic: NDArray[np.float64],
    linear: NDArray[np.float64] | None,
) -> tuple[float, float, float]: ...
def inner(u: NDArray[np.float64], v: NDArray[np.float64]) -> float: ...
def difference(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    out: NDArray[np.float64],
    threads: int,
    q: NDArray[np.float64] | None = None,
    s: NDArray[np.float64] | None = None,
) -> None: ...
def class_blocks(
    grams: NDArray[np.float64], shared: NDArray[np.float64] | None, H: NDArray[np.float64]
) -> None: ...
def column_coordinates(
    X: NDArray[np.float64],
    centred: bool,
    least: float,
    most: float,
    least_spread: float,
    center: NDArray[np.float64],
    spread: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> int: ...
def typical_deviations(X: NDArray[np.float64], centred: bool, out: NDArray[np.float64]) -> None: ...
def kinked_gaps(
    quadratic: NDArray[np.float64],
    l1: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    theta: NDArray[np.float64],
    residual: NDArray[np.float64],
    J: float,
    reach: float,
    weakest: float,
    noise: float,
    far: float,
) -> tuple[float, float]: ...
def smooth_gaps(
    quadratic: NDArray[np.float64],
    center: NDArray[np.float64],
    scale: NDArray[np.float64],
    theta: NDArray[np.float64],
    residual: NDArray[np.float64],
    reach: float,
    weakest: float,
    noise: float,
    far: float,
) -> float: ...
def are_plain(center: NDArray[np.float64], scale: NDArray[np.float64]) -> bool: ...
def margin_terms(
    theta: NDArray[np.float64], center: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[float, float]: ...
def finish_diagonal(
    H: NDArray[np.float64],
    quadratic: NDArray[np.float64],
    fit_bias: bool,
) -> None: ...
def are_finite(v: NDArray[np.float64]) -> bool: ...
def minimise_quadratic(
    H: NDArray[np.float64],
    g: NDArray[np.float64],
    theta: NDArray[np.float64],
    l1: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    x: NDArray[np.float64],
    r: NDArray[np.float64],
    enough: float,
    threads: int,
) -> None: ...
def add_rows(
    H: NDArray[np.float64],
    rows: NDArray[np.intp],
    factors: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None: ...
