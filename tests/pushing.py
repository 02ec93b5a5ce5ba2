"""Pushes the image of an OCI layout to the local registry without changes, healthy or broken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import urllib3
from image_verifier.image import media_types
from image_verifier.image.model import sha256

from local_aws import LocalAws
from tests.unit.images import GZIP, tar_of


def push(aws: LocalAws, layout: Path, repository: str, tag: str) -> str:
    """Push the image that `index.json` references.

    :param layout: the folder of the OCI layout.
    :param repository: an existing repository of the local ECR.
    :param tag: the image's tag.
    :returns: the digest that the tag points at.
    """
    http = urllib3.PoolManager()
    base = f"http://{aws.registry}/v2/{repository}"
    credentials = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    headers = {"Authorization": f"Basic {credentials}"}
    (top,) = json.loads(layout.joinpath("index.json").read_text())["manifests"]

    def put_manifest(reference: str, media_type: str, content: bytes) -> None:
        answer = http.request(
            "PUT", f"{base}/manifests/{reference}", body=content, headers={**headers, "Content-Type": media_type}
        )
        assert answer.status == 201, answer.data

    def content_of(digest: str) -> bytes:
        return layout.joinpath("blobs", "sha256", digest.removeprefix("sha256:")).read_bytes()

    def push_blobs(manifest: bytes) -> None:
        document = json.loads(manifest)
        for descriptor in [document["config"], *document["layers"]]:
            started = http.request("POST", f"{base}/blobs/uploads/", headers=headers)
            place = started.headers["Location"]
            answer = http.request(
                "PUT",
                (place if place.startswith("http") else f"http://{aws.registry}{place}")
                + ("&" if "?" in place else "?")
                + f"digest={descriptor['digest']}",
                body=content_of(descriptor["digest"]),
                headers=headers,
            )
            assert answer.status == 201, answer.data

    content = content_of(top["digest"])
    if media_types.is_index(top["mediaType"]):
        for child in json.loads(content)["manifests"]:
            push_blobs(content_of(child["digest"]))
            put_manifest(child["digest"], child["mediaType"], content_of(child["digest"]))
    else:
        push_blobs(content)
    put_manifest(tag, top["mediaType"], content)
    return str(top["digest"])


def push_many(aws: LocalAws, repository: str, number: int, *, indexes: int = 0) -> int:
    """Create a repository, and push healthy images with the tags `0`, `1` and so on.

    Each has 8 layers and a config of its own; 7 of the layers are a base that it shares with 19 others.

    :param number: number of images.
    :param indexes: how many of them, the first, are tagged by an index.
    :returns: how many distinct layers they have.
    """
    client = aws.client("ecr")
    client.create_repository(repositoryName=repository)
    http = urllib3.PoolManager(maxsize=4)
    pushed: set[str] = set()

    def blob(content: bytes) -> dict[str, Any]:
        digest = sha256(content)
        if digest not in pushed:
            url = f"{aws.endpoint}/v2/{repository}/blobs/uploads/?digest={digest}"
            headers = {"Content-Type": "application/octet-stream"}
            assert http.request("POST", url, body=content, headers=headers).status == 201
            pushed.add(digest)
        return {"digest": digest, "size": len(content)}

    layers: set[str] = set()
    for i in range(number):
        names = [*(f"base-{i // 20}-{n}" for n in range(7)), f"own-{i}"]
        tars = [tar_of({name: name.encode()}) for name in names]
        described = [{"mediaType": GZIP, **blob(gzip.compress(tar, mtime=0))} for tar in tars]
        layers |= {layer["digest"] for layer in described}
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": [f"/own-{i}"], "Env": [f"SETTING_{n}={'x' * 60}" for n in range(20)]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": {"mediaType": media_types.OCI_CONFIG, **blob(json.dumps(config).encode())},
            "layers": described,
        }
        content = json.dumps(manifest)
        if i < indexes:
            client.put_image(repositoryName=repository, imageManifest=content)
            platform = {"os": "linux", "architecture": "amd64"}
            child = {"digest": sha256(content.encode()), "size": len(content), "platform": platform}
            children = [{"mediaType": media_types.OCI_MANIFEST, **child}]
            content = json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": children})
        client.put_image(repositoryName=repository, imageManifest=content, imageTag=str(i))
    return len(layers)
