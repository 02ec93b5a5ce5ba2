"""Whether an image starts, judged by its files: the command, its interpreters, the user, the working directory."""

from __future__ import annotations

from typing import Any

import pytest
from image_verifier.layers.executables import Program, program

from tests.unit.blobs import END, PROGRAM, elf, file, folder, found, header, image, link, report

SHELL = folder("bin") + file("bin/sh", elf()) + folder("usr") + folder("usr/bin") + file("usr/bin/env", elf())
PASSWD = (
    folder("etc")
    + file("etc/passwd", b"root:x:0:0::/:\napp:x:1000:1000::/:\n")
    + file("etc/group", b"root:x:0:\nstaff:x:50:app\napp:x:1000:\n")
)


def _found(*parts: bytes, runtime: str = "fargate", platform: str = "linux/amd64", **config: Any) -> list[str]:
    return found(image(b"".join(parts) + END, config=config), runtime, platform=platform)


def _error(*parts: bytes, runtime: str = "fargate", **config: Any) -> str:
    (error,) = report(image(b"".join(parts) + END, config=config), runtime).errors
    return error.runtime_error


@pytest.mark.parametrize(
    ("config", "files"),
    [
        ({"Cmd": ["/program"]}, PROGRAM),
        ({"Entrypoint": ["/program"], "Cmd": ["argument"]}, PROGRAM),
        ({"Cmd": ["program"], "Env": ["PATH=/bin:/"]}, PROGRAM),
        ({"Cmd": ["sh"]}, SHELL),
        ({"Cmd": ["sh"], "Env": ["A=b", "PATH=/nowhere:/bin"]}, SHELL),
        ({"Cmd": ["./program"]}, PROGRAM),
        ({"Cmd": ["./sh"], "WorkingDir": "/bin"}, SHELL),
        ({"Cmd": ["../bin/sh"], "WorkingDir": "/usr"}, SHELL),
        ({"Cmd": ["/run"]}, SHELL + file("run", b"#!/bin/sh\n")),
        ({"Cmd": ["/run"]}, SHELL + file("run", b"#! \t/bin/sh -e \n")),
        ({"Cmd": ["/run"]}, SHELL + file("run", b"#!/bin/sh")),
        ({"Cmd": ["/run"]}, SHELL + file("run", b"#!/usr/bin/env sh\n")),
        ({"Cmd": ["/run"]}, SHELL + file("run", b"#!/usr/bin/env -S sh -e\n")),
        ({"Cmd": ["/run"]}, SHELL + file("run", b"#!/other\n") + file("other", b"#!/bin/sh\n")),
        ({"Cmd": ["/l"]}, PROGRAM + link("l", "program")),
        ({"Cmd": ["/bin/sh"]}, folder("usr") + folder("usr/bin") + file("usr/bin/sh", elf()) + link("bin", "usr/bin")),
        ({"Cmd": ["/h"]}, PROGRAM + header("h", b"1", link="program")),
        ({"Cmd": ["/p"]}, file("p", elf(interpreter=b"/ld")) + file("ld", elf())),
        ({"Cmd": ["/p"]}, file("p", elf(3, wide=False))),
        ({"Cmd": ["/program"], "User": "app:staff"}, PROGRAM + PASSWD),
        # As Nix writes them.
        (
            {"Cmd": ["/program"], "User": "app:staff"},
            PROGRAM
            + b"".join(map(folder, ("etc", "nix", "nix/store", "nix/store/1-nss", "nix/store/1-nss/etc")))
            + file("nix/store/1-nss/etc/passwd", b"app:x:1000:1000::/:\n")
            + file("nix/store/1-nss/etc/group", b"staff:x:50:app\n")
            + link("etc/passwd", "/nix/store/1-nss/etc/passwd")
            + link("etc/group", "../nix/store/1-nss/etc/group"),
        ),
        ({"Cmd": ["/program"], "User": "12345"}, PROGRAM),
        ({"Cmd": ["/program"], "User": "1:2"}, PROGRAM),
        ({"Cmd": ["/program"], "User": "+5"}, PROGRAM),
        ({"Cmd": ["/program"], "User": ":staff"}, PROGRAM + PASSWD),
        ({"Cmd": ["/program"], "WorkingDir": "/not/there/yet"}, PROGRAM),
        ({"Cmd": ["/program"], "WorkingDir": "/bin"}, PROGRAM + SHELL),
    ],
)
def test_what_starts_passes(config: dict[str, Any], files: bytes) -> None:
    for runtime in ("fargate", "ecs-ec2", "lambda"):
        assert _found(files, runtime=runtime, **config) == []


