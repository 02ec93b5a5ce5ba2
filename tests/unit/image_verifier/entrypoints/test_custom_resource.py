"""CloudFormation's protocol: whatever happens, one response that CloudFormation accepts."""

from __future__ import annotations

import http.client
import io
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from image_verifier import aws
from image_verifier.custom_resource import rollback, verification
from image_verifier.custom_resource.layout import Reason, verbatim
from image_verifier.custom_resource.physical_id import VerifiedImage, physical_id, records_of
from image_verifier.custom_resource.properties import Properties
from image_verifier.custom_resource.response import Response, body
from image_verifier.entrypoints.custom_resource import handler
from image_verifier.faults import Fault
from image_verifier.retry import RetryBudget
from image_verifier.verify import verify

from tests.terminals import cli_block
from tests.unit.aws_server import serving_aws
from tests.unit.images import Layout
from tests.unit.local_server import listening

ARN = "arn:aws:ecr:eu-central-1:123456789012:repository/cdk-hnb659fds-container-assets-123456789012-eu-central-1"
URI = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/cdk-hnb659fds-container-assets-123456789012-eu-central-1"
TAG = "c0ffee" * 10 + "c0fe"
PROPERTIES = {
    "ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:Verifier",
    "RepositoryArn": ARN,
    "RepositoryUri": URI,
    "ImageTag": TAG,
    "RunsOn": ["fargate"],
    "Platform": "linux/amd64",
    "Pin": "digest",
    "LocalImage": f"cdkasset-{TAG}",
    "ConstructPath": "Demo/Autotag/Verification",
}


@dataclass
class Context:
    milliseconds: int = 60_000
    log_group_name: str = "/aws/lambda/ImageVerifier"
    log_stream_name: str = "2026/11/22/[1]abc"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass
class Stack:
    """A stand-in for CloudFormation: accepts responses, and can refuse the first ones."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    refusals: int = 0

    @property
    def response(self) -> dict[str, Any]:
        assert len(self.bodies) == 1, f"{len(self.bodies)} responses"
        assert len(self.bodies[0]) < 4096
        response: dict[str, Any] = json.loads(self.bodies[0])
        return response

    def event(self, request: str = "Create", **more: Any) -> dict[str, Any]:
        return {
            "RequestType": request,
            "ResponseURL": f"{self.url}/answer?X-Amz-Signature=secret",
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/Demo/0000",
            "RequestId": "11111111-2222-3333-4444-555555555555",
            "LogicalResourceId": "AutotagVerification0123456789abcdef",
            "ResourceProperties": PROPERTIES,
            **({} if request == "Create" else {"PhysicalResourceId": "[]"}),
            **more,
        }


@pytest.fixture
def stack() -> Iterator[Stack]:
    stack = Stack()

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if stack.refusals:
                stack.refusals -= 1
                self.send_response(503)
            else:
                stack.bodies.append(body)
                self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with listening(Receiver) as port:
        stack.url = f"http://127.0.0.1:{port}"
        yield stack


class Endless:
    """A call that does not end before the test ends it, or ends itself."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._callers: list[threading.Thread] = []

    def __call__(self, *_: Any) -> Any:
        self._callers.append(threading.current_thread())
        self._over.wait()

    def end(self) -> None:
        """End the call, and wait until its callers have ended too."""
        self._over.set()
        for caller in self._callers:
            caller.join()


@pytest.fixture
def endless() -> Iterator[Endless]:
    call = Endless()
    yield call
    call.end()


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """The image that the tag references: the last one that the test writes into the layout."""
    layout = Layout(tmp_path)

    def verify_layout(properties: Any, retry_budget: Any) -> Any:
        return verify(layout.source(layout.manifests[-1]), properties.policy)

    monkeypatch.setattr(verification, "_verify", verify_layout)
    return layout


