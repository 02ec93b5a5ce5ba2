"""An error is recognised as what check finds, however a console has shown it."""

from __future__ import annotations

import html
import json
import re
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from image_verifier.rules.catalog import CATALOG
from image_verifier.rules.engine_messages import MESSAGES

from safe_image.explanations.cause import HOLE, Cause
from safe_image.explanations.explanation import ONLY_LAYERS_TELL
from safe_image.explanations.knowledge import KNOWLEDGE
from safe_image.explanations.match import likely, matches
from safe_image.explanations.normalize import LARGEST, image_in, readable, runtime_in, unwrapped
from tests.checks.document import found, needs_layers
from tests.corpus.cases import _NOTHING_SAID, ENGINES, Case
from tests.corpus.differences import ONLY_BYTES_TELL, WORDS
from tests.explanations.document import MARK, PATH, tables

DIGEST: Final = "sha256:" + "5af3" * 16
IMAGE: Final = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/shop:1.4"
INCIDENT_1: Final = (
    f"CannotPullContainerError: ref pull has been retried 1 time(s): failed to extract layer {DIGEST}: failed to get "
    "stream processor for application/vnd.in-toto+json: no processor for media-type: unknown"
)
INCIDENT_2: Final = (
    f"CannotPullContainerError: failed to pull image {IMAGE}: number of layers and diffIDs don't match: 3 != 15"
)
# What the catalogue's templates are filled in with, where anything would not do.
VALUES: Final = {
    "why": "invalid character 'h' looking for beginning of value",
    "digest": DIGEST,
    "diff_id": DIGEST,
    "reference": IMAGE,
    "program": "/app/run",
    "media_type": "application/vnd.example+json",
}
# What an engine says of such an image where the catalogue leaves it open.
ERRORS: Final = {
    "layer-truncated": "unexpected EOF",
    "layer-corrupt": "gzip: invalid checksum",
    "tar-invalid": "archive/tar: invalid tar header",
    "argument-invalid": "invalid argument",
    "entrypoint-missing": "stat /app/run: no such file or directory",
    "entrypoint-not-executable": "permission denied",
    "interpreter-missing": "no such file or directory",
    "hardlink-target-missing": "link a b: no such file or directory",
    "path-duplicated": "file exists",
    "xattr-invalid": "operation not supported",
}
WHYS: Final = {
    "layer-descriptor-invalid": {"why": "invalid checksum digest format"},
    "rootfs-missing": {"counted": "3", "diff_ids": "0"},
}


def causes(text: str) -> tuple[str, ...]:
    """The ids of the causes that are reported, the most likely first."""
    return tuple(match.cause.id for match in likely(matches(text)))


def findings(text: str) -> set[str]:
    """The findings by which `check` would confirm the text."""
    return {finding_id for match in matches(text) for finding_id in match.cause.findings}


@pytest.mark.parametrize("finding_id", MESSAGES)
def test_whatever_the_catalogue_has_engines_say_is_recognised_as_that_finding(finding_id: str) -> None:
    values = {**VALUES, **WHYS.get(finding_id, {}), "error": ERRORS.get(finding_id, "")}
    for template in filter(None, MESSAGES[finding_id].values()):
        text = HOLE.sub(lambda hole: values.get(hole[0].strip("{}"), "something"), template)
        assert finding_id in findings(text), text


@pytest.mark.parametrize("finding_id", CATALOG)
def test_whatever_check_says_a_runtime_would_have_said_is_recognised_as_that_finding(finding_id: str) -> None:
    texts = {finding.runtime_error for finding in found(finding_id).values() if finding.runtime_error}
    assert [text for text in texts if finding_id not in findings(text)] == []


def recorded(case: Case, runtime: str) -> list[str]:
    outcomes = [case.facts["engines"][engine] for engine in ENGINES[runtime]]
    texts = [outcome.get("error") or outcome.get("start_error") for outcome in outcomes]
    return [text for text in texts if text and text != _NOTHING_SAID]


@pytest.mark.parametrize("runtime", ENGINES)
def test_whatever_a_real_engine_said_is_recognised_as_what_check_finds(corpus: Sequence[Case], runtime: str) -> None:
    wrong = {}
    for case in corpus:
        if case.runs(runtime) or case.name in WORDS:
            continue
        errors = case.report(runtime, layers=case.name in ONLY_BYTES_TELL[runtime]).errors
        ids = {finding.id for finding in errors}
        wrong.update({(case.name, text): ids for text in recorded(case, runtime) if not ids & findings(text)})
    assert wrong == {}


@pytest.mark.parametrize("cause", KNOWLEDGE, ids=lambda cause: cause.id)
def test_every_cause_is_whole_and_short(cause: Cause) -> None:
    assert len(cause.title) + len(cause.meaning) <= 600
    assert cause.blame
    assert cause.remedy
    assert cause.sources
    assert len(set(cause.sources)) == len(cause.sources)
    assert all(re.fullmatch(r"https://[a-z0-9.-]+(/\S+)?", s) for s in cause.sources)
    assert set(cause.findings) <= set(CATALOG)


