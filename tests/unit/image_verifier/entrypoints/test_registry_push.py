"""Pushes to ECR: a broken image is announced once, a healthy one raises no alarm, and a doubt is never silent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from image_verifier import retry
from image_verifier.audit.repository import Repository
from image_verifier.entrypoints.registry_push import handler
from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.in_use.image_keys import tag_key
from image_verifier.in_use.inventory import Entry, Inventory
from image_verifier.in_use.watch_settings import WatchSettings
from image_verifier.policy import Policy
from image_verifier.registry.settings import VARIABLE, OnRefused, RepositoryRule, Settings
from image_verifier.retry import RetryBudget
from image_verifier.running.image_use import Consumer, ConsumerKind, ImageUse

from tests.faults.clock import Clock
from tests.unit.aws_server import ACCOUNT, REGION, Aws, serving_aws
from tests.unit.dynamo_table import DynamoTable
from tests.unit.ecr_repository import EcrRepository, repository

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
BUCKET = "reports"
AMD64 = Platform.parse("linux/amd64")


@dataclass
class Context:
    milliseconds: int = 60_000
    log_group_name: str = "/aws/lambda/Guard"
    log_stream_name: str = "2026/11/22/[1]abc"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


_SETTINGS = Settings("Guard", "aws", "amazonaws.com", BUCKET, topic=TOPIC)


@dataclass
class Guard:
    """The handler, with a repository that it guards."""

    aws: Aws
    shop: EcrRepository
    monkeypatch: pytest.MonkeyPatch
    settings: Settings = _SETTINGS

    def event(self, tag: str, digest: str = "", **detail: str) -> dict[str, Any]:
        """The event that ECR sends for a tag."""
        pushed = {
            "result": "SUCCESS",
            "repository-name": "shop",
            "image-digest": digest or self.shop.tags[tag],
            "action-type": "PUSH",
            "image-tag": tag,
        }
        return {
            "version": "0",
            "id": "13cde686-328b-6117-af20-0e5566167482",
            "detail-type": "ECR Image Action",
            "source": "aws.ecr",
            "account": ACCOUNT,
            "time": "2026-11-16T01:54:34Z",
            "region": REGION,
            "resources": [],
            "detail": {**pushed, **detail},
        }

    def handle(self, *events: Any, milliseconds: int = 60_000, first: int = 0) -> list[str]:
        """Deliver a batch, and return the messages that are to be delivered again."""
        self.monkeypatch.setenv(VARIABLE, json.dumps(self.settings.as_json()))
        bodies = [event if isinstance(event, str) else json.dumps(event) for event in events]
        records = [{"messageId": str(number), "body": body} for number, body in enumerate(bodies, first)]
        answer = handler({"Records": records}, Context(milliseconds))
        return [item["itemIdentifier"] for item in answer["batchItemFailures"]]

    def push(self, tag: str, descriptor: Any) -> list[str]:
        """Push an image, and deliver its event."""
        self.shop.push(descriptor, tag)
        return self.handle(self.event(tag))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The details of the events on the bus."""
        sent = [call["Entries"] for action, call in self.aws.calls if action == "PutEvents"]
        return [json.loads(entry["Detail"]) for entries in sent for entry in entries]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages on the topic."""
        return [call for action, call in self.aws.calls if action == "Publish"]

    @property
    def reports(self) -> dict[str, Any]:
        """The reports in the bucket."""
        return {name: json.loads(body) for name, body in self.aws.objects.items()}


@pytest.fixture
def guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    with serving_aws() as aws:
        aws.use(monkeypatch)
        aws.answers["PutEvents"] = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
        aws.answers["Publish"] = {"MessageId": "1"}
        yield Guard(aws, repository(aws, tmp_path / "shop"), monkeypatch)


def metrics_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"_aws"')]


def test_a_tag_on_an_attestation_is_announced_by_event_message_metric_and_report(
    guard: Guard, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guard.push("1.3", guard.shop.layout.attestation()) == []
    (event,) = guard.events
    digest = guard.shop.tags["1.3"]
    assert (event["repository"], event["tag"], event["digest"]) == ("shop", "1.3", digest)
    assert event["judged_by"] == "all runtimes"
    assert [finding["id"] for finding in event["findings"]] == ["not-an-image"]
    (message,) = guard.messages
    assert message["Subject"] == "Image refused: shop:1.3"
    assert "points at a build attestation" in message["Message"]
    ((name, report),) = guard.reports.items()
    assert event["report"] == f"s3://{name}"
    assert (report["schema_version"], report["image"]["verdict"], report["image"]["digest"]) == (1, "fail", digest)
    (metric,) = metrics_of(capsys.readouterr().out)
    assert (metric["Stack"], metric["Refused"], metric["Verified"]) == ("Guard", 1, 0)


def test_the_same_push_reported_twice_is_announced_and_counted_once(
    guard: Guard, capsys: pytest.CaptureFixture[str]
) -> None:
    guard.push("1.3", guard.shop.layout.attestation())
    assert guard.handle(guard.event("1.3"), guard.event("1.3")) == []
    assert (len(guard.events), len(guard.messages), len(guard.reports)) == (1, 1, 1)
    assert sum(metric["Refused"] for metric in metrics_of(capsys.readouterr().out)) == 1


def test_a_tag_that_is_moved_back_to_a_refused_image_is_announced_again(guard: Guard) -> None:
    guard.push("1.3", guard.shop.layout.attestation())
    later = {**guard.event("1.3"), "time": "2126-11-16T01:54:34Z"}
    assert guard.handle(later, first=7) == []
    assert (len(guard.events), len(guard.messages), len(guard.reports)) == (2, 2, 1)
    ((_, report),) = guard.reports.items()
    assert (report["message"], report["announced"]) == ("7", True)


def test_two_lambdas_at_the_same_time_announce_a_push_once(guard: Guard) -> None:
    guard.shop.push(guard.shop.layout.attestation(), "1.3")
    meanwhile: list[list[str]] = []

    def put_events(_: Any) -> dict[str, Any]:
        # The other Lambda gets another message about the same push before this one has announced it.
        if not meanwhile:
            meanwhile.append([])
            meanwhile[0] = guard.handle(guard.event("1.3"), first=7)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}

    guard.aws.answers["PutEvents"] = put_events
    assert guard.handle(guard.event("1.3")) == []
    assert meanwhile == [[]]
    assert (len(guard.events), len(guard.messages), len(guard.reports)) == (1, 1, 1)


def test_a_message_whose_lambda_ended_before_the_announcement_announces_it_when_it_comes_back(guard: Guard) -> None:
    accepted = guard.aws.answers["PutEvents"]
    guard.aws.answers["PutEvents"] = guard.aws.refusal("AccessDeniedException", "denied")
    assert guard.push("1.3", guard.shop.layout.attestation()) == ["0"]
    guard.aws.calls.clear()
    guard.aws.answers["PutEvents"] = accepted
    assert guard.handle(guard.event("1.3")) == ["0"], "the first Lambda may still be at work"
    ((name, report),) = guard.reports.items()
    guard.aws.objects[name] = json.dumps({**report, "claimed_until": 0}).encode()
    assert guard.handle(guard.event("1.3"), guard.event("1.3")) == []
    assert (len(guard.events), len(guard.messages), len(guard.reports)) == (1, 1, 1)
    assert next(iter(guard.reports.values()))["announced"] is True


@pytest.mark.parametrize("platform", ["amd64", "arm64"])
def test_a_healthy_image_of_a_known_platform_raises_no_alarm(guard: Guard, platform: str) -> None:
    assert guard.push("1.3", guard.shop.layout.image(config={"architecture": platform})) == []
    assert (guard.events, guard.messages, guard.reports) == ([], [], {})


def test_an_image_without_a_command_which_a_task_definition_may_set_raises_no_alarm(guard: Guard) -> None:
    assert guard.push("1.3", guard.shop.layout.image(config={"config": {}})) == []
    assert guard.events == []


def test_a_windows_image_raises_no_alarm(guard: Guard) -> None:
    assert guard.push("1.3", guard.shop.layout.image(config={"os": "windows"})) == []
    assert guard.events == []


def test_a_chart_raises_no_alarm(guard: Guard) -> None:
    chart = guard.shop.layout.image(
        layer_types=("application/vnd.cncf.helm.chart.content.v1.tar+gzip",),
        manifest={
            "config": guard.shop.layout.descriptor("application/vnd.cncf.helm.config.v1+json", b'{"name": "shop"}')
        },
    )
    assert guard.push("1.3", chart) == []
    assert guard.events == []


def test_a_build_cache_raises_no_alarm_even_where_a_rule_says_that_images_run_on_fargate(guard: Guard) -> None:
    guard.settings = with_rule(guard.settings, "*", Policy(("fargate",), AMD64))
    config = guard.shop.layout.descriptor("application/vnd.buildkit.cacheconfig.v0", b"{}")
    assert guard.push("cache", guard.shop.layout.image(manifest={"config": config})) == []
    assert guard.events == []


def test_a_signature_raises_no_alarm_even_where_a_rule_says_that_images_run_on_fargate(guard: Guard) -> None:
    guard.settings = with_rule(guard.settings, "*", Policy(("fargate",), AMD64))
    image = guard.shop.layout.image()
    tag = f"{image['digest'].replace(':', '-')}.sig"
    assert guard.push(tag, guard.shop.layout.attestation()) == []
    assert guard.events == []


def test_the_first_rule_whose_pattern_matches_judges_the_image(guard: Guard) -> None:
    guard.settings = with_rule(guard.settings, "sh*", Policy(("fargate",), Platform.parse("linux/arm64")))
    guard.settings = with_rule(guard.settings, "*", Policy(("fargate",), AMD64))
    guard.push("1.3", guard.shop.layout.image())
    (event,) = guard.events
    assert event["judged_by"] == "the rule for sh*"
    assert [finding["id"] for finding in event["findings"]] == ["platform-mismatch"]


ARM = {"architecture": "arm64"}


def used(guard: Guard, runtime: str, platform: str, tag: str = "stable", *, name: str = "web") -> None:
    """Let a consumer use a tag of the repository."""
    if not guard.settings.inventory:
        guard.settings = replace(guard.settings, inventory="InUse")
        DynamoTable(guard.aws)
    consumer = Consumer(ConsumerKind.SERVICE, name, "prod")
    use = ImageUse(
        f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop:{tag}",
        "",
        f"ECS service prod/{name}",
        consumer,
        runtime,
        platform,
    )
    shop = Repository("aws", REGION, ACCOUNT, "shop")
    watch = WatchSettings("Guard", "aws", ACCOUNT, REGION, "InUse")
    keys = (shop.arn, tag_key(shop, tag))
    Inventory(watch, RetryBudget.of(10)).record([Entry(key, use) for key in keys])


def test_a_repository_that_a_fargate_service_uses_gets_the_rules_of_fargate(guard: Guard) -> None:
    used(guard, "fargate", "linux/amd64")
    guard.push("1.3", guard.shop.layout.image(config=ARM))
    (event,) = guard.events
    assert event["judged_by"] == "what uses it: ECS service prod/web, by the repository"
    assert (event["runs_on"], event["platform"]) == (["fargate"], "linux/amd64")
    assert [finding["id"] for finding in event["findings"]] == ["platform-mismatch"]


def test_a_repository_of_several_consumers_takes_what_one_of_them_runs_and_a_tag_what_all_of_them_run(
    guard: Guard,
) -> None:
    used(guard, "fargate", "linux/amd64")
    used(guard, "lambda", "linux/arm64", name="api")
    guard.push("1.3", guard.shop.layout.image(config=ARM))
    assert guard.events == []
    guard.push("stable", guard.shop.layout.image(config=ARM))
    assert [event["judged_by"] for event in guard.events] == [
        "what uses it: ECS service prod/api and 1 more, by the tag"
    ]


def test_a_consumer_whose_platform_is_not_known_takes_an_image_for_any(guard: Guard) -> None:
    used(guard, "ecs-ec2", "", "stable")
    for config in ({}, ARM):
        guard.push("stable", guard.shop.layout.image(config=config))
    assert guard.events == []
    guard.push("stable", guard.shop.layout.attestation())
    assert len(guard.events) == 1


def test_a_rule_counts_before_what_uses_the_image(guard: Guard) -> None:
    used(guard, "fargate", "linux/amd64", "1.3")
    guard.settings = with_rule(guard.settings, "*", Policy(("fargate",), Platform.parse("linux/arm64")))
    guard.push("1.3", guard.shop.layout.image(config=ARM))
    assert guard.events == []


def test_an_inventory_that_cannot_be_read_is_never_taken_for_an_image_that_nothing_uses(guard: Guard) -> None:
    used(guard, "fargate", "linux/amd64")
    guard.aws.answers["Query"] = Aws.refusal("AccessDeniedException", "no")
    assert guard.push("1.3", guard.shop.layout.image()) == ["0"]


def test_an_index_is_judged_once_and_not_its_manifests(guard: Guard) -> None:
    image, attestation = guard.shop.layout.image(), guard.shop.layout.attestation()
    digests = [guard.shop.push(one) for one in (image, attestation)]
    index = guard.shop.layout.index({**image, "platform": {"os": "linux", "architecture": "amd64"}})
    guard.shop.push({**index, "mediaType": "application/vnd.oci.image.index.v1+json"}, "1.3")
    children = [guard.event("", digest) for digest in digests]
    for child in children:
        del child["detail"]["image-tag"]
    guard.aws.calls.clear()
    assert guard.handle(*children) == []
    assert guard.aws.calls == []
    assert guard.handle(guard.event("1.3")) == []
    assert guard.events == []


def push_index(guard: Guard, manifests: int, *, held: int) -> None:
    """Push an index under the tag `index`; the repository holds its first manifests, and lacks the others."""
    platform = {"os": "linux", "architecture": "amd64"}
    children: list[dict[str, Any]] = []
    for number in range(manifests):
        if number < held:
            child = guard.shop.layout.image(config={"author": str(number)})
            guard.shop.push(child)
        else:
            child = {**children[0], "digest": f"sha256:{number:064x}"}
        children.append({**child, "platform": {**platform, "variant": f"v{number}"} if number else platform})
    guard.shop.push({**guard.shop.layout.index(*children), "mediaType": media_types.OCI_INDEX}, "index")


def test_an_index_of_a_thousand_manifests_is_judged_with_one_call_for_each(guard: Guard) -> None:
    push_index(guard, 1000, held=1000)
    assert guard.handle(guard.event("index")) == []
    assert guard.events == []
    calls = Counter(action for action, _ in guard.aws.calls)
    # Fargate fetches all of them; the first call is about the index.
    assert calls["BatchGetImage"] <= 1002
    assert calls.total() <= 1010


def test_an_index_that_lacks_hundreds_of_manifests_is_one_message_that_can_be_read(guard: Guard) -> None:
    push_index(guard, 1000, held=1)
    guard.settings = with_rule(guard.settings, "*", Policy(("fargate",), AMD64))
    assert guard.handle(guard.event("index")) == []
    (message,) = guard.messages
    assert len(message["Message"]) < 20_000
    for text in ("The repository does not hold the manifest", "To fix it:", "And 979 more errors.", "Full report:"):
        assert text in message["Message"]
    (report,) = guard.reports.values()
    assert len([one for one in report["image"]["findings"] if one["id"] == "index-incomplete"]) == 999


def test_an_image_of_five_gigabytes_is_judged_without_a_byte_of_its_layers(
    guard: Guard, capsys: pytest.CaptureFixture[str]
) -> None:
    guard.settings = with_rule(guard.settings, "*", Policy(("fargate",), AMD64, max_size=10 << 30))
    guard.push("large", guard.shop.layout.image(layers={"size": 5 << 30}))
    assert guard.events == []
    (metric,) = metrics_of(capsys.readouterr().out)
    assert metric["SizeInBytes"] >= 5 << 30
    assert Counter(action for action, _ in guard.aws.calls)["GetDownloadUrlForLayer"] == 1, "the config's"
    guard.settings = replace(guard.settings, rules=())
    guard.settings = with_rule(guard.settings, "*", Policy(("fargate",), AMD64, max_size=1 << 30))
    assert guard.handle(guard.event("large")) == []
    assert [finding["id"] for finding in guard.events[0]["findings"]] == ["image-too-large"]


def test_an_event_of_the_guards_own_tag_calls_nothing(guard: Guard) -> None:
    guard.settings = with_on_refused(guard.settings, OnRefused.TAG)
    guard.push("1.3", guard.shop.layout.attestation())
    digest = guard.shop.tags["1.3"]
    own = f"cdk-safe-image-rejected-{digest[7:19]}"
    assert guard.shop.tags[own] == digest
    assert next(iter(guard.reports.values()))["marking"] == f"The image was also tagged {own}."
    guard.aws.calls.clear()
    assert guard.handle(guard.event(own)) == []
    assert guard.aws.calls == []


def test_untag_removes_the_tag_of_an_image_that_no_runtime_can_pull(guard: Guard) -> None:
    guard.settings = with_on_refused(guard.settings, OnRefused.UNTAG)
    guard.push("1.3", guard.shop.layout.attestation())
    assert "1.3" not in guard.shop.tags
    assert len(guard.events) == 1


def test_untag_keeps_the_tag_of_an_image_that_some_runtime_can_pull(guard: Guard) -> None:
    guard.settings = with_on_refused(guard.settings, OnRefused.UNTAG)
    guard.settings = with_rule(guard.settings, "*", Policy(("fargate",), Platform.parse("linux/arm64")))
    guard.push("1.3", guard.shop.layout.image())
    assert len(guard.events) == 1
    assert "1.3" in guard.shop.tags
    assert guard.shop.deleted == []


def test_a_push_whose_image_was_deleted_is_no_alarm(guard: Guard) -> None:
    image = guard.shop.layout.image()
    assert guard.handle(guard.event("1.3", image["digest"])) == []
    assert guard.events == []


def test_a_doubt_is_delivered_again_and_counted_and_does_not_stop_the_others(
    guard: Guard, capsys: pytest.CaptureFixture[str]
) -> None:
    guard.shop.push(guard.shop.layout.attestation(), "bad")
    healthy = guard.aws.answers["BatchGetImage"]
    guard.aws.answers["BatchGetImage"] = lambda asked: (
        guard.aws.refusal("KmsException", "denied") if "doubt" in str(asked) else healthy(asked)
    )
    assert guard.handle(guard.event("doubt", "sha256:" + "0" * 64), guard.event("bad")) == ["0"]
    assert len(guard.events) == 1
    assert [metric["Unverified"] for metric in metrics_of(capsys.readouterr().out)] == [1, 0]


def test_a_refusal_that_eventbridge_does_not_accept_is_delivered_again(guard: Guard) -> None:
    guard.aws.answers["PutEvents"] = {
        "FailedEntryCount": 1,
        "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "no"}],
    }
    assert guard.push("1.3", guard.shop.layout.attestation()) == ["0"]
    assert [report["announced"] for report in guard.reports.values()] == [False]


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "{}",
        '{"source": "aws.ecr", "detail-type": "ECR Image Action"}',
        '{"source": "aws.ecr", "detail-type": "ECR Image Action", "detail": '
        '{"action-type": "PUSH", "result": "SUCCESS", "image-tag": "1"}}',
    ],
)
def test_a_message_that_is_no_event_of_ecr_goes_to_the_dead_letter_queue(guard: Guard, body: str) -> None:
    assert guard.handle(body) == ["0"]


def test_events_that_are_no_successful_push_are_dropped(guard: Guard) -> None:
    guard.shop.push(guard.shop.layout.attestation(), "1.3")
    deleted = guard.event("1.3", **{"action-type": "DELETE"})
    failed = guard.event("1.3", result="FAILURE")
    assert guard.handle(deleted, failed) == []
    assert guard.aws.calls == []


def test_what_does_not_fit_into_the_time_is_delivered_again(guard: Guard) -> None:
    guard.shop.push(guard.shop.layout.attestation(), "1.3")
    assert guard.handle(guard.event("1.3"), milliseconds=9_000) == ["0"]
    assert guard.aws.calls == []


def test_an_image_that_takes_all_its_time_leaves_the_others_of_the_batch_theirs(guard: Guard) -> None:
    clock = Clock()
    guard.monkeypatch.setattr(retry, "time", clock)
    guard.monkeypatch.setattr(retry, "_pause", clock.pause)
    digest = guard.shop.push(guard.shop.layout.attestation(), "1.3")
    began, answer = clock.monotonic(), guard.aws.answers["BatchGetImage"]

    def throttled(asked: Any) -> Any:
        is_throttled = "stuck" in json.dumps(asked)
        return guard.aws.refusal("ThrottlingException", "Rate exceeded") if is_throttled else answer(asked)

    class LambdaContext(Context):
        def get_remaining_time_in_millis(self) -> int:
            return int(self.milliseconds - (clock.monotonic() - began) * 1000)

    guard.aws.answers["BatchGetImage"] = throttled
    events = [guard.event("stuck", digest)] * 9 + [guard.event("1.3")]
    guard.monkeypatch.setenv(VARIABLE, json.dumps(guard.settings.as_json()))
    records = [{"messageId": str(number), "body": json.dumps(event)} for number, event in enumerate(events)]
    failed = handler({"Records": records}, LambdaContext(300_000))["batchItemFailures"]
    assert [item["itemIdentifier"] for item in failed] == [str(number) for number in range(9)]
    assert [event["tag"] for event in guard.events] == ["1.3"]


def with_rule(settings: Settings, pattern: str, policy: Policy) -> Settings:
    return replace(settings, rules=(*settings.rules, RepositoryRule(pattern, policy)))


def with_on_refused(settings: Settings, on_refused: OnRefused) -> Settings:
    return replace(settings, on_refused=on_refused)


def test_settings_are_the_same_after_they_were_written_and_parsed() -> None:
    rule = RepositoryRule(
        "shop/*", Policy(("lambda", "eks"), AMD64, max_size=5, verify_layers=True, acknowledge={"no-command": "ok"})
    )
    settings = Settings("Guard", "aws-cn", "amazonaws.com.cn", BUCKET, "bus", TOPIC, OnRefused.TAG, (rule,), True)
    assert Settings.parse(json.dumps(settings.as_json())) == settings
