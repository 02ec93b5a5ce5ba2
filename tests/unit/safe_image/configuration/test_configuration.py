"""The configuration file: where it is found, what it sets, and one line for each way in which it is wrong."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.policy import Policy

from safe_image.cli import main
from safe_image.configuration.configuration import Configuration, load
from safe_image.configuration.image_settings import KEYS
from safe_image.configuration.toml_file import read
from safe_image.errors import UsageError
from tests.unit.images import Layout

TODAY = date(2026, 5, 1)
FARGATE = Policy(("fargate",), Platform("linux", "amd64"))
COMMAND_PAGE = Path(__file__).parents[4] / "docs" / "command.md"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(text: str) -> Configuration:
    Path("safe-image.toml").write_text(text)
    return load(None, isolated=False, today=TODAY)


def layout(folder: Path, *layer_types: str) -> str:
    made = Layout(folder)
    made.path.mkdir()
    made.source(made.image(layer_types=layer_types or (media_types.DOCKER_LAYER_GZIP,), schema_2=True))
    return f"oci-layout:{folder}"


# Where it is found


def test_the_nearest_file_is_found_upwards_and_its_own_name_wins(folder: Path) -> None:
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.safe-image]\nplatform = "linux/arm64"\n')
    assert load(None, isolated=False, folder=inner).settings.platform == "linux/arm64"
    (folder / "a" / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert load(None, isolated=False, folder=inner).file == folder / "pyproject.toml"
    (folder / "safe-image.toml").write_text('platform = "linux/amd64"\n')
    assert load(None, isolated=False, folder=inner).settings.platform == "linux/amd64"
    (folder / "a" / "pyproject.toml").write_text("[tool.safe-image]\nlayers = true\n")
    assert load(None, isolated=False, folder=inner).settings.layers is True


def test_config_names_a_file_and_isolated_ignores_all_of_them(folder: Path) -> None:
    Path("safe-image.toml").write_text("layers = true\n")
    Path("other.toml").write_text("layers = false\n")
    assert load("other.toml", isolated=False).settings.layers is False
    assert load(None, isolated=True) == Configuration()
    with pytest.raises(UsageError, match="exclude each other"):
        load("other.toml", isolated=True)


@pytest.mark.parametrize("kind", ["folder", "fifo", "dangling link", "loop"])
def test_a_file_of_its_own_that_cannot_be_read_is_not_passed_over_for_one_above(folder: Path, kind: str) -> None:
    (folder / "safe-image.toml").write_text("layers = true\n")
    inner = folder / "inner"
    inner.mkdir()
    file = inner / "safe-image.toml"
    if kind == "folder":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    else:
        file.symlink_to("nowhere" if kind == "dangling link" else file)
    with pytest.raises(UsageError, match=r"inner/safe-image\.toml (cannot be read|is a FIFO)"):
        load(None, isolated=False, folder=inner)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
def test_a_project_that_cannot_be_read_is_not_passed_over(folder: Path) -> None:
    # A regular file whose first byte nobody can read, not even root.
    (folder / "pyproject.toml").symlink_to("/proc/self/mem")
    with pytest.raises(UsageError, match=r"pyproject\.toml cannot be read: .*: use a file that can be read, or --isol"):
        load(None, isolated=False)


def test_a_table_that_is_spelled_as_the_package_is_not_passed_over(folder: Path) -> None:
    Path("pyproject.toml").write_text("[tool.safe_image]\nlayers = true\n")
    with pytest.raises(UsageError, match=r"unknown table \[tool\.safe_image\]: use \[tool\.safe-image\]"):
        load(None, isolated=False)
    Path("pyproject.toml").write_text('[tool.other]\npackages = ["safe_image"]\n')
    assert load(None, isolated=False).file is None


def test_a_file_of_an_editor_on_windows_is_read() -> None:
    Path("safe-image.toml").write_bytes(b"\xef\xbb\xbflayers = true\r\nplatform = 'linux/arm64'\r\n")
    settings = load(None, isolated=False).settings
    assert (settings.layers, settings.platform) == (True, "linux/arm64")


def test_a_project_that_is_not_toml_and_does_not_name_the_command_is_nobodys_error(folder: Path) -> None:
    Path("pyproject.toml").write_text("[project\n")
    assert load(None, isolated=False).file is None


# What it sets


def test_the_file_sets_the_policy_and_a_section_that_of_its_images() -> None:
    configuration = configured("""
        runs-on = ["fargate", "ecs-ec2"]
        max-size = "2GiB"
        require = ["label:team"]
        [[acknowledge]]
        id = "layer-foreign"
        reason = "licence"
        [[images]]
        match = ["shop-function", "Shop/Function*"]
        runs-on = "lambda"
        require = ["non-root-user"]
        """)
    everywhere = configuration.policy(FARGATE, ["registry.example.com/shop:1"])
    assert (everywhere.runs_on, everywhere.max_size) == (("fargate", "ecs-ec2"), 2 * 1024**3)
    assert everywhere.acknowledge == {"layer-foreign": "licence"}
    function = configuration.policy(FARGATE, ["registry.example.com/shop-function:1", "Shop/Function/Image"])
    assert function.runs_on == ("lambda",)
    assert [str(required) for required in function.require] == ["label:team", "non-root-user"]
    assert function.max_size == 2 * 1024**3


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("registry.example.com/team/shop:1.4", True),
        ("registry.example.com/team/shop", True),
        ("team/shop", True),
        ("team/shop:1.*", True),
        ("team/*", True),
        ("*/shop", True),
        ("shop", False),
        ("team/shop:2.*", False),
    ],
)
def test_a_pattern_matches_the_reference_with_and_without_registry_and_tag(pattern: str, matches: bool) -> None:
    configuration = configured(f'[[images]]\nmatch = "{pattern}"\nlayers = true\n')
    assert configuration.policy(FARGATE, ["registry.example.com/team/shop:1.4"]).verify_layers is matches


def test_a_verifications_own_policy_gets_only_what_is_added() -> None:
    configuration = configured(
        'runs-on = "lambda"\nmax-size = "1MiB"\nrequire = ["non-root-user"]\n'
        '[[acknowledge]]\nid = "layer-foreign"\nreason = "licence"\n'
    )
    added = configuration.added(FARGATE)
    assert (added.runs_on, added.max_size) == (("fargate",), 1024**2)
    assert configuration.added(replace(FARGATE, max_size=5)).max_size == 5
    assert [str(required) for required in added.require] == ["non-root-user"]
    assert added.acknowledge == {"layer-foreign": "licence"}


def test_an_option_wins_over_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zstd = layout(tmp_path / "image", media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    Path("safe-image.toml").write_text('fail-on = "never"\n')
    assert main(["check", zstd]) == 0
    assert main(["check", zstd, "--fail-on", "error"]) == 1
    assert main(["check", zstd, "--isolated"]) == 1
    Path("other.toml").write_text('[[acknowledge]]\nid = "layer-type-unsupported"\nreason = "known"\n')
    assert main(["check", zstd, "--config", "other.toml"]) == 0
    assert "acknowledged: known" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "shop:1"],
        ["audit", "--in-use"],
        ["diff", "shop:1", "shop:2"],
        ["preflight", "."],
        ["heal", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1"],
        ["explain", "CannotPullContainerError: no space left on device"],
        ["explain", "--service", "shop/web"],
        ["config"],
    ],
)
def test_every_command_that_checks_images_reads_the_file(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("safe-image.toml").write_text("runs_on = 1\n")
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith("safe-image.toml has the unknown key 'runs_on': use runs-on\n")


# Wrong files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("runs-on = [", "safe-image.toml is not a valid TOML file: "),
        ("max-sice = '1GiB'", "has the unknown key 'max-sice': use max-size"),
        ("runs-on = 1", "safe-image.toml: runs-on is a number: use a list of texts"),
        ("runs-on = 'fargat'", "safe-image.toml: runs-on names 'fargat', which is not a runtime: use fargate"),
        (
            "runs-on = 'lambda'\nplatform = 'windows/amd64'",
            "images for windows/amd64 cannot be verified: use linux/amd64",
        ),
        ("platform = ''", "safe-image.toml: platform is an empty text: use a text"),
        ("platform = 'amd64'", "safe-image.toml: "),
        ("layers = 'yes'", "safe-image.toml: layers is a text: use true or false"),
        ("max-size = 5", 'safe-image.toml: max-size is a number: use a text with a unit, such as "50MiB"'),
        ("max-size = '5 apples'", "safe-image.toml: max-size '5 apples' is not a size: use a number and a unit"),
        ("min-size = '2GiB'\nmax-size = '1GiB'", "safe-image.toml: min-size (2.0 GiB) is above max-size (1.0 GiB)"),
        ("max-size = '0B'", "safe-image.toml: max-size is 0 bytes: no image fits"),
        ("runs-on = []", "safe-image.toml: runs-on is empty: use a text, or a list of texts"),
        ("runs-on = ['']", "safe-image.toml: runs-on is empty: use a text, or a list of texts"),
        ("[[images]]\nmatch = []", "images[1].match is empty: use a text, or a list of texts"),
        ("[[images]]\nmatch = ' '", "images[1].match is empty: use a text, or a list of texts"),
        ("fail-on = 'eror'", "safe-image.toml: fail-on is 'eror': use error"),
        ("require = ['root']", "require names 'root', which is not a requirement: use one of non-root-user"),
        ("acknowledge = 'all'", "acknowledge is a text: use tables, each under a line [[acknowledge]]"),
        ("[[acknowledge]]\nid = 'layer-foreign'", "acknowledge[1] has no reason"),
        (
            "[[acknowledge]]\nid = 'layer-foregn'\nreason = 'x'",
            "'layer-foregn', which is not a finding's id: use layer-fo",
        ),
        (
            "[[acknowledge]]\nid = 'layer-foreign'\nreason = 'x'\nexpires = 'soon'",
            "acknowledge[1].expires is a text: use a date without quotes, such as 2027-01-31",
        ),
        (
            "[[acknowledge]]\nid = 'layer-foreign'\nreason = 'x'\nexpires = 2999-01-31T00:00:00Z",
            "acknowledge[1].expires is a date with a time: use a date without quotes",
        ),
        (
            "[[acknowledge]]\nid = 'layer-foreign'\nreason = 'x'\nexpires = 10:00:00",
            "acknowledge[1].expires is a time: use a date without quotes",
        ),
        ("require = ['non-root-user', 3]", "safe-image.toml: require[2] is a number: use a text"),
        ("[[acknowledge]]\nid = 'layer-foreign'\nreason = 'x'\nexpires = 2026-02-30", "is not a valid TOML file"),
        (
            "[[acknowledge]]\nid = 'layer-foreign'\nreason = 'x'\nexpires = 2026-04-30",
            "the acknowledgement of layer-foreign expired on 2026-04-30: fix the finding, or set a later date",
        ),
        ("[[images]]\nlayers = true", "images[1] has no match"),
        ("[[images]]\nmatch = 'shop'\nmax-sice = '1GiB'", "images[1] has the unknown key 'max-sice': use max-size"),
        ("[[images]]\nmatch = 'shop'\nruns-on = 'fargat'", "images[1]: runs-on names 'fargat'"),
        ("images = 1", "images is a number: use tables, each under a line [[images]]"),
        (
            "[[images]]\nmatch = 'a'\nacknowledge = {a = 1}",
            "images[1].acknowledge is a table: use tables, each under a line [[images.acknowledge]]",
        ),
    ],
)
def test_a_wrong_file_is_one_line_with_the_place_and_what_to_use(text: str, message: str) -> None:
    with pytest.raises(UsageError) as e:
        configured(text)
    assert message in str(e.value)
    assert str(e.value).count("safe-image.toml") == 1
    assert "\n" not in str(e.value)


def test_an_acknowledgement_holds_on_its_last_day() -> None:
    text = "[[acknowledge]]\nid = 'layer-foreign'\nreason = 'x'\nexpires = 2026-05-01"
    assert configured(text).policy(FARGATE).acknowledge == {"layer-foreign": "x"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.toml", None, "nowhere.toml cannot be read: No such file or directory"),
        ("folder.toml", "", "folder.toml cannot be read: Is a directory"),
        ("pyproject.toml", b"[project]\n", "pyproject.toml has no table [tool.safe-image]"),
        ("pyproject.toml", b"[tool.safe-image]\nimages = 1\n", "under a line [[tool.safe-image.images]]"),
        ("latin.toml", b"platform = '\xe4'\n", "latin.toml is not a valid TOML file: it is not text in UTF-8"),
        ("", None, "--config is empty: use the path of a file"),
        ("large.toml", b"#" * 2_000_000, "large.toml has more than 1,048,576 bytes: use a safe-image.toml of its own"),
        ("dotted.toml", b"#\n" + b"a." * 100_000 + b"a = 1", "dotted.toml:2: the line has more than 1,000 dots"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(name: str, content: bytes | str | None, message: str) -> None:
    if isinstance(content, bytes):
        Path(name).write_bytes(content)
    elif content is not None:
        Path(name).mkdir()
    with pytest.raises(UsageError) as e:
        load(name, isolated=False)
    assert message in str(e.value)


# Showing it


def test_config_shows_the_file_and_the_settings_of_an_image(capsys: pytest.CaptureFixture[str]) -> None:
    Path("safe-image.toml").write_text('runs-on = "lambda"\n[[images]]\nmatch = "shop"\nmax-size = "1GiB"\n')
    assert main(["config", "registry.example.com/shop:1"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  runs-on: lambda", "  max-size: 1GiB"]
    assert main(["config", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["settings"] == {"runs-on": ["lambda"]}
    assert shown["images"] == [{"match": ["shop"], "max-size": "1GiB"}]
    assert main(["config", "--isolated"]) == 0
    assert capsys.readouterr().out == "no configuration file: the default options are used\n"


def test_the_page_names_every_key_and_its_example_is_right(folder: Path) -> None:
    page = COMMAND_PAGE.read_text().partition("\n## Configuration file\n")[2]
    assert [key for key in KEYS if f"`{key}`" not in page and f"[[{key}]]" not in page] == []
    example = page.partition("```toml\n")[2].partition("```")[0]
    configuration = configured(example)
    assert configuration.policy(FARGATE, ["registry.example.com/team/shop-function:1"]).runs_on == ("lambda",)
    assert set(configuration.policy(FARGATE).acknowledge) == {"layer-type-doubtful"}


def test_a_fifo_as_configuration_file_is_one_line_and_does_not_wait(tmp_path: Path) -> None:
    pipe = tmp_path / "safe-image.toml"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match=r"safe-image\.toml is a FIFO or a device: use a regular file"):
        read(pipe)
