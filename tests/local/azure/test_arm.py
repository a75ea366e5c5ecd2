"""What ARM does for every provider: tokens, API versions, throttling, locks, faults, pages."""

from datetime import timedelta

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ServiceRequestError, ServiceResponseError

from local.azure import routing, tokens
from local.azure.arm import Lock
from local.azure.errors import ArmError
from local.azure.faults import Fault
from local.azure.simulator import AzureSimulator
from local.azure.throttling import Bucket, Throttle
from tests.local.azure.clients import GROUP, SUBSCRIPTION, Clients, request, server_id

SOURCE = server_id("source")
VERSION = "?api-version=2026-10-01"


def code(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    assert error["message"]
    return error["code"]


def test_paths_are_routed_by_their_literals() -> None:
    template = "/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.X/things/{t}/parts/{p}/start"
    key, placeholders = routing.parse(template)
    path = "/SUBSCRIPTIONS/1/resourcegroups/Rg/providers/microsoft.x/Things/start/PARTS/things/Start"
    assert routing.parse(path) == (key, ["1", "Rg", "start", "things"])
    assert placeholders == ["{s}", "{g}", "{t}", "{p}"]
    assert routing.action("POST", template) == "Microsoft.X/things/parts/start/action"
    assert routing.action("PUT", template.removesuffix("/start")) == "Microsoft.X/things/parts/write"


def test_a_token_is_required_and_checked(azure: AzureSimulator) -> None:
    other = azure.tenant.token(azure.tenant.identities[0], tokens.STORAGE).value
    old = azure.tenant.user_token("someone", tokens.RESOURCE_MANAGER, lifetime=timedelta(seconds=-1)).value
    for token, expected in (
        ("", "AuthenticationFailed"),
        ("rubbish", "InvalidAuthenticationToken"),
        (other, "InvalidAuthenticationTokenAudience"),
        (old, "ExpiredAuthenticationToken"),
    ):
        answer = request(azure, "GET", SOURCE + VERSION, token=token)
        assert answer.status_code == 401
        assert code(answer) == expected
        assert answer.headers["www-authenticate"].startswith("Bearer authorization_uri=")


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        (SOURCE, 400, "MissingApiVersionParameter"),
        (SOURCE + "?api-version=latest", 400, "InvalidApiVersionParameter"),
        (SOURCE + "?api-version=2017-12-01", 400, "NoRegisteredProviderFound"),
        (server_id("source", "rg-missing") + VERSION, 404, "ResourceGroupNotFound"),
        (server_id("missing") + VERSION, 404, "ResourceNotFound"),
        (SOURCE.replace("flexibleServers", "hyperscales") + VERSION, 404, "InvalidResourceType"),
    ],
)
def test_wrong_paths_get_arms_own_codes(azure: AzureSimulator, path: str, status: int, expected: str) -> None:
    answer = request(azure, "GET", path)
    assert (answer.status_code, code(answer)) == (status, expected)


def test_a_body_must_be_json(azure: AzureSimulator) -> None:
    assert code(request(azure, "PUT", server_id("new") + VERSION, body=[])) == "InvalidRequestContent"
    for wrong in ({"properties": []}, {"properties": {"storage": 1}}, {"tags": "a"}, {"sku": "large"}):
        assert request(azure, "PATCH", SOURCE + VERSION, body=wrong).status_code == 400
    assert request(azure, "PUT", SOURCE + "/start" + VERSION, body={}).status_code == 405


def test_answers_carry_request_ids_and_what_is_left_of_the_quota(azure: AzureSimulator) -> None:
    answer = request(azure, "GET", SOURCE + VERSION, x_ms_correlation_request_id="my-correlation")
    assert answer.headers["x-ms-correlation-request-id"] == "my-correlation"
    assert answer.headers["x-ms-request-id"]
    assert answer.headers["x-ms-ratelimit-remaining-subscription-reads"] == "249"


def test_ids_are_compared_without_regard_to_case(azure: AzureSimulator) -> None:
    answer = request(azure, "GET", SOURCE.upper() + VERSION)
    assert answer.json()["id"] == SOURCE


def test_buckets_empty_and_refill() -> None:
    now = [0.0]
    throttle = Throttle({"reads": Bucket(2, 0.5), "writes": Bucket(1, 1), "deletes": Bucket(1, 1)}, lambda: now[0])
    left = "x-ms-ratelimit-remaining-subscription-reads"
    assert [throttle.take("GET", "s", "p")[left] for _ in range(2)] == ["1", "0"]
    with pytest.raises(ArmError) as refused:
        throttle.take("GET", "s", "p")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "2")
    throttle.take("GET", "s", "somebody else")
    throttle.take("PATCH", "s", "p")
    now[0] = 2.0
    throttle.take("GET", "s", "p")


