"""The programs of the base images run, and an image is built only once."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_engines import base_images
from local_engines.dockerd import DockerEngine, EngineError


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine.start() as running:
        base_images.provide(running, base_images.PYTHON)
        yield running


def test_python_and_its_packages_run_for_any_user(engine: DockerEngine) -> None:
    base = base_images.provide(engine, base_images.PYTHON)
    program = "import ssl, PIL, sklearn, os; print(os.getuid())"
    assert engine.docker("run", "--rm", "--user=10001:10001", base, "python", "-c", program).strip() == "10001"


def test_a_base_image_is_built_only_once(engine: DockerEngine) -> None:
    def identifier() -> str:
        return engine.docker("image", "inspect", "--format={{.Id}}", base_images.provide(engine, base_images.PYTHON))

    # An import at another moment makes another image.
    assert identifier() == identifier()


def test_the_layer_stays_zstd_so_that_incident_2_can_be_reproduced(engine: DockerEngine, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    engine.docker("save", f"--output={archive}", base_images.provide(engine, base_images.PYTHON))
    with tarfile.open(archive) as saved:
        (image,) = json.load(saved.extractfile("manifest.json") or io.BytesIO())
        layer = saved.extractfile(image["Layers"][0])
        assert layer is not None
        assert layer.read(4) == b"\x28\xb5\x2f\xfd"


def test_an_arm64_base_image_has_arm64_programs(engine: DockerEngine) -> None:
    base = base_images.provide(engine, base_images.PYTHON, "arm64")
    assert engine.docker("image", "inspect", "--format", "{{.Architecture}}", base).strip() == "arm64"
    with pytest.raises(EngineError, match="exec format error"):
        engine.docker("run", "--rm", "--platform=linux/arm64", base, "python3", "--version")
