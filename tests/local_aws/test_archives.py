"""An archive of the real `docker save` gets the same verdict as the same image after the real `docker push`."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws
from local_engines.dockerd import DockerEngine, Store

# Options that build different images of one Dockerfile: an index with an attestation, Docker's types, OCI's types.
_BUILDS = {
    "attested": (),
    "docker": ("--provenance=false",),
    "oci": ("--output=type=docker,attestation-inline=false,oci-mediatypes=true",),
}


@dataclass(frozen=True)
class Saved:
    """The images of one image store, saved in one archive and pushed."""

    aws: LocalAws
    store: Store
    archive: Path
    images: tuple[str, ...]

    def check(self, reference: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "safe_image", "check", "--layers", "--format", "json", reference]
        environment = {**self.aws.env(), "DOCKER_CONFIG": str(self.archive.parent)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert not done.stderr
        (image,) = json.loads(done.stdout)["images"]
        found: dict[str, Any] = image
        return found


@pytest.fixture(scope="module", params=["containerd", "classic"])
def saved(request: pytest.FixtureRequest, secured: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder, repository = tmp_path_factory.mktemp(request.param), f"saved-{request.param}"
    client = secured.client("ecr")
    client.create_repository(repositoryName=repository)
    token = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).partition(b":")[2]
    for name in ("one", "two"):
        (folder / name).write_bytes(os.urandom(100_000))
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY one /one\nCOPY two /two\nCMD ["/one"]\n')
    with DockerEngine.start(store=request.param) as engine:
        engine.docker("login", "--username", "AWS", "--password-stdin", secured.registry, stdin=password)
        images = tuple(f"{secured.registry}/{repository}:{name}" for name in _BUILDS)
        try:
            for image, options in zip(images, _BUILDS.values(), strict=True):
                engine.docker("build", "--quiet", *options, "--tag", image, str(folder))
                engine.docker("push", image)
            archive = folder / "all.tar"
            engine.docker("save", "--output", str(archive), *images)
        finally:
            engine.docker("image", "rm", "--force", *images)
    folder.joinpath("config.json").write_text(json.dumps({"auths": {secured.registry: {"auth": token}}}))
    return Saved(secured, request.param, archive, images)


def test_an_image_in_an_archive_has_the_same_verdict_as_the_pushed_image(saved: Saved) -> None:
    for name in saved.images:
        pushed, archived = saved.check(name), saved.check(f"docker-archive:{saved.archive}:{name}")
        for what in ("verdict", "media_type", "findings"):
            assert archived[what] == pushed[what], (name, what)
        for what in ("media_type", "diff_id"):
            assert [layer[what] for layer in archived["layers"]] == [layer[what] for layer in pushed["layers"]]
        if saved.store == "containerd":
            assert archived["digest"] == pushed["digest"]
        # The classic store compresses slightly less than zlib when it pushes.
        assert archived["size_bytes"] == pytest.approx(pushed["size_bytes"], rel=0.1)
