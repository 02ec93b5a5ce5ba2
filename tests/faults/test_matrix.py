"""Every event with every fault of every call.

A body that trickles in for ever takes real time, so it has a test of its own, in which all such events run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout

import pytest

from tests.faults.faulty_aws import CALLS, FaultyAws
from tests.faults.scenarios import SCENARIOS, SECONDS, Case, Scenario, calls, cases
from tests.faults.wire import TRICKLE
from tests.faults.worlds import LogOfThread


def test_every_call_that_the_verifier_makes_is_in_the_matrix(server: FaultyAws) -> None:
    log = LogOfThread()
    with redirect_stdout(log):
        made = {call for scenario in SCENARIOS for call in calls(scenario, server, log)}
    assert made == CALLS


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("n", [pytest.param(0, id="once"), pytest.param(-1, id="for ever")])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_whatever_happens_to_a_call_there_is_one_true_response_in_time_and_nothing_good_is_deleted(
    server: FaultyAws, scenario: Scenario, n: int, counted: Callable[[str, int], None]
) -> None:
    log = LogOfThread()
    with redirect_stdout(log):
        matrix = cases(scenario, n, server, log)
        found = [problem for case in matrix for problem in case.problems(server, log, SECONDS)]
    counted(f"{scenario.name} {'for ever' if n else 'once'}", len(matrix))
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("short_pauses")
def test_a_body_that_never_ends_leaves_one_true_response_in_time(
    server: FaultyAws, counted: Callable[[str, int], None]
) -> None:
    log = LogOfThread()

    def problems(case: Case) -> list[str]:
        # Eight seconds are kept for the response, which itself may trickle.
        return case.problems(server, log, 3.5 if case.call == "response" else 11.6)

    with redirect_stdout(log):
        matrix = [Case(it, call, -1, TRICKLE) for it in SCENARIOS for call in calls(it, server, log)]
        with ThreadPoolExecutor(len(matrix)) as pool:
            found = [problem for problems in pool.map(problems, matrix) for problem in problems]
    counted("a trickle", len(matrix))
    assert not found, "\n".join(found)
