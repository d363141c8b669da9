# SPDX-License-Identifier: BSD-3-Clause
"""`fit`: every solver reaches the optimum, as near as it says, and says why it ends."""

from __future__ import annotations

import importlib
import math
import sys
import tracemalloc

import numpy as np
import pytest
from fit_problems import KINDS, QUICK, TALL, bits_of, optimum, problem, raw, twin, unscaled

import logreg_c
from logreg_c import ConvergenceWarning, FitResult, fit
from logreg_c._objective import Objective
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers import NONSMOOTH, SOLVERS, choose


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize(
    ("kind", "solver"),
    [(kind, solver) for kind in KINDS for solver in (QUICK if kind == "wide" else TALL)],
)
def test_every_solver_reaches_the_optimum_within_its_gap(kind, K, solver):
    X, y, arguments = problem(kind, K)
    best = optimum(kind, K)
    result = fit(X, y, solver=solver, tol=1e-7, **arguments)
    assert result.converged
    # What a solver cannot reach another one does; but these are no such problems.
    assert result.solver == solver or solver == "sampled"
    assert result.gap <= 1e-7 * best + 1e-15
    assert result.objective - best <= result.gap + 1e-14
    assert result.objective >= best - 1e-13
    assert float(twin(X, y, **arguments).J(raw(result))) == pytest.approx(
        result.objective, rel=1e-11
    )


@pytest.mark.parametrize("solver", [*TALL, "auto"])
def test_five_classes(solver):
    X, y, arguments = problem("gaussian", 5)
    result = fit(X, y, solver=solver, tol=1e-9, **arguments)
    assert result.converged
    assert 0 <= result.objective - optimum("gaussian", 5) + 1e-14 <= result.gap + 2e-14


@pytest.mark.parametrize("kind", ["gaussian", "soft", "weights", "offset", "no bias"])
@pytest.mark.parametrize("K", [2, 3])
def test_gradient_descent_gets_there_on_easy_problems(kind, K):
    X, y, arguments = problem(kind, K)
    result = fit(X, y, solver="gradient-descent", tol=1e-5, **arguments)
    assert result.converged
    assert result.objective - optimum(kind, K) <= result.gap + 1e-14


@pytest.mark.parametrize("solver", TALL)
@pytest.mark.parametrize("kind", ["gaussian", "few positives", "scales"])
def test_without_a_penalty(kind, solver):
    X, y, arguments = problem(kind, 2, 0.0)
    result = fit(X, y, solver=solver, **arguments)
    assert result.converged
    assert result.objective - optimum(kind, 2, 0.0) <= result.gap + 1e-14


@pytest.mark.parametrize("solver", ["auto", *QUICK])
@pytest.mark.parametrize(("C", "best"), [(1, 0.11703581880751), (1000, 0.00113786496054)])
def test_the_fixture_that_others_give_up_on(C, best, solver):
    X, y = unscaled()
    result = fit(X, y, l2=1 / (C * len(y)), solver=solver, tol=1e-10)
    assert result.objective == pytest.approx(best, abs=2e-14 + 1e-10 * best)
    if C == 1:
        assert result.b == pytest.approx(1641.80328, rel=1e-4)


@pytest.mark.parametrize("solver", ["auto", *QUICK])
def test_columns_of_a_rank_that_hides_the_one_that_tells(solver):
    # 99 columns of rank 3 around 1e8: beside them the last one is rounding.
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((40, 3)) @ rng.standard_normal((3, 100))) * 1e8
    X[:, -1] = rng.standard_normal(40)
    y = (rng.random(40) < 1 / (1 + np.exp(-3 * X[:, -1]))).astype(int)
    assert fit(X, y, l2=0.025, solver=solver).objective == pytest.approx(0.4378893, abs=1e-6)


