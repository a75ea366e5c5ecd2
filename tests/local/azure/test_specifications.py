"""Answers against the official examples and resource types, where the folder with them lies beside the checkout."""

import gzip
import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.mgmt.postgresqlflexibleservers import models

from local.azure.simulator import AzureSimulator
from tests.local.azure.clients import GROUP, Clients, request, server_id, unfinished_server, wait_until

SPECS = Path(__file__).resolve().parents[4] / "shared" / "specs"
VERSION = "?api-version=2026-10-01"

pytestmark = pytest.mark.skipif(not SPECS.is_dir(), reason=f"the official specifications are not at {SPECS}")

# in the examples of 2026-10-01, but not yet in the types of 2025-08-01
NEWER = {"immutableBackup"}
# create-only by the types, but in the official examples and in the SDK's read model
READ_TOO = {"tenantId"}
# shown by Azure on every resource, but no part of the types
COMMON = {"systemData"}


@cache
def example(name: str) -> Any:
    return json.loads((SPECS / "examples" / f"pg_{name}.json").read_text())


@cache
def types() -> list[Any]:
    path = SPECS / "bicep-types" / "microsoft.dbforpostgresql-2025-08-01.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def resource_type(name: str) -> Any:
    wanted = f"Microsoft.DBforPostgreSQL/{name}@2025-08-01"
    [found] = [item for item in types() if item["$type"] == "ResourceType" and item["name"] == wanted]
    return resolve(found["body"])


def resolve(reference: Any) -> Any:
    return types()[int(reference["$ref"].removeprefix("#/"))]


def complaints(value: Any, kind: Any, where: str = "") -> list[str]:
    """What is wrong with a value of that type; write-only properties must not be shown."""
    match kind["$type"]:
        case "ObjectType":
            if not isinstance(value, dict):
                return [f"{where}: not an object"]
            known = kind.get("properties", {})
            found: list[str] = []
            for name, item in value.items():
                if name in known:
                    if known[name]["flags"] & 4 and name not in READ_TOO:
                        found.append(f"{where}.{name}: write-only")
                    found += complaints(item, resolve(known[name]["type"]), f"{where}.{name}")
                elif "additionalProperties" in kind:
                    found += complaints(item, resolve(kind["additionalProperties"]), f"{where}.{name}")
                elif name not in NEWER | COMMON:
                    found.append(f"{where}.{name}: unknown")
            required = [name for name, item in known.items() if item["flags"] & 1 and name != "apiVersion"]
            return found + [f"{where}.{name}: missing" for name in required if name not in value]
        case "ArrayType":
            item = resolve(kind["itemType"])
            return [text for i, part in enumerate(value) for text in complaints(part, item, f"{where}[{i}]")]
        case "UnionType":
            options = [complaints(value, resolve(element), where) for element in kind["elements"]]
            return [] if [] in options else [f"{where}: {value!r} is none of the choices"]
        case "StringLiteralType":
            return [] if str(value).lower() == kind["value"].lower() else [f"{where}: not {kind['value']}"]
        case "StringType":
            return [] if isinstance(value, str) else [f"{where}: not a string"]
        case "IntegerType":
            return [] if isinstance(value, int) and not isinstance(value, bool) else [f"{where}: not an integer"]
        case "BooleanType":
            return [] if isinstance(value, bool) else [f"{where}: not a boolean"]
        case other:
            raise AssertionError(other)


