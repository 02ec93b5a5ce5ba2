"""The subject that a check receives, and the builder of its findings."""

from __future__ import annotations

from dataclasses import dataclass

from ..image.model import Image
from ..policy import Policy
from ..report import Finding, Severity
from ..rules.engine_messages import Prediction, engine_message
from ..rules.engines import Engine
from ..rules.runtimes import Runtime
from ..text import shortened


@dataclass(frozen=True)
class Subject:
    """One image as one engine of a runtime sees it.

    :param image: what is known of the image.
    :param runtime: the runtime that must be able to run it.
    :param policy: what is required of the image.
    :param engine: the engine of the runtime that judges it.
    """

    image: Image
    runtime: Runtime
    policy: Policy
    engine: Engine

    @property
    def words(self) -> str:
        """Whose messages the engine has when it pulls."""
        return self.engine.words


def finding(
    finding_id: str,
    message: str,
    words: str = "",
    variant: str = "",
    *,
    severity: Severity = Severity.ERROR,
    expected: str = "",
    found: str = "",
    runtime_error: str = "",
    layer: str = "",
    **values: object,
) -> Finding:
    """A finding, together with the engine's message for it. An image's own text in it is bounded here, once for all.

    :param finding_id: the id in the catalogue.
    :param message: what is wrong, as one sentence or more.
    :param words: whose message is quoted: an engine's `words`, or a family; empty where it has no message for this.
    :param variant: which of its messages is quoted.
    :param severity: how much the finding weighs.
    :param expected: what was expected, where that says more than the message.
    :param found: what was found instead.
    :param runtime_error: the message itself, where it is not in the table of messages.
    :param layer: the digest of the layer that it is about; empty where it is about the whole image.
    :param values: what the quoted message's placeholders stand for, besides `expected` and `found`.
    """
    if words:
        runtime_error = engine_message(finding_id, words, variant, expected=expected, found=found, **values)
    return Finding(
        finding_id,
        severity,
        shortened(message),
        expected=shortened(expected),
        found=shortened(found),
        runtime_error=shortened(runtime_error),
        predicted=isinstance(runtime_error, Prediction),
        layer=shortened(layer),
    )
