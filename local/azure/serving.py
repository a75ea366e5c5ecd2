"""ASGI applications on loopback ports, each in a thread of its own, for callers that are not asynchronous."""

import asyncio
import socket
import threading
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from local.azure.certificates import IssuedCertificate

_START_SECONDS = 20.0
_BACKLOG = 1024  # a burst of clients must queue, not fail: the default of 5 in socketserver taught us that


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn closes idle connections too, but over TLS that waits for clients that are not listening
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is None or cycle.response_complete:
                connection.transport.abort()  # type: ignore[union-attr]
        await super().shutdown(sockets)


class BackgroundServer:
    """One application on 127.0.0.1 (TLS when a certificate is given) and a port that the system chose."""

    def __init__(self, app: ASGIApp, certificate: IssuedCertificate | None = None, port: int = 0) -> None:
        # named TCP, or asyncio would not switch Nagle's algorithm off, which costs 40 ms a call
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            app,
            backlog=_BACKLOG,
            access_log=False,
            log_config=None,
            lifespan="on",
            timeout_keep_alive=120,
            timeout_graceful_shutdown=2,
            ssl_certfile=certificate.certificate if certificate else None,
            ssl_keyfile=certificate.key if certificate else None,
        )
        self._server = _Server(config)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"serve-{self.port}", daemon=True)

    def start(self) -> Self:
        """Start and return when it answers; raises RuntimeError when it does not start."""
        self._thread.start()
        deadline = _START_SECONDS
        while not self._server.started:
            if self._ended.wait(0.005):
                raise RuntimeError(f"the server on {self.url} ended before it answered")
            deadline -= 0.005
            if deadline < 0:
                raise RuntimeError(f"the server on {self.url} did not start in {_START_SECONDS:.0f} s")
        return self

    def ask_to_stop(self) -> None:
        """Begin to stop; several servers do it at once then."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Stop and wait for it."""
        self.ask_to_stop()
        if self._thread.is_alive():
            self._thread.join(10)
        self._socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._ended.set()
