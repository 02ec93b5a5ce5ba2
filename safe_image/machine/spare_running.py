"""Keeps fixes from what runs: a tag that a service or function of the account runs is not removed.

Images are compared by digest, the parents and children of an index included. Where the account cannot be read, only
what no runtime at all can pull is removed. Where it can, an image that some runtime can pull loses its tag and is not
deleted: scheduled tasks, other accounts and other regions may run it by digest, and were not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from image_verifier import aws
from image_verifier.custom_resource.verified_digests import verified_digests
from image_verifier.deletion import GONE, policies_of_every_runtime
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import MAX_INDEX_DEPTH, is_digest
from image_verifier.retry import RetryBudget

from ..sources.aws_sessions import AwsSessions, Endpoint
from ..sources.running_images import RunningImage, running_images
from .fixes import Fix
from .remove_tag import RemoveTag

_RETRY_SECONDS: Final = 30.0
# The maximum of BatchGetImage.
_BATCH: Final = 100
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

    images: Sequence[RunningImage]


def _look(sessions: AwsSessions, account: str, region: str) -> _Place | Fault:
    try:
        own = sessions.account(region)
        if own != account:
            return Fault(f"the credentials belong to account {own}")
        return _Place(running_images(sessions, region))
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


def _unless_it_runs(fix: RemoveTag, images: Sequence[RunningImage]) -> RemoveTag | str:
    repository, reference = f"/{fix.names.repository}", f"/{fix.names.repository}:{fix.names.tag}"
    references = (reference, repository) if fix.names.tag == "latest" else (reference,)
    own = [image for image in images if image.digest and repository in image.reference]
    children = _children(fix, [fix.digest, *(image.digest for image in own)])
    family = {fix.digest, *_descendants(fix.digest, children)}
    for image in images:
        is_unresolved = not image.digest and image.reference.endswith(references)
        if image.digest in family or is_unresolved:
            return f"{image.user} runs it"
    holds = any(fix.digest in _descendants(image.digest, children) for image in own)
    return replace(fix, keeps_manifest=True) if holds else fix


def _descendants(digest: str, children: Mapping[str, Sequence[str]]) -> set[str]:
    """The manifests of an index, and of the indexes in it."""
    found: set[str] = set()
    waiting = list(children.get(digest, ()))
    while waiting:
        child = waiting.pop()
        if child not in found:
            found.add(child)
            waiting += children.get(child, ())
    return found


def _children(fix: RemoveTag, digests: Iterable[str]) -> dict[str, list[str]]:
    """The manifests that each index references, by its digest; the indexes in indexes are included.

    :raises Fault: if a manifest cannot be read.
    """
    children: dict[str, list[str]] = {}
    waiting = [digest for digest in dict.fromkeys(digests) if is_digest(digest)]
    for _ in range(MAX_INDEX_DEPTH):
        inner: dict[str, None] = {}
        for start in range(0, len(waiting), _BATCH):
            for digest, content in _documents(fix, waiting[start : start + _BATCH]).items():
                described = _descriptors(content)
                children[digest] = [str(one.get("digest")) for one in described]
                indexes = (str(one.get("digest")) for one in described if one.get("mediaType") in media_types.INDEXES)
                inner.update(dict.fromkeys(indexes))
        waiting = [digest for digest in inner if digest not in children and is_digest(digest)]
    return children


def _documents(fix: RemoveTag, digests: Sequence[str]) -> dict[str, str]:
    """The manifests by their digests, but for those that the repository does not have."""
    names, arn = fix.names, fix.repository_arn
    answer = aws.call(
        fix.client,
        "batch_get_image",
        arn,
        RetryBudget.of(_RETRY_SECONDS),
        registryId=names.registry_id,
        repositoryName=names.repository,
        imageIds=[{"imageDigest": digest} for digest in digests],
        acceptedMediaTypes=list(media_types.ACCEPTED),
    )
    found = {image["imageId"]["imageDigest"]: image["imageManifest"] for image in answer.get("images", ())}
    failures: Sequence[Any] = answer.get("failures", ())
    absent = {
        one.get("imageId", {}).get("imageDigest") for one in failures if one.get("failureCode") == "ImageNotFound"
    }
    if set(digests) - set(found) - absent:
        raise Fault(f"ecr:BatchGetImage on {arn} did not return all of {len(digests)} manifests", aws.UNKNOWN_ADVICE)
    return found


def _descriptors(content: str) -> list[Mapping[str, Any]]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return []
    manifests = document.get("manifests") if isinstance(document, dict) else None
    return [one for one in manifests if isinstance(one, dict)] if isinstance(manifests, list) else []