@pytest.mark.parametrize("solver", [*TALL, "gradient-descent"])
@pytest.mark.parametrize("K", [2, 3])
def test_the_result_tells_what_happened(solver, K):
    X, y, arguments = problem("gaussian", K)
    result = fit(X, y, solver=solver, tol=1e-4, **arguments)
    assert isinstance(result, FitResult)
    assert (result.w.shape, np.shape(result.b)) == (((4,), ()) if K == 2 else ((3, 4), (3,)))
    assert type(result.objective) is float
    assert type(result.gap) is float
    assert result.converged is True
    assert result.reason == "J is within tol=0.0001 of the optimum, proved"
    assert result.solver == solver or (solver == "sampled" and result.solver == "newton")
    assert result.n_iter == len(result.history) == result.history[-1].n_iter
    assert result.history[-1].objective == result.objective
    assert result.history[-1].gap == result.gap
    assert result.n_passes >= result.history[-1].n_passes > 0


@pytest.mark.parametrize("solver", [*TALL, "gradient-descent"])
@pytest.mark.parametrize("kind", ["gaussian", "rare", "scales"])
def test_history_is_monotone_and_every_gap_is_true(kind, solver):
    X, y, arguments = problem(kind, 2)
    seen = []
    if solver == "gradient-descent":
        with pytest.warns(ConvergenceWarning):
            result = fit(X, y, solver=solver, max_iter=8, tol=1e-14, **arguments)
    else:
        result = fit(X, y, solver=solver, tol=1e-9, callback=seen.append, **arguments)
        assert [tuple(record) for record in result.history] == [
            (s.n_iter, s.n_passes, s.objective, s.gap) for s in seen
        ]
    best = optimum(kind, 2)
    before = None
    for record in result.history:
        assert record.gap >= record.objective - best - 1e-13
        if before is not None:
            assert record.n_iter == before.n_iter + 1
            assert record.n_passes >= before.n_passes
            assert record.objective <= before.objective
            assert record.gap <= before.gap
        before = record


@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
@pytest.mark.parametrize("solver", TALL)
def test_the_gap_is_the_smallest_that_is_proved(solver):
    """The gradient bounds J* too where there is a penalty, at no price."""
    X, y, arguments = problem("gaussian", 2, 1.0)
    arguments["fit_intercept"] = False
    result = fit(X, y, solver=solver, max_iter=1, tol=1e-15, **arguments)
    dw = logreg_c.loss_and_gradient(X, y, result.w, 0.0, l2=1.0)[1]
    assert result.gap <= dw @ dw / 2 * (1 + 1e-9) + 1e-14
    assert result.history[-1].gap == result.gap


@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
def test_an_entry_far_beyond_all_others_of_its_column():
    """Beside it the column's penalty is nothing, and so is the gradient, which is still no zero."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    y = (X[:, 0] + rng.standard_normal(40) > 0).astype(float)
    X[np.argmax(y), 0] = 100.0
    w = fit(X, y, l2=1e-2, fit_intercept=False).w
    for entry in (1e9, 1e11, 1e12):
        X[np.argmax(y), 0] = entry
        about_best = logreg_c.loss_and_gradient(X, y, w, 0.0, l2=1e-2)[0]
        for solver in TALL:
            result = fit(X, y, l2=1e-2, tol=1e-5, fit_intercept=False, solver=solver)
            assert result.objective - result.gap <= about_best


@pytest.mark.parametrize(("entry", "tol"), [(1e6, 1e-4), (1e9, 1e-6)])
@pytest.mark.parametrize("solver", ["auto", *TALL])
@pytest.mark.filterwarnings("ignore::logreg_c.ConvergenceWarning")
def test_without_a_penalty_an_enormous_entry_hides_no_slope(entry, tol, solver):
    """Beside it the other rows' gradient is next to nothing, which is far from rounding."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 3))
    y = (X @ rng.standard_normal((3, 2)) + rng.gumbel(size=(200, 2))).argmax(axis=1)
    X[0, 0] = entry
    best = logreg_c.loss(X, y, [1.7603813, -1.4227024, 1.9277038], 0.0570112)
    result = fit(X, y, solver=solver, tol=tol)
    assert result.objective - result.gap <= best


