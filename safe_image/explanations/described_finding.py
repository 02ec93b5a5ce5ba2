"""A finding of `safe-image check`, described by its id: its meaning, its usual cause, and the words of engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from image_verifier.rules.engine_messages import MESSAGES

from .cause import Cause
from .knowledge import KNOWLEDGE
from .knowledge.findings import finding

# The cause that most often leads to a finding, where the knowledge base has one.
_USUAL_CAUSE: Final[Mapping[str, str]] = {
    "argument-invalid": "environment-invalid",
    "config-unreadable": "config-not-read",
    "diff-id-wrong": "diff-id-mismatch",
    "entrypoint-missing": "entrypoint-not-found",
    "entrypoint-not-executable": "entrypoint-refused",
    "entrypoint-unreadable": "lambda-file-unreadable",
    "entrypoint-wrong-machine": "wrong-architecture",
    "env-invalid": "environment-invalid",
    "hardlink-target-missing": "hard-link-without-target",
    "image-missing": "image-not-found",
    "image-needs-storage": "disk-full",
    "image-too-large-for-runtime": "lambda-image-too-large",
    "index-not-taken": "lambda-index",
    "interpreter-missing": "interpreter-not-found",
    "layer-foreign": "base-layer-elsewhere",
    "layer-size-zero": "descriptor-size-zero",
    "layer-type-unsupported": "zstd-not-counted",
    "layers-not-mountable": "layer-limit",
    "manifest-too-large": "manifest-oversized",
    "mount-point-invalid": "etc-is-a-link",
    "no-command": "command-missing",
    "not-an-image": "tag-is-attestation",
    "parent-folder-missing": "parent-directory-missing",
    "platform-mismatch": "wrong-architecture",
    "platform-missing": "platform-not-in-index",
    "schema-1": "schema-1-refused",
    "tar-invalid": "tar-entry-refused",
    "too-many-layers": "layer-limit",
    "user-missing": "user-unknown",
    "working-dir-invalid": "working-dir-unusable",
    "working-dir-relative": "working-dir-unusable",
}
_MOST_MESSAGES: Final = 4


def described_finding(finding_id: str) -> Cause:
    """A finding with its usual cause and the engines' words.

    :param finding_id: one of the catalog.
    """
    known = finding(finding_id)
    messages = tuple(dict.fromkeys(MESSAGES.get(finding_id, {}).values()))[:_MOST_MESSAGES]
    words = tuple(f"An engine reports it as: {message}" for message in messages)
    usual = next((cause for cause in KNOWLEDGE if cause.id == _USUAL_CAUSE.get(finding_id)), None)
    if usual is None:
        return replace(known, confirm=(*words, *known.confirm))
    return replace(
        known,
        meaning=usual.meaning,
        confirm=(*words, *known.confirm),
        prevention=usual.prevention,
        sources=(*known.sources, *usual.sources),
    )
