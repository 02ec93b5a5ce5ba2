"""`python -m tests.checks`: generate docs/checks.md and docs/runtimes.md."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.checks.document import PATH, page
from tests.checks.runtimes_page import RUNTIMES_PATH, runtimes_page
from tests.corpus.cases import unpack

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PATH.write_text(page(unpack(Path(folder))))
    RUNTIMES_PATH.write_text(runtimes_page())