def shape(value: Any) -> Any:
    """Names and JSON types, without the values."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_the_checker_finds_what_is_wrong() -> None:
    good = example("ServersGet")["responses"]["200"]["body"]
    kind = resource_type("flexibleServers")
    # the type's storage.type is closed, while the official answer has the empty text there
    assert complaints(good, kind) == [".properties.storage.type: '' is none of the choices"] or not complaints(
        good, kind
    )
    bad = json.loads(json.dumps(good))
    bad["properties"]["pointInTimeUTC"] = "2025-06-01T18:35:22Z"
    bad["properties"]["backup"]["backupRetentionDays"] = "7"
    bad["properties"]["stat"] = "Ready"
    del bad["location"]
    found = complaints(bad, kind)
    for expected in (
        ".properties.pointInTimeUTC: write-only",
        ".properties.backup.backupRetentionDays: not an integer",
        ".properties.stat: unknown",
        ".location: missing",
    ):
        assert expected in found


def test_a_server_has_the_shape_of_the_example_and_fits_its_type(azure: AzureSimulator) -> None:
    official = example("ServersGet")["responses"]["200"]["body"]
    ours = request(azure, "GET", server_id("source") + VERSION).json()
    expected = shape(official)
    del expected["properties"]["backup"]["immutableBackup"]
    assert shape(ours) == {**expected, "tags": {"environment": "str"}}
    unexpected = [text for text in complaints(ours, resource_type("flexibleServers")) if "storage.type" not in text]
    assert unexpected == []
    assert models.Server(ours).properties.state == models.ServerState.READY


def test_a_list_has_the_shape_of_the_example(azure: AzureSimulator) -> None:
    official = example("ServersListByResourceGroup")["responses"]["200"]["body"]
    azure.servers.behaviour.page_size = 1
    with unfinished_server(azure, "second"):
        collection = server_id("source").rpartition("/")[0]
        ours = request(azure, "GET", collection + VERSION).json()
    assert ours.keys() == official.keys()
    path, link = urlsplit(official["nextLink"]), urlsplit(ours["nextLink"])
    assert link.scheme == "https"
    assert re.sub(r"[^&=]+$", "", link.query) == re.sub(r"[^&=]+$", "", path.query)


def pattern(url: str) -> str:
    """An operation's URL without what differs from one to the next."""
    path = urlsplit(url)
    anonymous = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", path.path)
    return re.sub(r"/locations/\w+/", "/locations/LOCATION/", anonymous) + "?" + path.query


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("BackupsAutomaticAndOnDemandCreate", "PUT", "/backups/ondemandbackup-20250601T183022"),
        ("ServersUpdate", "PATCH", ""),
        ("ServersRestartWithFailover", "POST", "/restart"),
    ],
)
def test_operations_are_accepted_as_in_the_examples(
    azure: AzureSimulator, clients: Clients, name: str, method: str, path: str
) -> None:
    official = example(name)
    [(status, answer)] = official["responses"].items()
    ours = request(
        azure, method, server_id("source") + path + VERSION, body=official["parameters"].get("parameters", {})
    )
    assert ours.status_code == int(status)
    for header in ("Azure-AsyncOperation", "Location"):
        assert pattern(ours.headers[header]) == pattern(answer["headers"][header])
    operation = ours.headers["Azure-AsyncOperation"].removeprefix(azure.resource_manager_url)
    wait_until(lambda: request(azure, "GET", operation).json()["status"] != "InProgress")
    assert request(azure, "GET", operation).json()["status"] == "Succeeded"
    assert clients.postgresql.servers.get(GROUP, "source").properties.state == "Ready"


def test_backups_have_the_shape_of_the_example_and_fit_their_type(azure: AzureSimulator, clients: Clients) -> None:
    clients.postgresql.backups_automatic_and_on_demand.begin_create(GROUP, "source", "by-hand").result()
    official = example("BackupsAutomaticAndOnDemandListByServer")["responses"]["200"]["body"]
    ours = request(azure, "GET", server_id("source") + "/backups" + VERSION).json()
    assert shape(ours) == shape(official)
    kinds = {(item["properties"]["backupType"], item["properties"]["source"]) for item in ours["value"]}
    assert kinds == {("Full", "Automatic"), ("Customer On-Demand", "Customer Initiated")}
    for item in ours["value"]:
        assert complaints(item, resource_type("flexibleServers/backups")) == []
    clients.postgresql.backups_automatic_and_on_demand.begin_delete(GROUP, "source", "by-hand").result()


def test_what_hangs_below_a_server_fits_its_type(azure: AzureSimulator, clients: Clients) -> None:
    rule = {"properties": {"startIpAddress": "10.0.0.1", "endIpAddress": "10.0.0.9"}}
    clients.postgresql.firewall_rules.begin_create_or_update(GROUP, "source", "office", rule).result()
    [identity] = azure.tenant.identities
    clients.postgresql.administrators_microsoft_entra.begin_create_or_update(
        GROUP, "source", identity.object_id, {"properties": {"principalName": "auditor", "principalType": "Group"}}
    ).result()
    for kind in ("firewallRules", "administrators", "databases", "configurations"):
        items = request(azure, "GET", f"{server_id('source')}/{kind}{VERSION}").json()["value"]
        assert items
        for item in items:
            assert complaints(item, resource_type(f"flexibleServers/{kind}")) == []


def test_the_client_sends_a_restore_as_in_the_example(azure: AzureSimulator) -> None:
    official = example("ServersCreatePointInTimeRestore")["parameters"]["parameters"]
    parameters = models.Server(
        location="eastus",
        properties=models.ServerProperties(
            create_mode=models.CreateMode.POINT_IN_TIME_RESTORE,
            source_server_resource_id=official["properties"]["sourceServerResourceId"],
            point_in_time_utc=datetime(2025, 6, 1, 18, 35, 22, 123456, tzinfo=UTC),
        ),
    )
    assert parameters.as_dict() == official
    body = {**official, "location": "westeurope"}
    body["properties"] = {**official["properties"], "sourceServerResourceId": server_id("source")}
    answer = request(azure, "PUT", server_id("from-example") + VERSION, body=body)
    assert answer.status_code == 400
    assert "pointInTimeUTC" in answer.json()["error"]["message"], "understood, and long before the first backup"
