"""Hold `safe-image explain` against texts that somebody pasted, each labelled with the real cause.

`texts/collected.json` was collected while the knowledge base was built. The others were collected and labelled
afterwards, and scored before anything was changed for them:

| File | Texts | Right at first |
|---|---|---|
| `fresh.json` | 77 | 62 |
| `later.json` | 46 | 31 |
| `unseen.json` | 162 | 115 (the stage of 133, the blame of 138, the cause of 125) |

`unseen.json` is by somebody who had not seen the knowledge base; each label has the cause in a sentence of theirs.
After the first score, nine of its labels were widened, since the text allows both answers: the stage of five, the words
of four.

The first cause must name one of the label's words, one of its stages and one of whom it blames. A label that blames
nobody has a text that only looks like an image's error: it must get no cause. Nothing that deletes may be printed,
since no image was checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.rules.names import Names

from safe_image.explanations.explanation import explain
from tests.explanations.forms import FORMS

FOLDER: Final = Path(__file__).parent / "texts"
# Stages that shade into one another count as one.
_ALIKE: Final[Mapping[str, str]] = {"resolve": "pull", "unpack": "pull", "create": "start", "run": "start"}
_DELETES: Final = ("batch-delete-image", "docker image rm", "docker rmi", "system prune")


@dataclass(frozen=True)
class Label:
    """A text and what is known of it.

    :param text: as it was pasted.
    :param address: where it was pasted, a URL.
    :param stages: the stages that may be named.
    :param blame: who may be named; empty where no cause may be reported.
    :param words: the first cause must have one of these; empty where any will do.
    """

    text: str
    address: str
    stages: frozenset[str]
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
    stages = frozenset(_ALIKE.get(stage, stage) for stage in row["stage"])
    return Label(row["text"], row["address"], stages, tuple(row["blame"]), tuple(row["words"]))


def mistakes(label: Label) -> list[str]:
    """The mistakes in the explanation of a text; empty where all is right."""
    causes = explain(label.text, "", Policy(("fargate",), Platform("linux", "amd64")), Names()).causes
    steps = " ".join(line for cause in causes for line in (*cause.confirm, *cause.remedy, *cause.prevention))
    wrong = [f"deletes: {word}" for word in _DELETES if word in steps]
    if not causes:
        return wrong + (["nothing is recognised"] if label.words else [])
    first = causes[0]
    if not label.blame:
        return [*wrong, f"{first.id} is reported of what is no image's error"]
    head = f"{first.title} {first.meaning}".lower()
    if label.words and not any(word.lower() in head for word in label.words):
        wrong.append(f"{first.id} has none of {', '.join(label.words)}")
    if _ALIKE.get(first.stage, first.stage) not in label.stages:
        wrong.append(f"{first.id} is of {first.stage}, not of {', '.join(label.stages)}")
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


def in_all_forms(file: str = "*.json") -> bool:
    """Print the mistakes in each form in which a text can be pasted, and return whether there are none.

    :param file: a pattern for the files that are read.
    """
    right = True
    for label in labels(file):
        for form, shown in FORMS.items():
            found = mistakes(replace(label, text=shown(label.text)))
            if found:
                right = False
                print(f"{form}: {label.address}: {'; '.join(found)}", flush=True)
    return right
