"""The demo's second part: images that are broken as users met them, and deploys that are refused."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.demo.cures import by_edit, by_hand, by_heal
from local_aws.demo.pasting import last_block
from local_aws.demo.session import ECR, Demo
from local_engines import base_images
from local_engines.containerd import PullError, StartError

_SECONDS_TO_FAIL = 10
# In an app, this builds the image as Docker does by default.
_NO_OUTPUTS = "outputs=[],"
_WITH_PROVENANCE = "with-provenance-"


@dataclass(frozen=True)
class BrokenDeploy:
    """A deploy that must be refused.

    :param title: heading of its rows in the table.
    :param story: how the image came to be broken, in one line.
    :param prepare: changes the app and builds the broken image; returns further arguments of `cdk deploy`.
    :param finding: id of the finding that the verifier must report.
    :param engine_message: part of containerd 1.7's message about the same image.
    :param cure: follows the printed remedy; returns whether each command succeeded.
    """

    title: str
    story: str
    prepare: Callable[[Demo, Path], list[str]]
    finding: str
    engine_message: str
    cure: Callable[[Demo, Path, str], bool]


def attestation_at_the_tag(demo: Demo, app: Path) -> list[str]:
    """Incident 1: the tag is on the attestation that a build with provenance pushed beside the image.

    The index is gone, as after the race in which ECR refused it.
    """
    repository = _poison(demo, app, max_tags=9)
    index = f"{_WITH_PROVENANCE}9"
    demo.aws.client("ecr").batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": index}])
    return []


def attestation_of_an_index(demo: Demo, app: Path) -> list[str]:
    """The tag is on an attestation that an index of the same repository references, so ECR keeps its last tag."""
    _poison(demo, app, max_tags=10)
    return []


def attestation_of_an_index_again(demo: Demo, app: Path) -> list[str]:
    """The same with another tag."""
    _poison(demo, app, max_tags=11)
    return []


def _poison(demo: Demo, app: Path, max_tags: int) -> str:
    """Leave the tag of an image that CDK has not built yet on an attestation; returns the repository.

    :param max_tags: a number that gives the image a tag of its own.
    """
    _edit(app / "example_app/autotag/autotag/tags.py", "MAX_TAGS = 8", f"MAX_TAGS = {max_tags}")
    demo.synth(app)
    repository, tag = demo.image(app, "AutotagImage")
    index_tag = f"{_WITH_PROVENANCE}{max_tags}"
    reference = f"{demo.aws.registry}/{repository}:{index_tag}"
    demo.engine.docker(
        "build", "--provenance=true", f"--build-arg=BASE_IMAGE={demo.python_base}", f"--tag={reference}",
        str(app / "example_app/autotag"),
    )  # fmt: skip
    user, password = demo.credentials()
    demo.engine.docker("login", f"--username={user}", "--password-stdin", demo.aws.registry, stdin=password.encode())
    demo.engine.docker("push", reference)
    ecr = demo.aws.client("ecr")
    index = _manifest(ecr, repository, imageTag=index_tag)
    attestation = next(
        child["digest"] for child in json.loads(index)["manifests"] if child["platform"]["os"] == "unknown"
    )
    ecr.put_image(
        repositoryName=repository, imageManifest=_manifest(ecr, repository, imageDigest=attestation), imageTag=tag
    )
    # The tag now exists, so CDK pushes nothing: as after the race in which the attestation took the tag.
    return repository


def zstd_in_a_docker_manifest(demo: Demo, app: Path) -> list[str]:
    """Incident 2: since CDK turns attestations off, the containerd image store pushes a zstd base as schema 2."""
    _edit(app / "example_app/autotag/autotag/tags.py", "MAX_TAGS = 8", "MAX_TAGS = 7")
    _edit(
        app / "example_app/stack.py",
        'build_args=self._base_image("python"),',
        f'build_args=self._base_image("python"),\n            {_NO_OUTPUTS}',
    )
    return []


def arm64_in_the_local_store(demo: Demo, app: Path) -> list[str]:
    """CDK pushes the `cdkasset-…` image that it finds in the local store, here one that was built for arm64."""
    dockerfile = app / "example_app/autotag/Dockerfile"
    # The base image brings the packages; this machine could not run the steps of an arm64 build.
    steps = [line for line in dockerfile.read_text().splitlines() if not line.startswith("RUN ")]
    dockerfile.write_text("\n".join(steps) + "\n")
    demo.synth(app)
    _, tag = demo.image(app, "AutotagImage")
    base = base_images.provide(demo.engine, base_images.PYTHON, "arm64")
    demo.engine.docker(
        "build", "--platform=linux/arm64", f"--build-arg=BASE_IMAGE={base}", f"--tag=cdkasset-{tag}",
        "--output=type=docker,attestation-inline=false,oci-mediatypes=true", str(app / "example_app/autotag"),
    )  # fmt: skip
    return []


BROKEN_DEPLOYS = (
    BrokenDeploy(
        "Incident 1: the tag is on an attestation",
        "a build with provenance left its attestation at the image's tag",
        attestation_at_the_tag,
        "not-an-image",
        "mismatched image rootfs and manifest layers",
        by_heal,
    ),
    BrokenDeploy(
        "Incident 2: zstd layers in a Docker manifest",
        f"the app sets {_NO_OUTPUTS.rstrip(',')} and the base image has zstd layers",
        zstd_in_a_docker_manifest,
        "layer-type-unsupported",
        "number of layers and diffIDs don't match",
        by_edit,
    ),
    BrokenDeploy(
        "An arm64 image for an amd64 service",
        "the local store already has a cdkasset-… image that was built for arm64",
        arm64_in_the_local_store,
        "platform-mismatch",
        "exec format error",
        by_hand,
    ),
    BrokenDeploy(
        "An attestation that an index references, by heal",
        "ECR does not remove the last tag of a manifest that an index references",
        attestation_of_an_index,
        "not-an-image",
        "mismatched image rootfs and manifest layers",
        by_heal,
    ),
    BrokenDeploy(
        "An attestation that an index references, by hand",
        "ECR does not remove the last tag of a manifest that an index references",
        attestation_of_an_index_again,
        "not-an-image",
        "mismatched image rootfs and manifest layers",
        by_hand,
    ),
)


def deploy_broken(demo: Demo, app: Path, broken: BrokenDeploy) -> None:
    """Deploy a broken image, prove that the deploy is refused, follow the printed remedy, and deploy again."""
    output, arguments = _refused(demo, app, broken)
    red = time.monotonic()
    held = _held_by_indexes(demo, app)
    demo.say("The remedy, as printed")
    followed = broken.cure(demo, app, output)
    demo.expect(broken.title, "remedy followed as printed", "yes", "yes" if followed else "a command failed")
    done = demo.deploy(*arguments, app=app, log=f"{broken.finding}-after")
    if done.returncode:
        print(textwrap.indent(last_block(done.stdout), "          | "))
    demo.expect(broken.title, "deploy after it", "succeeds", "fails" if done.returncode else "succeeds")
    demo.expect(broken.title, "indexes, and the manifests in them", "kept", _kept(held, _held_by_indexes(demo, app)))
    demo.note(broken.title, f"{time.monotonic() - red:.0f} seconds from red to green")


def _refused(demo: Demo, app: Path, broken: BrokenDeploy) -> tuple[str, list[str]]:
    """Deploy a broken image, and prove that the deploy is refused before any ECS service changes.

    :returns: the CLI's output, and further arguments of `cdk deploy`.
    """
    demo.say(f"{broken.title}: {broken.story}")
    before, known = demo.images_by_service(), {event["EventId"] for event in demo.events()}
    arguments = broken.prepare(demo, app)
    demo.say("cdk deploy")
    done = demo.deploy(*arguments, app=app, log=broken.finding)
    print(textwrap.indent(last_block(done.stdout), "          | "), flush=True)

    title = broken.title
    new = [event for event in demo.events() if event["EventId"] not in known]
    demo.expect(title, "deploy", "refused", "refused" if done.returncode else "succeeds")
    found = broken.finding if broken.finding in done.stdout else "another"
    demo.expect(title, "finding in the terminal", broken.finding, found)
    demo.expect(title, "stack", "UPDATE_ROLLBACK_COMPLETE", demo.stack()["StackStatus"])
    service_events = [event for event in new if event["ResourceType"] == "AWS::ECS::Service"]
    demo.expect(title, "events of ECS services", "0", str(len(service_events)))
    unchanged = demo.images_by_service() == before
    demo.expect(title, "images of the ECS services", "unchanged", "unchanged" if unchanged else "changed")
    repository, tag = demo.image(app, "AutotagImage")
    message = _containerd_message(demo, f"{ECR}/{repository}:{tag}")
    demo.say(f"  containerd 1.7 on the same image: {message}")
    actual = broken.engine_message if broken.engine_message in message else message
    demo.expect(title, "containerd 1.7 on the same image", broken.engine_message, actual)
    return done.stdout, arguments


def _held_by_indexes(demo: Demo, app: Path) -> set[str]:
    """The digests of the indexes in the repository, and of the manifests that they reference."""
    ecr, (repository, _) = demo.aws.client("ecr"), demo.image(app, "AutotagImage")
    pages = ecr.get_paginator("describe_images").paginate(repositoryName=repository)
    found = {detail["imageDigest"]: detail for page in pages for detail in page["imageDetails"]}
    indexes = [digest for digest, detail in found.items() if "index" in detail["imageManifestMediaType"]]
    manifests = (json.loads(_manifest(ecr, repository, imageDigest=index))["manifests"] for index in indexes)
    held = {child["digest"] for children in manifests for child in children}
    return {*indexes, *(held & found.keys())}


def _kept(before: set[str], after: set[str]) -> str:
    return "kept" if before <= after else f"{len(before - after)} deleted"


def _containerd_message(demo: Demo, reference: str) -> str:
    """containerd's error, or the container's output where containerd could start it."""
    with demo.containerd() as containerd:
        try:
            containerd.pull(reference, *demo.credentials())
            with containerd.run(reference) as container:
                return container.output() if container.ends_within(_SECONDS_TO_FAIL) else "no error: the container runs"
        except (PullError, StartError) as error:
            return str(error)


def _manifest(ecr: Any, repository: str, **image: str) -> str:
    found = ecr.batch_get_image(
        repositoryName=repository,
        imageIds=[image],
        acceptedMediaTypes=[
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.oci.image.manifest.v1+json",
        ],
    )
    manifest: str = found["images"][0]["imageManifest"]
    return manifest


def _edit(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    if content.count(old) != 1:
        raise ValueError(f"{path.name} must have {old!r} exactly once: update the demo to match the example")
    path.write_text(content.replace(old, new))
