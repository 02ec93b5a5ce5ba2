"""The corpus, unpacked once per session."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.corpus.cases import Case, unpack


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Case]:
    return unpack(tmp_path_factory.mktemp("corpus"))
