"""What answers at a cache's port: TLS, and Redis's own words to whoever does not log in. It keeps nothing."""

import contextlib
import socket
import socketserver
import ssl
import threading
from typing import Any, override

from local.azure.certificates import IssuedCertificate


class _Talk(socketserver.StreamRequestHandler):
    @override
    def handle(self) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            server: Any = self.server
            context: ssl.SSLContext = server.context
            connection: socket.socket = self.connection
            with context.wrap_socket(connection, server_side=True) as secured:
                while secured.recv(4096):
                    secured.sendall(b"-NOAUTH Authentication required.\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


class RedisListener:
    """A cache's endpoint on 127.0.0.1. Without a certificate nothing listens."""

    def __init__(self, certificate: IssuedCertificate | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self._server: Any = None
        if certificate is None:
            return
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.certificate, certificate.key)
        self._server = _Server((self.host, 0), _Talk)
        self._server.context = context
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True, name="redis").start()

    def close(self) -> None:
        """Answer nobody from now on. Twice is once."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
