"""Each finding of `safe-image check`, as a cause: what engines say of such an image, in the catalog's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from image_verifier.report import Finding, Severity
from image_verifier.rules.advice import ADVICE
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.catalog import Stage as CatalogStage
from image_verifier.rules.causes import USUAL_CAUSES
from image_verifier.rules.engine_messages import MESSAGES
from image_verifier.rules.meanings import MEANINGS
from image_verifier.rules.names import Names
from image_verifier.rules.remedies import remedy

from ..cause import HOLE, Cause, Stage, Words
from ..contexts import BUILD, NO_DIFF_IDS
from ..normalize import squashed

# Less than this is in any text.
_LEAST: Final = 9
_STAGES: Final[dict[CatalogStage, Stage]] = {
    CatalogStage.PULL: "pull",
    CatalogStage.START: "start",
    CatalogStage.RUN: "start",
    CatalogStage.POLICY: "other",
}
# The chain of calls on the way to an error, and the part of it that is shown, differ from place to place.
_BEFORE: Final = (
    "failed to unpack image on snapshotter overlayfs: ",
    "failed to create task for container: ",
    "failed to create shim task: ",
    "OCI runtime create failed: runc create failed: ",
    "error pulling image configuration: ",
    "download failed after attempts=1: ",
    "failed to extract layer {diff_id}: ",
    "unable to start container process: ",
    "exec {program}: ",
)
_AFTER: Final = (": unknown", ": failed precondition", ": invalid argument")
_ASK: Final = ("Run safe-image explain with --image and the image: it prints the commands for that image.",)
_OPEN: Final = re.compile(r"\{(?:error|why)\}(?:: unknown)?$")


def _causes() -> Iterator[Cause]:
    for finding_id in CATALOG:
        yield finding_cause(finding_id)


def finding_cause(finding_id: str) -> Cause:
    """A finding as a cause.

    :param finding_id: one of the catalog.
    """
    meaning, cause = MEANINGS[finding_id], USUAL_CAUSES[finding_id]
    found = Finding(finding_id, Severity.ERROR, meaning)
    # Without names there are no commands that delete: nobody has looked at the image yet.
    steps = remedy(found, Names(platform="{platform}"))
    return Cause(
        id=finding_id,
        title=meaning,
        meaning=cause.text,
        stage=_STAGES[CATALOG[finding_id]],
        blame=("image",),
        words=tuple(_words(finding_id, text) for text in _texts(finding_id)),
        confirm=("Check the image, its layers too:", "$ safe-image check {image} --layers --runs-on {runs_on}"),
        remedy=steps or _ASK,
        prevention=(ADVICE[finding_id].prevention,),
        sources=(cause.source,),
        findings=(finding_id,),
        specificity="finding",
    )


def _words(finding_id: str, text: str) -> Words:
    """A text of a finding. `!= 0` means that the config lists no layer: without a rootfs, or with an empty one."""
    if "{diff_ids}" not in text or finding_id == "diff-ids-count":
        return Words(text, unless=BUILD)
    if finding_id == "rootfs-missing":
        return Words(text, NO_DIFF_IDS, BUILD)
    return Words(text, unless=f"{BUILD}|{NO_DIFF_IDS}")


def _texts(finding_id: str) -> Iterator[str]:
    """The engines' messages that name more than the place of the failure."""
    texts = (text for text in MESSAGES.get(finding_id, {}).values() if not _OPEN.search(text))
    for text in dict.fromkeys(map(_stripped, texts)):
        if len(squashed(HOLE.sub("", text))) >= _LEAST:
            yield text


def _stripped(text: str) -> str:
    """A template without what stands around the error itself, unless that is all that there is."""
    for before in _BEFORE:
        rest = text.removeprefix(before)
        text = rest if len(squashed(HOLE.sub("", rest))) >= _LEAST else text
    for after in _AFTER:
        text = text.removesuffix(after)
    return text


CAUSES: Final = tuple(_causes())
