"""HTTP requests without redirects, pushes of images over `/v2/`, and polling."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, TypeVar

from local_aws import LocalAws

T = TypeVar("T")

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def until(read: Callable[[], T], seconds: float = 60) -> T:
    """Read a value until it is true, and return it; the last value if that takes longer than so many seconds."""
    ends = time.monotonic() + seconds
    while not (value := read()) and time.monotonic() < ends:
        time.sleep(0.05)
    return value


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


def http(method: str, url: str, body: bytes | None = None, **headers: str) -> Answer:
    """Send a request without redirects, proxies or exceptions. `_` in a header's name is a dash."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("Content-Type", "application/octet-stream")
    request = urllib.request.Request(url, body, named, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(request, timeout=30) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


@dataclass
class Pushed:
    """A repository, into which images are pushed over `/v2/`."""

    aws: LocalAws
    name: str
    layer: bytes = b""
    config: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def v2(self) -> str:
        return f"{self.aws.endpoint}/v2/{self.name}"

    def blob(self, data: bytes) -> str:
        """Push a blob in one request, and return its digest."""
        digest = digest_of(data)
        assert http("POST", f"{self.v2}/blobs/uploads/?digest={digest}", data, **self.headers).status == 201
        return digest

    def manifest(self, content: Mapping[str, Any], reference: str = "", media_type: str = OCI_MANIFEST) -> Answer:
        data = json.dumps(content).encode()
        headers = {**self.headers, "Content_Type": media_type}
        return http("PUT", f"{self.v2}/manifests/{reference or digest_of(data)}", data, **headers)

    def image(self, tag: str, text: str = "hello", annotations: Mapping[str, str] | None = None) -> str:
        """Push an image of one layer under a tag, and return the manifest's digest."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo("file")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        self.layer = gzip.compress(archive.getvalue(), mtime=0)
        self.config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/file"]},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(archive.getvalue())]},
            }
        ).encode()
        content: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": self.blob(self.config), "size": len(self.config)},
            "layers": [{"mediaType": OCI_LAYER, "digest": self.blob(self.layer), "size": len(self.layer)}],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
        answer = self.manifest(content, tag)
        assert answer.status == 201, answer
        return str(answer.headers["Docker-Content-Digest"])
