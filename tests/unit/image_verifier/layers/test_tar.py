"""The tars in the layers: what Go's reader accepts, and what the engines unpack."""

from __future__ import annotations

import io
import random
import struct
import tarfile

import pytest
from image_verifier.layers import tar, tar_headers
from image_verifier.layers.file_system import FileSystem
from image_verifier.layers.stream import Stream
from image_verifier.layers.unpacking import UnpackedLayer

from tests.unit.blobs import END, PROGRAM, file, folder, found, header, image, link, padded, pax, report

INVALID = "archive/tar: invalid tar header"
TOO_LONG = "archive/tar: header field too long"
EOF = "unexpected EOF"


def _names(content: bytes) -> list[bytes]:
    return [entry.name for entry in tar.entries(Stream([content]))]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(512),
        END,
        END + b"anything at all",
        PROGRAM,
        PROGRAM + bytes(512),
        PROGRAM + END,
        file("f", b"x")[:-100],
        header("f", checksum=b"%07o\0" % sum(header("f", checksum=b" " * 8))),
        header("f", uid=0o7777777),
        header("f", size=b"\x80" + bytes(11)),
        header("f", size=b"           \0"),
        header("f", size=b" 0 \0\0\0\0\0\0\0\0\0"),
        header("f", mtime=b"\xff" * 12),
        header("f", magic=b"\0" * 8),
        header("f", magic=b"ustar  \0", prefix=b"00000000000 "),
        header("f", b"5", size=99999),
        header("f", b"1", size=99999, link="f"),
        pax(path="g", mtime="1.5", size="3", uid="-1") + file("f", b"abc"),
        pax(comment="") + file("f"),
        pax(SCHILY__xattr__user__x=b"\0\xff") + file("f"),
        file("././@LongLink", b"g" * 300 + b"\0", kind=b"L") + file("f"),
        file("pax_global_header", b"14 comment=xy\n", kind=b"g") + file("f"),
        pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__name="s", GNU__sparse__realsize="1000")
        + header("f", size=1024)
        + padded(b"1\n0\n512\n")
        + bytes(512),
        pax(GNU__sparse__map="0,5", GNU__sparse__numblocks="1", GNU__sparse__size="20") + file("f", b"12345"),
        pax(GNU__sparse__major="7") + file("f"),
    ],
)
def test_a_tar_that_gos_reader_reads_is_read(content: bytes) -> None:
    _names(content)


def _mutated(chance: random.Random) -> bytes:
    """A header with some fields written in another way, or with a wrong byte, mostly with the right checksum."""
    number = chance.choice(
        [b"0000644\0", b"   644 \0", b"644\0\0\0\0\0", b"+000644\0", b"0_00644\0", b"\x80" + bytes(7)]
    )
    fields = {
        100: number,
        124: chance.choice(
            [b"00000000017\0", b"         17 ", b"17" + bytes(10), b"\x80" + bytes(11), b"0000000001x\0"]
        ),
        136: chance.choice([b"14712345671\0", b"\xff" * 12, bytes(12), b"1471234567 \0"]),
        0: chance.choice([b"usr/bin/x\0", b"n" * 100, "ä".encode() + b"\0", b"a\0b"]),
        156: chance.choice([b"0", b"2", b"3", b"5", b"\0", b"x"]),
        157: chance.choice([b"target\0", b"", b"l" * 100]),
        257: chance.choice([b"ustar\x0000", b"ustar  \0", b"ustar \0\0", bytes(8)]),
        329: chance.choice([b"0000000\x000000000\0", bytes(16), b"0000001\x000000000\0"]),
        345: chance.choice([b"", b"prefix", b"00000000000 "]),
        508: chance.choice([b"", b"tar\0"]),
    }
    block = bytearray(header("f", size=15))
    for at in chance.sample(sorted(fields), chance.randrange(4)):
        block[at : at + len(fields[at])] = fields[at]
    if chance.random() < 0.2:
        block[chance.randrange(512)] = chance.randrange(256)
    form = chance.choice([b"%06o\0 ", b"%07o\0", b"%6o \0", b"%06o \0"])
    total = sum(block[:148]) + sum(block[156:]) + 256 + (chance.random() < 0.1)
    struct.pack_into("8s", block, 148, form % total)
    return bytes(block)


