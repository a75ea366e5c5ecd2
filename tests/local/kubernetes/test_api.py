"""The API as bytes on the wire, where clients hide it."""

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from local.azure.tokens import mint
from local.kubernetes.access import AKS_SERVER
from local.kubernetes.resources import CONFIG_MAPS, DEPLOYMENTS, JOBS, NAMESPACES, PODS, REPLICA_SETS
from local.kubernetes.simulator import KubernetesSimulator
from tests.local.kubernetes.objects import deployment, job

WEB = "/apis/apps/v1/namespaces/odoo/deployments/web"
MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture
def http(simulator: KubernetesSimulator) -> Iterator[httpx.Client]:
    assert simulator.tenant is not None
    token = simulator.tenant.token(simulator.tenant.identities[0], AKS_SERVER).value
    headers = {"authorization": f"Bearer {token}"}
    trusted = ssl.create_default_context(cafile=str(simulator.authority.root))
    with httpx.Client(base_url=simulator.url, verify=trusted, headers=headers) as client:
        yield client


@pytest.fixture
def web(simulator: KubernetesSimulator) -> dict[str, Any]:
    return simulator.create(deployment("web", 0))


def patch(http: httpx.Client, path: str, body: Any, **query: str) -> httpx.Response:
    return http.patch(path, content=json.dumps(body), headers=MERGE, params=query)


