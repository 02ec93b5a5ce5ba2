"""`safe-image diff`: two images side by side, and which difference breaks which runtime."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from image_verifier import media_types
from image_verifier.image import Platform, sha256
from image_verifier.policy import Policy
from image_verifier.verify import verify

from safe_image.cli import main
from safe_image.comparison import Comparison, compare
from tests.unit.images import GZIP, Layout, tar_of

ZSTD = media_types.DOCKER_LAYER_ZSTD
DOCKER_GZIP = media_types.DOCKER_LAYER_GZIP


def _layout(folder: Path, **image: Any) -> Layout:
    layout = Layout(folder)
    layout.path.mkdir(parents=True)
    layout.source(layout.image(**image))
    return layout


def _compared(folder: Path, first: dict[str, Any], second: dict[str, Any]) -> Comparison:
    policy = Policy(("fargate", "ecs-ec2"), Platform.parse("linux/amd64"))
    reports = []
    for name, image in (("first", first), ("second", second)):
        layout = Layout(folder / name)
        layout.path.mkdir()
        reports.append(verify(layout.source(layout.image(**image)), policy))
    return compare(*reports)


def test_layers_are_named_by_what_became_of_them(tmp_path: Path) -> None:
    types = (DOCKER_GZIP,) * 2
    comparison = _compared(
        tmp_path,
        {"layer_types": types, "schema_2": True},
        {"layer_types": (DOCKER_GZIP, ZSTD, DOCKER_GZIP), "schema_2": True},
    )
    assert [pair.change for pair in comparison.layers] == ["same", "retyped", "added"]
    assert comparison.layers[2].first is None


def test_a_layer_of_the_same_content_in_another_compression_is_told_from_a_changed_one(tmp_path: Path) -> None:
    contents = [tar_of({"file": b"x" * 1000}), tar_of({"other": b"y"})]
    layouts = []
    for level in (1, 9):
        layout = Layout(tmp_path / str(level))
        layout.path.mkdir()
        # What is changed is the second layer, of the second image.
        tars = [contents[0], contents[1] if level == 1 else tar_of({"other": b"z"})]
        blobs = [gzip.compress(tars[0], level, mtime=0), gzip.compress(tars[1], mtime=0)]
        diff_ids = [sha256(tar) for tar in tars]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/file"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": layout.descriptor(media_types.OCI_CONFIG, json.dumps(config).encode()),
            "layers": [layout.descriptor(GZIP, blob) for blob in blobs],
        }
        top = layout.descriptor(media_types.OCI_MANIFEST, json.dumps(document).encode())
        layouts.append(layout.source(top))
    policy = Policy(("fargate",), Platform.parse("linux/amd64"))
    comparison = compare(*(verify(layout, policy) for layout in layouts))
    assert [pair.change for pair in comparison.layers] == ["recompressed", "changed"]


def test_what_refuses_only_one_of_them_is_told_apart_by_runtime(tmp_path: Path) -> None:
    comparison = _compared(
        tmp_path,
        {"layer_types": (DOCKER_GZIP,), "schema_2": True},
        {"layer_types": (ZSTD,), "schema_2": True},
    )
    assert [(f.id, f.runs_on) for f in comparison.broken] == [("layer-type-unsupported", ("fargate",))]
    assert comparison.mended == ()
    assert comparison.runtimes == (("fargate", True, False), ("ecs-ec2", True, True))


def test_the_difference_that_breaks_is_marked(tmp_path: Path) -> None:
    arm = {"config": {"architecture": "arm64"}}
    comparison = _compared(tmp_path, {}, arm)
    (platform,) = (field for field in comparison.fields if field.name == "platform")
    assert (platform.first, platform.second) == ("linux/amd64", "linux/arm64")
    assert [finding.id for finding in comparison.breaks(platform)] == ["platform-mismatch"]
    (user,) = (field for field in comparison.fields if field.name == "user")
    assert comparison.breaks(user) == ()


def test_the_same_image_twice_differs_in_nothing(tmp_path: Path) -> None:
    comparison = _compared(tmp_path, {}, {})
    assert not any(field.differs for field in comparison.fields)
    assert {pair.change for pair in comparison.layers} == {"same"}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    good = _layout(tmp_path / "good", layer_types=(DOCKER_GZIP,) * 3, schema_2=True)
    bad = _layout(tmp_path / "bad", layer_types=(DOCKER_GZIP, ZSTD, DOCKER_GZIP), schema_2=True)
    return f"oci-layout:{good.path}", f"oci-layout:{bad.path}"


def test_the_text_says_what_breaks_before_what_differs(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", *pair]) == 1
    text = capsys.readouterr().out
    assert text.index("only 2 is refused for") < text.index("things that they say differ") < text.index("are shared")
    assert text.count("error layer-type-unsupported") == 1, "told once for all runtimes"
    assert "(fargate, eks, batch)" in text
    assert "same bytes, other type  <- layer-type-unsupported" in text


def test_the_other_way_round_nothing_is_broken(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = pair
    assert main(["diff", bad, good]) == 0
    assert "only 1 is refused for" in capsys.readouterr().out


def test_the_json_has_both_images_and_every_pair_of_layers(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", *pair, "--runs-on", "fargate", "--format", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert [image["verdict"] for image in said["images"]] == ["pass", "fail"]
    assert said["broken"] == ["layer-type-unsupported"]
    assert [pair["change"] for pair in said["layers"]] == ["same", "retyped", "same"]
    assert said["layers"][1]["second"]["findings"] == ["layer-type-unsupported"]


def test_an_image_that_is_not_there_is_one_line_with_exit_code_2(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", pair[0], "oci-layout:nowhere"]) == 2
    printed = capsys.readouterr()
    assert "nowhere has no index.json" in printed.err
    assert (printed.err.count("\n"), printed.out) == (1, "")
