# SPDX-License-Identifier: BSD-3-Clause
"""The estimator behaves as scikit-learn's do, and its numbers are the optimum's."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
import sklearn.linear_model
from fit_problems import QUICK, TALL, problem, unscaled
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn_data import data, objective
from threadpoolctl import threadpool_limits

from logreg_c import LogisticRegression
from logreg_c.solvers import SOLVERS


def reference(X, y, C=1.0, weight=None, **parameters):
    """Fit scikit-learn's own class as tightly as it can be asked to."""
    model = sklearn.linear_model.LogisticRegression(
        C=C, tol=1e-10, max_iter=1000, solver="newton-cg", **parameters
    )
    # BLAS's threads wait for each other by spinning: on a busy machine seconds become minutes.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # it tells where it stops early, and where not does not
        return model.fit(X, y, weight)


def check_name(check):
    return getattr(check, "func", check).__name__


# Weights of 0 against rows left out are compared to 1e-7, which `tol` has to allow, and with an L1
# penalty no `tol` does for all checks.
CHECKS = [
    pytest.param(estimator, check, id=f"{name}-{check_name(check)}")
    for name, model in [
        ("default", {}),
        ("warm", {"warm_start": True}),
        ("newton-cg", {"solver": "newton-cg", "tol": 1e-12}),
        ("elastic net", {"l1_ratio": 0.5}),
    ]
    for estimator, check in estimator_checks_generator(LogisticRegression(**model))
    if "l1_ratio" not in model or "sample_weight_equivalence" not in check_name(check)
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def agrees(X, y, ours, theirs, C, weight=None):
    """Whether coefficients are theirs to 1e-6 of their size, or J is below what they reach."""
    J = objective(X, y, theirs, C, weight)
    assert ours.objective_ <= J * (1 + 1e-12)
    size = np.abs(theirs.coef_).max()
    if np.abs(ours.coef_ - theirs.coef_).max() > 1e-6 * size:
        return ours.objective_ < J * (1 - 1e-10)
    # Theirs is free to lie anywhere if all biases of several classes move together.
    shift = theirs.intercept_.mean() if len(theirs.intercept_) > 1 else 0.0
    size = max(np.abs(theirs.intercept_).max(), 1.0)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_ - shift, rtol=0, atol=1e-5 * size)
    return True


# Gradient descent is for columns of like scales.
ANY_SCALES = ["auto", *QUICK, "preconditioned"]
EVERY = [*ANY_SCALES, "gradient-descent"]
# An eigendecomposition of 1,797 rows, which takes longer than all others together, is done once.
QUICKEST = [name for name in ANY_SCALES if name != "compressed"]


@pytest.mark.parametrize(
    ("name", "standardised", "C", "solvers"),
    [
        ("breast_cancer", True, 0.01, EVERY),
        ("breast_cancer", True, 1.0, EVERY),
        ("breast_cancer", False, 1.0, ANY_SCALES),
        ("wine", True, 1.0, EVERY),
        ("wine", False, 1.0, ANY_SCALES),
        ("iris", True, 0.01, EVERY),
        ("iris", True, 1.0, EVERY),
        ("iris", False, 1.0, EVERY),
        ("digits", False, 0.01, QUICKEST),
        ("digits", False, 1.0, ANY_SCALES),
        ("unscaled", False, 1.0, ANY_SCALES),
        ("unscaled", False, 1000.0, ANY_SCALES),
    ],
)
def test_it_agrees_with_scikit_learn_at_its_tightest(name, standardised, C, solvers, monkeypatch):
    monkeypatch.setattr(
        "logreg_c.fitting.is_better_dense", lambda X: False
    )  # no sparse X is copied as a dense one
    X, y = unscaled() if name == "unscaled" else data(name, standardised)
    theirs = reference(X, y, C)
    for solver in solvers:
        model = LogisticRegression(C=C, tol=1e-13, solver=solver, max_iter=2000, n_jobs=1)
        with warnings.catch_warnings(), threadpool_limits(1):
            # Beside columns that are far from zero there is no proof of so small a gap.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X if solver != "preconditioned" else scipy.sparse.csr_array(X), y)
        assert agrees(X, y, model, theirs, C), solver


