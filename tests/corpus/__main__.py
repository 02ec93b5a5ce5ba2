"""`python -m tests.corpus`: how our verdicts agree with the recorded results of engines, and with the users' reports.

Exit 0: all agree, but for the differences that are on purpose. 1: some do not.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.rules.runtimes import HostEngine, Runtime
from image_verifier.verify import verify

from safe_image.sources.oci_layout import LayoutFolder, OciLayout
from tests.corpus.cases import ENGINES, PLATFORM, RECORDED, Case, unpack
from tests.corpus.differences import VERDICTS
from tests.corpus.test_reported import ARCHIVE as REPORTED

_ROW: Final = "{:<26} {:<8} {:>6} {:>5} {:>6} {:>10} {:>11}".format


@dataclass(frozen=True)
class _OneEngine(Policy):
    """A policy for one engine by itself."""

    host: HostEngine | None = None

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """A runtime that has only this engine."""
        assert self.host
        name = self.host.engine.name
        return (Runtime(name, name, (self.host,), (str(self.platform),), error_prefixes={}),)


def main() -> int:
    """Print the tables.

    :returns: the exit code.
    """
    with tempfile.TemporaryDirectory() as folder:
        cases = unpack(Path(folder))
        print(f"{len(cases)} images of the corpus, {len(VERDICTS)} of which are judged differently on purpose")
        print(_ROW("engine or runtime", "depth", "images", "run", "agree", "on purpose", "bytes only"))
        wrong: set[str] = set()
        for line, names in _corpus(cases):
            print(line, flush=True)
            wrong.update(names)
        with tarfile.open(REPORTED) as archive:
            archive.extractall(folder, filter="data")
        print("\nImages made after public reports, with their layers")
        for line in _reported(Path(folder) / "images"):
            print(line)
    if wrong:
        print(f"\nOther verdicts than the engines': {', '.join(sorted(wrong))}")
    return 1 if wrong else 0


def _corpus(cases: Sequence[Case]) -> Iterator[tuple[str, list[str]]]:
    """A line for each engine and runtime, and the images with another verdict than theirs."""
    for engine, recorded in RECORDED.items():
        host = HostEngine(engine)
        yield from _lines(
            engine.name,
            cases,
            partial(Case.runs_on, engine=recorded),
            partial(_passes_engine, host=host),
        )
    for runtime in ENGINES:
        yield from _lines(
            runtime,
            cases,
            partial(Case.runs, runtime=runtime),
            partial(_passes_runtime, runtime=runtime),
        )


def _passes_engine(case: Case, layers: bool, *, host: HostEngine) -> bool:
    return _passes(case.folder, _OneEngine(("fargate",), PLATFORM, verify_layers=layers, host=host))


def _passes_runtime(case: Case, layers: bool, *, runtime: str) -> bool:
    return case.report(runtime, layers=layers).verdict == "pass"


def _passes(folder: Path, policy: Policy) -> bool:
    return verify(OciLayout(LayoutFolder(folder)), policy).verdict == "pass"


def _lines(
    name: str, cases: Sequence[Case], runs: Callable[[Case], bool], passes: Callable[[Case, bool], bool]
) -> Iterator[tuple[str, list[str]]]:
    run = {case.name for case in cases if runs(case)}
    deep = {case.name for case in cases if passes(case, True)}
    flat = {case.name for case in cases if passes(case, False)}
    # At default depth, a fault that only the layers' bytes show passes.
    for depth, passed, hidden in (("default", flat, (flat - run) - deep), ("layers", deep, set[str]())):
        differ = passed ^ run
        wrong = sorted(differ - hidden - set(VERDICTS))
        agree = len(cases) - len(differ)
        yield _ROW(name, depth, len(cases), len(run), agree, len(differ & set(VERDICTS)), len(hidden)), wrong


def _reported(folder: Path) -> Iterator[str]:
    """Each image with our verdict and findings for each runtime, and with the report."""
    for name, case in json.loads((folder / "cases.json").read_text()).items():
        yield f"{name}\n  reported: {case['truth']}"
        for runtime in case["runs_on"]:
            policy = Policy((runtime,), Platform.parse(case["platform"]), verify_layers=True)
            report = verify(OciLayout(LayoutFolder(folder / name)), policy)
            found = ", ".join(f"{finding.id} ({finding.severity.value})" for finding in report.findings)
            yield f"  {runtime}: {report.verdict}{found and ': ' + found}"


if __name__ == "__main__":
    sys.exit(main())
