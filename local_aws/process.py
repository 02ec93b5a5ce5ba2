"""Start, use and stop the local AWS from a test, the demo or a benchmark."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local_aws.account import ACCOUNT, REGION
from local_aws.faults import ContentEffect
from local_aws.toolchain import Toolchain, install
from local_engines.checkout import ROOT

_START_SECONDS = 30
_STOP_SECONDS = 10
_KEPT_VARIABLES = ("HOME", "LANG", "LC_ALL", "PATH", "TERM", "USER", "SSL_CERT_FILE", "VIRTUAL_ENV")


class LocalAwsError(Exception):
    """The local AWS could not be started."""


@dataclass(frozen=True)
class FaultControl:
    """Makes the local AWS misbehave.

    A call's name is `service:Action`, `registry:METHOD` or `layer:METHOD`; `*` and `?` match as in file names.
    """

    _post: _Control

    def throttle(self, on: str, times: int | None = None, per_second: float = 0) -> None:
        """Answer ThrottlingException to the next `times` calls, or to those beyond `per_second`."""
        self.error(on, "ThrottlingException", times=times, per_second=per_second)

    def error(
        self,
        on: str,
        code: str = "ServerException",
        message: str = "",
        status: int = 400,
        times: int | None = None,
        seconds: float | None = None,
        per_second: float = 0,
    ) -> None:
        """Answer an error, for `times` calls or `seconds`; for ever by default."""
        self._post.send(
            "POST",
            "faults",
            {
                "on": on,
                "code": code,
                "message": message,
                "status": status,
                "times": times,
                "seconds": seconds,
                "per_second": per_second,
            },
        )

    def deny(self, on: str, seconds: float | None = None, times: int | None = None) -> None:
        """Answer AccessDeniedException, as a fresh role gets until IAM has propagated."""
        self.error(on, "AccessDeniedException", seconds=seconds, times=times)

    def latency(self, on: str, delay: float, times: int | None = None) -> None:
        """Wait `delay` seconds before answering."""
        self._post.send("POST", "faults", {"on": on, "delay": delay, "times": times})

    def content(self, digest: str, effect: ContentEffect) -> None:
        """Spoil an image (`kms`, `inaccessible`) or a blob (`gone`, `truncated`, `corrupt`)."""
        self._post.send("POST", "faults", {"digest": digest, "effect": effect})

    def clear(self) -> None:
        """All faults off."""
        self._post.send("DELETE", "faults")


@dataclass(frozen=True)
class _Control:
    endpoint: str

    def send(self, method: str, what: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - this machine's own server
            f"{self.endpoint}/_local/control/{what}", json.dumps(body).encode() if body else None, method=method
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            return json.load(response)


class LocalAws:
    """A running local AWS; `LocalAws.start()` makes one."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path, toolchain: Toolchain) -> None:
        self._process, self._folder, self._toolchain = process, folder, toolchain
        self.port, self.pid = port, process.pid
        self.endpoint = f"http://127.0.0.1:{port}"
        self.registry = f"localhost:{port}"
        self._clients: dict[str, Any] = {}
        self._control = _Control(self.endpoint)
        self.faults = FaultControl(self._control)

    @classmethod
    @contextmanager
    def start(cls, state_dir: Path | None = None, auth: bool = False, port: int = 0) -> Iterator[LocalAws]:
        """Start it, and stop it at the end of the `with` block.

        Args:
            state_dir: folder for blobs and the server's log; a temporary one that is removed by default.
            auth: enforce IAM.
            port: 0 takes a free one.

        Raises LocalAwsError with the end of the server's log when it does not start.
        """
        toolchain = install()
        folder = state_dir or Path(tempfile.mkdtemp(prefix="local-aws-state-"))
        folder.mkdir(parents=True, exist_ok=True)
        command = [str(toolchain.python), "-m", "local_aws.server", "--state", str(folder), "--port", str(port)]
        command += ["--auth"] if auth else []
        command += ["--remove-state"] if state_dir is None else []
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=_server_environment(toolchain, folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield cls(process, _ready_port(process, folder), folder, toolchain)
        finally:
            _stop(process)
            if state_dir is None:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def log(self) -> Path:
        """The server's log, functions' output included."""
        return self._folder / "server.log"

    def env(self) -> dict[str, str]:
        """The environment for anything that talks to it: nothing of the user's own AWS or Docker settings is in it.

        On its PATH come first the pinned CDK CLI and Node, and the Python that runs us (an app's `python app.py`).
        """
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        nowhere = str(self._folder / "no-such-file")
        first = [self._toolchain.cdk.parent, self._toolchain.node_bin, Path(sys.executable).parent]
        return {
            **kept,
            "PATH": os.pathsep.join([*map(str, first), kept["PATH"]]),
            "JSII_NODE": str(self._toolchain.node_bin / "node"),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DEFAULT_ACCOUNT": ACCOUNT,
            "CDK_DEFAULT_REGION": REGION,
            "CDK_HOME": str(self._folder / "cdk-home"),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "1",
            "DOCKER_CONFIG": str(self._folder / "docker-config"),
            "NO_PROXY": "127.0.0.1,localhost,::1",
        }

    def client(self, service: str) -> Any:
        """The boto3 client of a service, as the account's root; without retries, so that faults show."""
        import boto3
        from botocore.config import Config

        if service not in self._clients:
            session: Any = boto3.Session(ACCOUNT, "local", region_name=REGION)
            config = Config(proxies={}, retries={"total_max_attempts": 1})
            self._clients[service] = session.client(service, endpoint_url=self.endpoint, config=config)
        return self._clients[service]

    def cdk(
        self,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        stream: IO[str] | None = None,
        timeout: float = 600,
    ) -> subprocess.CompletedProcess[str]:
        """Run the CDK CLI; its output (both streams, in order) is in `stdout`.

        Args:
            arguments: such as `"deploy", "--all"`.
            cwd: the app's folder.
            env: what to add to `env()`.
            stream: where to show the output as it comes.
            timeout: seconds.

        Raises LocalAwsError when it takes longer.
        """
        command: Sequence[str] = [str(self._toolchain.cdk), "--no-notices", "--no-version-reporting", *arguments]
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**self.env(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        lines: list[str] = []
        too_late = threading.Event()

        def give_up() -> None:
            too_late.set()
            _kill_group(process)

        timer = threading.Timer(timeout, give_up)
        timer.start()
        try:
            for line in process.stdout:
                lines.append(line)
                if stream:
                    stream.write(line)
                    stream.flush()
            code = process.wait()
        finally:
            timer.cancel()
            _kill_group(process)
        output = "".join(lines)
        if too_late.is_set():
            raise LocalAwsError(f"cdk {' '.join(arguments)} took longer than {timeout} s:\n{output}")
        return subprocess.CompletedProcess(command, code, output, "")

    def bootstrap(self) -> None:
        """`cdk bootstrap` of the account. Raises LocalAwsError with its output when it fails."""
        done = self.cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", cwd=self._folder)
        if done.returncode:
            raise LocalAwsError(f"cdk bootstrap failed:\n{done.stdout}")

    def calls(self) -> list[dict[str, Any]]:
        """Every call since the start or `reset_calls()`: name, path, time, status, seconds, principal."""
        calls: list[dict[str, Any]] = self._control.send("GET", "calls")
        return calls

    def reset_calls(self) -> None:
        self._control.send("DELETE", "calls")

    def custom_resources(self) -> list[dict[str, Any]]:
        """Every request to a custom resource: see custom_resources.CustomResourceRequest."""
        requests: list[dict[str, Any]] = self._control.send("GET", "custom-resources")
        return requests

    def reset_custom_resources(self) -> None:
        self._control.send("DELETE", "custom-resources")


def _server_environment(toolchain: Toolchain, folder: Path) -> dict[str, str]:
    """What the server, and so every Lambda in it, sees. The host's Docker is none of its business."""
    nowhere = str(folder / "no-such-file")
    return {
        "PATH": os.pathsep.join([str(toolchain.python.parent), str(toolchain.node_bin), os.environ["PATH"]]),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "DOCKER_HOST": f"unix://{nowhere}",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _ready_port(process: subprocess.Popen[bytes], folder: Path) -> int:
    """The port that the server printed, once it answers there."""
    assert process.stdout is not None
    deadline = time.monotonic() + _START_SECONDS
    readable, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline() if readable else b""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while line and time.monotonic() < deadline and process.poll() is None:
        port = int(line)
        try:
            with opener.open(f"http://127.0.0.1:{port}/_ministack/health", timeout=5):
                return port
        except OSError:
            time.sleep(0.05)
    log = (folder / "server.log").read_text(errors="replace")
    raise LocalAwsError(f"the local AWS did not start:\n{log[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    _kill_group(process)
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def _kill_group(process: subprocess.Popen[Any]) -> None:
    """End what a process left behind in its group, and the process itself."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
