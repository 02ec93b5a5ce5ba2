"""The local AWS injects faults on demand, and reports the calls that it received."""

from __future__ import annotations

import time
from http.client import IncompleteRead
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import fault_injection
from local_aws.fault_injection import CallFault
from tests.local_aws.helpers import Pushed, digest_of, http


class Clock:
    """Stands for the module `time` of the server, which only the test moves forward."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(fault_injection, "time", clock)
    return clock


@pytest.fixture
def ecr(repository: Pushed) -> Any:
    return repository.aws.client("ecr")


def _outcome(call: Any) -> str:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "fine"


def test_a_number_of_calls_is_throttled(repository: Pushed, ecr: Any) -> None:
    repository.aws.faults.throttle("ecr:List*", times=2)
    calls = [lambda: ecr.list_images(repositoryName=repository.name)] * 3
    assert [_outcome(call) for call in calls] == ["ThrottlingException", "ThrottlingException", "fine"]


def test_an_error_about_one_repository_leaves_the_calls_about_others_alone(repository: Pushed, ecr: Any) -> None:
    other = f"{repository.name}-other"
    ecr.create_repository(repositoryName=other)
    repository.aws.faults.error("ecr:ListImages", "KmsException", times=1, about=other)
    calls = [lambda name=name: ecr.list_images(repositoryName=name) for name in (repository.name, other, other)]
    assert [_outcome(call) for call in calls] == ["fine", "KmsException", "fine"]
    ecr.delete_repository(repositoryName=other)


def test_calls_beyond_a_rate_are_throttled(clock: Clock) -> None:
    fault = CallFault("ecr:ListImages", "ThrottlingException", per_second=2)

    def throttled(seconds: float) -> bool:
        clock.now += seconds
        return fault.applies("ecr:ListImages", "")

    assert [throttled(after) for after in (0, 0.3, 0.3, 0.3, 0.2, 0)] == [False, False, True, True, False, True]


def test_access_is_denied_for_a_while(clock: Clock) -> None:
    fault = CallFault("ecr:*", "AccessDeniedException", seconds=2)
    clock.now += 1.9
    assert fault.applies("ecr:ListImages", "")
    clock.now += 0.2
    assert not fault.applies("ecr:ListImages", "")


def test_a_fault_whose_time_is_over_meets_no_call(repository: Pushed, ecr: Any) -> None:
    repository.aws.faults.deny("ecr:*", seconds=0)
    assert _outcome(lambda: ecr.list_images(repositoryName=repository.name)) == "fine"


def test_a_call_is_delayed_or_answered_with_a_server_error(repository: Pushed, ecr: Any) -> None:
    repository.aws.faults.latency("ecr:ListImages", 0.3)
    repository.aws.faults.error("ecr:ListImages", status=500)
    started = time.monotonic()
    assert _outcome(lambda: ecr.list_images(repositoryName=repository.name)) == "ServerException"
    assert time.monotonic() - started >= 0.3


def test_errors_of_other_services_are_in_their_own_protocol(repository: Pushed) -> None:
    aws = repository.aws
    for name in ("cloudformation:DescribeStacks", "sts:*", "s3:GET", "logs:*"):
        aws.faults.error(name, "SlowDown")
    assert _outcome(aws.client("cloudformation").describe_stacks) == "SlowDown"
    assert _outcome(aws.client("sts").get_caller_identity) == "SlowDown"
    assert _outcome(aws.client("s3").list_buckets) == "SlowDown"
    assert _outcome(aws.client("logs").describe_log_groups) == "SlowDown"
    aws.faults.clear()
    assert _outcome(aws.client("sts").get_caller_identity) == "fine"


def test_an_image_with_an_inaccessible_kms_key_does_not_affect_the_others(repository: Pushed, ecr: Any) -> None:
    broken, healthy = repository.image("a"), repository.image("b", annotations={"b": ""})
    repository.aws.faults.content(broken, "kms")
    got = ecr.batch_get_image(
        repositoryName=repository.name, imageIds=[{"imageDigest": broken}, {"imageDigest": healthy}]
    )
    assert [failure["failureCode"] for failure in got["failures"]] == ["KmsError"]
    assert [image["imageId"]["imageDigest"] for image in got["images"]] == [healthy]


def test_a_missing_blob_is_unavailable_everywhere(repository: Pushed, ecr: Any) -> None:
    repository.image("a")
    digest = digest_of(repository.layer)
    url = ecr.get_download_url_for_layer(repositoryName=repository.name, layerDigest=digest)["downloadUrl"]
    repository.aws.faults.content(digest, "gone")
    got = ecr.batch_check_layer_availability(repositoryName=repository.name, layerDigests=[digest])
    assert got["layers"][0]["layerAvailability"] == "UNAVAILABLE"
    assert http("GET", url).status == 404
    assert http("GET", f"{repository.v2}/blobs/{digest}").status == 404


def test_a_download_ends_early_or_has_other_bytes(repository: Pushed, ecr: Any) -> None:
    repository.image("a")
    digest = digest_of(repository.layer)
    url = ecr.get_download_url_for_layer(repositoryName=repository.name, layerDigest=digest)["downloadUrl"]
    repository.aws.faults.content(digest, "truncated")
    with pytest.raises(IncompleteRead):
        http("GET", url)
    repository.aws.faults.content(digest, "corrupt")
    body = http("GET", url).body
    assert len(body) == len(repository.layer)
    assert body != repository.layer


def test_calls_are_counted_by_service_and_action(repository: Pushed, ecr: Any) -> None:
    repository.image("a")
    digest = digest_of(repository.layer)
    repository.aws.reset_calls()
    url = ecr.get_download_url_for_layer(repositoryName=repository.name, layerDigest=digest)["downloadUrl"]
    http("GET", url)
    http("HEAD", f"{repository.v2}/manifests/a")
    repository.aws.client("cloudformation").describe_stacks()
    calls = repository.aws.calls()
    assert [call["name"] for call in calls] == [
        "ecr:GetDownloadUrlForLayer",
        "layer:GET",
        "registry:HEAD",
        "cloudformation:DescribeStacks",
    ]
    assert [call["status"] for call in calls] == [200] * 4
    assert "X-Amz-Signature" not in str(calls)
