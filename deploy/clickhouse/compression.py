"""HTTP content encodings that ClickHouse clients use, chunk by chunk. Pure."""

import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame
from backports import zstd

from deploy.clickhouse.errors import ClickHouseError, refusal

ENCODINGS = ("lz4", "zstd", "gzip", "deflate")
"""In order of preference for answers."""


class _Decompressor(Protocol):
    def decompress(self, data: bytes) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...


class _Compressor(Protocol):
    def compress(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "gzip": lambda: zlib.decompressobj(31),
    "deflate": lambda: zlib.decompressobj(15),
}


class Decoder:
    """Decoder of a Content-Encoding. Clients send one frame per block, so frames may follow each other.

    Raises ClickHouseError for an unknown encoding and for bytes that are not of it.
    """

    def __init__(self, encoding: str) -> None:
        self._make: Callable[[], _Decompressor] | None = None
        self._current: _Decompressor | None = None
        self._encoding = encoding.strip().lower()
        if self._encoding in ("", "identity"):
            return
        if self._encoding not in _DECOMPRESSORS:
            raise refusal(48, "NOT_IMPLEMENTED", f"Unknown compression method: {encoding[:40]}")
        self._make = _DECOMPRESSORS[self._encoding]

    def feed(self, data: bytes) -> bytes:
        if self._make is None:
            return data
        parts: list[bytes] = []
        try:
            while data:
                if self._current is None:
                    self._current = self._make()
                parts.append(self._current.decompress(data))
                data = b""
                if self._current.eof:
                    data = self._current.unused_data or b""
                    self._current = None
        except (RuntimeError, zlib.error, zstd.ZstdError, EOFError) as error:
            raise self._broken(str(error)) from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self) -> None:
        """End the body. Raises ClickHouseError if it ends inside a frame."""
        if self._current is not None:
            raise self._broken("the body ends inside a frame")

    def _broken(self, why: str) -> ClickHouseError:
        return refusal(271, "CANNOT_DECOMPRESS", f"Cannot decompress the {self._encoding} body: {why}")


class _Lz4:
    """LZ4 frame compressor that writes the frame's header by itself."""

    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._header: bytes = self._frame.begin()

    def compress(self, data: bytes) -> bytes:
        header, self._header = self._header, b""
        compressed: bytes = self._frame.compress(data)
        return header + compressed

    def flush(self) -> bytes:
        header, self._header = self._header, b""
        rest: bytes = self._frame.flush()
        return header + rest


_COMPRESSORS: dict[str, Callable[[], _Compressor]] = {
    "lz4": _Lz4,
    "zstd": lambda: zstd.ZstdCompressor(level=1),
    "gzip": lambda: zlib.compressobj(1, zlib.DEFLATED, 31),
    "deflate": lambda: zlib.compressobj(1, zlib.DEFLATED, 15),
}


def encoder(encoding: str) -> _Compressor:
    """Return a compressor for one of ENCODINGS: ``compress`` every chunk, then ``flush``."""
    return _COMPRESSORS[encoding]()


def accepted(header: str) -> str | None:
    """Choose the encoding of the answer from an Accept-Encoding header; None for no encoding."""
    names = {part.split(";")[0].strip().lower() for part in header.split(",")}
    return next((name for name in ENCODINGS if name in names), None)