@pytest.mark.parametrize("cause", KNOWLEDGE, ids=lambda cause: cause.id)
def test_every_build_that_a_cause_prints_has_a_context_and_a_tag_and_pushes(cause: Cause) -> None:
    builds = [line for line in cause.remedy if re.match(r"\$ .*docker (buildx )?build\b", line)]
    options = r"(--push|--output=\$OUT)( --[a-z]+\S*( \S+/\S+| \{platform\})?)*"
    whole = rf"\$ (OUT=\S+; )*docker buildx build \. -t REPOSITORY:TAG {options}"
    assert [line for line in builds if not re.fullmatch(whole, line)] == []


def test_no_cause_has_the_id_of_another() -> None:
    ids = [cause.id for cause in KNOWLEDGE]
    assert [id_ for id_ in ids if ids.count(id_) > 1] == []


@pytest.mark.parametrize("cause", KNOWLEDGE, ids=lambda cause: cause.id)
def test_no_step_of_a_cause_deletes_anything(cause: Cause) -> None:
    """Only a check of the image justifies that."""
    commands = " ".join(line for line in (*cause.confirm, *cause.remedy, *cause.prevention) if line.startswith("$ "))
    assert re.findall(r"delete|\brm\b(?! tonistiigi)|rmi|prune|remove", commands.replace("--rm", "")) == []


def test_what_only_layers_tell_is_what_the_checks_document_marks() -> None:
    marked = {finding_id for finding_id in CATALOG if needs_layers(finding_id)}
    assert marked | {"diff-id-wrong"} == ONLY_LAYERS_TELL


def hard_wrapped(text: str, width: int) -> str:
    return "\n".join(text[i : i + width] for i in range(0, len(text), width))


WRAPPINGS: Final[dict[str, Callable[[str], str]]] = {
    "words": lambda text: "\n    ".join(textwrap.wrap(text, 60)),
    "anywhere": lambda text: hard_wrapped(text, 80),
    "narrow": lambda text: hard_wrapped(text, 17),
    "windows": lambda text: hard_wrapped(text, 80).replace("\n", "\r\n"),
    "padded": lambda text: "\n".join(line.ljust(120) for line in textwrap.wrap(text, 120)),
    "json": lambda text: json.dumps({"stopCode": "TaskFailedToStart", "stoppedReason": text}, indent=2),
    "json twice": lambda text: json.dumps(json.dumps({"stoppedReason": text})),
    "escaped": lambda text: text.replace("'", "\\u0027").replace("!", "\\u0021"),
    "html": html.escape,
    "stopped": lambda text: f"STOPPED ({text})",
    "colours": lambda text: "\x1b[31m" + text.replace("failed", "\x1b[1mfailed\x1b[0m\x1b[31m") + "\x1b[0m",
    "typographic": lambda text: f"“{text.replace(chr(39), '’')}”",
    "daemon": lambda text: "Error response from daemon: " * 3 + text,
    "table": lambda text: "\n".join(f"│ {line:60} │" for line in textwrap.wrap(text, 60)),
    "quoted": lambda text: "\n".join(f"> {line}" for line in textwrap.wrap(text, 60)),
    "prefixed": lambda text: "\n".join(
        f"2026-11-28T02:03:0{i}.5Z deploy | {line}" for i, line in enumerate(textwrap.wrap(text, 60))
    ),
    "job": lambda text: "\n".join(f"web_1  | {line}" for line in textwrap.wrap(text, 60)),
    "columns": lambda text: "\n".join(
        f"| 02:03:1{i} | FAILED | {line:60} | shop |" for i, line in enumerate(textwrap.wrap(text, 60))
    ),
    "json in json in json": lambda text: json.dumps({"a": json.dumps({"b": json.dumps({"stoppedReason": text})})}),
    "log": lambda text: "\n".join(["all is well"] * 2_000 + [text] + ["Rolling back"] * 2_000),
    "upper": str.upper,
}


@pytest.mark.parametrize(("diff_ids", "is_missing"), [("0", True), ("15", False), ("10", False), ("1", False)])
def test_a_config_without_rootfs_is_the_cause_only_where_it_lists_no_diff_ids(diff_ids: str, is_missing: bool) -> None:
    found = causes(f"CannotPullContainerError: number of layers and diffIDs don't match: 3 != {diff_ids}")
    assert (found[0] == "rootfs-missing") is is_missing
    assert ("rootfs-missing" in found) is is_missing
    assert ("zstd-not-counted" in found) is not is_missing
    assert not is_missing or found == ("rootfs-missing", "diff-ids-count")


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize(("text", "cause"), [(INCIDENT_1, "tag-is-attestation"), (INCIDENT_2, "zstd-not-counted")])
def test_an_error_is_recognised_however_a_console_has_shown_it(wrapping: str, text: str, cause: str) -> None:
    assert causes(WRAPPINGS[wrapping](text))[0] == cause


