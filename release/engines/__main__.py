"""`make engines`: compare our verdicts with real containerd and dockerd, on the corpus and on generated images.

Exit 0: all verdicts agree. 1: some do not; the report has the smallest image for each disagreement. 2: the engines
cannot run on this machine.
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
from release.engines.compare import DEPTHS, KNOWN, Laboratory, Outcome, Recipe, Subject, in_layout, shape
from release.engines.generate import recipes
from release.engines.permissive_registry import PermissiveRegistry
from release.engines.pullers import REQUIRED_ENGINES, start_engines
from tests.corpus.cases import unpack
from tests.corpus.differences import VERDICTS

_AT_ONCE: Final = 8


@dataclass
class Tally:
    """The outcomes for many images."""

    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, outcomes: Iterable[Outcome], what: str) -> None:
        """Add outcomes as they arrive, and print the progress.

        :param what: what is counted, such as `images`.
        """
        started = time.monotonic()
        for number, outcome in enumerate(outcomes, 1):
            self.outcomes.append(outcome)
            if not number % 250:
                print(f"  {number} {what}, {time.monotonic() - started:.0f} s", flush=True)

    def table(self) -> Iterator[str]:
        """How many verdicts agree, by engine or runtime, and depth."""
        row = "{:<25} {:<8} {:>7} {:>8} {:>7} {:>9} {:>6} {:>11}".format
        yield row("engine or runtime", "depth", "images", "healthy", "agree", "disagree", "known", "bytes only")
        for runtime in REQUIRED_ENGINES:
            healthy = sum(o.runs(runtime) for o in self.outcomes)
            for layers in DEPTHS:
                wrong = sum(bool(o.disagreement(runtime, layers)) for o in self.outcomes)
                hidden = sum(o.needs_layers(runtime, layers) for o in self.outcomes)
                known = sum(bool(o.difference(runtime, layers)) for o in self.outcomes) - wrong
                depth, images = "layers" if layers else "default", len(self.outcomes)
                yield row(runtime, depth, images, healthy, images - wrong - known - hidden, wrong, known, hidden)

    def disagreements(self) -> Mapping[str, list[Outcome]]:
        """The outcomes with a disagreement, grouped by its shape."""
        by_shape: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes:
            for line in outcome.disagreements():
                by_shape[shape(line)].append(outcome)
        return by_shape


def main(arguments: Sequence[str]) -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m release.engines", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="seed of the generated images; default: random"
    )
    parser.add_argument("--images", type=int, default=2000, help="minimum of generated images; default: 2000")
    parser.add_argument("--of-each-kind", type=int, default=100, help="minimum of mutations of each kind; default: 100")
    parser.add_argument("--recipe", action="append", default=[], help="run only this image of a report; repeatable")
    options = parser.parse_args(arguments)
    try:
        with PermissiveRegistry.start() as registry, start_engines(registry) as pullers, ThreadPoolExecutor() as pool:
            laboratory = Laboratory(registry, pullers, pool)
            if options.recipe:
                return _replay(laboratory, options.recipe)
            return _compare(laboratory, recipes(options.seed, options.images, options.of_each_kind), options.seed)
    except EngineError as error:
        print(f"The engines cannot run on this machine: {error}", file=sys.stderr)
        return 2


def _compare(laboratory: Laboratory, generated: Sequence[Recipe], seed: int) -> int:
    corpus, images = Tally(), Tally()
    with ThreadPoolExecutor(_AT_ONCE) as workers, tempfile.TemporaryDirectory() as folder:
        cases = [case for case in unpack(Path(folder)) if case.name not in VERDICTS]
        print(f"The corpus: {len(cases)} images", flush=True)
        # One after the other: the images share layers, and an engine does not fetch a layer twice.
        corpus.add((laboratory.judge(in_layout(case.folder)) for case in cases), "images")
        dealt = Counter(kind for recipe in generated for kind, _ in recipe.mutations)
        print(f"Generated with seed {seed}: {len(generated)} images, {len(dealt)} kinds of mutation, ", end="")
        print(f"{min(dealt.values())} to {max(dealt.values())} of each", flush=True)
        images.add(workers.map(laboratory.judge, map(Subject.of, generated)), "images")
    print("\nKnown differences")
    print("\n".join(f"  {known.engine}: {known.why}" for known in KNOWN))
    for title, tally in (("The corpus", corpus), ("Generated images", images)):
        print(f"\n{title}")
        print("\n".join(f"  {line}" for line in tally.table()))
        for disagreement in tally.disagreements().items():
            print("\n".join(_reported(laboratory, *disagreement)))
    return 1 if corpus.disagreements() or images.disagreements() else 0


def _reported(laboratory: Laboratory, disagreement: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    smallest = laboratory.shrunk(min(outcomes, key=lambda o: o.subject.mutations), disagreement)
    line = next(line for line in smallest.disagreements() if shape(line) == disagreement)
    yield f"\n  {len(outcomes)} times {line}"
    yield f"    smallest: {smallest.subject.name}"


def _replay(laboratory: Laboratory, texts: Sequence[str]) -> int:
    outcomes = [laboratory.judge(Subject.of(Recipe.parse(text))) for text in texts]
    for outcome in outcomes:
        print(f"\n{outcome.subject.name}")
        print("\n".join(f"  {line}" for line in outcome.lines()))
    return 1 if any(outcome.disagreements() for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
