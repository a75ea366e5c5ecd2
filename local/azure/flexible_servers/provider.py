"""The operations on servers: create and restore, read, change, start, stop, restart, delete."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.errors import ArmError
from local.azure.flexible_servers import creation, model, refusals, scaling
from local.azure.flexible_servers.behaviour import Behaviour
from local.azure.flexible_servers.creation import CopiedServer, NewServer
from local.azure.flexible_servers.model import Server, Sku
from local.azure.flexible_servers.networks import Subnets
from local.azure.flexible_servers.provision import let_read, make_cluster
from local.azure.flexible_servers.registry import Life, Registry, after, utc_now
from local.azure.operations import Operations, Result

NAMESPACE = "Microsoft.DBforPostgreSQL"
API_VERSIONS = ("2026-10-01",)

_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
SERVERS = f"{_GROUP}/providers/{NAMESPACE}/flexibleServers"
SERVER = f"{SERVERS}/{{serverName}}"

_RESTART_ABOVE_GB = 4096


class FlexibleServers:
    """The resource provider's servers. The other modules of this package add what hangs below them."""

    def __init__(self, arm: ResourceManager, registry: Registry, operations: Operations) -> None:
        self.behaviour = Behaviour()
        self.subnets = Subnets()
        self._registry = registry
        self._operations = operations
        arm.register(
            API_VERSIONS,
            [
                *operations.routes(),
                Route("PUT", SERVER, self._put),
                Route("GET", SERVER, self._get),
                Route("PATCH", SERVER, self._patch),
                Route("DELETE", SERVER, self._delete),
                Route("GET", SERVERS, self._list_group),
                Route("GET", f"/subscriptions/{{subscriptionId}}/providers/{NAMESPACE}/flexibleServers", self._list),
                Route("GET", f"{SERVER}/replicas", self._list_replicas),
                Route("POST", f"{SERVER}/start", self._start),
                Route("POST", f"{SERVER}/stop", self._stop),
                Route("POST", f"{SERVER}/restart", self._restart),
            ],
        )

    def server(self, call: Call) -> Server:
        """The server that a call is about; raises ResourceNotFound."""
        names = call.names
        return self._registry.get(names["subscriptionId"], names["resourceGroupName"], names["serverName"])

    def all(self) -> list[Server]:
        return self._registry.all()

    def cores_in(self, location: str) -> int:
        """The vCores of all servers of a region, which its quota counts."""
        return sum(server.sku.cores for server in self.all() if server.location == location)

    @property
    def lives(self) -> list[Life]:
        """When each server came to be and ceased to be, in this order; those that still are included."""
        return self._registry.lives()

    @property
    def retry_after(self) -> int | None:
        """The seconds that clients are told to wait between polls; None: nothing is said, as with short operations."""
        return self._operations.retry_after

    @retry_after.setter
    def retry_after(self, seconds: int | None) -> None:
        self._operations.retry_after = seconds

    def renew_passwords(self, server: Server) -> None:
        """Set the tokens that the app's identities hold now."""
        self._registry.renew_passwords(server)

    def forget_names(self) -> None:
        """Make all names of deleted servers free again."""
        self._registry.forget_names()

    def is_taken(self, name: str) -> bool:
        return self._registry.is_taken(name, utc_now())

    def change(
        self, call: Call, server: Server, name: str, work: Callable[[], None], *, result: Result | None = None
    ) -> Answer:
        """Change something that hangs below a server, which is Updating meanwhile; raises ServerIsBusy."""
        state = server.state

        def settle(_: ArmError | None = None) -> None:
            self._settle(server, state)

        def work_and_settle() -> None:
            work()
            settle()

        with self._registry.operating(server, "configure", "Updating", lambda: refusals.busy(server.name)):
            return self.begin(call, server, "configure", name, work_and_settle, failed=settle, result=result)

    def begin(
        self,
        call: Call,
        server: Server,
        kind: str,
        name: str,
        work: Callable[[], None],
        *,
        failed: Callable[[ArmError], None],
        result: Result | None = None,
    ) -> Answer:
        """Begin an operation on a server that has been marked as busy with it."""

        def alone() -> None:
            with server.working:
                work()

        return self._operations.begin(
            call,
            location=server.location,
            name=name,
            work=alone,
            failed=failed,
            result=result,
            seconds=self.behaviour.seconds.get(kind, 0.0),
        )

    def create(self, subscription: str, group: str, name: str, wanted: NewServer, *, readers: Sequence[str]) -> Server:
        """Make a server outside of any request and wait for it, with roles that may read all and its first backup."""
        server = self._add(subscription, group, name, wanted)
        try:
            with server.working:
                self._make(server, wanted)
                cluster = server.cluster
                assert cluster is not None
                for role in readers:
                    let_read(cluster, role)
                self._registry.renew_passwords(server)
                cluster.take_base_backup()
        except BaseException:
            self._drop(server)
            raise
        return server

    def add_alias(self, resource_id: str, of: Server) -> Server:
        """Another server over the cluster of one that there is: as many sources of restores as a test wants, for the
        price of one. What is done to the cluster is done to both."""
        parts = model.split_id(resource_id)
        if parts is None:
            raise ValueError(f"resource_id: not a flexible server's: {resource_id}")
        subscription, group, name = parts
        alias = replace(of, subscription=subscription, group=group, name=name)
        self._registry.add(alias, utc_now())
        return alias

    def _put(self, call: Call) -> Answer:
        body = call.content
        names = call.names
        model.check_name(names["serverName"])
        mode = call.properties.get("createMode", "Default")
        existing = self._registry.find(names["subscriptionId"], names["resourceGroupName"], names["serverName"])
        if existing is not None:
            if existing.operation == "delete":
                raise refusals.dropping()
            if existing.operation is not None:
                raise refusals.busy(existing.name)
            if mode not in ("Default", "Create", "Update"):
                raise refusals.name_taken()
            return self._change(call, existing)
        wanted = self._wanted(body, mode)
        self._respect_quota(wanted)
        source = wanted.source if isinstance(wanted, CopiedServer) and not wanted.replica else None
        network = self.subnets.wanted(body, wanted.location, self.all(), source)
        server = self._add(names["subscriptionId"], names["resourceGroupName"], names["serverName"], wanted)
        server.network = network
        restores = isinstance(wanted, CopiedServer) and not wanted.replica
        if not restores or self.behaviour.restore_applies_tags:
            server.tags = model.json_object(body.get("tags"), "tags")
        return self.begin(
            call,
            server,
            "restore" if restores else "create",
            "UpsertServerManagementOperationV2",
            lambda: self._make(server, wanted),
            failed=lambda _: self._not_made(server),
            result=lambda: model.show(server),
        )

    def _wanted(self, body: Mapping[str, Any], mode: str) -> NewServer | CopiedServer:
        if mode in ("Default", "Create"):
            return creation.new_server(body)
        if mode not in ("PointInTimeRestore", "GeoRestore", "Replica"):
            raise refusals.not_simulated(f"createMode {mode}")
        source = self._registry.get(*creation.source_id(body))
        if mode == "Replica":
            return creation.replica(body, source)
        if mode == "GeoRestore":
            return creation.geo_restore(body, source, utc_now(), self.behaviour.geo_backup_lag)
        return creation.point_in_time_restore(body, source, utc_now())

    def _respect_quota(self, wanted: NewServer | CopiedServer) -> None:
        left = self.behaviour.cores_quota - self.cores_in(wanted.location)
        if wanted.sku.cores > left:
            raise refusals.quota_exceeded(wanted.location, wanted.sku.cores, left)

    def _add(self, subscription: str, group: str, name: str, wanted: NewServer | CopiedServer) -> Server:
        source = wanted.source if isinstance(wanted, CopiedServer) else wanted
        server = Server(
            subscription=subscription,
            group=group,
            name=name,
            location=wanted.location,
            sku=wanted.sku,
            version=source.version,
            administrator=source.administrator,
            password=source.password,
            address=self._registry.addresses.allocate(),
            port=self._registry.addresses.port,
            storage=wanted.storage,
            backup=wanted.backup,
            created=utc_now(),
            availability_zone=wanted.availability_zone,
            operation="create",
            replica_of=wanted.source.id if isinstance(wanted, CopiedServer) and wanted.replica else None,
        )
        try:
            self._registry.add(server, utc_now())
        except ArmError:
            self._registry.addresses.release(server.address)
            raise
        return server

    def _make(self, server: Server, wanted: NewServer | CopiedServer) -> None:
        if server.operation == "delete":
            raise refusals.dropping()
        cluster = make_cluster(server, wanted, self._registry)
        self._registry.connect(server, cluster)
        self._settle(server, "Ready")

    def _not_made(self, server: Server) -> None:
        if server.operation == "delete":  # a deletion interrupted it and does the rest
            return
        if self.behaviour.failed_restore_leaves == "nothing":
            self._drop(server)
        else:
            self._registry.settle(server, "Inaccessible")

    def _get(self, call: Call) -> Answer:
        return Answer(200, model.show(self.server(call)))

    def _list(self, call: Call) -> Answer:
        return self._page(call, lambda server: True)

    def _list_group(self, call: Call) -> Answer:
        group = call.names["resourceGroupName"].lower()
        return self._page(call, lambda server: server.group.lower() == group)

    def _list_replicas(self, call: Call) -> Answer:
        source = self.server(call).id
        return self._page(call, lambda server: server.replica_of == source)

    def _page(self, call: Call, included: Callable[[Server], bool]) -> Answer:
        subscription = call.names["subscriptionId"].lower()
        servers = [s for s in self._registry.all() if s.subscription.lower() == subscription and included(s)]
        return page(call, [model.show(server) for server in servers], self.behaviour.page_size)

    def _patch(self, call: Call) -> Answer:
        return self._change(call, self.server(call))

    def _change(self, call: Call, server: Server) -> Answer:
        """Change what is given; a different compute size restarts the server, a large disk too.

        While it is Updating, it is shown as it was. Its `max_connections` are those that it was made with."""
        body, properties = call.content, call.properties
        sku = Sku.parse(body["sku"]) if body.get("sku") else server.sku
        storage = model.storage(properties.get("storage"), server.storage)
        backup = model.backup(properties.get("backup"), server.backup)
        if server.state == "Stopped" and (properties or sku != server.sku):
            raise refusals.not_ready(server.name, server.state)
        if storage["type"] != server.storage["type"]:
            raise refusals.invalid_parameter("storage.type")
        if sku != server.sku:
            left = self.behaviour.cores_quota - self.cores_in(server.location)
            scaling.check(server, sku, self.behaviour, left)
        grows_large = storage["storageSizeGB"] > _RESTART_ABOVE_GB >= server.storage["storageSizeGB"]
        slow = sku != server.sku and scaling.is_slow(server, sku, self.behaviour, self.all())
        seconds_away = self.behaviour.seconds.get("scale slowly", 0.0) if slow else 0.0
        promotion = model.json_object(properties.get("replica"), "replica")
        if promotion and (server.replica_of is None or promotion.get("promoteMode") == "Switchover"):
            raise refusals.not_simulated("a switchover, or a promotion of what is no replica")
        window = model.json_object(properties.get("maintenanceWindow"), "maintenanceWindow")
        tags = model.json_object(body.get("tags"), "tags") if body.get("tags") is not None else server.tags
        state = server.state

        def work() -> None:
            if sku != server.sku or grows_large:
                scaling.change_machine(
                    server, seconds_away=seconds_away, back=lambda: self._registry.renew_passwords(server)
                )
            if promotion and server.cluster is not None:
                server.cluster.promote()
                server.replica_of = None
            if (password := properties.get("administratorLoginPassword")) and server.cluster is not None:
                server.cluster.set_password(server.administrator, password)
                server.password = password
            server.sku, server.storage, server.backup = sku, storage, backup
            server.maintenance_window |= window
            server.tags = tags
            self._registry.settle(server, state)

        with self._registry.operating(server, "update", "Updating", lambda: refusals.busy(server.name)):
            return self.begin(
                call,
                server,
                "update",
                "UpsertServerManagementOperationV2",
                work,
                failed=lambda _: self._registry.settle(server, state),
                result=lambda: model.show(server),
            )

    def _start(self, call: Call) -> Answer:
        server = self.server(call)
        if server.operation is None and server.state != "Stopped":
            raise refusals.not_stopped(server.name, server.state)

        def work() -> None:
            assert server.cluster is not None
            server.cluster.start()
            self._registry.renew_passwords(server)

        return self._power(call, server, "Start", "Starting", "Ready", work)

    def _stop(self, call: Call) -> Answer:
        server = self._ready(call)

        def work() -> None:
            assert server.cluster is not None
            server.cluster.stop()

        return self._power(call, server, "Stop", "Stopping", "Stopped", work)

    def _restart(self, call: Call) -> Answer:
        server = self._ready(call)

        def work() -> None:
            assert server.cluster is not None
            server.cluster.restart()
            self._registry.renew_passwords(server)

        return self._power(call, server, "Restart", "Restarting", "Ready", work)

    def _ready(self, call: Call) -> Server:
        server = self.server(call)
        if server.operation is None and server.state != "Ready":
            raise refusals.not_ready(server.name, server.state)
        return server

    def _power(
        self, call: Call, server: Server, name: str, during: str, afterwards: str, act: Callable[[], None]
    ) -> Answer:
        before = server.state

        def work() -> None:
            act()
            self._settle(server, afterwards)

        with self._registry.operating(
            server, name.lower(), during, lambda: refusals.busy_with_other(server.name, name)
        ):
            return self.begin(
                call,
                server,
                name.lower(),
                f"{name}ServerManagementOperation",
                work,
                failed=lambda _: self._settle(server, before),
            )

    def _delete(self, call: Call) -> Answer:
        names = call.names
        server = self._registry.find(names["subscriptionId"], names["resourceGroupName"], names["serverName"])
        if server is None:
            return Answer(204)
        if server.operation == "delete":
            raise refusals.dropping()
        if server.operation is not None and self.behaviour.delete_interrupts:
            server.cancel.set()
            server.operation = None
        before = server.state
        with self._registry.operating(server, "delete", "Dropping", lambda: refusals.busy(server.name)):
            return self.begin(
                call,
                server,
                "delete",
                "DropServerManagementOperation",
                lambda: self._drop(server),
                failed=lambda _: self._registry.settle(server, before),
            )

    def _drop(self, server: Server) -> None:
        if server.cluster is not None:
            server.cluster.destroy()
        self._registry.remove(server, name_taken_until=after(self.behaviour.names_stay_taken_seconds))

    def _settle(self, server: Server, state: str) -> None:
        if server.operation != "delete":
            self._registry.settle(server, state)
