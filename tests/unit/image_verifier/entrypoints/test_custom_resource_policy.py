"""The verifier's actions besides its response: it accepts an image with errors, removes its tag, notifies a topic."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from image_verifier import aws
from image_verifier.custom_resource import metrics, notifications, rollback, untag, verification
from image_verifier.custom_resource.layout import Reason, verbatim
from image_verifier.custom_resource.response import Response
from image_verifier.entrypoints.custom_resource import handler
from image_verifier.faults import Fault
from image_verifier.retry import RetryBudget

from tests.unit.image_verifier.entrypoints.test_custom_resource import (
    ARN,
    PROPERTIES,
    TAG,
    URI,
    Context,
    Endless,
    Stack,
    endless,
    image,
    json_lines,
    stack,
)
from tests.unit.images import GZIP, Layout

__all__ = ["endless", "image", "stack"]  # fixtures

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
REPOSITORY = ARN.rpartition("/")[2]


def event(stack: Stack, request: str = "Create", **more: Any) -> dict[str, Any]:
    """The event of an image with these additional properties."""
    return stack.event(request, ResourceProperties={**PROPERTIES, **more})


def reason_text(stack: Stack) -> str:
    return " ".join(stack.response["Reason"].replace("\\", " ").split())


# fail_on


def test_with_fail_on_never_a_broken_image_succeeds_with_its_findings(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.attestation())
    handler(event(stack, FailOn="never"), Context())
    response = stack.response
    assert response["Status"] == "SUCCESS"
    assert response["Data"]["ImageUri"] == f"{URI}@{image.manifests[-1]['digest']}"
    assert response["Data"]["Warnings"].startswith("Error: The tag points at a build attestation")
    assert response["Data"]["Warnings"].endswith("[not-an-image]")


def test_with_fail_on_never_a_missing_image_is_referenced_by_its_tag(
    stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = image.source(image.image())
    monkeypatch.setattr(nothing, "resolve", lambda: resolved_to_nothing())
    monkeypatch.setattr(verification, "_verify", lambda p, _: verified(nothing, p))
    handler(event(stack, FailOn="never"), Context())
    assert stack.response["Status"] == "SUCCESS"
    assert stack.response["Data"]["ImageUri"] == f"{URI}:{TAG}"
    assert stack.response["Data"]["ImageDigest"] == "sha256:unknown"
    assert "[image-missing]" in stack.response["Data"]["Warnings"]


def resolved_to_nothing() -> Any:
    from image_verifier.sources import Resolved

    return Resolved(None)


def verified(source: Any, properties: Any) -> Any:
    from image_verifier.verify import verify

    return verify(source, properties.policy)


def test_with_fail_on_never_a_fault_still_fails(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> Any:
        raise Fault("ecr:BatchGetImage was denied", "Allow it")

    monkeypatch.setattr(verification, "_verify", denied)
    handler(event(stack, FailOn="never"), Context())
    assert stack.response["Status"] == "FAILED"
    assert "Image not verified" in reason_text(stack)


def test_with_fail_on_warning_a_warning_refuses(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image(layer_types=(GZIP, ZSTD)))
    handler(event(stack, RunsOn=["lambda"]), Context())
    assert stack.response["Data"]["Warnings"].startswith("Warning: ")
    stack.bodies.clear()
    handler(event(stack, RunsOn=["lambda"], FailOn="warning"), Context())
    assert reason_text(stack).startswith("Image refused: ")
    assert "[layer-type-doubtful]" in reason_text(stack)


def test_the_warnings_of_a_good_image_are_not_an_empty_output(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image())
    handler(event(stack), Context())
    assert stack.response["Data"]["Warnings"] == "none"


def test_warnings_that_do_not_fit_into_an_output_are_counted(stack: Stack, image: Layout) -> None:
    types = tuple(f"application/vnd.example.{i}.layer.with.a.long.name.v{i}+json" for i in range(90))
    image.manifests.append(image.image(layer_types=(GZIP, *types)))
    handler(event(stack, FailOn="never"), Context())
    warnings = stack.response["Data"]["Warnings"]
    assert len(warnings) <= 1000
    assert warnings.splitlines()[-1].endswith("more in the verifier's log")
    assert all(line.startswith("Error: ") for line in warnings.splitlines()[:-1])


def test_warnings_that_do_not_fit_into_a_response_are_only_logged(stack: Stack, image: Layout) -> None:
    # Each of these is twelve bytes of JSON.
    image.manifests.append(image.image(layer_types=(GZIP, "\N{SPOUTING WHALE}" * 300)))
    handler(event(stack, FailOn="never"), Context())
    assert stack.response["Status"] == "SUCCESS"
    assert stack.response["Data"]["Warnings"] == "see the verifier's log"


def test_the_log_of_a_tolerated_image_says_that_it_may_not_run(
    stack: Stack, image: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    image.manifests.append(image.attestation())
    handler(event(stack, FailOn="never"), Context())
    log = capsys.readouterr().out
    (line,) = [line for line in json_lines(log) if "_aws" in line]
    assert (line["Verified"], line["LetPass"]) == (0, 1)
    assert log.startswith("Image accepted because fail_on is 'never', although it may not run on ECS on Fargate.")
    assert "batch-delete-image" in log
    assert "Image verified" not in log


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FailOn", "sometimes", "FailOn is 'sometimes': use error or warning or never"),
        ("OnFailure", "delete", "OnFailure is 'delete': use keep or untag"),
        ("Require", ["root"], "'root', which is not a requirement"),
        ("Require", "non-root-user", "use a list for RunsOn and for Require"),
    ],
)
def test_a_bad_property_is_reported_with_what_to_use_instead(stack: Stack, name: str, value: Any, says: str) -> None:
    handler(event(stack, **{name: value}), Context())
    assert stack.response["Status"] == "FAILED"
    assert says in reason_text(stack)


# on_failure


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The digests that the stack has verified before."""
    digests: set[str] = set()
    monkeypatch.setattr(untag, "_verified_by", lambda *_: digests)
    return digests


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch, before: set[str]) -> list[str]:
    """The removed tags, one `tag@digest` each."""
    removed: list[str] = []

    def remove(client: Any, arn: str, tag: str, digest: str, retry_budget: RetryBudget) -> str:
        removed.append(f"{tag}@{digest}")
        return ""

    monkeypatch.setattr(untag, "remove_tag", remove)
    return removed


