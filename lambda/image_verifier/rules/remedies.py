"""How a finding is fixed: the advice, and the commands, filled in with the image's own names.

A remedy follows from what was found and from how the image was built. A line that begins with `$ ` is a command to run
as it stands, in bash or zsh. A long command is made of parts that end in `;` or `&&`: it also runs with its parts on
lines of their own, with any white space between them, and a second time. Its parts are in an order in which the CDK
CLI's last block shows no empty row: a wide part comes before one whose first word is long (see custom_resource/layout).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from ..image.media_types import DOCKER_LAYER_ZSTD
from ..image.references import rejected_tag
from ..report import Finding
from .advice import ADVICE
from .advice.row import Then
from .artifacts import ATTESTATION, BUILD_CACHE
from .names import BuildOutputs, Names

_CUSTOM: Final = (BuildOutputs.CUSTOM, BuildOutputs.CUSTOM_UNHASHED)
# Findings about what the build's outputs decide: attestations, media types and compression.
_OF_OUTPUTS: Final = frozenset(
    {"not-an-image", "index-not-taken", "manifest-type-refused", "layer-type-unsupported", "layer-type-doubtful"}
)
_OF_PLATFORM: Final = frozenset({"platform-missing", "platform-mismatch"})
_PLATFORM: Final = (
    "Set platform= of {construct} to {platform}, and remove --platform from the last FROM of the Dockerfile."
)
# The advice for an image that CDK builds, where another pipeline has an option of its build.
_OF_ASSETS: Final = {
    "platform-missing": _PLATFORM,
    "platform-mismatch": _PLATFORM,
    "layer-corrupt": "Set cache_disabled=True on {construct}: the build cache has a corrupt layer.",
}
# What a row of a reason has in the log, where a command is indented.
_COLUMNS: Final = 113
# The values that a finding about the command found, where it is not a missing permission.
FOLDER: Final = "a folder"
RELATIVE_PATH: Final = "a path relative to the working directory"
_ENTRYPOINT_PROBLEMS: Final = {
    FOLDER: "Set ENTRYPOINT or CMD to a program: the path is a folder in the image.",
    RELATIVE_PATH: ("Set ENTRYPOINT or CMD to an absolute path, or use only absolute folders in PATH."),
}


def remedy(finding: Finding, names: Names) -> tuple[str, ...]:
    """How to fix a finding: one line for each step, commands filled in.

    :param finding: the finding.
    :param names: the image's own names.
    """
    text, then = _advice(finding, names)
    architecture = names.platform.split("/")[1] if "/" in names.platform else names.platform
    construct = names.construct or "the construct"
    expected = finding.expected or "one that the runtime documents"
    # The deploy builds and pushes an image of CDK.
    push = "" if names.is_built_by_cdk else ", and push it with docker, crane or skopeo"
    filled = text.format(
        platform=names.platform, architecture=architecture, construct=construct, expected=expected, push=push
    )
    now, *build = filled.split("\n")
    commands = (*(build if push else ()), *_commands(finding, names))
    after = _afterwards(then, names, is_pushed=bool(commands))
    return (now if commands else _without_colon(now), *commands, *after)


def prevention(finding: Finding, names: Names) -> str:
    """How to fix a finding for good.

    :param finding: the finding.
    :param names: the image's own names.
    """
    if _depends_on_outputs(finding) and names.outputs in _CUSTOM:
        return "Leave out outputs=, or keep attestation-inline=false and oci-mediatypes=true in it."
    is_replaced = _depends_on_outputs(finding) or finding.id in _OF_PLATFORM
    if is_replaced and names.outputs is not BuildOutputs.UNKNOWN:
        return "Run safe-image preflight before each deploy. It finds rejected tags, and stale copies of images."
    return ADVICE[finding.id].prevention


def way_to_green(finding: Finding, names: Names) -> Then:
    """The way from a finding to a deploy that succeeds: a new build, a change, or only a deploy.

    :param finding: the finding.
    :param names: the image's own names.
    """
    return _advice(finding, names)[1]


def _without_colon(text: str) -> str:
    return f"{text[:-1]}." if text.endswith(":") else text


def _depends_on_outputs(finding: Finding) -> bool:
    """Whether other outputs of the build avoid the finding. They decide no other layer type than that of zstd."""
    if finding.id == "layer-type-unsupported":
        return finding.found in ("", DOCKER_LAYER_ZSTD)
    return finding.id in _OF_OUTPUTS


def _advice(finding: Finding, names: Names) -> tuple[str, Then]:
    """The text of the remedy now, and what follows it."""
    row = ADVICE[finding.id]
    if _is_other_artifact(finding):
        return _other_artifact(finding)
    if _is_not_deployed_yet(finding, names):
        return "Deploy: CDK builds and pushes the image. To find stale images that it would reuse:", Then.DEPLOY
    if finding.id == "entrypoint-not-executable" and finding.found in _ENTRYPOINT_PROBLEMS:
        return _ENTRYPOINT_PROBLEMS[finding.found], row.then
    if finding.id == "layer-type-unsupported" and not _depends_on_outputs(finding):
        return _other_layer_type(finding), row.then
    if _depends_on_outputs(finding) and (advice := _advice_of_outputs(names)):
        return advice
    if finding.id in _OF_PLATFORM and names.outputs is not BuildOutputs.UNKNOWN:
        return (
            "Build the image anew: {construct} builds for {platform}, so CDK pushed a copy of another platform that "
            "the build machine had. If the last FROM of the Dockerfile has --platform, remove it there first.",
            Then.REPLACE,
        )
    if names.is_built_by_cdk and finding.id in _OF_ASSETS:
        return _OF_ASSETS[finding.id], row.then
    return row.now, row.then


def _advice_of_outputs(names: Names) -> tuple[str, Then] | None:
    """The advice about the outputs of the build; None where they are another pipeline's: the finding's row has it."""
    if names.outputs is BuildOutputs.CUSTOM:
        return "Remove outputs= from {construct}: its default outputs make no such image.", Then.REBUILD
    if names.outputs is BuildOutputs.CUSTOM_UNHASHED:
        return (
            "Remove outputs= and invalidation= from {construct}: its default outputs make no such image, and the tag, "
            "which leaves outputs out, would stay.",
            Then.REBUILD,
        )
    if names.outputs is BuildOutputs.DEFAULT:
        return (
            "Build the image anew. The build of {construct} does not cause this: the image is from an earlier build or "
            "another tool, or CDK pushed the copy that the build machine had.",
            Then.REPLACE,
        )
    if names.is_built_by_cdk:
        return (
            "Build the image with SafeDockerImageAsset or SafeImages, whose builds make no such image. If they build it"
            " already, an earlier build or another tool made this one.",
            Then.REPLACE,
        )
    return None


def _other_layer_type(finding: Finding) -> str:
    if finding.found.endswith("+encrypted"):
        return "Push the image without encryption: the runtimes have no key for its layers."
    return "Build the image with layers of the types OCI gzip, OCI zstd or Docker gzip{push}."


def _is_other_artifact(finding: Finding) -> bool:
    """Whether the tag points at something that a build does not push beside an image."""
    return finding.id == "not-an-image" and finding.found not in ("", ATTESTATION)


def _other_artifact(finding: Finding) -> tuple[str, Then]:
    if finding.found == BUILD_CACHE:
        return "Set another tag for the build cache (ref= of --cache-to), and push the image again.", Then.REPLACE
    found = finding.found.replace("{", "{{").replace("}", "}}")
    return f"Reference the image's own tag or digest, not {found}. To list the repository's tags:", Then.DEPLOY


def _is_not_deployed_yet(finding: Finding, names: Names) -> bool:
    """Whether an image is missing because CDK pushes it only during the deploy."""
    return finding.id == "image-missing" and bool(names.assembly)


def _commands(finding: Finding, names: Names) -> Iterator[str]:
    """The commands that belong to the advice itself."""
    if _is_not_deployed_yet(finding, names):
        yield f"$ safe-image preflight {shlex.quote(names.assembly)}"
        return
    if not names.repository:
        return
    if finding.id == "image-archived":
        image = f"imageTag={shlex.quote(names.tag)}" if names.tag else f"imageDigest={names.digest}"
        restore = "ecr update-image-storage-class --image-id $IMAGE --target-storage-class $STORAGE_CLASS"
        yield _script(_ecr(names), f"IMAGE={image}", "STORAGE_CLASS=STANDARD", restore)
    elif finding.id == "image-missing" or (_is_other_artifact(finding) and finding.found != BUILD_CACHE):
        tags = 'ecr list-images --filter tagStatus=TAGGED --query "$QUERY" --output text'
        yield _script(_ecr(names), "QUERY='imageIds[].imageTag'", tags)


def _afterwards(then: Then, names: Names, *, is_pushed: bool) -> Iterator[str]:
    """The steps after the advice.

    :param is_pushed: whether the advice has commands that push the image, where CDK does not build it.
    """
    if then is Then.DEPLOY:
        yield from ("Then deploy again.",) * (not names.assembly and bool(names.construct or names.is_built_by_cdk))
    elif not names.is_built_by_cdk:
        if then is Then.REPLACE and (keep := _keep_under_another_tag(names)):
            yield "Where the tag is immutable, the push fails. Free the tag first (the rejected image gets another):"
            yield keep
            yield "Then push again."
        elif then is Then.REBUILD and not is_pushed:
            yield "Then build and push the image again."
    elif then is Then.REBUILD:
        yield "Then deploy again, since the change gives the image a new tag."
    else:
        yield from _replace(names)
        yield "Then deploy again, so that CDK builds and pushes the image anew."


def _replace(names: Names) -> Iterator[str]:
    """Remove both things that keep CDK from building: the rejected tag, and the built image on this machine."""
    keep, by_hand = _keep_under_another_tag(names), "Or by hand: " if names.stack else ""
    if names.stack:
        yield "Run this command, then deploy again:"
        heal, stack = "safe-image heal --stack {} --region " + names.stack_region, shlex.quote(names.stack)
        whole = heal.format(stack)
        yield f"$ {whole}" if len(whole) <= _COLUMNS else _script(f"STACK={stack}", heal.format("$STACK"))
    if keep:
        # CDK treats a tag that exists as published and never repairs it:
        # https://github.com/aws/aws-cdk/issues/33264
        yield f"{by_hand}Free the tag (the image gets another):"
        yield keep
    # CDK pushes an image of this name again without building it. Another machine, such as that of a pipeline, need not
    # have it.
    yield f"{'' if keep else by_hand}On the build machine, remove CDK's copy:"
    yield f"$ ${{CDK_DOCKER:-docker}} image rm {shlex.quote(names.local_image)} || true"


def _keep_under_another_tag(names: Names) -> str:
    """The command that gives the stored image a second tag, and then removes the first.

    ECR deletes an image with its last tag, and refuses that where an index references the image. With a second tag
    nothing is deleted, and the first can always be removed:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-retag.html
    """
    if names.untagged or not (names.repository and names.tag and names.digest):
        return ""
    return _script(
        _ecr(names),
        f"IMAGE={names.digest}",
        f"KEEP={rejected_tag(names.digest)}",
        f"TAG={shlex.quote(names.tag)}",
        "MANIFEST=$(ecr batch-get-image --image-ids imageDigest=$IMAGE --query 'images[0].imageManifest' "
        "--output text)",
        'ecr put-image --image-tag $KEEP --image-digest $IMAGE --image-manifest "$MANIFEST" >/dev/null',
        # Also after a run that was interrupted, in which the second tag exists already.
        "STORED=imageTag=$KEEP,imageDigest=$IMAGE",
        "ecr describe-images --image-ids $STORED >/dev/null && "
        "ecr batch-delete-image --image-ids imageTag=$TAG,imageDigest=$IMAGE",
    )


def _ecr(names: Names) -> str:
    """A shell function that calls ECR for the image's repository, so that each command fits on a line."""
    return (
        f'ecr() {{ aws ecr "$@" --region {names.region} --registry-id {names.registry_id} --repository-name $REPO; }}; '
        f"REPO={shlex.quote(names.repository)}"
    )


def _script(*parts: str) -> str:
    return "$ " + "; ".join(parts)
