"""The GitHub Action, run as a runner runs it: the script of its step, with the inputs in the environment."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from image_verifier import __version__
from image_verifier.image import media_types

from tests.unit.images import GZIP, Layout

_ROOT = Path(__file__).parent.parent.parent
_ACTION: dict[str, Any] = yaml.safe_load((_ROOT / "action.yml").read_text())
_EXPRESSION = re.compile(r"\$\{\{ *([a-z_.-]+) *\}\}")


@dataclass(frozen=True)
class Ran:
    """The outcome of a step."""

    code: int
    log: str
    outputs: Mapping[str, str]
    summary: str


Run = Callable[..., Ran]


@pytest.fixture
def run(pyz: Path, tmp_path: Path) -> Run:
    """Run the action's step with these inputs, and its own defaults for the others."""

    def run_step(
        *,
        action: Path = _ROOT,
        path: str = os.environ["PATH"],
        job: Mapping[str, str] = MappingProxyType({}),
        **inputs: str,
    ) -> Ran:
        (step,) = _ACTION["runs"]["steps"]
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        known = {f"inputs.{name}": given.get(name, spec.get("default", "")) for name, spec in _ACTION["inputs"].items()}
        known |= {"github.action_path": str(action), "github.token": "secret"}
        variables = {name: _EXPRESSION.sub(lambda match: known[match[1]], text) for name, text in step["env"].items()}
        files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        environment = {
            "PATH": path,
            "HOME": str(tmp_path),
            "RUNNER_TEMP": str(tmp_path),
            "PEX_ROOT": str(pyz.parent / "root"),
            **job,
            **variables,
            **{name: str(file) for name, file in files.items()},
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        return Ran(done.returncode, done.stdout + done.stderr, outputs, files["GITHUB_STEP_SUMMARY"].read_text())

    return run_step


def _image(folder: Path, *layer_types: str) -> tuple[str, str]:
    layout = Layout(folder)
    layout.path.mkdir()
    top = layout.image(layer_types=layer_types, schema_2=media_types.DOCKER_LAYER_ZSTD in layer_types)
    layout.source(top)
    return f"oci-layout:{folder}", top["digest"]


def test_a_good_image_passes_and_its_digest_is_an_output(run: Run, pyz: Path, tmp_path: Path) -> None:
    reference, digest = _image(tmp_path / "good", GZIP)
    ran = run(image=f"  {reference}\n", command=str(pyz))
    assert ran.code == 0, ran.log
    assert (ran.outputs["verdict"], ran.outputs["digest"]) == ("pass", digest)
    assert "✅ passed" in ran.summary
    assert "::error" not in ran.log


def test_a_broken_image_fails_the_step_annotates_the_run_and_is_in_the_summary(
    run: Run, pyz: Path, tmp_path: Path
) -> None:
    good, _ = _image(tmp_path / "good", GZIP)
    bad, _ = _image(tmp_path / "bad", media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    ran = run(image=f"{good}\n{bad}", command=str(pyz), runs_on="fargate\nbatch")
    assert ran.code == 1
    assert ran.outputs["verdict"] == "fail"
    assert len(re.findall("^::error title=.*layer-type-unsupported::", ran.log, re.M)) == 2, "one for each runtime"
    assert "❌ refused" in ran.summary
    images = json.loads(Path(ran.outputs["report"]).read_text())["images"]
    assert [image["verdict"] for image in images] == ["pass", "fail"]
    assert images[0]["runs_on"] == ["fargate", "batch"]


def test_every_input_reaches_the_command(run: Run, pyz: Path, tmp_path: Path) -> None:
    reference, _ = _image(tmp_path / "image", GZIP)
    ran = run(
        image=reference,
        command=str(pyz),
        layers="true",
        min_size="1GiB",
        max_size="2GiB",
        against=reference,
        max_growth="10%",
        require="non-root-user\nlabel:team",
        acknowledge="image-too-small=it is a test's\n\nentrypoint-format-invalid=as well",
        fail_on="never",
    )
    assert ran.code == 0, ran.log
    (image,) = json.loads(Path(ran.outputs["report"]).read_text())["images"]
    reasons = {finding["id"]: finding["acknowledged"] for finding in image["findings"]}
    assert reasons["image-too-small"] == "it is a test's"
    assert {"user-is-root", "label-missing", "entrypoint-format-invalid"} <= reasons.keys()


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"image": "\n"}, "image is empty"),
        ({"image": "Shop"}, "is not a repository's name"),
        ({"image": "shop:1", "layers": "yes"}, "set it to true or false"),
        ({"image": "shop:1", "max_growth": "20%"}, "needs --against"),
        ({"image": "--debug"}, "is not"),
        ({"image": "shop:1", "command": ""}, "used from a folder, which has no release"),
    ],
)
def test_a_wrong_input_is_an_annotation(run: Run, pyz: Path, inputs: dict[str, str], words: str) -> None:
    ran = run(**{"command": str(pyz), **inputs})
    assert ran.code == 2, ran.log
    (line,) = (line for line in ran.log.splitlines() if line.startswith("::error title=safe-image::"))
    assert words in line
    assert "Traceback" not in ran.log