def _outcome(block: bytes) -> object:
    try:
        return list(tar.entries(Stream([block, bytes(512), END])))
    except tar_headers.TarError as error:
        return str(error)


def test_a_usual_header_is_read_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [_mutated(random.Random(seed)) for seed in range(3000)]
    usual = tar_headers.UsualHeaders()
    assert 500 < sum(usual.entry(block) is not None for block in blocks) < 2500
    fast = [_outcome(block) for block in blocks]
    monkeypatch.setattr(tar_headers.UsualHeaders, "entry", lambda self, block: None)
    for block, outcome in zip(blocks, fast, strict=True):
        assert _outcome(block) == outcome, block


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x", EOF),
        (b"x" * 512, INVALID),
        (bytes(511), EOF),
        (bytes(512) + PROGRAM, INVALID),
        (bytes(512) + b"x", EOF),
        (file("f", b"x" * 600)[:-100], ""),
        (file("f", b"x" * 600)[:1000], EOF),
        (header("f", checksum=b"0000000\0"), INVALID),
        (header("f", size=b"0000000008\0\0"), INVALID),
        (header("f", size=b"+0000000000\0"), INVALID),
        (header("f", size=b"0_0000000000"), INVALID),
        (header("f", size=b"0o0000000000"), INVALID),
        (header("f", size=b"00 00000000\0"), INVALID),
        (header("f", size=b"\xff" * 12), INVALID),
        (header("f", size=b"\x80\x01" + bytes(10)), INVALID),
        (header("f", mtime=b"yesterday\0\0\0"), INVALID),
        (file("pax", b"nothing of the kind\n", kind=b"x"), INVALID),
        (file("pax", b"9 path=\0\n", kind=b"x") + file("f"), INVALID),
        (file("pax", b"8 path=x", kind=b"x") + file("f"), INVALID),
        (pax(size="many") + file("f"), INVALID),
        (pax(size="-1") + file("f"), INVALID),
        (pax(mtime="1.x") + file("f"), INVALID),
        (header("pax", b"x", size=(1 << 20) + 1) + bytes(2 << 20), TOO_LONG),
        (header("././@LongLink", b"L", size=1 << 40), EOF),
        (pax(GNU__sparse__major="1", GNU__sparse__minor="0") + file("f", b"x"), EOF),
        (
            pax(GNU__sparse__map="0,6", GNU__sparse__numblocks="1", GNU__sparse__size="20") + file("f", b"12345"),
            "archive/tar: sparse file references non-existent data",
        ),
        (
            pax(GNU__sparse__map="0,4", GNU__sparse__numblocks="1", GNU__sparse__size="20") + file("f", b"12345"),
            "archive/tar: sparse file contains unreferenced data",
        ),
        (
            pax(GNU__sparse__map="0,5", GNU__sparse__numblocks="1", GNU__sparse__size="2") + file("f", b"12345"),
            INVALID,
        ),
    ],
)
def test_a_tar_that_gos_reader_refuses_is_refused_with_its_message(content: bytes, words: str) -> None:
    if words:
        with pytest.raises(tar_headers.TarError, match=words):
            _names(content)
    else:
        _names(content)


@pytest.mark.parametrize("chunk", [1, 100, 512, 513, 1 << 20])
@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_of_pythons_own_is_read_as_python_reads_it(style: int, chunk: int) -> None:
    buffer = io.BytesIO()
    long_name = "long/" * 25 + "name" if style == tarfile.USTAR_FORMAT else "long/" * 60 + "name"
    with tarfile.open(fileobj=buffer, mode="w", format=style) as writer:
        for name, content in (("a", b""), ("b/ü", b"x" * 1000), (long_name, b"y" * 512), ("c", b"z" * 5000)):
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.mode = len(content), 1000, 0o640
            writer.addfile(info, io.BytesIO(content))
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "to/" * (30 if style == tarfile.USTAR_FORMAT else 90)
        writer.addfile(info)
    content = buffer.getvalue()
    stream = Stream(content[i : i + chunk] for i in range(0, len(content), chunk))
    ours = [(e.name.decode(), e.size, e.uid, e.mode, e.link.decode()) for e in tar.entries(stream)]
    with tarfile.open(fileobj=io.BytesIO(content)) as reader:
        theirs = [(m.name, m.size, m.uid, m.mode, m.linkname) for m in reader]
    assert ours == theirs


