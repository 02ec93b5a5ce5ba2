"""The requirements of a policy, and the severity from which a finding refuses an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import FailOn, Report
from image_verifier.rules.requirement_types import Requirement
from image_verifier.verify import verify

from tests.unit.blobs import END, PROGRAM, file, folder, image
from tests.unit.images import GZIP, Layout

BASE = "org.opencontainers.image.base.name"
PASSWD = folder("etc") + file("etc/passwd", b"root:x:0:0::/:\ntoor:x:0:0::/:\napp:x:1000:1000::/:\n")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def asked(*require: str, runs_on: str = "fargate", **more: Any) -> Policy:
    return Policy((runs_on,), Platform.parse("linux/amd64"), require=tuple(map(Requirement.parse, require)), **more)


def judged(layout: Layout, top: dict[str, Any], policy: Policy) -> Report:
    return verify(layout.source(top), policy)


def found(layout: Layout, *require: str, runs_on: str = "fargate", **image: Any) -> list[str]:
    run = {"Cmd": ["/file0"], **image.pop("run", {})}
    top = layout.image(config={"config": run}, **image)
    return [f.id for f in judged(layout, top, asked(*require, runs_on=runs_on)).errors]


def test_nothing_is_required_that_nobody_named(layout: Layout) -> None:
    assert found(layout, run={"User": "root"}) == []


@pytest.mark.parametrize("user", ["", "root", "root:app", "0", "0:1000", ":1000", "+0", "-0", "00"])
def test_these_users_are_root(layout: Layout, user: str) -> None:
    assert found(layout, "non-root-user", run={"User": user}) == ["user-is-root"]


@pytest.mark.parametrize("user", ["app", "1000", "1000:0", "app:root", "4294967296"])
def test_these_users_are_not_root_by_the_config_alone(layout: Layout, user: str) -> None:
    assert found(layout, "non-root-user", run={"User": user}) == []


def test_lambda_runs_no_image_as_root(layout: Layout) -> None:
    assert found(layout, "non-root-user", runs_on="lambda", run={"User": "root"}) == []


@pytest.mark.parametrize(
    ("user", "root"),
    [("toor", True), ("app", False), ("root", True), ("", True), ("0", True), ("1000", False)],
)
def test_with_the_layers_the_name_of_a_user_is_looked_up(user: str, root: bool) -> None:
    source = image(PROGRAM + PASSWD + END, config={"Cmd": ["/program"], "User": user})
    report = verify(source, asked("non-root-user", verify_layers=True))
    assert [f.id for f in report.errors] == ["user-is-root"] * root


def test_a_user_named_root_who_is_somebody_else_is_not_root() -> None:
    passwd = folder("etc") + file("etc/passwd", b"root:x:1000:1000::/:\n")
    source = image(PROGRAM + passwd + END, config={"Cmd": ["/program"], "User": "root"})
    assert verify(source, asked("non-root-user", verify_layers=True)).errors == ()
    assert [f.id for f in verify(source, asked("non-root-user")).errors] == ["user-is-root"]


@pytest.mark.parametrize(
    ("base", "id"),
    [
        ("docker.io/library/python:latest", "base-is-latest"),
        ("python", "base-is-latest"),
        ("localhost:5000/python", "base-is-latest"),
        ("docker.io/library/python:3.13-slim", None),
        ("python@sha256:" + "0" * 64, None),
        ("python:latest@sha256:" + "0" * 64, None),
        ("scratch", None),
        ("no name at all", "base-not-said"),
        ("", "base-not-said"),
    ],
)
def test_the_base_is_named_by_the_annotation_or_the_label(layout: Layout, base: str, id: str | None) -> None:
    expected = [id] if id else []
    assert found(layout, "no-latest-base", run={"Labels": {BASE: base}}) == expected
    assert found(layout, "no-latest-base", manifest={"annotations": {BASE: base}}) == expected


def test_an_image_without_a_base_name_is_refused(layout: Layout) -> None:
    assert found(layout, "no-latest-base") == ["base-not-said"]
    assert found(layout, "no-latest-base", manifest={"annotations": None}) == ["base-not-said"]


def test_the_annotation_counts_before_the_label_which_comes_down_from_the_base(layout: Layout) -> None:
    labels = {"Labels": {BASE: "debian:latest"}}
    assert found(layout, "no-latest-base", run=labels, manifest={"annotations": {BASE: "python:3.13"}}) == []


@pytest.mark.parametrize(
    ("labels", "missing"),
    [({}, True), ({"team": "shop"}, False), ({"team": " "}, True), ({"TEAM": "shop"}, True)],
)
def test_a_label_is_there_with_something_in_it(layout: Layout, labels: dict[str, str], missing: bool) -> None:
    assert found(layout, "label:team", run={"Labels": labels}) == ["label-missing"] * missing


def test_each_missing_label_is_named(layout: Layout) -> None:
    top = layout.image()
    report = judged(layout, top, asked("label:a.b", "label:urn:c"))
    assert [f.message for f in report.errors] == [
        "The image does not have the label a.b.",
        "The image does not have the label urn:c.",
    ]


def test_layers_are_counted(layout: Layout) -> None:
    assert found(layout, "max-layers:2", layer_types=(GZIP,) * 2) == []
    assert found(layout, "max-layers:2", layer_types=(GZIP,) * 3) == ["layers-above-maximum"]


def test_an_artifact_is_not_held_to_the_requirements_for_images(layout: Layout) -> None:
    policy = asked("non-root-user", "no-latest-base", "label:team", "max-layers:1")
    assert [f.id for f in judged(layout, layout.attestation(), policy).errors] == ["not-an-image"]


def test_what_is_required_can_be_acknowledged(layout: Layout) -> None:
    policy = asked("non-root-user", acknowledge={"user-is-root": "until spring"})
    report = judged(layout, layout.image(), policy)
    assert report.verdict == "pass"
    assert report.findings[0].acknowledged == "until spring"


@pytest.mark.parametrize(
    ("fail_on", "doubtful", "broken"),
    [(FailOn.ERROR, "pass", "fail"), (FailOn.WARNING, "fail", "fail"), (FailOn.NEVER, "pass", "pass")],
)
def test_fail_on_says_what_refuses(layout: Layout, fail_on: FailOn, doubtful: str, broken: str) -> None:
    zstd = layout.image(layer_types=(GZIP, "application/vnd.oci.image.layer.v1.tar+zstd"))
    report = judged(layout, zstd, asked(runs_on="lambda", fail_on=fail_on))
    assert ([f.id for f in report.findings], report.verdict) == (["layer-type-doubtful"], doubtful)
    assert judged(layout, layout.attestation(), asked(fail_on=fail_on)).verdict == broken


def test_an_acknowledged_warning_refuses_nothing(layout: Layout) -> None:
    zstd = layout.image(layer_types=(GZIP, "application/vnd.oci.image.layer.v1.tar+zstd"))
    waived = {"layer-type-doubtful": "tried it"}
    assert judged(layout, zstd, asked(runs_on="lambda", fail_on=FailOn.WARNING, acknowledge=waived)).verdict == "pass"
