"""The registry implements the OCI distribution protocol as ECR does."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from http.client import HTTPConnection
from urllib.parse import urljoin, urlsplit

import pytest

from local_aws import LocalAws
from tests.local_aws.helpers import OCI_MANIFEST, Pushed, digest_of, http
from tests.memory import most_memory


def test_a_blob_can_be_uploaded_in_chunks(repository: Pushed) -> None:
    data = os.urandom(100_000)
    started = http("POST", f"{repository.v2}/blobs/uploads/", b"")
    assert started.status == 202
    location = urljoin(repository.v2, started.headers["Location"])
    assert http("PATCH", location, data[:60_000]).headers["Range"] == "0-59999"
    out_of_order = http("PATCH", location, b"x", Content_Range="70000-70000")
    assert (out_of_order.status, out_of_order.headers["Range"]) == (416, "0-59999")
    assert http("GET", location).headers["Range"] == "0-59999"
    assert http("PATCH", location, data[60_000:90_000], Content_Range="60000-89999").status == 202
    assert http("PUT", f"{location}?digest={digest_of(data)}", data[90_000:]).status == 201
    head = http("HEAD", f"{repository.v2}/blobs/{digest_of(data)}")
    assert (head.status, head.headers["Content-Length"]) == (200, "100000")


def test_a_blob_with_another_digest_is_refused(repository: Pushed) -> None:
    answer = http("POST", f"{repository.v2}/blobs/uploads/?digest={digest_of(b'other')}", b"bytes")
    assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert http("HEAD", f"{repository.v2}/blobs/{digest_of(b'bytes')}").status == 404


def test_a_blob_is_downloaded_from_a_signed_url(repository: Pushed) -> None:
    digest = repository.blob(b"layer")
    redirect = http("GET", f"{repository.v2}/blobs/{digest}")
    assert redirect.status == 307
    assert http("GET", redirect.headers["Location"]).body == b"layer"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_blobs_signed_url_has_another_host_so_that_clients_omit_credentials(repository: Pushed, host: str) -> None:
    digest = repository.blob(b"layer")
    url = f"http://{host}:{repository.aws.port}/v2/{repository.name}/blobs/{digest}"
    location = urlsplit(http("GET", url).headers["Location"])
    assert location.port == repository.aws.port
    assert location.hostname != urlsplit(url).hostname
    assert http("GET", location.geturl()).body == b"layer"


def test_a_blob_is_mounted_from_another_repository(repository: Pushed) -> None:
    digest = repository.blob(b"layer")
    other = Pushed(repository.aws, f"{repository.name}-other")
    repository.aws.client("ecr").create_repository(repositoryName=other.name)
    assert http("HEAD", f"{other.v2}/blobs/{digest}").status == 404
    mount = f"{other.v2}/blobs/uploads/?mount={digest}&from={repository.name}"
    assert http("POST", mount, b"").status == 201
    assert http("HEAD", f"{other.v2}/blobs/{digest}").status == 200


def test_a_manifest_is_stored_with_its_type_and_found_by_tag_and_digest(repository: Pushed) -> None:
    digest = repository.image("a")
    by_tag, by_digest = (http("GET", f"{repository.v2}/manifests/{reference}") for reference in ("a", digest))
    assert by_tag.body == by_digest.body
    assert digest_of(by_tag.body) == digest == by_tag.headers["Docker-Content-Digest"]
    head = http("HEAD", f"{repository.v2}/manifests/a")
    assert (head.headers["Content-Type"], head.headers["Content-Length"]) == (OCI_MANIFEST, str(len(by_tag.body)))
    assert http("HEAD", f"{repository.v2}/manifests/absent").status == 404


def test_a_manifest_needs_its_blobs_and_its_digest(repository: Pushed) -> None:
    content = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "layers": [
            {"mediaType": "application/x", "digest": digest_of(b"absent"), "size": 6},
        ],
    }
    assert repository.manifest(content, "a").status == 404
    assert repository.manifest({**content, "layers": []}, digest_of(b"other")).status == 400
    assert repository.manifest({**content, "layers": []}, "a").status == 201


def test_the_media_types_and_sizes_in_a_manifest_are_not_validated(repository: Pushed) -> None:
    blob = {"digest": repository.blob(b"no tar at all"), "size": 99, "mediaType": "application/vnd.in-toto+json"}
    config = {"digest": repository.blob(b"{}"), "size": 2, "mediaType": "application/vnd.oci.image.config.v1+json"}
    content = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [blob]}
    assert repository.manifest(content, "a").status == 201


def test_the_documents_that_are_attached_to_an_image_are_its_referrers(repository: Pushed) -> None:
    image = repository.image("1")
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": repository.blob(b"{}"), "size": 2}
    pushed = {}
    for kind in ("application/spdx+json", "application/vnd.in-toto+json"):
        answer = repository.manifest(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "artifactType": kind,
                "config": empty,
                "layers": [empty],
                "subject": {"mediaType": OCI_MANIFEST, "digest": image, "size": 1},
                "annotations": {"kind": kind},
            }
        )
        assert answer.headers["OCI-Subject"] == image
        pushed[kind] = answer.headers["Docker-Content-Digest"]

    def listed(query: str = "", of: str = image) -> dict[str, str]:
        answer = http("GET", f"{repository.v2}/referrers/{of}{query}")
        assert answer.headers["Content-Type"] == "application/vnd.oci.image.index.v1+json"
        found = json.loads(answer.body)["manifests"]
        assert all(one["annotations"] == {"kind": one["artifactType"]} for one in found)
        return {one["artifactType"]: one["digest"] for one in found}

    assert listed() == pushed
    one = next(iter(pushed))
    assert listed(f"?artifactType={one.replace('+', '%2B')}") == {one: pushed[one]}
    assert listed(of=pushed[one]) == {}


def test_tags_are_listed_in_pages_and_can_be_deleted(repository: Pushed) -> None:
    for tag in ("a", "b", "c"):
        repository.image(tag)
    first = http("GET", f"{repository.v2}/tags/list?n=2")
    assert json.loads(first.body) == {"name": repository.name, "tags": ["a", "b"]}
    following = urljoin(repository.v2, first.headers["Link"].partition(">")[0].removeprefix("<"))
    assert json.loads(http("GET", following).body)["tags"] == ["c"]
    assert http("DELETE", f"{repository.v2}/manifests/a").status == 202
    assert json.loads(http("GET", f"{repository.v2}/tags/list").body)["tags"] == ["b", "c"]


def test_a_push_does_not_create_a_repository(aws: LocalAws) -> None:
    answer = http("POST", f"{aws.endpoint}/v2/absent/blobs/uploads/", b"")
    assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


def test_the_registry_requires_ecrs_token_where_iam_is_enforced(secured: LocalAws) -> None:
    ping = f"{secured.endpoint}/v2/"
    challenged = http("GET", ping)
    assert challenged.status == 401
    assert challenged.headers["WWW-Authenticate"].startswith("Basic realm=")
    wrong = base64.b64encode(b"AWS:wrong").decode()
    assert http("GET", ping, Authorization=f"Basic {wrong}").status == 401
    token = secured.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    assert http("GET", ping, Authorization=f"Basic {token}").status == 200


def test_a_large_blob_is_pushed_and_pulled_in_bounded_memory(repository: Pushed) -> None:
    size = 300 * 1024 * 1024
    started = http("POST", f"{repository.v2}/blobs/uploads/", b"")
    location = urljoin(repository.v2, started.headers["Location"])
    piece = os.urandom(1024 * 1024)
    digest = hashlib.sha256()
    before = most_memory(repository.aws.pid)
    connection = HTTPConnection("127.0.0.1", repository.aws.port, timeout=60)
    for _ in range(size // len(piece)):
        digest.update(piece)
    name = f"sha256:{digest.hexdigest()}"
    pieces = (piece for _ in range(size // len(piece)))
    path = f"{location.removeprefix(repository.aws.endpoint)}?digest={name}"
    connection.request("PUT", path, body=pieces, headers={"Content-Length": str(size)})
    assert connection.getresponse().status == 201
    connection.close()
    assert most_memory(repository.aws.pid) - before < 64 * 1024 * 1024
