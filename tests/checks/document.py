"""docs/checks.md, made from the catalogue, from an example of every finding, and from the corpus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from image_verifier.report import Finding
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.remedies import remedy
from image_verifier.rules.runtimes import RUNTIMES

from tests.checks.examples import EXAMPLES, NAMES
from tests.corpus.cases import Case
from tests.corpus.differences import VERDICTS

PATH: Final = Path(__file__).resolve().parents[2] / "docs" / "checks.md"

_INTRODUCTION: Final = """# Checks

Every finding that a verification can come to. An *error* refuses the image, a *warning* does not, as long as
`fail_on` says nothing else (see [policy](policy.md)). A finding that you know better about is waived with
`acknowledge={"its-id": "why"}`, or `--acknowledge ID=REASON` on the command line; the report shows the reason. What
only a policy requires is looked at where `require` names it.

How far a runtime gets with such an image:

- **pull**: it cannot be pulled and unpacked.
- **start**: it is pulled, and no container can be started from it.
- **run**: a container is started and ends at once.
- **policy**: every runtime takes it; you asked for something else, or ought to know.

What only the layers' bytes tell takes `verify_layers=True`, or `--layers`; it is marked with †. Of a wrong diff_id,
manifest and config alone tell some.

This page is made from the code by `python -m tests.checks`, and a test holds it against the code.
"""
_PEERS: Final = """## Other tools on the same images

{count} images, built by real tools and by hand, were pulled and started by real containerd 1.6 and 1.7, on which
Fargate's verdict rests here: {healthy} run on both. A wrong accept is a broken image with which the tool was
content, a wrong reject a healthy one that it refused.

| Tool | Wrong accepts | Wrong rejects |
| --- | ---: | ---: |
"""
_PEERS_NOTE: Final = """
The {lies} healthy images that we refuse say in their config that they are for another platform than was asked for,
and hold a program for the right one all the same. That is refused on purpose. The two other tools of the kind,
crane and skopeo, do not set out to tell what a runtime does; they are here because they are what one has.
"""
_TOOLS: Final[Mapping[str, str]] = {
    "crane validate": "crane-validate",
    "crane validate --fast": "crane-validate-fast",
    "skopeo inspect": "skopeo-inspect",
    "skopeo copy … dir:": "skopeo-copy-dir",
}
_DIGEST: Final = re.compile(r"(sha256:)?[0-9a-f]{64}")


def page(corpus: Sequence[Case]) -> str:
    """The whole page."""
    return "\n".join((_INTRODUCTION, *_overview(), "", *_details(), "", *_peers(corpus)))


@cache
def found(finding_id: str) -> Mapping[str, Finding]:
    """The findings of this ID in its example, by runtime."""
    occurrences: dict[str, Finding] = {}
    for runtime in RUNTIMES.values():
        for platform in runtime.platforms:
            for finding in EXAMPLES[finding_id].findings(runtime, platform):
                if finding.id == finding_id:
                    occurrences.setdefault(runtime.name, finding)
    return occurrences


def needs_layers(finding_id: str) -> bool:
    """Whether the finding comes only from the layers' bytes."""
    runtime = RUNTIMES[next(iter(found(finding_id)))]
    example = EXAMPLES[finding_id]
    findings = (f for p in runtime.platforms for f in example.findings(runtime, p, layers=False))
    return all(finding.id != finding_id for finding in findings)


def _overview() -> Iterator[str]:
    yield "| Finding | Fails at | Error for | Warning for |"
    yield "| --- | --- | --- | --- |"
    for finding_id, entry in CATALOG.items():
        mark = " †" if needs_layers(finding_id) else ""
        cells = (_runtimes(finding_id, severity) for severity in ("error", "warning"))
        yield f"| [`{finding_id}`](#{finding_id}){mark} | {entry.stage.value} | {' | '.join(cells)} |"


def _runtimes(finding_id: str, severity: str) -> str:
    names = [name for name, finding in found(finding_id).items() if finding.severity.value == severity]
    return "all" if len(names) == len(RUNTIMES) else ", ".join(names)


def _details() -> Iterator[str]:
    for finding_id, entry in CATALOG.items():
        occurrences = found(finding_id)
        finding = next(iter(occurrences.values()))
        yield f"### {finding_id}\n\n{entry.meaning}\n"
        yield f"For example: {_short(finding.message)}\n"
        said: dict[str, list[str]] = {}
        for name, occurrence in occurrences.items():
            if occurrence.runtime_error:
                said.setdefault(_short(occurrence.runtime_error), []).append(name)
        for words, names in said.items():
            yield f"What {_listed(names)} would say:\n\n```text\n{words}\n```\n"
        yield "How to mend it:\n"
        yield from (_step(line) for line in remedy(finding, NAMES))
        yield ""


def _step(line: str) -> str:
    return f"- `{line[2:]}`" if line.startswith("$ ") else f"- {line}"


def _short(text: str) -> str:
    return _DIGEST.sub("sha256:…", text)


def _listed(names: Sequence[str]) -> str:
    titles = [RUNTIMES[name].title for name in names]
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def verdicts(corpus: Sequence[Case]) -> Mapping[str, tuple[int, int]]:
    """How many broken images each tool accepts, and how many healthy ones it refuses."""
    content = {
        **{tool: [case.facts["other_tools"][key] for case in corpus] for tool, key in _TOOLS.items()},
        "safe-image check": [case.report("fargate").verdict == "pass" for case in corpus],
        "safe-image check --layers": [case.report("fargate", layers=True).verdict == "pass" for case in corpus],
    }
    runs = [case.runs("fargate") for case in corpus]
    return {
        tool: (
            sum(fine and not healthy for fine, healthy in zip(says, runs, strict=True)),
            sum(healthy and not fine for fine, healthy in zip(says, runs, strict=True)),
        )
        for tool, says in content.items()
    }


def _peers(corpus: Sequence[Case]) -> Iterator[str]:
    yield _PEERS.format(count=len(corpus), healthy=sum(case.runs("fargate") for case in corpus)).rstrip()
    for tool, (accepts, rejects) in verdicts(corpus).items():
        yield f"| `{tool}` | {accepts} | {rejects} |"
    lies = sum(case.name in VERDICTS and case.runs("fargate") for case in corpus)
    yield _PEERS_NOTE.format(lies=lies)
