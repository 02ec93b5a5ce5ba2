"""`python -m tests.explanations`: make the tables of docs/commands/explain.md anew; with `score`, print the score."""

from __future__ import annotations

import sys

from tests.explanations.document import MARK, PATH, tables
from tests.explanations.score import report

if __name__ == "__main__":
    if sys.argv[1:2] == ["score"]:
        sys.exit(not report(*sys.argv[2:3]))
    PATH.write_text(PATH.read_text().partition(MARK)[0] + tables())