def test_a_good_image_succeeds_with_its_digest_as_the_uri(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image())
    handler(stack.event(), Context())
    digest = image.manifests[-1]["digest"]
    assert stack.response["Status"] == "SUCCESS"
    assert stack.response["Data"]["ImageUri"] == f"{URI}@{digest}"
    assert stack.response["Data"]["ImageDigest"] == digest
    assert stack.response["Data"]["LayerCount"] == "1"
    assert all(isinstance(value, str) for value in stack.response["Data"].values())


def test_pin_tag_keeps_the_tag(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image())
    handler(stack.event(ResourceProperties={**PROPERTIES, "Pin": "tag"}), Context())
    assert stack.response["Data"]["ImageUri"] == f"{URI}:{TAG}"


def test_the_reason_of_a_refusal_is_complete_in_itself(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.attestation())
    handler(stack.event(), Context())
    reason = stack.response["Reason"]
    assert stack.response["Status"] == "FAILED"
    assert " ".join(reason.split()).startswith("Image refused: The tag points at a build attestation")
    assert "Construct: Demo/Autotag/Verification" in reason
    assert "no processor for media-type" in " ".join(reason.split())
    assert "safe-image heal --stack Demo --region eu-central-1" in reason
    assert 'aws ecr "$@" --region eu-central-1 --registry-id 123456789012 --repository-name $REPO' in reason
    assert f"TAG={TAG};" in reason
    assert f"${{CDK_DOCKER:-docker}} image rm cdkasset-{TAG} || true" in reason


def test_the_clis_last_block_does_not_change_the_lines_of_a_reason(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image(config={"architecture": "arm64"}))
    handler(stack.event(), Context())
    reason = [line.strip() for line in stack.response["Reason"].split("\n")]
    shown = [line.strip() for line in cli_block(stack.response["Reason"]).split("\n")]
    assert shown[1 - len(reason) :] == reason[1:]


def test_a_runtimes_error_that_was_not_measured_is_marked(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image(config={"config": {"Cmd": ["/run"], "Env": ["=1"]}}))
    handler(stack.event(), Context())
    assert "ECS on Fargate would have said (predicted from its source): " in " ".join(stack.response["Reason"].split())


def test_a_runtimes_error_that_the_demo_measures_is_not_called_a_prediction(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image(config={"architecture": "arm64"}))
    handler(stack.event(), Context())
    reason = " ".join(stack.response["Reason"].split())
    assert "ECS on Fargate would have said: exec format error" in reason


def test_no_name_in_a_headline_is_broken(stack: Stack, image: Layout) -> None:
    zstd = "application/vnd.docker.image.rootfs.diff.tar.zstd"
    image.manifests.append(image.image(layer_types=("application/vnd.oci.image.layer.v1.tar+gzip", zstd)))
    handler(stack.event(), Context())
    assert f"  {zstd}, " in cli_block(stack.response["Reason"])


def test_an_ellipsis_in_a_runtimes_message_becomes_three_dots(stack: Stack, image: Layout) -> None:
    child = image.image()
    image.manifests.append(image.index({**child, "platform": {"os": "linux", "architecture": "amd64"}}))
    (image.path / "blobs" / "sha256" / child["digest"].removeprefix("sha256:")).unlink()
    handler(stack.event(), Context())
    assert f"content at .../manifests/{child['digest']} not found" in " ".join(stack.response["Reason"].split())


def test_a_response_stays_below_4096_bytes_for_any_number_of_findings(
    stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback, "is_rolling_back", lambda *_: False)
    types = tuple(f"application/vnd.example.{i}.layer.with.a.very.long.name.v{i}+json" for i in range(90))
    image.manifests.append(image.image(layer_types=("application/vnd.oci.image.layer.v1.tar+gzip", *types)))
    handler(stack.event("Update", PhysicalResourceId="x" * 1000), Context())
    assert stack.response["Reason"].lstrip().startswith("Image refused: ")
    assert "more errors" in stack.response["Reason"]
    assert "safe-image heal --stack Demo --region eu-central-1" in stack.response["Reason"]
    assert "ecr batch-delete-image --image-ids imageTag=$TAG,imageDigest=$IMAGE" in stack.response["Reason"]


