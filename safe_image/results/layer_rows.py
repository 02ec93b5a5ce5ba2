"""An image's layers as people look at them: each with what made it, and with what was found on it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from image_verifier.image import media_types
from image_verifier.image.model import Descriptor, Image
from image_verifier.report import Finding

_VENDOR: Final = "application/vnd."
# How builders write down a command: with the build's arguments before the shell.
_SHELL: Final = re.compile(r"^(?:RUN )?(?:\|\d+ .*?)?/bin/sh -c (?:#\(nop\) )?", re.DOTALL)
_SECRET: Final = re.compile("password|passwd|secret|token|credential|(api|access|private)_?key", re.IGNORECASE)
_ARGUMENT: Final = re.compile(r"""\b\w+=(?:"[^"]*"|'[^']*'|\S+)""")


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    :param number: its place in the image, from 1 at the bottom.
    :param layer: what the manifest says of it.
    :param diff_id: the digest of what it unpacks to, as the config says it; empty where it says none.
    :param step: the build's step that made it, as the config's history says; empty where it says none.
    :param findings: what was found on it.
    """

    number: int
    layer: Descriptor
    diff_id: str
    step: str
    findings: tuple[Finding, ...]

    @property
    def short_type(self) -> str:
        """Its media type in short."""
        return self.layer.media_type.removeprefix(_VENDOR) or "(none)"

    @property
    def content(self) -> str:
        """By what its content is told from another's, however it is compressed."""
        return self.diff_id or self.layer.digest

    @property
    def compression(self) -> str:
        """What its media type says of its compression."""
        return media_types.declared_compression(self.layer.media_type)


def layer_rows(image: Image, findings: Sequence[Finding]) -> list[LayerRow]:
    """The layers of an image, bottom first.

    :param image: the image.
    :param findings: what was found in it.
    """
    diff_ids = image.config.diff_ids if image.config else ()
    steps = _steps(image.config_content)
    # A finding about a type names the first layer that has it, and is about all of them.
    about: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.layer:
            about[finding.layer].append(finding)
            about[finding.found].append(finding)
    return [
        LayerRow(
            number=number + 1,
            layer=layer,
            diff_id=diff_ids[number] if number < len(diff_ids) else "",
            step=steps[number] if len(steps) == len(image.layers) else "",
            findings=tuple(dict.fromkeys((*about[layer.digest], *about[layer.media_type]))),
        )
        for number, layer in enumerate(image.layers)
    ]


def run_config(config: bytes | None) -> Mapping[str, Any]:
    """What a config says of how the image is run; empty where it cannot be read.

    :param config: the config blob.
    """
    run = _document(config).get("config")
    return run if isinstance(run, dict) else {}


def _document(config: bytes | None) -> Mapping[str, Any]:
    try:
        document = json.loads(config or b"{}")
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _steps(config: bytes | None) -> list[str]:
    """The steps of the history that made a layer, in order."""
    try:
        history: list[dict[str, Any]] = _document(config).get("history") or []
        return [_step(str(step.get("created_by") or "")) for step in history if not step.get("empty_layer")]
    except (AttributeError, TypeError):
        return []


def _step(text: str) -> str:
    """A step as the Dockerfile has it: without what the builder wraps it in."""
    text = " ".join(_SHELL.sub("", text).removesuffix(" # buildkit").split())
    return _ARGUMENT.sub(lambda match: without_secret(match[0]), text)


def without_secret(variable: str) -> str:
    """A variable without its value, where its name says that the value is secret.

    It is in the image for whoever can pull it; a pipeline's log and a page that is passed around have other readers.

    :param variable: its name, `=` and its value.
    """
    name, _, _ = variable.partition("=")
    return f"{name}=(not shown)" if _SECRET.search(name) else variable
