"""`safe-image audit --from`: the results of a sweep, from a folder and from S3."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from itertools import cycle, product
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from image_verifier import __version__
from image_verifier.audit.audit_page import audit_page
from image_verifier.audit.json_shapes import strict_json
from image_verifier.audit.row import Row
from image_verifier.audit.sweep_summary import SweepBounds, SweepChange, SweepSummary, UnfinishedBatch
from image_verifier.outcome_json import policy_as_json

from safe_image.cli import main
from safe_image.commands.arguments import DEFAULT_POLICY
from tests.memory import most_memory
from tests.unit.aws_server import Aws, Refusal, serving_aws
from tests.unit.json_reports import valid
from tests.unit.pool_threads import assert_no_pool_is_running
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
COUNTS = {"pass": "passed", "fail": "refused", "unknown": "unknown"}
ROWS = (row(1, "fail"), row(2), row(3, in_use_by=["ECS service prod/web"]), row(4, "skipped", skipped="it is a chart"))


def write_sweep(folder: Path, summary: SweepSummary | None = SUMMARY, rows: tuple[Row, ...] = ROWS) -> Path:
    """Write a sweep as the Lambdas do; by default its summary counts the rows."""
    if summary and not summary.counts:
        verdicts = Counter(one["verdict"] for one in rows)
        counts = {"unfinished": 0, **{name: verdicts[verdict] for verdict, name in COUNTS.items()}}
        summary = replace(summary, counts=counts)
    sweep = folder / "sweeps" / (summary.id if summary else ID)
    (sweep / "results").mkdir(parents=True)
    (sweep / "items.jsonl").write_text('{"batch": 0}\n{"batch": 1}\n')
    (sweep / "plan.json").write_text('{"batches": 2}')
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
    summary = SweepSummary.parse((write_sweep(tmp_path) / "summary.json").read_bytes())
    page = run(capsys, "--from", str(tmp_path), "--format", "html")[1]
    rows = [ROWS[2], ROWS[0], ROWS[1], ROWS[3]]
    assert page == "".join(audit_page(lambda: rows, summary.head(f"{tmp_path}/sweeps/{ID}/results/")))
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
    sweep = write_sweep(tmp_path, replace(SUMMARY, counts={"passed": 2, "refused": 1, "unknown": 0, "unfinished": 0}))
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
        ("{}\n", "is not a row of an audit: its digest is missing or not valid: pass --from the folder of a sweep"),
        ("[]\n", "is not a row of an audit"),
        (json.dumps(row(1, "maybe")) + "\n", "its verdict is not valid"),
        (json.dumps(row(1, verdict=[])) + "\n", "its verdict is missing or not valid"),
        (json.dumps(row(1, runs_on="fargate")) + "\n", "its runs_on is missing or not valid"),
        (json.dumps(row(1, fault={})) + "\n", "its fault.advice is missing or not valid"),
        (json.dumps(row(1, fault={"message": "x"})) + "\n", "its fault.advice is missing or not valid"),
        (json.dumps(row(1, findings=[1])) + "\n", "its findings.0 is missing or not valid"),
        (json.dumps(row(1, runs_on=["moon"])) + "\n", "has the runtime 'moon', which this version does not know"),
    ],
)
def test_a_file_that_does_not_have_rows_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    sweep = write_sweep(tmp_path)
    (sweep / "results" / "000001.jsonl").write_text(content)
    error = error_of(capsys, tmp_path)
    assert str(sweep / "results" / "000001.jsonl") in error
    assert said in error


HTML = '"><script>alert(1)</script>'
HOSTILE: tuple[Any, ...] = (
    None,
    -1,
    float("nan"),
    float("inf"),
    "\ud800\x1b[31m\r\n",
    HTML,
    "a" * 10_000,
    [[]],
    {"x": HTML},
)
Path_ = tuple[str | int, ...]


def parts(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The path of each part of a JSON value; of a list, the first item counts."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, part in items:
        yield from parts(part, (*path, name))


def with_part(value: Any, path: Path_, part: Any) -> Any:
    """A JSON value with another part."""
    if not path:
        return part
    name, *rest = path
    changed = value.copy()
    changed[name] = with_part(value[name], tuple(rest), part)
    return changed


UNFINISHED = {"batch": 1, "repository": URI, "digests": ["sha256:1"], "error": "denied"}
WHOLE_SUMMARY = {
    **SUMMARY.as_json(),
    "repositories": [{"repository": URI}],
    "counts": {"passed": 1, "refused": 1, "unknown": 0, "unfinished": 0},
    "unfinished": [UNFINISHED],
    "bounds": {"max_images": 1, "max_bytes": 1, "is_met": True, "left_out": {URI: 1}},
    "gone": json.loads(json.dumps(SUMMARY.as_json()["new"])),
}
WHOLE_ROW = {**row(1, "fail"), "fault": {"message": "It was denied.", "advice": "Allow it."}}


@pytest.mark.parametrize(("file", "whole"), [("summary.json", WHOLE_SUMMARY), ("results/000001.jsonl", WHOLE_ROW)])
def test_a_hostile_part_of_a_file_is_shown_as_text_or_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, whole: dict[str, Any]
) -> None:
    sweep = write_sweep(tmp_path, rows=(row(1),))
    whole = json.loads(json.dumps(whole))
    # Each part gets some of the values, and each value is in several parts.
    cases = product(parts(whole), range(3))
    for (path, _), value, form in zip(cases, cycle(HOSTILE), cycle(["text", "json", "html", "text"]), strict=False):
        (sweep / file).write_text(json.dumps(with_part(whole, path, value)) + "\n")
        code, out, error = run(capsys, "--from", str(tmp_path), "--format", form)
        seen = f"{path} is {value!r} as {form}: {error}"
        assert code in (0, 1, 2), seen
        assert len(error) < 1000, seen
        assert "bug in safe-image" not in error, seen
        assert out or (code, error.count("\n")) == (2, 1), seen
        assert "<script>alert" not in out or form != "html", seen
        assert "\x1b" not in out, seen
        if form == "json" and out:
            strict_json(out)


@pytest.mark.parametrize("name", ["results/000001.jsonl", "summary.json"])
def test_a_file_that_is_larger_than_those_of_a_sweep_is_one_line_and_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    sweep = write_sweep(tmp_path)
    with (sweep / name).open("ab") as file:
        file.truncate(200 * 1024 * 1024)
    before = most_memory()
    assert "bytes. Use the files of a sweep." in error_of(capsys, tmp_path)
    assert most_memory() < before + 150 * 1024 * 1024


@pytest.mark.parametrize(
    "name", ["sweeps/latest.json", f"sweeps/{ID}/summary.json", f"sweeps/{ID}/results/000001.jsonl"]
)
def test_a_pipe_in_place_of_a_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    write_sweep(tmp_path)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    assert "is not a regular file" in error_of(capsys, tmp_path)


def test_a_sweep_of_many_images_that_has_not_ended_is_named_without_reading_its_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep(tmp_path, None, rows=(row(1),))
    with (sweep / "items.jsonl").open("ab") as file:
        file.truncate(300 * 1024 * 1024)
    assert "results of 1 of 2 batches" in error_of(capsys, sweep)
    for plan in ("{", "[]", '{"batches": "2"}', '{"batches": -1}'):
        (sweep / "plan.json").write_text(plan)
        assert "has no summary.json, and results of 1 batches" in error_of(capsys, sweep)


def test_a_finding_of_a_newer_version_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = row(1, "fail")
    one["findings"][0]["id"] = "new-finding"
    write_sweep(tmp_path, rows=(one,))
    assert "has the finding 'new-finding', which this version does not know" in error_of(capsys, tmp_path)


def test_a_place_without_an_ended_sweep_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is not a folder" in error_of(capsys, tmp_path / "none")
    assert "is not a folder" in error_of(capsys, tmp_path / ("x" * 5000))
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
    aws.objects[f"reports/Registry-Guard/sweeps/{ID}/results/000001.jsonl"] = bytes(16 * 1024 * 1024 + 1)
    assert "000001.jsonl has more than 16,777,216 bytes" in error_of(capsys, "s3://reports/Registry-Guard")


def test_a_fault_of_one_file_ends_the_reading_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], aws: Aws
) -> None:
    """Whose threads would retry for a minute, and Python waits for threads before it ends."""
    sweep = write_sweep(tmp_path)
    for file in sweep.rglob("*.json*"):
        aws.objects[f"reports/Registry-Guard/{file.relative_to(sweep)}"] = file.read_bytes()
    retried = Event()

    def first_denied_and_others_unavailable(path: str) -> Refusal | None:
        if not path.endswith(".jsonl"):
            return None
        if path.endswith("000000.jsonl"):
            # Only when another has failed.
            assert retried.wait(30)
            return Refusal("InvalidObjectState", "The object is archived.", 403)
        retried.set()
        return Refusal("SlowDown", "Reduce your request rate.", 503)

    aws.answers["GetObject"] = first_denied_and_others_unavailable
    assert "failed with InvalidObjectState: The object is archived." in error_of(capsys, "s3://reports/Registry-Guard")
    of_aws = len(aws.calls)
    assert_no_pool_is_running()
    assert len(aws.calls) <= of_aws + len(ROWS)


def test_a_bucket_that_denies_is_named_with_the_call(capsys: pytest.CaptureFixture[str], aws: Aws) -> None:
    aws.answers["GetObject"] = aws.refusal("AccessDenied", "Access Denied", 403)
    error = error_of(capsys, "s3://reports/Registry-Guard")
    assert "s3:GetObject on arn:aws:s3:::reports/Registry-Guard/summary.json failed with AccessDenied" in error
