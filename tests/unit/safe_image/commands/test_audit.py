"""`safe-image audit` without AWS: its arguments, its state on disk, and its report."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from image_verifier.audit.row import Row

from safe_image.audit import audit_progress
from safe_image.audit.repositories import parse_repository
from safe_image.audit.state import audit_state
from safe_image.cli import main
from safe_image.commands.arguments import DEFAULT_POLICY
from safe_image.errors import UsageError
from safe_image.formats.audit import audit_html, audit_json, audit_text
from safe_image.formats.audit.audit_facts import AuditFacts
from safe_image.sources.aws_sessions import AwsSessions
from safe_image.sources.cloud_assembly import Environment
from tests.unit.safe_image.formats.test_html import Page

URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop"


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> AwsSessions:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return AwsSessions(_environment=Environment("111111111111", "eu-west-1"))


def row(number: int, verdict: Any = "pass", **more: Any) -> Row:
    finding = {
        "id": "not-an-image",
        "severity": "error",
        "runs_on": ["fargate"],
        "message": "The tag points at <b>an attestation</b>.\x1b[31m",
        "expected": "",
        "found": "",
        "runtime_error": "CannotPullContainerError: no",
        "runtime_error_predicted": True,
        "remedy": ["Build again.", "$ docker build ."],
        "acknowledged": "",
    }
    return {
        "reference": f"{URI}:{number}",
        "repository": URI,
        "digest": f"sha256:{number:064x}",
        "tags": [str(number)],
        "pushed_at": "2026-01-02T03:04:05+00:00",
        "in_use_by": [],
        "verdict": verdict,
        "runs_on": ["fargate"],
        "platform": "linux/amd64",
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "size_bytes": 10,
        "findings": [finding] if verdict == "fail" else [],
        "fault": {"message": "It was denied.", "advice": "Allow it."} if verdict == "unknown" else None,
        "skipped": "",
        **more,
    }


@pytest.mark.parametrize(
    "text",
    ["shop", "111111111111.dkr.ecr.eu-west-1.amazonaws.com/shop", "arn:aws:ecr:eu-west-1:111111111111:repository/shop"],
)
def test_a_repository_is_named_by_its_name_its_uri_or_its_arn(sessions: AwsSessions, text: str) -> None:
    repository = parse_repository(text, sessions, None)
    assert repository.arn == "arn:aws:ecr:eu-west-1:111111111111:repository/shop"
    assert repository.uri == "111111111111.dkr.ecr.eu-west-1.amazonaws.com/shop"


def test_a_repository_of_another_account_region_and_partition_keeps_them(sessions: AwsSessions) -> None:
    assert parse_repository("team/shop", sessions, "222222222222").registry_id == "222222222222"
    china = parse_repository("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/shop", sessions, None)
    assert china.arn == "arn:aws-cn:ecr:cn-north-1:123456789012:repository/team/shop"
    assert china.uri == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/shop"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shop:1.4", "is one image: use safe-image check shop:1.4, or audit shop for all of its images"),
        (f"{URI}@sha256:{'a' * 64}", f"or audit {URI} for all of its images"),
        ("ghcr.io/team/shop", "is not in ECR"),
        ("arn:aws:s3:::bucket", "is not an ECR repository's ARN"),
        ("arn:aws:ecr:eu-west-1:123456789012:repository/Shop", "is not the name of a repository"),
        ("Shop!", "Shop!"),
    ],
)
def test_an_argument_that_is_not_a_repository_is_refused_with_the_right_form(
    sessions: AwsSessions, text: str, said: str
) -> None:
    with pytest.raises(UsageError) as error:
        parse_repository(text, sessions, None)
    assert said in str(error.value)


def test_a_registry_is_named_by_an_account(sessions: AwsSessions) -> None:
    with pytest.raises(UsageError, match="use its 12 digits"):
        parse_repository("shop", sessions, "eu-west-1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to audit: pass a REPOSITORY, --registry, --in-use or --from"),
        (["shop", "--registry"], "--registry means every repository"),
        (["shop", "--runs-on", "nowhere"], "--runs-on names 'nowhere'"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["audit", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_without_a_region_or_credentials_it_reports_that_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = tmp_path / "report.json"
    assert main(["audit", "shop", "-o", str(output), "--format", "json", "--resume", str(tmp_path / "state")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_state_file_gives_back_its_rows(tmp_path: Path) -> None:
    file = str(tmp_path / "state")
    with audit_state(file, {"policy": "a"}) as kept:
        kept.add(row(1))
        kept.add(row(2, "fail"))
    with audit_state(file, {"policy": "a"}) as kept:
        assert kept.count == 2
        assert kept.knows(URI, row(1)["digest"])
        assert not kept.knows(URI, row(3)["digest"])
        kept.add(row(3))
        assert [one["tags"] for one in kept.rows()] == [["1"], ["2"], ["3"]]
    assert list(tmp_path.iterdir()) == [tmp_path / "state"]


def test_rows_that_are_cut_off_unknown_or_in_use_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with audit_state(str(file), {}) as kept:
        for one in (row(1), row(2, "unknown"), row(3, in_use_by=["ECS service a/b"])):
            kept.add(one)
    with file.open("a") as stream:
        stream.write('{"verdict": "pass"}\n' + "[" * 100_000 + "\n")
        stream.write(json.dumps(row(4))[:100])
    with audit_state(str(file), {}) as kept:
        assert [one["tags"] for one in kept.rows()] == [["1"]]


def test_rows_of_images_in_use_come_first_and_once(tmp_path: Path) -> None:
    with audit_state(None, {}) as kept:
        kept.add(row(1))
        kept.add(row(2))
        kept.add(row(2, in_use_by=["ECS service a/b"]))
        assert [(one["tags"], one["in_use_by"]) for one in kept.rows()] == [(["2"], ["ECS service a/b"]), (["1"], [])]


@pytest.mark.parametrize("content", ["hello\n", '{"kind": "other"}\n', "\x00\xff\n", "[1]\n"])
def test_a_file_of_something_else_is_refused_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    file = tmp_path / "notes"
    file.write_text(content)
    with pytest.raises(UsageError, match="is not a state file of safe-image audit"), audit_state(str(file), {}):
        pass
    assert file.read_text() == content
    assert list(tmp_path.iterdir()) == [file]


def test_a_state_with_other_settings_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with audit_state(str(file), {"runs_on": "fargate"}) as kept:
        kept.add(row(1))
    before = file.read_text()
    with (
        pytest.raises(UsageError, match=r"written with another runs_on \(fargate\)"),
        audit_state(str(file), {"runs_on": "x"}),
    ):
        pass
    assert file.read_text() == before


def test_two_runs_do_not_write_one_state(tmp_path: Path) -> None:
    file = str(tmp_path / "state")
    with (
        audit_state(file, {}),
        pytest.raises(UsageError, match="is in use by another run"),
        audit_state(file, {}),
    ):
        pass


def test_a_state_in_no_folder_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="use a file in a writable folder"),
        audit_state(str(tmp_path / "no" / "state"), {}),
    ):
        pass


def test_the_text_has_the_refused_images_each_repository_and_a_tally() -> None:
    rows = [
        row(1, "fail", in_use_by=["ECS service prod/web"]),
        row(2),
        row(3, "unknown"),
        row(4, "fail", tags=["4", "5"]),
    ]
    text = "".join(audit_text.report(lambda: rows, AuditFacts.of(DEFAULT_POLICY), io.StringIO()))
    assert f"FAIL  {URI}:1\n      in use by ECS service prod/web\n      not-an-image (fargate)\n" in text
    assert f"FAIL  {URI}:4 and 1 more tag\n" in text
    assert f"UNKNOWN  {URI}:3\n      It was denied. Allow it.\n" in text
    assert f"{URI}:2" not in text
    assert "\x1b" not in text
    line = next(line for line in text.splitlines() if line.startswith(f"{URI} "))
    assert line.split()[1:] == ["4", "1", "2", "1", "1"]
    assert "not-an-image (2 images): " in text
    assert text.endswith("\n4 images: 1 passed, 2 refused, 1 unknown (1 of the refused in use)\n")


@pytest.mark.parametrize("rows", [[], [row(1, "fail"), row(2)]])
def test_the_json_is_one_object_with_every_image(rows: list[Row]) -> None:
    told = json.loads("".join(audit_json.report(lambda: rows, AuditFacts.of(DEFAULT_POLICY), io.StringIO())))
    assert told["schema_version"] == 1
    assert told["images"] == rows
    assert [total["images"] for total in told["repositories"]] == ([2] if rows else [])


def test_the_page_shows_the_refused_images_and_runs_no_text_of_an_image() -> None:
    rows = [row(1, "fail", in_use_by=["ECS service <i>prod</i>/web"]), row(2), row(3, "unknown")]
    page = Page("".join(audit_html.report(lambda: rows, AuditFacts.of(DEFAULT_POLICY), io.StringIO())))
    sheets = [(name, attributes.get("class")) for name, attributes in page.elements if name == "details"]
    assert sheets == [("details", "sheet listed is-fail is-used"), ("details", "sheet listed is-unknown")]
    assert page.text.count("refused, in use") == 1
    assert not [name for name, _ in page.elements if name == "i"]
    assert "The tag points at <b>an attestation</b>." in page.text
    assert "docker build ." in page.commands
    assert "1 of 3 images is refused" in page.text
    assert "ECS on Fargate would have said (predicted from its source)" in page.text
    assert "account123456789012 in eu-west-1" in page.text
    assert "policyrefuses errors; reads manifests and configs, not the layers' bytes" in page.text


def test_the_page_folds_the_repositories_in_which_every_image_passes() -> None:
    rows = [row(number, repository=f"{URI}/{number}", reference=f"{URI}/{number}:1") for number in range(6)]
    refused = row(7, "fail")
    for folded, some in ((False, [*rows[:5], refused]), (True, [*rows, refused])):
        page = Page("".join(audit_html.report(partial(iter, some), AuditFacts.of(DEFAULT_POLICY), io.StringIO())))
        assert ("6 repositories in which every image passes" in page.text) is folded
        first = page.text.index(f"{URI}1")
        assert all(page.text.index(f"{URI}/{number}1") > first for number in range(5)), "the bad ones first"


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with audit_progress.progress(0) as on_row:
        on_row(row(1))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(audit_progress, "_PAUSE", 0)
    with audit_progress.progress(5) as on_row:
        on_row(row(1))
        on_row(row(2, "fail"))
    assert capsys.readouterr().err.splitlines() == [
        "safe-image: 1 verified, 0 refused, 0 unknown, 5 verified earlier: shop",
        "safe-image: 2 verified, 1 refused, 0 unknown, 5 verified earlier: shop",
    ]
