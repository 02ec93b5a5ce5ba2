"""The steps of a sweep, one by one against the local AWS: their calls, and their objects in the bucket."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from image_verifier import aws as aws_call
from image_verifier.audit.repository import Repository
from image_verifier.entrypoints import registry_sweep
from image_verifier.faults import Fault
from image_verifier.image.model import Platform
from image_verifier.in_use.image_keys import tag_key
from image_verifier.in_use.inventory import Entry, Inventory
from image_verifier.in_use.watch_settings import WatchSettings
from image_verifier.policy import Policy
from image_verifier.registry.settings import VARIABLE, RepositoryRule, Settings
from image_verifier.retry import RetryBudget
from image_verifier.running.image_use import Consumer, ConsumerKind, ImageUse
from image_verifier.sweep.bucket import SweepBucket
from image_verifier.sweep.settings import VARIABLE as SWEEP_VARIABLE
from image_verifier.sweep.settings import SweepSettings

from local_aws import ACCOUNT, REGION, LocalAws
from tests.deploy.images import Images
from tests.unit.images import GZIP
from tests.unit.json_reports import valid

GUARD = Settings(guard="Stack-Guard", partition="aws", url_suffix="amazonaws.com", bucket="reports")
_numbers = itertools.count(1)
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


@dataclass
class Context:
    """The context of a Lambda with enough time."""

    function: str
    log_group_name = log_stream_name = invoked_function_arn = ""

    def __post_init__(self) -> None:
        self.invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function}"

    def get_remaining_time_in_millis(self) -> int:
        return 300_000


@dataclass
class Steps:
    """The steps of the sweeps of one guard, whose settings may change in between."""

    aws: LocalAws
    monkeypatch: pytest.MonkeyPatch
    guard: Settings
    sweep: SweepSettings
    hour: int = 0

    def list_images(self, **given: str) -> dict[str, Any]:
        self.monkeypatch.setenv(VARIABLE, json.dumps(self.guard.as_json()))
        self.monkeypatch.setenv(SWEEP_VARIABLE, json.dumps(self.sweep.as_json()))
        self.hour += not given
        event = {"started": f"2026-11-28T{self.hour:02}:30:00.123Z", "input": given}
        return registry_sweep.list_images(event, Context("list"))

    def items(self, sweep: dict[str, Any]) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read(sweep["items"]).splitlines()]

    def verify(self, sweep: dict[str, Any], item: dict[str, Any]) -> None:
        registry_sweep.verify_batch({"sweep": sweep, "item": item}, Context("verify"))

    def sum_up(self, sweep: dict[str, Any]) -> dict[str, Any]:
        registry_sweep.sum_up({"sweep": sweep}, Context("sum-up"))
        found: dict[str, Any] = json.loads(self.read(f"{sweep['folder']}summary.json"))
        return found

    def run(self, **given: str) -> dict[str, Any]:
        """A whole sweep; its summary."""
        sweep = self.list_images(**given)
        for item in self.items(sweep):
            self.verify(sweep, item)
        return self.sum_up(sweep)

    def read(self, key: str) -> str:
        return str(self.aws.client("s3").get_object(Bucket=self.guard.bucket, Key=key)["Body"].read().decode())

    def rows(self, sweep: str) -> dict[str, dict[str, Any]]:
        """The rows of a sweep, by the image's name in the registry."""
        prefix = f"{self.guard.guard}/sweeps/{sweep}/results/"
        listed = self.aws.client("s3").list_objects_v2(Bucket=self.guard.bucket, Prefix=prefix)
        rows = [json.loads(line) for one in listed["Contents"] for line in self.read(one["Key"]).splitlines()]
        return {row["reference"].removeprefix(f"{HOST}/"): row for row in rows}