def test_errors_are_status_objects(http: httpx.Client, web: dict[str, Any]) -> None:
    assert http.get("/apis/apps/v1/namespaces/odoo/deployments/nope").json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "nope" not found',
        "reason": "NotFound",
        "details": {"name": "nope", "group": "apps", "kind": "deployments"},
        "code": 404,
    }
    refused = patch(http, WEB, {"spec": {"replicas": -1}}).json()
    assert refused["message"] == (
        'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    )
    assert [cause["field"] for cause in refused["details"]["causes"]] == ["spec.replicas"]
    unknown = http.get("/apis/none.example/v1/foos")
    assert (unknown.status_code, unknown.text) == (404, "404 page not found\n")


def test_callers_need_a_token_of_the_tenant_for_this_audience(
    simulator: KubernetesSimulator, http: httpx.Client
) -> None:
    assert http.get("/api/v1/nodes").status_code == 200
    stranger = mint("another-tenant", AKS_SERVER, {}, now=simulator.clock.now(), lifetime=timedelta(1))
    for value in ("", "Basic abc", "Bearer nonsense", f"Bearer {stranger.value}"):
        answer = http.get("/api/v1/nodes", headers={"authorization": value})
        assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_generation_counts_changes_of_the_wanted_state_only(http: httpx.Client, web: dict[str, Any]) -> None:
    def after(body: Any) -> tuple[int, int]:
        metadata = patch(http, WEB, body).json()["metadata"]
        return metadata["generation"], int(metadata["resourceVersion"])

    first, version = after({"metadata": {"labels": {"a": "b"}}})
    assert first == 1
    assert after({"metadata": {"labels": {"a": "b"}}}) == (1, version), "writing the same again changes nothing"
    second, later = after({"metadata": {"annotations": {"a": "b"}}})
    assert second == 2, "a Deployment's annotations count too"
    assert later > version
    assert after({"spec": {"replicas": 1}})[0] == 3


def test_unknown_fields_are_dropped_with_a_warning_or_refused(http: httpx.Client, web: dict[str, Any]) -> None:
    body = {"spec": {"template": {"spec": {"nodeSelektor": {"a": "b"}}}}}
    lenient = patch(http, WEB, body)
    assert lenient.headers["warning"] == '299 - "unknown field \\"spec.template.spec.nodeSelektor\\""'
    assert "nodeSelektor" not in lenient.json()["spec"]["template"]["spec"]
    strict = patch(http, WEB, body, fieldValidation="Strict")
    assert (strict.status_code, strict.json()["reason"]) == (422, "Invalid")
    made = deployment("other", 0)
    made["spec"]["replicsa"] = 3
    created = http.post("/apis/apps/v1/namespaces/odoo/deployments", json=made, params={"fieldValidation": "Strict"})
    assert (created.status_code, created.json()["message"]) == (
        400,
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        'unknown field "spec.replicsa"',
    )


def test_json_patches_test_before_they_change(http: httpx.Client, web: dict[str, Any]) -> None:
    def send(*operations: dict[str, Any]) -> httpx.Response:
        headers = {"content-type": "application/json-patch+json"}
        return http.patch(WEB, content=json.dumps(operations), headers=headers)

    test = {"op": "test", "path": "/spec/replicas", "value": 5}
    assert send(test, {"op": "replace", "path": "/spec/replicas", "value": 1}).status_code == 422
    annotations = {"op": "add", "path": "/metadata/annotations", "value": {"a/b": "1"}}
    moved = {"op": "move", "from": "/metadata/annotations/a~1b", "path": "/metadata/annotations/c"}
    after = send({**test, "value": 0}, annotations, moved).json()
    assert after["metadata"]["annotations"] == {"c": "1"}
    assert send({"op": "remove", "path": "/metadata/annotations/nope"}).status_code == 422


def test_custom_kinds_know_no_strategic_merge(http: httpx.Client, simulator: KubernetesSimulator) -> None:
    path = "/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects/web"
    headers = {"content-type": "application/strategic-merge-patch+json"}
    assert http.patch(path.replace("keda.sh/v1alpha1", "none/v1"), content="{}", headers=headers).status_code == 404
    answer = http.patch(WEB, content="{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 404
    simulator.create(deployment("web", 0, namespace="default"))
    made = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": {"name": "web"}}}
    assert http.post(path.removesuffix("/web"), json=made).status_code == 201
    assert http.patch(path, content="{}", headers=headers).status_code == 415
    replaced = http.put(path, json=made)
    assert replaced.status_code == 422
    assert "metadata.resourceVersion" in replaced.json()["message"]


def test_managed_fields_tell_authors_apart(http: httpx.Client, web: dict[str, Any]) -> None:
    patch(http, WEB, {"metadata": {"annotations": {"a": "1"}}}, fieldManager="closekeeper")
    patch(http, WEB + "/scale", {"spec": {"replicas": 4}}, fieldManager="kubectl")
    entries = {
        (entry["manager"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in http.get(WEB).json()["metadata"]["managedFields"]
    }
    assert entries["closekeeper", ""] == {"f:metadata": {"f:annotations": {"f:a": {}}}}
    assert entries["kubectl", "scale"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in entries["closekeeper-simulator", ""]["f:spec"], "a field has one owner"
    version = http.get(WEB).json()["metadata"]["resourceVersion"]
    patch(http, WEB + "/scale", {"spec": {"replicas": 4}}, fieldManager="kubectl")
    assert http.get(WEB).json()["metadata"]["resourceVersion"] == version
    patch(http, WEB + "/scale", {"spec": {"replicas": 4}}, fieldManager="another")
    assert http.get(WEB).json()["metadata"]["resourceVersion"] != version, "the same number, by another author"


@pytest.mark.parametrize(("policy", "left"), [("", 1), ("Orphan", 1), ("Background", 0)])
def test_a_job_takes_its_pods_along_only_when_told(
    simulator: KubernetesSimulator, http: httpx.Client, policy: str, left: int
) -> None:
    simulator.create(job("import"))
    path = "/apis/batch/v1/namespaces/odoo/jobs/import"
    assert http.delete(path, params={"propagationPolicy": policy} if policy else None).status_code == 200
    simulator.advance(5)
    assert simulator.store.all(JOBS, "odoo") == []
    assert len(simulator.store.all(PODS, "odoo")) == left


def test_foreground_deletion_waits_for_the_dependents(simulator: KubernetesSimulator, http: httpx.Client) -> None:
    simulator.create(deployment("web", 2))
    simulator.advance(5)
    marked = http.request("DELETE", WEB, json={"propagationPolicy": "Foreground"}).json()
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert simulator.store.find(DEPLOYMENTS, "odoo", "web") is not None
    simulator.advance(5)
    for resource in (DEPLOYMENTS, REPLICA_SETS, PODS):
        assert simulator.store.all(resource, "odoo") == []


def test_finalizers_hold_an_object(http: httpx.Client, web: dict[str, Any]) -> None:
    patch(http, WEB, {"metadata": {"finalizers": ["example.com/keep"]}})
    assert http.delete(WEB).json()["metadata"]["deletionTimestamp"]
    assert http.get(WEB).status_code == 200
    patch(http, WEB, {"metadata": {"finalizers": None}})
    assert http.get(WEB).status_code == 404


def test_a_namespace_goes_with_what_is_in_it(simulator: KubernetesSimulator, http: httpx.Client) -> None:
    simulator.create(deployment("web", 2))
    data = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "odoo", "namespace": "odoo"},
        "data": {"a": "b"},
    }
    simulator.create(data)
    assert http.delete("/api/v1/namespaces/odoo").status_code == 200
    simulator.advance(5)
    for resource in (NAMESPACES, DEPLOYMENTS, PODS, CONFIG_MAPS):
        assert not [item for item in simulator.store.all(resource) if "odoo" in str(item["metadata"])]
    created = http.post("/apis/apps/v1/namespaces/odoo/deployments", json=deployment("web"))
    assert created.json()["message"] == 'namespaces "odoo" not found'


def test_immutable_fields(http: httpx.Client, web: dict[str, Any]) -> None:
    refused = patch(http, WEB, {"spec": {"selector": {"matchLabels": {"app": "other"}}}})
    assert refused.status_code == 422
    assert "field is immutable" in refused.json()["message"]


def test_a_watch_sees_what_a_selector_gains_and_loses(simulator: KubernetesSimulator, http: httpx.Client) -> None:
    version = http.get("/apis/apps/v1/deployments").json()["metadata"]["resourceVersion"]
    query = {"watch": "1", "resourceVersion": version, "labelSelector": "tier=web", "timeoutSeconds": "20"}
    events: list[tuple[str, str]] = []
    ready = threading.Event()

    def watch() -> None:
        with http.stream("GET", "/apis/apps/v1/deployments", params=query) as stream:
            ready.set()
            for line in stream.iter_lines():
                event = json.loads(line)
                events.append((event["type"], event["object"]["metadata"]["name"]))
                if event["type"] == "DELETED":
                    return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    assert ready.wait(10)
    simulator.create(deployment("web", 0))
    simulator.create(deployment("other", 0, tier="db"))
    patch(http, WEB, {"metadata": {"labels": {"tier": "web"}}})
    patch(http, WEB, {"metadata": {"labels": {"tier": "none"}}})
    thread.join(15)
    assert events == [("ADDED", "web"), ("DELETED", "web")]


def test_a_watch_from_a_forgotten_version_ends_with_an_error_event(
    simulator: KubernetesSimulator, http: httpx.Client, web: dict[str, Any]
) -> None:
    version = web["metadata"]["resourceVersion"]
    simulator.create(deployment("other", 0))
    simulator.expire_history()
    answer = http.get("/apis/apps/v1/deployments", params={"watch": "1", "resourceVersion": version})
    assert answer.status_code == 200
    event = json.loads(answer.text)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_faults_are_set_over_http(http: httpx.Client, web: dict[str, Any]) -> None:
    fault = {"service": "kubernetes", "method": "GET", "path": "deployments", "status": 429, "retry_after": 2}
    assert http.post("/_simulator/faults", json=fault).status_code == 200
    answer = http.get(WEB)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert (answer.json()["kind"], answer.json()["reason"]) == ("Status", "TooManyRequests")
    assert http.get(WEB).status_code == 200
