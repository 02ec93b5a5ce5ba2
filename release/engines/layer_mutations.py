"""Mutations of layers: their descriptors, their bytes, and the entries of their tars."""

from __future__ import annotations

import io
import json
import random
import tarfile
from typing import Final

from image_verifier.image import media_types
from image_verifier.image.model import sha256

from release.engines.drafts import ABSENT, TYPES, Draft, Edit, entry, gzipped, tar_of, zstd
from release.engines.mutation_kinds import BYTES, FACTS, VALUES, flipped, kind_of

_OCI = media_types.OCI_LAYER
_LAYER_TYPES: Final = (
    _OCI,
    _OCI + "+gzip",
    _OCI + "+zstd",
    _OCI + "+bzip2",
    _OCI + "+gzip+encrypted",
    _OCI + "+foo+gzip",
    _OCI + ".gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.v2.tar+gzip",
    "application/vnd.oci.image.layer.v1.squashfs",
    media_types.DOCKER_LAYER,
    media_types.DOCKER_LAYER_GZIP,
    media_types.DOCKER_LAYER_ZSTD,
    media_types.DOCKER_LAYER + "+gzip",
    media_types.DOCKER_LAYER_GZIP + "+foo",
    media_types.DOCKER_FOREIGN_LAYER_GZIP,
    (_OCI + "+gzip").upper(),
    "application/vnd.docker.image.rootfs.diff.tar.bz2",
    media_types.IN_TOTO,
    "application/octet-stream",
    "application/json",
    "text/plain",
    "",
)


@kind_of(FACTS)
def layer_type(rng: random.Random, draft: Draft) -> None:
    rng.choice(draft.layers).media_type = rng.choice(_LAYER_TYPES)


@kind_of(FACTS)
def layer_types(rng: random.Random, draft: Draft) -> None:
    media_type = rng.choice(_LAYER_TYPES)
    for layer in draft.layers:
        layer.media_type = media_type


@kind_of(FACTS)
def layer_family(rng: random.Random, draft: Draft) -> None:
    """The layers of one family of types in the manifest of the other."""
    for layer in draft.layers:
        layer.media_type = TYPES.get((not draft.oci, layer.compression), media_types.DOCKER_LAYER_ZSTD)


@kind_of(FACTS)
def layer_compression(rng: random.Random, draft: Draft) -> None:
    """The layer's compression does not match its media type."""
    rng.choice(draft.layers).compression = rng.choice(("gzip", "zstd", "none"))


@kind_of(BYTES)
def layer_order(rng: random.Random, draft: Draft) -> None:
    seed = rng.random()
    draft.layer_order = lambda layers: random.Random(seed).sample(layers, len(layers))


@kind_of(FACTS)
def layer_order_with_diff_ids(rng: random.Random, draft: Draft) -> None:
    rng.shuffle(draft.layers)


@kind_of(FACTS)
def layer_count(rng: random.Random, draft: Draft) -> None:
    """The manifest has fewer or more layers than the config has diff IDs."""
    draft.layer_order = rng.choice(
        (
            lambda layers: layers[:-1],
            lambda layers: layers[1:],
            lambda layers: [*layers, layers[0]],
            lambda layers: [*layers, *layers],
            lambda layers: [],
        )
    )


@kind_of(FACTS)
def layer_count_with_diff_ids(rng: random.Random, draft: Draft) -> None:
    many = rng.choice((1, 2, 3, 120, 124, 125, 126, 127))
    if rng.random() < 0.5:
        draft.layers.extend(draft.layers[0] for _ in range(many - len(draft.layers)))
    else:
        draft.layers[:] = draft.layers[: rng.choice((0, 1, 1, 2))]


@kind_of(FACTS)
def layer_size(rng: random.Random, draft: Draft) -> None:
    layer = rng.choice(draft.layers)
    size = len(layer.content())
    layer.descriptor["size"] = rng.choice(
        (0, -1, 1, size - 1, size + 1, size * 2, 10**12, 1.5, str(size), None, ABSENT)
    )


