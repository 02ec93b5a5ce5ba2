"""For each finding an image that has it, made from a healthy one by one change."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from image_verifier.image import media_types
from image_verifier.image.model import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, Platform, sha256
from image_verifier.policy import Baseline, Policy
from image_verifier.report import Finding
from image_verifier.rules.names import Names
from image_verifier.rules.requirement_types import Requirement
from image_verifier.rules.runtimes import Runtime
from image_verifier.sources import Resolved
from image_verifier.verify import verify

from release.engines.drafts import (
    ABSENT,
    TYPES,
    Draft,
    DraftChild,
    DraftDocument,
    DraftLayer,
    StoredImage,
    entry,
    program,
    stored,
    tar_of,
)

_OTHER: Final = {"amd64": "arm64", "arm64": "amd64"}
REFERENCE: Final = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:v1"
NAMES: Final = Names(
    reference=REFERENCE,
    region="eu-central-1",
    registry_id="123456789012",
    repository="app",
    tag="v1",
    local_image="cdkasset-0123",
)


def healthy(runtime: Runtime, platform: str) -> Draft:
    """An image that this runtime runs on this platform."""
    architecture = Platform.parse(platform).architecture
    oci = media_types.OCI_MANIFEST not in runtime.refused_manifests
    lower = tar_of([entry("bin", type=tarfile.DIRTYPE), entry("bin/run", program(architecture))])
    upper = tar_of([entry("etc", type=tarfile.DIRTYPE), entry("etc/passwd", b"root:x:0:0::/:/bin/sh\n")])
    layers = [DraftLayer(tar, "gzip", TYPES[oci, "gzip"]) for tar in (lower, upper)]
    config = DraftDocument(overrides={"architecture": architecture})
    return Draft(layers, {"Entrypoint": ["/bin/run"]}, oci, config)


@dataclass(frozen=True)
class Example:
    """An image with one thing wrong in it.

    :param change: what is changed in a healthy one.
    :param policy: what is asked of it besides.
    :param serve: what is changed in what the registry holds.
    """

    change: Callable[[Draft], object] = lambda draft: None
    policy: Mapping[str, Any] = field(default_factory=dict)
    serve: Callable[[StoredImage], StoredImage] = lambda image: image

    def findings(self, runtime: Runtime, platform: str, *, layers: bool = True) -> tuple[Finding, ...]:
        """The findings for a runtime and one of its platforms."""
        draft = healthy(runtime, platform)
        self.change(draft)
        policy = Policy((runtime.name,), Platform.parse(platform), verify_layers=layers, **self.policy)
        image = self.serve(replace(stored(draft), reference=REFERENCE))
        return verify(image, policy).findings


class _Missing(StoredImage):
    def resolve(self) -> Resolved:
        """Nothing."""
        return Resolved(None)


class _Archived(StoredImage):
    def resolve(self) -> Resolved:
        """Nothing that can be had."""
        return Resolved(None, "ARCHIVED")


def _as(kind: type[StoredImage], image: StoredImage) -> StoredImage:
    return kind(image.top, image.documents, image.blobs, image.reference)


def _attestation(draft: Draft) -> None:
    draft.layers[:] = [DraftLayer(b'{"_type": "https://in-toto.io/Statement/v0.1"}', "none", media_types.IN_TOTO)]


def _in_index(draft: Draft, change: Callable[[Draft], object] = lambda draft: None) -> None:
    draft.index = DraftDocument()
    draft.own_platform = {"os": "linux", "architecture": draft.config.overrides["architecture"]}
    change(draft)


def _absent_sibling(draft: Draft) -> None:
    platform = {"os": "linux", "architecture": "s390x"}
    absent = {"mediaType": draft.manifest_type, "digest": sha256(b"absent"), "size": 6, "platform": platform}
    draft.children.append(DraftChild(absent))


def _variant(draft: Draft) -> None:
    content = json.dumps({"schemaVersion": 2, "mediaType": draft.manifest_type}).encode()
    architecture = draft.config.overrides["architecture"]
    platform = {"os": "linux", "architecture": architecture, "variant": "v3" if architecture == "amd64" else "v9"}
    descriptor = {"mediaType": draft.manifest_type, "digest": sha256(content), "size": len(content)}
    draft.children.append(DraftChild({**descriptor, "platform": {**platform, "os.features": ["x"]}}, document=content))


def _config(draft: Draft, **fields: Any) -> None:
    draft.config.overrides.update(fields)


def _run(draft: Draft, **fields: Any) -> None:
    draft.run.update(fields)


def _descriptor(draft: Draft, **fields: Any) -> None:
    draft.layers[1].descriptor.update(fields)


def _entries(draft: Draft, *entries: Any) -> None:
    draft.layers.append(DraftLayer(tar_of(entries), "gzip", TYPES[draft.oci, "gzip"]))


def _change(draft: Draft, name: str, content: bytes, **more: Any) -> None:
    _entries(draft, entry(name, content, **more))


def _platform_of_another(draft: Draft) -> None:
    _config(draft, architecture=_OTHER[draft.config.overrides["architecture"]])


def _program_of_another(draft: Draft) -> None:
    _change(draft, "bin/run", program(_OTHER[draft.config.overrides["architecture"]]))


def _shell_of_another(draft: Draft) -> None:
    _change(draft, "bin/sh", program(_OTHER[draft.config.overrides["architecture"]]))


def _set(**attributes: Any) -> Callable[[Draft], object]:
    def change(draft: Draft) -> None:
        for name, value in attributes.items():
            setattr(draft.layers[1], name, value)

    return change


def _document(which: str, **attributes: Any) -> Callable[[Draft], object]:
    def change(draft: Draft) -> None:
        for name, value in attributes.items():
            setattr(getattr(draft, which), name, value)

    return change


def _edited(edit: Callable[[bytes], bytes]) -> Callable[[Draft], object]:
    return lambda draft: draft.layers[1].edits.append(edit)


def _other_index_platform(draft: Draft) -> None:
    draft.own_platform = {"os": "linux", "architecture": "s390x"}


def _index_descriptor(**fields: Any) -> Callable[[Draft], object]:
    return lambda draft: _in_index(draft, lambda d: d.manifest.descriptor.update(fields))


def _more_layers(count: int, draft: Draft) -> None:
    draft.layers.extend(draft.layers[1:] * count)


def _secret_script(draft: Draft) -> None:
    _run(draft, Entrypoint=["/bin/script"], User="1000")
    _change(draft, "bin/script", b"#!/bin/run\n", mode=0o711)


def _secret_program(draft: Draft) -> None:
    _change(draft, "bin/server", b"#!/bin/run\n", mode=0o711)
    _run(draft, Entrypoint=["/bin/server"])


def _secret_working_dir(draft: Draft) -> None:
    _run(draft, WorkingDir="/srv")
    _entries(draft, entry("srv", type=tarfile.DIRTYPE, mode=0o700))


def _secret_code(draft: Draft) -> None:
    folders = (entry(name, type=tarfile.DIRTYPE) for name in ("var", "var/task"))
    _entries(draft, *folders, entry("var/task/app.py", b"1", mode=0))


def _link(draft: Draft, name: str, target: str) -> None:
    _entries(draft, entry(name, type=tarfile.SYMTYPE, linkname=target))


def _huge(draft: Draft) -> None:
    size = str(1 << 40)
    sparse = {"GNU.sparse.size": size, "GNU.sparse.numblocks": "1", "GNU.sparse.map": f"{size},0"}
    _change(draft, "huge", b"", pax_headers=sparse)


def _schema_1(draft: Draft) -> None:
    draft.served_type = media_types.DOCKER_MANIFEST_1_SIGNED
    draft.manifest.overrides["signatures"] = [{"protected": "eyJmb3JtYXRMZW5ndGgiOjEsImZvcm1hdFRhaWwiOiJmUSJ9"}]


def _doubtful_type(draft: Draft) -> None:
    draft.layers[1].compression, draft.layers[1].media_type = "zstd", media_types.DOCKER_LAYER_ZSTD


def _required(text: str) -> Mapping[str, Any]:
    return {"require": (Requirement.parse(text),)}


EXAMPLES: Final[Mapping[str, Example]] = {
    "image-missing": Example(serve=partial(_as, _Missing)),
    "image-archived": Example(serve=partial(_as, _Archived)),
    "manifest-missing": Example(lambda draft: _in_index(draft, _document("manifest", absent=True))),
    "manifest-unreadable": Example(_document("manifest", edits=[lambda content: content[:-1]])),
    "manifest-digest-mismatch": Example(_document("manifest", served=lambda content: content + b" ")),
    "manifest-size-mismatch": Example(_index_descriptor(size=1)),
    "index-descriptor-type": Example(_index_descriptor(mediaType="application/json")),
    "manifest-too-large": Example(_document("manifest", edits=[lambda content: content + b" " * MAX_MANIFEST_BYTES])),
    "manifest-type-mismatch": Example(_document("manifest", overrides={"mediaType": media_types.OCI_INDEX.upper()})),
    "platform-missing": Example(lambda draft: _in_index(draft, _other_index_platform)),
    "index-incomplete": Example(lambda draft: _in_index(draft, _absent_sibling)),
    "manifest-foreign": Example(_index_descriptor(urls=["https://example.com/manifest"])),
    "manifest-type-refused": Example(lambda draft: setattr(draft, "oci", True)),
    "platform-variants": Example(lambda draft: _in_index(draft, _variant)),
    "index-not-taken": Example(_in_index),
    "schema-1": Example(_schema_1),
    "not-an-image": Example(_attestation),
    "config-descriptor-invalid": Example(_document("config", descriptor={"digest": "", "size": 0})),
    "config-missing": Example(_document("config", absent=True)),
    "config-too-large": Example(_document("config", edits=[lambda content: content + b" " * MAX_CONFIG_BYTES])),
    "config-digest-mismatch": Example(_document("config", served=lambda content: content + b" ")),
    "config-size-mismatch": Example(_document("config", descriptor={"size": 1})),
    "config-foreign": Example(_document("config", descriptor={"urls": ["https://example.com/config"]})),
    "config-unreadable": Example(partial(_config, created="yesterday")),
    "rootfs-missing": Example(partial(_config, rootfs=ABSENT)),
    "rootfs-type-unknown": Example(
        lambda draft: _config(draft, rootfs={"type": "odd", "diff_ids": [sha256(layer.tar) for layer in draft.layers]})
    ),
    "platform-doubtful": Example(),
    "platform-mismatch": Example(_platform_of_another),
    "platform-unknown": Example(partial(_config, architecture=ABSENT)),
    "history-too-long": Example(partial(_config, history=[{"created_by": "RUN true"}] * 9)),
    "descriptor-for-another-platform": Example(
        partial(_descriptor, platform={"os": "windows", "architecture": "amd64"})
    ),
    "no-command": Example(partial(_run, Entrypoint=[])),
    "env-invalid": Example(partial(_run, Env=["=value"])),
    "argument-invalid": Example(partial(_run, Cmd=["a\0b"])),
    "working-dir-relative": Example(partial(_run, WorkingDir="app")),
    "no-layers": Example(lambda draft: draft.layers.clear()),
    "layer-type-unsupported": Example(_set(media_type="application/vnd.example.layer")),
    "layer-type-doubtful": Example(_doubtful_type),
    "diff-ids-count": Example(lambda draft: setattr(draft, "diff_ids", lambda diff_ids: diff_ids[:1])),
    "diff-id-wrong": Example(_set(diff_id=sha256(b"another"))),
    "layer-descriptor-invalid": Example(partial(_descriptor, digest="sha256:1")),
    "layer-missing": Example(_set(absent=True)),
    "layer-size-zero": Example(partial(_descriptor, size=0)),
    "layer-size-mismatch": Example(partial(_descriptor, size=100)),
    "layer-foreign": Example(partial(_descriptor, urls=["https://example.com/layer"])),
    "too-many-layers": Example(partial(_more_layers, 130)),
    "layers-not-mountable": Example(partial(_more_layers, 500)),
    "layer-digest-mismatch": Example(_set(served=lambda content: content[:-1] + b"?")),
    "layer-truncated": Example(_edited(lambda content: content[: len(content) // 2])),
    "layer-corrupt": Example(_edited(lambda content: content[:10] + b"\xff" * 20)),
    "layer-too-large": Example(_huge),
    "tar-invalid": Example(lambda draft: _set(tar=b"no tar" * 200)(draft)),
    "path-duplicated": Example(lambda draft: _entries(draft, entry("a", b"1"), entry("a", b"2"))),
    "xattr-invalid": Example(
        lambda draft: _change(draft, "a", b"", pax_headers={"SCHILY.xattr.security.capability": "none"})
    ),
    "hardlink-target-missing": Example(
        lambda draft: _change(draft, "a", b"", type=tarfile.LNKTYPE, linkname="nowhere")
    ),
    "parent-folder-missing": Example(lambda draft: _change(draft, "folder/file", b"x")),
    "entrypoint-missing": Example(partial(_run, Entrypoint=["/nowhere"])),
    "entrypoint-not-executable": Example(lambda draft: _change(draft, "bin/run", b"#!/bin/sh\n", mode=0o644)),
    "entrypoint-unreadable": Example(_secret_script),
    "entrypoint-closed": Example(_secret_program),
    "entrypoint-format-invalid": Example(lambda draft: _change(draft, "bin/run", b"echo hello\n")),
    "entrypoint-wrong-machine": Example(_program_of_another),
    "programs-wrong-machine": Example(_shell_of_another),
    "interpreter-missing": Example(lambda draft: _change(draft, "bin/run", b"#!/bin/bash\n")),
    "user-missing": Example(partial(_run, User="app")),
    "passwd-link-absolute": Example(lambda draft: _link(draft, "etc/passwd", "/nix/store/passwd")),
    "etc-is-link": Example(lambda draft: _link(draft, "etc", "nix/etc")),
    "working-dir-invalid": Example(partial(_run, WorkingDir="/bin/run")),
    "working-dir-closed": Example(_secret_working_dir),
    "code-unreadable": Example(_secret_code),
    "mount-point-invalid": Example(lambda draft: _entries(draft, entry("etc/hosts", type=tarfile.DIRTYPE))),
    "image-too-small": Example(policy={"min_size": 1024**2}),
    "image-too-large": Example(policy={"max_size": 1}),
    "image-grew": Example(policy={"baseline": Baseline("shop:1", 1, 2)}),
    "image-too-large-for-runtime": Example(partial(_descriptor, size=11 * 1024**3)),
    "image-needs-storage": Example(partial(_descriptor, size=11 * 1024**3)),
    "user-is-root": Example(policy=_required("non-root-user")),
    "base-is-latest": Example(
        partial(_run, Labels={"org.opencontainers.image.base.name": "docker.io/library/python:latest"}),
        policy=_required("no-latest-base"),
    ),
    "base-not-said": Example(policy=_required("no-latest-base")),
    "label-missing": Example(policy=_required("label:org.opencontainers.image.source")),
    "layers-above-maximum": Example(policy=_required("max-layers:1")),
}