def test_with_on_failure_untag_the_tag_is_removed_from_the_refused_digest(
    stack: Stack, image: Layout, deleted: list[str]
) -> None:
    image.manifests.append(image.attestation())
    handler(event(stack, OnFailure="untag"), Context())
    assert deleted == [f"{TAG}@{image.manifests[-1]['digest']}"]
    assert (
        f"The tag {TAG} was removed from {image.manifests[-1]['digest']}, because on_failure is 'untag'."
        in reason_text(stack)
    )
    assert "batch-delete-image" not in reason_text(stack)
    # Otherwise CDK would push the image that this machine still has.
    assert f"image rm cdkasset-{TAG} || true" in reason_text(stack)


def test_by_default_no_tag_is_removed(stack: Stack, image: Layout, deleted: list[str]) -> None:
    image.manifests.append(image.attestation())
    handler(event(stack), Context())
    assert deleted == []
    assert "on_failure" not in reason_text(stack)


def test_no_tag_is_removed_in_an_update(
    stack: Stack, image: Layout, deleted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback, "is_rolling_back", lambda *_: False)
    image.manifests.append(image.attestation())
    handler(event(stack, "Update", OnFailure="untag"), Context())
    assert stack.response["Status"] == "FAILED"
    assert deleted == []


@pytest.mark.parametrize(
    ("config", "more", "is_in_the_way"),
    [
        ({"architecture": "arm64"}, {}, True),
        # A change of the Dockerfile or of the policy gives the image a new tag, or leaves it as it is.
        ({"config": {}}, {}, False),
        ({}, {"MinSize": "1000000"}, False),
        ({}, {"Require": ["non-root-user"]}, False),
    ],
)
def test_the_tag_of_an_image_that_can_be_pulled_is_kept(
    stack: Stack,
    image: Layout,
    deleted: list[str],
    config: dict[str, Any],
    more: dict[str, Any],
    is_in_the_way: bool,
) -> None:
    image.manifests.append(image.image(config=config))
    handler(event(stack, OnFailure="untag", **more), Context())
    assert stack.response["Status"] == "FAILED"
    assert deleted == []
    assert "The tag was not removed, although on_failure is 'untag': the image can be pulled" in reason_text(stack)
    assert ("batch-delete-image" in reason_text(stack)) is is_in_the_way


