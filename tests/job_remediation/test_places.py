from pathlib import Path

import pytest

from shared.estate.loading import load_estate
from shared.job_remediation.places import Place, declared_places
from shared.job_remediation.signal import Target
from tests.job_remediation.deliveries import CLUSTER, SERVER
from tests.job_remediation.places import PLACES

NAMESPACE = Target(resource=CLUSTER, namespace="odoo-acme")


@pytest.mark.parametrize(
    ("target", "labels", "place"),
    [
        (Target(), {}, Place()),
        (Target(resource="/subscriptions/else/resourceGroups/x"), {}, Place()),
        (Target(resource=SERVER.upper()), {}, Place("production")),
        (Target(resource=f"{SERVER}/databases/acme_prod"), {}, Place("production")),
        (Target(resource=SERVER), {"datname": "ACME_prod"}, Place("production", "acme")),
        (Target(resource=SERVER), {"tenant": "Globex"}, Place("production", "globex")),
        (Target(resource=SERVER), {"tenant": "initech"}, Place("production")),
        (NAMESPACE, {}, Place("production", "acme")),
        (NAMESPACE, {"tenant": "globex"}, Place("production", "acme")),
        (Target(resource=CLUSTER, namespace="shared"), {}, Place("production")),
        (Target(resource=CLUSTER, namespace="kube-system"), {}, Place("production")),
        (Target(cluster="AKS-ERP", namespace="odoo-acme"), {}, Place("production", "acme")),
        (Target(), {"tenant": "initech"}, Place("test", "initech")),
        (Target(), {"tenant": "acme", "environment": "nowhere"}, Place()),
        (Target(), {"tenant": "acme", "environment": "production"}, Place("production", "acme")),
        (Target(), {"tenant": "stranger"}, Place()),
    ],
)
def test_whose_it_is(target: Target, labels: dict[str, str], place: Place) -> None:
    assert PLACES.place_of(target, labels) == place


@pytest.mark.parametrize("example", ["single-company", "group"])
def test_lookup_is_made_of_the_declared_estate(example: str) -> None:
    file = Path(__file__).resolve().parents[2] / "examples" / example / "estate.yaml"
    estate = load_estate(file.read_text(), str(file))
    places = declared_places(estate)
    for name, environment in estate.environments.items():
        for server_name, server in environment.postgres.items():
            for tenant_name, tenant in estate.tenants_of_server(name, server_name).items():
                labels = {"database": tenant.database.database}
                assert places.place_of(Target(resource=str(server.id)), labels) == Place(name, tenant_name)
        for cluster in environment.clusters.values():
            for workload in cluster.workloads.values():
                target = Target(resource=str(cluster.id).lower(), namespace=workload.object.namespace)
                assert places.place_of(target, {}).environment == name
