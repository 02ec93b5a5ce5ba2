"""`make engines`: compare our verdicts with real containerd and dockerd, on the corpus and on generated images.

Exit 0: all agree. 1: some do not, and each is told with the smallest image that shows it. 2: the engines cannot
run here.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from local_engines.dockerd import EngineError
from release.engines.compare import DEPTHS, Laboratory, Outcome, Recipe, Subject, in_layout, shape
from release.engines.generate import recipes
from release.engines.permissive_registry import PermissiveRegistry
from release.engines.pullers import BEHIND, start_engines
from tests.corpus.cases import unpack
from tests.corpus.differences import VERDICTS

_AT_ONCE: Final = 8


@dataclass
class Tally:
    """What came of many images."""

    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, outcomes: Iterable[Outcome], what: str) -> None:
        """Take note of outcomes as they come, and say how far it is."""
        started = time.monotonic()
        for number, outcome in enumerate(outcomes, 1):
            self.outcomes.append(outcome)
            if not number % 250:
                print(f"  {number} {what}, {time.monotonic() - started:.0f} s", flush=True)

    def table(self) -> Iterator[str]:
        """How often we agree, by runtime and depth."""
        row = "{:<10} {:<8} {:>7} {:>8} {:>7} {:>9} {:>11}".format
        yield row("runtime", "depth", "images", "healthy", "agree", "disagree", "bytes only")
        for runtime in BEHIND:
            healthy = sum(o.runs(runtime) for o in self.outcomes)
            for layers in DEPTHS:
                wrong = sum(bool(o.disagreement(runtime, layers)) for o in self.outcomes)
                hidden = sum(o.only_bytes_tell(runtime, layers) for o in self.outcomes)
                depth, images = "layers" if layers else "default", len(self.outcomes)
                yield row(runtime, depth, images, healthy, images - wrong - hidden, wrong, hidden)

    def disagreements(self) -> Mapping[str, list[Outcome]]:
        """The outcomes on which we differ, those that differ alike together."""
        alike: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes:
            for line in outcome.disagreements():
                alike[shape(line)].append(outcome)
        return alike


def main(arguments: Sequence[str]) -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m release.engines", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="what is generated depends on it")
    parser.add_argument("--images", type=int, default=2000, help="how many to generate at least; default: 2000")
    parser.add_argument("--of-each-kind", type=int, default=100, help="mutations of each kind at least; default: 100")
    parser.add_argument("--recipe", action="append", default=[], help="only this image, as a report names it")
    asked = parser.parse_args(arguments)
    try:
        with PermissiveRegistry.start() as registry, start_engines(registry) as pullers, ThreadPoolExecutor() as pool:
            laboratory = Laboratory(registry, pullers, pool)
            if asked.recipe:
                return _replay(laboratory, asked.recipe)
            return _compare(laboratory, recipes(asked.seed, asked.images, asked.of_each_kind), asked.seed)
    except EngineError as error:
        print(f"The engines cannot run here: {error}", file=sys.stderr)
        return 2


def _compare(laboratory: Laboratory, generated: Sequence[Recipe], seed: int) -> int:
    corpus, images = Tally(), Tally()
    with ThreadPoolExecutor(_AT_ONCE) as workers, tempfile.TemporaryDirectory() as folder:
        cases = [case for case in unpack(Path(folder)) if case.name not in VERDICTS]
        print(f"The corpus: {len(cases)} images", flush=True)
        # One after the other: they have layers in common, and an engine fetches only what it does not have.
        corpus.add((laboratory.ask(in_layout(case.folder)) for case in cases), "images")
        dealt = Counter(kind for recipe in generated for kind, _ in recipe.mutations)
        print(f"Generated with seed {seed}: {len(generated)} images, {len(dealt)} kinds of mutation, ", end="")
        print(f"{min(dealt.values())} to {max(dealt.values())} of each", flush=True)
        images.add(workers.map(laboratory.ask, map(Subject.of, generated)), "images")
    for title, tally in (("The corpus", corpus), ("Generated images", images)):
        print(f"\n{title}")
        print("\n".join(f"  {line}" for line in tally.table()))
        for alike in tally.disagreements().items():
            print("\n".join(_told(laboratory, *alike)))
    return 1 if corpus.disagreements() or images.disagreements() else 0


def _told(laboratory: Laboratory, alike: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    smallest = laboratory.shrunk(min(outcomes, key=lambda o: o.subject.mutations), alike)
    line = next(line for line in smallest.disagreements() if shape(line) == alike)
    yield f"\n  {len(outcomes)} times {line}"
    yield f"    smallest: {smallest.subject.name}"


def _replay(laboratory: Laboratory, texts: Sequence[str]) -> int:
    outcomes = [laboratory.ask(Subject.of(Recipe.parse(text))) for text in texts]
    for outcome in outcomes:
        print(f"\n{outcome.subject.name}")
        print("\n".join(f"  {line}" for line in outcome.told()))
    return 1 if any(outcome.disagreements() for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
