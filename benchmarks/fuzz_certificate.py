# SPDX-License-Identifier: BSD-3-Clause
"""Look for a lower bound above the optimum, in tens of thousands of small hard problems.

python -m benchmarks.fuzz_certificate [--problems 30000] [--seed 0]

The problems and the truth are those of tests/test_certificate.py, with other seeds. Ends with
status 1 if a bound is above the optimum, and says which.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from itertools import product
from pathlib import Path

SHAPES = [
    (5, 1, 1), (8, 2, 1), (30, 4, 1), (40, 3, 1), (60, 8, 1), (6, 9, 1),
    (12, 2, 3), (30, 3, 4), (40, 2, 7),
]  # fmt: skip
# Dense with a ridge; sparse with a ridge; all layouts with L1, elastic nets, factors and bounds.
KINDS = ["ridge", "sparse", "kinks"]
AT_ONCE = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    cases = importlib.import_module("certificate_cases")
    bad = 0
    rounds = -(-asked.problems // (AT_ONCE * len(SHAPES) * len(KINDS)))
    for kind, shape in product(KINDS, SHAPES):
        found = []
        for number in range(rounds):
            seed = (asked.seed * 1_000_003 + number) * len(SHAPES) + SHAPES.index(shape)
            found += list(cases.cases(seed, AT_ONCE, *shape, kind))
        what = f"{kind}, (n, d, K) = {shape}, {rounds * AT_ONCE} problems"
        print(f"{what}: {cases.summary(found)}", flush=True)
        bad += sum(case.violated for case in found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