def test_the_client_waits_when_it_is_throttled(azure: AzureSimulator, clients: Clients) -> None:
    azure.throttle.buckets = {**azure.throttle.buckets, "reads": Bucket(1, 2)}
    statuses = azure.arm.calls
    statuses.clear()
    for _ in range(2):
        clients.postgresql.servers.get(GROUP, "source")
    assert [call.status for call in statuses] == [200, 429, 200]


def test_a_locked_scope_refuses_deletion_only(azure: AzureSimulator, clients: Clients) -> None:
    azure.arm.locks.append(Lock("keep", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP.upper()}"))
    with pytest.raises(ResourceExistsError, match="ScopeLocked"):
        clients.postgresql.servers.begin_delete(GROUP, "source")
    assert clients.postgresql.servers.get(GROUP, "source").name == "source"
    azure.arm.locks.append(Lock("freeze", SOURCE, "ReadOnly"))
    with pytest.raises(ResourceExistsError, match="ScopeLocked"):
        clients.postgresql.servers.begin_stop(GROUP, "source")


def test_locks_and_groups_are_managed_over_http(azure: AzureSimulator) -> None:
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-new"
    tagged = request(
        azure, "PUT", group + "?api-version=2025-04-01", body={"location": "westeurope", "tags": {"a": "b"}}
    )
    assert (tagged.status_code, tagged.json()["tags"]) == (201, {"a": "b"})
    lock = f"{group}/providers/Microsoft.Authorization/locks/keep?api-version=2020-05-01"
    assert request(azure, "PUT", lock, body={"properties": {"level": "CanNotDelete"}}).status_code == 201
    inherited = server_id("any", "rg-new") + "/providers/Microsoft.Authorization/locks?api-version=2020-05-01"
    assert [found["name"] for found in request(azure, "GET", inherited).json()["value"]] == ["keep"]
    assert code(request(azure, "DELETE", server_id("any", "rg-new") + VERSION)) == "ScopeLocked"
    assert request(azure, "DELETE", lock).status_code == 200
    assert request(azure, "DELETE", server_id("any", "rg-new") + VERSION).status_code == 204


def test_an_action_can_be_denied(azure: AzureSimulator, clients: Clients) -> None:
    azure.arm.denied.add("Microsoft.DBforPostgreSQL/flexibleServers/delete")
    with pytest.raises(HttpResponseError, match="AuthorizationFailed") as refused:
        clients.postgresql.servers.begin_delete(GROUP, "source")
    assert refused.value.status_code == 403
    assert "flexibleServers/delete" in refused.value.message
    assert azure.arm.calls[-1].action == "Microsoft.DBforPostgreSQL/flexibleServers/delete"


def test_the_plan_fails_the_nth_call_and_the_client_tries_again(azure: AzureSimulator, clients: Clients) -> None:
    fault = azure.faults.add(Fault(method="GET", path="/flexibleServers/source$", first=2, times=2, status=503))
    azure.arm.calls.clear()
    for _ in range(2):
        clients.postgresql.servers.get(GROUP, "source")
    assert (fault.matched, fault.applied) == (4, 2)
    assert [call.status for call in azure.arm.calls] == [200, 200], "the service itself was asked twice only"


def test_a_connection_dropped_after_the_effect_loses_the_answer_only(azure: AzureSimulator, clients: Clients) -> None:
    for moment, done in (("before", False), ("after", True)):
        azure.faults.replace([Fault.model_validate({"method": "PUT", "drop": moment})])
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            clients.postgresql_with(retry_total=0).firewall_rules.begin_create_or_update(
                GROUP,
                "source",
                f"rule-{moment}",
                {"properties": {"startIpAddress": "10.0.0.1", "endIpAddress": "10.0.0.2"}},
            )
        names = [call.path.rpartition("/")[2] for call in azure.arm.calls if call.method == "PUT"]
        assert (f"rule-{moment}" in names) == done


def test_the_plan_is_set_and_seen_over_http(azure: AzureSimulator) -> None:
    plan = "/_simulator/faults"
    assert request(azure, "PUT", plan, body=[{"method": "GET", "path": "source", "status": 429, "retry_after": 7}])
    answer = request(azure, "GET", SOURCE + VERSION)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    [shown] = request(azure, "GET", plan).json()
    assert (shown["matched"], shown["applied"]) == (1, 1)
    wrong = request(azure, "POST", plan, body={"path": "(", "sttus": 500})
    assert wrong.status_code == 400
    assert {error["loc"][0] for error in wrong.json()["errors"]} == {"path", "sttus"}
    assert request(azure, "DELETE", plan).status_code == 204
    assert request(azure, "GET", SOURCE + VERSION).status_code == 200
