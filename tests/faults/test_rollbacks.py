"""A stack that rolls back never fails for its verification: CloudFormation's events in order, with every fault.

Where the tag is known at synth, another image is another resource: a rollback deletes it. Where it is known only at
deploy, the same resource is updated, and updated back.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import product

import pytest

from tests.faults.faulty_aws import FaultyAws, World
from tests.faults.scenarios import SECONDS
from tests.faults.wire import FAULTS, TRICKLE, Fault
from tests.faults.worlds import LogOfThread, Outcome, attestation, gone, good, incomplete, run

# What is known of the second image differs from what is known of the first.
_FIRST: dict[str, str] = {}
_SECOND = {"MinSize": "1"}
Change = Callable[[World], None]
_SECOND_IMAGES: list[Change] = [good, attestation, gone]
_LATER_IMAGES: list[Change] = [good, attestation, incomplete, gone]


@dataclass(frozen=True)
class _Rollback:
    """An update back to the first image, which was verified, after an update that failed for it or another resource.

    :param second: the second image.
    :param later: what has become of the first image when the stack rolls back.
    :param fault: the fault of every call while the stack rolls back.
    :param seconds: how long the Lambda may run then.
    """

    second: Change
    later: Change
    fault: Fault
    seconds: float = SECONDS

    def problem(self, server: FaultyAws, log: LogOfThread) -> str:
        """Run it: the defect of the outcome; empty if there is none."""
        created, restored = _restore(self, server, log)
        same = restored.verdict == "pass" and restored.response["Data"] == created.response["Data"]
        return "" if same and not restored.late else f"{self}: {restored}"


def _restore(rollback: _Rollback, server: FaultyAws, log: LogOfThread) -> tuple[Outcome, Outcome]:
    """The outcome of the first verification, and that of its restoration."""
    world = server.world()
    good(world)
    world.status = "CREATE_IN_PROGRESS"
    created = run(world, log, "Create", SECONDS, **_FIRST)
    physical = created.response["PhysicalResourceId"]

    rollback.second(world)
    world.status = "UPDATE_IN_PROGRESS"
    updated = run(world, log, "Update", SECONDS, physical, **_SECOND)
    assert (updated.verdict == "pass") is (rollback.second is good), updated.response

    rollback.later(world)
    world.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    for call in ("DescribeStacks", "DescribeImages", "BatchGetImage"):
        world.faults[call, -1] = rollback.fault
    return created, run(world, log, "Update", rollback.seconds, updated.response["PhysicalResourceId"], **_FIRST)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("later", _LATER_IMAGES, ids=lambda image: f"first {image.__name__}")
@pytest.mark.parametrize("second", _SECOND_IMAGES, ids=lambda image: f"second {image.__name__}")
def test_an_update_back_to_a_verified_image_succeeds_with_its_result_whatever_happens(
    server: FaultyAws, second: Change, later: Change, counted: Callable[[str, int], None]
) -> None:
    log = LogOfThread()
    rollbacks = [_Rollback(second, later, fault) for fault in (*FAULTS, Fault("nothing"))]
    with redirect_stdout(log):
        failures = [failure for rollback in rollbacks if (failure := rollback.problem(server, log))]
    counted(f"Rollback of {second.__name__} to {later.__name__}", len(rollbacks))
    assert not failures, "\n".join(failures)


@pytest.mark.usefixtures("short_pauses")
def test_an_update_back_to_a_verified_image_succeeds_with_its_result_if_the_answers_never_end(
    server: FaultyAws, counted: Callable[[str, int], None]
) -> None:
    log = LogOfThread()
    rollbacks = [_Rollback(*images, TRICKLE, 11.6) for images in product(_SECOND_IMAGES, _LATER_IMAGES)]
    with redirect_stdout(log), ThreadPoolExecutor(len(rollbacks)) as pool:
        failures = [failure for failure in pool.map(lambda it: it.problem(server, log), rollbacks) if failure]
    counted("Rollback with a trickle", len(rollbacks))
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("image", [good, attestation, incomplete, gone], ids=lambda image: image.__name__)
@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_the_deletion_of_a_new_verification_succeeds_without_a_call(
    server: FaultyAws, image: Change, status: str
) -> None:
    world, log = server.world(), LogOfThread()
    image(world)
    created = run(world, log, "Create", SECONDS, OnFailure="keep")
    world.status = status
    world.calls.clear()
    deleted = run(world, log, "Delete", SECONDS, created.response["PhysicalResourceId"])
    assert deleted.verdict == "pass"
    assert set(world.calls) == {"response"}


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("later", [attestation, gone], ids=lambda image: image.__name__)
def test_an_image_that_the_stack_has_not_verified_fails_if_the_stacks_status_is_not_known(
    server: FaultyAws, later: Change
) -> None:
    """A stack's update may continue with it."""
    world, log = server.world(), LogOfThread()
    good(world)
    created = run(world, log, "Create", SECONDS, **_FIRST)
    later(world)
    world.faults["DescribeStacks", -1] = next(fault for fault in FAULTS if fault.name == "half a body")
    outcome = run(world, log, "Update", SECONDS, created.response["PhysicalResourceId"], **_SECOND)
    assert outcome.verdict == "refused"


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "ROLLBACK_COMPLETE"])
def test_a_rollback_that_has_ended_lets_no_image_pass(server: FaultyAws, status: str) -> None:
    world, log = server.world(), LogOfThread()
    attestation(world)
    world.status = status
    assert run(world, log, "Update", SECONDS, "[]").verdict == "refused"
