"""The layers' compressed streams: the bytes before, in and after them that each engine accepts."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import struct
import sys
import zlib
from types import ModuleType
from typing import Any

import pytest
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import sha256
from image_verifier.layers import decompression, decompressors

from tests.unit.blobs import END, PROGRAM, InMemory, file, found, image, report

zstd: Any = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
TAR = PROGRAM + file("data", b"0123456789" * 200) + END
# More bytes after the tar's end than an engine reads.
LONG = TAR + bytes(10_000)


def _image(blob: bytes, tar: bytes = TAR, **more: Any) -> InMemory:
    return InMemory([blob], [sha256(tar)], **more)


def _member(data: bytes, *, flags: int = 0, extra: bytes = b"", trailer: bytes | None = None) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = compressor.compress(data) + compressor.flush()
    sums = struct.pack("<II", zlib.crc32(data), len(data)) if trailer is None else trailer
    return b"\x1f\x8b\x08" + bytes((flags, 0, 0, 0, 0, 0, 3)) + extra + body + sums


def _frame(data: bytes, **options: Any) -> bytes:
    parameters = {zstd.CompressionParameter.checksum_flag: 1, **options.pop("options", {})}
    return bytes(zstd.ZstdCompressor(options=parameters).compress(data, zstd.ZstdCompressor.FLUSH_FRAME))


SKIPPABLE = b"\x5a\x2a\x4d\x18" + struct.pack("<I", 12) + b"skipped over"


@pytest.mark.parametrize("runtime", ["fargate", "ecs-ec2", "eks", "lambda"])
@pytest.mark.parametrize(
    "blob",
    [
        gzip.compress(TAR, mtime=0),
        _member(TAR[:700]) + _member(b"") + _member(TAR[700:]),
        b"".join(_member(TAR[i : i + 3]) for i in range(0, len(TAR), 3)),
        _member(TAR, flags=4 | 8 | 16, extra=b"\x04\0abcd" + b"name\0" + b"comment\0"),
        _member(TAR, flags=0xE0),
        TAR,
        _frame(TAR),
        _frame(TAR[:700]) + _frame(b"") + _frame(TAR[700:]),
        SKIPPABLE + _frame(TAR) + SKIPPABLE,
    ],
    ids=["gzip", "members", "many-members", "named", "reserved-flags", "plain", "zstd", "frames", "skippable"],
)
def test_a_stream_that_every_engine_decodes_passes(blob: bytes, runtime: str) -> None:
    assert found(_image(blob), runtime) == []


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (gzip.compress(LONG, mtime=0) + b"rubbish", "unexpected EOF"),
        (gzip.compress(LONG, mtime=0) + b"more rubbish than a header has", "gzip: invalid header"),
        (gzip.compress(LONG, mtime=0) + bytes(512), "gzip: invalid header"),
        (gzip.compress(LONG, mtime=0)[:-4], "unexpected EOF"),
        (gzip.compress(LONG, mtime=0)[:-8], "unexpected EOF"),
        (gzip.compress(LONG, mtime=0)[:-9], "unexpected EOF"),
        (_member(LONG, trailer=struct.pack("<II", zlib.crc32(LONG), 1)), "gzip: invalid checksum"),
        (_member(LONG, trailer=struct.pack("<II", 1, len(LONG))), "gzip: invalid checksum"),
        (_frame(LONG) + b"xy", "unexpected EOF"),
        (_frame(LONG) + b"rubbish", "invalid input: magic number mismatch"),
        (_frame(LONG) + SKIPPABLE[:-1], "unexpected EOF"),
        (_frame(LONG)[:-4] + b"abcd", "CRC check failed"),
    ],
)
def test_data_after_the_tar_matters_to_containerd_and_not_to_dockerd(blob: bytes, words: str) -> None:
    source = _image(blob, LONG)
    (error,) = report(source).errors
    assert error.id == ("layer-truncated" if words == "unexpected EOF" else "layer-corrupt")
    assert words in error.runtime_error
    assert "mount callback" not in error.runtime_error
    assert found(source, "ecs-ec2") == []


@pytest.mark.parametrize("runtime", ["fargate", "ecs-ec2"])
@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (gzip.compress(TAR, mtime=0)[:40], "unexpected EOF"),
        (gzip.compress(TAR, mtime=0)[:10], "unexpected EOF"),
        (gzip.compress(TAR, mtime=0)[:5], "unexpected EOF"),
        (b"\x1f\x8b", "unexpected EOF"),
        (_member(TAR, flags=2, extra=b"\0\0"), "gzip: invalid header"),
        (_member(TAR, flags=8, extra=b"x" * 600 + b"\0"), "gzip: invalid header"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x07rubbish", "flate: corrupt input before offset"),
        (_frame(TAR)[:30], "unexpected EOF"),
        (_frame(TAR)[:-1], "unexpected EOF"),
        (b"\x28\xb5\x2f\xfd", "unexpected EOF"),
        (b"\x28\xb5\x2f\xfd\x08\x00", "reserved bit set on frame header"),
        (b"\x28\xb5\x2f\xfd\x01\x00\x07", "unknown dictionary"),
        (b"\x28\xb5\x2f\xfd\x00\xf8", "window size exceeded"),
        (b"\x28\xb5\x2f\xfd\x00\x58\x07\x00\x00", "invalid input: reserved block type encountered"),
    ],
)
def test_a_stream_that_breaks_before_the_tar_ends_stops_every_engine(blob: bytes, words: str, runtime: str) -> None:
    errors = report(_image(blob), runtime).errors
    assert [error for error in errors if words in error.runtime_error]


def test_a_correct_header_checksum_is_accepted() -> None:
    header = b"\x1f\x8b\x08\x02\0\0\0\0\0\x03"
    checked = header + struct.pack("<H", zlib.crc32(header) & 0xFFFF) + _member(TAR)[10:]
    assert found(_image(checked)) == []


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress], ids=["bzip2", "xz"])
def test_only_dockerd_reads_bzip2_and_xz(compress: Any) -> None:
    source = _image(compress(TAR), types=[media_types.OCI_LAYER + "+gzip"])
    assert found(source, "ecs-ec2") == []
    assert found(source) == ["tar-invalid", "diff-id-wrong"]


def test_compressed_bytes_with_the_type_of_a_plain_tar_are_not_a_tar_to_containerd_alone() -> None:
    source = _image(gzip.compress(TAR, mtime=0), types=[media_types.OCI_LAYER])
    assert "tar-invalid" in found(source)
    assert found(source, "ecs-ec2") == []


def test_an_empty_blob_is_an_empty_layer_to_dockerd() -> None:
    source = InMemory([gzip.compress(TAR, mtime=0), b""], [sha256(TAR), sha256(b"")])
    assert found(source, "ecs-ec2") == []
    assert found(source) == ["layer-size-zero"]


def _breaking(data: bytes) -> bytes:
    """A member with an error after this data."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    good = compressor.compress(data) + compressor.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + good + b"\xff" * 20


