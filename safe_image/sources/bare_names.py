"""A name without a registry: an image in Docker Hub, or a folder, file or other image that was meant instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from image_verifier.faults import Fault
from image_verifier.image.references import DOCKER_HUB, Reference
from image_verifier.sources import Resolved

from .docker_api import DockerApi, DockerEndpoint
from .local_images import ASSEMBLY, forms_of_path, probably_meant
from .registry_image import RegistryImage
from .regular_files import file_kind

_WHY: Final = "The name has no registry, which means Docker Hub: add the registry's host if it is elsewhere."
# The folder that cdk synth writes by default.
_ASSEMBLY_FOLDER: Final = "cdk.out"
# The user waits for this hint; a local Docker answers at once.
_SECONDS: Final = 2.0


def is_bare(text: str, reference: Reference) -> bool:
    """Whether a reference has no registry, so that Docker Hub is only the default.

    :param text: the reference as it was written.
    :param reference: the same, parsed.
    """
    return reference.registry == DOCKER_HUB and not text.startswith((f"{DOCKER_HUB}/", "index.docker.io/"))


class BareNameImage(RegistryImage):
    """An image of Docker Hub whose name has no registry; a fault names the folder, file or local image of this name."""

    def resolve(self) -> Resolved:
        """The document that the tag or digest points at.

        :raises Fault: if Docker Hub does not serve the image; the advice names a folder, a file or an image of the
            local Docker that has its name, or says why Docker Hub was asked.
        """
        try:
            resolved = super().resolve()
        except Fault as fault:
            other = f"{fault.advice} {_WHY} {_other_machine(self.reference)}".strip()
            hints = " ".join(local_hints(self.reference)) or other
            raise Fault(fault.message, hints) from fault
        if resolved.document is None and (hints := " ".join(local_hints(self.reference))):
            raise Fault(f"Docker Hub has no image {self.reference}", hints)
        return resolved


def local_hints(text: str) -> Iterator[str]:
    """Folders, files and local images with the name of a reference, and how to reference them.

    :param text: the reference as it was written.
    """
    kind = file_kind(Path(text))
    if text == _ASSEMBLY_FOLDER and not file_kind(Path(text) / "manifest.json"):
        yield f"For the images of a cloud assembly, run cdk synth, and use {ASSEMBLY}{text}."
    elif kind in ("folder", "file"):
        yield f"The {kind} {text} exists: use {forms_of_path(text)}."
    if meant := probably_meant(text):
        yield f"Did you mean {meant}?"
    if _is_in_the_local_docker(text):
        yield f"The local Docker has an image of this name: use docker-daemon:{text}."


def _other_machine(text: str) -> str:
    """How to check an image that a Docker elsewhere has; empty where this machine has a Docker."""
    if _is_in_the_local_docker(text) is not None:
        return ""
    file = f"{Reference.parse(text).repository.rpartition('/')[2]}.tar"
    save = f"docker save -o {file} {text}"
    return f"If a Docker on another machine has the image, run {save} there, and check docker-archive:{file} here."


def _is_in_the_local_docker(text: str) -> bool | None:
    """Whether the local Docker has the image; None where it does not answer."""
    try:
        return bool(DockerApi(DockerEndpoint.of_environment(), _SECONDS, _SECONDS).image(text))
    except Fault:
        return None