def test_a_response_is_only_cut_if_one_byte_is_too_many(stack: Stack) -> None:
    def sent(more: int) -> bytes:
        event = stack.event("Update", PhysicalResourceId="x" * more)
        return body(
            event, Response("FAILED", [Reason("Image refused", verbatim(["x" * 118] * 28)), Reason("Image refused")])
        )

    sizes = [len(sent(more)) for more in range(500)]
    assert max(sizes) == 4095
    assert min(sizes[sizes.index(4095) + 1 :]) < 1000


def test_the_response_of_a_tolerated_image_stays_below_4096_bytes_too(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image(config={"architecture": "\N{LATIN SMALL LETTER E WITH ACUTE}" * 850}))
    handler(stack.event(ResourceProperties={**PROPERTIES, "FailOn": "never"}), Context())
    assert stack.response["Status"] == "SUCCESS"
    assert stack.response["Data"]["Warnings"] == "see the verifier's log"


def test_layers_are_read_if_the_properties_say_so(stack: Stack, image: Layout) -> None:
    wrong = {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    image.manifests.append(image.image(config=wrong))
    handler(stack.event(), Context())
    assert stack.response["Status"] == "SUCCESS"
    stack.bodies.clear()
    handler(stack.event(ResourceProperties={**PROPERTIES, "VerifyLayers": "true"}), Context())
    assert "[diff-id-wrong]" in stack.response["Reason"]


def test_a_fault_is_reported_in_other_words_than_a_finding(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_verify", denied)
    handler(stack.event(), Context())
    assert stack.response["Status"] == "FAILED"
    assert "Image not verified, so nothing is known about it" in " ".join(stack.response["Reason"].split())
    assert "refused" not in stack.response["Reason"]


def test_an_unexpected_exception_is_reported(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_verify", failing)
    handler(stack.event(), Context())
    assert "The verifier itself failed" in stack.response["Reason"]
    assert "RuntimeError" in stack.response["Reason"]
    assert "X-Amz-Signature" not in stack.response["Reason"]


def test_a_timeout_is_reported_before_the_lambda_ends(
    stack: Stack, endless: Endless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_verify", endless)
    began = time.monotonic()
    handler(stack.event(), Context(milliseconds=10_500))
    assert time.monotonic() - began < 30
    assert stack.response["Status"] == "FAILED"
    assert "could not be verified within the" in " ".join(stack.response["Reason"].split())


def test_a_log_that_cannot_be_written_does_not_delay_the_response(
    stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout = io.StringIO()
    stdout.close()
    monkeypatch.setattr(sys, "stdout", stdout)
    image.manifests.append(image.attestation())
    handler(stack.event(), Context())
    assert stack.response["Reason"].lstrip().startswith("Image refused: ")


def test_work_that_ends_too_late_logs_nothing_within_the_next_event(
    stack: Stack, endless: Endless, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Lambda that has responded is frozen with its threads, which continue when it is called again."""
    monkeypatch.setattr(verification, "_verify", endless)
    handler(stack.event(), Context(milliseconds=10_500))
    assert "could not be verified within the" in capsys.readouterr().out
    endless.end()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("RunsOn", ["mars"], "'mars', which is not a runtime"),
        ("Platform", "amd64", "is not a platform"),
        ("MinSize", "1.5", "use a number of bytes"),
        ("RepositoryArn", "nothing", "use the ARN of an ECR repository"),
        ("ImageDigest", "sha256:00", "either ImageTag or ImageDigest"),
        ("Pin", "none", "use digest or tag"),
    ],
)
def test_a_bad_property_is_reported_with_its_name(stack: Stack, name: str, value: Any, says: str) -> None:
    handler(stack.event(ResourceProperties={**PROPERTIES, name: value}), Context())
    assert stack.response["Status"] == "FAILED"
    assert says in " ".join(stack.response["Reason"].split())


def test_a_delete_always_succeeds(stack: Stack) -> None:
    handler(stack.event("Delete", ResourceProperties={}, PhysicalResourceId="anything"), Context())
    assert stack.response["Status"] == "SUCCESS"
    assert stack.response["PhysicalResourceId"] == "anything"


def test_a_response_that_is_not_accepted_is_sent_again(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image())
    stack.refusals = 2
    handler(stack.event(), Context())
    assert stack.response["Status"] == "SUCCESS"


def test_a_response_that_is_never_accepted_fails_the_lambda_before_its_end_so_that_it_is_run_again(
    stack: Stack, image: Layout
) -> None:
    image.manifests.append(image.image())
    stack.refusals = 1000
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="did not accept the response in time"):
        handler(stack.event(), Context(milliseconds=3000))
    # 2 s; the rest is for a busy machine.
    assert time.monotonic() - began < 15
    assert stack.refusals < 999


def test_the_last_fault_is_reported_and_not_only_the_timeout(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(_: Any, retry_budget: RetryBudget) -> Any:
        time.sleep(retry_budget.seconds_left)
        raise Fault("ecr:DescribeImages failed with ThrottlingException", "Try again later.")

    monkeypatch.setattr(verification, "_verify", throttled)
    handler(stack.event(), Context(milliseconds=12_000))
    assert "ThrottlingException" in stack.response["Reason"]


def test_layers_are_not_read_beyond_the_timeout(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chunks() -> Iterator[bytes]:
        while True:
            time.sleep(0.05)
            yield bytes(512)

    layout = Layout(tmp_path)
    source = layout.source(layout.image())
    monkeypatch.setattr(source, "open", lambda _: nullcontext(chunks()))
    monkeypatch.setattr(aws, "client", lambda *_: None)
    monkeypatch.setattr(verification, "EcrImage", lambda *_, **__: source)
    handler(stack.event(ResourceProperties={**PROPERTIES, "VerifyLayers": "true"}), Context(milliseconds=12_000))
    assert "The layers could not all be read in the available time" in " ".join(stack.response["Reason"].split())
    assert "give the ImageVerifier a longer timeout or more memory" in " ".join(stack.response["Reason"].split())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RepositoryArn", ARN + "2"),
        ("ImageTag", "other"),
        ("RunsOn", ["fargate", "lambda"]),
        ("Platform", "linux/arm64"),
        ("MinSize", "1"),
        ("MaxSize", "1000"),
        ("VerifyLayers", "true"),
        ("Acknowledge", {"no-command": "the task gives it"}),
        ("FailOn", "warning"),
        ("Require", ["non-root-user"]),
    ],
)
def test_the_record_of_another_image_or_policy_is_not_reused(name: str, value: Any) -> None:
    verified = Properties.parse(PROPERTIES)
    record = VerifiedImage(verified.fingerprint, "sha256:" + "0" * 64, 1, "", 1)
    assert rollback.recorded(verified, [record]) == record
    assert rollback.recorded(Properties.parse({**PROPERTIES, name: value}), [record]) is None


def test_a_physical_id_holds_two_images_in_at_most_a_kilobyte() -> None:
    names = ["application/vnd.docker.distribution.manifest.list.v2+json"] * 3
    records = [VerifiedImage(f"{i:016}", f"sha256:{i:064}", 10**12, name, 127) for i, name in enumerate(names)]
    kept = physical_id(records)
    assert records_of(kept) == records[:2]
    assert len(kept) <= 1024


def test_a_response_that_is_not_answered_in_http_is_sent_again(
    stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image.manifests.append(image.image())
    sent = urllib.request.urlopen
    answers = [http.client.BadStatusLine("garbage"), http.client.IncompleteRead(b"")]

    def garbled(*arguments: Any, **more: Any) -> Any:
        if answers:
            raise answers.pop()
        return sent(*arguments, **more)

    monkeypatch.setattr(urllib.request, "urlopen", garbled)
    handler(stack.event(), Context())
    assert stack.response["Status"] == "SUCCESS"
    assert "secret" not in capsys.readouterr().out


def test_a_refused_update_keeps_the_physical_id(stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback, "is_rolling_back", lambda *_: False)
    image.manifests.append(image.attestation())
    handler(stack.event("Update", PhysicalResourceId="verified before"), Context())
    assert stack.response["PhysicalResourceId"] == "verified before"


def test_a_rollback_reuses_the_recorded_result(stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback, "is_rolling_back", lambda *_: False)
    image.manifests.append(image.image())
    handler(stack.event(ResourceProperties={**PROPERTIES, "ImageTag": "a"}), Context())
    a = stack.response
    stack.bodies.clear()
    image.manifests.append(image.image(config={"config": {"Cmd": ["/other"]}}))
    event = stack.event(
        "Update", ResourceProperties={**PROPERTIES, "ImageTag": "b"}, PhysicalResourceId=a["PhysicalResourceId"]
    )
    handler(event, Context())
    b = stack.response
    assert b["Data"]["ImageDigest"] != a["Data"]["ImageDigest"]
    stack.bodies.clear()

    def gone(*_: Any) -> Any:
        raise AssertionError("judged again")

    monkeypatch.setattr(rollback, "is_rolling_back", lambda *_: True)
    monkeypatch.setattr(verification, "_verify", gone)
    event = stack.event(
        "Update", ResourceProperties={**PROPERTIES, "ImageTag": "a"}, PhysicalResourceId=b["PhysicalResourceId"]
    )
    handler(event, Context())
    assert stack.response["Status"] == "SUCCESS"
    assert stack.response["Data"] == a["Data"]
    assert len(stack.response["PhysicalResourceId"].encode()) <= 1024
    remembered = [record.digest for record in records_of(stack.response["PhysicalResourceId"])]
    assert remembered == [a["Data"]["ImageDigest"], b["Data"]["ImageDigest"]]


def test_the_response_is_sent_before_cloudformation_gives_up_though_the_lambda_has_more_time(
    stack: Stack, endless: Endless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_verify", endless)
    began = time.monotonic()
    handler(stack.event(ResourceProperties={**PROPERTIES, "ServiceTimeout": "40"}), Context(900_000))
    assert time.monotonic() - began < 60
    assert "could not be verified within the" in " ".join(stack.response["Reason"].split())


@pytest.fixture
def status_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFormation does not report the stack's status."""

    def denied(*_: Any) -> bool:
        raise Fault("cloudformation:DescribeStacks was denied", "Allow cloudformation:DescribeStacks")

    monkeypatch.setattr(rollback, "is_rolling_back", denied)


@pytest.mark.usefixtures("status_unknown")
def test_a_good_image_passes_though_the_stacks_status_is_unknown(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.image())
    handler(stack.event("Update"), Context())
    assert stack.response["Status"] == "SUCCESS"


@pytest.mark.usefixtures("status_unknown")
def test_a_new_broken_image_is_refused_though_the_stacks_status_is_unknown(stack: Stack, image: Layout) -> None:
    image.manifests.append(image.attestation())
    handler(stack.event("Update"), Context())
    assert "[not-an-image]" in stack.response["Reason"]


@pytest.mark.usefixtures("status_unknown")
def test_a_recorded_image_is_reused_if_the_stacks_status_is_unknown_and_the_log_says_why(
    stack: Stack, image: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stack may be rolling back, and a rollback must not fail though the image has broken since."""
    image.manifests.append(image.image())
    handler(stack.event(), Context())
    verified = stack.response
    stack.bodies.clear()
    image.manifests.append(image.attestation())
    handler(stack.event("Update", PhysicalResourceId=verified["PhysicalResourceId"]), Context())
    assert stack.response["Status"] == "SUCCESS"
    assert stack.response["Data"] == verified["Data"]
    assert (
        "was verified before, with the same policy: its result is reused. cloudformation:DescribeStacks was denied"
        in (capsys.readouterr().out)
    )


def test_a_recorded_image_is_reused_if_the_stacks_status_does_not_arrive_in_time(
    stack: Stack, image: Layout, endless: Endless, monkeypatch: pytest.MonkeyPatch
) -> None:
    image.manifests.append(image.image())
    handler(stack.event(), Context())
    verified = stack.response
    stack.bodies.clear()
    monkeypatch.setattr(rollback, "is_rolling_back", endless)
    handler(stack.event("Update", PhysicalResourceId=verified["PhysicalResourceId"]), Context(milliseconds=10_500))
    assert stack.response["Status"] == "SUCCESS"
    assert stack.response["Data"] == verified["Data"]


def test_work_that_does_not_end_is_a_doubt_in_an_update_that_is_no_rollback(
    stack: Stack, image: Layout, endless: Endless, monkeypatch: pytest.MonkeyPatch
) -> None:
    image.manifests.append(image.image())
    handler(stack.event(), Context())
    verified = stack.response
    stack.bodies.clear()
    monkeypatch.setattr(rollback, "is_rolling_back", lambda *_: False)
    monkeypatch.setattr(verification, "_verify", endless)
    handler(stack.event("Update", PhysicalResourceId=verified["PhysicalResourceId"]), Context(milliseconds=10_500))
    assert stack.response["Status"] == "FAILED"
    assert "could not be verified within the" in " ".join(stack.response["Reason"].split())


def test_a_rollback_to_an_image_without_a_record_succeeds_and_records_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rollback, "is_rolling_back", lambda *_: True)
    handler(stack.event("Update", PhysicalResourceId="[]"), Context())
    assert stack.response["Status"] == "SUCCESS"
    assert records_of(stack.response["PhysicalResourceId"]) == []
    assert "It was not verified: a rollback must not fail." in capsys.readouterr().out


def test_a_rollback_succeeds_though_no_thread_can_be_started(
    stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    image.manifests.append(image.image())
    handler(stack.event(), Context())
    verified = stack.response
    stack.bodies.clear()
    monkeypatch.setattr(rollback, "is_rolling_back", lambda *_: True)
    monkeypatch.setattr(threading.Thread, "start", cannot_start)
    handler(stack.event("Update", PhysicalResourceId=verified["PhysicalResourceId"]), Context())
    monkeypatch.undo()
    assert stack.response["Data"] == verified["Data"]


def cannot_start(thread: threading.Thread) -> None:
    if "work" in repr(thread):
        raise RuntimeError("can't start new thread")
    real_start(thread)


real_start = threading.Thread.start


def test_work_that_cannot_even_report_its_failure_is_a_doubt(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_memory(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(verification, "respond", without_memory)
    monkeypatch.setattr("traceback.format_exc", without_memory)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    handler(stack.event(), Context())
    assert stack.response["Status"] == "FAILED"
    assert "The verifier ended without a result" in " ".join(stack.response["Reason"].split())
    assert "more memory" in stack.response["Reason"]


def test_a_log_for_which_there_is_no_memory_does_not_stop_the_response(
    stack: Stack, image: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise MemoryError

    monkeypatch.setattr(sys, "stdout", Full())
    image.manifests.append(image.image())
    handler(stack.event(), Context())
    assert stack.response["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("status", "rolls_back"),
    [
        ("UPDATE_IN_PROGRESS", False),
        ("UPDATE_ROLLBACK_IN_PROGRESS", True),
        ("ROLLBACK_IN_PROGRESS", True),
        ("IMPORT_ROLLBACK_IN_PROGRESS", True),
        ("UPDATE_ROLLBACK_COMPLETE", False),
        ("UPDATE_ROLLBACK_FAILED", False),
        ("ROLLBACK_COMPLETE", False),
        ("IMPORT_ROLLBACK_COMPLETE", False),
    ],
)
def test_only_a_rollback_in_progress_reuses_a_result(
    monkeypatch: pytest.MonkeyPatch, status: str, rolls_back: bool
) -> None:
    stack_id = "arn:aws:cloudformation:eu-west-1:111122223333:stack/Demo/0000"
    with serving_aws() as server:
        server.use(monkeypatch)
        server.answers["DescribeStacks"] = {"Stacks": [{"StackId": stack_id, "StackStatus": status}]}
        assert rollback.is_rolling_back(stack_id, RetryBudget.of(5)) is rolls_back


METRIC = (
    '{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[[]],"Metrics":[{"Name":"M"}]}]},"M":9}'
)


def test_no_line_of_the_log_that_is_the_images_own_text_is_json(
    stack: Stack, image: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudWatch would extract metrics from it."""
    image.manifests.append(image.image(config={"config": {"WorkingDir": f"{'x' * 100} {METRIC} {'y' * 110}"}}))
    handler(stack.event(), Context())
    log = capsys.readouterr().out
    (line,) = {line for line in log.splitlines() if line.endswith(METRIC)}
    assert line.startswith("| ")
    assert line.removeprefix("|").strip() == METRIC


@pytest.mark.parametrize("text", ["http://", "https://a?", "a ", "\x01", "\N{GRINNING FACE}"])
def test_a_text_of_a_megabyte_is_cut_and_the_response_leaves(stack: Stack, image: Layout, text: str) -> None:
    image.manifests.append(image.image(config={"config": {"WorkingDir": text * (1_000_000 // len(text))}}))
    handler(stack.event(), Context())
    assert stack.response["Reason"].lstrip().startswith("Image refused: ")
    assert "characters ...]" in " ".join(stack.response["Reason"].split())


def test_the_log_has_one_line_of_json_for_machines(
    stack: Stack, image: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    image.manifests.append(image.attestation())
    handler(stack.event(), Context())
    (report,) = [line for line in json_lines(capsys.readouterr().out) if "_aws" not in line]
    assert report["verdict"] == "fail"
    assert report["findings"][0]["id"] == "not-an-image"


def denied(*_: Any) -> Any:
    raise Fault("ecr:BatchGetImage on the repository failed with AccessDenied: no", "Allow it")


def failing(*_: Any) -> Any:
    raise RuntimeError("GET https://bucket.example/blob?X-Amz-Signature=abc failed")


@pytest.mark.parametrize(
    ("properties", "verifies", "message"),
    [
        ({}, denied, "ecr:BatchGetImage on the repository failed with AccessDenied: no"),
        ({}, failing, "The verifier itself failed, so nothing is known about the image: RuntimeError: GET https://"),
        ({}, None, "The image could not be verified within the "),
        ({"RunsOn": ["mars"]}, failing, "The properties of this Custom::ImageVerification are wrong: runs_on names"),
    ],
    ids=["a fault", "a failure of the verifier", "time running out", "a bad property"],
)
def test_the_log_has_one_line_of_json_for_every_doubt(
    stack: Stack,
    endless: Endless,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    properties: dict[str, Any],
    verifies: Any,
    message: str,
) -> None:
    monkeypatch.setattr(verification, "_verify", verifies or endless)
    handler(stack.event(ResourceProperties=PROPERTIES | properties), Context(milliseconds=10_500))
    log = capsys.readouterr().out
    (report,) = [line for line in json_lines(log) if "_aws" not in line]
    assert report["verdict"] == "unknown"
    assert report["fault"]["message"].startswith(message)
    assert any(message in line for line in log.splitlines() if not line.startswith("{"))
    assert "X-Amz-Signature" not in log


# All that the handler imports before it can respond.
FIRST = {
    "image_verifier",
    "image_verifier.custom_resource",
    "image_verifier.custom_resource.attempt",
    "image_verifier.custom_resource.events",
    "image_verifier.custom_resource.layout",
    "image_verifier.custom_resource.log",
    "image_verifier.custom_resource.response",
    "image_verifier.custom_resource.schema",
    "image_verifier.entrypoints",
    "image_verifier.entrypoints.custom_resource",
    "image_verifier.text",
}


def test_the_handler_imports_little_before_it_can_respond() -> None:
    program = "import sys, image_verifier.entrypoints.custom_resource; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if name.startswith(("image_verifier", "boto"))} == FIRST


@pytest.mark.parametrize("name", ["custom_resource.verification", "custom_resource.properties", "verify", "faults"])
def test_a_module_that_cannot_be_imported_is_reported(stack: Stack, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delitem(sys.modules, "image_verifier.custom_resource.verification")
    monkeypatch.setitem(sys.modules, f"image_verifier.{name}", None)
    handler(stack.event(), Context())
    assert stack.response["Status"] == "FAILED"
    assert "ModuleNotFoundError" in stack.response["Reason"]


# Texts that a config or a manifest may have in the place of a media type or an architecture.
HOSTILE = {
    "a terminal's escapes": "\x1b[2J\x1b[31m\x9b1mred",
    "a line that looks like a verdict": "a\nImage verified: it can run on ECS on Fargate.",
    "a line that looks like the report": 'a\n{"verdict": "pass"}\nb',
    "a carriage return": "a\rImage verified",
    "a tab": "a\tb",
    "a nul": "a\0b",
    "a change of direction": "\u202egnp.exe",
    "half a surrogate pair": "\ud800a",
    "other ends of a line": "a\u2028b\x85c\x0bd",
    "a long name": "x" * 5000,
    "a long name of many bytes": "\N{PILE OF POO}" * 1500,
    "a long name that is longer when it is written out": "\N{LANGUAGE TAG}" * 1500,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(
    ("finding", "document"),
    [
        ("layer-type-unsupported", lambda text: {"layer_types": ("application/vnd.oci.image.layer.v1.tar+gzip", text)}),
        ("platform-mismatch", lambda text: {"config": {"architecture": text}}),
        ("diff-id-wrong", lambda text: {"config": {"rootfs": {"type": "layers", "diff_ids": [text]}}}),
    ],
)
def test_an_images_own_text_cannot_disguise_its_refusal(
    stack: Stack,
    image: Layout,
    capsysbinary: pytest.CaptureFixture[bytes],
    finding: str,
    document: Any,
    text: str,
) -> None:
    image.manifests.append(image.image(**document(text)))
    handler(stack.event(), Context())
    reason, log = stack.response["Reason"], capsysbinary.readouterr().out.decode()
    assert stack.response["Reason"].lstrip().startswith("Image refused: ")
    lines = [*reason.split("\n"), *log.split("\n")]
    assert [line for line in lines if not line.isprintable()] == []
    assert not [line for line in lines if line.startswith("Image verified")]
    (report,) = [line for line in json_lines(log) if "_aws" not in line]
    assert finding in [found["id"] for found in report["findings"]]


def test_the_warnings_of_a_tolerated_image_have_no_control_characters(
    stack: Stack, image: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    image.manifests.append(image.image(config={"architecture": "\x1b[2Jarm64"}))
    handler(stack.event(ResourceProperties={**PROPERTIES, "FailOn": "never"}), Context())
    assert stack.response["Status"] == "SUCCESS"
    assert all(line.isprintable() for line in stack.response["Data"]["Warnings"].split("\n"))
    assert "\\x1b[2jarm64" in stack.response["Data"]["Warnings"]
    assert "\x1b" not in capsys.readouterr().out


def json_lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]
