"""The servers that there are, and how a real cluster becomes one of them."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.azure import tokens
from local.azure.certificates import CertificateAuthority
from local.azure.errors import ArmError
from local.azure.flexible_servers import refusals
from local.azure.flexible_servers.model import Server
from local.azure.identity import ManagedIdentity, Tenant
from local.postgres import LoopbackAddresses, PostgresCluster, ServerCertificate

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Life:
    """A server's life: from the moment that its name was taken until nothing of it is left (None: it lives)."""

    name: str
    began: datetime
    ended: datetime | None = None


class Registry:
    """All servers by resource id, each under an address of its own at the one port, and the roles' tokens in them."""

    def __init__(self, folder: Path, authority: CertificateAuthority, tenant: Tenant) -> None:
        self.folder = folder
        self.addresses = LoopbackAddresses()
        self._authority = authority
        self._tenant = tenant
        self._servers: dict[str, Server] = {}
        self._released: dict[str, datetime] = {}
        self._lives: list[Life] = []
        self._lock = threading.RLock()
        tenant.listen(self._renew_password)

    def all(self) -> list[Server]:
        with self._lock:
            return list(self._servers.values())

    def get(self, subscription: str, group: str, name: str) -> Server:
        """Raises ArmError 404 ResourceNotFound."""
        server = self.find(subscription, group, name)
        if server is None:
            raise refusals.not_found("flexibleServers", name, group)
        return server

    def find(self, subscription: str, group: str, name: str) -> Server | None:
        with self._lock:
            for server in self._servers.values():
                wanted = (subscription.lower(), group.lower(), name.lower())
                if (server.subscription.lower(), server.group.lower(), server.name.lower()) == wanted:
                    return server
        return None

    def add(self, server: Server, now: datetime) -> None:
        """Raises ServerNameAlreadyExists: names are global, and stay taken a while after a deletion."""
        with self._lock:
            if self.is_taken(server.name, now):
                raise refusals.name_taken()
            self._servers[server.name] = server
            self._lives.append(Life(server.name, utc_now()))

    def is_taken(self, name: str, now: datetime) -> bool:
        with self._lock:
            return name in self._servers or self._released.get(name, now) > now

    def lives(self) -> list[Life]:
        with self._lock:
            return [replace(life) for life in self._lives]

    def forget_names(self) -> None:
        with self._lock:
            self._released.clear()

    def remove(self, server: Server, *, name_taken_until: datetime) -> None:
        with self._lock:
            if self._servers.get(server.name) is server:
                del self._servers[server.name]
                self._released[server.name] = name_taken_until
                for life in self._lives:
                    if life.name == server.name and life.ended is None:
                        life.ended = utc_now()
        self.addresses.release(server.address)

    @contextmanager
    def operating(self, server: Server, operation: str, state: str, refuse: Callable[[], ArmError]) -> Generator[None]:
        """Mark the server as busy with an operation; raises `refuse()` when it is busy. Undone only by an error."""
        with self._lock:
            if server.operation is not None:
                raise refuse()
            before = server.state
            server.operation, server.state = operation, state
        try:
            yield
        except BaseException:
            self.settle(server, before)
            raise

    def settle(self, server: Server, state: str) -> None:
        """The operation is over; the server is in that state now."""
        with self._lock:
            server.operation, server.state = None, state

    def certificate(self, server: Server) -> ServerCertificate:
        issued = self._authority.issue(f"postgresql-{server.name}", addresses=[server.address])
        return ServerCertificate(issued.certificate, issued.key, self._authority.root)

    def connect(self, server: Server, cluster: PostgresCluster) -> None:
        """Make a started cluster the server's own: from here on the identities' tokens open it."""
        server.cluster = cluster
        [(version,)] = cluster.run_sql("SHOW server_version")
        server.minor_version = str(version).partition(".")[2] or "0"
        self.renew_passwords(server)

    def renew_passwords(self, server: Server) -> None:
        """Set the tokens that the identities hold now, on a server that comes up with older ones."""
        cluster = server.cluster
        if cluster is not None and server.replica_of is None:  # a replica has the source's roles, and is read-only
            self._tenant.for_each_kept(
                tokens.POSTGRESQL, lambda identity, token: _set_password(cluster, identity, token)
            )

    def _renew_password(self, identity: ManagedIdentity, token: tokens.AccessToken) -> None:
        if token.audience != tokens.POSTGRESQL:
            return
        for server in self.all():
            if server.cluster is not None and server.cluster.running and server.replica_of is None:
                _set_password(server.cluster, identity, token)


def _set_password(cluster: PostgresCluster, identity: ManagedIdentity, token: tokens.AccessToken) -> None:
    """PostgreSQL then refuses the token by itself once it has expired, as Azure's server does."""
    import psycopg

    try:
        cluster.set_password(identity.name, token.value, token.expires)
    except psycopg.errors.UndefinedObject:
        return  # as in Azure: whoever has no role on a server has no access to it
    except psycopg.OperationalError as error:
        _log.warning("the token of %s was not set, since the server is not reachable: %s", identity.name, error)


def utc_now() -> datetime:
    return datetime.now(UTC)


def after(seconds: float) -> datetime:
    return utc_now() + timedelta(seconds=seconds)
