"""The command on a real terminal: a bar while many images are checked, out of the report's way, and gone at the end."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from image_verifier.image import media_types

from tests.unit.images import Layout
from tests.unit.registry_server import Asked, serving

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
# From where the bar hides the cursor to where it has taken itself away.
_BAR = re.compile(r"\x1b\[\?25l.*?\x1b\[\?25h\r\x1b\[1A\x1b\[2K", re.DOTALL)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
COUNT = 12


@dataclass(frozen=True)
class Shown:
    """The outcome of a run.

    :param terminal: everything that was written to the terminal.
    :param output: the standard output, if that is not a terminal.
    """

    code: int
    terminal: str
    output: str = ""


@pytest.fixture
def references(tmp_path: Path) -> list[str]:
    made = []
    for number in range(COUNT):
        layout = Layout(tmp_path / f"image{number}")
        layout.path.mkdir()
        layout.source(layout.image())
        made.append(f"oci-layout:{layout.path}")
    return made


def shown(references: list[str], *, whole: bool = True, command: Sequence[str] = (), **more: str) -> Shown:
    """Run the command on a terminal: with standard error there, and standard output too where `whole`."""
    own, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "safe_image", *(command or ["check"]), *references],
        env={**os.environ, "TERM": "xterm-256color", **more},
        stdin=subprocess.DEVNULL,
        stdout=other if whole else subprocess.PIPE,
        stderr=other,
    )
    os.close(other)
    said = _all_of(own)
    output = process.stdout.read().decode() if process.stdout else ""
    return Shown(process.wait(), said, output)


def _all_of(terminal: int) -> str:
    """Everything that is written until the terminal is closed."""
    said = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and select.select([terminal], [], [], 60)[0]:
        try:
            said += os.read(terminal, 1 << 16)
        except OSError:
            break
    os.close(terminal)
    return said.decode()


def test_a_terminal_shows_the_progress_and_then_only_the_report(references: list[str]) -> None:
    run = shown(references)
    assert run.code == 0
    assert re.search(rf"\d+/{COUNT}", _ESCAPE.sub("", run.terminal)), "the bar counts"
    left = _ESCAPE.sub("", _BAR.sub("", run.terminal))
    assert left == shown(references, TERM="dumb").terminal, "what is left is what a terminal without a bar shows"
    assert left.endswith(f"\r\n{COUNT} images: {COUNT} passed\r\n")


def test_a_report_in_a_file_has_nothing_of_the_progress_bar(references: list[str]) -> None:
    run = shown(references, whole=False)
    assert re.search(rf"\d+/{COUNT}", _ESCAPE.sub("", run.terminal))
    assert "PASS" not in run.terminal
    assert "\x1b" not in run.output
    assert run.output.count("PASS  oci-layout:") == COUNT


def test_one_image_and_a_dumb_terminal_have_no_bar(references: list[str]) -> None:
    for run in (shown(references[:1]), shown(references, TERM="dumb")):
        assert run.code == 0
        assert "checked" not in run.terminal
        assert "\x1b[2K" not in run.terminal


def test_one_image_shows_the_bytes_of_its_layers_that_were_read(references: list[str]) -> None:
    run = shown(references[:1], command=["check", "--layers"])
    assert re.search(r"\d+/\d+ bytes read", _ESCAPE.sub("", run.terminal))
    for quiet in ("-q", "-v"):
        assert "read" not in shown(references[:1], command=["check", quiet, "--layers"]).terminal


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit_into_the_terminal_and_no_digest_breaks(tmp_path: Path, width: int) -> None:
    layout = Layout(tmp_path / "image")
    layout.path.mkdir()
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    layout.source(layout.image(layer_types=types, schema_2=True))
    reference = f"oci-layout:{layout.path}"
    digest = json.loads((layout.path / "index.json").read_text())["manifests"][0]["digest"]
    layers = json.loads((layout.path / "blobs/sha256" / digest[7:]).read_text())["layers"]
    # What has no space in it is longer than some lines, and must stay whole.
    whole = r"https?:|oci-layout:|docker " + (r"|sha256:\w{64}" if width < 80 else "")
    every = ["check", "--runs-on", "fargate,ecs-ec2,ecs-managed-instances,ecs-anywhere,eks,batch"]
    for command in (["check", "--runs-on", "fargate"], every, ["diff", reference], ["--no-color", "runtimes"]):
        text = _ESCAPE.sub(
            "", shown([] if "runtimes" in command else [reference], command=command, COLUMNS=f"{width}").terminal
        )
        lines = [line for line in text.splitlines() if not re.search(whole, line)]
        assert [line for line in lines if len(line) > width] == []
        if "check" in command:
            assert all(layer["digest"][:19] in text for layer in layers)
            assert "<- layer-type-unsupported" in text


@pytest.mark.parametrize("command", [["check", "oci-layout:nowhere"], ["explain", "exec format error"]])
def test_the_lines_of_an_unknown_result_and_of_a_cause_break_at_the_terminals_width(command: list[str]) -> None:
    lines = _ESCAPE.sub("", shown([], command=command, COLUMNS="60").terminal).splitlines()
    # Commands and links stay whole.
    assert [line for line in lines if len(line) > 60 and not re.match(r" +(safe-image|docker|https:)", line)] == []


def test_a_terminal_of_ascii_shows_every_character_or_its_code(references: list[str]) -> None:
    run = shown(references, PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    assert run.code == 0
    assert "bug" not in run.terminal
    assert f"{COUNT} images: {COUNT} passed\r\n" in _ESCAPE.sub("", run.terminal)


def test_no_color_is_an_option_too(references: list[str]) -> None:
    assert (
        shown(references[:1], command=["check", "--no-color"]).terminal == shown(references[:1], NO_COLOR="1").terminal
    )


def test_no_color_switches_off_the_colours_of_the_bar_too(references: list[str]) -> None:
    run = shown(references, NO_COLOR="1")
    assert run.code == 0
    assert not [code for code in _COLOUR.findall(run.terminal) if re.search(r"[;\[](3|4|9)\d", code)]
    assert _COLOUR.search(shown(references).terminal)


def test_a_fault_is_a_line_of_its_own_beside_the_bar(references: list[str], tmp_path: Path) -> None:
    run = shown([*references[:3], f"oci-layout:{tmp_path}/nowhere"], whole=False)
    assert run.code == 2
    left = _ESCAPE.sub("", _BAR.sub("", run.terminal))
    assert re.fullmatch(r"safe-image: oci-layout:\S+/nowhere: [^\r\n]+\r\n", left), "in one line, whatever its length"


def test_an_interrupt_does_not_wait_for_running_requests(tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.write_text("the last one")
    with serving() as registry:
        over = threading.Event()

        def gate(_: Asked) -> None:
            over.wait()

        registry.gate = gate
        names = [f"{registry.host}/app:{number}" for number in range(COUNT)]
        process = subprocess.Popen(
            [sys.executable, "-m", "safe_image", "check", *names, "-o", str(report)],
            stderr=subprocess.PIPE,
            text=True,
            # What a shell starts in the background ignores it, and so do the tests then, and whom they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            deadline = time.monotonic() + 60
            while not registry.asked and time.monotonic() < deadline:
                time.sleep(0.05)
            assert registry.asked
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            over.set()
            process.kill()
    assert (process.returncode, said) == (130, "safe-image: interrupted\n")
    assert report.read_text() == "the last one"
    assert [p.name for p in tmp_path.iterdir()] == ["report"]
