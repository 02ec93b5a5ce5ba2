"""docs/checks.md, made from the catalogue, from an example of every finding, and from the corpus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from image_verifier.custom_resource.layout import command
from image_verifier.report import Finding
from image_verifier.rules.advice import ADVICE
from image_verifier.rules.advice.row import Then
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.causes import USUAL_CAUSES
from image_verifier.rules.meanings import MEANINGS
from image_verifier.rules.names import BuildOutputs, Names
from image_verifier.rules.remedies import remedy, way_to_green
from image_verifier.rules.runtimes import RUNTIMES

from tests.checks.examples import EXAMPLES, NAMES
from tests.corpus.cases import Case
from tests.corpus.differences import VERDICTS

PATH: Final = Path(__file__).resolve().parents[2] / "docs" / "checks.md"

_INTRODUCTION: Final = """# Checks

All findings of a verification. By default an *error* refuses the image and a *warning* does not; `fail_on` changes that
(see [policy](policy.md)). To accept a finding, set `acknowledge={"its-id": "why"}`, or pass `--acknowledge ID=REASON`
on the command line. The report shows the reason. The requirements of a policy are checked only if `require` names them.

*Fails at* says how far a runtime gets with such an image:

- **pull**: the image cannot be pulled and unpacked.
- **start**: the image is pulled, but no container can be started.
- **run**: a container starts and exits at once.
- **policy**: every runtime accepts the image, but it breaks your policy or deserves a note.

Findings marked with † need the layers' bytes: set `verify_layers=True`, or pass `--layers`. Some wrong diff_ids are
found without.

`python -m tests.checks` generates this page from the code, and a test compares the two.
"""
_DEPLOY_AGAIN: Final = """## Deploy again

After a change of the Dockerfile, of the build or of the policy, deploy again: the image gets a new tag, and nothing has
to be removed. Where the rejected image is in the way of a new build, the refusal prints the commands, filled in with
the names of the image. For example, for an image that `SafeDockerImageAsset` builds:
"""
_OURS: Final = "built by `SafeDockerImageAsset`"
_CUSTOM: Final = "with your own `outputs`"
_ELSEWHERE: Final = "built elsewhere"
_BUILDS: Final[Mapping[str, dict[str, Any]]] = {
    _OURS: {"outputs": BuildOutputs.DEFAULT, "construct": "the construct"},
    _CUSTOM: {"outputs": BuildOutputs.CUSTOM, "construct": "the construct"},
    _ELSEWHERE: {"local_image": ""},
}
_THEN: Final = {
    Then.REPLACE: "replace the image and deploy again",
    Then.REBUILD: "deploy again",
    Then.DEPLOY: "deploy again",
}
_PEERS: Final = """## Other tools on the same images

Real containerd 1.6 and 1.7, the engines that stand for Fargate here, pulled and started {count} images, built by real
tools and by hand; {healthy} run on both. A wrong accept is a broken image that the tool accepted. A wrong reject is a
healthy image that the tool refused.

| Tool | Wrong accepts | Wrong rejects |
| --- | ---: | ---: |
"""
_PEERS_NOTE: Final = """
We refuse {lies} healthy images on purpose: their config names another platform than the requested one, although their
program is for the requested one. crane and skopeo do not claim to predict a runtime; they are listed because they are
the available alternatives.
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
    return "\n".join((_INTRODUCTION, *_overview(), "", *_deploy_again(), *_details(), *_peers(corpus)))


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
    for finding_id, stage in CATALOG.items():
        mark = " †" if needs_layers(finding_id) else ""
        cells = (_runtimes(finding_id, severity) for severity in ("error", "warning"))
        yield f"| [`{finding_id}`](#{finding_id}){mark} | {stage.value} | {' | '.join(cells)} |"


def _runtimes(finding_id: str, severity: str) -> str:
    names = [name for name, finding in found(finding_id).items() if finding.severity.value == severity]
    return "all" if len(names) == len(RUNTIMES) else ", ".join(names)


def _details() -> Iterator[str]:
    for finding_id in CATALOG:
        occurrences = found(finding_id)
        finding = next(iter(occurrences.values()))
        yield f"### {finding_id}\n\n{MEANINGS[finding_id]}\n"
        yield f"For example: {_short(finding.message)}\n"
        said: dict[str, list[str]] = {}
        for name, occurrence in occurrences.items():
            if occurrence.runtime_error:
                said.setdefault(_short(occurrence.runtime_error), []).append(name)
        for words, names in said.items():
            yield f"Error on {_listed(names)}:\n\n```text\n{words}\n```\n"
        cause = USUAL_CAUSES[finding_id]
        yield f"- **Why**: {cause.text}"
        yield from _remedies(finding)
        yield f"- **To prevent it**: {ADVICE[finding_id].prevention}"
        yield f"- **Source**: <{cause.source}>\n"


def _remedies(finding: Finding) -> Iterator[str]:
    """The remedy now, for each way in which the image was built if that changes it."""
    advice = {how: _advice(finding, replace(NAMES, **names)) for how, names in _BUILDS.items()}
    if len(set(advice.values())) == 1:
        yield f"- **To fix it**: {advice[_ELSEWHERE]} {_then(ADVICE[finding.id].then)}"
        return
    if advice[_OURS] == advice[_CUSTOM]:
        del advice[_CUSTOM]
    for how, text in advice.items():
        # Whoever builds an image elsewhere has pushed it by then.
        then = way_to_green(finding, replace(NAMES, **_BUILDS[how])) if how != _ELSEWHERE else Then.DEPLOY
        yield f"- **To fix it** ({how}): {text} {_then(then)}"


def _advice(finding: Finding, names: Names) -> str:
    """The advice and its build; not a command with the names of one image."""
    advice, *others = remedy(finding, names)
    if advice.endswith(":") and "buildx build" in others[0]:
        return f"{advice} `{others[0][2:]}`."
    return f"{advice[:-1]}." if advice.endswith(":") else advice


def _then(then: Then) -> str:
    """The section about what follows."""
    return f"Then [{_THEN[then]}](#deploy-again)."


def _deploy_again() -> Iterator[str]:
    """The commands that lead from the advice to a deploy that succeeds, once for all findings."""
    finding = found("layer-missing")["fargate"]
    names = replace(NAMES, **_BUILDS[_OURS], digest=f"sha256:{'0' * 64}", stack="Shop")
    yield _DEPLOY_AGAIN
    for line in remedy(finding, replace(names, stack_region=names.region))[1:]:
        yield f"```console\n{_broken(line)}\n```\n" if line.startswith("$ ") else f"{line}\n"


def _broken(line: str) -> str:
    return "\n".join(part.text for part in command(line[2:]))


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