# Stands in for `gh release download`: it records its arguments, and copies the release's files.
_GH = """#!/bin/sh
echo "$@" > "$HOME/arguments"
while [ "$1" != --dir ]; do shift; done
cp "$HOME"/release/* "$2"
"""


@pytest.fixture
def release(tmp_path: Path, pyz: Path) -> tuple[Path, str]:
    """A release on GitHub: the folder of its files, and a PATH with a `gh` that downloads them."""
    folder, programs = tmp_path / "release", tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    programs.joinpath("gh").write_text(_GH)
    programs.joinpath("gh").chmod(0o755)
    shutil.copy(pyz, folder)
    digest = hashlib.sha256(pyz.read_bytes()).hexdigest()
    folder.joinpath("safe-image.pyz.sha256").write_text(f"{digest}  safe-image.pyz\n")
    return folder, f"{programs}:{os.environ['PATH']}"


@pytest.mark.parametrize("ref", ["v0", "main", "0123456789abcdef0123456789abcdef01234567"])
def test_the_file_of_the_actions_own_version_is_run_for_a_tag_a_branch_and_a_commit(
    run: Run, release: tuple[Path, str], tmp_path: Path, ref: str
) -> None:
    action = tmp_path / "_actions" / "team" / "action" / ref
    action.parent.mkdir(parents=True)
    action.symlink_to(_ROOT)
    reference, digest = _image(tmp_path / "good", GZIP)
    ran = run(image=reference, action=action, path=release[1])
    assert ran.code == 0, ran.log
    assert ran.outputs["digest"] == digest
    arguments = tmp_path.joinpath("arguments").read_text()
    assert arguments.startswith(f"release download v{__version__} --repo team/action ")


@pytest.mark.parametrize("spoil", ["changed", "without a checksum", "not there"])
def test_a_file_that_is_not_the_released_one_is_not_run(
    run: Run, release: tuple[Path, str], tmp_path: Path, spoil: str
) -> None:
    folder, path = release
    file, checksum = folder / "safe-image.pyz", folder / "safe-image.pyz.sha256"
    if spoil == "changed":
        file.write_text("print('owned')")
    elif spoil == "without a checksum":
        checksum.unlink()
    else:
        shutil.rmtree(folder)
    action = tmp_path / "_actions" / "team" / "action" / "v0"
    action.parent.mkdir(parents=True)
    action.symlink_to(_ROOT)
    ran = run(image="shop:1", action=action, path=path)
    assert ran.code == 2
    assert "owned" not in ran.log
    assert f"the safe-image.pyz of release v{__version__} of team/action cannot be downloaded" in ran.log


def test_no_input_is_part_of_the_script(run: Run, pyz: Path, tmp_path: Path) -> None:
    (step,) = _ACTION["runs"]["steps"]
    assert not _EXPRESSION.search(step["run"])
    ran = run(image='$(touch owned)";touch owned;`touch owned`', command=str(pyz), max_size="1;touch owned")
    assert ran.code == 2
    assert not list(tmp_path.rglob("owned"))