@kind_of(FACTS)
def layer_digest(rng: random.Random, draft: Draft) -> None:
    layer = rng.choice(draft.layers)
    right = sha256(layer.content())
    layer.descriptor["digest"] = rng.choice(
        (
            "sha256:" + "0" * 64,
            right.upper(),
            right.replace("sha256:", ""),
            right[:-1],
            right.replace("sha256", "sha512"),
            "md5:" + "0" * 32,
            "",
            ABSENT,
            7,
        )
    )


@kind_of(FACTS)
def layer_descriptor(rng: random.Random, draft: Draft) -> None:
    """Harmless fields of a descriptor, with values of any type."""
    key = rng.choice(("annotations", "urls", "platform", "data", "artifactType", "Size", "more"))
    rng.choice(draft.layers).descriptor[key] = rng.choice(VALUES)


@kind_of(FACTS)
def layer_urls(rng: random.Random, draft: Draft) -> None:
    urls = rng.choice(([], ["ftp://127.0.0.1/x"], ["not a url"], ["file:///etc/passwd"], None))
    rng.choice(draft.layers).descriptor["urls"] = urls


@kind_of(FACTS)
def layer_absent(rng: random.Random, draft: Draft) -> None:
    rng.choice(draft.layers).absent = True


@kind_of(BYTES)
def layer_bytes(rng: random.Random, draft: Draft) -> None:
    """The registry serves bytes that do not match the digest."""
    at = rng.random()
    rng.choice(draft.layers).served = lambda content: flipped(content, at)


@kind_of(BYTES)
def layer_content(rng: random.Random, draft: Draft) -> None:
    """The compressed bytes are damaged, and the digest matches the damaged bytes."""
    at, bits = rng.random(), rng.randbytes(rng.randint(1, 20))
    rng.choice(draft.layers).edits.append(
        rng.choice(
            (
                lambda content: content[: int(len(content) * at)],
                lambda content: content[:-1],
                lambda content: content[:-4],
                lambda content: content[:-8],
                lambda content: content[:3],
                lambda content: content + bits,
                lambda content: content + b"\0" * len(bits),
                lambda content: content + gzipped(b""),
                lambda content: content + content,
                lambda content: content + zstd(b""),
                lambda content: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + content,
                lambda content: content[:-8] + bits[:1] * 4 + content[-4:],
                lambda content: content[:-4] + bits[:1] * 4,
                lambda content: flipped(content, at),
                lambda content: b"",
            )
        )
    )


def _tar_edits(rng: random.Random) -> Edit:
    bits = rng.randbytes(4)
    unknown = bytes([rng.choice(b"8ZXS9ABaDMNV")])

    def header(at: int, new: bytes, *, checksum: bool = True) -> Edit:
        def edit(tar: bytes) -> bytes:
            block = bytearray(tar[:512])
            block[at : at + len(new)] = new
            if checksum:
                block[148:156] = b" " * 8
                block[148:156] = b"%06o\0 " % sum(block)
            return bytes(block) + tar[512:]

        return edit

    return rng.choice(
        (
            header(148, b"0000000\0", checksum=False),
            header(156, unknown),
            header(124, b"zzzz"),
            header(124, b"77777777777\0"),
            header(108, b"\x80\0\0\0\xff\xff\xff\xff"),
            header(136, b"\xff" * 12),
            header(0, b"\0"),
            header(0, b"a\0"),
            header(257, b"ustar  \0"),
            header(257, b"\0\0\0\0\0\0\0\0"),
            header(345, b"prefix/"),
            lambda tar: tar[:700],
            lambda tar: tar[:512],
            lambda tar: tar[:500],
            lambda tar: tar.rstrip(b"\0"),
            lambda tar: tar.rstrip(b"\0") + b"\0" * 512,
            lambda tar: tar + bits,
            lambda tar: tar + bits * 300,
            lambda tar: b"",
            lambda tar: b"\0" * 512,
            lambda tar: b"\0" * 1024 + bits,
            lambda tar: json.dumps({"x": bits.hex() * 200}).encode(),
            lambda tar: bits * 256,
        )
    )


