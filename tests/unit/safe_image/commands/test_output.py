"""A report or a state is written to its own file and to no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from safe_image.audit.state import audit_state
from safe_image.commands.output import open_output


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to which somebody else's links lead, at each temporary name that can be guessed."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("os.getpid", lambda: 4242)
    for name in ("report", "state"):
        (tmp_path / f".{name}.4242.tmp").symlink_to(victim)
    return victim


def test_a_report_follows_no_link_at_its_temporary_name(victim: Path, tmp_path: Path) -> None:
    with open_output(str(tmp_path / "report")) as stream:
        stream.write("new")
    assert (tmp_path / "report").read_text() == "new"
    assert not (tmp_path / "report").is_symlink()
    assert victim.read_text() == "precious"


def test_a_state_follows_no_link_at_its_temporary_name(victim: Path, tmp_path: Path) -> None:
    with audit_state(str(tmp_path / "state"), {}):
        pass
    assert not (tmp_path / "state").is_symlink()
    assert victim.read_text() == "precious"


def test_a_report_that_is_a_link_is_written_where_the_system_lets_it_lead(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    with open_output(str(link)) as stream:
        stream.write("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_report_has_the_permissions_that_the_shell_would_give_it(tmp_path: Path) -> None:
    with open_output(str(tmp_path / "report")):
        pass
    (tmp_path / "other").write_text("")
    assert (tmp_path / "report").stat().st_mode == (tmp_path / "other").stat().st_mode