@pytest.fixture
def repositories(aws: LocalAws) -> Iterator[dict[str, Images]]:
    """Three repositories of this test, by their last letter; `a` has the AWS tag `team`."""
    client, found, number = aws.client("ecr"), {}, next(_numbers)
    for name in "abc":
        found[name] = Images(aws, f"sweep{number}/{name}")
        tags = [{"Key": "team", "Value": "shop"}] if name == "a" else []
        client.create_repository(repositoryName=found[name].name, tags=tags)
    yield found
    existing = {one["repositoryName"] for one in client.describe_repositories()["repositories"]}
    for images in found.values():
        if images.name in existing:
            images.delete_repository()


@pytest.fixture
def steps(aws: LocalAws, repositories: dict[str, Images], monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    """The steps in this process, with a bucket for this test; all repositories of the test are swept."""
    for name, value in aws.env().items():
        monkeypatch.setenv(name, value)
    aws_call.client.cache_clear()
    aws_call._own_session.cache_clear()
    bucket = repositories["a"].name.replace("/a", "-reports")
    aws.client("s3").create_bucket(Bucket=bucket)
    pattern = repositories["a"].name.replace("/a", "/*")
    yield Steps(aws, monkeypatch, replace(GUARD, bucket=bucket), SweepSettings(repositories=(pattern,)))
    aws_call.client.cache_clear()
    aws_call._own_session.cache_clear()


def test_every_image_is_judged_as_its_push_would_be(steps: Steps, repositories: dict[str, Images]) -> None:
    a, b, _ = repositories.values()
    rule = RepositoryRule(b.name, Policy(("fargate",), Platform.parse("linux/arm64")))
    steps.guard = replace(steps.guard, rules=(rule,))
    a.good("healthy")
    a.broken("broken")
    a.push("arm", lambda layout: layout.image(config={"architecture": "arm64"}))
    a.push("windows", lambda layout: layout.image(config={"os": "windows"}))
    b.good("amd")
    summary = steps.run()
    rows = steps.rows(summary["id"])
    assert {name.rpartition("/")[2]: row["verdict"] for name, row in rows.items()} == {
        "a:healthy": "pass",
        "a:broken": "fail",
        "a:arm": "pass",
        "a:windows": "skipped",
        "b:amd": "fail",
    }
    assert rows[f"{b.name}:amd"]["findings"][0]["id"] == "platform-mismatch"
    assert [finding["id"] for finding in rows[f"{a.name}:broken"]["findings"]] == ["not-an-image"]
    assert rows[f"{a.name}:windows"]["skipped"] == "it is for windows/amd64, and none of the runtimes has this platform"
    wanted = {"repositories": 3, "images": 4, "passed": 2, "refused": 2, "unknown": 0, "skipped": 1, "unfinished": 0}
    assert summary["counts"] == wanted
    assert (summary["new"]["count"], summary["gone"]["count"]) == (2, 0)


def test_what_goes_away_or_is_denied_meanwhile_is_named_and_the_rest_goes_on(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images]
) -> None:
    a, b, c = repositories.values()
    for images in (a, b, c):
        images.good("one")
    a.good("two")
    sweep = steps.list_images()
    a.delete("two")
    c.delete_repository()
    first, second, third = steps.items(sweep)
    steps.verify(sweep, first)
    aws.faults.deny("ecr:DescribeImages")
    aws_call.client.cache_clear()
    steps.monkeypatch.setattr("image_verifier.audit.batches.RETRY_SECONDS", 0.0)
    steps.verify(sweep, second)
    aws.faults.clear()
    steps.verify(sweep, third)
    counts = steps.sum_up(sweep)["counts"]
    assert [counts[name] for name in ("passed", "unknown", "skipped", "unfinished")] == [1, 2, 1, 0]
    rows = steps.rows(sweep["id"]).values()
    # Nothing can be wrong with an image that is gone, so it is no doubt that people are told of.
    assert [row["skipped"] for row in rows if row["skipped"]] == ["it was deleted after it was listed"]
    faults = [row["fault"]["message"] for row in rows if row["fault"]]
    assert any("AccessDeniedException" in fault for fault in faults)
    assert any("RepositoryNotFoundException" in fault for fault in faults)


