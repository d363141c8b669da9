# SPDX-License-Identifier: BSD-3-Clause
"""The README's code runs, prints what it says, and the loop and the call agree."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parent.parent / "README.md"

pytestmark = pytest.mark.skipif(not README.exists(), reason="no README beside the tests")


def test_the_readme_says_what_the_code_does():
    names, printed, trained = {}, "", []
    kinds = set()
    for kind, body in re.findall(r"^```(\w+)\n(.*?)^```$", README.read_text("utf-8"), re.S | re.M):
        kinds.add(kind)
        if kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(body, names)
            printed = out.getvalue()
            if "losses" in body:
                trained.append([*names["w"], names["b"], *names["losses"]])
        elif kind == "text":
            assert printed == body
        elif kind == "pycon":
            test = doctest.DocTestParser().get_doctest(body, names, "README", None, 0)
            assert doctest.DocTestRunner().run(test).failed == 0
    assert kinds == {"python", "text", "pycon"}
    loop, call = trained
    np.testing.assert_allclose(call, loop, rtol=1e-12)
