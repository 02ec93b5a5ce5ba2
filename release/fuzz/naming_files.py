"""Files that name images, such as templates and plans, as the fuzzer changes them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from image_verifier.faults import Fault

from local_engines.checkout import ROOT
from release.fuzz.mutations import mutated_bytes, mutated_json
from safe_image.documents.document_targets import DocumentOptions, document_targets
from safe_image.documents.files import read_documents
from safe_image.errors import UsageError
from safe_image.sources.local_images import DOCUMENTS
from safe_image.sources.targets import TargetResolver

_SHAPES: Final = ROOT / "tests" / "unit" / "safe_image" / "documents" / "shapes"
# Calls of functions as none is written, and texts with openings.
_CALLS: Final[Sequence[Any]] = (
    {"Fn::If": {}},
    {"Fn::If": ["C"]},
    {"Fn::Sub": ["${a}", {"a": []}]},
    {"Fn::Join": [{}, [1]]},
    {"Fn::Select": ["x", []]},
    {"Fn::FindInMap": ["a", "b", "c", {"DefaultValue": {}}]},
    {"Fn::ForEach::x": ["a", ["b"], {}]},
    {"Fn::Transform": {}},
    {"Ref": []},
    "${",
    "${A:?x}",
    "{{resolve:ssm:x}}",
    "{{ must_env `A` }}",
)


def files(rng: random.Random, _seeds: object, folder: Path) -> Callable[[], object]:
    """A template, a task definition, a plan, a manifest or a Compose file that is not what it should be."""
    scheme, shape = rng.choice(_shapes())
    content = shape.read_bytes()
    if rng.random() < 0.7:
        # Only the first document: its functions become plain values.
        value = next(read_documents(str(shape), short_forms=True)).value
        _replace_one(rng, value)
        content = json.dumps(value).encode()
        content = mutated_json(rng, content) if rng.random() < 0.5 else content
    else:
        content = mutated_bytes(rng, content)
    path = folder / "file"
    path.write_bytes(content)

    def run() -> object:
        try:
            targets = document_targets([f"{scheme}{path}"], TargetResolver(), DocumentOptions())
        except (UsageError, Fault) as e:
            return str(e)
        return [(target.reference, str(target.policy), target.places) for target in targets]

    return run


@cache
def _shapes() -> Sequence[tuple[str, Path]]:
    """The files of the tests, each with the kind of file that it is."""
    return [(scheme, path) for path in sorted(_SHAPES.iterdir()) for scheme in DOCUMENTS if _is_read(scheme, path)]


def _is_read(scheme: str, path: Path) -> bool:
    try:
        return bool(document_targets([f"{scheme}{path}"], TargetResolver(), DocumentOptions()))
    except (UsageError, Fault):
        return False


def _replace_one(rng: random.Random, value: Any) -> None:
    """Replace one of the values, at any depth, by a call of a function or a text with an opening."""
    places = list(_places(value))
    if places:
        container, key = rng.choice(places)
        container[key] = rng.choice(_CALLS)


def _places(value: Any) -> Sequence[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    own = [(value, key) for key in keys]
    return [*own, *(place for _, key in own for place in _places(value[key]))]
