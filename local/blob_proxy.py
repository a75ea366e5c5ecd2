"""A proxy before Azurite: it adds latency, writes down what was asked of each blob, and breaks what is to be broken.

It also plays the one part of the archive that Azurite has not: a blob that comes back is `rehydrate-pending` until
`finish_rehydrations`. Everything else passes as it is.
"""

import asyncio
import re
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from local.azure.certificates import IssuedCertificate

_END_OF_HEAD = b"\r\n\r\n"
_LARGEST_HEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing asked of one blob, by itself or within a batch, and what was answered.

    `what` is `tier`, `delete` or the method; `tier` the wanted one; `by_proxy` whether the answer was made up here.
    """

    what: str
    name: str
    tier: str
    status: int
    request: int
    by_proxy: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong. `status` answers instead of the service, for a blob in a batch when `name` (a regular
    expression) is given, else for the whole batch; `drop` cuts the connection before or after the effect."""

    name: str = ""
    status: int = 0
    code: str = ""
    retry_after: int | None = None
    drop: str = ""
    times: int = 1


@dataclass
class _Message:
    first: str
    headers: dict[str, str]
    head: bytes
    body: bytes


@dataclass
class BlobProxy:
    """The proxy of one Azurite; `with BlobProxy(url, certificate) as proxy:` and use `proxy.url` instead of its own."""

    upstream: str
    certificate: IssuedCertificate
    latency: float = 0.0
    """Seconds added to each request."""

    shuffled: bool = False
    """Whether the answers of a batch come in the reverse order, as the service may."""

    faults: list[Fault] = field(default_factory=list[Fault])
    asked: list[Asked] = field(default_factory=list[Asked])
    requests: list[str] = field(default_factory=list[str])
    """Every request: `batch`, `list`, or the method."""

    before_batch: Callable[[int], None] = lambda _number: None
    """Called with the number of each batch before it goes on."""

    pending: dict[str, str] = field(default_factory=dict[str, str])
    """Blobs on their way back from archive, and whereto."""

    _archived: set[str] = field(default_factory=set[str])
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(
        default_factory=list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    )

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="blob-proxy", daemon=True)
        self._thread.start()
        if not ready.wait(20):
            raise RuntimeError("the proxy does not listen after 20 s")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Where it listens, without an account."""
        return f"https://127.0.0.1:{self.port}"

    def count(self, kind: str) -> int:
        """How many requests of a kind came."""
        return sum(one == kind for one in self.requests)

    def moved(self) -> dict[str, int]:
        """How often the tier of each blob was set, as the service answered."""
        times: dict[str, int] = {}
        for one in list(self.asked):
            if one.what == "tier" and one.status < 300:
                times[one.name] = times.get(one.name, 0) + 1
        return times

    def finish_rehydrations(self, names: Iterable[str] | None = None) -> list[str]:
        """Let blobs be back from archive, all or these; returns those that are now."""
        back = list(self.pending) if names is None else [name for name in names if name in self.pending]
        for name in back:
            del self.pending[name]
        return back

    def forget(self) -> None:
        """Begin to count anew."""
        self.asked.clear()
        self.requests.clear()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        self._upstream_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._upstream_context.check_hostname = False  # Azurite's own certificate, on this machine
        self._upstream_context.verify_mode = ssl.CERT_NONE
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, limit=_LARGEST_HEAD)
        )
        self.port: int = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        for _, writer in self._idle:
            writer.transport.abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                answer = await self._answer(request)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, request: _Message) -> bytes | None:
        if self.latency:
            await asyncio.sleep(self.latency)
        method, target, _ = request.first.split(" ", 2)
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        if query.get("comp") == "batch":
            return await self._batch(request)
        listing = query.get("comp") == "list" and query.get("restype") == "container"
        self.requests.append("list" if listing else method)
        answer = await self._forward(request.head + request.body, method)
        self._note(method, target, request.headers.get("x-ms-access-tier", ""), _status(answer), len(self.requests))
        if listing and self.pending:
            body = self._with_pending(_plain_body(answer))
            return (
                f"{answer.first}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
        return answer.head + answer.body

    async def _batch(self, request: _Message) -> bytes | None:
        self.requests.append("batch")
        number = len(self.requests)
        await asyncio.to_thread(self.before_batch, self.count("batch"))
        whole = self._take_fault(lambda fault: not fault.name)
        if whole is not None and whole.drop != "after":
            return None if whole.drop else _refusal(whole)
        boundary = request.headers["content-type"].partition("boundary=")[2].strip('"')
        mark = f"--{boundary}".encode()
        asked = request.body.split(mark)[1:-1]
        made_up: list[bytes] = []
        passed: list[bytes] = []
        for part in asked:
            fault = self._fault_for(_name(part))
            if fault is None:
                passed.append(part)
            else:
                made_up.append(_sub_answer(part, fault))
                self._note_part(part, fault.status, number, by_proxy=True)
        answers = made_up
        if passed:
            body = mark + mark.join(passed) + mark + b"--\r\n"
            head = re.sub(rb"(?im)^content-length:.*$", b"Content-Length: %d\r" % len(body), request.head).replace(
                b"\r\r", b"\r"
            )
            answer = await self._forward(head + body, "POST")
            if _status(answer) != 202:
                return answer.head + answer.body
            back = answer.headers["content-type"].partition("boundary=")[2].encode()
            answered = _plain_body(answer).split(b"--" + back)[1:-1]
            by_number = {_content_id(part): part for part in answered}
            for part in passed:
                self._note_part(part, _sub_status(by_number[_content_id(part)]), number)
            answers = made_up + answered
        if whole is not None:
            return None
        if self.shuffled:
            answers.reverse()
        return _multipart(answers)

    async def _forward(self, data: bytes, method: str) -> _Message:
        while True:
            fresh = not self._idle
            reader, writer = self._idle.pop() if self._idle else await self._connect()
            try:
                writer.write(data)
                await writer.drain()
                answer = await _read(reader, answer_to=method)
            except (ConnectionError, asyncio.IncompleteReadError):
                answer = None
            if answer is not None:
                self._idle.append((reader, writer))
                return answer
            writer.transport.abort()
            if fresh:
                raise ConnectionError("Azurite gave no answer")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = urlsplit(self.upstream)
        return await asyncio.open_connection(
            place.hostname, place.port, ssl=self._upstream_context, limit=_LARGEST_HEAD
        )

    def _fault_for(self, name: str) -> Fault | None:
        return self._take_fault(lambda fault: bool(fault.name) and bool(re.search(fault.name, name)))

    def _take_fault(self, fits: Callable[[Fault], bool]) -> Fault | None:
        for index, fault in enumerate(self.faults):
            if fits(fault):
                left = Fault(fault.name, fault.status, fault.code, fault.retry_after, fault.drop, fault.times - 1)
                self.faults[index : index + 1] = [left] if left.times > 0 else []
                return fault
        return None

    def _note_part(self, part: bytes, status: int, request: int, *, by_proxy: bool = False) -> None:
        method, target, _ = _request_line(part).split(" ", 2)
        tier = re.search(rb"(?im)^x-ms-access-tier: *(\S+)", part)
        self._note(method, target, tier[1].decode() if tier else "", status, request, by_proxy=by_proxy)

    def _note(self, method: str, target: str, tier: str, status: int, request: int, *, by_proxy: bool = False) -> None:
        place = urlsplit(target)
        name = unquote("/".join(place.path.split("/")[3:]))
        what = "tier" if "comp=tier" in place.query else {"DELETE": "delete"}.get(method, method)
        self.asked.append(Asked(what, name, tier, status, request, by_proxy))
        if what == "tier" and status < 300:
            if tier == "Archive":
                self._archived.add(name)
            elif name in self._archived:
                self._archived.discard(name)
                self.pending[name] = tier.lower()

    def _with_pending(self, listing: bytes) -> bytes:
        def shown(blob: re.Match[str]) -> str:
            name = re.search(r"<Name>(.*?)</Name>", blob[0])
            whereto = self.pending.get(_text(name[1])) if name else None
            if whereto is None:
                return blob[0]
            status = f"<AccessTier>Archive</AccessTier><ArchiveStatus>rehydrate-pending-to-{whereto}</ArchiveStatus>"
            return re.sub(r"<AccessTier>.*?</AccessTier>", status, blob[0])

        return re.sub(r"<Blob>.*?</Blob>", shown, listing.decode(), flags=re.DOTALL).encode()


async def _read(reader: asyncio.StreamReader, answer_to: str = "") -> _Message | None:
    """A whole request or answer; None when the connection ended before it began."""
    try:
        head = await reader.readuntil(_END_OF_HEAD)
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
    }
    if headers.get("expect"):
        raise ConnectionError("a client that waits for 100 Continue is not served here")
    body = b""
    if headers.get("transfer-encoding") == "chunked" and answer_to != "HEAD":
        body = await _chunks(reader)
    elif answer_to != "HEAD" and (length := int(headers.get("content-length", "0"))):
        body = await reader.readexactly(length)
    return _Message(first, headers, head, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """A chunked body as it came, so that it can be passed on."""
    read = b""
    while True:
        line = await reader.readline()
        size = int(line.split(b";")[0], 16)
        read += line + await reader.readexactly(size + 2)
        if size == 0:
            return read


def _plain_body(answer: _Message) -> bytes:
    if answer.headers.get("transfer-encoding") != "chunked":
        return answer.body
    plain, rest = b"", answer.body
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        plain, rest = plain + rest[:size], rest[size + 2 :]
        if size == 0:
            break
    return plain


def _status(answer: _Message) -> int:
    return int(answer.first.split(" ")[1])


def _request_line(part: bytes) -> str:
    return part.lstrip(b"\r\n").split(b"\r\n\r\n", 1)[1].split(b"\r\n", 1)[0].decode()


def _name(part: bytes) -> str:
    return unquote("/".join(urlsplit(_request_line(part).split(" ")[1]).path.split("/")[3:]))


def _content_id(part: bytes) -> bytes:
    found = re.search(rb"(?i)content-id: *(\d+)", part)
    return found[1] if found else b""


def _sub_status(part: bytes) -> int:
    found = re.search(rb"HTTP/1\.1 (\d+)", part)
    return int(found[1]) if found else 0


def _sub_answer(part: bytes, fault: Fault) -> bytes:
    retry = f"Retry-After: {fault.retry_after}\r\n" if fault.retry_after is not None else ""
    return (
        f"\r\nContent-Type: application/http\r\nContent-ID: {_content_id(part).decode()}\r\n\r\n"
        f"HTTP/1.1 {fault.status} Fault\r\nx-ms-error-code: {fault.code}\r\n{retry}"
        f"Content-Type: application/xml\r\n\r\n<Error><Code>{fault.code}</Code></Error>\r\n"
    ).encode()


def _multipart(answers: list[bytes]) -> bytes:
    mark = b"--batchresponse_proxy"
    body = b"".join(mark + answer for answer in answers) + mark + b"--"
    head = "HTTP/1.1 202 Accepted\r\nContent-Type: multipart/mixed; boundary=batchresponse_proxy\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _refusal(fault: Fault) -> bytes:
    retry = f"Retry-After: {fault.retry_after}\r\n" if fault.retry_after is not None else ""
    head = f"HTTP/1.1 {fault.status} Fault\r\nx-ms-error-code: {fault.code}\r\n{retry}"
    return f"{head}Content-Length: 0\r\n\r\n".encode()


def _text(xml: str) -> str:
    from xml.sax.saxutils import unescape

    return unescape(xml, {"&quot;": '"', "&apos;": "'"})
