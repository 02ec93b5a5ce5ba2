"""Keeps fixes from what runs: a tag that a service or function of the account runs is not removed.

Images are compared by digest, the parents and children of an index included. Where the account cannot be read, only
what no runtime at all can pull is removed. Where it can, an image that some runtime can pull loses its tag and is not
deleted: scheduled tasks, other accounts and other regions may run it by digest, and were not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from image_verifier.custom_resource.verified_digests import verified_digests
from image_verifier.deletion import GONE, policies_of_every_runtime
from image_verifier.faults import Fault
from image_verifier.retry import RetryBudget
from image_verifier.running.ecs_uses import uses_in_ecs
from image_verifier.running.image_use import ImageUse
from image_verifier.running.indexes import IndexReader
from image_verifier.running.lambda_uses import uses_in_lambda

from ..sources.aws_sessions import AwsSessions, Endpoint
from .fixes import Fix
from .remove_tag import RemoveTag

_RETRY_SECONDS: Final = 30.0
_NOT_LOOKED_AT: Final = "Other accounts and regions were not looked at."


@dataclass
class Spared:
    """The fixes that may be applied, and messages about the others.

    :param fixes: the fixes.
    :param messages: one for each image that is kept, and one for each place with the result of looking there.
    :param is_any_kept: whether an image is kept.
    """

    fixes: list[Fix] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    is_any_kept: bool = False


def spare_running(fixes: Iterable[Fix], sessions: AwsSessions) -> Spared:
    """The fixes without those that would remove an image that runs.

    :param fixes: the fixes.
    :param sessions: the AWS sessions, which look at their own account, in the region of each image.
    """
    spared = Spared()
    places: dict[tuple[str, str], _Place | Fault] = {}
    for fix in fixes:
        if not isinstance(fix, RemoveTag):
            spared.fixes.append(fix)
            continue
        key = (fix.names.registry_id, fix.names.region)
        if key not in places:
            places[key] = _look(sessions, *key)
            spared.messages.append(_looked(places[key], *key))
        try:
            found = _spare(fix, places[key])
        except Fault as fault:
            found = f"it could not be read again: {fault.text}"
        if isinstance(found, RemoveTag):
            spared.fixes.append(found)
        else:
            spared.is_any_kept = True
            spared.messages.append(f"Kept: the tag {fix.names.tag} of {fix.names.repository} ({fix.digest}): {found}")
    return spared


@dataclass(frozen=True)
class _Place:
    """The images that run in one account and region."""

    images: Sequence[ImageUse]


def _look(sessions: AwsSessions, account: str, region: str) -> _Place | Fault:
    try:
        own = sessions.account(region)
        if own != account:
            return Fault(f"the credentials belong to account {own}")
        endpoint = Endpoint(region)
        in_ecs = uses_in_ecs(sessions.client("ecs", endpoint))
        return _Place([*in_ecs, *uses_in_lambda(sessions.client("lambda", endpoint))])
    except Fault as fault:
        return fault


def _looked(place: _Place | Fault, account: str, region: str) -> str:
    where = f"account {account} in {region}"
    if isinstance(place, Fault):
        return (
            f"The images that run in {where} are not known, so only images that no runtime can pull are removed: "
            f"{place.text} {_NOT_LOOKED_AT}"
        )
    number = len({image.user for image in place.images})
    return (
        f"Looked at what the ECS services, ECS tasks and Lambda functions of {where} run ({number} with images). "
        f"{_NOT_LOOKED_AT}"
    )


def _spare(fix: RemoveTag, place: _Place | Fault) -> RemoveTag | str:
    """The fix, as it may be applied; or why its tag is kept."""
    others = policies_of_every_runtime(verify_layers=any(policy.verify_layers for policy in fix.policies))
    careful = replace(fix, policies=(*fix.policies, *others), keeps_manifest=False)
    if isinstance(place, _Place):
        try:
            if fix.digest in _verified_by(fix):
                return "the stack that refused it has verified it before, and may run it"
            spared = _unless_it_runs(fix, place.images)
        except Fault:
            # Without the stack's records or the indexes of the repository, it is not known which images run.
            pass
        else:
            if isinstance(spared, str) or spared.keeps_manifest:
                return spared
            return careful if careful.reason_to_keep() in ("", GONE) else replace(fix, keeps_manifest=True)
    reason = careful.reason_to_keep()
    return careful if reason in ("", GONE) else f"{reason}, and what runs is not known"


def _verified_by(fix: RemoveTag) -> set[str]:
    """The digests that the stack has recorded as good ones; none where no stack is known."""
    if not fix.stack:
        return set()
    client = fix.sessions.client("cloudformation", Endpoint(fix.stack.split(":")[3]))
    return verified_digests(client, fix.stack, RetryBudget.of(_RETRY_SECONDS))


def _unless_it_runs(fix: RemoveTag, images: Sequence[ImageUse]) -> RemoveTag | str:
    repository, reference = f"/{fix.names.repository}", f"/{fix.names.repository}:{fix.names.tag}"
    references = (reference, repository) if fix.names.tag == "latest" else (reference,)
    own = [image for image in images if image.digest and repository in image.reference]
    reader = IndexReader(fix.client, fix.repository_arn)
    manifests = reader.read([fix.digest, *(image.digest for image in own)])
    family = manifests.family(fix.digest)
    for image in images:
        is_unresolved = not image.digest and image.reference.endswith(references)
        if image.digest in family or is_unresolved:
            return f"{image.user} runs it"
    holds = any(fix.digest in manifests.family(image.digest) for image in own)
    return replace(fix, keeps_manifest=True) if holds else fix