@kind_of(BYTES)
def layer_tar(rng: random.Random, draft: Draft) -> None:
    """The tar is damaged, and digest and diff ID match the damaged tar."""
    layer = rng.choice(draft.layers)
    layer.tar = _tar_edits(rng)(layer.tar)


@kind_of(BYTES)
def layer_entries(rng: random.Random, draft: Draft) -> None:
    """The tar has more entries; some make every engine fail."""
    layer = rng.choice(draft.layers)
    link, hard, folder = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
    more = rng.choice(
        (
            [entry("h", type=hard, linkname="nowhere")],
            [entry("h", type=hard, linkname="bin/run")],
            [entry("h", type=hard, linkname="/bin/run")],
            [entry("h", type=hard, linkname="../bin/run")],
            [entry("h", type=hard, linkname="../../../../nowhere")],
            [entry("s", type=link, linkname="nowhere")],
            [entry("s", type=link, linkname="/etc"), entry("s/through", b"x")],
            [entry("s", type=link, linkname="../../../out"), entry("s/through", b"x")],
            [entry("s", type=link, linkname="../../../out")],
            [entry("../out", b"x")],
            [entry("../../out", b"x")],
            [entry("a/../../out", b"x")],
            [entry("/absolute", b"x")],
            [entry("./dot", b"x")],
            [entry(".", type=folder)],
            [entry("..", type=folder)],
            [entry("/", type=folder)],
            [entry("bin", b"a file over a folder")],
            [entry("bin/run", type=folder)],
            [entry("bin/run/below", b"a file below a file")],
            [entry("bin/run", b"once more")],
            [entry("x" * 255, b"x")],
            [entry("x" * 256, b"x")],
            [entry("/".join(["d" * 100] * 45), b"x")],
            [entry(".wh.nowhere", b"")],
            [entry("bin/.wh.run", b"")],
            [entry(".wh..wh..opq", b"")],
            [entry(".wh.", b"")],
            [entry(".wh..", b"")],
            [entry(".wh...", b"")],
            [entry("bin/.wh..wh.aufs", b"")],
            [entry("fifo", type=tarfile.FIFOTYPE)],
            [entry("char", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
            [entry("zero", type=tarfile.CHRTYPE, devmajor=0, devminor=0)],
            [entry("block", type=tarfile.BLKTYPE, devmajor=7, devminor=0)],
            [entry("cont", b"x", type=tarfile.CONTTYPE)],
            [entry("own", b"x", uid=10**9, gid=10**9)],
            [entry("own", b"x", uid=2**32, gid=0)],
            [entry("own", b"x", uid=2**31, gid=2**31)],
            [entry("mode", b"x", mode=0o7777)],
            [entry("old", b"x", mtime=-(10**9))],
            [entry("new", b"x", mtime=10**11)],
            [entry("pax", b"x", pax_headers={"SCHILY.xattr.user.a": "b"})],
            [entry("pax", b"x", pax_headers={"SCHILY.xattr.security.capability": "nonsense"})],
            [entry("pax", b"x", pax_headers={"SCHILY.xattr.trusted.a": "b"})],
            [entry("pax", b"x", pax_headers={"SCHILY.xattr.bad": "b"})],
            [entry("pax", b"x", pax_headers={"comment": "é"})],
            [entry("pax", b"x", pax_headers={"size": "-1"})],
            [entry("pax", b"x", pax_headers={"mtime": "abc"})],
            [entry("pax", b"x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})],
            [entry("naïve \udcff", b"x")],
            [entry("new\nline", b"x")],
            [entry("dir/", type=folder), entry("dir", type=link, linkname="bin")],
            [entry("dir", type=link, linkname="bin"), entry("dir", type=folder)],
            [entry("loop", type=link, linkname="loop"), entry("loop/x", b"x")],
        )
    )
    with tarfile.open(fileobj=io.BytesIO(layer.tar), errorlevel=0) as tar:
        try:
            kept = [(i, (tar.extractfile(i) or io.BytesIO()).read() if i.isreg() else b"") for i in tar.getmembers()]
        except (tarfile.TarError, KeyError):
            return
    layer.tar = tar_of([*kept, *more])