def test_every_solver_is_held_against_scikit_learn():
    # There is nothing for the one of L1 penalties here; tests/test_l1.py has it.
    assert {*EVERY, "working-set"} == {"auto", *SOLVERS}


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("kind", ["gaussian", "few positives", "weights", "wide", "no bias"])
def test_it_agrees_with_scikit_learn_on_tall_and_wide_problems(kind, K):
    X, y, arguments = problem(kind, K)
    weight = arguments.get("sample_weight")
    C = 1 / (arguments["l2"] * (len(y) if weight is None else weight.sum()))
    bias = {"fit_intercept": arguments.get("fit_intercept", True)}
    theirs = reference(X, y, C, weight, **bias)
    for solver in QUICK if kind == "wide" else TALL:
        model = LogisticRegression(C=C, tol=1e-13, solver=solver, n_jobs=1, **bias)
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)  # as above
            model.fit(X, y, weight)
        assert agrees(X, y, model, theirs, C, weight), solver


@pytest.mark.parametrize("name", ["breast_cancer", "iris", "wine"])
def test_it_is_never_above_scikit_learn_on_raw_columns(name):
    X, y = data(name, standardised=False)
    ours = LogisticRegression().fit(X, y)
    assert ours.converged_
    assert ours.gap_ <= 1e-6 * ours.objective_
    assert ours.objective_ == pytest.approx(objective(X, y, ours, 1.0), rel=1e-9)
    best = objective(X, y, reference(X, y), 1.0)
    assert best >= (ours.objective_ - ours.gap_) * (1 - 1e-12)
    assert ours.objective_ <= best * (1 + 1e-6)


@pytest.mark.parametrize("name", ["breast_cancer", "iris"])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0, 1: 0.5}])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_weights_and_no_bias(name, class_weight, fit_intercept):
    X, y = data(name)
    s = np.random.default_rng(0).integers(1, 4, len(y))
    parameters = {"class_weight": class_weight, "fit_intercept": fit_intercept}
    ours = LogisticRegression(tol=1e-12, **parameters).fit(X, y, sample_weight=s)
    rows = np.repeat(np.arange(len(y)), s)
    theirs = reference(X[rows], y[rows], **parameters)
    size = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-6 * size)
    assert fit_intercept or not ours.intercept_.any()


def test_no_penalty():
    X, y = data("breast_cancer")
    X, y = X[:, :3], np.where(np.arange(len(y)) % 11 == 0, 1 - y, y)
    ours = LogisticRegression(C=np.inf, tol=1e-12).fit(X, y)
    theirs = reference(X, y, C=np.inf)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)
    same = LogisticRegression(C=np.float32(np.inf), tol=1e-12).fit(X, y)
    np.testing.assert_array_equal(same.coef_, ours.coef_)


@pytest.mark.parametrize("name", ["two", "three"])
def test_attributes(name, request):
    X, y, model = request.getfixturevalue(name)
    rows = {"two": 1, "three": 3}[name]
    assert model.coef_.shape == (rows, X.shape[1])
    assert model.intercept_.shape == (rows,)
    assert model.coef_.dtype == model.intercept_.dtype == np.float64
    assert model.classes_.tolist() == sorted(set(y.tolist()))
    assert model.n_features_in_ == X.shape[1]
    assert model.n_iter_.shape == (1,)
    assert model.n_iter_[0] >= 1
    assert model.converged_ is True
    assert model.history_[-1].objective >= model.objective_ * (1 - 1e-9)
    assert isinstance(model.solver_, str)
    assert model.n_passes_ >= 1
    assert not hasattr(model, "feature_names_in_")
    if rows > 1:
        np.testing.assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-12)
        assert model.intercept_.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["two", "three"])
