"""Scenarios: an event with an image, every fault of its calls, and what may be wrong with the outcome.

A scenario is an event, an image, a depth and an `on_failure`. Each of the calls that it makes without a fault is made
again with each fault, once and for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from itertools import product

from tests.faults.faulty_aws import SECRETS, FaultyAws, World
from tests.faults.wire import FAULTS, TRICKLE, Fault
from tests.faults.worlds import GOOD, LogOfThread, Outcome, attestation, good, incomplete, record, run

# A fault that passes leaves all the time that there is; one that lasts takes all of it.
LONG = 120.0
_SHORT, _SENDING = 11.6, 3.5
_AT_ONCE = 24
UNTAG = {"OnFailure": "untag"}
# The call that a scenario has and no other; all of its calls where none is listed.
_OWN_CALL = {"Update": "DescribeStacks", "Rollback": "DescribeStacks", "Delete": "response"}


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

    @property
    def verdict(self) -> str:
        """The verdict without a fault."""
        passes = self.kind in ("Delete", "Rollback") or self.image in GOOD
        return "pass" if passes else "refused"

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


def _cases(scenario: Scenario, server: FaultyAws, log: LogOfThread) -> Iterator[tuple[str, int, Fault]]:
    world, outcome = scenario.run(server, log, LONG)
    assert outcome.verdict == scenario.verdict, outcome
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
    expected, verdict = scenario.verdict, outcome.verdict
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


def problems(scenario: Scenario, server: FaultyAws) -> str:
    """The defects of the outcomes of all faults of a scenario, as lines; empty if there is none."""

    def check(case: tuple[str, int, Fault]) -> list[str]:
        call, n, fault = case
        seconds = LONG if n == 0 else _SHORT if call != "response" else _SENDING
        world, outcome = scenario.run(server, log, seconds, call, n, fault)
        often = "once" if n == 0 else "for ever"
        return [f"{call} with {fault.name} {often}: {it}" for it in _problems(scenario, call, n, fault, world, outcome)]

    log = LogOfThread()
    with redirect_stdout(log), ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(check, _cases(scenario, server, log)))
    found = [problem for result in results for problem in result]
    return f"{len(found)} problems in {len(results)} cases:\n" + "\n".join(found) if found else ""