def test_a_repository_that_cannot_be_listed_is_named(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images]
) -> None:
    a, b, _ = repositories.values()
    a.good("one")
    steps.monkeypatch.setattr("image_verifier.audit.batches.RETRY_SECONDS", 0.0)
    aws.faults.error("ecr:DescribeImages", "KmsException", times=1, about=b.name)
    summary = steps.run()
    rows = steps.rows(summary["id"])
    assert {name: row["verdict"] for name, row in rows.items()} == {f"{a.name}:one": "pass", b.name: "unknown"}
    assert rows[b.name]["digest"] is None
    assert summary["counts"]["repositories"] == 3


def test_a_batch_without_rows_is_named_with_its_error(steps: Steps, repositories: dict[str, Images]) -> None:
    for images in repositories.values():
        images.good("one")
    sweep = steps.list_images()
    first, second, _ = steps.items(sweep)
    steps.verify(sweep, first)
    cause = json.dumps({"errorMessage": "Task timed out after 900.00 seconds"})
    failure = {"Error": "Sandbox.Timedout", "Cause": cause}
    event = {"sweep": sweep, "item": second, "failure": failure}
    assert registry_sweep.sum_up(event, Context("sum-up")) == {"batch": second["batch"], "rows": None}
    summary = steps.sum_up(sweep)
    assert summary["counts"]["unfinished"] == 2
    assert [(one["repository"], one["error"]) for one in summary["unfinished"]] == [
        (repositories["b"].uri, "Sandbox.Timedout: Task timed out after 900.00 seconds"),
        (repositories["c"].uri, "it was not run, or its error was not recorded"),
    ]
    assert "Not everything was checked" in steps.read(f"{sweep['folder']}page.html")


def test_a_sweep_that_is_resumed_verifies_only_what_has_no_rows(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images]
) -> None:
    for images in repositories.values():
        images.good("one")
    sweep = steps.list_images()
    steps.verify(sweep, steps.items(sweep)[0])
    # An image that is pushed meanwhile belongs to the next sweep.
    repositories["a"].broken("later")
    aws.reset_calls()
    summary = steps.run(id=sweep["id"])
    assert (summary["counts"]["images"], summary["counts"]["passed"]) == (3, 3)
    assert Counter(call["name"] for call in aws.calls())["ecr:BatchGetImage"] == 2


def test_a_sweep_is_not_resumed_under_other_rules(steps: Steps, repositories: dict[str, Images]) -> None:
    sweep = steps.list_images()
    steps.guard = replace(steps.guard, rules=(RepositoryRule("*", Policy(("lambda",), Platform.parse("linux/amd64"))),))
    with pytest.raises(ValueError, match="the rules or the verifier have changed since the sweep"):
        steps.list_images(id=sweep["id"])


def test_an_id_that_is_not_a_sweeps_is_refused(steps: Steps) -> None:
    with pytest.raises(ValueError, match="use one such as 2026-11-28T13-30-00Z"):
        steps.list_images(id="../pushes")


def test_a_pass_is_reused_only_for_the_same_image_under_the_same_rules(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images]
) -> None:
    a = repositories["a"]
    digest = a.good("healthy")
    a.broken("broken")
    first = steps.run()
    a.good("new")
    aws.client("ecr").put_image(
        repositoryName=a.name,
        imageManifest=aws.client("ecr").batch_get_image(repositoryName=a.name, imageIds=[{"imageDigest": digest}])[
            "images"
        ][0]["imageManifest"],
        imageTag="also-healthy",
    )

    def read_again() -> int:
        """The number of images that the next sweep reads."""
        aws.reset_calls()
        steps.run()
        return Counter(call["name"] for call in aws.calls())["ecr:GetDownloadUrlForLayer"]

    # The attestation has a config, too; the healthy image is not read again.
    assert read_again() == 2
    second = steps.rows(f"2026-11-28T{steps.hour:02}-30-00Z")
    assert second[f"{a.name}:also-healthy"]["tags"] == ["also-healthy", "healthy"]
    assert read_again() == 1
    steps.guard = replace(
        steps.guard, rules=(RepositoryRule("*", Policy(("fargate",), Platform.parse("linux/amd64"))),)
    )
    assert read_again() == 3
    steps.sweep = replace(steps.sweep, everything=True)
    assert read_again() == 3
    assert first["new"]["count"] == 1


