"""A stack that rolls back or is deleted never fails for its verification, whatever AWS answers to the verifier.

The templates are synthesized once. All stacks then change at the same time, through CloudFormation's own API.
`make rollbacks` takes every way, image and fault; `make test` takes a sample.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local_aws import ACCOUNT, REGION, LocalAws
from local_aws.process import FaultControl
from tests.deploy.conftest import NewImages, NewJourney

# Seconds; so few that the verifier gives up early.
_TIMEOUT = 20
_SECONDS = 120
_STATUS = "cloudformation:DescribeStacks"
# The images of updates and creations; `missing` has never been pushed.
_IMAGES = ("good", "bad", "missing")
# `kept` and `gone` are good images that stacks are created with. `gone` is deleted before they are updated.
_TAGS = ("kept", "gone", *_IMAGES)
_WAYS = ("parameter", "synth")
_TEMPLATES = {"synth": "Tag", "prefixed": "Prefixed"}
_FAULTS: Mapping[str, Callable[[FaultControl], None]] = {
    "denied": lambda faults: faults.deny(_STATUS),
    "throttled": lambda faults: faults.throttle(_STATUS),
    "failed": lambda faults: faults.error(_STATUS, "InternalFailure", status=500),
    # The body of an error, with the status of a success.
    "garbled": lambda faults: faults.error(_STATUS, "Garbled", status=200),
}


@dataclass(frozen=True)
class Plan:
    """The stacks to change, and the faults meanwhile.

    :param updates: for each update the way in which tags are known, the tag before it and the tag after it.
    :param faults: the faults of DescribeStacks during the updates; one round of updates for each.
    :param creations: for each creation the way in which its tag is known, and the tag.
    """

    updates: tuple[tuple[str, str, str], ...]
    faults: tuple[str, ...]
    creations: tuple[tuple[str, str], ...]


EVERY = Plan(
    # A new resource does not read the stack's status, so one image before it is enough.
    updates=tuple(
        (way, first, second)
        for way, first in (("parameter", "kept"), ("parameter", "gone"), ("synth", "gone"), ("prefixed", "gone"))
        for second in _IMAGES
    ),
    faults=tuple(_FAULTS),
    creations=tuple(itertools.product(_WAYS, _IMAGES)),
)
SAMPLE = Plan(
    updates=(
        ("parameter", "kept", "good"),
        ("parameter", "gone", "bad"),
        ("parameter", "gone", "missing"),
        ("synth", "gone", "good"),
        ("synth", "gone", "bad"),
        ("prefixed", "gone", "bad"),
    ),
    faults=("garbled",),
    creations=(("parameter", "bad"), ("synth", "good")),
)


@dataclass(frozen=True)
class Stack:
    """A stack.

    :param aws: where it is.
    :param templates: the folder of the templates.
    :param way: how its tags are known: from a `parameter`, or at `synth`, also if all logical IDs are `prefixed`.
    :param name: its name.
    """

    aws: LocalAws
    templates: Path
    way: str
    name: str

    def create(self, tag: str) -> None:
        """Start to create the stack with the image of this tag."""
        self.aws.client("cloudformation").create_stack(**self._arguments(tag, fail="no"))

    def update(self, tag: str) -> None:
        """Start to update the stack to the image of this tag, after which another resource fails."""
        self.aws.client("cloudformation").update_stack(**self._arguments(tag, fail="yes"))

    def delete(self) -> None:
        """Start to delete the stack."""
        self.aws.client("cloudformation").delete_stack(StackName=self.name)

    @property
    def outputs(self) -> dict[str, str]:
        (stack,) = self.aws.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    @property
    def requests(self) -> tuple[tuple[str, str], ...]:
        """The type of every request to the verifier, and the status of the response."""
        requests = [r for r in self.aws.custom_resources() if f":stack/{self.name}/" in r["stack_id"]]
        return tuple((request["request_type"], request["status"]) for request in requests)

    def _arguments(self, tag: str, fail: str) -> dict[str, Any]:
        template = "Parameter" if self.way == "parameter" else f"{_TEMPLATES[self.way]}-{tag}"
        parameters = {"Fail": fail, **({"Tag": tag} if self.way == "parameter" else {})}
        return {
            "StackName": self.name,
            "TemplateBody": (self.templates / f"{template}.template.json").read_text(),
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            "Capabilities": ["CAPABILITY_IAM"],
        }


@dataclass(frozen=True)
class Rollback:
    """An update that failed, after it ended.

    :param way: how the tags are known.
    :param first: the tag of the image before the update.
    :param second: the tag of the image of the update.
    :param fault: the fault of every DescribeStacks call meanwhile.
    :param status: the stack's status.
    :param is_restored: whether the stack's outputs are the same as before.
    :param requests: the requests to the verifier, in order: the type, and the status of the response.
    """

    way: str
    first: str
    second: str
    fault: str
    status: str
    is_restored: bool
    requests: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Journeys:
    """The journeys of all stacks.

    :param plan: the stacks and the faults.
    :param rollbacks: the updates that failed.
    :param faulty_calls: the number of DescribeStacks calls that failed, by fault.
    :param created: the status of every stack that was created while calls were denied, by these calls and the image.
    :param deleted: the statuses of all stacks after they were deleted while every call of the verifier was denied.
    """

    plan: Plan
    rollbacks: tuple[Rollback, ...]
    faulty_calls: Mapping[str, int]
    created: Mapping[tuple[str, str], set[str]]
    deleted: set[str]


@dataclass(frozen=True)
class Driver:
    """Changes many stacks at the same time.

    :param aws: where they are.
    :param templates: the folder of the templates.
    """

    aws: LocalAws
    templates: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def stack(self, way: str) -> Stack:
        """A new stack, which is not created yet."""
        return Stack(self.aws, self.templates, way, f"Rollbacks{next(self._numbers)}")

    def settle(self, stacks: Iterable[Stack]) -> dict[str, str]:
        """Wait until no stack is in progress; the statuses by name. DescribeStacks may be faulty meanwhile."""
        names, deadline = [stack.name for stack in stacks], time.monotonic() + _SECONDS
        pages = self.aws.client("cloudformation").get_paginator("list_stacks")
        while True:
            found = {s["StackName"]: s["StackStatus"] for page in pages.paginate() for s in page["StackSummaries"]}
            statuses = {name: found.get(name, "DELETE_COMPLETE") for name in names}
            if not any(status.endswith("_IN_PROGRESS") for status in statuses.values()):
                return statuses
            assert time.monotonic() < deadline, statuses
            time.sleep(0.2)

    def roll_back(self, stacks: Mapping[tuple[str, str, str], Stack], fault: str) -> list[Rollback]:
        """Update all stacks with a fault, so that all roll back.

        :param stacks: by the way in which their tags are known, the tag of their image and the tag of the next image.
        :param fault: the fault's name.
        """
        before = {key: (stack.outputs, len(stack.requests)) for key, stack in stacks.items()}
        _FAULTS[fault](self.aws.faults)
        for (_, _, second), stack in stacks.items():
            stack.update(second)
        statuses = self.settle(stacks.values())
        self.aws.faults.clear()
        rollbacks = []
        for key, stack in stacks.items():
            outputs, number = before[key]
            is_restored, requests = stack.outputs == outputs, stack.requests[number:]
            rollbacks.append(Rollback(*key, fault, statuses[stack.name], is_restored, requests))
        return rollbacks


@pytest.fixture(
    scope="module",
    params=[pytest.param(SAMPLE, id="sample"), pytest.param(EVERY, id="every", marks=pytest.mark.exhaustive)],
)
def journeys(request: pytest.FixtureRequest, aws: LocalAws, new_images: NewImages, new_journey: NewJourney) -> Journeys:
    plan: Plan = request.param
    images = new_images()
    for tag in ("kept", "gone", "good"):
        images.good(tag)
    images.broken("bad")
    driver = Driver(aws, new_journey("rollbacks").synth("out", repository=images.name, tags=_TAGS, timeout=_TIMEOUT))
    _publish(driver)

    stacks = {update: driver.stack(update[0]) for update in plan.updates}
    # Few at a time: each starts a Lambda, which has little time.
    for _, group in itertools.groupby(stacks.items(), key=lambda item: item[0][:2]):
        new = list(group)
        for (_, first, _), stack in new:
            stack.create(first)
        assert set(driver.settle(stack for _, stack in new).values()) == {"CREATE_COMPLETE"}
    images.delete("gone")
    rollbacks, faulty_calls = [], {}
    for fault in plan.faults:
        aws.reset_calls()
        rollbacks += driver.roll_back(stacks, fault)
        # The stacks' outputs are read by one call each, before and after.
        described = sum(call["name"] == _STATUS for call in aws.calls())
        faulty_calls[fault] = described - 2 * len(stacks)

    every = list(stacks.values())
    created: dict[tuple[str, str], set[str]] = {}
    # The second fault joins the first one, so at last every call of the verifier is denied.
    for denied in (_STATUS, "ecr:*"):
        aws.faults.deny(denied)
        made = [(image, driver.stack(way)) for way, image in plan.creations]
        for image, stack in made:
            stack.create(image)
        statuses = driver.settle(stack for _, stack in made)
        for image, stack in made:
            created.setdefault((denied, image), set()).add(statuses[stack.name])
        every += [stack for _, stack in made]
    for stack in every:
        stack.delete()
    deleted = set(driver.settle(every).values())
    aws.faults.clear()
    return Journeys(plan, tuple(rollbacks), faulty_calls, created, deleted)


def _publish(driver: Driver) -> None:
    """Upload the verifier's code, as the CDK CLI does before it deploys."""
    (asset,) = driver.templates.glob("asset.*")
    key = asset.name.removeprefix("asset.")
    driver.aws.client("s3").upload_file(str(asset), f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}", key)