def test_a_command_that_is_not_there_is_missing() -> None:
    where = 'exec: "/nowhere": stat /nowhere: no such file or directory'
    assert where in _error(PROGRAM, Cmd=["/nowhere"])
    assert where in _error(PROGRAM, Cmd=["/nowhere"], runtime="ecs-ec2")
    assert 'exec: "nowhere": executable file not found in $PATH' in _error(PROGRAM, Cmd=["nowhere"])
    assert "not a directory" in _error(PROGRAM, Cmd=["/program/below"])
    assert "too many levels of symbolic links" in _error(link("l", "l"), Cmd=["/l"])
    assert _found(link("l", "gone"), Cmd=["/l"]) == ["entrypoint-missing"]
    assert _found(PROGRAM, Cmd=["program"], Env=["PATH="]) == ["entrypoint-missing"]
    assert _found(PROGRAM, Cmd=["program"], Env=["PATH=relative"]) == ["entrypoint-missing"]


@pytest.mark.parametrize("path", [".:/bin", ":/bin", "relative::/bin", "../:/bin"])
def test_a_command_that_path_finds_by_way_of_the_working_directory_is_not_executed(path: str) -> None:
    files = PROGRAM + folder("bin") + file("bin/program", elf())
    error = _error(files, Cmd=["program"], Env=[f"PATH={path}"])
    assert error.endswith('exec: "program": cannot run executable found relative to current directory: unknown')
    assert _found(files, Cmd=["program"], Env=[f"PATH=/bin:{path}"]) == []
    assert _found(files, Cmd=["program"], Env=[f"PATH={path}"], WorkingDir="/elsewhere/else") == []


def test_env_finds_its_program_by_way_of_the_working_directory_too() -> None:
    script = file("run", b"#!/usr/bin/env program\n") + folder("app") + file("app/program", elf())
    assert _found(SHELL, script, Cmd=["/run"], WorkingDir="/app", Env=["PATH=."]) == []


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_a_command_over_which_engines_mount_is_not_there(name: str) -> None:
    files = folder(name) + file(f"{name}/program", elf()) + header("linked", b"1", link=f"{name}/program")
    assert _found(files, Cmd=[f"/{name}/program"]) == ["entrypoint-missing"]
    assert _found(files, Cmd=["/linked"]) == []


def test_path_is_set_without_the_image_by_dockerd_and_by_containerd_where_there_is_no_variable_at_all() -> None:
    assert _found(SHELL, Cmd=["sh"], Env=["A=b"], runtime="ecs-ec2") == []
    assert _found(SHELL, Cmd=["sh"], Env=[]) == []
    assert _found(SHELL, Cmd=["sh"], Env=["A=b"]) == ["entrypoint-missing"]


@pytest.mark.parametrize(
    "files",
    [
        file("run", elf(), mode=0o644),
        folder("run"),
        header("run", b"6"),
        header("run", b"3", device=(1, 3)),
    ],
)
def test_a_command_that_is_not_executable_is_refused(files: bytes) -> None:
    assert _found(files, Cmd=["/run"]) == ["entrypoint-not-executable"]


def test_whose_file_it_is_does_not_matter_to_a_command() -> None:
    # As real containerd and dockerd do: runc overrides permissions until it has executed the command.
    for mode, above in ((0o744, 0o755), (0o700, 0o755), (0o755, 0o700)):
        files = PASSWD + header("d", b"5", mode=above) + file("d/run", elf(), mode=mode)
        assert _found(files, Cmd=["/d/run"], User="app") == []


def test_a_script_must_be_readable_by_the_user() -> None:
    def readable(user: str, mode: int, uid: int = 0, gid: int = 0, above: int = 0o755) -> bool:
        script = header("d", b"5", mode=above) + file("d/run", b"#!/bin/sh\n", mode=mode, uid=uid, gid=gid)
        ids = _found(SHELL, PASSWD, script, Cmd=["/d/run"], User=user)
        assert ids in ([], ["entrypoint-unreadable"])
        return not ids

    assert readable("", 0o100)
    assert readable("app", 0o755)
    assert readable("app", 0o744)
    assert not readable("app", 0o711)
    assert readable("app", 0o700, uid=1000)
    assert not readable("app", 0o177, uid=1000)
    assert readable("app", 0o750, gid=1000)
    assert readable("app", 0o750, gid=50)
    assert not readable("app:root", 0o750, gid=50)
    assert not readable("app", 0o755, above=0o700)
    assert readable("", 0o755, above=0o700)


def test_a_file_that_the_kernel_cannot_execute_is_refused() -> None:
    for content in (b"", b"echo hello\n", b"#!\n/bin/sh\n", b"\xef\xbb\xbf#!/bin/sh\n", b"MZ", elf()[:40], elf(kind=1)):
        assert _found(SHELL, file("run", content), Cmd=["/run"]) == ["entrypoint-format-invalid"], content
    assert _error(file("run", b"x"), Cmd=["/run"]) == "exec /run: exec format error"


