"""docs/runtimes.md says what the tables of runtimes and engines say, and so does `safe-image runtimes`."""

from __future__ import annotations

import json

import pytest
from image_verifier.rules.confirmations import CONFIRMATIONS
from image_verifier.rules.runtimes import RUNTIMES, Share

from safe_image.cli import main
from safe_image.results.acceptance import STANDINGS, acceptance
from tests.checks.runtimes_page import RUNTIMES_PATH, runtimes_page


def test_the_page_of_the_runtimes_says_what_the_tables_say() -> None:
    assert RUNTIMES_PATH.read_text() == runtimes_page(), "run python -m tests.checks"


def test_the_command_shows_every_runtime_with_its_engines_and_their_dates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runtimes"]) == 0
    text = capsys.readouterr().out
    for runtime in RUNTIMES.values():
        assert runtime.title in text
        for host in runtime.on_hosts:
            assert f"{host.share.value}: {host.engine.name}" in text
            assert CONFIRMATIONS[host.engine].date in text


def test_the_command_prints_json_for_the_named_runtimes_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runtimes", "eks", "--format", "json"]) == 0
    (eks,) = json.loads(capsys.readouterr().out)["runtimes"]
    shares = {engine["name"]: engine["share"] for engine in eks["engines"]}
    assert shares["containerd 1.7"] == "old"
    assert eks["images"]["Docker layers with zstd"] == "refused by old hosts"
    confirmed = {engine["name"]: engine["confirmed"] for engine in eks["engines"]}
    assert {each["how"] for each in confirmed.values()} == {"measured"}
    assert confirmed["containerd 2.2"]["remark"].startswith("built from source")


def test_an_unknown_runtime_is_one_line_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runtimes", "mars"]) == 2
    assert "'mars' is not a runtime: use one of fargate," in capsys.readouterr().err


def test_every_engine_has_a_dated_witness_and_every_partial_share_names_its_hosts() -> None:
    for row in RUNTIMES.values():
        for host in row.on_hosts:
            assert len(CONFIRMATIONS[host.engine].date) == 10
            assert CONFIRMATIONS[host.engine].version
            assert host.hosts or host.share in (Share.ALL, Share.WORDS)
        assert {standing for _, standing in acceptance(row)} <= set(STANDINGS)