def test_an_image_with_the_tag_of_a_signature_beside_its_own_is_not_skipped(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images]
) -> None:
    a = repositories["a"]
    signature = f"sha256-{'0' * 64}"
    digest = a.broken(signature)

    def verdict() -> str:
        (row,) = steps.rows(steps.run()["id"]).values()
        assert row["digest"] == digest
        return str(row["verdict"])

    assert verdict() == "skipped"
    assert a.broken("web") == digest
    assert verdict() == "fail"


def test_the_summary_names_what_is_new_and_what_is_gone(steps: Steps, repositories: dict[str, Images]) -> None:
    a = repositories["a"]
    first = a.broken("one")

    def changes(summary: dict[str, Any]) -> list[list[tuple[str, str]]]:
        return [[(one["repository"], one["digest"]) for one in summary[name]["images"]] for name in ("new", "gone")]

    assert changes(steps.run()) == [[(a.uri, first)], []]
    a.delete("one")
    other = repositories["b"].broken("two")
    second = steps.run()
    assert changes(second) == [[(repositories["b"].uri, other)], [(a.uri, first)]]
    assert json.loads(steps.read(f"{steps.guard.guard}/sweeps/latest.json")) == {"id": second["id"]}


def refusals(summary: dict[str, Any]) -> dict[str, list[str]]:
    """The digests that a summary names as new and as gone."""
    return {name: [one["digest"] for one in summary[name]["images"]] for name in ("new", "gone")}


@dataclass(frozen=True)
class Doubt:
    """A sweep that leaves it open whether an image is still refused."""

    aws: LocalAws
    steps: Steps
    repository: str

    def a_batch_without_results(self) -> dict[str, Any]:
        return self.steps.sum_up(self.steps.list_images())

    def an_image_that_cannot_be_read(self) -> dict[str, Any]:
        sweep = self.steps.list_images()
        self.aws.faults.deny("ecr:BatchGetImage")
        aws_call.client.cache_clear()
        for item in self.steps.items(sweep):
            self.steps.verify(sweep, item)
        self.aws.faults.clear()
        return self.steps.sum_up(sweep)

    def a_repository_that_cannot_be_listed(self) -> dict[str, Any]:
        # Repositories are listed side by side: without its name, the error would meet whichever call is first.
        self.aws.faults.error("ecr:DescribeImages", "KmsException", times=1, about=self.repository)
        return self.steps.run()

    def a_bound(self) -> dict[str, Any]:
        self.steps.sweep = replace(self.steps.sweep, everything=True, max_images=1)
        summary = self.steps.run()
        self.steps.sweep = replace(self.steps.sweep, everything=False, max_images=100)
        return summary

    def a_repository_that_is_not_swept(self) -> dict[str, Any]:
        swept = self.steps.sweep
        self.steps.sweep = replace(swept, repositories=(f"{self.repository[:-1]}b",))
        summary = self.steps.run()
        self.steps.sweep = swept
        return summary

    def a_repository_without_the_tag(self) -> dict[str, Any]:
        swept = self.steps.sweep
        self.steps.sweep = replace(swept, tags={"team": "office"})
        summary = self.steps.run()
        self.steps.sweep = swept
        return summary


