"""Hostile layers meet limits: of bytes, of entries, of memory."""

from __future__ import annotations

import gzip
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from image_verifier.faults import Fault
from image_verifier.image.model import Descriptor, Platform, sha256
from image_verifier.layers import reader, tar, tar_headers
from image_verifier.layers.blob_reader import Limits
from image_verifier.layers.reader import read_layers
from image_verifier.layers.stream import Stream
from image_verifier.policy import Policy
from image_verifier.rules.engines import CONTAINERD_1_7, DOCKERD_28
from image_verifier.verify import load, verify

from tests.unit.blobs import END, PROGRAM, InMemory, file, found, header, image, link, pax, report

MEGA = 1 << 20


def _limited(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    monkeypatch.setattr(reader, "Limits", lambda: Limits(**limits))


def _bomb(size: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    blob = bytearray(compressor.compress(PROGRAM + header("zeros", size=size)))
    for _ in range(size // MEGA):
        blob += compressor.compress(bytes(MEGA))
    return bytes(blob + compressor.compress(END) + compressor.flush())


def test_reading_stops_when_a_layer_unpacks_to_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    _limited(monkeypatch, unpacked=30 * MEGA)
    blob = _bomb(40 * MEGA)
    (error,) = report(InMemory([blob], ["sha256:" + "0" * 64])).errors
    assert error.id == "layer-too-large"


def test_a_bomb_is_unpacked_in_small_pieces() -> None:
    source = InMemory([_bomb(300 * MEGA)], ["sha256:" + "0" * 64])
    tracemalloc.start()
    assert found(source) == ["diff-id-wrong"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * MEGA


def test_a_sparse_file_counts_with_the_size_that_it_unpacks_to(monkeypatch: pytest.MonkeyPatch) -> None:
    _limited(monkeypatch, unpacked=30 * MEGA)
    sparse = pax(GNU__sparse__map="0,1", GNU__sparse__numblocks="1", GNU__sparse__size=str(1 << 60)) + file("f", b"x")
    assert found(image(PROGRAM + sparse + END)) == ["layer-too-large"]


def test_reading_stops_when_a_layer_has_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    _limited(monkeypatch, entries=4096 * 2)
    assert found(image(PROGRAM + file("same") * 4096 * 3 + END)) == ["layer-too-large"]


def test_headers_without_an_entry_have_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    _limited(monkeypatch, unpacked=30 * MEGA)
    assert found(image(PROGRAM + pax(path="x") * 40_000 + END)) == ["layer-too-large"]


def test_more_names_than_fit_into_memory_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    _limited(monkeypatch, nodes=5000)
    many = b"".join(file(f"{i}") for i in range(20_000))
    with pytest.raises(Fault, match="more than 5000 files"):
        report(image(PROGRAM + many + END))


@pytest.mark.parametrize(
    "entry",
    [
        lambda i: pax(linkpath="x" * 4000) + link(f"{i}", ""),
        lambda i: file(f"{i}/etc/passwd", b"x" * 4000),
        lambda i: file(f"{i}", b"#!/" + b"x" * 200 + b"%d" % i + b"\n"),
    ],
    ids=["links", "accounts", "scripts"],
)
def test_data_that_is_kept_of_a_file_counts_as_names_of_that_length(
    monkeypatch: pytest.MonkeyPatch, entry: Callable[[int], bytes]
) -> None:
    _limited(monkeypatch, nodes=9000)
    with pytest.raises(Fault, match="more than 9000 files"):
        report(image(PROGRAM + b"".join(map(entry, range(5000))) + END))


def test_only_the_beginning_of_a_name_of_a_megabyte_is_shown() -> None:
    name = "x/../" * 150_000
    contents = (pax(path="../" + name) + file("f"), pax(linkpath=name + "y", path="f") + header("f", b"1"))
    for content in contents:
        for finding in report(image(PROGRAM + content + END), "ecs-ec2").findings:
            assert len(finding.message + finding.runtime_error) < 4000


def test_a_small_layer_that_is_repeated_very_often_costs_little() -> None:
    once = gzip.compress(PROGRAM + END)
    began = time.process_time()
    assert found(InMemory([once] * 10_000, [sha256(PROGRAM + END)] * 10_000)) == ["layers-not-mountable"]
    assert time.process_time() - began < 20


def test_a_large_layer_that_is_repeated_very_often_is_a_fault() -> None:
    once = gzip.compress(PROGRAM + b"".join(file(f"{i}") for i in range(5000)) + END)
    began = time.process_time()
    with pytest.raises(Fault, match="has layers several times, which makes more than 4000000 files of them"):
        found(InMemory([once] * 10_000, [sha256(gzip.decompress(once))] * 10_000))
    assert time.process_time() - began < 20


def test_layers_of_very_many_types_are_judged_fast() -> None:
    count = 20_000
    types = [f"application/vnd.oci.image.layer.v1.odd{i}" for i in range(count)]
    began = time.process_time()
    assert found(InMemory([b"x"] * count, [sha256(b"x")] * count, types=types)).count("layer-type-unsupported") == count
    assert time.process_time() - began < 10


def test_a_config_of_more_values_than_fit_into_memory_is_a_fault() -> None:
    source = image(PROGRAM + END, config={"Labels": {str(i): "" for i in range(300_000)}})
    with pytest.raises(Fault, match=r"The config sha256:[0-9a-f]+ has more than 250000 values"):
        found(source)


def test_reading_stops_when_a_blob_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    _limited(monkeypatch, unpacked=30 * MEGA)

    for start in (gzip.compress(PROGRAM + END), PROGRAM + END):
        blob = [start]

        def chunks(blob: list[bytes] = blob) -> Iterator[bytes]:
            yield from blob
            while True:
                yield bytes(MEGA)

        source = InMemory(blob, ["sha256:" + "0" * 64])
        source.served = {sha256(start): chunks()}
        assert "layer-too-large" in found(source)


def test_layers_that_are_not_read_in_time_are_a_fault() -> None:
    source = image(PROGRAM + END)
    policy = Policy(("fargate",), _platform(), verify_layers=True)
    with pytest.raises(Fault, match="could not all be read in the available time") as late:
        verify(source, policy, ends_at=time.monotonic() - 1)
    assert "longer timeout or more memory" in late.value.advice
    assert verify(source, policy, ends_at=time.monotonic() + 60).errors == ()


def test_the_paths_of_a_hostile_tar_cost_little() -> None:
    deep = pax(path="/".join(["d"] * 2000)) + file("f")
    links = link("l0", ".") + b"".join(link(f"l{i}", f"l{i - 1}/l{i - 1}") for i in range(1, 60)) + file("l59/f")
    long_path = pax(path="x" * 900_000) + file("f")
    folders = pax(path="/" * 900_000 + "x") + file("f")
    for content in (deep, links, long_path, folders):
        found(image(PROGRAM + content + END))


def test_the_content_of_special_headers_has_a_limit() -> None:
    content = header("././@LongLink", b"L", size=1 << 50) + bytes(3 * MEGA)
    with pytest.raises(tar_headers.TarError):
        list(tar.entries(Stream([content])))


def test_a_fault_of_one_layer_stops_the_others() -> None:
    stopped = threading.Event()
    bad, endless = gzip.compress(b"bad"), gzip.compress(b"endless")

    class Broken(InMemory):
        def open(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes] | None]:
            if descriptor.digest == sha256(bad):
                raise Fault("no network")
            return super().open(descriptor)

    def chunks() -> Iterator[bytes]:
        try:
            while True:
                yield b"\x1f\x8b\x08\0\0\0\0\0\0\x03" if not stopped.is_set() else b""
        finally:
            stopped.set()

    source = Broken([endless, bad], ["sha256:" + "0" * 64] * 2)
    source.served = {sha256(endless): chunks()}
    policy = Policy(("fargate",), load(source, Policy(("fargate",), _platform())).platform)
    with pytest.raises(Fault, match="no network"):
        read_layers(load(source, policy), source, [CONTAINERD_1_7])


def _platform() -> Platform:
    return Platform.parse("linux/amd64")


def test_each_layer_is_streamed_once_for_all_runtimes() -> None:
    source = image(PROGRAM + END, PROGRAM + bytes(512) + END)
    policy = Policy(("fargate", "ecs-ec2"), _platform(), verify_layers=True)
    contents = read_layers(load(source, policy), source, [CONTAINERD_1_7, DOCKERD_28])
    assert sorted(source.opened) == sorted({sha256(blob) for blob in source.layers})
    assert len(contents.file_systems) == 1


def test_a_download_that_never_ends_does_not_hold_the_layers_of_the_next_image() -> None:
    """The Lambda answers an event when its time is over, and the thread of its download stays."""
    over = threading.Event()

    class Trickling(InMemory):
        def chunks(self) -> Iterator[bytes]:
            over.wait()
            yield b""

        @contextmanager
        def open(self, descriptor: Descriptor) -> Iterator[Iterator[bytes] | None]:
            yield self.chunks()

    blob = gzip.compress(PROGRAM + END)
    policy = Policy(("fargate",), Platform.parse("linux/amd64"), verify_layers=True)
    try:
        with pytest.raises(Fault, match="could not all be read in the available time"):
            verify(Trickling([blob], [sha256(PROGRAM + END)]), policy, ends_at=time.monotonic() + 0.2)
        assert verify(InMemory([blob], [sha256(PROGRAM + END)]), policy).verdict == "pass"
    finally:
        over.set()


def test_layers_wait_for_those_of_another_image_no_longer_than_there_is_time() -> None:
    policy = Policy(("fargate",), Platform.parse("linux/amd64"), verify_layers=True)
    blob = gzip.compress(PROGRAM + END)
    with reader._ONE_AT_A_TIME, pytest.raises(Fault, match="could not all be read in the available time"):
        verify(InMemory([blob], [sha256(PROGRAM + END)]), policy, ends_at=time.monotonic() + 0.2)
