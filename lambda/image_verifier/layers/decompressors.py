"""The fastest installed decoders, each behind one name.

The Lambda only has the standard library, with zstd from Python 3.14. The command line also installs `isal`, which
inflates about twice as fast as zlib, where it has wheels, and `backports.zstd`, the standard library's zstd for older
Pythons. Both have the standard library's own interface.
"""

from __future__ import annotations

import hashlib
import importlib
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

from ..faults import Fault


class Inflater(Protocol):
    """The interface of `zlib.decompressobj`."""

    eof: bool
    unused_data: bytes
    unconsumed_tail: bytes

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes:
        """Decompress this data, up to this many bytes."""

    def copy(self) -> Inflater:
        """A copy of the decoder in its present state; only zlib's own has this method."""


class ZstdDecoder(Protocol):
    """The interface of `compression.zstd.ZstdDecompressor`."""

    def decompress(self, data: bytes, /) -> bytes:
        """Decompress this data."""


# Older versions report healthy streams as corrupt if they come in small pieces.
_TRUSTED_ISAL: Final = (1, 9)


def _first(*names: str) -> Any:
    """The first of these modules that is installed; None if there is none."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _fast_deflate() -> Any:
    """`isal` if a correct version is installed, else zlib."""
    isal = _first("isal")
    if isal is None or tuple(map(int, isal.__version__.split(".")[:2])) < _TRUSTED_ISAL:
        return zlib
    return importlib.import_module("isal.isal_zlib")


_deflate: Final = _fast_deflate()
_zstd: Final = _first("compression.zstd", "backports.zstd")

# Whether the fast decoder is also the exact one.
EXACT: Final = _deflate is zlib


def _crc32_of_isal(data: bytes, value: int) -> int:
    """isal's CRC-32, and then SHA-512 of nothing.

    isal leaves the upper halves of the vector registers in use, and SHA-256 of the same thread then takes a third
    longer: https://github.com/intel/isa-l/issues/24. SHA-512 of OpenSSL clears them, with the instruction vzeroupper.
    """
    value = _deflate.crc32(data, value)
    hashlib.sha512().digest()
    return value


DeflateError: Final[tuple[type[Exception], ...]] = (zlib.error, _deflate.error)
ZstdError: Final[type[Exception]] = _zstd.ZstdError if _zstd else ValueError
crc32: Final[Callable[[bytes, int], int]] = zlib.crc32 if EXACT else _crc32_of_isal


def inflater(*, exact: bool) -> Inflater:
    """A decoder of one raw deflate stream.

    :param exact: whether the decoder can be copied before each step, so that every byte before an error can be
        decompressed; only zlib can.
    """
    made: Inflater = (zlib if exact else _deflate).decompressobj(-zlib.MAX_WBITS)
    return made


def zstd_decoder() -> ZstdDecoder:
    """A decoder of one zstd frame.

    :raises Fault: if this Python does not have one.
    """
    if _zstd is None:
        raise Fault(
            "The image has a layer compressed with zstd, which this Python cannot decompress",
            "Use Python 3.14 or later, or install backports.zstd",
        )
    made: ZstdDecoder = _zstd.ZstdDecompressor()
    return made
