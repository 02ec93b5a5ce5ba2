"""Scenarios: an event with an image, every fault of its calls, and what may be wrong with the outcome.

A scenario is an event, an image, a depth and an `on_failure`. Each of the calls that it makes without a fault is made
again with each fault, once and for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product

from tests.faults.faulty_aws import SECRETS, FaultyAws, World
from tests.faults.wire import FAULTS, Fault
from tests.faults.worlds import GOOD, LogOfThread, Outcome, attestation, gone, good, incomplete, index, record, run

# How long the Lambda may run: a fault that passes leaves most of it, and one that lasts takes all of it.
SECONDS = 60.0
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


SCENARIOS = [
    Scenario("Create", good, UNTAG),
    Scenario("Create", index, UNTAG),
    Scenario("Create", good, {"VerifyLayers": "true", **UNTAG}),
    Scenario("Create", incomplete, UNTAG),
    Scenario("Create", gone, UNTAG),
    Scenario("Create", attestation),
    Scenario("Create", attestation, UNTAG),
    *(
        Scenario(kind, image, recorded=recorded)
        for kind, image, recorded in product(("Update", "Rollback"), (good, attestation, gone), (True, False))
    ),
    Scenario("Delete", gone),
]


@dataclass(frozen=True)
class Case:
    """A scenario with a fault of one of its calls.

    :param n: the number of the call that has the fault; -1 stands for every one.
    """

    scenario: Scenario
    call: str
    n: int
    fault: Fault

    def problems(self, server: FaultyAws, log: LogOfThread, seconds: float) -> list[str]:
        """Run it: the defects of the outcome, as lines."""
        world, outcome = self.scenario.run(server, log, seconds, self.call, self.n, self.fault)
        often = "once" if self.n == 0 else "for ever"
        found = _problems(self.scenario, self.call, self.n, self.fault, world, outcome)
        return [f"{self.scenario.name}, {self.call} with {self.fault.name} {often}: {problem}" for problem in found]


def calls(scenario: Scenario, server: FaultyAws, log: LogOfThread) -> list[str]:
    """The calls of a scenario that no other one has, in a run without a fault, which must have the right verdict."""
    world, outcome = scenario.run(server, log, SECONDS)
    assert outcome.verdict == scenario.verdict, outcome
    own = "layer" if "VerifyLayers" in scenario.more else _OWN_CALL.get(scenario.kind)
    return [own] if own else sorted(world.calls)


def cases(scenario: Scenario, n: int, server: FaultyAws, log: LogOfThread) -> list[Case]:
    """A scenario with every fault of its calls.

    :param n: the number of the call that has the fault; -1 stands for every one.
    """
    return [Case(scenario, call, n, fault) for call, fault in product(calls(scenario, server, log), FAULTS)]


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