@pytest.mark.parametrize(
    "method", ["decision_function", "predict", "predict_proba", "predict_log_proba"]
)
def test_predictions(name, method, request):
    X, y, model = request.getfixturevalue(name)
    theirs = reference(X, y)
    theirs.coef_, theirs.intercept_ = model.coef_, model.intercept_
    fast = getattr(model, method)(X)
    np.testing.assert_allclose(fast, getattr(theirs, method)(X), rtol=1e-9, atol=1e-14)
    # All ways to scikit-learn's checks and around them.
    for same in (X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], X.astype(object)):
        np.testing.assert_allclose(getattr(model, method)(same), fast, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(getattr(model, method)(X.tolist()), fast)
    many = np.tile(X, (40, 1))
    np.testing.assert_allclose(getattr(model, method)(many)[-len(X) :], fast, rtol=1e-12)
    single = X.astype(np.float32)
    np.testing.assert_allclose(
        getattr(model, method)(single), getattr(model, method)(single.astype(float)), rtol=1e-12
    )


@pytest.mark.parametrize("z", [-40.0, 0.0, 1.0, 30.0, 36.0, 40.0, 700.0])
def test_logarithms_where_probabilities_are_almost_one(z, three):
    model = clone(three[2]).fit(*three[:2])
    model.coef_ = np.zeros((3, three[0].shape[1]))
    model.coef_[0, 0], model.intercept_ = 1.0, np.zeros(3)
    x = np.zeros((1, three[0].shape[1]))
    x[0, 0] = z
    expected = -np.log1p(2.0 * np.exp(-z)) if z > 0 else z - np.log(2.0 + np.exp(z))
    assert model.predict_log_proba(x)[0, 0] == pytest.approx(expected, rel=1e-14, abs=0)


@pytest.mark.parametrize("name", ["two", "three"])
def test_logarithms_where_probabilities_are_zero(name, request):
    X, _, model = request.getfixturevalue(name)
    far = X * 1e6
    z = model.decision_function(far)
    found = model.predict_log_proba(far)
    assert np.isfinite(found).all()
    if name == "two":
        np.testing.assert_allclose(found[:, 1], np.minimum(z, 0), rtol=1e-12)
        np.testing.assert_allclose(found[:, 0], np.minimum(-z, 0), rtol=1e-12)
    else:
        np.testing.assert_allclose(found, z - z.max(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(far).sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize(
    "labels",
    [
        [-1, 1, 7],
        [True, False, 2],
        [0.0, 1.0, 2.0],
        [-1e9, 5e8, 1e9],
        ["no", "yes", "maybe"],
        [-(1 << 40), 3, 1 << 40],
    ],
    ids=str,
)
def test_labels_of_any_type(K, labels):
    X, y = data("iris")
    X, y = X[y < K], y[y < K]
    named = np.array(labels[:K])[y]
    if K == 3 and named.dtype == int and abs(int(named[0])) < 100:
        named = named.astype(np.int8)
    direct = LogisticRegression().fit(X, y)
    for given in (
        named,
        named.tolist(),
        named.astype(object if named.dtype.kind == "U" else float),
    ):
        model = LogisticRegression().fit(X, given)
        np.testing.assert_array_equal(model.classes_, np.unique(named))
        assert (model.predict(X) == given).mean() == direct.score(X, y)
        order = np.argsort(np.array(labels[:K]))
        P = direct.predict_proba(X)[:, order]
        np.testing.assert_allclose(model.predict_proba(X), P, rtol=1e-6, atol=1e-9)
    kept = LogisticRegression().fit(X, named)
    assert kept.classes_.dtype == named.dtype


def test_the_whole_range_of_small_integers():
    X = np.arange(24.0).reshape(12, 2)
    y = np.array([-128, 127, 5] * 4, dtype=np.int8)
    assert LogisticRegression().fit(X, y).classes_.tolist() == [-128, 5, 127]
    y = np.array([0, 2**64 - 1, 5] * 4, dtype=np.uint64)
    assert LogisticRegression().fit(X, y).classes_.tolist() == [0, 5, 2**64 - 1]


@pytest.mark.parametrize("name", ["two", "three"])
def test_fast_and_slow_fit_are_the_same(name, request):
    X, y, fast = request.getfixturevalue(name)
    slow = LogisticRegression().fit(X.tolist(), y.tolist())
    np.testing.assert_array_equal(slow.coef_, fast.coef_)
    np.testing.assert_array_equal(slow.intercept_, fast.intercept_)
    assert slow.n_features_in_ == fast.n_features_in_


BAD_X = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("bad", BAD_X)
@pytest.mark.parametrize("name", ["two", "three"])
def test_what_is_not_finite_is_told_in_scikit_learns_words(bad, name, request):
    X, y, model = request.getfixturevalue(name)
    X = X.copy()
    X[3, 1] = bad
    theirs = reference(*request.getfixturevalue(name)[:2])
    for call in ("fit", "predict", "predict_proba", "predict_log_proba", "decision_function"):
        arguments = (y,) if call == "fit" else ()
        texts = []
        for estimator, given in [(clone(model), X), (clone(model), X.tolist()), (theirs, X)]:
            if call != "fit" and estimator is not theirs:
                estimator = model
            with pytest.raises(ValueError, match="Input X contains") as found:
                getattr(estimator, call)(given, *arguments)
            texts.append(str(found.value).splitlines()[0])
        assert texts[0] == texts[1] == texts[2]


def test_other_bad_input_is_told_in_scikit_learns_words(two):
    X, y, model = two
    theirs = reference(X, y)
    for call, given, error in [
        ("predict_proba", X[:, :3], ValueError),
        ("predict", X[0], ValueError),
        ("fit", X[:9], ValueError),
        ("fit", X[:0], ValueError),
    ]:
        arguments = (y,) if call == "fit" else ()
        with pytest.raises(error) as found:
            getattr(clone(model) if call == "fit" else model, call)(given, *arguments)
        if error is ValueError:
            with pytest.raises(error) as expected:
                getattr(theirs, call)(given, *arguments)
            assert str(found.value) == str(expected.value)
        else:
            assert "toarray()" in str(found.value)
    for call in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(LogisticRegression(), call)(X)
    # A fit that fails leaves what there was.
    kept = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match="contains NaN"):
        kept.fit(np.full((4, 2), np.nan), np.array([0, 1, 0, 1]))
    np.testing.assert_array_equal(kept.predict(X), model.predict(X))


@pytest.mark.parametrize("name", ["two", "three"])
def test_scores_beyond_the_range_are_an_error(name, request):
    X, _, model = request.getfixturevalue(name)
    model = pickle.loads(pickle.dumps(model))
    model.coef_ *= 100
    huge = np.where(model.coef_[0] > 0, 1e308, 0.0) + 0.0 * X
    for call in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(OverflowError, match="beyond the range of float64"):
            getattr(model, call)(huge)


@pytest.mark.parametrize(
    ("parameters", "error", "text"),
    [
        ({"C": 0}, ValueError, "C is 0.0; give a finite number above 0"),
        ({"C": -np.inf}, ValueError, "C is -inf"),
        ({"C": "1"}, TypeError, "C is '1'; give a number"),
        ({"C": 1e-308}, ValueError, "C is 1e-308 and the weights add up to 569.0.*larger C"),
        ({"l1_ratio": 1.5}, ValueError, "l1_ratio is 1.5; give a share from 0 to 1"),
        ({"l1_ratio": None}, TypeError, "l1_ratio is None; give 0"),
        ({"l1_ratio": -1}, ValueError, "l1_ratio is -1.0; give"),
        ({"n_jobs": 0}, ValueError, "n_jobs is 0; give a number of threads, -1 for all, or None"),
        ({"n_jobs": 1.5}, ValueError, "n_jobs is 1.5"),
        ({"n_jobs": 1000}, ValueError, "n_jobs is 1000; give a number from 1 to 256"),
        ({"n_jobs": np.array([1, 2])}, ValueError, r"n_jobs is array\(\[1, 2\]\)"),
        ({"random_state": np.array([1, 2])}, ValueError, r"random_state is array\(\[1, 2\]\)"),
        ({"fit_intercept": "False"}, TypeError, "fit_intercept is 'False', a str"),
        ({"random_state": "a"}, ValueError, "random_state is 'a'; give an integer"),
        ({"random_state": -1}, ValueError, "random_state is -1; give an integer of 0 or above"),
        ({"class_weight": "balance"}, ValueError, "class_weight is 'balance'; give a dict"),
        ({"class_weight": [1, 2]}, ValueError, r"class_weight is \[1, 2\]; give a dict"),
        ({"class_weight": {0: 0.0}}, ValueError, r"class_weight\[0\] is 0.0; .* above 0"),
        ({"class_weight": {"0": 2.0}}, ValueError, r"weight for '0', which is not .*\[0, 1\]"),
        ({"solver": "saga"}, ValueError, "solver is 'saga'"),
        ({"tol": -1.0}, ValueError, "tol is -1.0"),
    ],
    ids=str,
)
def test_bad_parameters(two, parameters, error, text):
    X, y, _ = two
    model = LogisticRegression(**parameters)
    with pytest.raises(error, match=text):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("penalty", "C=numpy.inf is none"),
        ("dual", "only the primal problem"),
        ("intercept_scaling", "the intercept is never penalised"),
        ("multi_class", "OneVsRestClassifier"),
    ],
)
def test_parameters_of_scikit_learns_class_are_told_their_new_spelling(name, text):
    with pytest.raises(TypeError, match=f"has no parameter '{name}'.*{text}"):
        LogisticRegression(**{name: None})
    with pytest.raises(TypeError, match=f"has no parameter '{name}'.*{text}"):
        LogisticRegression().set_params(**{name: None})
    assert name not in LogisticRegression().get_params()


