"""Images of Compose files: https://github.com/compose-spec/compose-spec/blob/main/spec.md.

A file says the platform of a service and no runtime: Docker runs it, or a tool that makes something else of the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from image_verifier.rules.consumer_types import Use

from ..errors import UsageError
from ..sources.regular_files import file_kind
from .document_image import DocumentImage, image_at
from .files import STANDARD_INPUT, read_document
from .interpolation import interpolated
from .settings import Settings
from .unknown import Unknown

_ENVIRONMENT_FILE: Final = ".env"
# The most characters of it that are read.
_MAX_ENVIRONMENT: Final = 1 << 20


def read_compose(file: str, settings: Settings) -> Iterator[DocumentImage]:
    """The images of a Compose file.

    :param file: the file's path; `-` for standard input.
    :param settings: the values of `--set`, which count before the environment and the file `.env`.
    :raises UsageError: if it cannot be read, or is not a Compose file.
    """
    document = read_document(file)
    services = document.value.get("services")
    if not isinstance(services, Mapping):
        raise UsageError(f"{file}: it is not a Compose file: it has no services")
    variables = {**_environment_file(file), **os.environ}

    def value_of(name: str) -> str | None:
        value = settings.get(name)
        return variables.get(name) if value is None else value

    for name, service in services.items():
        if not isinstance(service, Mapping):
            continue
        path = ("services", name, "image" if service.get("image") else "build")
        image: Any = service.get("image")
        if image:
            image = interpolated(image, value_of) if isinstance(image, str) else image
        elif service.get("build"):
            image = Unknown(name, f"the image that Compose builds for {name}", "Set image: to the name that is pushed")
        if image:
            platform = service.get("platform")
            known = interpolated(platform, value_of) if isinstance(platform, str) else None
            yield image_at(document.place(path), image, Use(platform=known if isinstance(known, str) else None))


def _environment_file(file: str) -> dict[str, str]:
    """The variables of the file `.env` beside a Compose file."""
    path = Path() if file == STANDARD_INPUT else Path(file).parent
    # A folder of this name is common, too.
    if file_kind(path / _ENVIRONMENT_FILE) != "file":
        return {}
    try:
        with (path / _ENVIRONMENT_FILE).open(encoding="utf-8") as stream:
            lines = stream.read(_MAX_ENVIRONMENT).splitlines()
    except (OSError, ValueError):
        return {}
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip().removeprefix("export "): _unquoted(value.strip()) for name, equals, value in pairs if equals}


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value.partition(" #")[0].rstrip()
