"""Diff on the corpus: it explains every broken image, and prints the text that its page shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.rules.names import Names
from image_verifier.verify import verify

from safe_image.cli import main
from safe_image.formats import DIFF_FORMATS
from safe_image.results.comparison import compare
from safe_image.sources.oci_layout import LayoutFolder, OciLayout
from tests.corpus.cases import Case

_PAGE = Path(__file__).parents[2] / "docs" / "commands" / "diff.md"
# Incident 2: the same build on each of Docker's image stores.
_EXAMPLE = {"good": "b-classic-derived-zbase-dk-noatt", "bad": "b-ctrd-derived-zbase-dk-noatt"}


def test_a_difference_from_a_healthy_image_explains_every_broken_image(corpus: Sequence[Case]) -> None:
    policy = Policy(("fargate", "ecs-ec2", "lambda"), Platform.parse("linux/amd64"))
    reports = {case.name: verify(OciLayout(LayoutFolder(case.folder)), policy) for case in corpus}
    good = reports["h-ok-oci-gzip"]
    assert not good.errors
    unexplained = []
    for name, report in reports.items():
        comparison = compare(good, report)
        assert bool(comparison.breaks_on) == bool(report.errors)
        broken = [one.breaks for one in comparison.fields] + [one.breaks for one in comparison.layers]
        if comparison.breaks_on and not any(broken):
            unexplained.append((name, comparison.broken))
        names = Names("good"), Names(name)
        for form in DIFF_FORMATS:
            assert "".join(DIFF_FORMATS.report(form)(comparison, names, policy, io.StringIO()))
    assert unexplained == []


def test_the_page_of_diff_shows_what_diff_prints(
    corpus: Sequence[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = {case.name: case.folder for case in corpus}
    for name, case in _EXAMPLE.items():
        (tmp_path / name).symlink_to(folders[case])
    monkeypatch.chdir(tmp_path)
    command = ["diff", "oci-layout:good", "oci-layout:bad"]
    assert main(command) == 1
    assert f"$ safe-image {' '.join(command)}\n{capsys.readouterr().out}```" in _PAGE.read_text(encoding="utf-8")