def test_old_code_is_told_what_to_write(two):
    X, y, _ = two
    with pytest.raises(TypeError, match=r"no parameter 'penalty' .given: 'l1'.: .*l1_ratio=1"):
        LogisticRegression("l1")
    with pytest.raises(TypeError, match="takes 1 positional argument"):
        LogisticRegression(3)
    with pytest.raises(TypeError, match="l1_ratio is None; give 0"):
        LogisticRegression(l1_ratio=None).fit(X, y)
    for solver in ("liblinear", "newton-cholesky", "sag", "saga"):
        with pytest.raises(ValueError, match=f"solver is '{solver}'; give 'auto', which gets to"):
            LogisticRegression(solver=solver).fit(X, y)

    class WithAFirst(LogisticRegression):
        def __init__(self, first, *, C=1.0):
            super().__init__(C=C)
            self.first = first

    assert WithAFirst("l1").first == "l1"

    class Own(LogisticRegression):
        def __init__(self, penalty=1):
            super().__init__()
            self.penalty = penalty

    assert clone(Own(penalty=2)).set_params(penalty=3).penalty == 3


def test_bad_weights_and_classes(two):
    X, y, _ = two
    with pytest.raises(ValueError, match=r"y holds one class, \['a'\]"):
        LogisticRegression().fit(X, np.full(len(y), "a"))
    with pytest.raises(ValueError, match="sample_weight is 0 for all examples of class 0; drop"):
        LogisticRegression().fit(X, y, sample_weight=y)
    with pytest.raises(ValueError, match="sample_weight has 3 entries and X has 569 rows"):
        LogisticRegression().fit(X, y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is -1.0"):
        LogisticRegression().fit(X, y, sample_weight=-np.ones(len(y)))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        LogisticRegression().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        LogisticRegression().fit(X, np.where(y == 0, np.nan, y))
    with pytest.raises(ValueError, match="requires y to be passed"):
        LogisticRegression().fit(X, None)


def test_it_warns_as_scikit_learn_does_and_keeps_what_it_has(two):
    X, y, _ = two
    model = LogisticRegression(max_iter=1, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match="not converged: .*1.* proved to be within"):
        model.fit(X, y)
    assert model.converged_ is False
    assert model.gap_ > 1e-12 * model.objective_
    assert model.predict(X).shape == y.shape


def test_verbose_shows_a_bar_and_closes_it(two, bars, capsys):
    X, y, quiet = two
    model = LogisticRegression(verbose=1).fit(X, y)
    assert [(bar.n, bar.closed) for bar in bars] == [(model.n_iter_[0], True)]
    assert "iteration" in capsys.readouterr().err
    np.testing.assert_array_equal(model.coef_, quiet.coef_)
    LogisticRegression().fit(X, y)
    assert len(bars) == 1


@pytest.mark.parametrize("name", ["two", "three"])
def test_warm_start(name, request):
    X, y, cold = request.getfixturevalue(name)
    model = clone(cold).set_params(warm_start=True).fit(X, y)
    model.fit(X, y)
    assert model.n_iter_[0] <= cold.n_iter_[0]
    np.testing.assert_allclose(model.predict_proba(X), cold.predict_proba(X), atol=1e-3)
    # Where the start does not fit, there is none.
    model.fit(X[:, :2], y)
    np.testing.assert_array_equal(model.coef_, clone(cold).fit(X[:, :2], y).coef_)
    model.fit(X[:, :2], y + 1)
    assert model.classes_[0] == 1
    model.set_params(fit_intercept=False).fit(X[:, :2], y + 1)
    assert not model.intercept_.any()


def test_seeds_and_threads_do_not_change_the_numbers(two):
    X, y, model = two
    for parameters in (
        {"n_jobs": 1},
        {"n_jobs": -1},
        {"n_jobs": -200},
        {"random_state": 5},
        {"random_state": np.random.RandomState(1)},
        {"random_state": np.random.default_rng(1)},
    ):
        again = LogisticRegression(**parameters).fit(X, y)
        np.testing.assert_array_equal(again.coef_, model.coef_)


@pytest.mark.parametrize("name", ["two", "three"])
def test_sparsify_pickle_and_clone(name, request):
    X, y, model = request.getfixturevalue(name)
    P = model.predict_proba(X)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), P)
    assert copy.history_ == model.history_
    assert scipy.sparse.issparse(copy.sparsify().coef_)
    np.testing.assert_array_equal(copy.predict_proba(X), P)
    copy.partial_fit(X, y)
    assert isinstance(copy.densify().coef_, np.ndarray)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        LogisticRegression().sparsify()


