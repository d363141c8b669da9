# SPDX-License-Identifier: BSD-3-Clause
"""The computation graph's worked examples: told in words, and drawn as Mermaid text.

The last one is also drawn; paste that into a Markdown file on GitHub or into mermaid.live.
"""

from logreg_c import graph

EXAMPLES = {
    "J = 3 (a + b c), the chain rule step by step": graph.three_a_plus_bc(),
    "J = 3 y z where x feeds both y and z: both ways add up": graph.fan_out(),
    "One logistic unit: dz = a - y, dw = x dz, db = dz": graph.logistic_unit(),
}

if __name__ == "__main__":
    for title, example in EXAMPLES.items():
        print(f"{title}\n\n{example.explain()}\n")
    print(graph.logistic_unit().mermaid())
