"""One image before the engines and before us: what they say of it, what we say, and whether that agrees."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Finding, Severity
from image_verifier.rules.catalog import CATALOG, Stage
from image_verifier.verify import verify

from release.engines.drafts import Stored, healthy, stored
from release.engines.mutations import BYTES, KINDS
from release.engines.permissive_registry import PermissiveRegistry
from release.engines.pullers import BEHIND, Puller

PLATFORM: Final = Platform.parse("linux/amd64")
DEPTHS: Final = (False, True)
"""Whether the layers are read."""

# One of these alone can be seen; two of them can hide each other.
_NUMBERING: Final = frozenset(
    {"layer-count", "layer-count-with-diff-ids", "layer-order-with-diff-ids", "diff-id-count", "rootfs"}
)
_NOTHING: Final = "it pulls nothing"
_VARIABLE: Final = re.compile(r"[0-9a-f]{64}|\d+|overlayfs/snapshots/\S+")


@dataclass(frozen=True)
class Recipe:
    """What an image is generated from: a seed for the healthy one, and kinds of mutation with a seed each."""

    seed: int
    mutations: tuple[tuple[str, int], ...] = ()

    def image(self) -> Stored:
        """The image, the same each time."""
        draft = healthy(random.Random(self.seed))
        for kind, seed in self.mutations:
            if draft.layers:
                KINDS[kind](random.Random(seed), draft)
        return stored(draft)

    def needs_bytes(self) -> bool:
        """Whether it may be broken in a way that only the layers' bytes tell."""
        kinds = {kind for kind, _ in self.mutations}
        return bool(kinds & set(BYTES)) or len(kinds & _NUMBERING) > 1

    def smaller(self) -> Iterator[Recipe]:
        """The same with one mutation undone, each in its turn."""
        for left_out in range(len(self.mutations)):
            yield Recipe(self.seed, self.mutations[:left_out] + self.mutations[left_out + 1 :])

    def __str__(self) -> str:
        return f"{self.seed}:" + ",".join(f"{kind}.{seed}" for kind, seed in self.mutations)

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """The recipe that a report names."""
        seed, _, mutations = text.partition(":")
        pairs = [mutation.split(".") for mutation in mutations.split(",") if mutation]
        return cls(int(seed), tuple((kind, int(number)) for kind, number in pairs))


@dataclass(frozen=True)
class Subject:
    """An image that is looked at.

    :param needs_bytes: whether it may be broken in a way that only the layers' bytes tell.
    :param recipe: what it was generated from; None for an image of the corpus.
    """

    name: str
    image: Stored
    needs_bytes: bool
    recipe: Recipe | None = None

    @classmethod
    def of(cls, recipe: Recipe) -> Subject:
        """The image of a recipe."""
        return cls(str(recipe), recipe.image(), recipe.needs_bytes(), recipe)

    @property
    def mutations(self) -> int:
        """How many mutations it has."""
        return len(self.recipe.mutations) if self.recipe else 0


def in_layout(folder: Path) -> Subject:
    """An image of the corpus."""
    top = json.loads((folder / "index.json").read_text())["manifests"][0]
    blobs = {f"sha256:{path.name}": path.read_bytes() for path in folder.glob("blobs/sha256/*")}
    documents: dict[str, tuple[str, bytes]] = {}
    descriptors: list[Any] = [top]
    while descriptors:
        descriptor = descriptors.pop()
        content = blobs.get(descriptor["digest"])
        if content is not None and descriptor["digest"] not in documents:
            documents[descriptor["digest"]] = descriptor["mediaType"], content
            if media_types.is_index(descriptor["mediaType"]):
                descriptors += json.loads(content)["manifests"]
    # What the bytes tell is held to the record, case by case, in tests/corpus.
    return Subject(folder.name, Stored(top["digest"], documents, blobs), needs_bytes=True)


@dataclass(frozen=True)
class Outcome:
    """What came of one image.

    :param said: what each engine said; empty where it pulled the image.
    :param ours: our findings, by runtime and whether the layers were read.
    """

    subject: Subject
    said: Mapping[str, str]
    ours: Mapping[tuple[str, bool], tuple[Finding, ...]]

    def runs(self, runtime: str) -> bool:
        """Whether every engine behind the runtime took the image."""
        return not any(self.said[engine] for engine in BEHIND[runtime])

    def disagreement(self, runtime: str, layers: bool) -> str:
        """How our verdict is not the engines'; empty where it is."""
        errors = [finding.id for finding in self.ours[runtime, layers] if finding.severity is Severity.ERROR]
        depth = "with the layers" if layers else "at default depth"
        if self.runs(runtime):
            # The engines only pull here: what fails at the start is not theirs to say.
            refused = [finding_id for finding_id in errors if CATALOG[finding_id].stage is Stage.PULL]
            return f"{runtime} {depth}: the engines pull it, we say {', '.join(refused)}" if refused else ""
        if errors or (self.subject.needs_bytes and not layers):
            return ""
        said = next(filter(None, (self.said[engine] for engine in BEHIND[runtime])))
        return f"{runtime} {depth}: we pass it, the engine says {said}"

    def only_bytes_tell(self, runtime: str, layers: bool) -> bool:
        """Whether it is broken and we pass it, since we did not read the layers."""
        errors = any(finding.severity is Severity.ERROR for finding in self.ours[runtime, layers])
        return not layers and not errors and not self.runs(runtime) and self.subject.needs_bytes

    def disagreements(self) -> Sequence[str]:
        """All of them, a line each."""
        return [line for line in (self.disagreement(*key) for key in self.ours) if line]

    def told(self) -> Iterator[str]:
        """What everybody said."""
        for engine, said in self.said.items():
            yield f"{engine}: {said or 'pulled'}"
        for (runtime, layers), findings in self.ours.items():
            told = "; ".join(
                f"{f.id} ({f.runtime_error or f.message})" for f in findings if f.severity is Severity.ERROR
            )
            yield f"we, {runtime} {'with the layers' if layers else 'at default depth'}: {told or 'pass'}"
        yield from self.disagreements()


def shape(line: str) -> str:
    """A disagreement without what differs from image to image."""
    return _VARIABLE.sub("#", line)


@dataclass(frozen=True)
class Laboratory:
    """A registry, the engines that pull from it, and threads for them."""

    registry: PermissiveRegistry
    engines: Mapping[str, Puller]
    pool: ThreadPoolExecutor

    def ask(self, subject: Subject) -> Outcome:
        """Have every engine pull an image, and judge it ourselves."""
        with self.registry.serving(subject.image) as reference:
            pulls = {name: self.pool.submit(engine.pull, reference) for name, engine in self.engines.items()}
            reports = {
                (runtime, layers): verify(subject.image, Policy((runtime,), PLATFORM, verify_layers=layers))
                for runtime, layers in itertools.product(BEHIND, DEPTHS)
            }
            said = {name: pull.result() for name, pull in pulls.items()}
        config = next(iter(reports.values())).image.config
        if config and not config.diff_ids:
            said = {name: error or _NOTHING for name, error in said.items()}
        return Outcome(subject, said, {key: report.findings for key, report in reports.items()})

    def shrunk(self, outcome: Outcome, alike: str) -> Outcome:
        """The outcome for the image with the fewest mutations that still shows the same disagreement."""
        recipe = outcome.subject.recipe
        for smaller in recipe.smaller() if recipe else ():
            again = self.ask(Subject.of(smaller))
            if any(shape(line) == alike for line in again.disagreements()):
                return self.shrunk(again, alike)
        return outcome
