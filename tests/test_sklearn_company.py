# SPDX-License-Identifier: BSD-3-Clause
"""The estimator among others: pipelines, searches, frames, metadata, and no scikit-learn at all."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_data import data

import logreg_c
from logreg_c import LogisticRegression, LogisticRegressionCV

PAGE = Path(__file__).parent.parent / "docs" / "coming-from-scikit-learn.md"


def test_in_pipelines_and_searches():
    X, y = data("breast_cancer", standardised=False)
    names = np.array(["malignant", "benign"])[y]
    pipe = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipe, {"logisticregression__C": [0.01, 1.0, np.inf]}, cv=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fold without a penalty separates
        search.fit(X, names)
    assert search.best_score_ > 0.97
    assert cross_val_score(pipe, X, names, cv=3, scoring="neg_log_loss").mean() > -0.12
    calibrated = CalibratedClassifierCV(pipe, cv=3).fit(X, names)
    assert calibrated.score(X, names) > 0.97


def test_metadata_routing():
    X, y = data("breast_cancer")
    s = np.where(y == 1, 5.0, 1.0)
    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model).fit(
            X, y, sample_weight=s
        )
        scores = cross_val_score(
            model.set_score_request(sample_weight=True), X, y, cv=3, params={"sample_weight": s}
        )
    direct = LogisticRegression().fit(X, y, sample_weight=s)
    np.testing.assert_allclose(pipe[-1].coef_, direct.coef_, rtol=1e-3)
    assert scores.shape == (3,)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library):
    frames = pytest.importorskip(library)
    X, y = data("iris")
    names = ["sl", "sw", "pl", "pw"]
    frame = frames.DataFrame(dict(zip(names, X.T, strict=True)))
    model = LogisticRegression().fit(frame, frames.Series(y))
    direct = LogisticRegression().fit(X, y)
    np.testing.assert_allclose(model.coef_, direct.coef_, rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(frame), direct.predict_proba(X), rtol=1e-6)
    s = frames.Series(np.arange(1.0, 151.0))
    weighted = LogisticRegression().fit(frame, y, sample_weight=s)
    np.testing.assert_allclose(
        weighted.coef_, LogisticRegression().fit(X, y, np.arange(1.0, 151.0)).coef_, rtol=1e-6
    )
    # scikit-learn up to 1.8 does not find the names of polars' columns from polars 2 on.
    if hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        assert model.feature_names_in_.tolist() == names
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            model.predict(X)
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(frame[names[::-1]])
    assert not hasattr(model.fit(X, y), "feature_names_in_")


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("kind", [LogisticRegression, LogisticRegressionCV])
def test_frames_from_the_transformer_before_it(library, kind):
    frames = pytest.importorskip(library)
    X, y = data("iris", standardised=False)
    names = ["sl", "sw", "pl", "pw"]
    frame = frames.DataFrame(dict(zip(names, X.T, strict=True)))
    direct = make_pipeline(StandardScaler(), kind()).fit(X, y)
    pipe = make_pipeline(StandardScaler(), kind()).set_output(transform=library).fit(frame, y)
    assert isinstance(pipe[0].transform(frame), frames.DataFrame)
    np.testing.assert_allclose(pipe[-1].coef_, direct[-1].coef_, rtol=1e-6)
    # What it has to say about rows is arrays, as of scikit-learn's own classifiers.
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        found = getattr(pipe, method)(frame)
        assert type(found) is np.ndarray
        np.testing.assert_allclose(found, getattr(direct, method)(X), rtol=1e-5)
    assert pipe.score(frame, y) == pytest.approx(direct.score(X, y), rel=1e-9)
    if hasattr(pipe[0], "feature_names_in_"):  # see above
        assert pipe.feature_names_in_.tolist() == names
        assert pipe[-1].feature_names_in_.tolist() == names
        with pytest.raises(ValueError, match="feature names should match"):
            pipe[-1].predict(pipe[0].transform(frame)[names[::-1]])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_the_columns_that_it_selects(library):
    frames = pytest.importorskip(library)
    X, y = data("breast_cancer")
    frame = frames.DataFrame({f"c{j}": X[:, j] for j in range(X.shape[1])})
    model = LogisticRegression(C=0.05, l1_ratio=1.0)
    select = SelectFromModel(model, threshold=1e-9).set_output(transform=library).fit(frame, y)
    found = select.transform(frame)
    assert isinstance(found, frames.DataFrame)
    kept = np.flatnonzero(model.fit(X, y).coef_[0])
    assert 0 < len(kept) < X.shape[1]
    np.testing.assert_array_equal(found.to_numpy(), X[:, kept])
    if hasattr(select, "feature_names_in_"):
        assert list(found.columns) == [f"c{j}" for j in kept]


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_scikit_learn_is_not_imported_before_it_is_needed():
    code = """if True:
        import sys, logreg_c
        from logreg_c import *
        assert "LogisticRegression" in dir(logreg_c)
        print(sorted({"sklearn", "scipy", "pandas"} & {name.split(".")[0] for name in sys.modules}))
        logreg_c.LogisticRegression
        print("sklearn" in sys.modules)
    """
    assert run(code).split("\n")[:2] == ["[]", "True"]


def test_without_scikit_learn():
    code = """if True:
        import pydoc, sys
        sys.modules["sklearn"] = None
        import logreg_c
        assert "LogisticRegression" not in dir(logreg_c)
        pydoc.render_doc(logreg_c)
        try:
            logreg_c.LogisticRegression
        except ImportError as error:
            print(error)
    """
    assert 'python -m pip install "scikit-learn>=1.6"' in run(code)
    with pytest.raises(AttributeError, match="no attribute 'LinearRegression'"):
        logreg_c.LinearRegression  # noqa: B018


@pytest.mark.skipif(not PAGE.exists(), reason="no docs beside the tests")
def test_the_page_for_people_from_scikit_learn_says_what_the_code_does(capsys):
    names = {}
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", PAGE.read_text("utf-8"), re.S | re.M)
    for kind, body in blocks:
        if kind == "python":
            with warnings.catch_warnings():
                # Those of scikit-learn's own class, about its fit and about SciPy.
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
                exec(body, names)
        else:
            assert capsys.readouterr().out == body
    assert {kind for kind, _ in blocks} == {"python", "text"}