@pytest.mark.parametrize("doubt", [name for name in vars(Doubt) if name.startswith("a")])
def test_a_refused_image_that_a_sweep_could_not_verify_is_neither_gone_nor_new_afterwards(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images], doubt: str
) -> None:
    steps.monkeypatch.setattr("image_verifier.audit.batches.RETRY_SECONDS", 0.0)
    steps.monkeypatch.setattr("image_verifier.sweep.plan.RETRY_SECONDS", 0.0)
    a = repositories["a"]
    a.good("one")
    refused = a.broken("two")
    assert refusals(steps.run()) == {"new": [refused], "gone": []}
    for _ in range(2):
        summary = getattr(Doubt(aws, steps, a.name), doubt)()
        assert refusals(summary) == {"new": [], "gone": []}
        assert summary["counts"]["refused"] == 0
    (line,) = steps.read(f"{steps.guard.guard}/sweeps/{summary['id']}/refused.jsonl").splitlines()
    carried = json.loads(line)
    assert (carried["digest"], carried["carried"]) == (refused, True)
    after = steps.run()
    assert refusals(after) == {"new": [], "gone": []}
    assert after["counts"]["refused"] == 1
    a.delete("two")
    assert refusals(steps.run()) == {"new": [], "gone": [refused]}


@pytest.mark.parametrize("what", ["deleted", "untagged", "the whole repository"])
def test_a_refused_image_that_is_away_is_gone(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images], what: str
) -> None:
    a = repositories["a"]
    refused = a.broken("one")
    steps.run()
    if what == "the whole repository":
        a.delete_repository()
    elif what == "deleted":
        a.delete("one")
    else:
        a.good("one")
    assert refusals(steps.run()) == {"new": [], "gone": [refused]}
    assert refusals(steps.run()) == {"new": [], "gone": []}


def test_a_refused_image_that_passes_under_other_rules_is_gone(steps: Steps, repositories: dict[str, Images]) -> None:
    rule = RepositoryRule("*", Policy(("fargate",), Platform.parse("linux/amd64")))
    steps.guard = replace(steps.guard, rules=(rule,))
    refused = repositories["a"].push("arm", lambda layout: layout.image(config={"architecture": "arm64"}))
    assert refusals(steps.run())["new"] == [refused]
    steps.guard = replace(steps.guard, rules=())
    assert refusals(steps.run()) == {"new": [], "gone": [refused]}


def test_a_bound_leaves_out_images_that_the_next_sweep_takes(steps: Steps, repositories: dict[str, Images]) -> None:
    for tag in ("one", "two", "three"):
        repositories["a"].good(tag)
    steps.sweep = replace(steps.sweep, max_images=2)
    first = steps.run()
    left_out = {repositories["a"].name: 1}
    assert first["bounds"] == {"max_images": 2, "max_bytes": None, "is_met": True, "left_out": left_out}
    assert first["counts"]["images"] == 2
    second = steps.run()
    assert (second["counts"]["images"], second["bounds"]["is_met"]) == (3, False)


def test_with_layers_each_image_is_a_batch_and_a_layer_with_other_bytes_is_found(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images]
) -> None:
    a = repositories["a"]
    a.good("one")
    digest = a.push("two", lambda layout: layout.image(layer_types=(GZIP,) * 2))
    document = aws.client("ecr").batch_get_image(repositoryName=a.name, imageIds=[{"imageDigest": digest}])
    aws.faults.content(json.loads(document["images"][0]["imageManifest"])["layers"][1]["digest"], "corrupt")
    steps.sweep = replace(steps.sweep, verify_layers=True, max_bytes=1 << 30)
    sweep = steps.list_images()
    assert [len(item["digests"]) for item in steps.items(sweep)] == [1, 1]
    assert steps.run(id=sweep["id"])["depth"] == "layers"
    rows = steps.rows(sweep["id"])
    assert (rows[f"{a.name}:one"]["verdict"], rows[f"{a.name}:two"]["verdict"]) == ("pass", "fail")


