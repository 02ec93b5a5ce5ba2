"""One case of the fuzzer: its input, run twice within limits, and its reports."""

from __future__ import annotations

import json
import random
import re
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from image_verifier.policy import Policy
from image_verifier.report import Report

from release.fuzz.seeds import Seeds
from release.fuzz.surfaces import PLATFORM, SURFACES
from safe_image.formats import CHECK_FORMATS
from safe_image.results.check_runner import Outcome

_MAX_CPU_SECONDS: Final = 2.0
_MAX_SECONDS: Final = 60
_MAX_BYTES: Final = 200 << 20
_PORT: Final = re.compile(r"(?<=127\.0\.0\.1:)\d+")
# Control characters and those that change the direction of text; reports have lines.
_LIVE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class _EndlessError(Exception):
    """The case does not end."""


def run_case(surface: str, number: int, seeds: Seeds, *, debug: bool = False) -> str:
    """Run one case.

    :param surface: a name of `SURFACES`.
    :param number: the case's number: the same input each time.
    :param debug: whether the traceback of a failure is printed.
    :returns: what fails; empty where nothing does.
    """
    rng = random.Random(f"{surface} {number}")
    with tempfile.TemporaryDirectory(prefix="csi-fuzz-") as folder:
        run = SURFACES[surface](rng, seeds, Path(folder))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            with _limited():
                before = time.process_time()
                first = run()
                seconds = time.process_time() - before
                second = run()
                if number % 5 == 0:
                    _write_reports(first)
        except Exception as e:
            if debug:
                traceback.print_exc()
            return f"{type(e).__name__}: {str(e)[:200]}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024
    if seconds > _MAX_CPU_SECONDS:
        return f"takes {seconds:.1f} s of CPU"
    if grown > _MAX_BYTES:
        return f"takes {grown >> 20} MiB of memory"
    if _told(first) != _told(second):
        return f"two runs differ: {_told(first)[:300]} and {_told(second)[:300]}"
    return ""


def _told(outcome: object) -> str:
    text = repr(outcome.findings) if isinstance(outcome, Report) else repr(outcome)
    return _PORT.sub("PORT", text)


@contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _EndlessError(f"no end in {_MAX_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def _write_reports(report: object) -> None:
    """Write the report in every format, and read it as its readers do."""
    if not isinstance(report, Report):
        return
    outcome = Outcome("shop:1", Policy(report.runs_on, PLATFORM), report)
    for name in CHECK_FORMATS:
        text = "".join(CHECK_FORMATS.report(name)([outcome], StringIO()))
        text.encode("utf-8", "strict" if name != "html" else "backslashreplace")
        if name in ("json", "sarif"):
            json.dumps(json.loads(text), ensure_ascii=False).encode()
        if name == "junit":
            ElementTree.fromstring(text)
        found = _LIVE.search(text)
        if found:
            raise AssertionError(f"the {name} report has the control character {found[0]!r}")
