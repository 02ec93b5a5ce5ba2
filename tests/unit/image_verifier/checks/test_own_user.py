"""The user that Lambda runs every image as: the files that it may execute and read, the folders that it may enter."""

from __future__ import annotations

from typing import Any

import pytest
from image_verifier.report import Severity

from tests.unit.blobs import END, PROGRAM, elf, file, folder, found, header, image, link, report

SHELL = folder("bin") + file("bin/sh", elf()) + folder("usr") + folder("usr/bin") + file("usr/bin/env", elf())
TASK = folder("var") + folder("var/task")
WORKING = PROGRAM + TASK + file("var/task/app.py", b"1", mode=0o644)


def _findings(files: bytes, runtime: str = "lambda", **config: Any) -> list[tuple[str, Severity]]:
    return [(f.id, f.severity) for f in report(image(files + END, config=config), runtime).findings]


CLOSED_COMMANDS = [
    (file("run", elf(), mode=0o700), ["/run"]),
    (file("run", elf(), mode=0o750, uid=1000, gid=1000), ["/run"]),
    (folder("root", mode=0o700) + file("root/run", elf()), ["/root/run"]),
    (folder("root", mode=0o700) + file("root/run", elf()) + link("run", "/root/run"), ["/run"]),
    (SHELL + file("run", b"#!/bin/sh\n", mode=0o711), ["/run"]),
    (SHELL + file("sh", elf(), mode=0o700) + file("run", b"#!/sh\n"), ["/run"]),
    (SHELL + file("bin/node", elf(), mode=0o700) + file("run", b"#!/usr/bin/env node\n"), ["/run"]),
    (file("run", elf(interpreter=b"/ld")) + file("ld", elf(), mode=0o744), ["/run"]),
    (folder("bin") + file("bin/server", elf(), mode=0o700), ["server"]),
]


@pytest.mark.parametrize(("files", "command"), CLOSED_COMMANDS)
def test_lambda_refuses_a_command_that_others_cannot_execute_and_other_runtimes_do_not(
    files: bytes, command: list[str]
) -> None:
    assert _findings(files, Cmd=command) == [("entrypoint-closed", Severity.ERROR)]
    assert found(image(files + END, config={"Cmd": command}), "fargate") == []


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (file("run", elf(), mode=0o711), ["/run"]),
        (folder("opt", mode=0o711) + file("opt/run", elf()), ["/opt/run"]),
        (SHELL + file("run", b"#!/bin/sh\n", mode=0o755), ["/run"]),
        (SHELL + file("run", b"#!/usr/bin/env -S sh -e\n"), ["/run"]),
        # PATH goes on past a file that the user cannot execute.
        (folder("sbin") + file("sbin/run", elf(), mode=0o700) + folder("bin") + file("bin/run", elf()), ["run"]),
    ],
)
def test_lambda_runs_a_command_that_others_can_execute_whatever_the_images_user_is(
    files: bytes, command: list[str]
) -> None:
    assert _findings(files, Cmd=command) == []
    assert _findings(files, Cmd=command, User="1000") == []


def test_a_missing_command_is_reported_once() -> None:
    assert _findings(SHELL, Cmd=["/run"]) == [("entrypoint-missing", Severity.ERROR)]
    assert _findings(SHELL + file("run", b"#!/usr/bin/env node\n"), Cmd=["/run"]) == [
        ("interpreter-missing", Severity.ERROR)
    ]


@pytest.mark.parametrize("working_dir", ["/home/app", "/home/app/src", "/home/app/missing", "/link"])
def test_a_working_directory_that_lambdas_user_cannot_enter_is_a_warning(working_dir: str) -> None:
    home = folder("home") + folder("home/app", mode=0o700) + folder("home/app/src") + link("link", "home/app")
    assert _findings(PROGRAM + home, WorkingDir=working_dir) == [("working-dir-closed", Severity.WARNING)]
    assert _findings(PROGRAM + home, "fargate", WorkingDir=working_dir) == []


@pytest.mark.parametrize("working_dir", ["", "/", "/var/task", "/missing/below", "/tmp"])
def test_a_working_directory_that_everybody_can_enter_or_that_is_missing_is_healthy(working_dir: str) -> None:
    assert _findings(WORKING + header("tmp", b"5", mode=0o1777), WorkingDir=working_dir) == []


def test_files_under_var_task_that_lambdas_user_cannot_read_are_a_warning() -> None:
    files = WORKING + file("var/task/b", mode=0) + file("var/task/a", mode=0o600)
    (finding,) = report(image(files + END), "lambda").findings
    assert (finding.id, finding.severity) == ("code-unreadable", Severity.WARNING)
    assert finding.message.startswith("/var/task/a and 1 more cannot be read")
    assert _findings(files, "fargate") == []


@pytest.mark.parametrize("closed", ["var", "var/task", "var/task/app"])
def test_a_closed_folder_on_the_way_to_the_code_is_reported_once_for_all_that_it_holds(closed: str) -> None:
    folders = [folder(name, mode=0o700 if name == closed else 0o755) for name in ("var", "var/task", "var/task/app")]
    files = PROGRAM + b"".join(folders) + file("var/task/app/a") + file("var/task/app/b")
    (finding,) = report(image(files + END), "lambda").findings
    assert finding.id == "code-unreadable"
    assert " more " not in finding.message


def test_without_code_under_var_task_nothing_is_reported_of_it() -> None:
    assert _findings(PROGRAM) == []
    assert _findings(PROGRAM + folder("var") + file("var/task", mode=0o644)) == []
    assert _findings(PROGRAM + folder("var") + link("var/task", "task")) == []
