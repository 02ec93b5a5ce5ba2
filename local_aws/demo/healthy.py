"""The demo's first part: healthy images deploy, and both services answer."""

from __future__ import annotations

import socket
import struct
import textwrap
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from local_aws.demo.pasting import last_block
from local_aws.demo.session import ECR, WIDTH, Demo
from local_engines.containerd import PullError, StartError

_TITLE = "Healthy images"
_SECONDS_TO_ANSWER = 30


def deploy_healthy(demo: Demo, app: Path) -> None:
    """Deploy the example, and prove that its task definitions reference the verified images and that these run."""
    demo.say("cdk deploy: builds, pushes and verifies two images, and hands them to ECS")
    done = demo.deploy(app=app, log="healthy")
    demo.expect(_TITLE, "deploy", "succeeds", "succeeds" if done.returncode == 0 else "fails")
    if done.returncode:
        print(last_block(done.stdout))
        return
    demo.expect(_TITLE, "stack", "CREATE_COMPLETE", demo.stack()["StackStatus"])
    ecr = demo.aws.client("ecr")
    pushed = set()
    for name in ("AutotagImage", "AltTextImage"):
        repository, tag = demo.image(app, name)
        detail = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])["imageDetails"][0]
        demo.say(f"  {name}: {detail['imageSizeInBytes'] / 2**20:.0f} MiB, {detail['imageDigest']}")
        pushed.add(f"{ECR}/{repository}@{detail['imageDigest']}")
    referenced = set(demo.images_by_service().values())
    demo.expect(_TITLE, "task definitions with the verified digest", "2", str(len(referenced & pushed)))
    _run_images(demo)


def _run_images(demo: Demo) -> None:
    """Pull the stack's images as ECS would, start them, and send a request to each service."""
    outputs = {output["OutputKey"]: output["OutputValue"] for output in demo.stack()["Outputs"]}
    text = b"Containers share a kernel. A container image is a stack of layers. Layers are shared."
    requests = {
        "AutotagImageUri": ("/tags", "text/plain", text, "container"),
        "AltTextImageUri": ("/alt-text", "image/png", _grey_png(120, 40), "Wide PNG image, 120 by 40 pixels"),
    }
    with demo.containerd() as containerd:
        for key, (path, content_type, body, expected) in requests.items():
            name = key.removesuffix("ImageUri")
            demo.say(f"containerd {containerd.version} pulls and starts {name}")
            port = _free_port()
            try:
                containerd.pull(outputs[key], *demo.credentials())
                with containerd.run(outputs[key], env={"PORT": str(port)}):
                    answer = _post(f"http://127.0.0.1:{port}{path}", content_type, body)
            except (PullError, StartError, OSError) as error:
                actual = str(error)
            else:
                demo.say(f"  POST {path}: {textwrap.shorten(answer, WIDTH)}")
                actual = "answers" if expected in answer else answer
            demo.expect(_TITLE, f"{name} over HTTP", "answers", actual)


def _grey_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _post(url: str, content_type: str, body: bytes) -> str:
    """POST to a service that may still be starting.

    :raises OSError: when the service does not answer in 30 seconds.
    """
    request = urllib.request.Request(url, body, {"Content-Type": content_type})  # noqa: S310 - the demo's own service
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _SECONDS_TO_ANSWER
    while True:
        try:
            with opener.open(request, timeout=_SECONDS_TO_ANSWER) as response:
                answer: str = response.read().decode()
                return answer
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
