"""Every call of the verifier with every fault, once and for ever: one response, in time and true; nothing good deleted.

A scenario is an event, an image, a depth and an `on_failure`. Each of the calls that it makes without a fault is made
again with each fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
from image_verifier import aws

from tests.faults.faulty_aws import SECRETS, FaultyAws, World, faulty_aws
from tests.faults.wire import DEEP, FAULTS, TRICKLE, Fault
from tests.faults.worlds import (
    GOOD,
    LogOfThread,
    Outcome,
    attestation,
    gone,
    good,
    incomplete,
    index,
    record,
    run,
)

# A fault that passes leaves all the time that there is; one that lasts takes all of it.
_LONG, _SHORT, _SENDING = 120.0, 11.6, 3.5
_AT_ONCE = 24
CERTIFICATE = Path(__file__).parent.parent / "unit" / "certificates" / "self-signed.pem"


@dataclass(frozen=True)
class Scenario:
    """An event.

    :param kind: `Create`, `Update`, `Delete`, or `Rollback`: an Update while the stack rolls back.
    :param image: makes the image.
    :param more: the properties that it has besides.
    :param recorded: whether the physical ID has a record of the image with these properties.
    """

    kind: str
    image: Callable[[World], None]
    more: dict[str, str] = field(default_factory=dict)
    recorded: bool = False

    @property
    def name(self) -> str:
        record = " with a record" * self.recorded
        return f"{self.kind} of {self.image.__name__} {''.join(sorted(self.more.values()))}{record}"

    def run(
        self,
        server: FaultyAws,
        log: LogOfThread,
        seconds: float,
        call: str = "",
        n: int = -1,
        fault: Fault | None = None,
        front: FaultyAws | None = None,
    ) -> tuple[World, Outcome]:
        """Run it, with a fault of the n-th such call, or of every one.

        :param front: the server of AWS's APIs, if that is another than that of the blobs.
        """
        world = server.world()
        if front:
            front.adopt(world)
        self.image(world)
        world.status = {"Rollback": "UPDATE_ROLLBACK_IN_PROGRESS"}.get(self.kind, f"{self.kind.upper()}_IN_PROGRESS")
        if fault:
            world.faults[call, n] = fault
        kind = "Update" if self.kind == "Rollback" else self.kind
        physical = (
            None if kind == "Create" else record(world, "sha256:" + "1" * 64, **self.more) if self.recorded else "[]"
        )
        return world, run(world, log, kind, seconds, physical, **self.more)


_UNTAG = {"OnFailure": "untag"}
_LAYERS = {"VerifyLayers": "true", **_UNTAG}
SCENARIOS = [
    *(Scenario("Create", image, _UNTAG) for image in (good, index, attestation, incomplete, gone)),
    Scenario("Create", attestation),
    Scenario("Create", good, _LAYERS),
    *(
        Scenario(kind, image, recorded=recorded)
        for kind, image, recorded in product(("Update", "Rollback"), (good, attestation, gone), (True, False))
    ),
    Scenario("Delete", gone),
]
# The call that a scenario has and no other; all of its calls where none is listed.
_OWN_CALL = {"Update": "DescribeStacks", "Rollback": "DescribeStacks", "Delete": "response"}


def _expected(scenario: Scenario) -> str:
    if scenario.kind in ("Delete", "Rollback"):
        return "pass"
    return "pass" if scenario.image in GOOD else "refused"


def _cases(scenario: Scenario, server: FaultyAws, log: LogOfThread) -> Iterator[tuple[str, int, Fault]]:
    world, outcome = scenario.run(server, log, _LONG)
    assert outcome.verdict == _expected(scenario), outcome
    own = "layer" if "VerifyLayers" in scenario.more else _OWN_CALL.get(scenario.kind)
    for call in [own] if own else sorted(world.calls):
        yield from ((call, n, fault) for n, fault in product((0, -1), FAULTS))
        yield call, -1, TRICKLE


def _problems(scenario: Scenario, call: str, n: int, fault: Fault, world: World, outcome: Outcome) -> Iterator[str]:
    """The defects of an outcome."""
    if call == "response" and n == -1 and isinstance(outcome.error, TimeoutError):
        # CloudFormation is never reached, so the Lambda is to be run again.
        return
    if outcome.error:
        yield f"raised {outcome.error!r}"
    if len(set(outcome.bodies)) != 1:
        yield f"{len(set(outcome.bodies))} different responses"
        return
    if outcome.late:
        yield "responded too late"
    if len(outcome.bodies[0]) >= 4096:
        yield "a response that is too long"
    yield from _lies(scenario, call, n, fault, outcome)
    yield from _deletions(scenario, world, outcome)
    texts = [outcome.bodies[0].decode(), outcome.log, *world.published]
    for secret, text in product(SECRETS, texts):
        if secret in text:
            yield f"shows {secret}"


def _lies(scenario: Scenario, call: str, n: int, fault: Fault, outcome: Outcome) -> Iterator[str]:
    expected, verdict = _expected(scenario), outcome.verdict
    allowed = {expected}
    if n == -1 or not fault.transient:
        allowed.add("doubt")
    if call == "DescribeStacks" and "doubt" in allowed:
        # The stack cannot be told from one that rolls back.
        allowed |= {"pass"} if scenario.recorded or scenario.image is good else {"refused"}
        allowed -= {"doubt"} if scenario.recorded else set()
    if fault.name == "another answer" and n == -1 and call == "config":
        # Other bytes of the same size, however often they are requested: the registry may have no others.
        allowed.add("refused")
    if verdict not in allowed:
        yield f"{verdict} instead of {' or '.join(sorted(allowed))}: {outcome.response['Reason'][:300]!r}"


def _deletions(scenario: Scenario, world: World, outcome: Outcome) -> Iterator[str]:
    may = (
        scenario.kind == "Create"
        and scenario.image in (attestation, incomplete)
        and scenario.more.get("OnFailure") == "untag"
    )
    reason = " ".join(outcome.response["Reason"].split())
    if world.deleted and not may:
        yield "deleted something"
    if any(moment > outcome.answered for moment in world.deleted):
        yield "deleted something after the response"
    if world.deleted and "The tag was not removed" in reason:
        yield f"removed the tag and says that it did not: {reason}"
    if not world.deleted and " was removed from " in reason:
        yield f"removed no tag and says that it did: {reason}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_whatever_happens_to_a_call_there_is_one_true_response_in_time_and_nothing_good_is_deleted(
    server: FaultyAws, scenario: Scenario
) -> None:
    def check(case: tuple[str, int, Fault]) -> list[str]:
        call, n, fault = case
        seconds = _LONG if n == 0 else _SHORT if call != "response" else _SENDING
        world, outcome = scenario.run(server, log, seconds, call, n, fault)
        problems = _problems(scenario, call, n, fault, world, outcome)
        often = "once" if n == 0 else "for ever"
        return [f"{call} with {fault.name} {often}: {problem}" for problem in problems]

    log = LogOfThread()
    with redirect_stdout(log), ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(check, _cases(scenario, server, log)))
    problems = [problem for found in results for problem in found]
    assert not problems, f"{len(problems)} of {len(results)}:\n" + "\n".join(problems)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_without_a_fault_the_verdict_is_the_images(server: FaultyAws, scenario: Scenario) -> None:
    _, outcome = scenario.run(server, LogOfThread(), _LONG)
    assert outcome.verdict == _expected(scenario)


@pytest.mark.parametrize("call", ["BatchGetImage", "DescribeStacks"])
def test_json_that_is_too_deep_for_python_is_a_doubt(server: FaultyAws, call: str) -> None:
    kind = "Update" if call == "DescribeStacks" else "Create"
    _, outcome = Scenario(kind, gone).run(server, LogOfThread(), _LONG, call, -1, DEEP)
    assert outcome.verdict == ("refused" if kind == "Update" else "doubt")


@pytest.mark.parametrize("scenario", SCENARIOS[:5], ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("name", ["half a body", "half a body of no length"])
def test_a_tls_connection_that_ends_without_its_farewell_changes_no_verdict(
    server: FaultyAws, monkeypatch: pytest.MonkeyPatch, scenario: Scenario, name: str
) -> None:
    """OpenSSL reports it, and urllib3 reads it as the end of the body."""
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    calls = ("DescribeImages", "BatchGetImage", "GetDownloadUrlForLayer", "BatchCheckLayerAvailability")
    with faulty_aws(CERTIFICATE) as secured:
        monkeypatch.setenv("AWS_ENDPOINT_URL", secured.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))
        for call in calls:
            _, outcome = scenario.run(server, LogOfThread(), _LONG, call, 0, fault, secured)
            assert outcome.verdict == _expected(scenario), call
        aws.client.cache_clear()
