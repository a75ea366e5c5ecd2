"""Where a tenant's documents are, by the estate. Pure."""

from typing import TYPE_CHECKING, NamedTuple

from shared.backup_verification.documents.layouts import Layout

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.estate import Estate


class Place(NamedTuple):
    """One container: its URL, how attachments are laid out in it, what their names begin with, whether nobody else's
    documents are below that, and whether its secondary region can be read."""

    account: str
    container: str
    url: str
    layout: Layout
    prefix: str
    exclusive: bool
    readable_secondary: bool


def places_of(estate: "Estate", environment: str, tenant: str, database: str) -> list[Place]:
    """The containers that a tenant declares for its documents; a container without a layout is Odoo's filestore."""
    declared = estate.environments[environment]
    if tenant not in declared.tenants:
        return []
    found: list[Place] = []
    for at in declared.tenants[tenant].documents:
        account = declared.storage[at.account]
        container = account.containers[at.container]
        sharing = sum(at in other.documents for other in declared.tenants.values())
        found.append(
            Place(
                account.id.name.lower(),
                at.container,
                f"{account.blob_address}/{at.container}",
                Layout(container.layout.value) if container.layout else Layout.FILESTORE,
                container.prefix.replace("{database}", database),
                "{database}" in container.prefix or sharing == 1,
                account.secondary == "readable",
            )
        )
    return found
