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
from tests.deploy.journey import Step

_GZIP, _ZSTD = (f"application/vnd.docker.image.rootfs.diff.tar.{compression}" for compression in ("gzip", "zstd"))
# So little that the verifier gives up early; the rest it keeps for the answer.
_TIMEOUT = 20
_ANSWERED_AFTER = 14


@dataclass(frozen=True)
class Told:
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
def told(aws: LocalAws, new_images: NewImages, new_journey: NewJourney) -> Told:
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
    slow = _slow(aws, lambda: stack.refused(**asking))
    many_findings = stack.refused(**{**asking, "tag": "many"})
    aws.reset_calls()
    aws.faults.deny("ecr:*", times=4)
    denied = stack.deploy(repository=images.name, tag="good")
    denials = Counter(call["status"] for call in aws.calls() if call["name"].startswith("ecr:"))
    return Told(images, without_repository, throttled, slow, many_findings, denied, denials)


def test_a_repository_that_does_not_exist_is_a_fault_that_names_it(told: Told) -> None:
    _is_fault(told.without_repository)
    assert "RepositoryNotFoundException" in told.without_repository.reason
    assert "repository/nowhere" in told.without_repository.reason


def test_throttling_without_an_end_is_a_fault_that_names_the_call(told: Told) -> None:
    _is_fault(told.throttled)
    assert "ecr:DescribeImages" in told.throttled.reason
    assert "ThrottlingException" in told.throttled.reason


def test_a_verifier_that_runs_out_of_time_says_so_before_its_end(told: Told) -> None:
    _is_fault(told.slow)
    assert re.search(r"could not be verified in the \d+ s that the verifier has", " ".join(told.slow.reason.split()))


def test_an_image_with_many_findings_is_refused_in_one_answer_that_cloudformation_takes(told: Told) -> None:
    (request,) = [r for r in told.many_findings.requests if r["status"] == "FAILED"]
    assert len(request["answers"]) == 1
    assert len(request["answers"][0].encode()) < 4096
    assert "Image refused:" in told.many_findings.reason
    for finding in ("[layer-type-unsupported]", "[platform-mismatch]", "[no-command]"):
        assert finding in told.many_findings.reason


def test_a_role_that_is_denied_while_it_is_fresh_is_waited_for(told: Told) -> None:
    assert told.denied.status == "CREATE_COMPLETE"
    assert told.denials == {400: 4, 200: 4}


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
