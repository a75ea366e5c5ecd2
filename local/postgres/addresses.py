"""Loopback addresses of our own, so that every server can have the same port, as all of Azure's do."""

import errno
import random
import socket
from threading import Lock


class LoopbackAddresses:
    """Addresses 127.a.b.c of one run, and a port that is free on all of them.

    Two runs side by side draw their own a and b, and probe each address before they hand it out. Linux answers on the
    whole of 127.0.0.0/8; on macOS each address needs an alias first.
    """

    def __init__(self, port: int | None = None) -> None:
        """Use `port`, or else choose one on which nothing listens on any address of this machine."""
        self.port = port or _free_port()
        self._lock = Lock()
        self._taken: set[str] = set()
        self._prefix = f"127.{random.randrange(1, 255)}.{random.randrange(256)}"

    def allocate(self) -> str:
        """An address nobody listens on at our port. Bind it soon; raises OSError when there is none."""
        with self._lock:
            for last in range(1, 255):
                address = f"{self._prefix}.{last}"
                if address not in self._taken and _can_bind(address, self.port):
                    self._taken.add(address)
                    return address
        raise OSError(errno.EADDRINUSE, f"No address left in {self._prefix}.0/24 at port {self.port}")

    def release(self, address: str) -> None:
        """Give back an address whose server is gone."""
        with self._lock:
            self._taken.discard(address)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # noqa: S104 - only asked whether it could be bound
        return int(probe.getsockname()[1])


def _can_bind(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: closed sessions linger a while
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise OSError(error.errno, f"Add the address first: sudo ifconfig lo0 alias {address}") from error
            return False
        return True
