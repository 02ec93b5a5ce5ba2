"""From an incident to its diagnosis: each failure explained, and its image checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from image_verifier.faults import Fault
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.rules.names import Names

from ..errors import UsageError
from ..explanations.explanation import Explanation, Verification, explain, settle, verified
from ..sources.targets import TargetResolver
from .incident import Failure, Incident


@dataclass(frozen=True)
class ExplainedFailure:
    """One failure, explained.

    :param failure: what failed.
    :param explanation: what its text means.
    :param verification: the check of its image; None where there is no image.
    """

    failure: Failure
    explanation: Explanation
    verification: Verification | None


def explain_failures(
    incident: Incident, resolver: TargetResolver, reads_layers: Callable[[str], bool]
) -> tuple[ExplainedFailure, ...]:
    """Explain each failure of an incident, and check its image.

    :param incident: what failed.
    :param resolver: opens images.
    :param reads_layers: whether the layers of the image of a reference are read.
    """
    return tuple(
        _diagnosis(failure, incident, resolver, layers=reads_layers(failure.reference)) for failure in incident.failures
    )


def _diagnosis(failure: Failure, incident: Incident, resolver: TargetResolver, *, layers: bool) -> ExplainedFailure:
    try:
        policy = Policy((incident.runs_on,), Platform.parse(incident.platform), verify_layers=layers)
        target = resolver.target(failure.reference, str(policy.platform)) if failure.image else None
    except (UsageError, ValueError) as e:
        # The reference is the one of a task definition, and may be what is wrong.
        policy, target = Policy((incident.runs_on,), Platform.parse("linux/amd64")), None
        unreadable = Verification(None, Fault(str(e)), None) if failure.image else None
        return ExplainedFailure(failure, explain(failure.text, failure.reference, policy, Names()), unreadable)
    names = target.names if target else Names()
    explanation = explain(failure.text, failure.reference, policy, names)
    verification = verified(target, policy, explanation) if target else None
    return ExplainedFailure(failure, settle(explanation, verification), verification)
