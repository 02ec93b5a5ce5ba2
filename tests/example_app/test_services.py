"""The example's services while they run: autotag in its image, alt-text on the toolchain's Node."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws.toolchain import install
from local_engines import base_images
from local_engines.dockerd import DockerEngine

EXAMPLE = Path(__file__).resolve().parents[2] / "example_app"


def png(width: int, height: int, colour: tuple[int, int, int], **texts: str) -> bytes:
    """An image of one colour, with `tEXt` chunks."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            *(chunk(b"tEXt", f"{key}\0{value}".encode("latin-1")) for key, value in texts.items()),
            chunk(b"IDAT", zlib.compress((b"\0" + bytes(colour) * width) * height)),
            chunk(b"IEND", b""),
        ]
    )


def ask(url: str, body: bytes, content_type: str = "application/octet-stream") -> tuple[int, dict[str, Any]]:
    """POST to a service that may still be starting."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with DockerEngine.start() as running:
        yield running


@pytest.fixture(scope="module")
def container(engine: DockerEngine) -> Iterator[str]:
    """autotag's container, with a read-only file system, as in the example's task definition."""
    base = base_images.provide(engine, base_images.PYTHON)
    engine.docker("build", "--quiet", f"--build-arg=BASE_IMAGE={base}", "--tag=autotag", str(EXAMPLE / "autotag"))
    container = engine.docker("run", "--detach", "--rm", "--read-only", "autotag").strip()
    yield container
    engine.docker("kill", container)
    engine.docker("image", "rm", "--force", "autotag")


@pytest.fixture(scope="module")
def autotag(engine: DockerEngine, container: str) -> str:
    address = engine.docker("inspect", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}", container)
    return f"http://{address.strip()}:8080/tags"


@pytest.fixture(scope="module")
def alt_text() -> Iterator[str]:
    node = install().node_bin / "node"
    command = [str(node), str(EXAMPLE / "alt-text/server.js")]
    # The kernel chooses the port: one that is only free before it is opened may be another's then.
    environment = {**os.environ, "PORT": "0"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        port = service.stdout.readline().removeprefix("alt-text listens on ").strip()
        yield f"http://127.0.0.1:{port}/alt-text"
        service.terminate()
        assert service.wait(60) == 0


def test_autotag_tags_a_text_by_its_subject(autotag: str) -> None:
    text = b"A container image is a stack of layers. Layers are shared. A registry keeps layers and images."
    status, answer = ask(autotag, text, "text/plain")
    assert status == 200
    assert answer["tags"][0] == "layers"


def test_autotag_ignores_the_scripts_of_a_page(autotag: str) -> None:
    page = b"<script>var secret = 1</script><h1>Volcanoes</h1><p>Volcanoes erupt. Volcanoes cool.</p>"
    _, answer = ask(autotag, page, "text/html; charset=utf-8")
    assert answer["tags"][0] == "volcanoes"
    assert not any("secret" in tag for tag in answer["tags"])


def test_autotag_tags_an_image_by_kind_shape_and_colour(autotag: str) -> None:
    assert ask(autotag, png(60, 20, (250, 10, 10)), "image/png") == (
        200,
        {"tags": ["png", "landscape", "small", "red"]},
    )


@pytest.mark.parametrize(
    ("content_type", "body"), [("image/png", b"no image"), ("application/zip", b"PK"), ("image/png", b"")]
)
def test_autotag_refuses_a_body_that_it_cannot_read(autotag: str, content_type: str, body: bytes) -> None:
    status, answer = ask(autotag, body, content_type)
    assert status == 415
    assert answer["error"]


def test_autotags_health_check_passes_for_an_unprivileged_user(
    engine: DockerEngine, container: str, autotag: str
) -> None:
    ask(autotag, b"up", "text/plain")
    engine.docker("exec", container, "python", "-m", "autotag.health")
    assert engine.docker("exec", container, "id", "-u").strip() == "10001"


def test_alt_text_describes_an_image_by_its_kind_and_size(alt_text: str) -> None:
    status, answer = ask(alt_text, png(40, 80, (255, 255, 255)))
    assert status == 200
    assert answer["alt"] == "Tall PNG image, 40 by 80 pixels"


def test_alt_text_prefers_the_authors_description(alt_text: str) -> None:
    _, answer = ask(alt_text, png(40, 40, (255, 255, 255), Description="A white square"))
    assert answer["alt"] == "A white square"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (b"GIF89a" + struct.pack("<HH", 30, 20), ("gif", 30, 20)),
        (b"\xff\xd8\xff\xfe\x00\x04hi\xff\xc0\x00\x11\x08" + struct.pack(">HH", 20, 30), ("jpeg", 30, 20)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x1d\0\0\x13\0\0", ("webp", 30, 20)),
    ],
)
def test_alt_text_reads_the_headers_of_other_formats(
    alt_text: str, image: bytes, expected: tuple[str, int, int]
) -> None:
    _, answer = ask(alt_text, image)
    assert (answer["format"], answer["width"], answer["height"]) == expected


@pytest.mark.parametrize("body", [b"", b"no image", png(1, 1, (0, 0, 0))[:18], b"\xff\xd8\xff\xe0\x00\x10"])
def test_alt_text_refuses_a_body_that_it_cannot_read(alt_text: str, body: bytes) -> None:
    status, answer = ask(alt_text, body)
    assert status == 415
    assert answer["error"]
