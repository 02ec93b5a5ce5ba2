"""Compares the engines' results for one image with our verdict."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Finding, Severity
from image_verifier.rules.catalog import CATALOG, Stage
from image_verifier.rules.engines import CONTAINERD_1_6, CONTAINERD_2_1
from image_verifier.rules.runtimes import RUNTIMES, HostEngine, Runtime
from image_verifier.verify import verify

from release.engines.drafts import StoredImage, healthy, stored
from release.engines.mutation_kinds import BYTES
from release.engines.mutations import KINDS
from release.engines.permissive_registry import PermissiveRegistry
from release.engines.pullers import PULL_ANYTHING, REQUIRED_ENGINES, ROWS, Puller

PLATFORM: Final = Platform.parse("linux/amd64")
DEPTHS: Final = (False, True)
"""Values of `verify_layers`."""

# One of these mutations is visible in manifest and config; two of them can hide each other.
_NUMBERING: Final = frozenset(
    {"layer-count", "layer-count-with-diff-ids", "layer-order-with-diff-ids", "diff-id-count", "rootfs"}
)
_FAILS_AT_START: Final = ("not-an-image", "config-unreadable", "descriptor-for-another-platform")
_EMPTY_PULL: Final = "it pulls nothing"
_VARIABLE: Final = re.compile(r"[0-9a-f]{64}|\d+|overlayfs/snapshots/\S+")


@dataclass(frozen=True)
class Known:
    """A difference between us and an engine that is known, and is not a reason to fail.

    :param engine: the engine that differs; a runtime that has it may differ as well.
    :param kinds: an image that shows it has a mutation of one of these kinds.
    :param text: what the line of a disagreement contains.
    :param why: the reason.
    """

    engine: str
    kinds: frozenset[str]
    text: re.Pattern[str]
    why: str

    def covers(self, subject: Subject, name: str, line: str) -> bool:
        """Whether this is a disagreement about an image.

        :param name: the engine or the runtime.
        :param line: the disagreement.
        """
        kinds = {kind for kind, _ in subject.recipe.mutations} if subject.recipe else set()
        return self.engine in REQUIRED_ENGINES[name] and bool(kinds & self.kinds) and bool(self.text.search(line))


KNOWN: Final = (
    Known(
        CONTAINERD_2_1.name,
        frozenset({"index-children", "index-platform"}),
        re.compile("httpReadSeeker|content size of zero|get image config descriptor: content digest"),
        "CRI of containerd 2 fetches every entry of an index that is for exactly the platform; we follow the best one",
    ),
    Known(
        CONTAINERD_1_6.name,
        frozenset({"manifest-field"}),
        re.compile("we report manifest-unreadable"),
        "containerd 1.6 does not know a manifest's `subject`; of 1.6, only the words are quoted",
    ),
)


@dataclass(frozen=True)
class Recipe:
    """The input of a generated image: the seed of a healthy image, and kinds of mutation with a seed each."""

    seed: int
    mutations: tuple[tuple[str, int], ...] = ()

    def image(self) -> StoredImage:
        """The image, which is the same each time."""
        draft = healthy(random.Random(self.seed))
        for kind, seed in self.mutations:
            if draft.layers:
                KINDS[kind](random.Random(seed), draft)
        return stored(draft)

    def needs_bytes(self) -> bool:
        """Whether the image may have a fault that only its layers' bytes show."""
        kinds = {kind for kind, _ in self.mutations}
        return bool(kinds & set(BYTES)) or len(kinds & _NUMBERING) > 1

    def smaller(self) -> Iterator[Recipe]:
        """The recipes with one mutation less."""
        for left_out in range(len(self.mutations)):
            yield Recipe(self.seed, self.mutations[:left_out] + self.mutations[left_out + 1 :])

    def __str__(self) -> str:
        return f"{self.seed}:" + ",".join(f"{kind}.{seed}" for kind, seed in self.mutations)

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """The recipe that a report prints."""
        seed, _, mutations = text.partition(":")
        pairs = [mutation.split(".") for mutation in mutations.split(",") if mutation]
        return cls(int(seed), tuple((kind, int(number)) for kind, number in pairs))


@dataclass(frozen=True)
class Subject:
    """An image to compare.

    :param needs_bytes: whether the image may have a fault that only its layers' bytes show.
    :param recipe: None for an image of the corpus.
    """

    name: str
    image: StoredImage
    needs_bytes: bool
    recipe: Recipe | None = None

    @classmethod
    def of(cls, recipe: Recipe) -> Subject:
        """The image of a recipe."""
        return cls(str(recipe), recipe.image(), recipe.needs_bytes(), recipe)

    @property
    def mutations(self) -> int:
        """How many mutations the image has."""
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
    # tests/corpus compares the verdicts that need the layers' bytes with the record, case by case.
    return Subject(folder.name, StoredImage(top["digest"], documents, blobs), needs_bytes=True)


