"""Every program that the project installs is pinned with its hashes, so that no index can replace it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent.parent
_FILES = sorted((_ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_every_requirement_has_one_version_and_its_hashes(file: Path) -> None:
    requirements = [entry for entry in file.read_text().replace("\\\n", "").splitlines() if not entry.startswith("#")]
    assert requirements
    assert [
        entry for entry in requirements if not re.match(r"[a-z0-9.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)
    ] == []


@pytest.mark.parametrize("file", ["Makefile", "local_aws/toolchain.py"])
def test_every_installation_of_requirements_requires_the_hashes(file: str) -> None:
    text = (_ROOT / file).read_text()
    assert text.count("--requirement") == text.count("--require-hashes") > 0


def test_uv_itself_is_pinned() -> None:
    assert re.fullmatch(r"uv==\d+\.\d+\.\d+\n", (_ROOT / "requirements" / "uv.in").read_text())
    assert "requirements/uv.txt" in (_ROOT / "Makefile").read_text()
