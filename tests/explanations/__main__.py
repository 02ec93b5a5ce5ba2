"""`python -m tests.explanations`: make the tables of docs/commands/explain.md anew.

With `score`, print the score; with `forms`, that of all texts in all forms in which they can be pasted, in minutes.
"""

from __future__ import annotations

import sys

from tests.explanations.document import MARK, PATH, tables
from tests.explanations.score import in_all_forms, report

if __name__ == "__main__":
    if sys.argv[1:2] == ["score"]:
        sys.exit(not report(*sys.argv[2:3]))
    if sys.argv[1:2] == ["forms"]:
        sys.exit(not in_all_forms(*sys.argv[2:3]))
    PATH.write_text(PATH.read_text().partition(MARK)[0] + tables())
