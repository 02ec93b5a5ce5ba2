"""An AWS on loopback, on raw sockets, in which any answer can be cut, delayed, garbled, emptied, replaced or denied.

One server serves many worlds at once: each has an image of its own, and is recognized by the names in a request. It
answers as ECR, S3, CloudFormation (also where it accepts a custom resource's response) and SNS.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.faults.wire import Answer, Connection, Fault

ACCOUNT = "123456789012"
REGION = "eu-central-1"
TAG = "c0ffee"
# The calls that the verifier makes.
CALLS = {
    "DescribeImages",
    "BatchGetImage",
    "GetDownloadUrlForLayer",
    "BatchCheckLayerAvailability",
    "BatchDeleteImage",
    "DescribeStacks",
    "ListStackResources",
    "Publish",
    "config",
    "layer",
    "response",
}
# Each of these may be in no response, no log and no notification.
SECRETS = ("LAYERSECRET", "ANSWERSECRET", "KEYSECRET")


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass
class World:
    """One account with one image, and what happened in it.

    :param number: its number, which is in all of its names.
    :param url: the server's address.
    :param documents: the manifests and indexes, by digest, with their media types.
    :param blobs: the configs and layers, by digest.
    :param top: the digest that the tag references; empty where there is no image.
    :param status: the stack's status.
    :param records: the physical IDs of the stack's verifications.
    :param faults: the fault of an answer by the call's name and number; -1 stands for every one.
    """

    number: int
    url: str
    documents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    top: str = ""
    status: str = "CREATE_IN_PROGRESS"
    records: list[str] = field(default_factory=list)
    faults: dict[tuple[str, int], Fault] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    deleted: list[float] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    responses: list[tuple[float, bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def repository(self) -> str:
        return f"shop-{self.number}"

    @property
    def stack(self) -> str:
        return f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Demo-{self.number}/0000"

    @property
    def topic(self) -> str:
        return f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms-{self.number}"

    def fault(self, call: str) -> Fault | None:
        """The fault of the next answer to this call, which counts."""
        with self.lock:
            n = self.calls[call]
            self.calls[call] += 1
        return self.faults.get((call, n)) or self.faults.get((call, -1))

    def answer(self, call: str, parameters: dict[str, Any]) -> Answer:
        """The answer of a healthy AWS."""
        method: Callable[[dict[str, Any]], Answer] = getattr(self, f"_{call}")
        return method(parameters)

    def _DescribeImages(self, _: dict[str, Any]) -> Answer:
        if not self.top:
            return _error("ImageNotFoundException", "The image does not exist")
        details = {"imageDigest": self.top, "imageTags": [TAG], "imageStatus": "ACTIVE"}
        return _json({"imageDetails": [details]})

    def _BatchGetImage(self, parameters: dict[str, Any]) -> Answer:
        (wanted,) = parameters["imageIds"]
        digest = wanted.get("imageDigest") or self.top
        if digest not in self.documents:
            failure = {"imageId": wanted, "failureCode": "ImageNotFound", "failureReason": "not found"}
            return _json({"images": [], "failures": [failure]})
        media_type, content = self.documents[digest]
        image = {
            "imageId": {**wanted, "imageDigest": digest},
            "imageManifest": content.decode(),
            "imageManifestMediaType": media_type,
        }
        return _json({"images": [image], "failures": []})

    def _GetDownloadUrlForLayer(self, parameters: dict[str, Any]) -> Answer:
        digest = parameters["layerDigest"]
        if digest not in self.blobs:
            return _error("LayersNotFoundException", "The layer does not exist")
        url = f"{self.url}/blob/{self.number}/{digest}?X-Amz-Signature=LAYERSECRET"
        return _json({"downloadUrl": url, "layerDigest": digest})

    def _BatchCheckLayerAvailability(self, parameters: dict[str, Any]) -> Answer:
        layers = [
            {"layerDigest": d, "layerAvailability": "AVAILABLE", "layerSize": len(self.blobs[d])}
            if d in self.blobs
            else {"layerDigest": d, "layerAvailability": "UNAVAILABLE"}
            for d in parameters["layerDigests"]
        ]
        return _json({"layers": layers, "failures": []})

    def _BatchDeleteImage(self, parameters: dict[str, Any]) -> Answer:
        (wanted,) = parameters["imageIds"]
        if not self.top:
            failure = {"imageId": wanted, "failureCode": "ImageNotFound", "failureReason": "not found"}
            return _json({"imageIds": [], "failures": [failure]})
        assert wanted == {"imageDigest": self.top, "imageTag": TAG}
        self.deleted.append(time.monotonic())
        self.top = ""
        return _json({"imageIds": [wanted], "failures": []})

    def _DescribeStacks(self, _: dict[str, Any]) -> Answer:
        stack = f"<StackId>{self.stack}</StackId><StackName>Demo-{self.number}</StackName>"
        stack += f"<StackStatus>{self.status}</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime>"
        return _xml("DescribeStacks", f"<Stacks><member>{stack}</member></Stacks>")

    def _ListStackResources(self, _: dict[str, Any]) -> Answer:
        resources = "".join(
            f"<member><ResourceType>Custom::ImageVerification</ResourceType><LogicalResourceId>V</LogicalResourceId>"
            f"<PhysicalResourceId>{record}</PhysicalResourceId></member>"
            for record in self.records
        )
        return _xml("ListStackResources", f"<StackResourceSummaries>{resources}</StackResourceSummaries>")

    def _Publish(self, parameters: dict[str, Any]) -> Answer:
        self.published.append(parameters["Subject"] + parameters["Message"])
        return _xml("Publish", "<MessageId>1</MessageId>")

    def _config(self, parameters: dict[str, Any]) -> Answer:
        return self._layer(parameters)

    def _layer(self, parameters: dict[str, Any]) -> Answer:
        content, wanted = self.blobs.get(parameters["digest"]), parameters["range"]
        if content is None:
            return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
        if wanted:
            begin, _, end = wanted.removeprefix("bytes=").partition("-")
            last = min(int(end), len(content) - 1) if end else len(content) - 1
            part, span = content[int(begin) : last + 1], f"bytes {begin}-{last}/{len(content)}"
            return Answer(206, part, "application/octet-stream", range=span)
        return Answer(200, content, "application/octet-stream")

    def _response(self, parameters: dict[str, Any]) -> Answer:
        self.responses.append((time.monotonic(), parameters["body"]))
        return Answer(200, b"", "")


def _type(call: str) -> str:
    """The media type of the answers to a call."""
    if call in ("config", "layer", "response"):
        return ""
    is_query = call in ("DescribeStacks", "ListStackResources", "Publish")
    return "text/xml" if is_query else "application/x-amz-json-1.1"


def _json(document: Any) -> Answer:
    return Answer(200, json.dumps(document).encode(), "application/x-amz-json-1.1")


def _error(code: str, message: str) -> Answer:
    return Answer(400, json.dumps({"__type": code, "message": message}).encode(), "application/x-amz-json-1.1")


def _xml(action: str, result: str) -> Answer:
    text = f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"
    return Answer(200, text.encode(), "text/xml")


class FaultyAws:
    """The server.

    :param certificate: a file with a certificate and its key, for TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        scheme, host = ("https", "localhost") if certificate else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{self._socket.getsockname()[1]}"
        self._worlds: dict[int, World] = {}
        self._numbers = count(1)
        self._connections: set[socket.socket] = set()
        self.over = threading.Event()

    def world(self) -> World:
        """A new world without an image."""
        number = next(self._numbers)
        world = self._worlds[number] = World(number, self.url)
        return world

    def adopt(self, world: World) -> None:
        """Serve the world of another server, too."""
        self._worlds[world.number] = world

    def accept(self) -> None:
        """Serve connections until the server is closed."""
        with suppress(OSError):
            while True:
                accepted, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def close(self) -> None:
        """Close the server and the connections that clients keep, and end what trickles."""
        self.over.set()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self, accepted: socket.socket) -> None:
        with suppress(OSError):
            if self._tls:
                accepted = self._tls.wrap_socket(accepted, server_side=True)
            self._connections.add(accepted)
            connection = Connection(accepted)
            try:
                while request := connection.request():
                    world, call, parameters = self._recognize(*request)
                    fault = world.fault(call)
                    # What a proxy or a refusal answers does not depend on what AWS would have said.
                    acts = fault is None or fault.acts
                    answer = world.answer(call, parameters) if acts else Answer(200, b"", _type(call))
                    if not connection.send(answer, fault, self.over):
                        return
            finally:
                self._connections.discard(accepted)
                connection.close()

    def _recognize(self, line: str, headers: dict[str, str], body: bytes) -> tuple[World, str, dict[str, Any]]:
        method, path, _ = line.split(" ", 2)
        parts = path.partition("?")[0].split("/")
        if method == "PUT":
            return self._worlds[int(parts[2])], "response", {"body": body}
        if method == "GET":
            world, digest = self._worlds[int(parts[2])], parts[3]
            is_config = any(f'"config": {{"digest": "{digest}"'.encode() in c for _, c in world.documents.values())
            return world, "config" if is_config else "layer", {"digest": digest, "range": headers.get("range", "")}
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        parameters = json.loads(body) if target else dict(parse_qsl(body.decode()))
        names = "".join(str(parameters.get(name, "")) for name in ("repositoryName", "StackName", "TopicArn"))
        number = re.search(r"-(\d+)(?:/0000)?\Z", names)
        assert number, parameters
        return self._worlds[int(number[1])], target or parameters["Action"], parameters


@contextmanager
def faulty_aws(certificate: Path | None = None) -> Iterator[FaultyAws]:
    """Run a server.

    :param certificate: a file with a certificate and its key, for TLS.
    """
    server = FaultyAws(certificate)
    acceptor = threading.Thread(target=server.accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        server.close()
        acceptor.join()
