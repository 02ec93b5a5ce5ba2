"""`python -m tests.checks`: generate docs/checks.md."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.checks.document import PATH, page
from tests.corpus.cases import unpack

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PATH.write_text(page(unpack(Path(folder))))
