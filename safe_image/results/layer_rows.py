"""An image's layers in rows: each with the build step that made it, and with its findings."""

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
# Builders record a RUN step with the build arguments and the shell before its command.
_SHELL: Final = re.compile(r"^(?:RUN )?(?:\|\d+ .*?)?/bin/sh -c (?:#\(nop\) )?", re.DOTALL)


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    :param number: its place in the image, from 1 at the bottom.
    :param layer: its descriptor in the manifest.
    :param diff_id: its uncompressed digest in the config; empty where the config has none.
    :param created_by: the build step that made it, from the config's history; empty where the history has none.
    :param findings: the findings about it.
    """

    number: int
    layer: Descriptor
    diff_id: str
    created_by: str
    findings: tuple[Finding, ...]

    @property
    def short_type(self) -> str:
        """Its media type without the vendor prefix."""
        return self.layer.media_type.removeprefix(_VENDOR) or "(none)"

    @property
    def step(self) -> str:
        """The build step as it is in the Dockerfile, without the builder's wrapping and without secrets."""
        # Imported here: most reports show no steps, and the command must start fast.
        from .redaction import redact

        return redact(" ".join(_SHELL.sub("", self.created_by).removesuffix(" # buildkit").split()))

    @property
    def content(self) -> str:
        """The digest that identifies its content, however that is compressed."""
        return self.diff_id or self.layer.digest

    @property
    def compression(self) -> str:
        """The compression that its media type declares."""
        return media_types.declared_compression(self.layer.media_type)


def layer_rows(image: Image, findings: Sequence[Finding]) -> list[LayerRow]:
    """The layers of an image, bottom first.

    :param image: the image.
    :param findings: the image's findings.
    """
    diff_ids = image.config.diff_ids if image.config else ()
    steps = _steps(image.config_content)
    # A finding about a media type names the first layer of that type, and is about all of them.
    by_key: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.layer:
            by_key[finding.layer].append(finding)
            by_key[finding.found].append(finding)
    return [
        LayerRow(
            number=number + 1,
            layer=layer,
            diff_id=diff_ids[number] if number < len(diff_ids) else "",
            created_by=steps[number] if len(steps) == len(image.layers) else "",
            findings=tuple(dict.fromkeys((*by_key[layer.digest], *by_key[layer.media_type]))),
        )
        for number, layer in enumerate(image.layers)
    ]


def run_config(config: bytes | None) -> Mapping[str, Any]:
    """The config's `config` object, which says how the image is run; empty where it cannot be read.

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
    """The history's steps that made a layer, in order."""
    try:
        history: list[dict[str, Any]] = _document(config).get("history") or []
        return [str(step.get("created_by") or "") for step in history if not step.get("empty_layer")]
    except (AttributeError, TypeError):
        return []
