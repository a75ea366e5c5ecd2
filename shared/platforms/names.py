"""Where host names lead to, as the app's own network sees it."""

import socket


def addresses(host: str) -> frozenset[str]:
    """The IP addresses that a name leads to now; none when it leads nowhere."""
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP))
    except OSError:
        return frozenset()