def test_every_byte_before_an_error_is_returned_and_nothing_else() -> None:
    data = b"".join(b"%d" % i for i in range(400_000))
    given = bytearray()

    def read() -> None:
        for piece in decompression.unpacked(decompression.ByteStream([_breaking(data)]), "gzip", exact=True):
            given.extend(piece)

    with pytest.raises(decompression.Broken, match="flate: corrupt input before offset"):
        read()
    assert given == data


def test_an_error_after_the_tar_is_found_where_the_fast_decoder_does_not_report_its_place() -> None:
    tar = TAR + bytes(range(256)) * 40
    source = _image(_breaking(tar), tar)
    assert found(source) == ["layer-corrupt"]
    assert found(source, "ecs-ec2") == []


def test_the_size_of_chunks_makes_no_difference() -> None:
    blob = _member(LONG[:9000]) + _member(LONG[9000:])
    for size in (1, 7, 512, 1 << 20):
        source = _image(blob, LONG, served={sha256(blob): [blob[i : i + size] for i in range(0, len(blob), size)]})
        assert found(source) == []


def test_bytes_with_another_digest_are_the_only_finding_of_their_layer() -> None:
    source = image(TAR, served={})
    digest = sha256(source.layers[0])
    source.served = {digest: [b"something else"]}
    (error,) = report(source).errors
    assert error.id == "layer-digest-mismatch"
    assert error.runtime_error.endswith(
        f"unexpected commit digest {sha256(b'something else')}, expected {digest}: failed precondition"
    )
    (error,) = report(source, "ecs-ec2").errors
    assert error.runtime_error.endswith(f"filesystem layer verification failed for digest {digest}")


def test_a_layer_that_the_registry_does_not_serve_is_missing() -> None:
    source = image(TAR, TAR + bytes(512))
    source.served = {sha256(source.layers[1]): None}
    assert found(source) == ["layer-missing"]


def test_a_wrong_size_is_found_where_the_registry_reports_none() -> None:
    source = image(TAR)
    source = image(TAR, sizes={sha256(source.layers[0]): 5})
    assert found(source) == ["layer-size-mismatch"]
    assert found(source, "ecs-ec2") == []


def test_a_wrong_diff_id_is_reported_with_the_expected_one() -> None:
    expected = sha256(b"something else")
    source = InMemory([gzip.compress(TAR, mtime=0)], [expected])
    (error,) = report(source).errors
    assert error.id == "diff-id-wrong"
    assert (error.expected, error.found) == (expected, sha256(TAR))
    assert error.runtime_error.endswith(f'wrong diff id calculated on extraction "{expected}"')


def test_without_a_zstd_decoder_a_zstd_layer_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompressors, "_zstd", None)
    with pytest.raises(Fault, match="compressed with zstd"):
        report(_image(_frame(TAR)))


def test_the_standard_librarys_decoder_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompressors, "_deflate", zlib)
    monkeypatch.setattr(decompressors, "EXACT", True)
    monkeypatch.setattr(decompressors, "crc32", zlib.crc32)
    assert found(_image(_member(TAR[:700]) + _member(TAR[700:]))) == []
    assert found(_image(gzip.compress(LONG, mtime=0) + bytes(512), LONG)) == ["layer-corrupt"]


@pytest.mark.parametrize(("version", "trusted"), [("1.8.0", False), ("1.9.0", True), ("1.10.2", True), ("2.0.0", True)])
def test_an_isal_that_reports_healthy_streams_as_corrupt_is_not_used(
    monkeypatch: pytest.MonkeyPatch, version: str, trusted: bool
) -> None:
    fast = ModuleType("isal.isal_zlib")
    isal = ModuleType("isal")
    isal.__dict__["__version__"] = version
    monkeypatch.setitem(sys.modules, "isal", isal)
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", fast)
    assert (decompressors._fast_deflate() is fast) == trusted
