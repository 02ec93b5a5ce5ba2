"""Probes of the leftovers of earlier builds: images that CDK pushes again unbuilt, and ECR tags on attestations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from image_verifier import aws
from image_verifier.deletion import policies_of_every_runtime, reason_to_keep
from image_verifier.pool import Pool
from image_verifier.retry import RetryBudget
from image_verifier.rules.names import Names
from image_verifier.sources import Source
from image_verifier.sources.ecr_image import EcrImage
from image_verifier.verify import verify

from ..sources.aws_sessions import AwsSessions, Endpoint
from .build_probes import RACE
from .diagnosis import Diagnosis, Status
from .docker import BuildEngine, Docker, DockerImage
from .fixes import Fix, RemoveLocalImage
from .remove_tag import RemoveTag

_NEVER_REPAIRED: Final = "https://github.com/aws/aws-cdk/issues/33264"
# Every application's image is larger; smaller ones are verified. An attestation has some ten KB.
_SMALL: Final = 1 << 20
_MOST_LOOKED_AT: Final = 200
_AT_ONCE: Final = 8
_LISTED: Final = 5
# The tags that CDK makes: an asset's hash, behind the prefix of the stack's synthesizer. Other tags are not CDK's.
# https://docs.aws.amazon.com/cdk/v2/guide/configure-synth.html, dockerTagPrefix
_CDK_TAG: Final = re.compile(r"(?!sha256-)[A-Za-z0-9._-]*[0-9a-f]{64}")


def probe_local_images(docker: Docker, engine: BuildEngine | None) -> Iterator[Diagnosis]:
    """The images that CDK keeps on this machine, and whether they have an attestation.

    :param docker: the engine's command.
    :param engine: the engine; None where no engine answers.
    """
    subject = "images that CDK keeps here"
    if engine is None:
        return
    images = docker.cdk_images()
    doubtful = [i for i in images if i.is_index or (engine.is_containerd_store and not i.media_type)]
    if not doubtful:
        yield Diagnosis(subject, Status.OK, f"{len(images)}, none with an attestation")
        return
    what = "have an attestation" if all(i.is_index for i in doubtful) else "may have an attestation"
    yield Diagnosis(
        subject,
        Status.WARNING if engine.races is False else Status.ERROR,
        f"{len(doubtful)} of {len(images)} {what}, and CDK pushes them again without a build: {_some(doubtful)}",
        _NEVER_REPAIRED,
        fixes=tuple(RemoveLocalImage(docker, image.name) for image in doubtful),
    )


def _some(images: list[DockerImage]) -> str:
    names = [f"{image.name[:21]}…" for image in images[:_LISTED]]
    return ", ".join(names) + (f" and {len(images) - _LISTED} more" if len(images) > _LISTED else "")


def probe_repository(sessions: AwsSessions, qualifier: str, engine: BuildEngine | None) -> Iterator[Diagnosis]:
    """The bootstrap repository of the account, and its tags that do not point at an image.

    :param sessions: the AWS sessions.
    :param qualifier: the qualifier of the CDK bootstrap.
    :param engine: the engine; None where no engine answers.
    """
    here = sessions.environment()
    name = f"cdk-{qualifier}-container-assets-{here.account}-{here.region}"
    client = sessions.client("ecr", Endpoint(here.region))
    missing = ("RepositoryNotFoundException",)
    answer = aws.call(client, "describe_repositories", name, RetryBudget.of(10), missing, repositoryNames=[name])
    if not answer:
        yield Diagnosis(
            "bootstrap repository",
            Status.OK,
            f"{name} does not exist: cdk bootstrap has not run in this account and region",
        )
        return
    (repository,) = answer["repositories"]
    immutable = str(repository.get("imageTagMutability", "")).startswith("IMMUTABLE")
    if immutable and engine and engine.races:
        message = f"{name} has immutable tags, and this machine's Docker pushes more than one manifest to a tag"
        yield Diagnosis("bootstrap repository", Status.ERROR, message, RACE)
    else:
        yield Diagnosis("bootstrap repository", Status.OK, f"{name} has {'im' * immutable}mutable tags")
    yield _poisoned(sessions, repository)


def _poisoned(sessions: AwsSessions, repository: Mapping[str, Any]) -> Diagnosis:
    """CDK's tags that do not point at an image. Only images that are too small to be one are verified."""
    name, arn, uri = repository["repositoryName"], repository["repositoryArn"], repository["repositoryUri"]
    _, _, _, region, account, _ = arn.split(":", 5)
    client = sessions.client("ecr", Endpoint(region))
    small = list(_small_tags(client, name, account))

    def fix_for(tag: str) -> Fix | None:
        names = Names(f"{uri}:{tag}", region, account, name, tag)

        def open_() -> Source:
            return EcrImage(client, repository_arn=arn, repository_uri=uri, tag=tag, retry_budget=RetryBudget.of(30))

        # Which runtimes the image is for is not known here: only what none of all can pull is removed.
        policies = policies_of_every_runtime(verify_layers=False)
        reports = [verify(open_(), policy) for policy in policies]
        top = reports[0].image.top
        wrong = any(finding.id == "not-an-image" for finding in reports[0].errors)
        if top is None or not wrong or reason_to_keep(reports, tag):
            return None
        return RemoveTag(sessions, names, top.digest, open_, policies)

    with Pool(_AT_ONCE) as pool:
        fixes = tuple(fix for fix in pool.results(fix_for, small[:_MOST_LOOKED_AT]) if fix)
    more = (
        f" (verified: the first {_MOST_LOOKED_AT} of {len(small)} small images)" if len(small) > _MOST_LOOKED_AT else ""
    )
    if not fixes:
        return Diagnosis("tags", Status.OK, f"no tag of {name} points at an attestation{more}")
    return Diagnosis(
        "tags",
        Status.ERROR,
        f"{len(fixes)} of {name} {'does' if len(fixes) == 1 else 'do'} not point at an image, and CDK considers "
        f"{'it' if len(fixes) == 1 else 'them'} published{more}",
        _NEVER_REPAIRED,
        fixes=fixes,
    )


def _small_tags(client: Any, name: str, account: str) -> Iterator[str]:
    pages = aws.pages(
        client,
        "describe_images",
        f"the repository {name}",
        lambda: RetryBudget.of(30),
        registryId=account,
        repositoryName=name,
        maxResults=1000,
        filter={"tagStatus": "TAGGED"},
    )
    for image in (image for page in pages for image in page["imageDetails"]):
        if image.get("imageSizeInBytes", 0) < _SMALL:
            yield from filter(_CDK_TAG.fullmatch, image.get("imageTags", ()))
