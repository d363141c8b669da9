# SPDX-License-Identifier: BSD-3-Clause
"""The code in the README and in docs/ runs and prints what it says; links lead somewhere."""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from logreg_c import fit
from logreg_c.solvers import SOLVERS, choose

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
