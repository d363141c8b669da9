# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import importlib

import hypothesis
import pytest
from _pytest.doctest import DoctestModule

from logreg_c import _kernels

# Machines differ in speed by a factor of ten; the same examples everywhere make failures repeat.
hypothesis.settings.register_profile("logreg_c", deadline=None, derandomize=True)
hypothesis.settings.load_profile("logreg_c")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Look for no doctests in tests.

    Where those of a file cannot be imported they are skipped, for the sake of the estimator's; what
    there is of it then would pass for the whole file.
    """
    found = yield
    return [one for one in found if not isinstance(one, DoctestModule)]


@pytest.fixture(scope="module")
def two():
    """Return data of two classes, scikit-learn's, and a model of it."""
    return importlib.import_module("sklearn_data").fitted("breast_cancer")


@pytest.fixture(scope="module")
def three():
    """Return data of three classes, scikit-learn's, and a model of it."""
    return importlib.import_module("sklearn_data").fitted("iris")


@pytest.fixture
def bars(monkeypatch):
    """List the bars that tqdm makes, and let it make them as it does."""
    tqdm = pytest.importorskip("tqdm.auto")
    made = []

    class Listed(tqdm.tqdm):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            made.append(self)

        @property
        def closed(self):
            return self.disable

    monkeypatch.setattr(tqdm, "tqdm", Listed)
    return made


@pytest.fixture(params=_kernels.available(), scope="module")
def isa(request):
    """Run a test on every instruction set this machine supports."""
    kernels = importlib.import_module(f"logreg_c._kernels_{request.param}")
    before = _kernels.kernels
    _kernels.kernels = kernels
    yield kernels
    _kernels.kernels = before