@pytest.mark.parametrize("cut", [140, 160, 180])
@pytest.mark.parametrize("end", ["", "…", "...", '"}'])
def test_an_error_that_ends_too_early_is_recognised_by_what_there_is(cut: int, end: str) -> None:
    shown = INCIDENT_2[:cut] + end
    assert causes(shown)[0] == "zstd-not-counted"
    assert matches(INCIDENT_2[:140])[0].whole is False


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (f"CannotPullContainerError: failed to extract layer {DIGEST[:40]}", "layer-not-unpacked"),
        (f'CannotPullContainerError: failed to resolve reference "{IMAGE[:30]}', "not-fetched"),
    ],
)
def test_an_error_that_ends_before_it_says_more_than_many_do_gets_none_of_their_causes(text: str, cause: str) -> None:
    assert causes(text) == (cause,)


def test_the_255_characters_of_a_stopped_reason_suffice_for_incident_1() -> None:
    assert causes(INCIDENT_1[:230])[0] == "tag-is-attestation"


@pytest.mark.parametrize(
    "text",
    [
        "hello, world",
        "The deployment was successful. 403 files were uploaded, 401 of them compressed.",
        "npm ERR! code ELIFECYCLE errno 1",
        "x" * 100_000,
        "\x00\xff\x1b[" * 1_000,
        "…",
        "...",
    ],
)
def test_what_is_no_such_error_is_not_recognised(text: str) -> None:
    assert causes(text) == ()


def test_what_only_wraps_an_error_counts_where_nothing_else_is_said() -> None:
    assert causes("CannotPullContainerError: something new") == ("pull-failed",)
    assert causes(INCIDENT_1)[0] == "tag-is-attestation"


def test_a_frame_with_an_unknown_tail_says_that_the_cause_is_not_in_the_text() -> None:
    (match,) = likely(matches(f"failed to extract layer {DIGEST}: something new: unknown"))
    assert "does not say the cause" in match.cause.title
    assert match.cause.confirm


@pytest.mark.parametrize(
    "text",
    [
        f'failed to resolve reference "{IMAGE}": not found',
        f"pulling {IMAGE}: not found",
        hard_wrapped(f"CannotPullContainerError: failed to resolve reference {IMAGE}: {IMAGE}: not found", 70),
        "\n".join(textwrap.wrap(f"CannotPullContainerError: failed to resolve the reference {IMAGE}: not found", 60)),
        f'{{"image": "{IMAGE}"}}',
        f"see https://github.com/aws/aws-cdk/issues/33264 for {IMAGE}.",
        f'Head "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/team/shop/manifests/1.4": {IMAGE}',
    ],
)
def test_the_image_that_a_text_names_is_found(text: str) -> None:
    assert image_in(unwrapped(text)) == IMAGE


def test_a_text_without_an_image_names_none() -> None:
    assert image_in("https://github.com/aws/aws-cdk/issues/33264 exec /app/run: exec format error") == ""


@pytest.mark.parametrize(
    ("text", "runtime"),
    [
        (INCIDENT_1, "fargate"),
        ("CannotPullContainerError: Error response from daemon: manifest unknown", "ecs-ec2"),
        ("Failed to pull image: rpc error: code = Unknown desc = not found", "eks"),
        ("InvalidImage(ImageLayerFailure: UnsupportedImageLayerDetected - Layer Digest x)", "lambda"),
        ("Unsupported manifest media type application/vnd.oci.image.index.v1+json for image x", "sagemaker"),
        ("[AppRunner] Failed to pull your application image.", "app-runner"),
    ],
)
def test_the_runtime_is_guessed_from_the_text(text: str, runtime: str) -> None:
    assert runtime_in(unwrapped(text)) == runtime


@pytest.mark.parametrize(
    "hostile",
    [
        "failed to extract layer " * 20_000,
        "failed to copy: httpReadSeeker: failed open: content at " * 8_000,
        "a." * 120_000 + "/" + "b-" * 1_000,
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/" + "a/" * 100_000,
        "\\u005c" * 40_000,
        "\x1b]0;" * 60_000,
        "&amp;" * 50_000,
        "\n" * LARGEST,
    ],
)
def test_a_hostile_text_takes_no_more_than_moments(hostile: str) -> None:
    text = readable(hostile.encode())
    began = time.process_time()
    causes(text)
    image_in(unwrapped(text))
    runtime_in(unwrapped(text))
    assert time.process_time() - began < 3


def test_of_a_large_file_the_end_is_read_and_utf_16_is_known() -> None:
    assert len(readable(b"x" * (2 * LARGEST))) == LARGEST
    assert causes(readable(INCIDENT_2.encode("utf-16")))[0] == "zstd-not-counted"


def test_the_tables_in_the_document_are_what_is_recognised() -> None:
    document = PATH.read_text()
    assert MARK + document.partition(MARK)[2] == tables(), "write it anew with python -m tests.explanations"