def test_a_program_for_another_machine_is_refused() -> None:
    arm = file("run", elf(183))
    assert _found(arm, Cmd=["/run"]) == ["entrypoint-wrong-machine"]
    assert _found(PROGRAM, platform="linux/arm64") == ["platform-mismatch", "entrypoint-wrong-machine"]
    assert "entrypoint-wrong-machine" not in _found(arm, Cmd=["/run"], platform="linux/arm64")
    assert _found(SHELL, file("run", elf(22)), Cmd=["/run"]) == ["entrypoint-wrong-machine"]
    assert _found(file("sh", elf(183)), file("run", b"#!/sh\n"), Cmd=["/run"]) == ["entrypoint-wrong-machine"]


def test_a_missing_interpreter_is_reported_with_its_likely_reason() -> None:
    def message(content: bytes) -> str:
        (error,) = report(image(SHELL + file("run", content) + END, config={"Cmd": ["/run"]})).errors
        assert error.id == "interpreter-missing"
        return error.message

    assert "'/bin/bash'" in message(b"#!/bin/bash\n")
    assert "CRLF" in message(b"#!/bin/sh\r\necho\r\n")
    assert "musl" in message(elf(interpreter=b"/lib/ld-musl-x86_64.so.1"))
    assert "dynamic loader '/lib64/ld.so'" in message(elf(interpreter=b"/lib64/ld.so"))
    assert "'node' is not in the image" in message(b"#!/usr/bin/env node\n")
    assert _error(SHELL, file("run", b"#!/bin/bash\n"), Cmd=["/run"]) == "exec /run: no such file or directory"


def test_interpreters_that_form_a_circle_are_refused() -> None:
    assert "too many levels of symbolic links" in _error(file("run", b"#!/run\n"), Cmd=["/run"])


def test_the_kernel_follows_five_interpreters() -> None:
    def chain(length: int) -> list[str]:
        scripts = b"".join(file(f"s{i}", b"#!/s%d\n" % (i + 1)) for i in range(length))
        return _found(scripts, file(f"s{length}", elf()), Cmd=["/s0"])

    assert chain(5) == []
    assert chain(6) == ["interpreter-missing"]


def test_a_user_who_is_not_in_the_image_is_missing() -> None:
    assert "unable to find user nobody: no matching entries in passwd file" in _error(
        PROGRAM, PASSWD, User="nobody", runtime="ecs-ec2"
    )
    assert "no users found" in _error(PROGRAM, PASSWD, User="nobody")
    assert "no such file or directory" in _error(PROGRAM, User="app")
    assert "no groups found" in _error(PROGRAM, PASSWD, User="app:nobody")
    assert "unable to find group nobody" in _error(PROGRAM, PASSWD, User="0:nobody", runtime="ecs-ec2")
    assert _found(PROGRAM, PASSWD, User="99999999999") == ["user-missing"]
    assert _found(PROGRAM, PASSWD, User="-1") == ["user-missing"]
    assert _found(PROGRAM, PASSWD, User="app:1:2") == ["user-missing"]


def test_a_user_who_cannot_be_looked_up_is_a_warning() -> None:
    files = PROGRAM + folder("etc") + link("etc/passwd", "../elsewhere") + file("elsewhere", b"app:x:1:1::/:\n")
    outcome = report(image(files + END, config={"User": "app"}))
    assert (outcome.verdict, [f.id for f in outcome.findings]) == ("pass", ["user-missing"])


def test_a_working_directory_that_is_a_file_is_refused() -> None:
    assert _found(PROGRAM, WorkingDir="/program") == ["working-dir-invalid"]
    assert _found(PROGRAM, WorkingDir="/program/below") == ["working-dir-invalid"]


def test_containerd_refuses_a_dangling_link_as_working_directory() -> None:
    for files in (link("wd", "/nowhere"), link("wd", "wd")):
        for cwd in ("/wd", "/wd/below"):
            assert _found(PROGRAM, files, WorkingDir=cwd) == ["working-dir-invalid"]
    assert _found(PROGRAM, link("wd", "/nowhere"), WorkingDir="/wd", runtime="ecs-ec2") == []
    assert _found(PROGRAM, link("wd", "wd"), WorkingDir="/wd", runtime="ecs-ec2") == ["working-dir-invalid"]


def test_what_engines_mount_over_is_of_the_kind_that_they_mount() -> None:
    assert _found(PROGRAM, SHELL, link("dev", "bin")) == []
    assert _found(PROGRAM, folder("etc"), folder("etc/hostname"), runtime="ecs-ec2") == ["mount-point-invalid"]
    for files in (file("proc"), file("dev"), link("sys", "bin")):
        assert _found(PROGRAM, SHELL, files) == ["mount-point-invalid"]
        assert _found(PROGRAM, SHELL, files, runtime="ecs-ec2") == []
    for runtime in ("fargate", "ecs-ec2"):
        for name in ("etc/hosts", "etc/resolv.conf"):
            assert _found(PROGRAM, folder("etc"), folder(name), runtime=runtime) == ["mount-point-invalid"]