def test_every_update_that_fails_rolls_back_although_the_stacks_status_cannot_be_read(journeys: Journeys) -> None:
    assert len(journeys.rollbacks) == len(journeys.plan.faults) * len(journeys.plan.updates)
    failures = [r for r in journeys.rollbacks if r.status != "UPDATE_ROLLBACK_COMPLETE" or not r.is_restored]
    assert not failures, "\n".join(map(str, failures))


def test_the_faults_reach_every_in_place_update(journeys: Journeys) -> None:
    updates = Counter(r.fault for r in journeys.rollbacks for kind, _ in r.requests if kind == "Update")
    assert updates.keys() == set(journeys.plan.faults)
    assert all(journeys.faulty_calls[fault] >= number for fault, number in updates.items()), journeys.faulty_calls


def test_a_tag_that_is_known_at_deploy_is_updated_back(journeys: Journeys) -> None:
    assert _requests(journeys, "parameter", ("bad", "missing")) == {(("Update", "FAILED"), ("Update", "SUCCESS"))}
    # The good image was another physical resource, which the rollback deletes.
    assert _requests(journeys, "parameter", ("good",)) == {(("Update", "SUCCESS"), ("Delete", "SUCCESS"))}


def test_a_tag_that_is_known_at_synth_is_a_new_resource_that_a_rollback_deletes(journeys: Journeys) -> None:
    assert _requests(journeys, "synth", ("bad", "missing")) == {(("Create", "FAILED"), ("Delete", "SUCCESS"))}
    assert _requests(journeys, "synth", ("good",)) == {(("Create", "SUCCESS"), ("Delete", "SUCCESS"))}


def test_an_aspect_that_prefixes_logical_ids_leaves_each_image_a_resource_of_its_own(journeys: Journeys) -> None:
    assert _requests(journeys, "prefixed", ("bad", "missing")) == {(("Create", "FAILED"), ("Delete", "SUCCESS"))}


def test_a_creation_with_a_bad_image_or_without_a_call_to_ecr_rolls_back(journeys: Journeys) -> None:
    assert journeys.created == {
        (denied, image): {"CREATE_COMPLETE" if (denied, image) == (_STATUS, "good") else "ROLLBACK_COMPLETE"}
        for denied in (_STATUS, "ecr:*")
        for _, image in journeys.plan.creations
    }


def test_every_stack_is_deleted_although_every_call_of_the_verifier_is_denied(journeys: Journeys) -> None:
    assert journeys.deleted == {"DELETE_COMPLETE"}


def _requests(journeys: Journeys, way: str, seconds: Collection[str]) -> set[tuple[tuple[str, str], ...]]:
    return {r.requests for r in journeys.rollbacks if r.way == way and r.second in seconds}
