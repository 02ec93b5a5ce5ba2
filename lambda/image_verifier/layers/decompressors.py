"""The fastest decoders that are installed, behind one name each.

The Lambda has the standard library alone, with zstd from Python 3.14. The command line's extra `[cli]` brings
`isal`, which inflates about twice as fast as zlib, and `backports.zstd`, the standard library's zstd for older
Pythons. Both have the standard library's own interface.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

from ..faults import Fault


class Inflater(Protocol):
    """What `zlib.decompressobj` makes."""

    eof: bool
    unused_data: bytes
    unconsumed_tail: bytes

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """What comes of this data, but no more than this."""

    def copy(self) -> Inflater:
        """The decoder in the state that it has now; of zlib's own alone."""


class ZstdDecoder(Protocol):
    """What `compression.zstd.ZstdDecompressor` makes."""

    def decompress(self, data: bytes, /) -> bytes:
        """What comes of this data."""


# Before 1.9 it calls a healthy stream corrupt that comes in small pieces.
_TRUSTED_ISAL: Final = (1, 9)


def _first(*names: str) -> Any:
    """The first of these modules that is installed; None where none is."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _fast_deflate() -> Any:
    """`isal` where it is installed and to be trusted, else zlib."""
    isal = _first("isal")
    if isal is None or tuple(map(int, isal.__version__.split(".")[:2])) < _TRUSTED_ISAL:
        return zlib
    return importlib.import_module("isal.isal_zlib")


_deflate: Final = _fast_deflate()
_zstd: Final = _first("compression.zstd", "backports.zstd")

# Whether the fast decoder is also the exact one.
EXACT: Final = _deflate is zlib

DeflateError: Final[tuple[type[Exception], ...]] = (zlib.error, _deflate.error)
ZstdError: Final[type[Exception]] = _zstd.ZstdError if _zstd else ValueError
crc32: Final[Callable[[bytes, int], int]] = _deflate.crc32


def inflater(*, exact: bool) -> Inflater:
    """A decoder of one raw deflate stream.

    :param exact: whether it can be copied before each step, so that what comes before an error can be had; zlib
        alone can.
    """
    made: Inflater = (zlib if exact else _deflate).decompressobj(-zlib.MAX_WBITS)
    return made


def zstd_decoder() -> ZstdDecoder:
    """A decoder of one zstd frame.

    :raises Fault: if this Python has none.
    """
    if _zstd is None:
        raise Fault(
            "The image has a layer compressed with zstd, and this Python cannot read it",
            "Use Python 3.14 or later, or install the command line with its decoders: "
            "pip install 'cdk-safe-image[cli]'",
        )
    made: ZstdDecoder = _zstd.ZstdDecompressor()
    return made
