"""The local ECR's image actions answer as ECR's do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.helpers import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Pushed, digest_of, http

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
ABSENT = "sha256:" + "0" * 64


@pytest.fixture
def ecr(repository: Pushed) -> Any:
    return repository.aws.client("ecr")


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def _index(repository: Pushed, tag: str, *children: str) -> str:
    ecr = repository.aws.client("ecr")
    images = ecr.batch_get_image(
        repositoryName=repository.name, imageIds=[{"imageDigest": child} for child in children]
    )["images"]
    manifests = [
        {"mediaType": OCI_MANIFEST, "digest": image["imageId"]["imageDigest"], "size": len(image["imageManifest"])}
        for image in images
    ]
    answer = repository.manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}, tag, OCI_INDEX)
    assert answer.status == 201, answer
    return str(answer.headers["Docker-Content-Digest"])


def test_an_image_is_described_with_the_size_of_its_config_and_layers(repository: Pushed, ecr: Any) -> None:
    digest = repository.image("a")
    detail = ecr.describe_images(repositoryName=repository.name, imageIds=[{"imageTag": "a"}])["imageDetails"][0]
    assert detail["imageSizeInBytes"] == len(repository.layer) + len(repository.config)
    assert (detail["imageDigest"], detail["imageTags"]) == (digest, ["a"])
    assert (detail["imageManifestMediaType"], detail["artifactMediaType"]) == (OCI_MANIFEST, OCI_CONFIG)
    assert detail["imageStatus"] == "ACTIVE"


def test_an_index_has_the_size_of_its_largest_child(repository: Pushed, ecr: Any) -> None:
    small = repository.image("small")
    large = repository.image("large", text="hello" * 1000 + "you")
    size = len(repository.layer) + len(repository.config)
    _index(repository, "both", small, large)
    detail = ecr.describe_images(repositoryName=repository.name, imageIds=[{"imageTag": "both"}])["imageDetails"][0]
    assert detail["imageSizeInBytes"] == size


@pytest.mark.parametrize("wanted", [{"imageTag": "absent"}, {"imageDigest": ABSENT}])
def test_an_unknown_image_cannot_be_described(repository: Pushed, ecr: Any, wanted: Any) -> None:
    repository.image("a")
    with pytest.raises(ClientError) as error:
        ecr.describe_images(repositoryName=repository.name, imageIds=[{"imageTag": "a"}, wanted])
    assert _code(error) == "ImageNotFoundException"


def test_an_unknown_repository_is_an_error(ecr: Any) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = [
        (ecr.describe_images, {}),
        (ecr.batch_get_image, {"imageIds": [{"imageTag": "a"}]}),
        (ecr.batch_check_layer_availability, {"layerDigests": [ABSENT]}),
        (ecr.get_download_url_for_layer, {"layerDigest": ABSENT}),
    ]
    for call, arguments in calls:
        with pytest.raises(ClientError) as error:
            call(repositoryName="absent", **arguments)
        assert _code(error) == "RepositoryNotFoundException"


def test_a_repository_uri_has_the_local_registry(repository: Pushed, ecr: Any) -> None:
    found = ecr.describe_repositories(repositoryNames=[repository.name])["repositories"][0]
    assert found["repositoryUri"] == f"{repository.aws.registry}/{repository.name}"
    endpoint = ecr.get_authorization_token()["authorizationData"][0]["proxyEndpoint"]
    assert endpoint == f"http://{repository.aws.registry}"


def test_descriptions_and_lists_come_in_pages(repository: Pushed, ecr: Any) -> None:
    tags = {f"tag-{number}" for number in range(5)}
    for tag in tags:
        repository.image(tag, annotations={"tag": tag})
    pages = ecr.get_paginator("describe_images").paginate(
        repositoryName=repository.name, PaginationConfig={"PageSize": 2}
    )
    described = [detail["imageTags"][0] for page in pages for detail in page["imageDetails"]]
    pages = ecr.get_paginator("list_images").paginate(repositoryName=repository.name, PaginationConfig={"PageSize": 2})
    listed = [image["imageTag"] for page in pages for image in page["imageIds"]]
    assert (sorted(described), sorted(listed)) == (sorted(tags), sorted(tags))


def test_more_than_a_hundred_ids_are_refused(repository: Pushed, ecr: Any) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = [
        (ecr.batch_get_image, {"imageIds": [{"imageTag": "a"}] * 101}),
        (ecr.describe_images, {"imageIds": [{"imageTag": "a"}] * 101}),
        (ecr.batch_check_layer_availability, {"layerDigests": [ABSENT] * 101}),
    ]
    for call, arguments in calls:
        with pytest.raises(ClientError) as error:
            call(repositoryName=repository.name, **arguments)
        assert _code(error) == "InvalidParameterException"


def test_a_manifest_is_returned_byte_for_byte(repository: Pushed, ecr: Any) -> None:
    digest = repository.image("a")
    for wanted in ({"imageTag": "a"}, {"imageDigest": digest}):
        image = ecr.batch_get_image(
            repositoryName=repository.name, imageIds=[wanted], acceptedMediaTypes=[OCI_MANIFEST, SCHEMA2]
        )["images"][0]
        assert digest_of(image["imageManifest"].encode()) == digest == image["imageId"]["imageDigest"]
        assert image["imageManifestMediaType"] == OCI_MANIFEST


def test_an_unaccepted_type_is_converted_by_tag_and_never_by_digest(repository: Pushed, ecr: Any) -> None:
    digest = repository.image("a")

    def get(**wanted: str) -> Any:
        return ecr.batch_get_image(repositoryName=repository.name, imageIds=[wanted], acceptedMediaTypes=[SCHEMA2])[
            "images"
        ][0]

    converted = get(imageTag="a")
    layer = json.loads(converted["imageManifest"])["layers"][0]
    assert converted["imageManifestMediaType"] == SCHEMA2
    assert layer["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar.gzip"
    assert digest_of(converted["imageManifest"].encode()) != digest
    assert get(imageDigest=digest)["imageManifestMediaType"] == OCI_MANIFEST


def test_each_image_id_that_fails_has_its_reason(repository: Pushed, ecr: Any) -> None:
    repository.image("a")
    wanted = [
        {"imageTag": "absent"},
        {"imageDigest": "sha256:short"},
        {"imageTag": "-bad-"},
        {"imageTag": "a", "imageDigest": ABSENT},
        {},
    ]
    got = ecr.batch_get_image(repositoryName=repository.name, imageIds=[{"imageTag": "a"}, *wanted])
    assert len(got["images"]) == 1
    assert [failure["failureCode"] for failure in got["failures"]] == [
        "ImageNotFound",
        "InvalidImageDigest",
        "InvalidImageTag",
        "ImageTagDoesNotMatchDigest",
        "MissingDigestAndTag",
    ]


def test_layers_are_available_with_their_size_or_unavailable(repository: Pushed, ecr: Any) -> None:
    repository.image("a")
    layer = digest_of(repository.layer)
    got = ecr.batch_check_layer_availability(repositoryName=repository.name, layerDigests=[layer, ABSENT, "nonsense"])
    assert [(item["layerAvailability"], item.get("layerSize")) for item in got["layers"]] == [
        ("AVAILABLE", len(repository.layer)),
        ("UNAVAILABLE", None),
    ]
    assert [item["failureCode"] for item in got["failures"]] == ["InvalidLayerDigest"]


def test_layers_of_another_repository_are_not_available(repository: Pushed, ecr: Any) -> None:
    repository.image("a")
    other = f"{repository.name}-other"
    ecr.create_repository(repositoryName=other)
    digest = digest_of(repository.layer)
    got = ecr.batch_check_layer_availability(repositoryName=other, layerDigests=[digest])["layers"]
    assert got[0]["layerAvailability"] == "UNAVAILABLE"
    with pytest.raises(ClientError) as error:
        ecr.get_download_url_for_layer(repositoryName=other, layerDigest=digest)
    assert _code(error) == "LayersNotFoundException"


def test_a_download_url_serves_a_layer_or_a_config_whole_or_in_ranges(repository: Pushed, ecr: Any) -> None:
    repository.image("a")
    for data in (repository.layer, repository.config):
        url = ecr.get_download_url_for_layer(repositoryName=repository.name, layerDigest=digest_of(data))["downloadUrl"]
        assert http("GET", url).body == data
        part = http("GET", url, Range="bytes=3-9")
        assert (part.status, part.body) == (206, data[3:10])
        assert part.headers["Content-Range"] == f"bytes 3-9/{len(data)}"
        assert http("GET", url, Range="bytes=-4").body == data[-4:]
        assert http("GET", url, Range="bytes=5-").body == data[5:]
        assert http("GET", url, Range=f"bytes={len(data)}-").status == 416


def test_a_download_url_accepts_no_other_credentials_and_no_other_signature(repository: Pushed, ecr: Any) -> None:
    repository.image("a")
    layer, config = digest_of(repository.layer), digest_of(repository.config)
    url = ecr.get_download_url_for_layer(repositoryName=repository.name, layerDigest=layer)["downloadUrl"]
    assert http("GET", url, Authorization="Basic QVdTOng=").status == 400
    assert http("GET", url.replace(layer, config)).status == 403
    assert http("GET", url.partition("?")[0]).status == 403


def test_put_image_adds_a_tag_and_refuses_the_same_images_as_a_push(repository: Pushed, ecr: Any) -> None:
    repository.image("a")
    manifest = ecr.batch_get_image(repositoryName=repository.name, imageIds=[{"imageTag": "a"}])["images"][0][
        "imageManifest"
    ]

    def put(manifest: str, tag: str) -> Any:
        return ecr.put_image(repositoryName=repository.name, imageManifest=manifest, imageTag=tag)

    put(manifest, "b")
    detail = ecr.describe_images(repositoryName=repository.name, imageIds=[{"imageTag": "b"}])["imageDetails"][0]
    assert detail["imageTags"] == ["a", "b"]
    changed = json.loads(manifest)
    changed["layers"] = [{"mediaType": OCI_LAYER, "digest": ABSENT, "size": 1}]
    for arguments, code in (
        ((manifest, "b"), "ImageAlreadyExistsException"),
        ((json.dumps(changed), "c"), "LayersNotFoundException"),
        (("no json", "c"), "InvalidParameterException"),
    ):
        with pytest.raises(ClientError) as error:
            put(*arguments)
        assert _code(error) == code


def test_an_immutable_tag_keeps_its_first_manifest(repository: Pushed, ecr: Any) -> None:
    ecr.put_image_tag_mutability(repositoryName=repository.name, imageTagMutability="IMMUTABLE")
    first = repository.image("a")
    second = repository.image("b", annotations={"second": "yes"})
    manifest = ecr.batch_get_image(repositoryName=repository.name, imageIds=[{"imageTag": "b"}])["images"][0][
        "imageManifest"
    ]
    pushed = repository.manifest(json.loads(manifest), "a")
    assert (pushed.status, json.loads(pushed.body)["errors"][0]["code"]) == (400, "TAG_INVALID")
    with pytest.raises(ClientError) as error:
        ecr.put_image(repositoryName=repository.name, imageManifest=manifest, imageTag="a")
    assert _code(error) == "ImageTagAlreadyExistsException"
    assert first != second
    assert repository.image("a") == first


def test_deleting_by_tag_removes_the_tag_and_with_the_last_one_the_image(repository: Pushed, ecr: Any) -> None:
    digest = repository.image("a")
    repository.image("b")
    for tag in ("a", "b"):
        assert ecr.batch_delete_image(repositoryName=repository.name, imageIds=[{"imageTag": tag}])["imageIds"] == [
            {"imageDigest": digest, "imageTag": tag}
        ]
    assert ecr.list_images(repositoryName=repository.name)["imageIds"] == []
    failures = ecr.batch_delete_image(repositoryName=repository.name, imageIds=[{"imageTag": "a"}])["failures"]
    assert failures[0]["failureCode"] == "ImageNotFound"


def test_deleting_by_tag_and_digest_removes_the_tag_from_that_image_only(repository: Pushed, ecr: Any) -> None:
    first, second = repository.image("a"), repository.image("b", annotations={"second": "yes"})
    moved = ecr.batch_delete_image(repositoryName=repository.name, imageIds=[{"imageTag": "a", "imageDigest": second}])
    assert moved["failures"][0]["failureCode"] == "ImageTagDoesNotMatchDigest"
    ids = [{"imageDigest": first, "imageTag": "a"}]
    assert ecr.batch_delete_image(repositoryName=repository.name, imageIds=ids)["imageIds"] == ids
    assert [image["imageDigest"] for image in ecr.list_images(repositoryName=repository.name)["imageIds"]] == [second]


def test_an_image_within_an_index_cannot_be_deleted(repository: Pushed, ecr: Any) -> None:
    child = repository.image("child")
    _index(repository, "index", child)
    got = ecr.batch_delete_image(repositoryName=repository.name, imageIds=[{"imageDigest": child}])
    assert got["failures"][0]["failureCode"] == "ImageReferencedByManifestList"


def test_an_index_without_its_children_is_refused(repository: Pushed) -> None:
    children = [{"mediaType": OCI_MANIFEST, "digest": ABSENT, "size": 2}]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
    assert repository.manifest(index, "index", OCI_INDEX).status == 404


def test_an_archived_image_is_inaccessible_until_it_is_restored(repository: Pushed, ecr: Any) -> None:
    digest = repository.image("a")
    layer = digest_of(repository.layer)

    def move(target: str) -> None:
        ecr.update_image_storage_class(
            repositoryName=repository.name, imageId={"imageDigest": digest}, targetStorageClass=target
        )

    move("ARCHIVE")
    assert http("GET", f"{repository.v2}/manifests/a").status == 404
    assert ecr.describe_images(repositoryName=repository.name)["imageDetails"] == []
    described = ecr.describe_images(
        repositoryName=repository.name, imageIds=[{"imageTag": "a"}], filter={"imageStatus": "ANY"}
    )["imageDetails"]
    assert described[0]["imageStatus"] == "ARCHIVED"
    got = ecr.batch_get_image(repositoryName=repository.name, imageIds=[{"imageTag": "a"}])
    assert got["failures"][0]["failureCode"] == "ImageInaccessible"
    availability = ecr.batch_check_layer_availability(repositoryName=repository.name, layerDigests=[layer])["layers"]
    assert availability[0]["layerAvailability"] == "ARCHIVED"
    move("STANDARD")
    assert http("GET", f"{repository.v2}/manifests/a").status == 200


def test_a_repository_with_images_is_only_deleted_by_force_and_is_empty_when_recreated(
    repository: Pushed, ecr: Any
) -> None:
    repository.image("a")
    with pytest.raises(ClientError) as error:
        ecr.delete_repository(repositoryName=repository.name)
    assert _code(error) == "RepositoryNotEmptyException"
    ecr.delete_repository(repositoryName=repository.name, force=True)
    assert http("GET", f"{repository.v2}/tags/list").status == 404
    ecr.create_repository(repositoryName=repository.name)
    assert ecr.list_images(repositoryName=repository.name)["imageIds"] == []
