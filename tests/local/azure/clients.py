"""The official clients against the simulated Azure."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import httpx
from azure.eventgrid import EventGridPublisherClient
from azure.identity import ManagedIdentityCredential
from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

from local.azure import tokens
from local.azure.faults import Fault, OperationFault
from local.azure.simulator import AzureSimulator

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = "rg-finance"


def server_id(name: str, group: str = GROUP) -> str:
    return (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}"
        f"/providers/Microsoft.DBforPostgreSQL/flexibleServers/{name}"
    )


class Clients:
    """Clients as the app makes them: endpoints and the managed identity, and nothing that is for tests only."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def credential(self) -> ManagedIdentityCredential:
        return self._stack.enter_context(ManagedIdentityCredential())

    @cached_property
    def postgresql(self) -> PostgreSQLManagementClient:
        return self.postgresql_with()

    def postgresql_with(self, **options: Any) -> PostgreSQLManagementClient:
        """A client with other options, e.g. without retries."""
        return self._stack.enter_context(
            PostgreSQLManagementClient(
                self.credential,
                SUBSCRIPTION,
                self._settings["AZURE_RESOURCE_MANAGER_URL"],
                **{"polling_interval": 0.05, "retry_backoff_factor": 0.01, **options},
            )
        )

    @cached_property
    def topic(self) -> EventGridPublisherClient:
        return self._stack.enter_context(
            EventGridPublisherClient(self._settings["EVENT_GRID_TOPIC_ENDPOINT"], self.credential)
        )


def request(
    azure: AzureSimulator, method: str, path: str, *, token: str | None = None, body: Any = None, **headers: str
) -> httpx.Response:
    """One bare request to the simulated ARM; with the identity's own token unless another or none ("") is given."""
    value = azure.tenant.token(azure.tenant.identities[0], tokens.RESOURCE_MANAGER).value if token is None else token
    with httpx.Client(verify=ssl.create_default_context(cafile=azure.authority.root)) as client:
        return client.request(
            method,
            azure.resource_manager_url + path,
            json=body,
            headers={
                **({"Authorization": f"Bearer {value}"} if value else {}),
                **{name.replace("_", "-"): text for name, text in headers.items()},
            },
        )


@contextmanager
def unfinished_server(azure: AzureSimulator, name: str, group: str = GROUP) -> Iterator[None]:
    """A server whose creation never ends: there at once, for tests that need no more than its resource."""
    azure.add_resource_group(SUBSCRIPTION, group)
    azure.faults.add(Fault(method="PUT", path=f"/{name}$", operation=OperationFault(never_ends=True)))
    body = {
        "location": "westeurope",
        "sku": {"name": "Standard_B1ms", "tier": "Burstable"},
        "properties": {"administratorLogin": "boss", "administratorLoginPassword": "A-password-1"},
    }
    path = f"{server_id(name, group)}?api-version=2026-10-01"
    assert request(azure, "PUT", path, body=body).status_code == 202
    try:
        yield
    finally:
        azure.servers.behaviour.delete_interrupts = True
        assert request(azure, "DELETE", path).status_code == 202
        wait_until(lambda: request(azure, "GET", path).status_code == 404)


def wait_until(condition: Callable[[], object], timeout: float = 60.0) -> None:
    """Wait until a condition holds; raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s")
        time.sleep(0.01)
