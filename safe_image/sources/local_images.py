"""Images that are not in a registry, by the scheme of their references: in folders, files and the local Docker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import UsageError
from .path_references import PathReference
from .regular_files import file_kind

if TYPE_CHECKING:
    from image_verifier.image.model import Platform
    from image_verifier.sources import Source

    from .docker_push import Push


@dataclass(frozen=True)
class LocalImage:
    """An image that is not in a registry.

    :param open: opens its source; raises `Fault` if it cannot be read.
    :param open_pushes: for an archive of Docker, the images that Docker pushes of it; None for every other image.
    """

    open: Callable[[], Source]
    open_pushes: Callable[[], tuple[Push, ...]] | None = None


def _layout(text: str, platform: Platform) -> LocalImage:
    reference = PathReference.parse(text, "oci-layout:PATH[:NAME|@DIGEST]")
    if file_kind(reference.path) == "file":
        of_a_layout = file_kind(reference.path.parent / "oci-layout") == "file"
        use = f"oci-layout:{reference.path.parent}" if of_a_layout else f"oci-archive:{text}"
        raise UsageError(f"'oci-layout:{text}': {reference.path} is a file: use {use}")

    def open_() -> Source:
        from .oci_layout import LayoutFolder, OciLayout

        names = (reference.name,) if reference.name else ()
        return OciLayout(LayoutFolder(reference.path), names, digest=reference.digest, platform=platform)

    return LocalImage(open_)


def _oci_archive(text: str, platform: Platform) -> LocalImage:
    reference = PathReference.parse(text, "oci-archive:PATH[:NAME|@DIGEST]")
    _require_file(f"oci-archive:{text}", reference.path)

    def open_() -> Source:
        from .archive import Archive
        from .oci_layout import OciLayout

        names = (reference.name,) if reference.name else ()
        return OciLayout(Archive(reference.path), names, digest=reference.digest, platform=platform)

    return LocalImage(open_)


def _docker_archive(text: str, platform: Platform) -> LocalImage:
    reference = PathReference.parse(text, "docker-archive:PATH[:NAME|@DIGEST]")
    _require_file(f"docker-archive:{text}", reference.path)

    def open_pushes() -> tuple[Push, ...]:
        from .archive import Archive
        from .docker_archive import docker_archive

        return docker_archive(Archive(reference.path), reference.name, platform, reference.digest)

    return LocalImage(lambda: open_pushes()[0].open(), open_pushes)


def _docker_daemon(text: str, platform: Platform) -> LocalImage:
    if not text.strip():
        raise UsageError("'docker-daemon:' has no name: use docker-daemon:NAME, as docker image ls lists it")

    def open_() -> Source:
        from .docker_daemon import docker_daemon

        return docker_daemon(text).open()

    return LocalImage(open_)


def _require_file(text: str, path: Path) -> None:
    if file_kind(path) == "folder":
        raise UsageError(f"{text!r}: {path} is a folder: use oci-layout:{path} for an OCI image layout")
    if not file_kind(path):
        raise UsageError(f"{text!r}: the file {path} does not exist: use the path of an archive")


LOCAL_IMAGES: Final[Mapping[str, Callable[[str, Platform], LocalImage]]] = {
    "oci-layout:": _layout,
    "oci-archive:": _oci_archive,
    "docker-archive:": _docker_archive,
    "docker-daemon:": _docker_daemon,
}
# A reference to all images of a cloud assembly.
ASSEMBLY: Final = "cdk.out:"
# References to all images that a file names: `safe_image.documents` reads them.
DOCUMENTS: Final = ("cloudformation:", "task-definition:", "terraform:", "kubernetes:", "compose:")
# The beginnings of references to images that are not in a registry.
PREFIXES: Final = (*LOCAL_IMAGES, ASSEMBLY)
# How the names of files end that may name images.
_TEXT: Final = frozenset({".json", ".template", ".yaml", ".yml"})


def forms_of_path(text: str) -> str:
    """The references that a path may stand for, for messages.

    :param text: the path of a folder or a file, which need not exist.
    """
    path = Path(text)
    if path.suffix.lower() in _TEXT:
        return f"{', '.join(prefix + text for prefix in DOCUMENTS[:-1])} or {DOCUMENTS[-1]}{text}"
    if file_kind(path) == "file":
        return f"docker-archive:{text} or oci-archive:{text}"
    is_assembly = file_kind(path / "manifest.json") and not file_kind(path / "index.json")
    return f"cdk.out:{text}" if is_assembly else f"oci-layout:{text}"


def probably_meant(text: str) -> str:
    """The reference with the prefix that was probably meant; empty where its beginning is not close to one.

    :param text: such as `oci-layot:build`.
    """
    # Imported here, since nearly all references are right.
    from difflib import get_close_matches

    prefix, colon, rest = text.partition(":")
    close = get_close_matches(prefix + colon, (*PREFIXES, *DOCUMENTS), n=1, cutoff=0.8) if colon else []
    return f"{close[0]}{rest}" if close else ""
