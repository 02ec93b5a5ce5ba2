"""docs/files.md: its pipelines parse, and their commands are those of the parser."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from safe_image.cli import main
from safe_image.commands.command_parser import command_parser
from safe_image.sources.local_images import DOCUMENTS

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "files.md").read_text()
_BLOCK: Final = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CALL: Final = re.compile(r"safe-image (check .*?)(?:$|`)", re.MULTILINE)
ACTIONS, GITLAB, HOOK = map(yaml.safe_load, _BLOCK.findall(PAGE))


def test_the_pipelines_have_jobs_and_hooks() -> None:
    assert ACTIONS["jobs"]["images"]["steps"]
    assert GITLAB["images"]["script"]
    (repository,) = HOOK["repos"]
    (used,) = repository["hooks"]
    assert used["id"] in [hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())]
    assert repository["repo"] == _url()


def _url() -> str:
    (url,) = re.findall(r'^Source = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    return str(url)


def calls() -> list[list[str]]:
    used = HOOK["repos"][0]["hooks"][0]
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (hook,) = (it for it in hooks if it["id"] == used["id"])
    args = used["args"]
    page = re.sub(r"\$\{\{.*?\}\}", "1", PAGE)
    return [shlex.split(call) for call in _CALL.findall(page)] + [[*shlex.split(hook["entry"])[1:], *args]]


@pytest.mark.parametrize("call", calls(), ids=" ".join)
def test_a_command_of_the_page_is_accepted_and_names_a_file(call: list[str]) -> None:
    arguments: Any = command_parser(call).parse_args(call)
    assert all(reference.startswith(DOCUMENTS) for reference in arguments.references)


def test_the_page_has_a_row_for_each_kind_of_file() -> None:
    rows = re.findall(r"^\| `([a-z-]+:)FILE` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(DOCUMENTS)


TEMPLATE: Final = """\
Parameters: {Tag: {Type: String}}
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions:
        - Image: !Sub "shop:${Tag}"
"""


def test_the_transcript_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("template.yaml").write_text(TEMPLATE)
    call = "check cloudformation:template.yaml"
    assert main(call.split()) == 2
    printed = capsys.readouterr()
    assert f"$ safe-image {call}\n{printed.err}{printed.out}$ " in PAGE
