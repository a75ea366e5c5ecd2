"""Reading a stream of bytes forward, without ever holding more of it than asked for."""

from collections.abc import Iterable, Iterator

PIECE = 1 << 20


class EndOfStreamError(Exception):
    """The stream ended before what was asked for."""


class Reader:
    """A forward reader over chunks of bytes. `position` counts what was taken."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._start = 0
        self._kept: list[bytes] | None = None
        self.position = 0

    def take(self, count: int) -> bytes:
        """Exactly so many bytes; raises EndOfStreamError."""
        while len(self._buffer) - self._start < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise EndOfStreamError
            self._buffer = self._buffer[self._start :] + chunk if self._start < len(self._buffer) else chunk
            self._start = 0
        taken = self._buffer[self._start : self._start + count]
        self._start += count
        self.position += count
        if self._kept is not None:
            self._kept.append(taken)
        return taken

    def pieces(self, count: int) -> Iterator[bytes]:
        """So many bytes, at most a mebibyte at a time; raises EndOfStreamError."""
        while count > 0:
            size = min(count, PIECE)
            yield self.take(size)
            count -= size

    def peek(self, count: int) -> bytes:
        """The next bytes without taking them, fewer at the end of the stream."""
        while len(self._buffer) - self._start < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._buffer = self._buffer[self._start :] + chunk
            self._start = 0
        return self._buffer[self._start : self._start + count]

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return not self.peek(1)

    def rest(self) -> Iterator[bytes]:
        """What is left, as it comes."""
        left = self._buffer[self._start :]
        self._buffer, self._start = b"", 0
        if left:
            self.position += len(left)
            yield left
        for chunk in self._chunks:
            self.position += len(chunk)
            yield chunk

    def keep(self) -> None:
        """From here on, remember what is taken, until `kept`."""
        self._kept = []

    def kept(self) -> bytes:
        """What was taken since `keep`."""
        kept, self._kept = b"".join(self._kept or ()), None
        return kept