def test_a_name_is_joined_with_its_prefix() -> None:
    assert _names(header("name", prefix=b"some/folder")) == [b"some/folder/name"]


def _layer(*parts: bytes) -> UnpackedLayer:
    layer = UnpackedLayer()
    stream = Stream([b"".join(parts)])
    for entry in tar.entries(stream):
        layer.add(entry, stream)
    return layer


def _laid(*layers: bytes) -> FileSystem:
    files = FileSystem()
    for content in layers:
        files.lay_over(_layer(content).root, "sha256:0")
    return files


def _there(files: FileSystem, path: str) -> bool:
    return files.find(path.encode())[0] is not None


def test_the_engines_refuse_entries_that_they_cannot_create() -> None:
    cases = {
        file("f", kind=b"Z"): "unhandled tar header type 90",
        file("f", kind=b"7"): "unhandled tar header type 55",
        file("f", b"x", kind=b"S", magic=b"ustar  \0"): "archive/tar: sparse file contains unreferenced data",
        link("l", ""): "no such file or directory",
        file("n" * 90, kind=b"0") + pax(path="x" * 256) + file("f"): "file name too long",
        file("f") + file("f/below"): "not a directory",
        link("a", "b") + link("b", "a") + file("a/below"): "too many links",
        header("d", b"5") + header("h", b"1", link="d"): "operation not permitted",
        header("h", b"1", link="nowhere"): "no such file or directory",
        header("h", b"1", link="h"): "no such file or directory",
        pax(SCHILY__xattr__user__x="x" * 65537) + file("f"): "argument list too long",
        pax(SCHILY__xattr__security__capability="x") + file("f"): "invalid argument",
    }
    for content, words in cases.items():
        for runtime in ("fargate", "ecs-ec2"):
            errors = report(image(PROGRAM + content + END), runtime).errors
            assert len(errors) == 1, (content, errors)
            assert words in errors[0].runtime_error, (content, errors)


def test_the_engines_accept_entries_that_look_odd() -> None:
    contents = [
        file("/absolute/name"),
        file("a//b/./c/../d"),
        file("../"),
        folder("./"),
        file("f") + folder("f"),
        folder("d") + file("d/x") + file("d"),
        file("f") + file("f"),
        file(".wh.nothing"),
        folder("d") + file("d/.wh..wh..opq"),
        link("l", "nowhere/at/all") + file("l/below"),
        link("l", "/t/up/../down") + file("l/below"),
        link("loop", "loop"),
        header("device", b"3", device=(1, 3)) + header("fifo", b"6") + header("block", b"4", device=(8, 0)),
        header("h2", b"1", link="./program"),
        header("h2", b"1", link="/program"),
        link("s", "nowhere") + header("h2", b"1", link="s"),
        file("d", kind=b"\0") + file("folder/", kind=b"\0"),
        b"".join(file(f"{i}") for i in range(1000)),
    ]
    for content in contents:
        assert found(image(PROGRAM + content + END)) == [], content


def test_containerd_refuses_a_whiteout_of_nothing() -> None:
    (error,) = report(image(PROGRAM + file(".wh.") + END)).errors
    assert error.runtime_error.endswith("invalid whiteout name: .wh.: invalid archive: unknown")


@pytest.mark.parametrize("runtime", ["fargate", "ecs-ec2"])
def test_no_engine_sets_the_attributes_of_the_root_and_of_whiteouts(runtime: str) -> None:
    wrong = pax(SCHILY__xattr__security__capability="x")
    upper = wrong + folder("./") + wrong + file(".wh.nothing") + folder("d") + wrong + file("d/.wh..wh..opq")
    assert found(image(PROGRAM + END, upper + END), runtime) == []


