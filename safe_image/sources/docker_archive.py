"""An image that `docker save` has written, as `docker push` would push it after `docker load`.

The content of such an archive depends on the image store that wrote it, and a push on the image store that loads it.
https://github.com/moby/docker-image-spec/blob/main/spec.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.go_json import STRING, GoJsonError, ListOf, Struct, decode_list
from image_verifier.image.model import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, Platform

from .compressed_files import MAGIC_BYTES, file_compression
from .docker_index import pushed_image
from .docker_push import ArchiveFiles, ImageStore, Push, classic_push, containerd_push
from .oci_layout import EmptyLayout, OciLayout, full_name
from .tar_index import SAVE_AGAIN

# https://github.com/moby/moby/blob/master/daemon/internal/image/tarexport/tarexport.go, manifestItem
_ENTRY: Final = Struct(
    "tarexport.manifestItem", {"Config": STRING, "RepoTags": ListOf(STRING), "Layers": ListOf(STRING)}
)
_MAX_MANIFEST_JSON_BYTES: Final = 4 * MAX_MANIFEST_BYTES
# Engines accept 125 layers, or as many as a manifest of 4 MiB lists.
_MAX_LAYERS: Final = 30_000


def docker_archive(files: ArchiveFiles, name: str, platform: Platform, digest: str = "") -> tuple[Push, ...]:
    """The images that Docker pushes of an archive: first as the store that wrote it pushes, then as the other does.

    :param files: the archive.
    :param name: the image's name; empty where the archive holds one image.
    :param platform: the platform of the machine that pushes, which chooses one image of an incomplete index.
    :param digest: the digest of the image's index or manifest, in place of a name; only containerd's image store writes
        archives with digests.
    :raises Fault: if `docker save` has not written it, or it does not hold exactly one image of that name.
    """
    if digest:
        return (Push(ImageStore.CONTAINERD, lambda: OciLayout(files, digest=digest)),)
    entries = _entries(files)
    entry = _entry_named(files, entries, name)
    layout = _layout(files, entries, [name] if name else entry["RepoTags"], platform)
    reference, layers = next(iter(entry["RepoTags"]), str(files)), entry["Layers"]
    pushes = [Push(ImageStore.CLASSIC, lambda: classic_push(files, reference, _config(files, entry), layers))]
    if layout:
        pushes.append(Push(ImageStore.CONTAINERD, lambda: layout))
    elif not _is_layout(files):
        pushes.append(
            Push(ImageStore.CONTAINERD, lambda: containerd_push(files, reference, _config(files, entry), layers))
        )
    is_classic = layout is None or _is_of_the_classic_store(files, layout, layers)
    return tuple(pushes if is_classic else reversed(pushes))


def _layout(
    files: ArchiveFiles, entries: Sequence[Mapping[str, Any]], names: Sequence[str], platform: Platform
) -> OciLayout | None:
    """The image that containerd's image store pushes of an OCI layout; None for an empty one, or none."""
    if not _is_layout(files):
        return None
    several = sum(len(entry["RepoTags"]) or 1 for entry in entries) > 1
    try:
        layout = OciLayout(files, [full_name(name) for name in names] if several else (), platform=platform)
    except EmptyLayout:
        # docker save of Docker 25.0.0 does so for an ID: https://github.com/moby/moby/issues/47207
        return None
    instead = pushed_image(layout, platform)
    return OciLayout(files, digest=instead.digest) if instead else layout


def _is_layout(files: ArchiveFiles) -> bool:
    """Whether containerd reads the archive as an OCI layout, and ignores its manifest.json."""
    return files.size("oci-layout") is not None and files.size("index.json") is not None


def _is_of_the_classic_store(files: ArchiveFiles, layout: OciLayout, layers: Sequence[str]) -> bool:
    """Since Docker 25 the classic store also writes a layout: with OCI media types, and uncompressed layers."""
    top = layout.resolve().document
    return bool(top and top.media_type == media_types.OCI_MANIFEST) and not any(
        _is_compressed(files, n) for n in layers
    )


def _is_compressed(files: ArchiveFiles, name: str) -> bool:
    file = files.open(name)
    if file is None:
        return False
    with file:
        return file_compression(file.read(MAGIC_BYTES)) is not None


def _config(files: ArchiveFiles, entry: Mapping[str, Any]) -> bytes:
    file = files.open(entry["Config"])
    if file is None:
        raise Fault(f"{files} lacks the config that its manifest.json references", SAVE_AGAIN)
    with file:
        return file.read(MAX_CONFIG_BYTES + 1)


def _entries(files: ArchiveFiles) -> Sequence[Mapping[str, Any]]:
    """The entries of `manifest.json`, one for each image, decoded as Docker does."""
    file = files.open("manifest.json")
    if file is None:
        raise _without_manifest_json(files)
    with file:
        content = file.read(_MAX_MANIFEST_JSON_BYTES)
    try:
        entries = decode_list(content, _ENTRY)
    except GoJsonError as e:
        raise Fault(f"{files} has a manifest.json that docker save has not written: {e}", SAVE_AGAIN) from e
    for entry in entries:
        if len(entry["Layers"]) > _MAX_LAYERS:
            count = len(entry["Layers"])
            raise Fault(f"{files} has a manifest.json with {count} layers, more than any image has", SAVE_AGAIN)
    return entries


def _without_manifest_json(files: ArchiveFiles) -> Fault:
    if files.size("index.json") is not None:
        why, advice = "was not written by docker save", f"{SAVE_AGAIN}; or use oci-archive: instead of docker-archive:"
    elif files.size("repositories") is not None:
        why, advice = "was written by Docker before 1.10", f"Docker 1.10 or later is required. {SAVE_AGAIN}"
    else:
        why, advice = "was not written by docker save", SAVE_AGAIN
    return Fault(f"{files} has no manifest.json and {why}", advice)


def _entry_named(files: ArchiveFiles, entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The entry of the image with a name."""
    named = {full_name(tag): entry for entry in entries for tag in entry["RepoTags"]}
    if not name and len(entries) == 1:
        return entries[0]
    if name and (entry := named.get(full_name(name))):
        return entry
    held = ", ".join(sorted(tag for entry in entries for tag in entry["RepoTags"]))
    raise Fault(
        f"{files} does not hold the image {name}" if name else f"{files} holds {len(entries)} images",
        f"Append a colon and one of these names to the path: {held}."
        if held
        else f"{SAVE_AGAIN}, with the image's name",
    )