def test_a_volume_over_a_file_is_refused_where_dockerd_would_create_it() -> None:
    files = PROGRAM + folder("data") + file("file") + link("linked", "file")
    for volume in ("/file", "/linked", "file", "//file/"):
        assert _found(files, Volumes={volume: {}}, runtime="ecs-ec2") == ["mount-point-invalid"]
        assert _found(files, Volumes={volume: {}}) == []
    assert _found(files, Volumes={"/data": {}, "/nothing/yet": {}, "/file:ro": {}}, runtime="ecs-ec2") == []
    error = _error(files, Volumes={"/file": {}}, runtime="ecs-ec2")
    assert error.endswith("cannot mount volume over existing file, file exists …/file")


@pytest.mark.parametrize("volume", ["/", "", "//", "/.", "/data/..", "/file/below", "/loop", "/loop/below"])
def test_a_volume_that_dockerd_cannot_mount_is_refused(volume: str) -> None:
    files = PROGRAM + folder("data") + file("file") + link("loop", "loop") + link("dangling", "nowhere")
    assert _found(files, Volumes={volume: {}}, runtime="ecs-ec2") == ["mount-point-invalid"]
    assert _found(files, Volumes={volume: {}}) == []
    assert _found(files, Volumes={"/dangling": {}, "data/.": {}}, runtime="ecs-ec2") == []


def test_a_working_directory_with_a_nul_is_none() -> None:
    for runtime in ("fargate", "ecs-ec2"):
        assert _found(PROGRAM, WorkingDir="/a\0b", runtime=runtime) == ["working-dir-invalid"]


def test_an_account_whose_id_is_too_large_is_refused() -> None:
    def accounts(uid: int, gid: int, other: int = 5) -> bytes:
        users = file("etc/passwd", f"big:x:{uid}:{gid}::/:\n".encode())
        return PROGRAM + folder("etc") + users + file("etc/group", f"big:x:{gid}:\nother:x:{other}:big\n".encode())

    most = (1 << 31) - 1
    for runtime in ("fargate", "ecs-ec2"):
        assert _found(accounts(most, most, most), User="big", runtime=runtime) == []
        assert _found(accounts(1, most + 1), User="big:5", runtime=runtime) == []
        assert _found(accounts(most + 1, 1), User="big", runtime=runtime) == ["user-missing"]
        assert "uids and gids must be in range" in _error(accounts(most + 1, 1), User="big", runtime=runtime)
    for user, gid, other in (("big", most + 1, 5), ("1:big", most + 1, 5), ("big", 1, most + 1)):
        assert _found(accounts(1, gid, other), User=user, runtime="ecs-ec2") == ["user-missing"]
        assert _found(accounts(1, gid, other), User=user) == []


def test_accounts_in_a_folder_cannot_be_read() -> None:
    for runtime in ("fargate", "ecs-ec2"):
        assert _found(PROGRAM, folder("etc"), folder("etc/passwd"), User="5", runtime=runtime) == ["user-missing"]
        assert _found(PROGRAM, folder("etc"), folder("etc/group"), runtime=runtime) == ["user-missing"]
        assert _found(PROGRAM, folder("etc"), folder("etc/passwd"), runtime=runtime) == []
    assert _found(PROGRAM, file("etc")) == ["user-missing"]
    assert _found(PROGRAM, file("etc"), runtime="ecs-ec2") == []


def test_an_entrypoint_of_one_empty_word_is_none_to_dockerd() -> None:
    assert _found(PROGRAM, Entrypoint=[""], Cmd=["/program"], runtime="ecs-ec2") == []
    assert _found(PROGRAM, Entrypoint=[""], Cmd=["/program"]) == ["entrypoint-missing"]


def test_nothing_is_said_of_the_start_where_a_layer_cannot_be_unpacked() -> None:
    assert _found(header("h", b"1", link="nowhere"), Cmd=["/nowhere"]) == ["hardlink-target-missing"]


class _Content:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def read(self, count: int) -> bytes:
        self._at += count
        return self._content[self._at - count : self._at]

    def skip(self, count: int) -> int:
        self._at += count
        return count


def test_a_loaders_path_is_read_wherever_it_lies_in_the_file() -> None:
    def moved(offset: int) -> Program:
        start = bytearray(elf(interpreter=b"/ld"))
        start[72:80] = offset.to_bytes(8, "little")
        content = bytes(start).ljust(offset, b"x") + b"/ld\0" + b"more"
        return program(_Content(content), len(content))

    for offset in (124, 1020, 1022, 1024, 5000, 100_000):
        assert moved(offset).interpreter == b"/ld", offset
