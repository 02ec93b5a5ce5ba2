"""The HTML report of `check`: one page with an overview of the images, then each image with its layers and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final, TextIO

from image_verifier.image.model import Config
from image_verifier.pages.finding_view import titles
from image_verifier.pages.page_facts import Fact, account_of, page_facts, policy_for
from image_verifier.report import Report
from image_verifier.rules.names import Names
from image_verifier.rules.remedies import remedy
from image_verifier.text import readable_size

from ...results.layer_rows import layer_rows
from ...results.merge_runtimes import merge_runtimes
from ...results.redaction import redact
from ...results.report_facts import report_time
from ..html.html_page import as_markup, render_page, render_part
from ..html.html_views import finding_views, stack, tree

if TYPE_CHECKING:
    from image_verifier.outcome import ImageVerdict
    from markupsafe import Markup

    from ...results.check_runner import Outcome

# Worst first.
_VERDICTS: Final[Mapping[ImageVerdict, str]] = {
    "fail": "refused",
    "unknown": "unknown",
    "pass": "passed",
    "skipped": "skipped",
}
# More images are folded: the overview above them has their verdicts.
_MAX_OPEN: Final = 3
_MAX_IN_MEMORY: Final = 8 * 1024 * 1024
_HEADLINES: Final[Mapping[ImageVerdict, str]] = {
    "pass": "The image passes",
    "fail": "The image is refused",
    "unknown": "The result is unknown",
    "skipped": "The image was skipped",
}
# Where each verdict's part of the bar begins, from its top: the parts differ in height too, not in colour alone.
_HEIGHTS: Final[Mapping[ImageVerdict, float]] = {"fail": 0, "unknown": 0.3, "skipped": 0.45, "pass": 0.6}
# More runtimes are only counted.
_MAX_TITLES: Final = 3


@dataclass(frozen=True)
class OverviewRow:
    """An image in the page's overview.

    :param place: its anchor in the page.
    :param where: the part of its reference up to the last slash.
    :param name: the rest of its reference.
    :param found: the ids of its findings.
    :param refused_on: the runtimes that refuse it, if others of its policy accept it; else empty.
    :param passes_on: those that accept it, if others refuse it; else empty.
    :param policy: its policy in words.
    """

    place: str
    verdict: ImageVerdict
    where: str
    name: str
    size: str
    found: tuple[str, ...]
    refused_on: str
    passes_on: str
    policy: str

    @property
    def word(self) -> str:
        """Its verdict as the page shows it."""
        return _VERDICTS[self.verdict]


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The page. It begins with the overview, so that the images wait in a file until the last is checked.

    :param outcomes: the outcomes of the checks.
    :param stream: the stream that the report is written to.
    """
    time = report_time()
    with SpooledTemporaryFile(_MAX_IN_MEMORY) as spool:
        entries, lengths = [], []
        accounts: set[Fact] = set()
        for number, outcome in enumerate(outcomes, start=1):
            entry = _overview_row(outcome, f"image-{number}")
            entries.append(entry)
            accounts.add(account_of(outcome.names))
            lengths.append(spool.write(_image(outcome, entry).encode(errors="backslashreplace")))
        spool.seek(0)
        tally = Counter(entry.verdict for entry in entries)
        policies = {entry.policy for entry in entries}
        policy = policies.pop() if len(policies) == 1 else ""
        yield from render_page(
            "check.html.j2",
            title=_headline(tally, entries),
            facts=page_facts(time, sorted(accounts), policy or "differs: below each image"),
            policy=policy,
            heights=_HEIGHTS,
            verdict=next((verdict for verdict in _VERDICTS if tally[verdict]), "pass"),
            tally=[(verdict, tally[verdict], word) for verdict, word in _VERDICTS.items() if tally[verdict]],
            overview=sorted(entries, key=lambda entry: list(_VERDICTS).index(entry.verdict)),
            entries=entries,
            images=_kept(spool, lengths),
            is_open=len(entries) <= _MAX_OPEN,
        )


