"""The effect of the build settings: an image is built by a real docker with CDK's arguments, pushed, and read."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cdk_safe_image import build
from local_aws import LocalAws
from local_engines.dockerd import DockerEngine

_OCI = "application/vnd.oci.image"
_EPOCH = 1704067200


@dataclass(frozen=True)
class Builder:
    """Builds and pushes one context as `cdk deploy` does."""

    aws: LocalAws
    engine: DockerEngine
    context: Path

    def pushed(self, tag: str, *runs_on: str, compression: str | None = None, epoch: int | None = None) -> Any:
        """The manifest that is under the tag after a build with these settings."""
        args = build.build_args(None, epoch) or {}
        reference = f"{self.aws.registry}/builds:{tag}"
        command = ["build", "--quiet", "--no-cache", "--tag", reference, "--platform=linux/amd64"]
        command += [f"--output={output}" for output in build.default_outputs(runs_on, compression)]
        command += [f"--build-arg={name}={value}" for name, value in args.items()]
        self.engine.docker(*command, str(self.context))
        self.engine.docker("push", "--quiet", reference)
        self.engine.docker("image", "rm", "--force", reference)
        (image,) = self.aws.client("ecr").batch_get_image(repositoryName="builds", imageIds=[{"imageTag": tag}])[
            "images"
        ]
        return json.loads(image["imageManifest"]) | {"digest": image["imageId"]["imageDigest"]}


@pytest.fixture(scope="module")
def builder(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="builds", imageTagMutability="IMMUTABLE")
    password = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    context = tmp_path_factory.mktemp("context")
    base = context / "base"
    base.mkdir()
    for folder, source in ((base, "scratch"), (context, "gzip-base")):
        (folder / "bytes").write_bytes(os.urandom(100_000))
        (folder / "Dockerfile").write_text(f'FROM {source}\nCOPY bytes /bytes-of-{folder.name}\nCMD ["/bytes"]\n')
    with DockerEngine.start(store="containerd", own=True) as engine:
        password = base64.b64decode(password).decode().partition(":")[2]
        engine.docker("login", "--username=AWS", "--password-stdin", aws.registry, stdin=password.encode())
        engine.docker("build", "--quiet", "--tag=gzip-base", str(base))
        shutil.rmtree(base)
        yield Builder(aws, engine, context)


def layers(manifest: Any) -> set[str]:
    assert len(manifest["layers"]) == 2
    return {layer["mediaType"] for layer in manifest["layers"]}


def test_zstd_layers_have_types_that_every_containerd_knows_including_the_base(builder: Builder) -> None:
    manifest = builder.pushed("zstd", "fargate", compression="zstd")
    assert layers(manifest) == {f"{_OCI}.layer.v1.tar+zstd"}
    assert manifest["mediaType"] == f"{_OCI}.manifest.v1+json"


def test_as_built_and_gzip_layers_are_gzip(builder: Builder) -> None:
    assert layers(builder.pushed("as-built", "fargate")) == {f"{_OCI}.layer.v1.tar+gzip"}
    assert layers(builder.pushed("gzip", "lambda", compression="gzip")) == {f"{_OCI}.layer.v1.tar+gzip"}


def test_an_image_for_sagemaker_is_schema_2(builder: Builder) -> None:
    manifest = builder.pushed("sagemaker", "sagemaker")
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert layers(manifest) == {"application/vnd.docker.image.rootfs.diff.tar.gzip"}


def test_two_clean_builds_with_source_date_epoch_have_the_same_digest(builder: Builder) -> None:
    one, two = (builder.pushed(tag, "fargate", epoch=_EPOCH) for tag in ("one", "two"))
    assert one["digest"] == two["digest"] != builder.pushed("clock", "fargate")["digest"]
