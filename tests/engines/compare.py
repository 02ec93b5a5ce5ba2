"""One generated image: how it is made again from its seed, what the engines say of it, and what we say."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from image_verifier.catalog import CATALOG, Stage
from image_verifier.findings import Finding
from image_verifier.image import Platform
from image_verifier.policy import Policy
from image_verifier.verify import verify

from tests.engines.drafts import Stored, healthy, stored
from tests.engines.engines import BEHIND, Puller
from tests.engines.mutations import BYTES, KINDS
from tests.engines.registry import Registry

PLATFORM: Final = Platform.parse("linux/amd64")


@dataclass(frozen=True)
class Recipe:
    """What an image is generated from: a seed for the healthy one, and kinds of mutation with a seed each."""

    seed: int
    mutations: tuple[tuple[str, int], ...] = ()

    def make(self) -> Stored:
        """The image, the same each time."""
        draft = healthy(random.Random(self.seed))
        for kind, seed in self.mutations:
            if draft.layers:
                KINDS[kind](random.Random(seed), draft)
        return stored(draft)

    @cached_property
    def needs_bytes(self) -> bool:
        """Whether it may be broken in a way that only the layers' bytes tell."""
        return any(kind in BYTES for kind, _ in self.mutations)

    def smaller(self) -> Sequence[Recipe]:
        """The same with one mutation undone."""
        return [
            Recipe(self.seed, tuple(m for j, m in enumerate(self.mutations) if j != i))
            for i in range(len(self.mutations))
        ]

    def __str__(self) -> str:
        return f"{self.seed}:" + ",".join(f"{kind}.{seed}" for kind, seed in self.mutations)

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """The recipe of its text."""
        seed, _, mutations = text.partition(":")
        pairs = (m.rpartition(".") for m in mutations.split(",") if m)
        return cls(int(seed), tuple((kind, int(s)) for kind, _, s in pairs))


@dataclass(frozen=True)
class Outcome:
    """What came of one image.

    :param said: what each engine said; empty where it pulled the image.
    :param unpacked: whether there was anything to unpack: a pull of nothing is none.
    :param findings: ours, by runtime, at default depth; and with the layers.
    """

    recipe: Recipe
    said: Mapping[str, str]
    ours: Mapping[tuple[str, bool], tuple[Finding, ...]] = field(default_factory=dict)

    def runs(self, runtime: str) -> bool:
        """Whether every engine behind the runtime took the image."""
        return not any(self.said[engine] for engine in BEHIND[runtime])

    def disagreements(self) -> list[str]:
        """Where our verdict is not the engines', one line each."""
        lines = []
        for (runtime, layers), findings in self.ours.items():
            pulls, takes = self.runs(runtime), not findings
            refused = [f.id for f in findings if CATALOG[f.id].stage is Stage.PULL]
            depth = "with the layers" if layers else "at default depth"
            if takes and not pulls and (layers or not self.recipe.needs_bytes):
                said = " / ".join(filter(None, (self.said[engine] for engine in BEHIND[runtime])))
                lines.append(f"{runtime} {depth}: we pass it, the engine says: {said}")
            if refused and pulls:
                lines.append(f"{runtime} {depth}: the engine takes it, we say: {', '.join(refused)}")
        return lines


_NOTHING: Final = "nothing was unpacked"
_numbers = itertools.count()


def ask(recipe: Recipe, registry: Registry, engines: Mapping[str, Puller], pool: ThreadPoolExecutor) -> Outcome:
    """Serve one image, have all engines pull it, and judge it ourselves."""
    name = f"g{next(_numbers)}"
    image = recipe.make()
    registry.images[name] = image
    pulls = {engine: pool.submit(puller.pull, registry.reference(name)) for engine, puller in engines.items()}
    ours = {}
    for runtime, layers in itertools.product(BEHIND, DEPTHS):
        report = verify(image, Policy((runtime,), PLATFORM, verify_layers=layers))
        ours[runtime, layers] = report.errors
        unpacked = report.image.config is None or report.image.config.diff_ids
    said = {engine: pull.result() or ("" if unpacked else _NOTHING) for engine, pull in pulls.items()}
    del registry.images[name]
    return Outcome(recipe, said, ours)


DEPTHS = (False, True)

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def shape(line: str) -> str:
    """A disagreement without digests and numbers, so that equal ones are told once."""
    return re.sub(r"\d+", "N", _DIGEST.sub("H", line))


def shrink(outcome: Outcome, again: Sequence[Outcome]) -> Outcome:
    """The smallest of the outcomes that disagrees as this one does."""
    return next((o for o in again if o.disagreements()), outcome)