def test_the_tag_of_an_image_that_one_runtime_can_pull_is_kept(stack: Stack, image: Layout, deleted: list[str]) -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    image.manifests.append(image.index({**image.image(), "platform": platform}))
    handler(event(stack, RunsOn=["fargate", "lambda"], OnFailure="untag"), Context())
    assert "[index-not-taken]" in reason_text(stack)
    assert deleted == []
    stack.bodies.clear()
    # Another stack may run the index, which this one knows nothing of.
    handler(event(stack, RunsOn=["lambda"], OnFailure="untag"), Context())
    assert deleted == []
    assert "the image can be pulled, so something else may run it" in reason_text(stack)


def test_the_tag_is_kept_if_a_second_reading_finds_a_good_image(
    stack: Stack, image: Layout, deleted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = image.source(image.attestation()), image.source(image.image())
    sources = [bad, good]
    monkeypatch.setattr(verification, "_verify", lambda p, _: verified(sources.pop(0), p))
    handler(event(stack, OnFailure="untag"), Context())
    assert deleted == []
    assert "at a second reading, it references another image." in reason_text(stack)


def test_a_tag_is_kept_if_an_answer_trickles_in_until_the_response_is_due(
    stack: Stack, image: Layout, deleted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trickling(stack_id: str, retry_budget: RetryBudget) -> set[str]:
        monkeypatch.setattr(RetryBudget, "seconds_left", 5.0)
        return set()

    monkeypatch.setattr(untag, "_verified_by", trickling)
    image.manifests.append(image.attestation())
    handler(event(stack, OnFailure="untag"), Context())
    assert deleted == []
    assert "the verifier does not have enough time left" in reason_text(stack)


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        ("application/vnd.dev.cosign.simplesigning.v1+json", "a cosign signature"),
        ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "a Helm chart"),
        ("application/vnd.dsse.envelope.v1+json", "an artifact of type"),
    ],
)
def test_the_tag_of_a_signature_a_chart_or_another_tools_attestation_is_kept(
    stack: Stack, image: Layout, deleted: list[str], layer: str, found: str
) -> None:
    image.manifests.append(image.image(layer_types=(layer,)))
    handler(event(stack, OnFailure="untag"), Context())
    assert "[not-an-image]" in reason_text(stack)
    assert deleted == []
    assert f"it points at {found}" in reason_text(stack)


def test_an_index_that_references_the_refused_manifest_keeps_its_tag(
    stack: Stack, image: Layout, before: set[str], clients: Clients
) -> None:
    image.manifests.append(image.attestation())
    held = {
        "imageId": {"imageDigest": image.manifests[-1]["digest"], "imageTag": TAG},
        "failureCode": "ImageReferencedByManifestList",
        "failureReason": "Requested image referenced by manifest list",
    }
    clients("ecr").add_response("batch_delete_image", {"failures": [held]})
    handler(event(stack, OnFailure="untag"), Context())
    digest = image.manifests[-1]["digest"]
    assert f"an index in the repository references {digest}, so ECR keeps its tag." in reason_text(stack)


def test_a_warning_removes_no_tag(stack: Stack, image: Layout, deleted: list[str]) -> None:
    image.manifests.append(image.image(layer_types=(GZIP, ZSTD)))
    handler(event(stack, RunsOn=["lambda"], FailOn="warning", OnFailure="untag"), Context())
    assert stack.response["Status"] == "FAILED"
    assert deleted == []


def test_an_acknowledged_finding_removes_no_tag(stack: Stack, image: Layout, deleted: list[str]) -> None:
    image.manifests.append(image.attestation())
    waived = {"not-an-image": "it is one"}
    handler(event(stack, OnFailure="untag", Acknowledge=waived, MinSize="1000000", Require=["max-layers:1"]), Context())
    assert deleted == []