@dataclass(frozen=True)
class Compared(Policy):
    """A policy for one of the compared engines or runtimes, with our rows for the engines that Debian has."""

    name: str = ""

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """The runtime, or one that has only this engine."""
        hosts = tuple(HostEngine(ROWS[engine]) for engine in REQUIRED_ENGINES[self.name])
        platforms = (str(self.platform),)
        alone = Runtime(self.name, self.name, hosts, platforms, error_prefixes={})
        return (replace(RUNTIMES.get(self.name, alone), on_hosts=hosts),)


@dataclass(frozen=True)
class Outcome:
    """The results for one image.

    :param errors: each engine's error; empty where it pulled the image.
    :param findings: our findings, by runtime and `verify_layers`.
    """

    subject: Subject
    errors: Mapping[str, str]
    findings: Mapping[tuple[str, bool], tuple[Finding, ...]]

    def runs(self, runtime: str) -> bool:
        """Whether every engine of the runtime pulled the image."""
        return not any(self.errors[engine] for engine in REQUIRED_ENGINES[runtime])

    def disagreement(self, runtime: str, layers: bool) -> str:
        """How our verdict differs from the engines' results; empty where it does not, or where that is known."""
        line = self.difference(runtime, layers)
        return "" if any(known.covers(self.subject, runtime, line) for known in KNOWN) else line

    def difference(self, runtime: str, layers: bool) -> str:
        """The same, with the differences that are known."""
        errors = [finding.id for finding in self.findings[runtime, layers] if finding.severity is Severity.ERROR]
        depth = "with the layers" if layers else "at default depth"
        if self.runs(runtime):
            # The engines only pull the image, so their results prove nothing about its start.
            unproven = _FAILS_AT_START if PULL_ANYTHING.issuperset(REQUIRED_ENGINES[runtime]) else ()
            refused = [e for e in errors if CATALOG[e] is Stage.PULL and e not in unproven]
            return f"{runtime} {depth}: the engines pull it, we report {', '.join(refused)}" if refused else ""
        if errors or (self.subject.needs_bytes and not layers):
            return ""
        error = next(filter(None, (self.errors[engine] for engine in REQUIRED_ENGINES[runtime])))
        return f"{runtime} {depth}: we pass it, the engine reports {error}"

    def needs_layers(self, runtime: str, layers: bool) -> bool:
        """Whether we pass a broken image because we did not read its layers."""
        errors = any(finding.severity is Severity.ERROR for finding in self.findings[runtime, layers])
        return not layers and not errors and not self.runs(runtime) and self.subject.needs_bytes

    def disagreements(self) -> Sequence[str]:
        """Every disagreement, on one line each."""
        return [line for line in (self.disagreement(*key) for key in self.findings) if line]

    def lines(self) -> Iterator[str]:
        """Every engine's result, every verdict of ours, and the disagreements."""
        for engine, error in self.errors.items():
            yield f"{engine}: {error or 'pulled'}"
        for (runtime, layers), findings in self.findings.items():
            errors = "; ".join(
                f"{f.id} ({f.runtime_error or f.message})" for f in findings if f.severity is Severity.ERROR
            )
            yield f"ours, {runtime} {'with the layers' if layers else 'at default depth'}: {errors or 'pass'}"
        yield from self.disagreements()


def shape(line: str) -> str:
    """A disagreement without the digests, numbers and paths that differ between images."""
    return _VARIABLE.sub("#", line)


@dataclass(frozen=True)
class Laboratory:
    """A registry, the engines that pull from it, and their threads."""

    registry: PermissiveRegistry
    engines: Mapping[str, Puller]
    pool: ThreadPoolExecutor

    def judge(self, subject: Subject) -> Outcome:
        """Let every engine pull an image, and verify it ourselves."""
        with self.registry.serving(subject.image) as reference:
            pulls = {name: self.pool.submit(engine.pull, reference) for name, engine in self.engines.items()}
            reports = {
                (name, layers): verify(subject.image, Compared(("fargate",), PLATFORM, verify_layers=layers, name=name))
                for name, layers in itertools.product(REQUIRED_ENGINES, DEPTHS)
            }
            errors = {name: pull.result() for name, pull in pulls.items()}
        for name, error in errors.items():
            # The image that this engine chooses from an index, which need not be another's.
            image = reports[name, False].image
            empty = image.manifest and not image.manifest.layers
            if empty or (image.config and not image.config.diff_ids):
                errors[name] = error or _EMPTY_PULL
        return Outcome(subject, errors, {key: report.findings for key, report in reports.items()})

    def shrunk(self, outcome: Outcome, disagreement: str) -> Outcome:
        """The outcome with the fewest mutations that has the same disagreement."""
        recipe = outcome.subject.recipe
        for smaller in recipe.smaller() if recipe else ():
            again = self.judge(Subject.of(smaller))
            if any(shape(line) == disagreement for line in again.disagreements()):
                return self.shrunk(again, disagreement)
        return outcome
