"""The tag of a good image stays, and nothing is deleted after the response, however the faults and the time fall."""

from __future__ import annotations

import threading
import time
from contextlib import redirect_stdout

import pytest

from tests.faults.faulty_aws import FaultyAws
from tests.faults.scenarios import SECONDS, UNTAG, Scenario
from tests.faults.wire import FAULTS, Fault
from tests.faults.worlds import LogOfThread, attestation, good

# Seconds: the first is what the worker has, beside those that the handler keeps for the response.
_WORKING, _KEPT, _DELAY = 3.0, 9.0, 4.0


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("more", [UNTAG, {"VerifyLayers": "true", **UNTAG}], ids=["documents", "layers"])
def test_bytes_that_never_match_their_digest_are_not_a_reason_to_remove_a_tag(
    server: FaultyAws, more: dict[str, str]
) -> None:
    (other_bytes,) = (fault for fault in FAULTS if fault.name == "another answer")
    world, outcome = Scenario("Create", good, more).run(server, LogOfThread(), SECONDS, "config", -1, other_bytes)
    assert outcome.verdict == "refused"
    assert "which the network may have changed" in " ".join(outcome.response["Reason"].split())
    assert world.deleted == []


@pytest.mark.usefixtures("short_pauses")
def test_a_worker_that_is_late_deletes_nothing_after_the_response(server: FaultyAws) -> None:
    scenario, log = Scenario("Create", attestation, UNTAG), LogOfThread()
    with redirect_stdout(log):
        # The first run imports what the second one needs.
        world, _ = scenario.run(server, log, SECONDS)
        assert world.deleted
        # The last call before the second reading and the removal.
        late = Fault("late", delay=_DELAY)
        world, _ = scenario.run(server, log, _KEPT + _WORKING, "ListStackResources", -1, late)
        _wait_for_the_worker()
    assert world.deleted == []


def _wait_for_the_worker() -> None:
    deadline = time.monotonic() + SECONDS
    while any(thread.name.endswith("(work)") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