def test_the_tag_of_a_digest_that_the_stack_has_verified_before_is_kept(
    stack: Stack, image: Layout, deleted: list[str], before: set[str]
) -> None:
    image.manifests.append(image.attestation())
    before.add(image.manifests[-1]["digest"])
    handler(event(stack, OnFailure="untag"), Context())
    assert deleted == []
    assert f"this stack has verified {image.manifests[-1]['digest']} before, and may run it." in reason_text(stack)


def test_a_tag_is_kept_if_there_is_no_time_to_remove_it(stack: Stack, image: Layout, deleted: list[str]) -> None:
    image.manifests.append(image.attestation())
    handler(event(stack, OnFailure="untag"), Context(milliseconds=40_000))
    assert deleted == []
    assert "the verifier does not have enough time left" in reason_text(stack)


def test_a_tag_is_kept_if_the_stacks_records_cannot_be_read(
    stack: Stack, image: Layout, deleted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any) -> Any:
        raise Fault("cloudformation:ListStackResources was denied.", "Allow it.")

    monkeypatch.setattr(untag, "_verified_by", denied)
    image.manifests.append(image.attestation())
    handler(event(stack, OnFailure="untag"), Context())
    assert deleted == []
    assert "The tag was not removed" in reason_text(stack)
    assert "cloudformation:ListStackResources was denied. Allow it." in reason_text(stack)
    assert "[not-an-image]" in reason_text(stack)
    assert "batch-delete-image" in reason_text(stack)


