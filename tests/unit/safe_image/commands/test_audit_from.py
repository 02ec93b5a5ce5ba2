"""`safe-image audit --from`: the results of a sweep, from a folder and from S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from image_verifier import __version__
from image_verifier.audit.audit_page import audit_page
from image_verifier.audit.row import Row
from image_verifier.audit.sweep_summary import SweepBounds, SweepChange, SweepSummary, UnfinishedBatch
from image_verifier.outcome_json import policy_as_json

from safe_image.cli import main
from safe_image.commands.arguments import DEFAULT_POLICY
from tests.unit.aws_server import Aws, serving_aws
from tests.unit.json_reports import valid
from tests.unit.safe_image.commands.test_audit import URI, row

ID = "2026-11-28T13-30-00Z"
OLDER = "2026-11-27T13-30-00Z"
SUMMARY = SweepSummary(
    id=ID,
    started=datetime(2026, 11, 28, 13, 30, tzinfo=timezone.utc),
    ended=datetime(2026, 11, 28, 13, 34, tzinfo=timezone.utc),
    tool_version="0.0.9",
    account="123456789012",
    region="eu-west-1",
    depth="default",
    rules=({"pattern": "shop*", "policy": policy_as_json(DEFAULT_POLICY)},),
    new=SweepChange(
        1,
        (
            {
                "repository": URI,
                "digest": f"sha256:{1:064x}",
                "tags": ["1"],
                "reference": f"{URI}:1",
                "findings": [{"id": "x", "message": "It is broken."}],
            },
        ),
    ),
)
ROWS = (row(1, "fail"), row(2), row(3, in_use_by=["ECS service prod/web"]), row(4, "skipped", skipped="it is a chart"))


def write_sweep(folder: Path, summary: SweepSummary | None = SUMMARY, rows: tuple[Row, ...] = ROWS) -> Path:
    """Write a sweep as the Lambdas do."""
    sweep = folder / "sweeps" / (summary.id if summary else ID)
    (sweep / "results").mkdir(parents=True)
    (sweep / "items.jsonl").write_text('{"batch": 0}\n{"batch": 1}\n')
    for number, one in enumerate(rows):
        (sweep / "results" / f"{number:06}.jsonl").write_text(json.dumps(one) + "\n")
    if summary:
        (sweep / "summary.json").write_text(json.dumps(summary.as_json()))
        (folder / "sweeps" / "latest.json").write_text(json.dumps({"id": summary.id}))
    return sweep


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["audit", "--quiet", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def error_of(capsys: pytest.CaptureFixture[str], where: object, *more: str) -> str:
    """The one line of an error, without a traceback."""
    code, out, error = run(capsys, "--from", str(where), *more)
    assert (code, out, error.count("\n")) == (2, "", 1), error
    return error


def test_the_newest_sweep_is_shown_as_an_audit_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sweep(tmp_path, replace(SUMMARY, id=OLDER), rows=(row(9),))
    sweep = write_sweep(tmp_path)
    code, text, _ = run(capsys, "--from", str(tmp_path))
    assert code == 1
    assert text.startswith(f"Sweep {ID} of 123456789012 in eu-west-1: the rules for shop*")
    assert f"FAIL  {URI}:1\n" in text
    assert text.endswith("\n3 images: 2 passed, 1 refused\n")
    assert run(capsys, "--from", str(sweep))[1] == text
    assert run(capsys, "--from", str(tmp_path / "sweeps"))[1] == text
    assert run(capsys, "--from", str(tmp_path / "sweeps" / OLDER))[:1] == (0,)


def test_the_json_follows_the_schema_and_has_the_rows_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path)
    report = json.loads(run(capsys, "--from", str(tmp_path), "--format", "json")[1])
    valid({**report, "tool": {**report["tool"], "version": __version__}, "images": []})
    assert report["images"] == [ROWS[2], ROWS[0], ROWS[1], ROWS[3]], "those in use first"
    assert report["tool"]["version"] == "0.0.9"
    assert report["checked_at"] == "2026-11-28T13:34:00Z"
    assert report["sweep"]["new"]["images"][0]["digest"] == f"sha256:{1:064x}"
    assert report["repositories"][0]["refused"] == 1


def test_the_page_is_the_one_that_the_sweep_writes_beside_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path)
    page = run(capsys, "--from", str(tmp_path), "--format", "html")[1]
    rows = [ROWS[2], ROWS[0], ROWS[1], ROWS[3]]
    assert page == "".join(audit_page(lambda: rows, SUMMARY.head(f"{tmp_path}/sweeps/{ID}/results/")))
    assert "safe-image 0.0.9" in page


def test_what_the_sweep_did_not_check_is_said_and_makes_the_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinished = (UnfinishedBatch(1, URI, ("sha256:1",), "ecr:BatchGetImage was denied"),)
    write_sweep(
        tmp_path, replace(SUMMARY, unfinished=unfinished, bounds=SweepBounds(4, None, True, {URI: 9})), rows=(row(2),)
    )
    code, text, _ = run(capsys, "--from", str(tmp_path))
    assert code == 2
    assert text.endswith(
        "Not everything was checked:\n"
        f"  - {URI}: 1 image was not checked: ecr:BatchGetImage was denied\n"
        f"  - 9 images were left out of {URI}: the bound of a sweep is 4 images.\n"
    )
    assert "Not everything was checked" in run(capsys, "--from", str(tmp_path), "--format", "html")[1]
    assert len(json.loads(run(capsys, "--from", str(tmp_path), "--format", "json")[1])["sweep"]["incomplete"]) == 2


def test_results_that_are_gone_never_look_like_healthy_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep(tmp_path, replace(SUMMARY, counts={"passed": 2, "refused": 1, "unknown": 0}))
    assert run(capsys, "--from", str(tmp_path))[0] == 1
    (sweep / "results" / "000001.jsonl").unlink()
    code, text, _ = run(capsys, "--from", str(tmp_path))
    assert code == 2
    assert f"The summary has 2 passed, and {sweep}/results/ has 1." in text.replace("\n    ", " ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nothing\n", "line 1, is not JSON: copy the file again"),
        (json.dumps(row(1)), "line 1, is cut off: copy the file again"),
        (json.dumps(row(1)) + "\n" + json.dumps(row(2))[:90], "line 2, is cut off: copy the file again"),
        ("\x00\n", "is not JSON"),
        ("[" * 100_000 + "\n", "is not JSON"),
        ("{}\n", "is not a row of an audit: pass --from the folder of a sweep"),
        ("[]\n", "is not a row of an audit"),
        (json.dumps(row(1, "maybe")) + "\n", "its verdict is not valid"),
        (json.dumps(row(1, verdict=[])) + "\n", "its verdict is not valid"),
        (json.dumps(row(1, runs_on="fargate")) + "\n", "its runs_on is not valid"),
        (json.dumps(row(1, fault={})) + "\n", ""),
        (json.dumps(row(1, fault={"message": "x"})) + "\n", "its fault is not valid"),
        (json.dumps(row(1, findings=[1])) + "\n", "has a finding that is not one of an audit"),
        (json.dumps(row(1, runs_on=["moon"])) + "\n", "has the runtime 'moon', which this version does not know"),
    ],
)
def test_a_file_that_does_not_have_rows_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    sweep = write_sweep(tmp_path)
    (sweep / "results" / "000001.jsonl").write_text(content)
    if not said:
        assert run(capsys, "--from", str(tmp_path))[0] == 1
        return
    error = error_of(capsys, tmp_path)
    assert str(sweep / "results" / "000001.jsonl") in error
    assert said in error


def test_a_finding_of_a_newer_version_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = row(1, "fail")
    one["findings"][0]["id"] = "new-finding"
    write_sweep(tmp_path, rows=(one,))
    assert "has the finding 'new-finding', which this version does not know" in error_of(capsys, tmp_path)


def test_a_place_without_an_ended_sweep_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is not a folder" in error_of(capsys, tmp_path / "none")
    assert "There are no sweeps in" in error_of(capsys, tmp_path)
    assert "is neither in S3 nor a folder" in error_of(capsys, "https://x/y")
    assert "has no prefix" in error_of(capsys, "s3://bucket")
    assert "has no bucket" in error_of(capsys, "s3://")
    sweep = write_sweep(tmp_path, None, rows=(row(1),))
    assert "has no summary.json, and results of 1 of 2 batches: wait for its end" in error_of(capsys, sweep)
    assert "No sweep below" in error_of(capsys, tmp_path)
    (tmp_path / "sweeps" / "latest.json").write_text("{")
    assert "latest.json has no sweep's ID" in error_of(capsys, tmp_path)
    (tmp_path / "sweeps" / "latest.json").write_text('{"id": "../../etc"}')
    assert "latest.json has no sweep's ID" in error_of(capsys, tmp_path)
    (tmp_path / "sweeps" / "latest.json").write_text(json.dumps({"id": ID}))
    assert "has no summary.json" in error_of(capsys, tmp_path)
    (sweep / "summary.json").write_text("{}")
    assert "summary.json is not the summary of a sweep" in error_of(capsys, tmp_path)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["shop"], "the REPOSITORY"),
        (["--registry"], "--registry"),
        (["--in-use"], "--in-use"),
        (["--resume", "x"], "--resume"),
        (["--runs-on", "lambda"], "--runs-on"),
        (["--layers"], "--layers"),
        (["--acknowledge", "x=y"], "--acknowledge"),
    ],
)
def test_an_option_that_says_how_images_are_checked_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert f"leave out {said}" in error_of(capsys, tmp_path, *more)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        yield server


def test_a_sweep_in_s3_is_shown_as_one_in_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], aws: Aws
) -> None:
    write_sweep(tmp_path)
    for file in tmp_path.rglob("*.json*"):
        aws.objects[f"reports/Registry-Guard/{file.relative_to(tmp_path)}"] = file.read_bytes()
    of_folder = run(capsys, "--from", str(tmp_path))
    for where in ("", "/", f"/sweeps/{ID}", f"/sweeps/{ID}/"):
        assert run(capsys, "--from", f"s3://reports/Registry-Guard{where}")[:2] == of_folder[:2]
    error = error_of(capsys, f"s3://reports/Registry-Guard/sweeps/{OLDER}")
    assert f"There is no sweep in s3://reports/Registry-Guard/sweeps/{OLDER}/" in error
    assert "There are no sweeps in s3://reports/Other/sweeps/" in error_of(capsys, "s3://reports/Other")


def test_a_bucket_that_denies_is_named_with_the_call(capsys: pytest.CaptureFixture[str], aws: Aws) -> None:
    aws.answers["GetObject"] = aws.refusal("AccessDenied", "Access Denied", 403)
    error = error_of(capsys, "s3://reports/Registry-Guard")
    assert "s3:GetObject on arn:aws:s3:::reports/Registry-Guard/summary.json failed with AccessDenied" in error
