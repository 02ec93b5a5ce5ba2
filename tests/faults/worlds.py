"""The images of the worlds, the events of their stacks, and one run of the handler with its outcome."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from image_verifier.custom_resource.physical_id import VerifiedImage, physical_id
from image_verifier.custom_resource.properties import Properties
from image_verifier.entrypoints.custom_resource import handler

from tests.faults.faulty_aws import ACCOUNT, REGION, TAG, World, sha256

_OCI = "application/vnd.oci.image"
_LAYER = f"{_OCI}.layer.v1.tar+gzip"


def _tar(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


# A static program for amd64: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_ELF = (
    b"\x7fELF\x02\x01\x01"
    + bytes(9)
    + b"\x02\0\x3e\0\x01"
    + bytes(11)
    + b"\x40"
    + bytes(19)
    + b"\x40\0\x38\0\x01"
    + bytes(63)
)


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()


_TAR = _tar("run", _ELF + bytes(range(256)) * 40)
_BLOB = gzip.compress(_TAR, mtime=0)


def good(world: World, *, layer: str = _LAYER, encode: Callable[[dict[str, Any]], bytes] = _encoded) -> None:
    """An image that Fargate runs.

    :param layer: the media type of its layer.
    :param encode: makes its config's bytes.
    """
    config: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/run"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256(_TAR)]},
    }
    content = encode(config)
    world.blobs = {sha256(content): content, sha256(_BLOB): _BLOB}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": {"digest": sha256(content), "mediaType": f"{_OCI}.config.v1+json", "size": len(content)},
        "layers": [{"mediaType": layer, "digest": sha256(_BLOB), "size": len(_BLOB)}],
    }
    _tag(world, manifest)


def _tag(world: World, document: Mapping[str, Any]) -> None:
    content = _encoded(document)
    world.top = sha256(content)
    world.documents[world.top] = (document["mediaType"], content)


def index(world: World) -> None:
    """A good image in an index, beside nothing."""
    good(world)
    size = len(world.documents[world.top][1])
    platform = {"os": "linux", "architecture": "amd64"}
    child = {"mediaType": f"{_OCI}.manifest.v1+json", "digest": world.top, "size": size, "platform": platform}
    _tag(world, {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [child]})


def attestation(world: World) -> None:
    """The result of a race at the tag: a build's attestation, which no runtime can pull."""
    good(world, layer="application/vnd.in-toto+json")


def incomplete(world: World) -> None:
    """An image without one of its layers."""
    good(world)
    del world.blobs[sha256(_BLOB)]


def gone(world: World) -> None:
    """No image."""
    world.top = ""


GOOD, BAD = (good, index), (attestation, incomplete, gone)


def properties(world: World, **more: Any) -> dict[str, Any]:
    """The properties of a verification of the world's image."""
    return {
        "ServiceToken": "arn",
        "RepositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{world.repository}",
        "RepositoryUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{world.repository}",
        "ImageTag": TAG,
        "RunsOn": ["fargate"],
        "Platform": "linux/amd64",
        "Pin": "digest",
        "NotifyTopicArn": world.topic,
        "ConstructPath": "Demo/Image",
        **more,
    }


def event(world: World, kind: str, physical: str | None = None, **more: Any) -> dict[str, Any]:
    """An event of CloudFormation.

    :param kind: `Create`, `Update` or `Delete`.
    :param physical: the resource's physical ID.
    :param more: further properties.
    """
    return {
        "RequestType": kind,
        "ResponseURL": f"{world.url}/response/{world.number}?X-Amz-Signature=ANSWERSECRET",
        "StackId": world.stack,
        "RequestId": "r-1",
        "LogicalResourceId": "Image0",
        "ResourceProperties": properties(world, **more),
        **({} if physical is None else {"PhysicalResourceId": physical}),
    }


def record(world: World, digest: str, **more: Any) -> str:
    """The physical ID of a verification that has verified this digest with these properties."""
    fingerprint = Properties.parse(properties(world, **more)).fingerprint
    return physical_id([VerifiedImage(fingerprint, digest, 1, f"{_OCI}.manifest.v1+json", 1)])


@dataclass
class Context:
    """The Lambda's context.

    :param seconds: how long it may run.
    """

    seconds: float
    log_group_name: str = "/aws/lambda/V"
    log_stream_name: str = "s"

    def __post_init__(self) -> None:
        self.ends_at = time.monotonic() + self.seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends_at - time.monotonic()) * 1000)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one event.

    :param bodies: the bodies that CloudFormation got; several where its own answer was lost.
    :param late: whether the last one came after the Lambda's end.
    :param answered: when the first one came, on `time.monotonic`.
    :param log: the log.
    :param error: the handler's exception; None where there is none.
    """

    bodies: tuple[bytes, ...]
    late: bool
    answered: float
    log: str
    error: BaseException | None

    @property
    def response(self) -> dict[str, Any]:
        response: dict[str, Any] = json.loads(self.bodies[0])
        return response

    @property
    def verdict(self) -> str:
        """`pass`, `refused` or `doubt`."""
        if self.response["Status"] == "SUCCESS":
            return "pass"
        return "refused" if self.response["Reason"].lstrip().startswith("Image refused") else "doubt"


class LogOfThread(io.TextIOBase):
    """A standard output that keeps the lines of each thread by themselves, so that many events run at once."""

    def __init__(self) -> None:
        self._local = threading.local()

    def write(self, text: str) -> int:
        self._local.text = getattr(self._local, "text", "") + text
        return len(text)

    def taken(self) -> str:
        """The text that the caller's thread has written since the last call."""
        text: str = getattr(self._local, "text", "")
        self._local.text = ""
        return text


def run(world: World, log: LogOfThread, kind: str, seconds: float, physical: str | None = None, **more: Any) -> Outcome:
    """Let the handler respond to an event.

    :param kind: `Create`, `Update` or `Delete`.
    :param seconds: how long the Lambda may run.
    :param physical: the resource's physical ID.
    :param more: further properties.
    """
    log.taken()
    before, context, error = len(world.responses), Context(seconds), None
    try:
        handler(event(world, kind, physical, **more), context)
    except BaseException as e:
        error = e
    responses = world.responses[before:]
    return Outcome(
        bodies=tuple(body for _, body in responses),
        late=bool(responses) and responses[-1][0] > context.ends_at,
        answered=responses[0][0] if responses else 0.0,
        log=log.taken(),
        error=error,
    )