Clients = Callable[..., Stubber]


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    """Creates the stub of a service, which replaces the verifier's client."""
    made: dict[str, Any] = {}

    def stub(service: Any) -> Stubber:
        made[service] = boto3.client(
            service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        stubber = Stubber(made[service])
        stubber.activate()
        return stubber

    monkeypatch.setattr(aws, "client", lambda service, region: made[service])
    return stub


def resource(kind: str, physical_id: str | None = None) -> dict[str, Any]:
    recorded = {} if physical_id is None else {"PhysicalResourceId": physical_id}
    return {
        "LogicalResourceId": "R",
        "ResourceType": kind,
        "ResourceStatus": "CREATE_COMPLETE",
        "LastUpdatedTimestamp": 0,
        **recorded,
    }


def test_the_stacks_records_are_read_from_all_pages_of_its_resources(clients: Clients) -> None:
    stack_id = "arn:aws:cloudformation:eu-central-1:123456789012:stack/Demo/0000"
    mine = "Custom::ImageVerification"
    pages = [
        [
            resource(mine, '[["f","sha256:1",1,"t",1],["g","sha256:2",1,"t",1]]'),
            resource(mine),
            resource("A::B::C", "x"),
        ],
        [resource(mine, "refused-R"), resource(mine, '[["f","sha256:3",1,"t",1]]')],
    ]
    stub = clients("cloudformation")
    stub.add_response(
        "list_stack_resources", {"StackResourceSummaries": pages[0], "NextToken": "n"}, {"StackName": stack_id}
    )
    stub.add_response(
        "list_stack_resources", {"StackResourceSummaries": pages[1]}, {"StackName": stack_id, "NextToken": "n"}
    )
    assert untag._verified_by(stack_id, RetryBudget.of(5)) == {
        "sha256:1",
        "sha256:2",
        "sha256:3",
    }


def test_ecr_is_called_with_both_the_tag_and_the_digest(
    stack: Stack, image: Layout, before: set[str], clients: Clients
) -> None:
    image.manifests.append(image.attestation())
    ids = [{"imageDigest": image.manifests[-1]["digest"], "imageTag": TAG}]
    failure = {"imageId": ids[0], "failureCode": "ImageTagDoesNotMatchDigest", "failureReason": "moved"}
    clients("ecr").add_response(
        "batch_delete_image",
        {"failures": [failure]},
        {"registryId": "123456789012", "repositoryName": REPOSITORY, "imageIds": ids},
    )
    handler(event(stack, OnFailure="untag"), Context())
    assert "ecr:BatchDeleteImage failed with ImageTagDoesNotMatchDigest: moved" in reason_text(stack)
    assert "batch-delete-image" in reason_text(stack)


def test_a_deletion_that_is_denied_leaves_the_refusal_as_it_is(
    stack: Stack, image: Layout, before: set[str], clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_PROPAGATION", 0.0)
    clients("ecr").add_client_error("batch_delete_image", "AccessDeniedException", "no")
    image.manifests.append(image.attestation())
    handler(event(stack, OnFailure="untag"), Context())
    assert reason_text(stack).startswith("Image refused: The tag points at a build attestation")
    assert f"ecr:BatchDeleteImage on {ARN} failed with AccessDeniedException" in reason_text(stack)
    assert "ecr batch-delete-image" in reason_text(stack)


# notify


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> list[dict[str, Any]]:
    """The published messages, and whether CloudFormation had its response before."""
    notes: list[dict[str, Any]] = []

    def publish(topic: str, subject: str, reason: Reason, retry_budget: RetryBudget) -> None:
        text = "\n".join(reason.shown)
        notes.append({"topic": topic, "subject": subject, "text": text, "answered": bool(stack.bodies)})

    monkeypatch.setattr(notifications, "publish", publish)
    return notes


def test_a_refusal_is_published_after_cloudformation_has_its_response(
    stack: Stack, image: Layout, published: list[dict[str, Any]]
) -> None:
    image.manifests.append(image.attestation())
    handler(event(stack, NotifyTopicArn=TOPIC), Context())
    (note,) = published
    assert (note["topic"], note["answered"]) == (TOPIC, True)
    assert note["subject"] == "Image refused: Demo/Autotag/Verification"
    assert note["text"].startswith("Image refused: The tag points at a build attestation")
    assert "ecr batch-delete-image" in note["text"]
    assert all(line == line.rstrip() for line in note["text"].splitlines())


def test_the_published_reason_is_the_most_detailed_one_that_sns_accepts_whole(
    stack: Stack, published: list[dict[str, Any]]
) -> None:
    reasons = [Reason(f"Image refused: {size}", verbatim(["ä" * size])) for size in (200_000, 99_000, 5)]
    response = Response("FAILED", reasons, verdict="fail")
    notifications.notify(event(stack, NotifyTopicArn=TOPIC), response, Context())
    assert published[0]["text"].startswith("Image refused: 99000")


def test_a_doubt_is_published(stack: Stack, published: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any) -> Any:
        raise Fault("ecr:BatchGetImage was denied", "Allow it")

    monkeypatch.setattr(verification, "_verify", denied)
    handler(event(stack, NotifyTopicArn=TOPIC), Context())
    assert published[0]["subject"] == "Image not verified: Demo/Autotag/Verification"
    assert "Allow it" in published[0]["text"]


def test_a_timeout_is_published(
    stack: Stack, published: list[dict[str, Any]], endless: Endless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_verify", endless)
    handler(event(stack, NotifyTopicArn=TOPIC), Context(milliseconds=10_500))
    assert "could not be verified within the" in published[0]["text"]


@pytest.mark.parametrize("more", [{}, {"NotifyTopicArn": TOPIC}])
def test_nothing_is_published_for_a_good_image_or_without_a_topic(
    stack: Stack, image: Layout, published: list[dict[str, Any]], more: dict[str, str]
) -> None:
    image.manifests.append(image.image() if more else image.attestation())
    handler(event(stack, **more), Context())
    assert published == []


def test_nothing_is_published_for_a_delete(stack: Stack, published: list[dict[str, Any]]) -> None:
    handler(event(stack, "Delete", NotifyTopicArn=TOPIC), Context())
    assert published == []


def test_a_publish_that_fails_changes_nothing_and_is_logged(
    stack: Stack, image: Layout, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    clients("sns").add_client_error("publish", "NotFound", "Topic does not exist")
    image.manifests.append(image.attestation())
    handler(event(stack, NotifyTopicArn=TOPIC), Context())
    assert reason_text(stack).startswith("Image refused: ")
    assert f"The notification could not be published: Fault: sns:Publish on {TOPIC} failed" in capsys.readouterr().out


def test_an_invalid_topic_is_logged(stack: Stack, image: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    image.manifests.append(image.attestation())
    handler(event(stack, NotifyTopicArn="alarms"), Context())
    assert "'alarms' is not the ARN of a topic" in capsys.readouterr().out


def test_a_publish_that_never_ends_does_not_hold_the_lambda_beyond_its_time(
    stack: Stack,
    image: Layout,
    endless: Endless,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(notifications, "_MAX_SECONDS", 0.5)
    monkeypatch.setattr(notifications, "publish", endless)
    image.manifests.append(image.attestation())
    began = time.monotonic()
    handler(event(stack, NotifyTopicArn=TOPIC), Context())
    assert time.monotonic() - began < 30
    assert stack.response["Status"] == "FAILED"
    assert "The notification could not be published within 0.5 s" in capsys.readouterr().out
    endless.end()
    assert capsys.readouterr().out == "", "what comes later would be read as the next event's"


def test_the_published_message_is_one_that_sns_accepts(clients: Clients) -> None:
    expected = {"TopicArn": TOPIC, "Subject": "s", "Message": "Head \\x1b[2J\n\nline \\x07"}
    stub = clients("sns")
    stub.add_response("publish", {"MessageId": "1"}, expected)
    notifications.publish(TOPIC, "s", Reason("Head\n\x1b[2J", verbatim(["line \x07"])), RetryBudget.of(5))
    stub.assert_no_pending_responses()


def test_a_report_that_is_too_long_for_sns_is_cut(clients: Clients) -> None:
    stub = clients("sns")
    expected = {"TopicArn": TOPIC, "Subject": "s", "Message": ("Head\n\n" + "ä" * 200_000).encode()[:200_000].decode()}
    stub.add_response("publish", {"MessageId": "1"}, expected)
    notifications.publish(TOPIC, "s", Reason("Head", verbatim(["ä" * 200_000])), RetryBudget.of(5))
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("about", ["Demo/" + "x" * 200, "Demo/Bild\nzwei\x07", "Demo/Größe"])
def test_a_subject_is_one_line_of_ascii_of_less_than_a_hundred_characters(about: str) -> None:
    line = notifications.subject("fail", about)
    assert line.startswith("Image refused: Demo/")
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 100


# Metrics


def test_a_line_of_the_log_is_in_cloudwatchs_embedded_metric_format(
    stack: Stack, image: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    image.manifests.append(image.attestation())
    handler(event(stack), Context())
    (line,) = [line for line in json_lines(capsys.readouterr().out) if "_aws" in line]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "CdkSafeImage"
    assert directive["Dimensions"] == [[], ["Stack"]]
    assert (line["Stack"], line["Construct"]) == ("Demo", "Demo/Autotag/Verification")
    assert (line["Verified"], line["Refused"], line["Unverified"]) == (0, 1, 0)
    assert 0 < line["Duration"] < 60
    assert line["SizeInBytes"] > 0
    assert abs(line["_aws"]["Timestamp"] / 1000 - time.time()) < 60
    # The specification: every metric and every dimension is a member of the root, a number and a text.
    for metric in directive["Metrics"]:
        assert isinstance(line[metric["Name"]], int | float)
        assert metric["Unit"] in ("Count", "Seconds", "Bytes")
    assert len(directive["Metrics"]) == 6


@pytest.mark.parametrize(
    ("verdict", "name"),
    [("pass", "Verified"), ("tolerated", "LetPass"), ("fail", "Refused"), ("unknown", "Unverified")],
)
def test_a_verdict_counts_once(verdict: str, name: str) -> None:
    line = json.loads(metrics.line(verdict, at=1.0, seconds=0.5, size=0, stack="Demo"))
    counts = {n: line[n] for n in ("Verified", "LetPass", "Refused", "Unverified")}
    assert counts == {**dict.fromkeys(counts, 0), name: 1}
    # An unknown size must not lower the average.
    assert "SizeInBytes" not in line
    assert "SizeInBytes" not in [metric["Name"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]


def test_an_event_without_a_verdict_has_no_metrics(
    stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler(stack.event("Delete", ResourceProperties={}), Context())
    stack.bodies.clear()
    monkeypatch.setattr(rollback, "is_rolling_back", lambda *_: True)
    handler(event(stack, "Update"), Context())
    assert json_lines(capsys.readouterr().out) == []


def test_an_error_in_metrics_does_not_affect_the_response(
    stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise RuntimeError("no metrics")

    monkeypatch.setattr(metrics, "line", broken)
    image.manifests.append(image.image())
    handler(event(stack), Context())
    assert stack.response["Status"] == "SUCCESS"
    assert "could not be logged as metrics or published: RuntimeError: no metrics" in capsys.readouterr().out
