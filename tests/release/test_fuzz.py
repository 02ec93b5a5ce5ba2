"""A short run of the fuzzer finds nothing, and a planted failure is found."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from release.fuzz import cases
from release.fuzz.cases import run_case
from release.fuzz.seeds import Seeds
from release.fuzz.surfaces import SURFACES, Run, Surface

_CASES: Final = 8


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    return Seeds.of_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("surface", SURFACES)
def test_hostile_input_gives_a_finding_or_a_fault_and_nothing_else(
    surface: str, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long a case takes depends on the machine that the tests share; `make fuzz` holds it to its limit.
    monkeypatch.setattr(cases, "_MAX_CPU_SECONDS", 60)
    assert [problem for number in range(_CASES) if (problem := run_case(surface, number, seeds))] == []


def _planted(run: Run) -> Surface:
    return lambda rng, seeds, folder: run


def _raises() -> object:
    raise KeyError("a bug")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (_raises, "KeyError: 'a bug'"),
        (itertools.count().__next__, "two runs differ: 0 and 1"),
        (lambda: len(bytes(b"x" * (300 << 20))), "MiB of memory"),
        (lambda: sum(range(100_000)), "s of CPU"),
    ],
)
def test_a_planted_failure_is_found(run: Run, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "SURFACES", {"planted": _planted(run)})
    # The peak of an earlier test in this process would hide the growth, so the kernel resets it, unless it was built
    # without that: https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    with suppress(FileNotFoundError):
        Path("/proc/self/clear_refs").write_text("5")
    if words == "s of CPU":
        monkeypatch.setattr(cases, "_MAX_CPU_SECONDS", 0.0)
    assert words in run_case("planted", 0, Seeds((), ()))


def test_a_number_repeats_its_case(seeds: Seeds, tmp_path: Path) -> None:
    def outcomes() -> Iterator[object]:
        for number in range(_CASES):
            yield repr(SURFACES["documents"](random.Random(f"documents {number}"), seeds, tmp_path)())

    assert list(outcomes()) == list(outcomes())