def _kept(spool: IO[bytes], lengths: Iterable[int]) -> Iterator[Markup]:
    return (as_markup(spool.read(length).decode()) for length in lengths)


def _headline(tally: Mapping[ImageVerdict, int], entries: Sequence[OverviewRow]) -> str:
    images = len(entries)
    if images == 1:
        (entry,) = entries
        if entry.refused_on:
            return f"The image is refused on {entry.refused_on}, and passes on {entry.passes_on}"
        return _HEADLINES[entry.verdict]
    if tally["fail"]:
        runtimes = {entry.refused_on for entry in entries if entry.verdict == "fail"}
        only = runtimes.pop() if len(runtimes) == 1 else ""
        are = "is" if tally["fail"] == 1 else "are"
        return f"{tally['fail']} of {images} images {are} refused" + (f" on {only}" if only else "")
    if tally["unknown"]:
        return f"{tally['unknown']} of {images} images {'is' if tally['unknown'] == 1 else 'are'} unknown"
    if tally["skipped"]:
        return f"{tally['pass']} of {images} images pass, {tally['skipped']} skipped"
    return f"All {images} images pass"


def _overview_row(outcome: Outcome, place: str) -> OverviewRow:
    report = outcome.report
    where, slash, name = outcome.reference.rpartition("/")
    found = dict.fromkeys(f.id for f in report.errors or report.findings) if report else {}
    refused_on, passes_on = _standings(report) if report else ("", "")
    return OverviewRow(
        place=place,
        verdict=outcome.verdict,
        where=where + slash,
        name=name,
        size=readable_size(report.image.size) if report and report.image.layers else "",
        found=tuple(found),
        refused_on=refused_on,
        passes_on=passes_on,
        policy=policy_for(outcome.policy),
    )


def _standings(report: Report) -> tuple[str, str]:
    """The runtimes that refuse the image and those that accept it; both empty unless there are both."""
    runs_on = dict.fromkeys(report.runs_on)
    refusing = {name for finding in report.errors for name in finding.runs_on}
    refused, passed = ([name for name in runs_on if (name in refusing) is bad] for bad in (True, False))
    if not refused or not passed:
        return "", ""
    return _titles(refused, len(runs_on)), _titles(passed, len(runs_on))


def _titles(runs_on: Sequence[str], of: int) -> str:
    return titles(runs_on) if len(runs_on) <= _MAX_TITLES else f"{len(runs_on)} of {of} runtimes"


def _image(outcome: Outcome, entry: OverviewRow) -> Markup:
    shown = _report_content(outcome.report, outcome.names, entry.place) if outcome.report else {"image": None}
    return render_part(
        "image.html.j2",
        entry=entry,
        platform=str(outcome.policy.platform),
        runs_on=titles(outcome.policy.runs_on),
        fault=outcome.fault.text if outcome.fault else "",
        skipped=outcome.skipped,
        places=list(map(str, outcome.places)),
        **shown,
    )


def _report_content(report: Report, names: Names, place: str) -> dict[str, Any]:
    image, found = report.image, merge_runtimes(report.findings)
    rows = layer_rows(image, found)
    findings = finding_views([(f, remedy(f, names)) for f in found], rows, f"{place}-finding")
    layers = stack(rows, findings)
    return {
        "image": image,
        "count": len(rows),
        "stack": layers,
        "tree": tree(image),
        "findings": findings,
        # An attestation has a config too, but nothing starts it.
        "start": _start(image.config) if image.config and all(f.id != "not-an-image" for f in found) else (),
    }


def _start(config: Config) -> Sequence[tuple[str, str]]:
    """The command and the user that a container of the image starts with."""
    import shlex

    return (
        ("command", redact(shlex.join((*config.entrypoint, *config.command))) or "none"),
        ("user", config.user or "root"),
        ("working directory", config.working_dir or "/"),
        ("built for", str(config.platform)),
    )
