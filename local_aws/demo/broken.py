"""The demo's second part: three images that are broken as users met them, and deploys that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.demo.session import ECR, Demo, last_block
from local_engines import base_images
from local_engines.containerd import PullError, StartError

_SECONDS_TO_FAIL = 10
# In an app, this builds the image as Docker does by default.
_NO_OUTPUTS = "outputs=[],"


@dataclass(frozen=True)
class BrokenDeploy:
    """A deploy that must be refused.

    :param title: heading of its rows in the table.
    :param story: how the image came to be broken, in one line.
    :param prepare: changes the app and builds the broken image; returns further arguments of `cdk deploy`.
    :param finding: id of the finding that the verifier must report.
    :param engine_message: part of containerd 1.7's message about the same image.
    """

    title: str
    story: str
    prepare: Callable[[Demo, Path], list[str]]
    finding: str
    engine_message: str


def attestation_at_the_tag(demo: Demo, app: Path) -> list[str]:
    """Incident 1: the tag is on the attestation that a build with provenance pushed beside the image."""
    _edit(app / "example_app/autotag/autotag/tags.py", "MAX_TAGS = 8", "MAX_TAGS = 9")
    demo.synth(app)
    repository, tag = demo.image(app, "AutotagImage")
    reference = f"{demo.aws.registry}/{repository}:with-provenance"
    demo.engine.docker(
        "build", "--provenance=true", f"--build-arg=BASE_IMAGE={demo.python_base}", f"--tag={reference}",
        str(app / "example_app/autotag"),
    )  # fmt: skip
    user, password = demo.credentials()
    demo.engine.docker("login", f"--username={user}", "--password-stdin", demo.aws.registry, stdin=password.encode())
    demo.engine.docker("push", reference)
    ecr = demo.aws.client("ecr")
    index = _manifest(ecr, repository, imageTag="with-provenance")
    attestation = next(
        child["digest"] for child in json.loads(index)["manifests"] if child["platform"]["os"] == "unknown"
    )
    ecr.put_image(
        repositoryName=repository, imageManifest=_manifest(ecr, repository, imageDigest=attestation), imageTag=tag
    )
    # The tag now exists, so CDK pushes nothing: as after the race in which the attestation took the tag.
    return ["--app=cdk.out"]


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
    ),
    BrokenDeploy(
        "Incident 2: zstd layers in a Docker manifest",
        f"the app sets {_NO_OUTPUTS.rstrip(',')} and the base image has zstd layers",
        zstd_in_a_docker_manifest,
        "layer-type-unsupported",
        "number of layers and diffIDs don't match",
    ),
    BrokenDeploy(
        "An arm64 image for an amd64 service",
        "the local store already has a cdkasset-… image that was built for arm64",
        arm64_in_the_local_store,
        "platform-mismatch",
        "exec format error",
    ),
)


def deploy_broken(demo: Demo, app: Path, broken: BrokenDeploy) -> None:
    """Deploy a broken image, and prove that the deploy is refused before any ECS service changes."""
    demo.say(f"{broken.title}: {broken.story}")
    before, known = demo.images_by_service(), {event["EventId"] for event in demo.events()}
    arguments = broken.prepare(demo, app)
    demo.say("cdk deploy")
    done = demo.deploy(*arguments, app=app, log=broken.finding)
    print(last_block(done.stdout), flush=True)

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
