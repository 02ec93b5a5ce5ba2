"""`python -m tests.explanations`: write the tables of docs/commands/explain.md anew."""

from __future__ import annotations

from tests.explanations.document import MARK, PATH, tables

if __name__ == "__main__":
    PATH.write_text(PATH.read_text().partition(MARK)[0] + tables())
