"""Docker schema 1 manifests: the engines that still pull them need a signature in the document.

Measured on 2026-11-28 with dockerd 25.0.16 and 28.5.2, and containerd 1.6.20, 1.7.24 and 2.1.9. dockerd wants no valid
signature, but one that it can read, and keys exactly as they are spelled:
https://github.com/docker/libtrust/blob/master/jsonsign.go, ParsePrettySignature
"""

from __future__ import annotations

from collections.abc import Iterator

from ..image import media_types
from ..image.go_json import RAW, GoJsonError, JsonText, MapOf
from ..image.model import Document
from ..report import Finding, Severity
from ..rules.engines import Engine
from .subject import Subject, finding


def is_newer_than_schema_1(subject: Subject) -> Iterator[Finding]:
    """The manifest is not one of Docker schema 1, unless it is signed and the engine still pulls those."""
    document, engine = subject.image.document, subject.engine
    if document is None or document.media_type not in media_types.SCHEMA_1:
        return
    problem, why = signature_problem(document)
    variant = _variant(document, engine, problem)
    tolerated = engine.schema_1 and not variant
    yield finding(
        "schema-1",
        "The manifest is a Docker schema 1 manifest"
        + (
            " without a signature, which no engine accepts."
            if problem
            else ", which newer engines no longer accept. Nothing else was checked."
            if tolerated
            else ", which is no longer supported."
        ),
        "" if tolerated else subject.words,
        variant,
        severity=Severity.WARNING if tolerated else Severity.ERROR,
        expected=" or ".join(sorted(media_types.MANIFESTS)),
        found=document.media_type,
        why=why,
        media_type=document.media_type,
        digest=document.digest,
    )


def signature_problem(document: Document) -> tuple[str, str]:
    """Why the signature in a schema 1 document cannot be read, as a variant of the engine's messages; and Go's error.

    :param document: the document, of any type: dockerd reads one of an unknown type as a signed manifest of schema 1.
        https://github.com/distribution/distribution/blob/release/2.8/manifests.go, UnmarshalManifest
    """
    try:
        if "signatures" not in JsonText(document.content).fill(MapOf(RAW)):
            return "no signature", ""
    except GoJsonError as e:
        return "not JSON", str(e)
    # Imported here: nearly no image has such a manifest.
    from ..image.schema_1 import signed_payload

    return ("", "") if signed_payload(document.content) else ("bad signature", "")


def _variant(document: Document, engine: Engine, problem: str) -> str:
    """The variant of the engine's message, empty where nothing but the schema is wrong."""
    if engine.family != "containerd":
        return problem
    if document.media_type == media_types.DOCKER_MANIFEST_1:
        # It only knows the type of signed ones.
        return "no manifest"
    return problem if engine.schema_1 else ""
