"""The private channel between the host process and its worker process: frames over a Unix socket.

A frame is two big-endian lengths, a JSON header and raw bytes. The bytes carry HTTP bodies, which need not be text.
In Azure this is a gRPC stream; nothing above this module depends on the difference.
"""

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any

_LENGTHS = struct.Struct(">II")


class Channel(asyncio.Protocol):
    """One end of the channel. Callbacks run in the event loop; `send` must be called there, too."""

    def __init__(self, on_frame: Callable[[dict[str, Any], bytes], None], on_close: Callable[[], None]) -> None:
        self._on_frame = on_frame
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _LENGTHS.size:
            header_length, body_length = _LENGTHS.unpack_from(buffer, start)
            body_start = start + _LENGTHS.size + header_length
            end = body_start + body_length
            if len(buffer) < end:
                break
            header = json.loads(buffer[start + _LENGTHS.size : body_start])
            body = bytes(buffer[body_start:end])
            start = end
            self._on_frame(header, body)
        del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_close()

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send one frame; silently nothing when the other end is gone (its end is reported by `on_close`)."""
        if self._transport is None:
            return
        encoded = json.dumps(header, separators=(",", ":")).encode()
        self._transport.write(_LENGTHS.pack(len(encoded), len(body)) + encoded + body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