def test_max_iter_is_a_reason_with_a_warning():
    X, y, arguments = problem("gaussian")
    with pytest.warns(ConvergenceWarning) as caught:
        result = fit(X, y, solver="newton", max_iter=1, **arguments)
    assert not result.converged
    assert (result.reason, result.n_iter) == ("max_iter=1 iterations done", 1)
    assert str(caught[0].message) == (
        f"not converged: max_iter=1 iterations done. J = {result.objective:.6g}, proved to be "
        f"within {result.gap:.2g} of the optimum; tol=1e-06 asks for "
        f"{1e-6 * result.objective:.2g}"
    )
    assert caught[0].filename == __file__


@pytest.mark.parametrize("solver", [*TALL, "gradient-descent"])
def test_a_callback_stops(solver):
    X, y, arguments = problem("rare")
    with pytest.warns(ConvergenceWarning, match="callback stopped it after iteration 2"):
        result = fit(
            X, y, solver=solver, tol=1e-13, callback=lambda state: state.n_iter == 2, **arguments
        )
    assert (result.reason, result.n_iter) == ("callback stopped it after iteration 2", 2)
    assert not result.converged


def bits_of_point(point):
    return point.theta.tobytes(), point.Z.tobytes(), point.J, point.gradient.tobytes()


@pytest.fixture
def points(monkeypatch):
    """List each point that an objective evaluates, with its bits at that time."""
    seen, made = [], Objective._point

    def listed(self, *arguments):
        point = made(self, *arguments)
        seen.append((point, bits_of_point(point)))
        return point

    monkeypatch.setattr(Objective, "_point", listed)
    return seen


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize(
    ("solver", "penalty"),
    [(solver, {"l2": 1e-3}) for solver in SOLVERS if solver != "working-set"]
    + [(solver, {"l1": 1e-3}) for solver in NONSMOOTH],
    ids=lambda v: v if isinstance(v, str) else next(iter(v)),
)
def test_points_never_change(solver, penalty, K, points):
    kind = "wide" if solver == "compressed" else "gaussian"
    X, y, _ = problem(kind, K)
    if solver not in ("sampled", "blocks"):
        X, y = X[:500], y[:500]
    if solver == "preconditioned":
        X = pytest.importorskip("scipy.sparse").csr_array(X)
    plain = fit(X, y, solver=solver, tol=1e-3, **penalty)
    points.clear()

    def spoil(state):
        np.asarray(state.w)[:] = np.nan

    result = fit(X, y, solver=solver, tol=1e-3, callback=spoil, **penalty)
    assert result.solver == solver
    assert len(points) >= 3
    assert all(bits_of_point(point) == bits for point, bits in points)
    assert bits_of(result) == bits_of(plain)


def test_progress_shows_a_bar_and_closes_it(bars, capsys):
    X, y, arguments = problem("gaussian")
    shown = fit(X, y, progress=True, **arguments)
    assert [(bar.n, bar.closed) for bar in bars] == [(shown.n_iter, True)]
    assert f"fit: {shown.n_iter}iteration [" in capsys.readouterr().err
    assert bits_of(shown) == bits_of(fit(X, y, **arguments))
    assert len(bars) == 1


def test_a_fit_that_is_broken_off_closes_its_bar(bars):
    X, y, arguments = problem("gaussian")

    def stop(state):
        raise FloatingPointError("mine")

    with pytest.raises(FloatingPointError, match="mine"):
        fit(X, y, progress=True, callback=stop, **arguments)
    assert [(bar.n, bar.closed) for bar in bars] == [(1, True)]


def test_progress_without_tqdm_says_what_to_install(monkeypatch):
    X, y, arguments = problem("gaussian")
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="pip install tqdm"):
        fit(X, y, progress=True, **arguments)


