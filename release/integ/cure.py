"""The printed commands for a refused image, run against ECR itself while an index references the image."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from image_verifier.image import media_types
from image_verifier.image.references import rejected_tag

from local_aws.demo.pasting import commands_by_hand, paste, printed_steps
from local_aws.toolchain import install_aws_cli

_NAME = re.compile(r"(REPO|TAG|DIGEST)=([^\s;]+);")


def cure(output: str) -> bool:
    """Let an index reference the refused image, paste the commands, and compare the repository before and after.

    ECR refuses to remove the last tag of a manifest that an index references: the commands must succeed all the same,
    and neither the image nor the index may be gone.

    :param output: of the refused `cdk deploy`.
    """
    commands = commands_by_hand(printed_steps(output))
    names = dict(_NAME.findall(" ".join(commands)))
    if set(names) != {"REPO", "TAG", "DIGEST"}:
        return False
    ecr, repository, digest = boto3.client("ecr"), names["REPO"], names["DIGEST"]
    environment = {**os.environ, "PATH": f"{install_aws_cli()}{os.pathsep}{os.environ['PATH']}"}
    with _index_of(repository, digest) as index:
        succeeded = all(paste(command, environment).returncode == 0 for command in commands)
        described = ecr.describe_images(
            repositoryName=repository, imageIds=[{"imageDigest": digest}, {"imageDigest": index}]
        )
        tags = {detail["imageDigest"]: detail.get("imageTags", []) for detail in described["imageDetails"]}
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": rejected_tag(digest)}])
    return succeeded and tags.keys() == {digest, index} and tags[digest] == [rejected_tag(digest)]


@contextmanager
def _index_of(repository: str, digest: str) -> Iterator[str]:
    """An index that references an image of the repository, without a tag; its digest."""
    ecr = boto3.client("ecr")
    image = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])["images"][0]
    child = {
        "mediaType": image["imageManifestMediaType"],
        "digest": digest,
        "size": len(image["imageManifest"].encode()),
        "platform": {"os": "linux", "architecture": "arm64"},
    }
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [child]}
    put = ecr.put_image(repositoryName=repository, imageManifest=json.dumps(index))
    stored = put["image"]["imageId"]["imageDigest"]
    try:
        yield stored
    finally:
        ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": stored}])
