"""Every command that checks images honours every key of the configuration file, for all images and in a section."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from image_verifier.outcome_json import policy_as_json

from safe_image.cli import main
from safe_image.commands import heal
from safe_image.commands.command_parser import command_parser
from safe_image.configuration.image_settings import KEYS
from safe_image.machine.docker import Docker
from safe_image.sources.aws_sessions import AwsSessions
from safe_image.sources.targets import TargetResolver
from tests.unit.aws_server import Aws, serving_aws
from tests.unit.images import Layout
from tests.unit.safe_image.sources.test_cloud_assembly import BOUND, HASH, assembly

_ECR: Final = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop:1"
# For each key, a value, and what the policy of a report then has.
_VALUES: Final[dict[str, tuple[str, str, Any]]] = {
    "runs-on": ('"lambda"', "runs_on", ["lambda"]),
    "platform": ('"linux/arm64"', "platform", "linux/arm64"),
    "layers": ("true", "layers", True),
    "min-size": ('"1B"', "min_size_bytes", 1),
    "max-size": ('"1GiB"', "max_size_bytes", 1 << 30),
    "fail-on": ('"warning"', "fail_on", "warning"),
    "require": ('["max-layers:50"]', "require", ["max-layers:50"]),
    "acknowledge": ('[{id = "layer-foreign", reason = "licence"}]', "acknowledge", {"layer-foreign": "licence"}),
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CDK_DOCKER", "docker-that-is-not")
    layout = Layout(tmp_path / "shop")
    layout.path.mkdir()
    layout.source(layout.image())
    assembly(tmp_path / "cdk.out", {**BOUND, "assumeRoleArn": ""}, source={"directory": "asset"})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        missing = server.refusal("RepositoryNotFoundException", "no")
        server.answers["DescribeImages"] = server.answers["BatchGetImage"] = missing
        yield server


Policies = list[dict[str, Any]]


def _shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    main([*arguments, "--format", "json"])
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def _check(capsys: pytest.CaptureFixture[str]) -> Policies:
    return [image["policy"] for image in _shown(capsys, "check", "oci-layout:shop")["images"]]


def _check_assembly(capsys: pytest.CaptureFixture[str]) -> Policies:
    return [image["policy"] for image in _shown(capsys, "check", "cdk.out:cdk.out")["images"]]


def _diff(capsys: pytest.CaptureFixture[str]) -> Policies:
    return [_shown(capsys, "diff", "oci-layout:shop", "oci-layout:shop")["policy"]]


def _preflight(capsys: pytest.CaptureFixture[str]) -> Policies:
    return [policy for image in _shown(capsys, "preflight")["images"] for policy in image["policies"]]


def _heal(_: pytest.CaptureFixture[str]) -> Policies:
    words = ["heal", _ECR]
    arguments: Namespace = command_parser(words).parse_args(words)
    healer = heal._Healer(arguments, AwsSessions(), Docker())
    requirements = healer._requirements([TargetResolver().target(_ECR, "linux/amd64")])
    return [policy_as_json(policy) for policies in requirements for policy in policies]


# The commands, each with the patterns that its image matches. `audit` has tests of its own, with the local AWS.
_COMMANDS: Final[dict[str, tuple[Callable[[pytest.CaptureFixture[str]], Policies], tuple[str, ...]]]] = {
    "check": (_check, ("oci-layout:*",)),
    "check of an assembly": (_check_assembly, ("Shop/*", f"assets:{HASH}")),
    "diff": (_diff, ("*:shop",)),
    "preflight": (_preflight, ("Shop/*", f"assets:{HASH}")),
    "heal": (_heal, ("shop:1", "*/shop")),
}


def test_every_key_has_a_value_here() -> None:
    assert tuple(_VALUES) == KEYS


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("command", _COMMANDS)
def test_a_command_honours_every_key(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    policies, patterns = _COMMANDS[command]
    keys = "\n".join(f"{key} = {value}" for key, (value, _, _) in _VALUES.items())
    expected = {name: value for _, name, value in _VALUES.values()}
    before = policies(capsys)
    assert before
    for head in ("", *(f'[[images]]\nmatch = "{pattern}"\n' for pattern in patterns)):
        Path("safe-image.toml").write_text(head + keys)
        after = policies(capsys)
        assert after
        assert [{name: policy[name] for name in expected} for policy in after] == [expected] * len(after), head
    Path("safe-image.toml").write_text(f'[[images]]\nmatch = "other"\n{keys}')
    assert policies(capsys) == before
