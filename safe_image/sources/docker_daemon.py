"""An image of the local Docker, as this Docker pushes it. Nothing of it is written to a file here."""

from __future__ import annotations

import http.client
import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import IO, Any, Final

from image_verifier.faults import Fault
from image_verifier.image.model import MAX_CONFIG_BYTES, Platform
from image_verifier.image.references import Reference

from .docker_api import DockerApi, DockerEndpoint
from .docker_archive import docker_archive
from .docker_push import ImageStore, Push
from .tar_index import TarFiles, TarIndex

# The bytes of each file that are kept: more than any check of a layer's first bytes reads.
_HEAD_BYTES: Final = 1024
# Documents are kept whole, so that they need not be requested again. All of an image's are far smaller.
_MAX_KEPT_BYTES: Final = 64 * 1024 * 1024


def docker_daemon(name: str) -> Push:
    """The image that the local Docker pushes.

    :param name: the image's name or ID, as docker accepts it.
    :raises Fault: if Docker does not answer, or does not have the image.
    """
    api = DockerApi(DockerEndpoint.of_environment())
    image = api.image(name)
    if not image:
        raise Fault(
            f"the local Docker has no image {name}", "Build or pull it first. To list the images: docker image ls"
        )
    info = api.info()
    # https://docs.docker.com/engine/storage/containerd/#enable-containerd-image-store-on-docker-engine
    is_containerd = "io.containerd.snapshotter" in str(info.get("DriverStatus"))
    store = ImageStore.CONTAINERD if is_containerd else ImageStore.CLASSIC
    platform = Platform.of(str(info.get("OSType") or ""), str(info.get("Architecture") or "amd64"))
    pushes = docker_archive(SavedImage(api, _with_tag(name, image)), "", platform)
    return next((push for push in pushes if push.store is store), pushes[0])


def _with_tag(name: str, image: Mapping[str, Any]) -> str:
    """The name with its tag: docker save writes all tags of a repository without one."""
    identifier = str(image.get("Id") or "").removeprefix("sha256:")
    if name.startswith("sha256:") or (identifier and identifier.startswith(name)):
        return name
    try:
        reference = Reference.parse(name)
    except ValueError:
        return name
    return name if reference.digest else str(reference)


class SavedImage(TarFiles):
    """The files of the archive that Docker sends of an image. Its layers are requested again when they are read.

    :param api: the Docker.
    :param name: the image's name or ID.
    :raises Fault: if Docker sends no valid archive.
    """

    # One stream serves files in their order, so that Docker writes the archive as rarely as possible.
    at_once = 1

    def __init__(self, api: DockerApi, name: str) -> None:
        self._api, self._name = api, name
        self._heads: dict[str, bytes] = {}
        self._stream: _Stream | None = None
        self._lock = Lock()
        with _faults(self):
            stream = _Stream(api.saved(name))
            try:
                self._index = TarIndex(self._scan(stream), str(self))
            finally:
                stream.close()

    def __str__(self) -> str:
        return self._name

    def _scan(self, stream: _Stream) -> Iterator[tarfile.TarInfo]:
        kept = 0
        while (member := stream.next()) is not None:
            if member.isreg():
                head = stream.read(_HEAD_BYTES)
                is_document = head.lstrip()[:1] in (b"{", b"[") and member.size <= MAX_CONFIG_BYTES
                if is_document and kept + member.size <= _MAX_KEPT_BYTES:
                    head += stream.read(member.size)
                    kept += len(head)
                self._heads[member.name] = head
            yield member

    def _reader(self, member: tarfile.TarInfo) -> io.RawIOBase:
        return _SavedFile(self, member, self._heads[member.name])

    def take_stream(self, member: tarfile.TarInfo) -> _Stream:
        """A stream at the beginning of a file; it goes on from the last file if that comes earlier in the archive.

        :raises Fault: if the archive no longer has the file.
        """
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None and stream.offset >= member.offset:
            stream.close()
            stream = None
        with _faults(self):
            stream = stream or _Stream(self._api.saved(self._name))
            while (found := stream.next()) is not None:
                if found.name == member.name and found.isreg():
                    return stream
        stream.close()
        raise Fault(f"The image {self} changed while it was read: {member.name} is gone", "Run the command again.")

    def return_stream(self, stream: _Stream) -> None:
        """Keep a stream for the next file."""
        with self._lock:
            kept, self._stream = self._stream, stream
        if kept is not None:
            kept.close()


class _Stream:
    """An archive of `docker save`, read from the beginning to the end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        try:
            self._archive = tarfile.open(fileobj=response, mode="r|")  # noqa: SIM115 - closed with the stream
        except BaseException:
            response.close()
            raise
        self._file: IO[bytes] | None = None
        self.offset = -1

    def next(self) -> tarfile.TarInfo | None:
        """The header of the next file; None at the end."""
        member = self._archive.next()
        # A long archive must not be kept in memory.
        self._archive.members = []  # type: ignore[attr-defined]
        self._file = self._archive.extractfile(member) if member and member.isreg() else None
        self.offset = member.offset if member else self.offset
        return member

    def read(self, count: int) -> bytes:
        """The next bytes of the file, fewer at its end."""
        return self._file.read(count) if self._file else b""

    def close(self) -> None:
        """End the request."""
        self._response.close()


class _SavedFile(io.RawIOBase):
    """A file of a saved image: its first bytes from memory, the others from a stream that starts when they are read."""

    def __init__(self, image: SavedImage, member: tarfile.TarInfo, head: bytes) -> None:
        super().__init__()
        self._image, self._member, self._head = image, member, head
        self._at = 0
        self._stream: _Stream | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override] # Buffer is Python 3.12's
        content = self._head[self._at : self._at + len(buffer)]
        if not content and self._at < self._member.size:
            if self._stream is None:
                self._stream = self._image.take_stream(self._member)
                with _faults(self._image):
                    self._stream.read(self._at)
            with _faults(self._image):
                content = self._stream.read(len(buffer))
                if not content:
                    raise EOFError("it breaks off")
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            self._image.return_stream(stream)
        super().close()


@contextmanager
def _faults(image: SavedImage) -> Iterator[None]:
    """Errors of the connection and of the archive, as faults."""
    try:
        yield
    except (OSError, http.client.HTTPException, tarfile.TarError, EOFError, ValueError, ArithmeticError) as e:
        why = getattr(e, "strerror", None) or str(e) or type(e).__name__
        raise Fault(
            f"the local Docker did not send the image {image} to the end: {why}", "Run the command again."
        ) from e
