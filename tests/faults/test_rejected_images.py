"""The creation with an image that no runtime can pull, with every fault of every call."""

from __future__ import annotations

import pytest

from tests.faults.faulty_aws import FaultyAws
from tests.faults.scenarios import UNTAG, Scenario, problems
from tests.faults.worlds import attestation

SCENARIOS = [
    Scenario("Create", attestation),
    Scenario("Create", attestation, UNTAG),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_whatever_happens_to_a_call_there_is_one_true_response_in_time_and_nothing_good_is_deleted(
    server: FaultyAws, scenario: Scenario
) -> None:
    assert not problems(scenario, server)
