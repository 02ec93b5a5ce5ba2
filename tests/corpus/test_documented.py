"""What the docs show of the command on the corpus is what it prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from safe_image.cli import main
from tests.corpus.cases import Case

_PAGE = Path(__file__).parents[2] / "docs" / "commands" / "diff.md"
# Incident 2: one build of one Dockerfile on each of Docker's image stores.
_EXAMPLE = {"good": "b-classic-derived-zbase-dk-noatt", "bad": "b-ctrd-derived-zbase-dk-noatt"}


def test_the_page_of_diff_shows_what_diff_prints(
    corpus: Sequence[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = {case.name: case.folder for case in corpus}
    for name, case in _EXAMPLE.items():
        (tmp_path / name).symlink_to(folders[case])
    monkeypatch.chdir(tmp_path)
    command = ["diff", "oci-layout:good", "oci-layout:bad"]
    assert main(command) == 1
    assert f"$ safe-image {' '.join(command)}\n{capsys.readouterr().out}```" in _PAGE.read_text(encoding="utf-8")
