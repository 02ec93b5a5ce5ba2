"""Our verdict on every image of the corpus agrees with the engines, and our words are theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest
from image_verifier.checks import artifact, container_user, layer_bytes, manifest, subject
from image_verifier.policy import Policy
from image_verifier.report import Severity
from image_verifier.rules.engine_messages import engine_message, message_key
from image_verifier.rules.measured_messages import MEASURED
from image_verifier.rules.runtimes import RUNTIMES, Share
from image_verifier.verify import verify

from safe_image.sources.oci_layout import LayoutFolder, OciLayout
from tests.corpus.cases import ENGINES, OTHER_ENGINES, PLATFORM, Case, normalized
from tests.corpus.differences import ONLY_BYTES_TELL, PULLED_BY_THE_STORE, VERDICTS, WORDS

# Measured without a case in the corpus, on 2026-11-28: containerd 1.6.20, 1.7.24, 2.1.9 and 2.2.7, and dockerd
# 25.0.16 and 28.5.2, the latter with both stores. An image of another processor starts in `make demo` (containerd
# 1.7.24) and in tests/local_engines/test_base_images.py (dockerd 28.5.2).
OUTSIDE_OF_THE_CORPUS: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("manifest-unreadable", "containerd, empty"),
        ("manifest-unreadable", "dockerd, containerd store, empty"),
        ("schema-1", "containerd 2, no manifest"),
        ("schema-1", "containerd, no manifest"),
        ("schema-1", "containerd, no signature"),
        ("schema-1", "dockerd, containerd store, no manifest"),
        ("schema-1", "dockerd, no signature"),
        ("schema-1", "dockerd, not JSON"),
        ("not-an-image", "containerd 2, no platform"),
        ("not-an-image", "containerd, no platform"),
        ("not-an-image", "dockerd, containerd store, no platform"),
        ("not-an-image", "dockerd, no signature"),
        ("not-an-image", "dockerd, not JSON"),
        ("entrypoint-wrong-machine", "containerd"),
        ("passwd-link-absolute", "containerd"),
        ("platform-mismatch", "containerd"),
        ("platform-mismatch", "dockerd"),
    }
)

runtimes = pytest.mark.parametrize("runtime", ENGINES)


@runtimes
def test_every_verdict_that_needs_only_manifest_and_config_agrees(corpus: Sequence[Case], runtime: str) -> None:
    wrong = {
        case.name: f"the engines {'run' if case.runs(runtime) else 'refuse'} it, ours: {case.report(runtime).verdict}"
        for case in corpus
        if case.name not in VERDICTS
        and case.name not in ONLY_BYTES_TELL[runtime]
        and case.runs(runtime) != (case.report(runtime).verdict == "pass")
    }
    assert wrong == {}


@runtimes
def test_faults_that_only_the_layers_bytes_show_pass_at_default_depth(corpus: Sequence[Case], runtime: str) -> None:
    passed = {case.name for case in corpus if not case.runs(runtime) and case.report(runtime).verdict == "pass"}
    assert passed == ONLY_BYTES_TELL[runtime]


@runtimes
def test_every_verdict_agrees_when_the_layers_are_read(corpus: Sequence[Case], runtime: str) -> None:
    wrong = {
        case.name: case.report(runtime, layers=True).verdict
        for case in corpus
        if case.name not in VERDICTS and case.runs(runtime) != (case.report(runtime, layers=True).verdict == "pass")
    }
    assert wrong == {}


def test_at_most_ten_healthy_images_are_refused_on_purpose(corpus: Sequence[Case]) -> None:
    cases = {case.name: case for case in corpus}
    assert len(VERDICTS) <= 10
    for name in VERDICTS:
        assert any(cases[name].runs(runtime) for runtime in ENGINES)
        assert cases[name].report("fargate").verdict == "fail"


@runtimes
def test_the_first_finding_has_the_engines_words(corpus: Sequence[Case], runtime: str) -> None:
    wrong = {}
    for case in corpus:
        if case.runs(runtime) or case.name in WORDS:
            continue
        if case.name in PULLED_BY_THE_STORE and runtime == "ecs-managed-instances":
            continue
        errors = case.report(runtime, layers=case.name in ONLY_BYTES_TELL[runtime]).errors
        ours = [normalized(f.runtime_error) for f in errors[:1]]
        if not set(ours) & set(case.errors(runtime)):
            wrong[case.name] = (ours, case.errors(runtime))
    assert wrong == {}


def test_the_cases_whose_words_differ_are_in_the_corpus(corpus: Sequence[Case]) -> None:
    assert set(WORDS) <= {case.name for case in corpus}


@runtimes
def test_what_only_some_or_old_hosts_refuse_is_a_warning_that_names_them(corpus: Sequence[Case], runtime: str) -> None:
    wrong = {}
    hosts = [host.hosts for host in RUNTIMES[runtime].on_hosts if host.share in (Share.SOME, Share.OLD)]
    for case in corpus:
        if case.name in VERDICTS or not case.runs(runtime):
            continue
        refused = [engine for engine in OTHER_ENGINES[runtime] if not case.runs_on(engine)]
        findings = case.report(runtime, layers=True).findings
        warned = [f for f in findings if any(name in f.message for name in hosts)]
        if bool(refused) != bool(warned) or any(f.severity is not Severity.WARNING for f in warned):
            wrong[case.name] = (refused, warned)
    assert wrong == {}


@runtimes
def test_no_image_that_starts_is_warned_of_for_its_links_in_etc_or_its_other_programs(
    corpus: Sequence[Case], runtime: str
) -> None:
    expected = {"programs-wrong-machine", "passwd-link-absolute", "etc-is-link"}
    for case in corpus:
        if case.name not in VERDICTS:
            assert not expected & {finding.id for finding in case.report(runtime, layers=True).findings}, case.name


@pytest.mark.parametrize("layers", [False, True])
def test_the_verdict_for_several_runtimes_is_the_union_of_the_verdicts_for_each(
    corpus: Sequence[Case], layers: bool
) -> None:
    def outcome(case: Case, *names: str) -> set[tuple[str, str, str, str]]:
        findings = case.report(*names, layers=layers).findings
        return {(name, f.id, f.severity, f.message) for f in findings for name in f.runs_on}

    names = [name for name, runtime in RUNTIMES.items() if runtime.runs(str(PLATFORM))]
    for case in corpus:
        for order in (names, names[::-1]):
            assert outcome(case, *order) == set().union(*(outcome(case, name) for name in names)), case.name


def test_exactly_the_messages_that_an_engine_reported_are_called_measured(
    corpus: Sequence[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    quoted: set[tuple[str, str]] = set()
    messages: dict[tuple[str, str], set[str]] = {}

    def recorded(finding_id: str, words: str, variant: str = "", **values: object) -> str:
        message = engine_message(finding_id, words, variant, **values)
        messages.setdefault((finding_id, message_key(finding_id, words, variant)), set()).add(normalized(message))
        return message

    for module in (artifact, container_user, layer_bytes, manifest, subject):
        monkeypatch.setattr(module, "engine_message", recorded)
    for case in corpus:
        reported = {normalized(o.get("error") or o.get("start_error") or "-") for o in case.facts["engines"].values()}
        messages.clear()
        for layers in (False, True):
            policy = Policy(tuple(ENGINES), PLATFORM, verify_layers=layers)
            verify(OciLayout(LayoutFolder(case.folder)), policy)
        quoted |= {key for key, texts in messages.items() if texts & (reported - {""})}
    measured = {(finding_id, key) for finding_id, keys in MEASURED.items() for key in keys}
    assert measured - OUTSIDE_OF_THE_CORPUS == quoted
