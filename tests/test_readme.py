# SPDX-License-Identifier: BSD-3-Clause
"""The code in the README, in docs/ and in CONTRIBUTING does what they say; links lead somewhere."""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import re
import textwrap
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from fit_problems import optimum, problem

from logreg_c import ConvergenceWarning, fit, solvers
from logreg_c._certificate import plain_lower_bound
from logreg_c._penalty import as_penalty
from logreg_c.fitting import Problem
from logreg_c.solvers import SOLVERS, choose
from logreg_c.solvers._driver import Iterate
from logreg_c.solvers._line_search import advance

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
# The page for people from scikit-learn runs in test_sklearn.py.
DOCS = [p for p in sorted(ROOT.glob("docs/*.md")) if p.name != "coming-from-scikit-learn.md"]
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
# [text](path#heading), but no addresses of the web.
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")

needs_readme = pytest.mark.skipif(not README.exists(), reason="no README beside the tests")


def run(page):
    """Run a page's code; return the kinds of its blocks, and the names after each python block."""
    names, printed, kinds, after = {}, None, set(), []
    for kind, body in re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text("utf-8"), re.S | re.M):
        kinds.add(kind)
        if kind == "python":
            printed = None
            if "import LogisticRegression" in body and find_spec("sklearn") is None:
                continue
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(body, names)
            printed = out.getvalue()
            after.append((body, dict(names)))
        elif kind == "text" and printed is not None:
            assert printed == body
        elif kind == "pycon":
            test = doctest.DocTestParser().get_doctest(body, names, page.name, None, 0)
            assert doctest.DocTestRunner().run(test).failed == 0
    return kinds, after


@needs_readme
def test_the_readme_says_what_the_code_does():
    kinds, after = run(README)
    assert kinds == {"python", "text", "pycon"}
    trained = [[*n["w"], n["b"], *n["losses"]] for body, n in after if "losses" in body]
    loop, call = trained
    np.testing.assert_allclose(call, loop, rtol=1e-12)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_page_says_what_the_code_does(page):
    assert run(page)[0] <= {"python", "text", "pycon"}


def test_the_page_of_the_solvers_has_the_rule_that_is_followed():
    page = ROOT / "docs" / "solvers.md"
    if not page.exists():
        pytest.skip("no docs beside the tests")
    rule = inspect.cleandoc(choose.__doc__).partition("\n\n")[2]
    assert rule[rule.index("- ") :] in page.read_text("utf-8")


@pytest.mark.parametrize("solver", SOLVERS)
def test_fit_tells_of_every_solver(solver):
    assert f'"{solver}"' in fit.__doc__


@pytest.fixture
def recipe():
    """Return CONTRIBUTING's solver as it stands there."""
    page = ROOT / "CONTRIBUTING.md"
    if not page.exists():
        pytest.skip("no CONTRIBUTING beside the tests")
    section = page.read_text("utf-8").partition("## Add a solver\n")[2].partition("\n## ")[0]
    (body,) = re.findall(r"^ *```\n(.*?)^ *```$", section, re.S | re.M)
    names = {"Iterate": Iterate, "advance": advance, "plain_lower_bound": plain_lower_bound}
    exec(textwrap.dedent(body), names)
    return names["steepest"]


@pytest.mark.parametrize("K", [2, 3])
def test_the_recipe_makes_a_solver(K, recipe, monkeypatch):
    X, y, arguments = problem("gaussian", K, 0.1)
    with pytest.raises(ValueError, match=r"solver is 'steepest'; give 'auto', .* or one of newton"):
        fit(X, y, solver="steepest", **arguments)
    monkeypatch.setitem(SOLVERS, "steepest", recipe)
    result = fit(X, y, solver="steepest", tol=1e-3, **arguments)
    assert (result.solver, result.converged) == ("steepest", True)
    assert result.reason == "J is within tol=0.001 of the optimum, proved"
    assert result.n_iter == len(result.history) > 2
    assert 0.0 <= result.objective - optimum("gaussian", K, 0.1) + 1e-14 <= result.gap + 1e-14
    # Limits and callbacks are the driver's, and what goes on where it gets stuck.
    with pytest.warns(ConvergenceWarning, match="max_iter=2 iterations done"):
        fit(X, y, solver="steepest", max_iter=2, **arguments)
    with pytest.warns(ConvergenceWarning, match="callback stopped it after iteration 1"):
        fit(X, y, solver="steepest", callback=lambda state: True, **arguments)
    monkeypatch.setitem(SOLVERS, "steepest", lambda task: islice(recipe(task), 2))
    assert fit(X, y, solver="steepest", **arguments).solver == "newton"


def test_the_recipe_names_where_a_solver_is_let_in(recipe, monkeypatch):
    csr_array = pytest.importorskip("scipy.sparse").csr_array
    monkeypatch.setattr(
        "logreg_c.fitting.is_better_dense", lambda X: False
    )  # no sparse X is copied as a dense one
    monkeypatch.setitem(SOLVERS, "steepest", recipe)
    X, y, arguments = problem("gaussian", 2, 0.1)
    arguments = arguments | {"solver": "steepest", "tol": 1e-3}
    for names, held, l1, text in [
        ("SPARSE", csr_array(X), 0.0, "is 'steepest', which is for a dense X; give"),
        ("NONSMOOTH", X, 0.1, "is 'steepest', which knows no L1 penalty"),
        ("SPARSE_NONSMOOTH", csr_array(X), 0.1, "is 'steepest', which knows no L1 penalty"),
    ]:
        with pytest.raises(ValueError, match=text):
            fit(held, y, l1=l1, **arguments)
        monkeypatch.setattr(solvers, names, (*getattr(solvers, names), "steepest"))
        posed = Problem(held, y, None, None, True, 0, None).pose(
            as_penalty(0.1, l1, None, None, None, 4)
        )
        assert choose("steepest", posed.objective)[0] == "steepest"
    assert fit(csr_array(X), y, **arguments).solver == "steepest"


@needs_readme
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    for path, heading in LINK.findall(page.read_text("utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {path}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.M)
            slugs = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in slugs, f"{page.name} links to {path}#{heading}"
