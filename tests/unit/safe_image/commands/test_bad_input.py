"""A fault of AWS or a registry is one line that names the cause and the fix, exit code 2, and no report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from image_verifier.retry import RetryBudget

from safe_image.cli import main
from tests.unit.images import Layout
from tests.unit.registry_server import Answer, serving

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/x-amz-json-1.1"}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nobody has signed in anywhere."""
    for name in ("HOME", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path))
    # What would be repeated for half a minute is repeated once.
    monkeypatch.setattr("image_verifier.retry.RetryBudget.of", lambda *_: RetryBudget(0))


def line(capsys: pytest.CaptureFixture[str], folder: Path, *references: str) -> str:
    """The command's error message; there is no report."""
    report = folder / "report.json"
    report.write_text("the last one")
    assert main(["check", *references, "--format", "json", "-o", str(report)]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1, printed.err
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert "report it" not in printed.err, "it is no bug of the command's own"
    assert [p.name for p in folder.iterdir() if p.name.endswith(".tmp")] == []
    return printed.err


def set_all(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("environment", "config", "words"),
    [
        ({}, "", ("Unable to locate credentials", "aws sso login")),
        ({"AWS_ACCESS_KEY_ID": "AKID"}, "", ("missing: AWS_SECRET_ACCESS_KEY", "or neither")),
        ({"AWS_PROFILE": "nobody"}, "", ("nobody", "aws configure list-profiles")),
        ({}, "[default\nx", ("Unable to parse config file", "Repair this file")),
        ({}, "[default]\ncredential_process = /bin/false", ("custom-process", "credential_process")),
        ({}, "[default]\ncredential_process = /bin/echo no", ("could not be called", "~/.aws/config")),
        (
            {},
            "[default]\nsso_session = x\nsso_account_id = 123456789012\nsso_role_name = r\nregion = eu-west-1\n"
            "[sso-session x]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n",
            ("SSO Token", "aws sso login"),
        ),
        (
            {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere"},
            "",
            ("/nowhere", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ),
        (KEYS | {"AWS_ENDPOINT_URL": "no-url"}, "", ("Invalid endpoint", "~/.aws/config")),
        (KEYS | {"HTTPS_PROXY": "http://127.0.0.1:1"}, "", ("proxy", "HTTPS_PROXY and NO_PROXY")),
    ],
    ids=lambda value: None,
)
def test_a_fault_of_the_credentials_says_how_to_sign_in(
    environment: Mapping[str, str],
    config: str,
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_all(monkeypatch, environment)
    if config:
        tmp_path.joinpath("aws-config").write_text(config)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    printed = line(capsys, tmp_path, ECR)
    assert [word for word in words if word not in printed] == [], printed


def test_an_unknown_region_is_reported_as_a_mistake_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_all(monkeypatch, KEYS)
    assert "Check the spelling of the region" in line(capsys, tmp_path, ECR.replace("eu-west-1", "mars-1"))


def refused(code: str, message: str) -> Answer:
    return Answer(400, json.dumps({"__type": code, "message": message}).encode(), JSON)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused("ExpiredTokenException", "The token is expired"), "Renew the credentials"),
        (refused("UnrecognizedClientException", "The token is invalid"), "Renew the credentials"),
        (refused("InvalidSignatureException", "Signature expired"), "clock of this machine"),
        (refused("AccessDeniedException", "not authorized"), "Allow ecr:"),
        (refused("ThrottlingException", "Rate exceeded"), "Try again later"),
        *((Answer(status, b"<html>sign in</html>", HTML), "a web page") for status in (200, 403, 404, 503)),
        (Answer(200, b"welcome", {"Content-Type": "text/plain"}), "a web page"),
    ],
    ids=lambda value: None,
)
def test_a_bad_answer_of_ecr_or_of_a_proxy_is_a_fault_and_not_a_missing_image(
    answer: Answer, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as server:
        set_all(monkeypatch, KEYS | {"AWS_ENDPOINT_URL_ECR": f"http://{server.host}"})
        server.gate = lambda asked: answer
        printed = line(capsys, tmp_path, ECR)
    assert words in printed
    assert "<html>" not in printed


def test_ecr_behind_a_certificate_that_does_not_verify_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(https=True) as server:
        set_all(monkeypatch, KEYS | {"AWS_ENDPOINT_URL_ECR": f"https://{server.host}"})
        assert "set AWS_CA_BUNDLE" in line(capsys, tmp_path, ECR)


@pytest.mark.parametrize("proxy", ["http://user:secret@127.0.0.1:1", "gopher://127.0.0.1:1", "http://"])
def test_an_unusable_proxy_is_reported_without_its_password(
    proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    printed = line(capsys, tmp_path, "registry.example.com/shop:1")
    assert "Check HTTPS_PROXY and NO_PROXY" in printed
    assert "secret" not in printed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(200, b"<html>", HTML), "answered with a web page"),
        (Answer(429, b"{}", {"Retry-After": "600"}), "is reached (HTTP 429). Retry in 600 s"),
        (Answer(401, b"{}", {"WWW-Authenticate": "Basic"}), "Run docker login"),
        (Answer(500, b"{}"), "HTTP 500"),
    ],
    ids=lambda value: None,
)
def test_an_answer_of_a_registry_that_is_not_an_image_is_one_line(
    answer: Answer, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as server:
        server.gate = lambda asked: answer
        assert words in line(capsys, tmp_path, f"{server.host}/shop:1")


def test_a_registry_on_another_machine_whose_certificate_does_not_verify_names_the_variable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(https=True) as server:
        # This machine is asked by http; as anything else it is asked by https.
        monkeypatch.setattr("safe_image.sources.registry_urls.is_loopback", lambda host: False)
        assert "Set SSL_CERT_FILE" in line(capsys, tmp_path, f"{server.host}/shop:1")


@pytest.mark.parametrize("output", ["/nowhere/report", ".", "x" * 5000])
def test_a_report_that_cannot_be_written_is_refused_before_any_request(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as server:
        for arguments in (["-o", output], ["--format", f"json={output}"]):
            assert main(["check", f"{server.host}/shop:1", *arguments]) == 2
            printed = capsys.readouterr()
            assert printed.err.count("\n") == 1
            assert output in printed.err
        assert server.asked == []


@pytest.mark.parametrize("how", ["> /dev/full", "-o /dev/full", "--format json=/dev/full"])
def test_a_full_disk_is_reported(how: str, tmp_path: Path) -> None:
    done = _in_a_shell(f"{_CHECK} {how}", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "safe-image: No space left on device: check the disk that the output is written to\n"


@pytest.mark.parametrize("words", ["", "help check", "--version", "config", "check oci-layout:image"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_reported_whether_or_not_python_buffers(words: str, unbuffered: str, tmp_path: Path) -> None:
    command = f"PYTHONUNBUFFERED={unbuffered} '{sys.executable}' -m safe_image {words} > /dev/full"
    done = _in_a_shell(command, tmp_path)
    assert done.returncode == 2
    assert done.stderr == "safe-image: No space left on device: check the disk that the output is written to\n"


def test_an_option_whose_variable_is_empty_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(tmp_path / "image")
    layout.path.mkdir()
    layout.source(layout.image())
    for option, message in {
        "--platform": "'' is not a platform: use os/architecture, such as linux/amd64",
        "--config": "--config is empty: use the path of a file",
        "--output": "--output is empty: use the path of a file",
    }.items():
        assert main(["check", f"oci-layout:{layout.path}", option, ""]) == 2
        assert capsys.readouterr().err == f"safe-image: {message}\n"
    assert main(["check", f"oci-layout:{layout.path}", "--format", "json="]) == 2
    assert capsys.readouterr().err == "safe-image: --format json= has no file: use json or json=FILE\n"


@pytest.mark.parametrize("how", [">&-", "<&-", "2>&-"])
def test_a_stream_that_is_closed_changes_no_verdict(how: str, tmp_path: Path) -> None:
    done = _in_a_shell(f"{_CHECK} {how}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_explanation_without_any_input_asks_for_some(tmp_path: Path) -> None:
    done = _in_a_shell(f"'{sys.executable}' -m safe_image explain <&-", tmp_path)
    assert "there is no text to explain" in done.stderr


def test_a_message_repeats_no_control_character_of_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "shop", "--max-growth", "\r::warning::\x1b[2J"]) == 2
    with pytest.raises(SystemExit):
        main(["check", "shop", "--\r\x1b[2J"])
    printed = capsys.readouterr().err
    assert "\r" not in printed
    assert "\x1b" not in printed


_CHECK = f"'{sys.executable}' -m safe_image check oci-layout:image"


def _in_a_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line in a folder that has an image that passes."""
    layout = Layout(folder / "image")
    layout.path.mkdir()
    layout.source(layout.image())
    return subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60)
