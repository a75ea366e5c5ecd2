"""The whole app on the functions host, with storage tiering declared for one account behind the proxy."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

from local.blob_proxy import BlobProxy
from local.functions_host import Faults, FunctionsHost, HostConfig
from tests.tiering_apply.world import ACCOUNT, Service

DATA = b"x" * 1100
"""Large enough for the class to be moved."""

PROJECT = Path(__file__).resolve().parents[2]
_GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-erp"
ACCOUNT_ID = f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
ESTATE = """
estate: contoso
calendar: {{ time_zone: Europe/Berlin }}
tiers:
  critical: {{ rpo: 5m, rto: 2h }}
rates:
  currency: EUR
  storage:
    hot: {{ gb_month: 20, read_10k: 0.0047 }}
    cool: {{ gb_month: 10, read_10k: 0.0118 }}
    cold: {{ gb_month: 4, read_10k: 0.118 }}
    archive: {{ gb_month: 2, read_10k: 50, retrieve_gb: 0.02, retrieve_gb_urgent: 0.1 }}
environments:
  production:
    stage: production
    tier: critical
    location: westeurope
    storage:
      docs:
        id: {account}
        blob_endpoint: {endpoint}
        soft_delete: 14d
        containers:
          {container}: {{ class: export, folders: {{ "old/": waste, "kept/": nothing }} }}
storage_tiering:
  classes:
    export: {{ cool_after: 1s, smallest: 1KiB }}
    waste: {{ delete_after: 1s }}
    nothing: {{}}
  at: "00:00"
  requests_at_once: 2
  deletions: {{ count: 1000, share: 20% }}
  rehydration: {{ longest: 30d, budget: 10 }}
changes:
  gates:
    production:
      approval_for: [irreversible, financial]
      attempts_per_target: 100 per 1d
      verify_every: 1s
      retry_after: 1s
"""


@dataclass
class App:
    """A running app, its blob service, and the container that it cares for."""

    host: FunctionsHost
    service: Service
    container: str
    state: BlobServiceClient

    def __post_init__(self) -> None:
        headers = {"x-functions-key": self.host.function_key}
        self.api = httpx.Client(base_url=f"{self.host.url}/api", headers=headers, timeout=60)

    @property
    def proxy(self) -> BlobProxy:
        """What was asked of the blob service."""
        return self.service.proxy

    def run(self, key: str, **asked: Any) -> dict[str, Any]:
        """The report of a run that was asked for."""
        return self.finished(self.start(key, **asked))

    def start(self, key: str, **asked: Any) -> str:
        """The id of a run."""
        body = {"environment": "production", **asked}
        answer = self.api.post("/tiering/runs", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 202, (answer.status_code, answer.text, self.log())
        return answer.json()["id"]

    def finished(self, run: str, seconds: float = 120) -> dict[str, Any]:
        """The report of a run once it is over."""
        over = {"completed", "failed", "terminated"}
        state = self.until(f"/tiering/runs/{run}", lambda state: state["status"] in over, seconds)
        assert state["status"] == "completed", (state, self.log())
        return state["report"]

    def until(self, path: str, accept: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
        """What the API says once that is accepted."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.api.get(path)
            if answer.status_code == 200 and accept(answer.json()):
                return answer.json()
            assert time.monotonic() < deadline, f"still {answer.status_code} {answer.text[:2000]}\n{self.log()}"
            time.sleep(0.1)

    def fire(self, timer: str) -> None:
        """Fire a timer by hand, as Core Tools does."""
        answer = httpx.post(
            f"{self.host.url}/admin/functions/{timer}",
            headers={"x-functions-key": self.host.master_key},
            json={},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text

    def tell(self, kind: str, data: Mapping[str, Any], *, subject: str = "", event: str = "one") -> int:
        """Deliver an event of the account's system topic, as Event Grid does."""
        body = {
            "id": event,
            "topic": ACCOUNT_ID,
            "subject": subject,
            "eventType": kind,
            "eventTime": "2026-11-22T03:00:00.1234567Z",
            "data": data,
            "dataVersion": "1",
            "metadataVersion": "1",
        }
        answer = httpx.post(
            f"{self.host.url}/runtime/webhooks/eventgrid",
            params={"functionName": "storage_events", "code": self.host.system_key("eventgrid")},
            headers={"aeg-event-type": "Notification"},
            json=[body],
            timeout=60,
        )
        return answer.status_code

    def records(self, subject: str) -> list[dict[str, Any]]:
        """The evidence about something, in the order of time."""
        container = self.state.get_container_client("evidence")
        read = (json.loads(container.download_blob(one.name).readall()) for one in container.list_blobs("records/"))
        return sorted((one for one in read if one["subject"].startswith(subject)), key=lambda one: one["time"])

    def log(self) -> str:
        """The end of the host's log."""
        return (self.host.config.data / "logs" / "host.jsonl").read_text()[-4000:]


@contextmanager
def app(service: Service, folder: Path, container: str, *, estate: str = ESTATE, **settings: str) -> Iterator[App]:
    """The app on a host of its own; its state is beside the proxy."""
    folder.mkdir(parents=True, exist_ok=True)
    endpoint = f"{service.proxy.url}/{ACCOUNT}"
    file = folder / "estate.yaml"
    file.write_text(estate.format(account=ACCOUNT_ID, endpoint=endpoint, container=container), encoding="utf-8")
    account = service.azure.storage_accounts.add(ACCOUNT_ID, containers=[container])
    account.keep_deleted(14)
    own = f"state-{container}"
    owner = BlobServiceClient(
        service.azurite.account_url("app"),
        credential=AzureNamedKeyCredential("app", service.azurite.keys["app"]),
        connection_verify=str(service.authority.bundle),
    )
    for name in (own, "evidence"):
        with suppress(ResourceExistsError):
            owner.create_container(name)
    base = service.azurite.account_url("app")
    config = HostConfig(
        PROJECT,
        folder / "data",
        settings={
            **_schedules(),
            **service.azure.settings(),
            "ESTATE_FILE": str(file),
            "STATE_URL": f"{base}/{own}",
            "EVIDENCE_URL": f"{base}/evidence",
            "TIERING_CLAIM_SECONDS": "4",
            "REHYDRATION_POLL_SECONDS": "0.5",
        }
        | settings,
        faults=Faults(),
    )
    with FunctionsHost(config) as host:
        host.wait_ready()
        yield App(host, service, container, owner)


def _schedules() -> dict[str, str]:
    """Every timer that the sample settings name, at a time that does not come."""
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text())["Values"]
    return {name: "0 0 0 1 1 *" for name in sample if name.endswith("_SCHEDULE")}
