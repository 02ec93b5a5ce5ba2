"""An image in an archive, or in the local Docker, gets the verdict of the same image after the real `docker push`."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image import media_types
from image_verifier.image.model import Platform

from local_aws import LocalAws
from local_engines.dockerd import DockerEngine, Store
from safe_image.sources.archive import Archive
from safe_image.sources.docker_archive import docker_archive
from safe_image.sources.docker_push import ImageStore
from tests.unit.docker_archives import classic_archive

# Options that build different images of one Dockerfile: an index with an attestation, Docker's types, OCI's types.
_BUILDS = {
    "attested": (),
    "docker": ("--provenance=false",),
    "oci": ("--output=type=docker,attestation-inline=false,oci-mediatypes=true",),
}
_STORES: dict[Store, ImageStore] = {"containerd": ImageStore.CONTAINERD, "classic": ImageStore.CLASSIC}


@dataclass(frozen=True)
class Saved:
    """The images of one image store, in a running Docker, saved in one archive, and pushed."""

    aws: LocalAws
    engine: DockerEngine
    archive: Path
    repository: str
    images: tuple[str, ...]

    def check(self, reference: str, *options: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "safe_image", "check", "--layers", "--format", "json", *options, reference]
        environment = {**self.aws.env(), "DOCKER_CONFIG": str(self.archive.parent), "DOCKER_HOST": self.engine.host}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert not done.stderr
        (image,) = json.loads(done.stdout)["images"]
        found: dict[str, Any] = image
        return found


@pytest.fixture(scope="module", params=_STORES)
def saved(
    request: pytest.FixtureRequest, secured: LocalAws, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Saved]:
    folder, name = tmp_path_factory.mktemp(request.param), f"saved-{request.param}"
    client = secured.client("ecr")
    for repository in (name, f"{name}/other"):
        client.create_repository(repositoryName=repository)
    token = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).partition(b":")[2]
    for file in ("one", "two"):
        (folder / file).write_bytes(os.urandom(100_000))
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY one /one\nCOPY two /two\nCMD ["/one"]\n')
    folder.joinpath("config.json").write_text(json.dumps({"auths": {secured.registry: {"auth": token}}}))
    with DockerEngine.start(store=request.param) as engine:
        engine.docker("login", "--username", "AWS", "--password-stdin", secured.registry, stdin=password)
        repository = f"{secured.registry}/{name}"
        images = tuple(f"{repository}:{build}" for build in _BUILDS)
        try:
            for image, options in zip(images, _BUILDS.values(), strict=True):
                engine.docker("build", "--quiet", *options, "--tag", image, str(folder))
                engine.docker("push", image)
            archive = folder / "all.tar"
            engine.docker("save", "--output", str(archive), *images)
            yield Saved(secured, engine, archive, repository, images)
        finally:
            engine.docker("image", "rm", "--force", *images)


def _assert_same(checked: dict[str, Any], pushed: dict[str, Any], store: Store) -> None:
    for what in ("verdict", "media_type", "findings"):
        assert checked[what] == pushed[what], (checked["reference"], what)
    for what in ("media_type", "diff_id"):
        assert [layer[what] for layer in checked["layers"]] == [layer[what] for layer in pushed["layers"]]
    if store == "containerd":
        assert checked["digest"] == pushed["digest"]
    # The classic store compresses slightly less than zlib when it pushes.
    assert checked["size_bytes"] == pytest.approx(pushed["size_bytes"], rel=0.1)


def test_an_image_in_an_archive_has_the_same_verdict_as_the_pushed_image(saved: Saved) -> None:
    for name in saved.images:
        _assert_same(saved.check(f"docker-archive:{saved.archive}:{name}"), saved.check(name), saved.engine.store)


def test_an_image_of_the_local_docker_has_the_same_verdict_as_the_pushed_image(saved: Saved) -> None:
    """For Lambda: it refuses the index of containerd's image store, and takes the classic store's image."""
    for name in saved.images:
        pushed = saved.check(name, "--runs-on", "lambda")
        _assert_same(saved.check(f"docker-daemon:{name}", "--runs-on", "lambda"), pushed, saved.engine.store)


def test_an_image_of_the_local_docker_is_found_by_its_id(saved: Saved) -> None:
    name = saved.images[1]
    identifier = saved.engine.docker("image", "inspect", "--format", "{{.Id}}", name).strip()
    by_name = saved.check(f"docker-daemon:{name}")
    for text in (identifier, identifier.removeprefix("sha256:")[:12]):
        assert saved.check(f"docker-daemon:{text}")["digest"] == by_name["digest"]


def test_an_archive_without_a_layout_is_pushed_as_each_store_pushes_it(saved: Saved, tmp_path: Path) -> None:
    """As Bazel, Jib and Docker before 25 write it."""
    name = f"{saved.repository}:loaded"
    path = classic_archive(tmp_path / "shop.tar", name)
    saved.engine.docker("load", "--input", str(path))
    try:
        saved.engine.docker("push", name)
        pushed = saved.check(name)
        pushes = docker_archive(Archive(path), "", Platform.parse("linux/amd64"))
        source = next(push.open() for push in pushes if push.store is _STORES[saved.engine.store])
        document = source.resolve().document
        assert document
        types = {layer["mediaType"] for layer in json.loads(document.content)["layers"]}
        assert types == {layer["media_type"] for layer in pushed["layers"]}
        assert types == {
            media_types.DOCKER_LAYER if saved.engine.store == "containerd" else media_types.DOCKER_LAYER_GZIP
        }
        if saved.engine.store == "containerd":
            assert document.digest == pushed["digest"]
        (refused,) = saved.check(f"docker-archive:{path}", "--runs-on", "lambda")["findings"]
        assert refused["id"] == "layer-type-unsupported"
        lambdas = saved.check(name, "--runs-on", "lambda")["verdict"]
        assert lambdas == ("fail" if saved.engine.store == "containerd" else "pass")
    finally:
        saved.engine.docker("image", "rm", "--force", name)


def test_an_index_of_which_one_image_was_pulled_is_pushed_as_this_image(saved: Saved, tmp_path: Path) -> None:
    if saved.engine.store == "classic":
        pytest.skip("the classic store has no indexes")
    whole, partial = f"{saved.repository}:whole", f"{saved.repository}/other:partial"
    folder = str(saved.archive.parent)
    platforms = "--platform=linux/amd64,linux/arm64"
    saved.engine.docker("build", "--quiet", "--provenance=false", platforms, "--tag", whole, folder)
    try:
        saved.engine.docker("push", whole)
        saved.engine.docker("image", "rm", "--force", whole)
        saved.engine.docker("pull", "--quiet", whole)
        saved.engine.docker("tag", whole, partial)
        saved.engine.docker("push", partial)
        path = tmp_path / "partial.tar"
        saved.engine.docker("save", "--output", str(path), partial)
        pushed = saved.check(partial, "--runs-on", "lambda")
        assert pushed["media_type"] in (media_types.OCI_MANIFEST, media_types.DOCKER_MANIFEST)
        for reference in (f"docker-archive:{path}", f"docker-daemon:{partial}"):
            _assert_same(saved.check(reference, "--runs-on", "lambda"), pushed, saved.engine.store)
        assert media_types.is_index(saved.check(whole, "--runs-on", "lambda")["media_type"])
    finally:
        saved.engine.docker("image", "rm", "--force", whole, partial)
