"""Updates, rollbacks and deletions, with every fault of the call that a creation does not make."""

from __future__ import annotations

from itertools import product

import pytest

from tests.faults.faulty_aws import FaultyAws
from tests.faults.scenarios import Scenario, problems
from tests.faults.worlds import attestation, gone, good

SCENARIOS = [
    *(
        Scenario(kind, image, recorded=recorded)
        for kind, image, recorded in product(("Update", "Rollback"), (good, attestation, gone), (True, False))
    ),
    Scenario("Delete", gone),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_whatever_happens_to_a_call_there_is_one_true_response_in_time_and_nothing_good_is_deleted(
    server: FaultyAws, scenario: Scenario
) -> None:
    assert not problems(scenario, server)
