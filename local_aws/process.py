"""Starts, uses and stops the local AWS, for tests, the demo and benchmarks."""

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
from local_aws.fault_injection import ContentEffect
from local_aws.toolchain import Toolchain, install
from local_engines.checkout import ROOT

_START_SECONDS = 120
_STOP_SECONDS = 10
_KEPT_VARIABLES = ("HOME", "LANG", "LC_ALL", "PATH", "TERM", "USER", "SSL_CERT_FILE", "VIRTUAL_ENV")


class LocalAwsError(Exception):
    """The local AWS or the CDK CLI failed; the message has the end of its log or its output."""


@dataclass(frozen=True)
class FaultControl:
    """Injects faults into the local AWS.

    A call's name is `service:Action`, `registry:METHOD` or `layer:METHOD`; `*` and `?` match as in file names.
    """

    _control: _Control

    def throttle(self, on: str, times: int | None = None, per_second: float = 0) -> None:
        """Answer ThrottlingException to the next `times` calls, or to the calls beyond `per_second`."""
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
        about: str = "",
    ) -> None:
        """Answer an error for `times` calls or for `seconds`, by default for ever, if their text holds `about`."""
        self._control.send(
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
                "about": about,
            },
        )

    def deny(self, on: str, seconds: float | None = None, times: int | None = None) -> None:
        """Answer AccessDeniedException, as AWS does for a new role until IAM has propagated."""
        self.error(on, "AccessDeniedException", seconds=seconds, times=times)

    def latency(self, on: str, delay: float, times: int | None = None) -> None:
        """Wait `delay` seconds before answering."""
        self._control.send("POST", "faults", {"on": on, "delay": delay, "times": times})

    def content(self, digest: str, effect: ContentEffect) -> None:
        """Break an image (`kms`, `inaccessible`) or a blob (`gone`, `truncated`, `corrupt`)."""
        self._control.send("POST", "faults", {"digest": digest, "effect": effect})

    def clear(self) -> None:
        """Remove every fault."""
        self._control.send("DELETE", "faults")


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
    """A running local AWS. Get one with `LocalAws.start`."""

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
        """Start the local AWS, and stop it at the end of the `with` block.

        :param state_dir: folder for blobs and the server's log; by default a temporary folder.
        :param auth: whether IAM is enforced.
        :param port: 0 for a free port.
        :raises LocalAwsError: with the end of the server's log, when the server does not start.
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
        """The server's log, with the output of Lambda functions."""
        return self._folder / "server.log"

    def env(self) -> dict[str, str]:
        """The environment for clients of the local AWS, without the user's own AWS and Docker settings.

        Its PATH begins with the pinned CDK CLI and Node, and with our own Python, for an app's `python app.py`.
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
        """The boto3 client of a service, as the account's root. It never retries, so that every fault is visible."""
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
        """Run the CDK CLI. Its output, both streams in order, is in `stdout`.

        :param arguments: such as `"deploy", "--all"`.
        :param cwd: the app's folder.
        :param env: additions to `env()`.
        :param stream: also receives the output as it arrives.
        :param timeout: seconds.
        :raises LocalAwsError: when the CLI runs longer.
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
        timed_out = threading.Event()

        def give_up() -> None:
            timed_out.set()
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
        if timed_out.is_set():
            raise LocalAwsError(f"cdk {' '.join(arguments)} timed out after {timeout} s:\n{output}")
        return subprocess.CompletedProcess(command, code, output, "")

    def bootstrap(self) -> None:
        """Run `cdk bootstrap` for the account.

        :raises LocalAwsError: with the CLI's output, when it fails.
        """
        done = self.cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", cwd=self._folder)
        if done.returncode:
            raise LocalAwsError(f"cdk bootstrap failed:\n{done.stdout}")

    def record_incident(self, records: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Record failed services, tasks, functions and stacks, which AWS's own calls then return.

        :param records: the objects by kind, as `local_aws.incidents` has them, in the shapes of AWS's responses.
        """
        self._control.send("POST", "incidents", records)

    def clear_incidents(self) -> None:
        """Forget what was recorded."""
        self._control.send("DELETE", "incidents")

    def calls(self) -> list[dict[str, Any]]:
        """Every call since the start or `reset_calls()`: name, path, time, status, seconds, principal."""
        calls: list[dict[str, Any]] = self._control.send("GET", "calls")
        return calls

    def reset_calls(self) -> None:
        """Clear the log of calls."""
        self._control.send("DELETE", "calls")

    def custom_resources(self) -> list[dict[str, Any]]:
        """Every request to a custom resource: see custom_resources.CustomResourceRequest."""
        requests: list[dict[str, Any]] = self._control.send("GET", "custom-resources")
        return requests

    def reset_custom_resources(self) -> None:
        """Clear the log of requests to custom resources."""
        self._control.send("DELETE", "custom-resources")


def _server_environment(toolchain: Toolchain, folder: Path) -> dict[str, str]:
    """The environment of the server and of its Lambda functions, without access to the host's Docker."""
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
    """The port that the server printed, once the server answers there."""
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
    """Kill a process and everything in its process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
