"""The html report: complete in itself, the same for the same images, and safe whatever an image says."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from image_verifier import __version__
from image_verifier.image import media_types

from safe_image.cli import main
from tests.unit.images import GZIP, Layout

HOSTILE = "application/vnd.oci.image.layer.v1.tar+<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """The elements of a page, its text, and whether every element is closed in its turn."""

    _VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.commands: list[str] = []
        self._open: list[str] = []
        self._head: dict[str, list[str]] = {"h1": [], "dt": [], "dd": []}
        self.feed(content)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "code":
            self.commands.append("")
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "code" in self._open:
            self.commands[-1] += data
        if "header" in self._open and self._open[-1] in self._head:
            self._head[self._open[-1]].append(data)

    @property
    def headline(self) -> str:
        return "".join(self._head["h1"])

    @property
    def facts(self) -> dict[str, str]:
        """The facts at the head of the page, by name."""
        return dict(zip(self._head["dt"], self._head["dd"], strict=True))

    def having(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of a class."""
        return [attributes for _, attributes in self.elements if name in (attributes.get("class") or "").split()]


def _layout(folder: Path, **image: Any) -> str:
    layout = Layout(folder)
    layout.path.mkdir()
    layout.source(layout.image(**image))
    return f"oci-layout:{folder}"


def _page(capsys: pytest.CaptureFixture[str], *arguments: str, command: str = "check") -> Page:
    main([command, *arguments, "--format", "html"])
    return Page(capsys.readouterr().out)


def test_each_layer_is_drawn_and_the_broken_ones_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD, media_types.DOCKER_LAYER_GZIP)
    page = _page(capsys, _layout(tmp_path / "image", layer_types=types, schema_2=True))
    assert len(page.having("layer")) == 3
    assert len(page.having("is-bad")) == 1
    assert "number of layers and diffIDs don't match: 2 != 3" in page.text


def test_a_reference_to_an_attestation_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(tmp_path / "image")
    layout.path.mkdir()
    layout.source(layout.attestation())
    page = _page(capsys, f"oci-layout:{layout.path}")
    assert "not-an-image" in page.text
    assert "Container start" not in page.text, "nothing starts an attestation"
    assert "Container start" in _page(capsys, _layout(tmp_path / "good")).text


def test_the_headline_names_the_runtime_that_refuses_an_image_if_another_accepts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(tmp_path / "index")
    layout.path.mkdir()
    layout.source(layout.index({**layout.image(), "platform": {"os": "linux", "architecture": "amd64"}}))
    index, good = f"oci-layout:{layout.path}", _layout(tmp_path / "good")
    both = ("--runs-on", "fargate", "--runs-on", "lambda")
    for references, headline in (
        ((index, *both), "The image is refused on Lambda, and passes on ECS on Fargate"),
        ((index, good, *both), "1 of 2 images is refused on Lambda"),
        ((index, "--runs-on", "lambda"), "The image is refused"),
        ((good, *both), "The image passes"),
    ):
        assert _page(capsys, *references).headline == headline
    every = ("ecs-ec2", "eks", "batch", "app-runner", *both[1::2])
    page = _page(capsys, index, *(word for name in every for word in ("--runs-on", name)))
    assert page.headline == "The image is refused on Lambda, and passes on 5 of 6 runtimes"


def test_an_error_text_that_no_engine_has_reported_is_a_prediction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nameless = _layout(tmp_path / "nameless", config={"config": {"Cmd": ["/run"], "Env": ["=1"]}})
    assert "ECS on Fargate would have said (predicted from its source)" in _page(capsys, nameless).text
    zstd = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    measured = _page(capsys, _layout(tmp_path / "zstd", layer_types=zstd, schema_2=True)).text
    assert "ECS on Fargate would have said" in measured
    assert "predicted" not in measured


def test_the_head_of_a_page_has_the_time_the_policy_and_the_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225599")
    options = ("--max-size", "500MiB", "--require", "label:team", "--acknowledge", "no-command=started by hand")
    page = _page(capsys, _layout(tmp_path / "image"), *options, "--fail-on", "warning")
    assert page.facts == {
        "checked": "2025-12-31 23:59 UTC",
        "policy": "linux/amd64 on ECS on Fargate; refuses errors and warnings; reads manifests and configs, not the "
        "layers' bytes; at most 500.0 MiB; requires label:team; accepts no-command (started by hand)",
        "version": f"safe-image {__version__}",
    }


