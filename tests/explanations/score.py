"""Hold `safe-image explain` against texts that somebody pasted, each labelled with the real cause.

`texts/collected.json` was collected while the knowledge base was built. `texts/fresh.json` and `texts/later.json` were
collected and labelled afterwards, and scored before anything was changed for them: 62 of 77, then 31 of 46 were right.

The first cause must name one of the label's words, its stage and one of whom it blames. Nothing that deletes may be
printed, since no image was checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.rules.remedies import Names

from safe_image.explanations.explanation import explain

FOLDER: Final = Path(__file__).parent / "texts"
# Stages that shade into one another count as one.
_ALIKE: Final[Mapping[str, str]] = {"resolve": "pull", "unpack": "pull", "create": "start", "run": "start"}
_DELETES: Final = ("batch-delete-image", "docker image rm", "docker rmi", "system prune")


@dataclass(frozen=True)
class Label:
    """A text and what is known of it.

    :param text: as it was pasted.
    :param address: where it was pasted, a URL.
    :param stage: the stage that failed.
    :param blame: who may be named; empty where nobody may be.
    :param words: the first cause must have one of these; empty where any will do.
    """

    text: str
    address: str
    stage: str
    blame: tuple[str, ...]
    words: tuple[str, ...]


def labels(file: str = "*.json") -> Iterator[Label]:
    """The labelled texts.

    :param file: a pattern for the files that are read.
    """
    for path in sorted(FOLDER.glob(file)):
        for row in json.loads(path.read_text(encoding="utf-8")):
            yield _label(row)


def _label(row: Mapping[str, Any]) -> Label:
    return Label(row["text"], row["address"], row["stage"], tuple(row["blame"]), tuple(row["words"]))


def mistakes(label: Label) -> list[str]:
    """The mistakes in the explanation of a text; empty where all is right."""
    causes = explain(label.text, "", Policy(("fargate",), Platform("linux", "amd64")), Names()).causes
    steps = " ".join(line for cause in causes for line in (*cause.confirm, *cause.remedy, *cause.prevention))
    wrong = [f"deletes: {word}" for word in _DELETES if word in steps]
    if not causes:
        return wrong + (["nothing is recognised"] if label.words else [])
    first = causes[0]
    head = f"{first.title} {first.meaning}".lower()
    if label.words and not any(word.lower() in head for word in label.words):
        wrong.append(f"{first.id} has none of {', '.join(label.words)}")
    if _ALIKE.get(first.stage, first.stage) != _ALIKE.get(label.stage, label.stage):
        wrong.append(f"{first.id} is of {first.stage}, not of {label.stage}")
    if not set(first.blame) & set(label.blame):
        wrong.append(f"{first.id} blames {', '.join(first.blame)}, not {', '.join(label.blame)}")
    return wrong


def report(file: str = "*.json") -> bool:
    """Print the mistakes and the score, and return whether all is right.

    :param file: a pattern for the files that are read.
    """
    every = list(labels(file))
    wrong = [(label, found) for label in every if (found := mistakes(label))]
    for label, found in wrong:
        print(f"{label.address}: {'; '.join(found)}")
    print(f"{len(every) - len(wrong)} of {len(every)} texts are explained right")
    return not wrong
