"""The report as one page to look at: what became of all images, then each with its layers as a drawn stack."""

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
from ..html.html_page import made, page, part
from ..html.html_views import finding_views, stack, titles, tree

if TYPE_CHECKING:
    from markupsafe import Markup

    from ...results.check_runner import Outcome

# Gravest first.
_VERDICTS: Final[Mapping[Verdict, str]] = {"fail": "refused", "unknown": "unknown", "pass": "passed"}
# More images than this are folded: what became of each is said above them.
_MOST_OPEN: Final = 3
_IN_MEMORY: Final = 8 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """An image in the page's overview.

    :param place: its place in the page.
    :param where: the registry and the folders that its name begins with.
    :param name: the rest of its name.
    :param found: the ids of what was found.
    """

    place: str
    verdict: Verdict
    where: str
    name: str
    size: str
    found: tuple[str, ...]

    @property
    def word(self) -> str:
        """What became of it."""
        return _VERDICTS[self.verdict]


def report(outcomes: Iterable[Outcome], stream: TextIO) -> Iterator[str]:
    """The page. What became of all is its beginning, so that the images wait in a file until the last is known.

    :param outcomes: what became of the images.
    :param stream: what it is written to.
    """
    with SpooledTemporaryFile(_IN_MEMORY) as spool:
        entries, lengths = [], []
        for number, outcome in enumerate(outcomes, start=1):
            entry = _entry(outcome, f"image-{number}")
            entries.append(entry)
            lengths.append(spool.write(_image(outcome, entry).encode()))
        spool.seek(0)
        tally = Counter(entry.verdict for entry in entries)
        yield from page(
            "check.html.j2",
            title=_headline(tally),
            verdict=next((verdict for verdict in _VERDICTS if tally[verdict]), "pass"),
            tally=[(verdict, tally[verdict], word) for verdict, word in _VERDICTS.items() if tally[verdict]],
            overview=sorted(entries, key=lambda entry: list(_VERDICTS).index(entry.verdict)),
            entries=entries,
            images=_kept(spool, lengths),
            is_open=len(entries) <= _MOST_OPEN,
        )


def _kept(spool: IO[bytes], lengths: Iterable[int]) -> Iterator[Markup]:
    return (made(spool.read(length).decode()) for length in lengths)


def _headline(tally: Mapping[Verdict, int]) -> str:
    images = sum(tally.values())
    if images == 1:
        verdict = next(iter(tally))
        return {"pass": "The image passes", "fail": "The image is refused", "unknown": "It could not be told"}[verdict]
    if tally["fail"]:
        return f"{tally['fail']} of {images} images {'is' if tally['fail'] == 1 else 'are'} refused"
    if tally["unknown"]:
        return f"{tally['unknown']} of {images} images could not be told"
    return f"All {images} images pass"


def _entry(outcome: Outcome, place: str) -> Entry:
    judged = outcome.report
    where, slash, name = outcome.reference.rpartition("/")
    found = dict.fromkeys(f.id for f in judged.errors or judged.findings) if judged else {}
    return Entry(
        place=place,
        verdict=outcome.verdict,
        where=where + slash,
        name=name,
        size=readable_size(judged.image.size) if judged and judged.image.layers else "",
        found=tuple(found),
    )


def _image(outcome: Outcome, entry: Entry) -> Markup:
    shown = _judged(outcome.report, outcome.names, entry.place) if outcome.report else {"image": None}
    return part(
        "image.html.j2",
        entry=entry,
        platform=str(outcome.policy.platform),
        runs_on=titles(outcome.policy.runs_on),
        fault=outcome.fault.text if outcome.fault else "",
        **shown,
    )


def _judged(judged: Report, names: Names, place: str) -> dict[str, Any]:
    image, found = judged.image, merge_runtimes(judged.findings)
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
    """How a container of the image is started."""
    import shlex

    return (
        ("command", shlex.join((*config.entrypoint, *config.command)) or "none"),
        ("user", config.user or "root"),
        ("folder", config.working_dir or "/"),
        ("built for", str(config.platform)),
    )