def test_nothing_of_the_workspace_is_imported(run: Run, pyz: Path, tmp_path: Path) -> None:
    reference, digest = _image(tmp_path / "good", GZIP)
    for name in ("json", "re", "os", "runpy", "argparse", "sitecustomize", "usercustomize", "safe_image", "urllib3"):
        (tmp_path / f"{name}.py").write_text("open('owned', 'w')\n")
    ran = run(image=reference, command=str(pyz), job={"PYTHONPATH": ".", "PYTHONSTARTUP": "json.py"})
    assert not (tmp_path / "owned").exists()
    assert (ran.code, ran.outputs["digest"]) == (0, digest), ran.log


def test_the_configuration_file_of_the_workspace_is_used_another_one_or_none(
    run: Run, pyz: Path, tmp_path: Path
) -> None:
    bad, _ = _image(tmp_path / "bad", media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    waiver = '[[acknowledge]]\nid = "layer-type-unsupported"\nreason = "known"\n'
    (tmp_path / "safe-image.toml").write_text(f'runs-on = "batch"\n{waiver}')
    (tmp_path / "other.toml").write_text('runs-on = "eks"\n')
    ran = run(image=bad, command=str(pyz))
    assert ran.code == 0, ran.log
    assert "::notice title=" in ran.log
    (image,) = json.loads(Path(ran.outputs["report"]).read_text())["images"]
    assert image["runs_on"] == ["batch"]
    (image,) = json.loads(Path(run(image=bad, command=str(pyz), config="other.toml").outputs["report"]).read_text())[
        "images"
    ]
    assert image["runs_on"] == ["eks"]
    assert run(image=bad, command=str(pyz), config="none").code == 1
    (tmp_path / "safe-image.toml").write_text(waiver + "expires = 2020-01-31\n")
    ran = run(image=bad, command=str(pyz))
    assert ran.code == 2
    assert "::error title=safe-image::" in ran.log
    assert "expired on 2020-01-31" in ran.log


def test_a_digest_that_is_not_one_adds_no_output(run: Run, pyz: Path, tmp_path: Path) -> None:
    reference, digest = _image(tmp_path / "image", GZIP)
    index = tmp_path / "image" / "index.json"
    index.write_text(index.read_text().replace(digest, f"{digest}\\nverdict=pass"))
    ran = run(image=reference, command=str(pyz))
    assert ran.outputs["verdict"] != "pass"
    assert ran.outputs.get("digest", "") == ""


def test_a_file_that_names_images_is_checked_with_its_values(run: Run, pyz: Path, tmp_path: Path) -> None:
    bad, _ = _image(tmp_path / "bad", media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    file = tmp_path / "template.yaml"
    task = "{Type: AWS::ECS::TaskDefinition, Properties: {ContainerDefinitions: [{Image: !Ref %s}]}}"
    names = ("Bad", "Open", "Other")
    parameters = "".join(f"  {name}: {{Type: String}}\n" for name in names)
    file.write_text(f"Parameters:\n{parameters}Resources:\n" + "".join(f"  T{n}: {task % n}\n" for n in names))
    values = f"Bad={bad}\nOther=shop:1"
    ran = run(image=f"cloudformation:{file}", command=str(pyz), set=values, skip="shop:*=not ours", unknown="warn")
    assert (ran.code, ran.outputs["verdict"]) == (0, "pass"), ran.log
    ran = run(image=f"cloudformation:{file}", command=str(pyz), set=values, runs_on="fargate", skip="shop:*=not ours")
    assert (ran.code, ran.outputs["verdict"]) == (2, "unknown")
    assert f"::error file={file},line=6,title=" in ran.log
    assert "⏭️ skipped" in ran.summary


def test_every_input_of_the_action_is_passed_to_its_script() -> None:
    (step,) = _ACTION["runs"]["steps"]
    passed = {match for text in step["env"].values() for match in _EXPRESSION.findall(text)}
    assert passed >= {f"inputs.{name}" for name in _ACTION["inputs"]}