def test_an_image_is_judged_by_what_uses_one_of_its_tags_and_not_by_an_earlier_verdict(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images]
) -> None:
    a = repositories["a"]
    digest = a.push("1.3", lambda layout: layout.image(config={"architecture": "arm64"}))
    manifest = aws.client("ecr").batch_get_image(repositoryName=a.name, imageIds=[{"imageDigest": digest}])
    aws.client("ecr").put_image(
        repositoryName=a.name, imageManifest=manifest["images"][0]["imageManifest"], imageTag="stable"
    )
    table = a.name.replace("/a", "-in-use")
    keys = ("image", "consumer")
    aws.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        KeySchema=[
            {"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=True)
        ],
    )
    steps.guard = replace(steps.guard, inventory=table)
    assert steps.run()["counts"]["refused"] == 0
    consumer = Consumer(ConsumerKind.SERVICE, "web", "prod")
    use = ImageUse(f"{a.uri}:stable", "", "ECS service prod/web", consumer, "fargate", "linux/amd64")
    watch = WatchSettings(steps.guard.guard, "aws", ACCOUNT, REGION, table)
    # What runs by the first tag is content with the image.
    content = replace(use, consumer=Consumer(ConsumerKind.SERVICE, "arm", "prod"), platform="linux/arm64")
    shop = Repository("aws", REGION, ACCOUNT, a.name)
    Inventory(watch, RetryBudget.of(10)).record(
        [Entry(tag_key(shop, "1.3"), content), Entry(tag_key(shop, "stable"), use)]
    )
    assert steps.run()["counts"]["refused"] == 1


def test_a_sweep_that_is_resumed_after_a_newer_one_does_not_become_the_latest(steps: Steps) -> None:
    old = steps.list_images()
    newer = steps.run()
    steps.sum_up(old)
    assert json.loads(steps.read(f"{steps.guard.guard}/sweeps/latest.json")) == {"id": newer["id"]}


def test_the_command_shows_the_rows_and_the_summary_of_a_sweep(
    aws: LocalAws, steps: Steps, repositories: dict[str, Images]
) -> None:
    repositories["a"].good("healthy")
    repositories["b"].broken("broken")
    summary = steps.run()
    place = f"s3://{steps.guard.bucket}/{steps.guard.guard}"
    command = [sys.executable, "-m", "safe_image", "audit", "--from", place, "--format", "json"]
    done = subprocess.run(command, env=aws.env(), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    report = valid(json.loads(done.stdout))
    assert {row["reference"].removeprefix(f"{HOST}/"): row for row in report["images"]} == steps.rows(summary["id"])
    assert report["repositories"] == summary["repositories"]


def test_a_long_list_is_written_and_read_in_parts_and_exists_only_once_it_is_complete(
    aws: LocalAws, steps: Steps
) -> None:
    bucket = SweepBucket(aws.client("s3"), steps.guard.bucket)
    lines = [{"number": number, "text": "x" * 1000} for number in range(20_000)]
    bucket.write_lines("long", lines)
    assert aws.client("s3").head_object(Bucket=bucket.name, Key="long")["ContentLength"] > 20_000_000
    assert list(bucket.lines("long")) == lines

    def broken() -> Iterator[Any]:
        yield from lines
        raise Fault("a page of the listing is missing")

    with pytest.raises(Fault, match="a page of the listing is missing"):
        bucket.write_lines("broken", broken())
    assert not bucket.exists("broken")
    bucket.write_lines("empty", [])
    assert list(bucket.lines("empty")) == []


def test_repositories_are_chosen_by_their_tags(steps: Steps, repositories: dict[str, Images]) -> None:
    for images in repositories.values():
        images.good("one")
    steps.sweep = replace(steps.sweep, tags={"team": "shop"})
    assert list(steps.rows(steps.run()["id"])) == [f"{repositories['a'].name}:one"]


def test_an_empty_registry_has_an_empty_summary(steps: Steps, tmp_path: Path) -> None:
    steps.sweep = replace(steps.sweep, repositories=("nowhere/*",))
    sweep = steps.list_images()
    assert sweep["batches"] == 0
    counts = steps.sum_up(sweep)["counts"]
    assert (counts["repositories"], counts["images"]) == (0, 0)