def test_containerd_accepts_a_whiteout_of_the_same_layers_file_in_the_first_layer_alone() -> None:
    both = file("x") + file(".wh.x")
    assert found(image(PROGRAM + both + END)) == []
    assert found(image(PROGRAM + both + END), "ecs-ec2") == ["tar-invalid"]
    (error,) = report(image(PROGRAM + END, both + END)).errors
    assert 'failed to convert whiteout file ".wh.x": file exists' in error.runtime_error


def test_a_layer_does_not_see_the_layers_below_while_it_is_unpacked() -> None:
    assert found(image(PROGRAM + END, header("h", b"1", link="program") + END)) == ["hardlink-target-missing"]


def test_a_files_folder_replaces_a_link_of_a_lower_layer() -> None:
    files = _laid(
        folder("usr") + folder("usr/lib") + file("usr/lib/loader") + link("lib", "usr/lib"), file("lib/other")
    )
    assert _there(files, "/lib/other")
    assert not _there(files, "/lib/loader")
    assert _there(files, "/usr/lib/loader")


def test_whiteouts_hide_files_of_lower_layers() -> None:
    base = folder("d") + file("d/a") + file("d/b") + folder("d/e") + file("d/e/x") + file("f")
    assert not _there(_laid(base, file(".wh.f")), "/f")
    assert _there(_laid(base, file("d/.wh.a")), "/d/b")
    assert not _there(_laid(base, file("d/.wh.a")), "/d/a")
    opaque = _laid(base, folder("d") + file("d/.wh..wh..opq") + file("d/new"))
    assert not _there(opaque, "/d/a")
    assert not _there(opaque, "/d/e/x")
    assert _there(opaque, "/d/new")
    assert _there(_laid(base, file(".wh.d"), file("d/new")), "/d/new")
    assert not _there(_laid(base, file(".wh.d"), file("d/new")), "/d/a")
    assert not _there(_laid(base, header("f", b"3", device=(0, 0))), "/f")
    # A whiteout that a folder of the same layer replaces hides nothing: overlayfs merges the two folders.
    assert _there(_laid(base, file(".wh.d") + folder("d")), "/d/a")


def test_a_layer_that_an_image_has_twice_counts_twice() -> None:
    program, hidden = PROGRAM + END, file(".wh.program") + END
    assert found(image(program, hidden)) == ["entrypoint-missing"]
    assert found(image(program, hidden, program)) == []
    assert found(image(program, hidden, program, hidden)) == ["entrypoint-missing"]


def test_links_are_followed_as_the_kernel_does() -> None:
    files = _laid(
        folder("a") + folder("a/b") + file("a/b/f") + link("abs", "/a/b") + link("rel", "a/b") + link("a/up", "../rel")
        + link("far", "../../../../a") + link("loop", "loop")
    )  # fmt: skip
    for path in ("/abs/f", "/rel/f", "/a/up/f", "/far/b/f", "/a/../a/./b//f", "/abs/../b/f", "a/b/f"):
        assert _there(files, path), path
    assert not _there(files, "/abs/g")
    with pytest.raises(RecursionError):
        files.find(b"/loop/f")
    with pytest.raises(NotADirectoryError):
        files.find(b"/a/b/f/g")


def test_lambda_requires_a_folder_before_its_files() -> None:
    sound, orphan = PROGRAM + folder("d") + file("d/f") + END, PROGRAM + file("d/f") + END
    late = PROGRAM + file("d/f") + folder("d") + END
    assert found(image(sound), "lambda") == []
    for content in (orphan, late):
        (error,) = report(image(content), "lambda").errors
        assert error.id == "parent-folder-missing"
        assert error.runtime_error.endswith("Parent directory does not exist for file: d/f)")
        assert found(image(content)) == []
    assert found(image(sound, file("d/g") + END), "lambda") == []
