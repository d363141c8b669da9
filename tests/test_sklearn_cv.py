# SPDX-License-Identifier: BSD-3-Clause
"""Cross-validation: scikit-learn's folds and scores, its manners, and the promises of fit."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
import sklearn.linear_model
from sklearn import config_context, datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import f1_score, get_scorer, log_loss, make_scorer, recall_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import logreg_c
from logreg_c import LogisticRegression, LogisticRegressionCV

CS = [0.01, 1.0, 30.0]


def data(name, every=1):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return StandardScaler().fit_transform(X)[::every], y[::every]


def by_hand(X, y, folds, C, scorer, weight=None, **parameters):
    """Return the score of each fold, by fits to copies of its rows."""
    scores = []
    for train, test in folds:
        s = None if weight is None else weight[train]
        model = LogisticRegression(C=C, tol=1e-10, **parameters).fit(X[train], y[train], s)
        held = {} if weight is None else {"sample_weight": weight[test]}
        scores.append(scorer(model, X[test], y[test], **held))
    return scores


CHECKS = [
    pytest.param(estimator, check, id=f"{getattr(check, 'func', check).__name__}")
    for estimator, check in estimator_checks_generator(LogisticRegressionCV(Cs=3))
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss", "roc_auc", None])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_have_the_scores_of_separate_fits(scoring, weighted):
    X, y = data("breast_cancer")
    rng = np.random.default_rng(0)
    s = rng.integers(1, 4, len(y)).astype(float) if weighted else None
    folds = list(KFold(4, shuffle=True, random_state=1).split(X, y))
    model = LogisticRegressionCV(Cs=CS, cv=folds, scoring=scoring, tol=1e-9).fit(X, y, s)
    scorer = get_scorer(scoring or "accuracy")
    for j, C in enumerate(CS):
        expected = by_hand(X, y, folds, C, scorer, s)
        np.testing.assert_allclose(model.scores_[:, 0, j], expected, rtol=2e-4, atol=1e-6)
    assert model.converged_
    assert model.C_ == CS[int(model.scores_.mean(axis=0)[0].argmax())]


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss", "roc_auc_ovr"])
def test_several_classes_have_the_scores_of_separate_fits(scoring):
    X, y = data("wine")
    folds = list(KFold(3, shuffle=True, random_state=0).split(X, y))
    model = LogisticRegressionCV(Cs=CS, cv=folds, scoring=scoring, tol=1e-9).fit(X, y)
    for j, C in enumerate(CS):
        expected = by_hand(X, y, folds, C, get_scorer(scoring))
        np.testing.assert_allclose(model.scores_[:, 0, j], expected, rtol=1e-4, atol=1e-6)


def test_verbose_shows_a_bar_and_closes_it(bars, capsys):
    X, y = data("iris")
    LogisticRegressionCV(Cs=CS, cv=3, verbose=1).fit(X, y)
    assert [(bar.n, bar.closed) for bar in bars] == [(12, True)]  # three folds and all rows
    assert "12/12" in capsys.readouterr().err


def each(attribute):
    """Return the array, or those of the classes, that an attribute is."""
    return list(attribute.values()) if isinstance(attribute, dict) else [attribute]


@pytest.mark.parametrize("name", ["breast_cancer", "iris"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_it_agrees_with_scikit_learns(name, class_weight):
    X, y = data(name)
    common = {"Cs": 4, "scoring": "neg_log_loss", "class_weight": class_weight}
    theirs = sklearn.linear_model.LogisticRegressionCV(
        solver="newton-cg", tol=1e-10, max_iter=1000, **common
    )
    new = {"use_legacy_attributes": False, "l1_ratios": (0.0,)}
    if "use_legacy_attributes" in theirs.get_params():
        theirs.set_params(**new)
    else:  # scikit-learn before 1.8
        new = {"use_legacy_attributes": True, "l1_ratios": None}
    ours = LogisticRegressionCV(tol=1e-10, **common, **new).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(X, y)
    np.testing.assert_array_equal(ours.C_, theirs.C_)
    np.testing.assert_allclose(ours.Cs_, theirs.Cs_)
    for mine, other in zip(each(ours.scores_), each(theirs.scores_), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)
    size = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-4 * size)
    for mine, other in zip(each(ours.coefs_paths_), each(theirs.coefs_paths_), strict=True):
        assert mine.shape == other.shape
    assert ours.n_iter_.shape == theirs.n_iter_.shape
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-4)


@pytest.mark.parametrize("name", ["breast_cancer", "iris"])
def test_the_model_is_the_fit_to_all_examples(name):
    X, y = data(name)
    model = LogisticRegressionCV(Cs=CS, tol=1e-10).fit(X, y)
    alone = LogisticRegression(C=model.C_, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-4)
    assert model.gap_ <= 1e-10 * model.objective_
    assert model.objective_ == pytest.approx(alone.objective_, rel=1e-9)


def test_without_refit_it_is_the_mean_of_the_folds_best():
    X, y = data("breast_cancer")
    model = LogisticRegressionCV(Cs=CS, refit=False).fit(X, y)
    best = model.scores_[:, 0].argmax(axis=1)
    mean = np.mean([model.coefs_paths_[k, 0, j, 0] for k, j in enumerate(best)], axis=0)
    np.testing.assert_array_equal(model.coef_[0], mean[:-1])
    assert model.intercept_[0] == mean[-1]
    assert model.C_ == pytest.approx(np.mean(np.array(CS)[best]))
    assert not hasattr(model, "gap_")


def test_one_standard_error():
    X, y = data("breast_cancer")
    common = {"Cs": np.logspace(-2, 1, 13), "scoring": "neg_log_loss"}
    best = LogisticRegressionCV(**common).fit(X, y)
    model = LogisticRegressionCV(selection="one_standard_error", **common).fit(X, y)
    means = model.scores_[:, 0].mean(axis=0)
    error = model.scores_[:, 0, means.argmax()].std(ddof=1) / np.sqrt(5)
    j = int(np.flatnonzero(model.Cs_ == model.C_)[0])
    assert model.C_ < best.C_
    assert means[j] >= means.max() - error > means[j - 1]
    alone = LogisticRegression(C=model.C_).fit(X, y)
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-3)


def test_the_order_of_strengths_does_not_matter():
    X, y = data("breast_cancer")
    up = LogisticRegressionCV(Cs=CS).fit(X, y)
    down = LogisticRegressionCV(Cs=CS[::-1]).fit(X, y)
    np.testing.assert_array_equal(up.scores_, down.scores_[:, :, ::-1])
    assert up.C_ == down.C_


def test_shares_of_l1():
    X, y = data("breast_cancer", every=2)
    model = LogisticRegressionCV(Cs=[0.1, 1.0], l1_ratios=[0.0, 0.5, 1.0], cv=3).fit(X, y)
    assert model.scores_.shape == (3, 3, 2)
    assert model.converged_
    zeros = (model.coefs_paths_[..., :-1] == 0.0).sum(axis=(0, 2, 3, 4))
    assert zeros[0] == 0 < zeros[1] < zeros[2]
    i = int(np.flatnonzero(model.l1_ratios_ == model.l1_ratio_)[0])
    assert model.scores_.mean(axis=0).max() == model.scores_.mean(axis=0)[i].max()
    alone = LogisticRegression(C=model.C_, l1_ratio=model.l1_ratio_).fit(X, y)
    assert model.objective_ == pytest.approx(alone.objective_, rel=2e-6)


def test_legacy_attributes():
    X, y = data("iris")
    new = LogisticRegressionCV(Cs=CS).fit(X, y)
    old = LogisticRegressionCV(Cs=CS, use_legacy_attributes=True, l1_ratios=None).fit(X, y)
    assert set(old.scores_) == {0, 1, 2}
    np.testing.assert_array_equal(old.scores_[1], new.scores_[:, 0])
    np.testing.assert_array_equal(old.coefs_paths_[2], new.coefs_paths_[:, 0, :, 2])
    np.testing.assert_array_equal(old.n_iter_[0], new.n_iter_[:, 0])
    np.testing.assert_array_equal(old.C_, [new.C_] * 3)
    two = LogisticRegressionCV(Cs=CS, use_legacy_attributes=True, l1_ratios=(0.0,))
    two.fit(X[:100], y[:100])
    assert two.scores_[1].shape == (5, 3, 1)
    assert two.coefs_paths_[1].shape == (5, 3, 1, 5)


def test_the_bits_do_not_depend_on_threads():
    X, y = data("digits", every=8)
    models = [LogisticRegressionCV(Cs=[0.01, 1.0], cv=3, n_jobs=k).fit(X, y) for k in (1, 2, 3, 8)]
    for model in models[1:]:
        np.testing.assert_array_equal(model.coef_, models[0].coef_)
        np.testing.assert_array_equal(model.scores_, models[0].scores_)


@pytest.mark.parametrize("layout", ["csr", "csc"])
@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc"])
def test_sparse_is_dense(layout, scoring):
    X, y = data("digits", every=3)
    X, y = X * (X > 0.5), y % 2
    common = {"Cs": [0.01, 1.0], "l1_ratios": [0.0, 1.0], "cv": 3, "scoring": scoring, "tol": 1e-9}
    sparse = getattr(scipy.sparse, f"{layout}_array")(X)
    dense = LogisticRegressionCV(**common).fit(X, y)
    model = LogisticRegressionCV(**common).fit(sparse, y)
    assert model.converged_
    np.testing.assert_allclose(model.scores_, dense.scores_, atol=2e-4)
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-3)
    np.testing.assert_allclose(model.predict_proba(sparse), dense.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("repeated", [1, 20, 130])
def test_every_fit_of_a_fold_is_as_near_as_was_asked(repeated):
    # Repeated, the rows are many for their columns: the Hessian is another fold's, and a sample
    # proves. Alone they are few, and are fitted together.
    X, y = data("breast_cancer")
    X, y = np.tile(X[:, :9], (repeated, 1)), np.tile(y, repeated)
    X = X + 0.3 * np.random.default_rng(0).standard_normal(X.shape)
    model = LogisticRegressionCV(Cs=[1e-3, 1.0, 1e3], cv=4, tol=1e-8).fit(X, y)
    assert model.converged_
    for k, (train, _) in enumerate(StratifiedKFold(4).split(X, y)):
        for j, C in enumerate(model.Cs_):
            alone = LogisticRegression(C=C, tol=1e-11).fit(X[train], y[train])
            W = model.coefs_paths_[k, 0, j, 0]
            margins = np.where(y[train] == 1, 1, -1) * (X[train] @ W[:-1] + W[-1])
            J = np.logaddexp(0, -margins).mean() + (W[:-1] ** 2).sum() / (2 * C * len(train))
            assert J == pytest.approx(alone.objective_, rel=1.1e-8)


def test_folds_share_reads_and_hessians():
    # For a strength the folds' start, what they leave out of the Hessian, and their end; and a few
    # reads for all rows. Six fits by themselves would take 18 or more.
    X, y = data("breast_cancer")
    X = np.tile((X - X.mean(axis=0)) / X.std(axis=0), (5, 1))[:, :5]
    y = np.tile(y, 5)
    y[::7] ^= 1
    model = LogisticRegressionCV(Cs=np.logspace(-3, 3, 7)).fit(X, y)
    assert model.converged_
    assert np.median(model.n_iter_) == 1
    assert model.n_passes_ < 7 * 9


def test_labels_of_any_type_in_frames():
    pandas = pytest.importorskip("pandas")
    X, y = data("breast_cancer", every=2)
    frame = pandas.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    labels = pandas.Series(np.where(y == 1, "good", "bad"))
    model = LogisticRegressionCV(Cs=CS, scoring="f1").fit(frame, labels)
    assert model.classes_.tolist() == ["bad", "good"]
    assert model.feature_names_in_[0] == "c0"
    plain = LogisticRegressionCV(Cs=CS, scoring="f1").fit(X, y)
    np.testing.assert_array_equal(model.scores_, plain.scores_)
    assert set(model.predict(frame)) <= {"bad", "good"}


@pytest.mark.parametrize(
    "scoring",
    [
        "f1",
        "average_precision",
        make_scorer(f1_score),
        make_scorer(f1_score, average="macro"),
        make_scorer(recall_score),
    ],
)
def test_the_second_label_is_positive_in_the_score_too(scoring):
    X, y = data("breast_cancer", every=2)
    labels = np.where(y == 1, "good", "bad")
    model = LogisticRegressionCV(Cs=[1.0], scoring=scoring).fit(X, labels)
    plain = LogisticRegressionCV(Cs=[1.0], scoring=scoring).fit(X, y)
    np.testing.assert_array_equal(model.scores_, plain.scores_)
    assert model.score(X, labels) == plain.score(X, y) == get_scorer(scoring)(plain, X, y)
    with pytest.raises(NotFittedError):
        LogisticRegressionCV(scoring=scoring).score(X, labels)


def test_weights_so_small_that_their_penalty_is_not_are_an_error():
    X, y = np.arange(20.0).reshape(-1, 1), np.arange(20) // 2 % 2
    with pytest.raises(ValueError, match=r"the weights add up to 1\.99998e-319, so the"):
        LogisticRegressionCV(Cs=[1.0], cv=2).fit(X, y, sample_weight=np.full(20, 1e-320))


def test_it_is_cloned_pickled_and_nested():
    X, y = data("breast_cancer", every=2)
    model = LogisticRegressionCV(Cs=CS, cv=3)
    fitted = clone(model).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    nested = cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=3)
    assert nested.shape == (3,)
    assert (nested < 0.0).all()  # neg_log_loss, which `score` is
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_groups_and_scorers_are_routed():
    X, y = data("breast_cancer", every=2)
    groups = np.arange(len(y)) // 10
    s = np.random.default_rng(0).random(len(y)) + 0.5
    with config_context(enable_metadata_routing=True):
        cv = GroupKFold(3)
        scorer = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba")
        scorer.set_score_request(sample_weight=True)
        model = LogisticRegressionCV(Cs=CS, cv=cv, scoring=scorer)
        model.fit(X, y, sample_weight=s, groups=groups)
    folds = list(GroupKFold(3).split(X, y, groups))
    expected = by_hand(X, y, folds, CS[1], get_scorer("neg_log_loss"), s)
    np.testing.assert_allclose(model.scores_[:, 0, 1], expected, rtol=1e-3)
    with pytest.raises(ValueError, match=r"groups.*metadata routing"):
        LogisticRegressionCV().fit(X, y, groups=groups)


def test_a_scorer_of_ones_own_and_repeated_folds():
    X, y = data("iris")
    seen = []

    def scorer(estimator, X, y):
        seen.append(len(y))
        return estimator.predict_proba(X)[np.arange(len(y)), y].mean()

    cv = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    model = LogisticRegressionCV(Cs=CS, cv=cv, scoring=scorer).fit(X, y)
    assert model.scores_.shape == (6, 1, 3)
    assert seen == [50] * 18


def test_fewer_default_folds_for_rare_classes():
    X, y = data("iris")
    rows = np.r_[0:50, 50:100, 100:103]
    model = LogisticRegressionCV(Cs=CS).fit(X[rows], y[rows])
    assert model.scores_.shape == (3, 1, 3)


def test_no_penalty_among_the_strengths():
    X, y = data("breast_cancer")
    X, y = X[:, :3], np.where(np.arange(len(y)) % 11 == 0, 1 - y, y)
    model = LogisticRegressionCV(Cs=[1e-3, np.inf], tol=1e-9).fit(X, y)
    alone = LogisticRegression(C=np.inf, tol=1e-9).fit(X, y)
    assert model.C_ == np.inf
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-3)


def test_a_fit_that_is_not_proved_is_told_of():
    X, y = data("breast_cancer")
    with pytest.warns(ConvergenceWarning, match=r"\d+ of 18 fits did not converge.*max_iter"):
        model = LogisticRegressionCV(Cs=CS, tol=1e-12, max_iter=1).fit(X, y)
    assert not model.converged_


@pytest.mark.parametrize(
    ("parameters", "error", "says"),
    [
        ({"Cs": 0}, ValueError, "Cs is 0"),
        ({"Cs": [1.0, -1.0]}, ValueError, "Cs is"),
        ({"Cs": []}, ValueError, "Cs is"),
        ({"Cs": [1.0, np.nan]}, ValueError, "Cs is"),
        ({"l1_ratios": [1.5]}, ValueError, "l1_ratios is"),
        ({"l1_ratios": 0.5}, ValueError, "l1_ratios is"),
        ({"selection": "worst"}, ValueError, "selection is 'worst'"),
        ({"selection": "one_standard_error", "refit": False}, ValueError, "needs refit=True"),
        ({"scoring": "speed"}, ValueError, "speed"),
        ({"tol": 0.0}, ValueError, "tol is"),
        ({"max_iter": 0}, ValueError, "max_iter is"),
        ({"solver": "magic"}, ValueError, "solver is 'magic'"),
        ({"n_jobs": 0}, ValueError, "n_jobs is"),
        ({"n_jobs": 1000}, ValueError, "n_jobs is 1000"),
        ({"cv": []}, ValueError, "cv gives 0 folds, where selection='best' needs 1 or more"),
        (
            {"cv": [(np.arange(5, 15), np.arange(5))], "selection": "one_standard_error"},
            ValueError,
            "cv gives 1 folds, where selection='one_standard_error' needs 2 or more",
        ),
        (
            {"cv": [(np.arange(5, 15), np.arange(0))]},
            ValueError,
            "cv holds out rows in fold 0 whose weights add up to 0",
        ),
        ({"cv": KFold(2)}, ValueError, "training rows of fold 0 hold no example of class 0"),
        (
            {"cv": [(np.arange(20), [20])]},
            ValueError,
            "cv gives rows in fold 0 that are not among the 20 of X .*; give integers from 0 to 19",
        ),
        ({"cv": [(None, None)]}, ValueError, "cv gives rows in fold 0 that are not one list each"),
        ({"cv": [(np.arange(20), 5)]}, ValueError, "cv gives rows in fold 0 that are not one list"),
        ({"cv": 1}, ValueError, "cv is 1; give 2 folds or more"),
        ({"cv": [([0.5, 11.0], [2])]}, ValueError, "cv gives rows in fold 0 that are not among"),
        ({"scoring": lambda *args: np.nan}, ValueError, "score of fold 0 at C=0.01"),
        ({"scoring": lambda *args: "good"}, TypeError, "scoring gave 'good', a str; give one"),
        ({"Cs": 2**70}, ValueError, "Cs is 1180591620717411303424; give an integer from 1 to"),
        ({"Cs": [1e-320, 1.0]}, ValueError, "smallest of Cs is 9.99989e-321 and .* take larger"),
        ({"refit": "no"}, TypeError, "refit is 'no', a str; give True or False"),
        ({"solver": ["newton"]}, ValueError, r"solver is \['newton'\]"),
    ],
)
def test_bad_parameters(parameters, error, says):
    X = np.arange(20.0).reshape(-1, 1)
    y = np.repeat([0, 1], 10)
    with pytest.raises(error, match=says):
        LogisticRegressionCV(**{"Cs": CS, **parameters}).fit(X, y)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("penalty", r"Cs=\[numpy.inf\] is none.*l1_ratios=\[1\] is an L1 penalty"),
        ("multi_class", r"OneVsRestClassifier\(LogisticRegressionCV\(\)\)"),
    ],
)
def test_parameters_of_old_are_told_the_spelling_of_this_class(name, text):
    with pytest.raises(TypeError, match=f"LogisticRegressionCV has no parameter '{name}'.*{text}"):
        LogisticRegressionCV(**{name: None})


def test_the_spelling_that_is_told_is_taken():
    X, y = np.arange(20.0).reshape(-1, 1), np.arange(20) // 2 % 2
    assert LogisticRegressionCV(Cs=[np.inf], cv=2).fit(X, y).C_ == np.inf
    assert LogisticRegressionCV(Cs=2, l1_ratios=[1], cv=2).fit(X, y).l1_ratio_ == 1


def test_it_is_fetched_when_asked_for():
    assert "LogisticRegressionCV" in dir(logreg_c)
    assert not hasattr(LogisticRegressionCV, "partial_fit")


@pytest.mark.parametrize("K", [2, 3])
def test_starts_surer_than_the_optimum_of_a_weak_penalty_are_left_in_a_few_steps(K):
    """Hessians there are next to nothing for most rows, and promise steps far too long."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 50)) * 10.0 ** rng.uniform(-1.0, 1.0, 50)
    model = LogisticRegressionCV(Cs=[1.0, 1e4], cv=3).fit(X, rng.integers(0, K, 60))
    assert model.converged_
    assert model.n_iter_.max() < 30
