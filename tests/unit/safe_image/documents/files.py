"""Files for the tests of `safe_image.documents`, and an account that no test asks."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from safe_image.documents.cloudformation import read_cloudformation
from safe_image.documents.document_image import DocumentImage
from safe_image.documents.settings import Settings

PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Region": "eu-west-1",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
ECR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"


def write(folder: Path, name: str, text: str) -> str:
    """A file with a text, without the text's indent."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return str(path)


def template(folder: Path, text: str, *settings: str, name: str = "template.yaml") -> list[DocumentImage]:
    """The images of a template."""
    file = write(folder, name, text)
    return list(read_cloudformation(file, Settings.parse(settings), PSEUDO.__getitem__))


def known(images: list[DocumentImage]) -> list[str]:
    """The references; none may be unknown."""
    assert [image.missing for image in images] == [""] * len(images)
    return [image.reference for image in images]


def facts(image: DocumentImage) -> tuple[Any, ...]:
    """The facts that a file states about an image, without the file's name."""
    return image.reference, image.runs_on, image.platform, image.place.line, image.place.path
