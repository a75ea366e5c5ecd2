"""A small estate for the intake: one cluster with two tenants' namespaces, one shared server."""

from datetime import UTC, datetime

from shared.job_remediation.intake.reading import Reading, read
from shared.job_remediation.places import DeclaredPlaces
from shared.job_remediation.signal import Signal
from tests.job_remediation.deliveries import CLUSTER, SERVER, body

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
_SAMPLE_CLUSTER = (
    "/subscriptions/<subscription id>/resourceGroups/rg-odoo"
    "/providers/Microsoft.ContainerService/managedClusters/aks0001"
).casefold()
_BOTH = frozenset({"acme", "globex"})

PLACES = DeclaredPlaces(
    resources={
        CLUSTER.casefold(): ("production", _BOTH),
        SERVER.casefold(): ("production", _BOTH),
        _SAMPLE_CLUSTER: ("production", _BOTH),
    },
    clusters={"aks-erp": frozenset({CLUSTER.casefold()}), "aks0001": frozenset({_SAMPLE_CLUSTER})},
    namespaces={
        (CLUSTER.casefold(), "odoo-acme"): frozenset({"acme"}),
        (_SAMPLE_CLUSTER, "odoo-acme"): frozenset({"acme"}),
        (CLUSTER.casefold(), "shared"): _BOTH,
    },
    databases={(SERVER.casefold(), "acme_prod"): "acme"},
    tenants={"production": _BOTH, "test": frozenset({"initech"})},
)


def reading(value: object, received_at: datetime = NOW) -> Reading:
    return read(value if isinstance(value, bytes) else body(value), received_at, PLACES)


def the_signal(value: object, received_at: datetime = NOW) -> Signal:
    """The one signal in it, and nothing else."""
    found = reading(value, received_at)
    assert found.unrecognised == ()
    (signal,) = found.signals
    return signal
