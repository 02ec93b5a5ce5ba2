"""Pushes the image of an OCI layout to the local registry, just as it is, broken or not."""

from __future__ import annotations

import json
from pathlib import Path

import urllib3
from image_verifier import media_types

from local_aws import LocalAws


def push(aws: LocalAws, layout: Path, repository: str, tag: str) -> str:
    """Push what `index.json` names.

    :param layout: the folder of the OCI layout.
    :param repository: an existing repository of the local ECR.
    :param tag: the tag that it gets.
    :returns: the digest of what the tag points at.
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