def test_a_wrong_time_of_the_report_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("yesterday", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        assert main(["check", _layout(tmp_path / wrong), "--format", "html"]) == 2
        assert capsys.readouterr().err == (
            f"safe-image: SOURCE_DATE_EPOCH is '{wrong}', which is not a time: use a number of seconds since 1970\n"
        )


def test_an_index_is_a_tree_in_which_the_chosen_image_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(tmp_path / "image")
    layout.path.mkdir()
    platform = {"os": "linux", "architecture": "amd64"}
    children = (
        {**layout.image(), "platform": platform},
        {**layout.attestation(), "platform": {"os": "unknown", "architecture": "unknown"}},
    )
    layout.source(layout.index(*children))
    page = _page(capsys, f"oci-layout:{layout.path}")
    assert len(page.having("node")) == 3
    assert len(page.having("chosen")) == 2, "the index, and the image in it"
    assert len(page.having("aside")) == 1
    assert "attestation" in page.text


def test_the_page_makes_no_requests_and_runs_only_its_own_script(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = _page(capsys, _layout(tmp_path / "image"))
    (policy,) = (a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv"))
    assert policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    links = {a["href"] for _, a in page.elements if a.get("href")}
    assert not [link for link in links if link and not link.startswith(("#", "data:,"))]
    assert not [a for _, a in page.elements if a.get("src")]
    assert not [a for _, a in page.elements if "style" in a or any(name.startswith("on") for name in a)]


@pytest.mark.parametrize("command", ["check", "diff"])
def test_the_text_of_an_image_never_becomes_an_element(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    config = {"config": {"Cmd": ["<script>alert(3)</script>"], "User": "\x1b[31m<b>", "Labels": {"<i>": "</main>"}}}
    hostile = _layout(tmp_path / "hostile", layer_types=(GZIP, HOSTILE), config=config)
    others = [_layout(tmp_path / "good")] if command == "diff" else []
    page = _page(capsys, *others, hostile, command=command)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not {"img", "b", "i"} & {tag for tag, a in page.elements if tag != "b" or "onerror" in a}
    assert "<script>alert(1)</script>" in page.text
    assert "\x1b" not in page.text


def test_the_same_images_make_the_same_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225599")
    reference = _layout(tmp_path / "image", layer_types=(GZIP, GZIP))
    pages = []
    for _ in range(2):
        main(["check", reference, "--format", "html"])
        pages.append(capsys.readouterr().out)
    assert pages[0] == pages[1]


def test_few_images_are_open_and_many_are_folded_under_an_overview(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    references = [_layout(tmp_path / f"image{number}") for number in range(3)]
    nowhere = f"oci-layout:{tmp_path}/nowhere"
    few, many = _page(capsys, *references), _page(capsys, *references, nowhere)
    for page, is_open in ((few, True), (many, False)):
        assert {"open" in sheet for sheet in page.having("sheet")} == {is_open}
    assert "3 passed" in many.text
    assert "1 unknown" in many.text
    assert "1 of 4 images is unknown" in many.text
    assert "nowhere is not an OCI image layout (it has no index.json)" in many.text
    one, two, three, unknown = (f"#{sheet['id']}" for sheet in many.having("body"))
    links = [attributes["href"] for tag, attributes in many.elements if tag == "a"]
    assert links == [unknown, one, two, three], "the gravest first"


def test_a_layer_leads_to_its_finding_and_the_finding_names_its_layers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    types = (media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD, media_types.DOCKER_LAYER_ZSTD)
    page = _page(capsys, _layout(tmp_path / "image", layer_types=types, schema_2=True))
    (finding,) = page.having("finding")
    assert [mark["href"] for mark in page.having("mark")] == [f"#{finding['id']}"] * 2
    assert "layers #2, #3" in page.text


def test_a_tall_stack_shows_both_ends_and_the_broken_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    types = [media_types.DOCKER_LAYER_GZIP] * 100
    types[49] = media_types.DOCKER_LAYER_ZSTD
    page = _page(capsys, _layout(tmp_path / "image", layer_types=tuple(types), schema_2=True))
    assert len(page.having("layer")) == 100, "the others are there to be unfolded"
    assert [text for text in ("42 more layers", "41 more layers") if text in page.text] == [
        "42 more layers",
        "41 more layers",
    ]


def test_a_build_can_be_copied_from_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    types = (media_types.DOCKER_LAYER_ZSTD, media_types.DOCKER_LAYER_GZIP)
    page = _page(capsys, _layout(tmp_path / "image", layer_types=types, schema_2=True))
    build = "docker buildx build . -t REPOSITORY:TAG --output=$OUT --provenance=false --sbom=false"
    assert page.commands == [f"OUT=type=image,push=true,oci-mediatypes=true; {build}"]
