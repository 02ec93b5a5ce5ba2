"""Sweeps over a registry, deployed by the real CDK CLI: a Lambda dies, a repository is deleted, nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws
from tests.deploy.burst import end_lambdas
from tests.deploy.conftest import NewJourney
from tests.deploy.images import Images
from tests.deploy.sweeps import Sweeps
from tests.deploy.test_registry_guard import messages
from tests.unit.json_reports import valid

# A call takes longer than the Lambda may run, and less than the client waits for an answer.
DEADLY = 14
# The first attempt at a batch, and its retries.
_ATTEMPTS = 5


@pytest.fixture(scope="module")
def swept(aws: LocalAws, new_journey: NewJourney) -> tuple[Sweeps, dict[str, Images], str]:
    """The deployed guard, three repositories by their last letter, and the URL of the inbox."""
    repositories = {name: Images(aws, f"swept/{name}") for name in "abc"}
    for images in repositories.values():
        aws.client("ecr").create_repository(repositoryName=images.name)
    repositories["a"].good("healthy")
    repositories["a"].broken("broken")
    repositories["b"].push("arm", lambda layout: layout.image(config={"architecture": "arm64"}))
    repositories["b"].good("wrong-platform")
    repositories["c"].good("deleted-meanwhile")
    journey = new_journey("registry_sweep")
    outputs = journey.deploy(repository="swept/b", repositories="swept/*").outputs
    sweeps = Sweeps(aws, outputs["StateMachine"], outputs["Bucket"], f"{journey.stack}-Guard/sweeps/")
    return sweeps, repositories, outputs["InboxUrl"]


def verdicts(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["reference"].rpartition("/")[2].partition("@")[0]: row["verdict"] for row in rows}


def test_a_lambda_that_dies_is_called_again_and_a_repository_that_is_deleted_meanwhile_is_named(
    aws: LocalAws, swept: tuple[Sweeps, dict[str, Images], str]
) -> None:
    sweeps, repositories, inbox = swept
    aws.faults.latency("ecr:BatchGetImage", DEADLY, times=1)
    execution = sweeps.start()
    sweeps.meanwhile(execution, lambda: any(key.endswith("plan.json") for key in sweeps.keys("")))
    # One batch after the other: the first one is in the Lambda that dies.
    repositories["c"].delete_repository()
    output = sweeps.ended(execution)
    counts = {"repositories": 3, "images": 5, "passed": 2, "refused": 2, "unknown": 1, "skipped": 0}
    assert output == {"id": output["id"], **counts, "unfinished": 0, "new": 2, "gone": 0}
    assert json.loads(sweeps.read("latest.json")) == {"id": output["id"]}
    rows = sweeps.rows(output["id"])
    assert verdicts(rows) == {
        "a:healthy": "pass",
        "a:broken": "fail",
        "b:arm": "pass",
        "b:wrong-platform": "fail",
        "c": "unknown",
    }
    (unknown,) = (row for row in rows if row["verdict"] == "unknown")
    assert "RepositoryNotFoundException" in unknown["fault"]["message"]
    summary = json.loads(sweeps.read(f"{output['id']}/summary.json"))
    assert summary["counts"] == {**counts, "unfinished": 0}
    assert "2 of 5 images are refused" in sweeps.read(f"{output['id']}/page.html")
    (text,) = messages(aws, inbox, 1)
    assert text.splitlines()[0] == f"Sweep {output['id']}: 2 images newly refused."
    assert "swept/a:broken: The tag points at a build attestation" in text


def test_audit_shows_the_sweep_as_its_own_page_does(
    aws: LocalAws, swept: tuple[Sweeps, dict[str, Images], str]
) -> None:
    sweeps, _, _ = swept
    identifier = json.loads(sweeps.read("latest.json"))["id"]
    place = f"s3://{sweeps.bucket}/{sweeps.folder.removesuffix('/sweeps/')}"

    def audit(*options: str) -> str:
        command = [str(Path(sys.executable).with_name("safe-image")), "audit", "--quiet", "--from", place, *options]
        done = subprocess.run(command, env=aws.env(), capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (2, ""), "one result is unknown"
        return done.stdout

    assert audit("--format", "html") == sweeps.read(f"{identifier}/page.html")
    report = valid(json.loads(audit("--format", "json")))
    assert report["images"] == sweeps.rows(identifier)
    assert report["sweep"]["new"]["count"] == 2
    assert audit().endswith("\n5 images: 2 passed, 2 refused, 1 unknown\n")


def test_a_sweep_that_is_started_again_keeps_what_is_written(
    aws: LocalAws, swept: tuple[Sweeps, dict[str, Images], str]
) -> None:
    sweeps, _, _ = swept
    identifier = json.loads(sweeps.read("latest.json"))["id"]
    before = sweeps.read(f"{identifier}/results/000001.jsonl")
    aws.reset_calls()
    assert sweeps.ended(sweeps.start(id=identifier))["images"] == 5
    assert sweeps.read(f"{identifier}/results/000001.jsonl") == before
    assert not [call for call in aws.calls() if call["name"].startswith("ecr:")]


def test_the_next_sweep_verifies_what_changed_and_names_what_is_new_and_gone(
    aws: LocalAws, swept: tuple[Sweeps, dict[str, Images], str]
) -> None:
    sweeps, repositories, inbox = swept
    first = json.loads(sweeps.read("latest.json"))["id"]
    repositories["a"].delete("broken")
    new = repositories["a"].broken("also-broken")
    assert new
    # The guard verifies this push, too; its calls must have ended before the sweep's are counted.
    assert messages(aws, inbox, 1, about="also-broken")
    aws.reset_calls()
    output = sweeps.ended(sweeps.start())
    assert output["id"] > first
    summary = json.loads(sweeps.read(f"{output['id']}/summary.json"))
    assert (summary["counts"]["images"], summary["counts"]["passed"]) == (4, 2)
    assert verdicts(sweeps.rows(output["id"]))["a:also-broken"] == "fail"
    # The two healthy images passed before; two are read again, each in a batch of its repository.
    assert Counter(call["name"] for call in aws.calls())["ecr:GetDownloadUrlForLayer"] <= 2


@pytest.mark.exhaustive
def test_a_batch_that_fails_in_every_attempt_is_recorded_and_named_and_the_others_go_on(
    aws: LocalAws, swept: tuple[Sweeps, dict[str, Images], str]
) -> None:
    sweeps, repositories, inbox = swept
    aws.faults.latency("ecr:BatchGetImage", DEADLY, times=1)
    execution = sweeps.start()
    sweeps.meanwhile(execution, lambda: any(key.endswith("plan.json") for key in sweeps.keys("")))
    # The attempts of one batch follow each other. The first one dies, and no other one can write its rows.
    aws.faults.error("s3:PUT", "InvalidRequest", times=_ATTEMPTS - 1)
    output = sweeps.ended(execution)
    assert (output["unfinished"], output["images"]) == (1, 3)
    summary = json.loads(sweeps.read(f"{output['id']}/summary.json"))
    (unfinished,) = summary["unfinished"]
    assert unfinished["repository"] == repositories["a"].uri
    assert "s3:PutObject" in unfinished["error"]
    (text,) = messages(aws, inbox, 1)
    assert "2 images were not checked" in text
    # What is unfinished is not lost: the same sweep, resumed, verifies it.
    assert sweeps.ended(sweeps.start(id=output["id"]))["unfinished"] == 0


@pytest.mark.exhaustive
def test_a_lambda_that_is_killed_for_lack_of_memory_is_called_again(
    aws: LocalAws, swept: tuple[Sweeps, dict[str, Images], str]
) -> None:
    sweeps, _, _ = swept
    aws.reset_calls()
    # Shorter than the Lambda's timeout, and long enough to kill it meanwhile.
    aws.faults.latency("ecr:BatchGetImage", DEADLY / 2, times=1)
    execution = sweeps.start()
    assert end_lambdas(aws, "REGISTRY_SWEEP") > 0
    output = sweeps.ended(execution)
    assert (output["unknown"], output["unfinished"]) == (0, 0)
    rows = sweeps.rows(output["id"])
    assert len({row["reference"] for row in rows}) == len(rows) == output["images"]


@pytest.mark.exhaustive
def test_the_schedule_starts_a_sweep(aws: LocalAws, swept: tuple[Sweeps, dict[str, Images], str]) -> None:
    sweeps, _, _ = swept
    events, before = aws.client("events"), sweeps.executions()
    (rule,) = events.list_rule_names_by_target(TargetArn=sweeps.machine)["RuleNames"]
    yearly = events.describe_rule(Name=rule)["ScheduleExpression"]
    events.put_rule(Name=rule, ScheduleExpression="rate(1 minute)")
    try:
        (execution,) = sweeps.started_after(before)
    finally:
        events.put_rule(Name=rule, ScheduleExpression=yearly)
    output = sweeps.ended(execution)
    assert output["unfinished"] == 0
    assert json.loads(sweeps.read("latest.json")) == {"id": output["id"]}
