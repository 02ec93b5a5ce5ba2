"""The HTML report of `check`: one page with an overview of the images, then each image with its layers and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final, TextIO

from image_verifier.image.model import Config
from image_verifier.report import Report, Verdict
from image_verifier.rules.remedies import Names, remedy
from image_verifier.text import readable_size

from ...results.layer_rows import layer_rows
from ...results.merge_runtimes import merge_runtimes
from ...results.redaction import redact
from ..html.html_page import as_markup, render_page, render_part
from ..html.html_views import finding_views, stack, titles, tree

if TYPE_CHECKING:
    from markupsafe import Markup

    from ...results.check_runner import Outcome

# Worst first.
_VERDICTS: Final[Mapping[Verdict, str]] = {"fail": "refused", "unknown": "unknown", "pass": "passed"}
# More images are folded: the overview above them has their verdicts.
_MAX_OPEN: Final = 3
_MAX_IN_MEMORY: Final = 8 * 1024 * 1024


@dataclass(frozen=True)
class OverviewRow:
    """An image in the page's overview.

    :param place: its anchor in the page.
    :param where: the part of its reference up to the last slash.
    :param name: the rest of its reference.
    :param found: the ids of its findings.
    """

    place: str
    verdict: Verdict
    where: str
    name: str
    size: str
    found: tuple[str, ...]

    @property
    def word(self) -> str:
        """Its verdict as the page shows it."""
        return _VERDICTS[self.verdict]


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The page. It begins with the overview, so that the images wait in a file until the last is checked.

    :param outcomes: the outcomes of the checks.
    :param stream: the stream that the report is written to.
    """
    with SpooledTemporaryFile(_MAX_IN_MEMORY) as spool:
        entries, lengths = [], []
        for number, outcome in enumerate(outcomes, start=1):
            entry = _overview_row(outcome, f"image-{number}")
            entries.append(entry)
            lengths.append(spool.write(_image(outcome, entry).encode(errors="backslashreplace")))
        spool.seek(0)
        tally = Counter(entry.verdict for entry in entries)
        yield from render_page(
            "check.html.j2",
            title=_headline(tally),
            verdict=next((verdict for verdict in _VERDICTS if tally[verdict]), "pass"),
            tally=[(verdict, tally[verdict], word) for verdict, word in _VERDICTS.items() if tally[verdict]],
            overview=sorted(entries, key=lambda entry: list(_VERDICTS).index(entry.verdict)),
            entries=entries,
            images=_kept(spool, lengths),
            is_open=len(entries) <= _MAX_OPEN,
        )


def _kept(spool: IO[bytes], lengths: Iterable[int]) -> Iterator[Markup]:
    return (as_markup(spool.read(length).decode()) for length in lengths)


def _headline(tally: Mapping[Verdict, int]) -> str:
    images = sum(tally.values())
    if images == 1:
        verdict = next(iter(tally))
        return {"pass": "The image passes", "fail": "The image is refused", "unknown": "The result is unknown"}[verdict]
    if tally["fail"]:
        return f"{tally['fail']} of {images} images {'is' if tally['fail'] == 1 else 'are'} refused"
    if tally["unknown"]:
        return f"{tally['unknown']} of {images} images {'is' if tally['unknown'] == 1 else 'are'} unknown"
    return f"All {images} images pass"


def _overview_row(outcome: Outcome, place: str) -> OverviewRow:
    report = outcome.report
    where, slash, name = outcome.reference.rpartition("/")
    found = dict.fromkeys(f.id for f in report.errors or report.findings) if report else {}
    return OverviewRow(
        place=place,
        verdict=outcome.verdict,
        where=where + slash,
        name=name,
        size=readable_size(report.image.size) if report and report.image.layers else "",
        found=tuple(found),
    )


def _image(outcome: Outcome, entry: OverviewRow) -> Markup:
    shown = _report_content(outcome.report, outcome.names, entry.place) if outcome.report else {"image": None}
    return render_part(
        "image.html.j2",
        entry=entry,
        platform=str(outcome.policy.platform),
        runs_on=titles(outcome.policy.runs_on),
        fault=outcome.fault.text if outcome.fault else "",
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
        "start": _start(image.config) if image.config else (),
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
