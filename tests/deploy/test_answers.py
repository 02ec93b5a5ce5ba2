"""The terminal shows faults and findings in different words, and does not show transient errors at all."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from local_aws import LocalAws
from tests.deploy.conftest import NewImages, NewJourney
from tests.deploy.images import Images
from tests.deploy.journey import LAST, Step

_GZIP, _ZSTD = (f"application/vnd.docker.image.rootfs.diff.tar.{compression}" for compression in ("gzip", "zstd"))
# So little that the verifier gives up early; the rest it keeps for the answer.
_TIMEOUT = 20
_ANSWERED_AFTER = 14


@dataclass(frozen=True)
class Steps:
    """The journey.

    :param denied: a good image, while the first calls of the verifier are denied.
    :param denials: the codes with which its calls to ECR were answered, by how often.
    """

    images: Images
    without_repository: Step
    throttled: Step
    slow: Step
    many_findings: Step
    denied: Step
    denials: Counter[int]


@pytest.fixture(scope="module")
def steps(aws: LocalAws, new_images: NewImages, new_journey: NewJourney) -> Steps:
    images, stack = new_images(), new_journey("verifier")
    images.good("good")
    images.push(
        "many",
        lambda layout: layout.image(
            layer_types=(_GZIP, *(_ZSTD,) * 60), config={"architecture": "arm64", "config": {}}, schema_2=True
        ),
    )
    asking = {"repository": images.name, "tag": "good", "timeout": _TIMEOUT}
    without_repository = stack.refused(**{**asking, "repository": "nowhere"})
    aws.faults.throttle("ecr:*")
    throttled = stack.refused(**asking)
    aws.faults.clear()
    slow = _slow(aws, lambda: stack.refused(app=LAST))
    many_findings = stack.refused(**{**asking, "tag": "many"})
    aws.reset_calls()
    aws.faults.deny("ecr:*", times=4)
    denied = stack.deploy(repository=images.name, tag="good")
    denials = Counter(call["status"] for call in aws.calls() if call["name"].startswith("ecr:"))
    return Steps(images, without_repository, throttled, slow, many_findings, denied, denials)


def test_a_missing_repository_is_a_fault_with_its_name(steps: Steps) -> None:
    _is_fault(steps.without_repository)
    assert "RepositoryNotFoundException" in steps.without_repository.reason
    assert "repository/nowhere" in steps.without_repository.reason


def test_endless_throttling_is_a_fault_with_the_call(steps: Steps) -> None:
    _is_fault(steps.throttled)
    assert "ecr:DescribeImages" in steps.throttled.reason
    assert "ThrottlingException" in steps.throttled.reason


def test_a_verifier_that_runs_out_of_time_responds_before_its_timeout(steps: Steps) -> None:
    _is_fault(steps.slow)
    assert re.search(r"could not be verified within the verifier.s \d+ s", " ".join(steps.slow.reason.split()))


def test_an_image_with_many_findings_is_refused_in_one_response_that_cloudformation_accepts(steps: Steps) -> None:
    (request,) = [r for r in steps.many_findings.requests if r["status"] == "FAILED"]
    assert len(request["answers"]) == 1
    assert len(request["answers"][0].encode()) < 4096
    assert "Image refused:" in steps.many_findings.reason
    for finding in ("[layer-type-unsupported]", "[platform-mismatch]", "[no-command]"):
        assert finding in steps.many_findings.reason


def test_a_new_role_that_is_still_denied_is_retried(steps: Steps) -> None:
    assert steps.denied.status == "CREATE_COMPLETE"
    assert steps.denials == {400: 4, 200: 4}


def _slow(aws: LocalAws, deploy: Callable[[], Step]) -> Step:
    """A deploy in which the verifier's first question is answered later than the verifier must answer itself."""
    # With an error, which is no reason to go on asking: what is left of the verifier then is silent.
    aws.faults.error("ecr:DescribeImages", "InvalidParameterException")
    aws.faults.latency("ecr:DescribeImages", _ANSWERED_AFTER)
    aws.reset_calls()
    step = deploy()
    aws.faults.clear()
    deadline = time.monotonic() + 2 * _ANSWERED_AFTER
    while not any(call["seconds"] >= _ANSWERED_AFTER for call in aws.calls()):
        assert time.monotonic() < deadline, "the verifier's question was never answered"
        time.sleep(0.1)
    return step


def _is_fault(step: Step) -> None:
    """The deploy failed in the words of a fault, and in none of a finding."""
    assert step.status == "ROLLBACK_COMPLETE"
    reason = " ".join(step.reason.split())
    assert "nothing is known about it" in reason
    assert "refused" not in reason
    assert "To fix it" not in reason
    for line in filter(None, (line.strip() for line in step.reason.splitlines()[1:])):
        assert line in step.output
