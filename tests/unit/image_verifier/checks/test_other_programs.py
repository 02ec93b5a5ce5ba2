"""The programs besides the image's command: warned of where the base is for another machine, and only there."""

from __future__ import annotations

from typing import Any

import pytest
from image_verifier.report import Finding, Severity

from tests.unit.blobs import END, elf, file, folder, header, image, link, report

AMD64, ARM64, I386, S390X = 62, 183, 3, 22
COMMAND = file("server", elf())
BIN = folder("bin") + folder("usr") + folder("usr/bin")


def _findings(*files: bytes, runtime: str = "fargate", platform: str = "linux/amd64", **config: Any) -> list[Finding]:
    config = {"Cmd": ["/server"], **config}
    return list(report(image(b"".join(files) + END, config=config), runtime, platform).findings)


def _programs(machine: int, *names: str) -> bytes:
    return b"".join(file(name, elf(machine)) for name in names)


def _busybox(machine: int) -> bytes:
    return file("bin/busybox", elf(machine)) + b"".join(link(f"bin/{name}", "/bin/busybox") for name in ("sh", "ls"))


@pytest.mark.parametrize("runtime", ["fargate", "ecs-ec2", "eks", "lambda"])
def test_a_base_for_the_build_machine_is_a_warning_that_counts_its_programs(runtime: str) -> None:
    (finding,) = _findings(COMMAND, BIN, _busybox(ARM64), runtime=runtime)
    assert (finding.id, finding.severity) == ("programs-wrong-machine", Severity.WARNING)
    assert finding.message.startswith("/bin/sh is built for arm64, like 3 of 3 programs in PATH, but linux/amd64 is")


def test_a_shell_for_another_machine_is_a_warning_whatever_else_there_is() -> None:
    (finding,) = _findings(COMMAND, BIN, _programs(AMD64, "usr/bin/a", "usr/bin/b"), _programs(ARM64, "bin/sh"))
    assert finding.message.startswith("/bin/sh is built for arm64, like 1 of 3 programs in PATH, but")


def test_without_a_shell_most_programs_in_path_decide() -> None:
    (finding,) = _findings(COMMAND, BIN, _programs(ARM64, "usr/bin/python3", "usr/bin/a"), _programs(AMD64, "bin/b"))
    assert finding.message.startswith("2 of 3 programs in PATH are built for arm64, but linux/amd64 is required")
    assert _findings(COMMAND, BIN, _programs(ARM64, "usr/bin/a"), _programs(AMD64, "bin/b")) == []


def test_a_folder_that_is_only_in_the_images_own_path_counts() -> None:
    files = (COMMAND, folder("opt"), folder("opt/bin"), _programs(ARM64, "opt/bin/python3"))
    assert _findings(*files, Env=["PATH=/opt/bin"])
    assert _findings(*files) == []


@pytest.mark.parametrize(
    "files",
    [
        _busybox(AMD64),
        _programs(I386, "bin/sh"),
        # A cross compiler runs here, and its libraries and the root file system of the other machine are data.
        _programs(AMD64, "bin/sh", "usr/bin/aarch64-linux-gnu-gcc")
        + folder("usr/aarch64-linux-gnu")
        + folder("usr/aarch64-linux-gnu/bin")
        + _programs(ARM64, *(f"usr/aarch64-linux-gnu/bin/{name}" for name in "abcdef")),
        # A server of downloads has one program for each of many machines.
        _programs(AMD64, "usr/bin/cli") + _programs(ARM64, "usr/bin/cli2") + _programs(S390X, "usr/bin/cli3"),
        _programs(ARM64, "usr/bin/cli-linux-arm64", "usr/bin/cli2-aarch64"),
        # An emulator runs all that the image has for the other machine.
        _programs(AMD64, "usr/bin/qemu-aarch64-static") + _busybox(ARM64),
        file("bin/sh", b"#!/server\n"),
        b"",
    ],
)
def test_an_image_that_has_programs_for_other_machines_on_purpose_is_healthy(files: bytes) -> None:
    assert _findings(COMMAND, BIN, files) == []


def test_an_image_whose_folders_in_path_are_one_folder_counts_each_program_once() -> None:
    merged = folder("usr") + folder("usr/bin") + link("bin", "usr/bin") + link("sbin", "usr/bin")
    (finding,) = _findings(
        COMMAND, merged, _programs(ARM64, "usr/bin/sh", "usr/bin/env"), _programs(AMD64, "usr/bin/a")
    )
    assert "2 of 3 programs" in finding.message


def test_a_command_for_another_machine_is_reported_and_the_other_programs_are_not() -> None:
    assert [f.id for f in _findings(BIN, _busybox(ARM64), Cmd=["/bin/sh"])] == ["entrypoint-wrong-machine"]
    assert [f.id for f in _findings(BIN, _busybox(ARM64), Cmd=["/nowhere"])] == ["entrypoint-missing"]


def test_an_image_without_a_command_is_judged_by_its_shell() -> None:
    found = [f.id for f in _findings(BIN, _busybox(ARM64), Cmd=[])]
    assert "programs-wrong-machine" in found


def test_an_image_with_more_than_ten_thousand_names_in_path_is_judged_by_some_of_them() -> None:
    many = b"".join(header(f"usr/bin/{number}", b"2", link="a") for number in range(10_050))
    (finding,) = _findings(COMMAND, BIN, file("usr/bin/a", elf(ARM64)), many)
    assert finding.message.startswith("10000 of 10000 programs in PATH are built for arm64")


def test_a_folder_in_path_that_is_a_file_or_a_circle_of_links_is_skipped() -> None:
    circle = link("loop", "loop") + file("odd")
    assert _findings(COMMAND, circle, Env=["PATH=/loop:/odd:/odd/below::relative"]) == []
