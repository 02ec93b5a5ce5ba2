"""A stack that rolls back never fails for its verification: CloudFormation's events in order, with every fault.

Where the tag is known at synth, another image is another resource: a rollback deletes it. Where it is known only at
deploy, the same resource is updated, and updated back.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout

import pytest

from tests.faults.faulty_aws import FaultyAws, World
from tests.faults.wire import FAULTS, TRICKLE, Fault
from tests.faults.worlds import LogOfThread, Outcome, attestation, gone, good, incomplete, run

# What is known of the second image differs from what is known of the first.
_FIRST: dict[str, str] = {}
_SECOND = {"MinSize": "1"}
_LONG, _SHORT = 120.0, 11.6
_AT_ONCE = 24


def _rollback_by_update(
    server: FaultyAws, log: LogOfThread, second: Callable[[World], None], later: Callable[[World], None], fault: Fault
) -> tuple[Outcome, Outcome]:
    """The first verification, and its restoration after an update that failed for it or for another resource.

    :param second: the second image.
    :param later: what has become of the first image when the stack rolls back.
    """
    world = server.world()
    good(world)
    world.status = "CREATE_IN_PROGRESS"
    created = run(world, log, "Create", _LONG, **_FIRST)
    physical = created.response["PhysicalResourceId"]

    second(world)
    world.status = "UPDATE_IN_PROGRESS"
    updated = run(world, log, "Update", _LONG, physical, **_SECOND)
    assert (updated.verdict == "pass") is (second is good), updated.response

    later(world)
    world.status = "UPDATE_ROLLBACK_IN_PROGRESS"
    for call in ("DescribeStacks", "DescribeImages", "BatchGetImage"):
        world.faults[call, -1] = fault
    return created, run(world, log, "Update", _SHORT, updated.response["PhysicalResourceId"], **_FIRST)


@pytest.mark.parametrize("later", [good, attestation, incomplete, gone], ids=lambda image: f"first {image.__name__}")
@pytest.mark.parametrize("second", [good, attestation, gone], ids=lambda image: f"second {image.__name__}")
def test_an_update_back_to_a_verified_image_succeeds_with_its_result_whatever_happens(
    server: FaultyAws, second: Callable[[World], None], later: Callable[[World], None]
) -> None:
    def check(fault: Fault) -> str:
        created, restored = _rollback_by_update(server, log, second, later, fault)
        same = restored.verdict == "pass" and restored.response["Data"] == created.response["Data"]
        return "" if same and not restored.late else f"{fault.name}: {restored}"

    log = LogOfThread()
    with redirect_stdout(log), ThreadPoolExecutor(_AT_ONCE) as pool:
        failures = [failure for failure in pool.map(check, [*FAULTS, TRICKLE, Fault("nothing")]) if failure]
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("image", [good, attestation, incomplete, gone], ids=lambda image: image.__name__)
@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_the_deletion_of_a_new_verification_succeeds_without_a_call(
    server: FaultyAws, image: Callable[[World], None], status: str
) -> None:
    world, log = server.world(), LogOfThread()
    image(world)
    created = run(world, log, "Create", _LONG, OnFailure="keep")
    world.status = status
    world.calls.clear()
    deleted = run(world, log, "Delete", _SHORT, created.response["PhysicalResourceId"])
    assert deleted.verdict == "pass"
    assert set(world.calls) == {"response"}


@pytest.mark.parametrize("later", [attestation, gone], ids=lambda image: image.__name__)
def test_an_image_that_the_stack_has_not_verified_fails_if_the_stacks_status_is_not_known(
    server: FaultyAws, later: Callable[[World], None]
) -> None:
    """A stack's update may continue with it."""
    world, log = server.world(), LogOfThread()
    good(world)
    created = run(world, log, "Create", _LONG, **_FIRST)
    later(world)
    world.faults["DescribeStacks", -1] = next(fault for fault in FAULTS if fault.name == "half a body")
    outcome = run(world, log, "Update", _LONG, created.response["PhysicalResourceId"], **_SECOND)
    assert outcome.verdict == "refused"


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "ROLLBACK_COMPLETE"])
def test_a_rollback_that_has_ended_lets_no_image_pass(server: FaultyAws, status: str) -> None:
    world, log = server.world(), LogOfThread()
    attestation(world)
    world.status = status
    assert run(world, log, "Update", _LONG, "[]").verdict == "refused"
