"""Docker 25.0 of the ECS-optimized AMIs unpacks a layer in its own way: its errors, as 25.0.16 reported them.

Measured on 2026-11-28 with 25.0.16, built from source, and its classic image store.
"""

from __future__ import annotations

import pytest
from image_verifier.report import Severity

from tests.unit.blobs import END, PROGRAM, file, folder, found, header, image, link, pax, report

_IN_FOLDER = folder("d/")


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        (file("a") + file("a/b"), "open /a/b: not a directory"),
        (file("a") + file("a/b/c"), "open /a/b/c: not a directory"),
        (file("a") + folder("a/b/"), "mkdir /a/b: not a directory"),
        (file("a") + link("a/b", "x"), "symlink x /a/b: not a directory"),
        (file("a") + file("a/.wh.b"), 'failed to mknod("/a/b", S_IFCHR, 0): not a directory'),
        (file("a") + header("a/b", b"1", link="program"), "link /program /a/b: not a directory"),
        (_IN_FOLDER + file("d/x") + file("d/.wh.x"), 'failed to mknod("/d/x", S_IFCHR, 0): file exists'),
        (_IN_FOLDER + file("d/.wh."), 'failed to mknod("/d", S_IFCHR, 0): file exists'),
        (_IN_FOLDER + file("d/.wh.."), 'failed to mknod("/d", S_IFCHR, 0): file exists'),
        (_IN_FOLDER + file("d/.wh..."), 'failed to mknod("/", S_IFCHR, 0): file exists'),
        (_IN_FOLDER + link("d/l", ""), "symlink  /d/l: no such file or directory"),
        (_IN_FOLDER + header("h", b"1", link="d"), "link /d /h: operation not permitted"),
        (header("h", b"1", link="nowhere"), "link /nowhere /h: no such file or directory"),
        (header("h", b"1", link="../../c"), "link /c /h: no such file or directory"),
        (pax(SCHILY__xattr__bogus__y="v") + file("c"), "lsetxattr bogus.y /c: operation not supported"),
        (file("c") + file("c"), "duplicates of file paths not supported"),
        (header("c", b"Z"), "unhandled tar header type 90"),
    ],
)
def test_what_stops_docker_25_is_refused_for_ecs_on_ec2_in_its_words(entries: bytes, error: str) -> None:
    (finding,) = report(image(PROGRAM + entries + END), "ecs-ec2").errors
    assert finding.runtime_error == f"CannotPullContainerError: failed to register layer: {error}"


@pytest.mark.parametrize(
    "entries",
    [
        file("../../../escape"),
        link("l", "../../") + file("l/file"),
        file("c") + header("h", b"1", link="../../c"),
    ],
    ids=["a name", "a folder behind a link", "the target of a hard link"],
)
def test_what_leads_out_of_a_layer_passes_for_docker_25_and_is_a_warning_for_newer_ones(entries: bytes) -> None:
    source = image(PROGRAM + entries + END)
    for runtime in ("ecs-ec2", "batch", "fargate"):
        assert report(source, runtime).findings == (), runtime
    (warning,) = report(source, "ecs-anywhere").findings
    assert warning.severity is Severity.WARNING
    assert "Affected are only hosts whose Docker is newer than 25.0" in warning.message
    assert found(source, "ecs-anywhere") == []