@pytest.mark.parametrize("solver", ["newton", "lbfgs", "newton-cg", "gradient-descent"])
def test_no_further_progress_is_a_reason_with_a_warning(solver):
    # No gap of 1e-15 can be proved beside the rounding of a J of 20.
    X, y, arguments = problem("gaussian")
    arguments = arguments | {"offset": np.where(y[:50] > 0, -40.0, 40.0), "fit_intercept": False}
    then = "" if solver == "newton" else ", then newton"
    match = f"not converged: no further progress by {solver}{then}: the limit of rounding"
    with pytest.warns(ConvergenceWarning, match=match):
        result = fit(X[:50], y[:50], solver=solver, tol=1e-30, **arguments)
    assert not result.converged
    assert result.gap < 1e-8


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_a_start_where_all_predictions_are_sure(K, l2):
    """Their Hessian is rounding alone, and its direction leads nowhere."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), rng.integers(0, K, 40)
    shape = 40 if K == 2 else (40, K)
    offset = 1e4 * rng.choice([-1.0, 1.0], shape) * (1.0 + rng.random(shape))
    assert fit(X, y, l2=l2, offset=offset).converged


def test_classes_that_a_weak_penalty_hardly_holds():
    for seed in (171, 227):
        rng = np.random.default_rng(seed)
        X = np.column_stack((rng.random(6) < 0.2, rng.standard_normal(6)))
        weight = [0.1, 0.1, 0.1, *(1e-3 * rng.random(3))]
        y = [0, 1, 2, *rng.integers(0, 3, 3)]
        assert fit(X, y, l2=1e-8, sample_weight=weight, max_iter=150).converged


def test_a_solver_that_was_followed_is_told():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 5)), rng.integers(0, 2, 50)
    result = fit(X, y, solver="sampled")
    assert result.solver == "newton"
    assert result.reason == "J is within tol=1e-06 of the optimum, proved by newton after sampled"


@pytest.mark.parametrize(("n", "d"), [(2000, 20), (3000, 5)])
def test_samples_end_at_the_limit_of_rounding(n, d):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, d)), rng.integers(0, 2, n)
    offset = np.where(y > 0, -30.0, 30.0)
    with pytest.warns(ConvergenceWarning, match="no further progress by sampled, then newton"):
        fit(X, y, l2=1e-3, offset=offset, solver="sampled", tol=1e-300)


def test_what_the_callback_sees_is_its_own():
    X, y, arguments = problem("gaussian", 3)
    plain = fit(X, y, **arguments)

    def spoil(state):
        assert state.w.shape == (3, 4)
        state.w[:] = np.nan
        state.b[:] = np.nan

    spoiled = fit(X, y, callback=spoil, **arguments)
    assert spoiled.w.tolist() == plain.w.tolist()
    assert spoiled.b.tolist() == plain.b.tolist()


@pytest.mark.parametrize("solver", [*TALL, "gradient-descent", "auto"])
@pytest.mark.parametrize("K", [2, 3])
def test_a_start_at_the_optimum(solver, K):
    X, y, arguments = problem("gaussian", K)
    there = fit(X, y, solver="newton", tol=1e-12, **arguments)
    if solver == "gradient-descent":
        arguments = arguments | {"tol": 1e-5}
    again = fit(X, y, solver=solver, w0=there.w, b0=there.b, **arguments)
    assert again.converged
    assert again.objective == pytest.approx(there.objective, rel=1e-5)
    if solver in ("newton", "lbfgs", "newton-cg"):
        assert again.objective <= there.objective + 1e-15
        assert again.n_iter == 1


@pytest.mark.parametrize("solver", TALL)
def test_a_start_that_is_far_off(solver):
    X, y, arguments = problem("gaussian")
    result = fit(X, y, solver=solver, w0=np.full(4, 50.0), b0=-80.0, **arguments)
    assert result.objective - optimum("gaussian", 2) <= result.gap


@pytest.mark.parametrize("K", [2, 3])
def test_a_start_with_more_columns_than_rows(K):
    X, y, arguments = problem("wide", K)
    there = fit(X, y, solver="compressed", tol=1e-10, **arguments)
    again = fit(X, y, solver="compressed", w0=0.5 * there.w, b0=there.b, **arguments)
    assert again.converged
    assert again.objective == pytest.approx(there.objective, rel=1e-5)


def test_one_of_w0_and_b0_is_enough():
    X, y, arguments = problem("gaussian")
    assert fit(X, y, w0=np.ones(4), **arguments).converged
    assert fit(X, y, b0=2.0, **arguments).converged


@pytest.mark.parametrize("solver", [*TALL, "gradient-descent"])
def test_the_seed_decides_all_that_is_random(solver):
    X, y, arguments = problem("rare")
    arguments = arguments | {"solver": solver, "tol": 1e-3}
    one, two = (fit(X, y, random_state=5, **arguments) for _ in range(2))
    assert one.w.tobytes() == two.w.tobytes()
    assert one.history == two.history
    other = fit(X, y, random_state=6, **arguments)
    assert (one.w.tobytes() != other.w.tobytes()) == (solver in ("sampled", "blocks"))


def breast_cancer():
    from pathlib import Path

    path = Path(__file__).parents[1] / "examples" / "data" / "breast_cancer.csv"
    if not path.exists():
        pytest.skip("the examples are not beside the tests here")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return table[:, :-1], table[:, -1]


@pytest.mark.parametrize(("d", "steps"), [(20, 2), (100, 4)])
def test_a_hessian_serves_for_several_steps(monkeypatch, d, steps):
    made, hessian = [], Objective.hessian

    def counted(objective, *arguments):
        made.append(1)
        return hessian(objective, *arguments)

    monkeypatch.setattr(Objective, "hessian", counted)
    rng = np.random.default_rng(d)
    X = rng.standard_normal((400, d))
    y = X[:, 0] + 0.3 * rng.logistic(size=400) > 0
    result = fit(X, y, l2=1e-3, solver="newton")
    assert result.converged
    # The last step, which proves the gap, may be one more by the Hessian at hand.
    assert steps * (len(made) - 1) < result.n_iter <= steps * len(made) + 1
    made.clear()
    result = fit(X, y, l2=1e-3, l1=1e-3, solver="newton")
    assert result.converged
    assert len(made) == result.n_iter


def test_further_steps_are_as_long_as_curvatures_say():
    X, y = breast_cancer()
    # The start, four Hessians, a proof, and seven steps, of which one is searched: two would be if
    # the further ones were not stretched.
    assert fit(X, y, l2=1 / 569, solver="newton").n_passes <= 14


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("d", [5, 100])
def test_no_hessian_is_made_for_the_proof_alone(monkeypatch, d, K):
    made, hessian = [], Objective.hessian
    monkeypatch.setattr(Objective, "hessian", lambda *a: made.append(1) or hessian(*a))
    rng = np.random.default_rng(d)
    X, y = rng.standard_normal((400, d)), rng.integers(0, K, 400)
    result = fit(X, y, l2=1.0, solver="newton")
    assert result.converged
    assert len(made) == 1
    assert 0.0 < result.gap <= 1e-6 * result.objective


def test_a_hessian_does_not_prove_where_curvatures_are_others(monkeypatch):
    made, hessian = [], Objective.hessian
    monkeypatch.setattr(Objective, "hessian", lambda *a: made.append(1) or hessian(*a))
    X, y = breast_cancer()
    result = fit(X, y, l2=1 / 569, tol=1e-3, solver="newton")
    # The second Hessian serves for a further step, not for a proof that is tried in vain.
    assert result.converged
    assert len(made) == 3


@pytest.mark.parametrize("solver", [*TALL, "auto"])
def test_raw_breast_cancer(solver):
    X, y = breast_cancer()
    result = fit(X, y, l2=1 / 569, solver=solver, tol=1e-8)
    assert result.objective == pytest.approx(0.09454237474601628, abs=1e-9)


def test_loss_of_the_result_is_its_objective():
    X, y, arguments = problem("weights")
    result = fit(X, y, **arguments)
    assert logreg_c.loss(X, y, result.w, result.b, **arguments) == pytest.approx(
        result.objective, rel=1e-13
    )


def test_a_tall_fit_takes_a_tenth_of_x_at_most_beside_it():
    """What is as long as y, and a sample of up to 400 rows a column, which is 4 % of X here.

    Arrays of NumPy alone are traced. Kernels take memory of their own for the sums of chunks, d of
    at most 256 chunks, and for blocks of rows: less than a megabyte for these columns.
    """
    rng = np.random.default_rng(0)
    X = rng.random((500_000, 50)) - 0.5
    y = 5 * X[:, 0] + rng.logistic(size=len(X)) > 0
    tracemalloc.start()
    try:
        result = fit(X, y, l2=1e-3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (result.solver, result.converged) == ("sampled", True)
    assert 8 * len(X) < peak < 0.1 * X.nbytes


def test_labels_of_any_type_give_the_same_bits():
    rng = np.random.default_rng(3)
    for n, d in ((300, 4), (40_000, 3)):  # all rows at once, and samples
        X = rng.normal(size=(n, d))
        y = rng.integers(0, 2, n)
        expected = logreg_c.fit(X, y, l2=1e-3)
        for dtype in (bool, np.int8, np.uint8, np.int32, np.float32, np.float64, ">i8", np.uint16):
            found = logreg_c.fit(X, y.astype(dtype), l2=1e-3)
            np.testing.assert_array_equal(found.w, expected.w)
            assert found.objective == expected.objective
        spaced = np.zeros((n, 2), dtype=np.int64)
        spaced[:, 1] = y
        assert logreg_c.fit(X, spaced[:, 1], l2=1e-3).objective == expected.objective


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("n", [40, 1000, 20_000])
@pytest.mark.parametrize("far", [30.0, -40.0, 1000.0, 1e6])
def test_an_offset_far_from_zero_is_made_up_for(K, n, far):
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, 5))
    y = (X[:, :K] + rng.gumbel(size=(n, K))).argmax(axis=1)
    offset = np.full(n, far) if K == 2 else far * np.eye(K)[1] * np.ones((n, 1))
    plain = fit(X, y, l2=0.01)
    result = fit(X, y, l2=0.01, offset=offset)
    assert result.converged
    assert result.objective == pytest.approx(plain.objective, rel=2e-6 + 1e-14 * abs(far))
    assert result.n_iter <= plain.n_iter + 5


@pytest.mark.parametrize("n", [100, 1000, 20_000])
@pytest.mark.parametrize("start", [{"b0": 40.0}, {"b0": -50.0}, {"w0": [60.0, 0, 0]}])
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cg"])
def test_a_start_that_is_worse_than_none_is_none(n, start, solver):
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, 3))
    y = -X[:, 0] + rng.logistic(size=n) > 0
    result = fit(X, y, l2=0.01, solver=solver, **start)
    assert result.converged
    assert result.objective == pytest.approx(fit(X, y, l2=0.01).objective, rel=2e-6)


@pytest.mark.parametrize("seed", [1, 4, 7])
def test_rows_that_are_sure_of_the_wrong_label_are_no_end_of_lbfgs(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((30, 300)), rng.integers(0, 2, 30)
    result = fit(X, y, l2=1e-4, solver="lbfgs", max_iter=150)
    assert result.converged
    assert result.objective == pytest.approx(fit(X, y, l2=1e-4).objective, rel=2e-6)


def low_rank(n, d, K):
    """Return data whose columns nearly depend on each other: too hard for what is tried first."""
    rng = np.random.default_rng(0)
    X = 0.3 * rng.standard_normal((n, d))
    X += rng.standard_normal((n, 20)) * np.geomspace(10, 1, 20) @ rng.standard_normal((20, d))
    scores = X @ rng.standard_normal((d, K)) / X.std() / math.sqrt(d)
    return X, (scores + rng.gumbel(size=(n, K))).argmax(axis=1)


@pytest.mark.parametrize(
    ("n", "d", "K", "tried", "found"),
    [
        (300, 1000, 4, "lbfgs", "compressed"),
        (300, 100, 10, "newton-cg", "newton"),
        (1000, 180, 10, "lbfgs", "blocks"),
        (600, 200, 10, "lbfgs, newton-cg", "newton"),
        (2100, 4100, 2, "lbfgs", "newton-cg"),
    ],
)
def test_what_is_tried_first_gives_up_in_time(n, d, K, tried, found):
    X, y = low_rank(n, d, K)
    result = fit(X, y, l2=1e-2 / n, random_state=0)
    assert (result.converged, result.solver) == (True, found)
    alone = fit(X, y, l2=1e-2 / n, solver=found)
    assert result.objective == pytest.approx(alone.objective, rel=2e-6)
    assert result.reason.endswith(f"proved by {found} after {tried}")
    # With columns that are independent of each other it is enough.
    X = np.random.default_rng(0).standard_normal((n, d))
    y = (X @ np.eye(d, K) * 2 + np.random.default_rng(1).gumbel(size=(n, K))).argmax(axis=1)
    assert fit(X, y, l2=1 / n).solver == tried.split(",")[0]


@pytest.mark.parametrize("passes", [0.2, 30.0])
def test_a_good_pace_is_not_slow(passes):
    lbfgs = importlib.import_module("logreg_c.solvers.lbfgs")
    falls = lbfgs.Falls(passes)
    assert not any(falls.are_slow(math.exp(20.0 - 0.2 * k)) for k in range(70, 100))
    falls = lbfgs.Falls(passes)
    assert any(falls.are_slow(math.exp(20.0 - 0.002 * k)) for k in range(100))


@pytest.mark.parametrize(
    ("n", "d", "K", "penalty", "solvers"),
    [
        (500, 10, 2, {}, ["newton"]),
        (20_000, 30, 2, {}, ["sampled", "newton"]),
        (100, 2000, 2, {}, ["compressed", "newton"]),
        (100, 2000, 2, {"penalty_factor": [1.0, 2.0] * 1000}, ["lbfgs", "newton"]),
        (1000, 700, 2, {}, ["lbfgs", "newton"]),
        (1000, 700, 2, {"l2": 0.0}, ["newton"]),
        (2400, 4500, 2, {}, ["lbfgs", "newton-cg", "newton"]),
        (2600, 5000, 2, {}, ["lbfgs", "newton-cg"]),
        (1500, 300, 10, {}, ["lbfgs", "newton-cg", "newton"]),
        (900, 300, 10, {"l2": 0.0}, ["blocks", "newton-cg", "newton"]),
        (1510, 300, 10, {}, ["lbfgs", "blocks", "newton-cg", "newton"]),
        (10_000, 300, 10, {}, ["blocks", "newton-cg", "newton"]),
        (1000, 2000, 2, {}, ["lbfgs", "compressed", "newton"]),
        (1000, 2000, 2, {"l2": 0.0}, ["compressed", "newton"]),
        (300, 100, 10, {}, ["newton-cg", "newton"]),
        (300, 100, 10, {"l2": 0.0}, ["newton"]),
        (20_000, 10, 3, {"l1": 0.1}, ["sampled", "newton"]),
        (100, 300, 2, {"lower": 0.0}, ["working-set", "newton"]),
    ],
)
def test_what_auto_takes(n, d, K, penalty, solvers):
    strengths = {"l2": 0.1, "l1": 0.0, "penalty_factor": None, "lower": None, "upper": None}
    X, y = np.random.default_rng(0).standard_normal((n, d)), np.arange(n) % K
    problem = Problem(X, y, None, None, True, 0, None)
    objective = problem.pose(as_penalty(*(strengths | penalty).values(), d)).objective
    assert choose("auto", objective) == solvers