@pytest.mark.parametrize("name", ["two", "three"])
@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "predict_log_proba"])
def test_coefficients_of_other_columns_are_refused(name, method, request):
    X, _, model = request.getfixturevalue(name)
    copy = pickle.loads(pickle.dumps(model))
    copy.coef_ = copy.coef_[:, :-1].copy()
    for A in (X, scipy.sparse.csr_array(X), X.tolist()):
        with pytest.raises(ValueError, match=r"coef_ has shape .* X has \d+ columns; give coef_"):
            getattr(copy, method)(A)
    copy.coef_, copy.intercept_ = model.coef_, model.intercept_[:0]
    with pytest.raises(ValueError, match="intercept_ has 0 entries"):
        getattr(copy, method)(X)


@pytest.mark.parametrize("name", ["two", "three"])
def test_coefficients_by_columns_predict_the_same(name, request):
    X, _, model = request.getfixturevalue(name)
    copy = pickle.loads(pickle.dumps(model))
    copy.coef_ = np.asfortranarray(np.tile(copy.coef_, (1, 2))[:, : X.shape[1]])
    for A in (X, np.asfortranarray(X), scipy.sparse.csr_array(X), scipy.sparse.csc_array(X)):
        np.testing.assert_array_equal(copy.predict_proba(A), model.predict_proba(A))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_refit_that_is_refused_leaves_the_fit_before_it(three, method):
    X, y, fitted = three
    model = pickle.loads(pickle.dumps(fitted))
    wider = np.ones((len(y), 60)).tolist()
    with pytest.raises(ValueError, match=r"y holds one class|classes are|features"):
        getattr(model, method)(wider, np.zeros(len(y), int))
    assert model.n_features_in_ == X.shape[1]
    np.testing.assert_array_equal(model.predict_proba(X), fitted.predict_proba(X))
    with pytest.raises(ValueError, match="60 features"):
        model.predict(wider)
