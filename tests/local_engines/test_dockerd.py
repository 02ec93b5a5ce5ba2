"""The Docker engine builds, pushes, pulls and runs images, and leaves nothing behind, however its user ends."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws import LocalAws
from local_engines import debian, dockerd
from local_engines.checkout import LOCAL
from local_engines.dockerd import DockerEngine, EngineError

# Starts an engine and a container in it, prints the engine's address, and waits.
_HOLDER = """
import sys, time
from local_engines.dockerd import DockerEngine
with DockerEngine.start(own=True) as engine:
    engine.docker("build", "--quiet", "--tag", "held", sys.argv[1])
    engine.docker("run", "--detach", "--rm", "held")
    print(engine.host, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def docker() -> Iterator[DockerEngine]:
    with DockerEngine.start() as running:
        yield running


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build context with a RUN step, whose container serves the file that the step wrote."""
    folder = tmp_path_factory.mktemp("context")
    shutil.copy(debian.unpacked("trixie", ("busybox-static",)) / "usr/bin/busybox", folder)
    (folder / "Dockerfile").write_text(
        "FROM scratch\n"
        "COPY busybox /bin/busybox\n"
        'SHELL ["/bin/busybox", "sh", "-c"]\n'
        "RUN busybox echo written by RUN > /page\n"
        'CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/"]\n'
    )
    return folder


def _traces(name: str) -> list[str]:
    """The processes, mounts, interfaces, folders and cgroups of the engine whose folder has that name."""
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            commands.append((process / "cmdline").read_text())
        except OSError:  # the process has just ended
            continue
    return [
        *(command for command in commands if name in command),
        *(line for line in Path("/proc/mounts").read_text().splitlines() if name in line),
        *(str(path) for path in Path("/sys/class/net").glob(name)),
        *(str(path) for path in Path("/tmp").glob(name)),
        # Not Path.glob, which fails where a group of another engine ends meanwhile.
        *(folder for folder, _, _ in os.walk("/sys/fs/cgroup") if folder.endswith(f"/{name}")),
    ]


def _fetched(url: str) -> bytes:
    """The answer of a server that may still be starting."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return bytes(response.read())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_a_dockerfile_with_run_builds_and_its_container_answers(docker: DockerEngine, context: Path) -> None:
    docker.docker("build", "--quiet", "--tag", "ordinary", str(context))
    container = docker.docker("run", "--detach", "--rm", "ordinary").strip()
    try:
        address = docker.docker("inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", container)
        assert _fetched(f"http://{address.strip()}:8080/page") == b"written by RUN\n"
    finally:
        docker.docker("kill", container)


def test_docker_pushes_and_pulls_an_image_unchanged(secured: LocalAws, docker: DockerEngine, tmp_path: Path) -> None:
    ecr = secured.client("ecr")
    ecr.create_repository(repositoryName="engine", imageTagMutability="IMMUTABLE")
    data = ecr.get_authorization_token()["authorizationData"][0]
    password = base64.b64decode(data["authorizationToken"]).partition(b":")[2]
    docker.docker("login", "--username", "AWS", "--password-stdin", data["proxyEndpoint"], stdin=password)
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY bytes /bytes\nCMD ["/bytes"]\n')
    (tmp_path / "bytes").write_bytes(os.urandom(5_000_000))
    reference = f"{secured.registry}/engine:a"
    docker.docker(
        "build", "--quiet", "--output=type=docker,attestation-inline=false", "--tag", reference, str(tmp_path)
    )
    try:
        docker.docker("push", reference)
        detail = ecr.describe_images(repositoryName="engine", imageIds=[{"imageTag": "a"}])["imageDetails"][0]
        assert 5_000_000 < detail["imageSizeInBytes"] < 5_100_000
        docker.docker("image", "rm", reference)
        reference = f"{secured.registry}/engine@{detail['imageDigest']}"
        assert detail["imageDigest"] in docker.docker("pull", "--quiet", reference)
    finally:
        docker.docker("image", "rm", "--force", reference)


def test_the_error_of_a_failed_command_has_dockers_output(docker: DockerEngine) -> None:
    with pytest.raises(EngineError, match=r"docker image inspect none-such failed.*:\n.*[Nn]o such image"):
        docker.docker("image", "inspect", "none-such")


@pytest.mark.parametrize("store", ["containerd", "classic"])
def test_the_engine_has_the_requested_image_store(store: dockerd.Store) -> None:
    with DockerEngine.start(store=store, own=True) as running:
        status = running.docker("info", "--format", "{{.Driver}} {{.DriverStatus}}")
    assert ("io.containerd.snapshotter" in status) == (store == "containerd")


def test_an_engine_leaves_nothing_behind() -> None:
    with DockerEngine.start(own=True) as running:
        name = running.config.parent.name
        assert _traces(name)
    assert _traces(name) == []


def test_an_engine_leaves_nothing_behind_when_its_process_is_killed(context: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, str(context)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    name = Path(holder.stdout.readline().removeprefix("unix://")).parent.name
    assert _traces(name)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    deadline = time.monotonic() + 60
    while _traces(name) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _traces(name) == []


def test_two_engines_at_once_have_separate_data_roots() -> None:
    with DockerEngine.start(own=True) as one, DockerEngine.start(own=True) as other:
        roots = {running.docker("info", "--format", "{{.DockerRootDir}}") for running in (one, other)}
    assert len(roots) == 2


def test_the_machines_own_docker_is_used_if_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with DockerEngine.start(own=True) as machine:
        monkeypatch.setenv("DOCKER_HOST", machine.host)
        monkeypatch.setenv("PATH", f"{machine.client.parent}:{os.environ['PATH']}")
        with DockerEngine.start() as found:
            assert (found.origin, found.host) == ("this machine", machine.host)
            assert found.config != machine.config
            assert found.docker("version", "--format", "{{.Server.Version}}").strip() == machine.version


def test_an_older_suite_is_used_where_the_newest_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "usr/sbin/dockerd"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\necho GLIBC_9.9 not found >&2; exit 1\n")
    broken.chmod(0o755)
    unpacked = debian.unpacked
    monkeypatch.setattr(debian, "unpacked", lambda suite, names: tmp_path if suite == "sid" else unpacked(suite, names))
    with DockerEngine.start(own=True) as running:
        assert running.origin == "Debian trixie"
    with pytest.raises(EngineError, match=r"does not run on this machine:\nsid: GLIBC_9\.9 not found"):
        DockerEngine.start(own=True, suites=("sid",)).__enter__()


def test_the_error_without_root_says_how_to_fix_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EngineError, match="run this command as root on Debian"), DockerEngine.start(own=True):
        pass


def test_the_error_without_apt_says_how_to_fix_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("local_engines.debian.LOCAL", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="need Debian, with apt and dpkg"), DockerEngine.start(own=True):
        pass


def test_apt_can_never_install_on_this_machine() -> None:
    debian.unpacked("trixie", ("busybox-static",))
    settings = [path.read_text() for path in (LOCAL / "debian/apt").glob("*/apt.conf")]
    assert settings
    assert all('Dir::Bin::dpkg "/bin/false";' in setting for setting in settings)
