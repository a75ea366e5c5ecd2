"""The big example's production, real where it matters, at a time that the test moves: a month end takes minutes.

The app's own steps and adapters run in this process against the embedded estate: real PostgreSQL servers with replicas
behind simulated Azure, AKS and Kubernetes. Only the clock is the test's.
"""

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from functions import change_execution, change_services, peak_state, peak_steps
from local.embedded_estate import EmbeddedEstate
from local.kubernetes.resources import of_kind
from shared.changes.ports import Entry
from shared.peak_scaling import tending
from shared.peak_scaling.memory import Memory
from tests.local.azure.clients import request, wait_until
from tests.peak_scaling.driving import Driver
from tests.peak_scaling.world import PRODUCTION, example
from tests.shutdown_schedules.running import quiet

MINUTE = timedelta(minutes=1)
_REPLICAS = {"parent": ("read", "far"), "europe": ("far",)}


class Playing:
    """The app in this process, and what it found. `now` is the time for the app, and moves only by `pass_to`."""

    def __init__(self, estate: EmbeddedEstate, now: datetime) -> None:
        self.estate, self.now = estate, now
        for budget in (estate.azure.clusters.rates, estate.azure.throttle):
            budget.monotonic = lambda: time.monotonic() + (self.now - now).total_seconds()
        self.entries: list[Entry] = []
        real = change_services.services()
        self.services = replace(real, clock=lambda: self.now, recorder=self, publisher=None)
        self._evidence = real.recorder
        change_execution.use(lambda: self.services)
        self.driver = Driver(self.services, lambda: self.now)

    def record(self, entry: Entry) -> None:
        self._evidence.record(entry)
        if entry not in self.entries:
            self.entries.append(entry)

    def told(self, kind: str) -> list[str]:
        """What was told, as `peak or target: detail`."""
        found = [entry for entry in self.entries if entry.kind == kind]
        return [f"{entry.subject.split(':', 2)[-1]}: {entry.body.get('detail')}" for entry in found]

    def details(self, kind: str) -> list[str]:
        """The details of what was recorded."""
        return [str(entry.body.get("detail")) for entry in self.entries if entry.kind == kind]

    @property
    def memory(self) -> Memory:
        return tending.remembered(self.services.store, PRODUCTION)

    # time

    def tick(self) -> None:
        """As `functions.peak_scaling.look`."""
        considered = peak_steps.look(PRODUCTION, self.now)
        if considered.changes:
            self.driver.start(considered.changes)
        peak_steps.tell(PRODUCTION)

    def pass_to(self, until: datetime, *, ticks: bool = True) -> None:
        """Ticks every ten minutes while something is under way, else whenever something begins or ends, or none."""
        while self.now < until:
            if ticks:
                self.tick()
            self.driver.work()
            following = min(until, self.now + 10 * MINUTE if self.driver.runs or not ticks else self._next())
            while self.now < following:
                if self.driver.runs:
                    self._pass(min(following - self.now, 2 * MINUTE))
                else:
                    self.now = following
                self.driver.work()

    def _pass(self, span: timedelta) -> None:
        """Time for the app and for the clusters; servers and Azure's operations go on in their own."""
        self.now += span
        for (environment, _), cluster in self.estate.clusters.items():
            if environment == PRODUCTION:
                cluster.advance(span.total_seconds())
        time.sleep(0.1)

    def _next(self) -> datetime:
        """The next time at which something may be different."""
        scaling = peak_state.scaling_of(PRODUCTION, self.now)
        edges = [self.now + timedelta(hours=12)]
        for hold in scaling.holds(self.now, self.now + timedelta(days=14)):
            edges += [hold.begin, hold.ready_by, hold.until, hold.need.start, hold.need.end]
        edges += [held.stepped + timedelta(hours=4) for held in self.memory.held.values() if held.stepped]
        return min(edge for edge in edges if edge > self.now)

    # what is there

    @property
    def place(self) -> Any:
        return self.estate.environments[PRODUCTION]

    def found(self) -> dict[str, dict[str, Any]]:
        """Everything that a peak may touch, as Azure and Kubernetes have it."""
        result: dict[str, dict[str, Any]] = {}
        for name, server in self.place.postgres.items():
            for label, resource in [
                (name, server),
                *((f"{name}/{key}", server.replicas[key]) for key in _REPLICAS.get(name, ())),
            ]:
                there = self.estate.azure.flexible_server(str(resource.id))
                result[f"server {label}"] = {"sku": there.sku.name}
        for name, cluster in self.place.clusters.items():
            pools = self.estate.azure.clusters.get(str(cluster.id)).pools
            for pool in pools.values():
                scale = pool.scale
                result[f"pool {name}/{pool.name}"] = {"auto": scale.autoscaling, "min": scale.least, "max": scale.most}
        for kind, obj in self.objects():
            spec = obj["spec"]
            bounds = {fact: spec[fact] for fact in _FACTS if fact in spec}
            notes = [name for name in obj["metadata"].get("annotations", {}) if "closekeeper" in name]
            result[f"{kind} {obj['metadata']['namespace']}/{obj['metadata']['name']}"] = {**bounds, "notes": notes}
        return result

    def objects(self) -> list[tuple[str, dict[str, Any]]]:
        api = self.estate.clusters[PRODUCTION, "main"]
        places = [("odoo", "web"), ("odoo-parent", "web"), ("odoo-parent", "queue-worker")]
        found = [("Deployment", api.get(kind("Deployment"), namespace, name)) for namespace, name in places]
        found += [
            ("HPA", api.get(kind("HorizontalPodAutoscaler"), namespace, "web")) for namespace in ("odoo", "odoo-parent")
        ]
        return [*found, ("ScaledObject", api.get(kind("ScaledObject"), "odoo", "queue-depth"))]

    def edit_bounds(self, least: int) -> None:
        """A person sets the web tier's least number of replicas."""
        api = self.estate.clusters[PRODUCTION, "main"]
        api.edit(kind("HorizontalPodAutoscaler"), "odoo", "web", minReplicas=least)

    def queue(self, database: str, server: str, state: str) -> None:
        """All queue jobs of a database become so."""
        cluster = self.estate.server(PRODUCTION, server).cluster
        assert cluster is not None
        cluster.run_sql(f"update queue_job set state = '{state}'", database=database)  # noqa: S608


_FACTS = ("minReplicas", "maxReplicas", "minReplicaCount", "maxReplicaCount")
_VERSIONS = {"Deployment": "apps/v1", "HorizontalPodAutoscaler": "autoscaling/v2", "ScaledObject": "keda.sh/v1alpha1"}


def kind(name: str) -> Any:
    found = of_kind(_VERSIONS[name], name)
    assert found is not None
    return found


@contextmanager
def playing(folder: Path, now: datetime) -> Generator[Playing]:
    """The estate with replicas, and the app in it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "group.yaml"
    file.write_text(example(), encoding="utf-8")
    with EmbeddedEstate(
        folder / "running", file, environments=(PRODUCTION,), progress=quiet, journal_items=100
    ) as estate:
        before = dict(os.environ)
        os.environ |= estate.settings()
        forget()
        try:
            add_replicas(estate)
            yield Playing(estate, now)
        finally:
            forget()
            os.environ.clear()
            os.environ |= before


def add_replicas(estate: EmbeddedEstate) -> None:
    """Real ones, as the example declares them."""
    azure = estate.azure
    for name, replicas in _REPLICAS.items():
        server = estate.environments[PRODUCTION].postgres[name]
        for key in replicas:
            replica = server.replicas[key]
            location = replica.location or estate.environments[PRODUCTION].location
            azure.add_resource_group(replica.id.subscription, replica.id.resource_group, location)
            body = {
                "location": location,
                "properties": {"createMode": "Replica", "sourceServerResourceId": str(server.id)},
            }
            answer = request(azure, "PUT", f"{replica.id}?api-version=2026-10-01", body=body)
            assert answer.status_code == 202, answer.text
            operation = answer.headers["Azure-AsyncOperation"].removeprefix(azure.resource_manager_url)
            wait_until(lambda path=operation: request(azure, "GET", path).json()["status"] != "InProgress", 90)
            assert request(azure, "GET", operation).json()["status"] == "Succeeded"


def forget() -> None:
    """Nothing that the app remembers in this process outlives the estate that it was learnt from."""
    for name in list(sys.modules):
        if name.startswith(("shared.platforms", "functions")):
            values: list[Any] = list(vars(sys.modules[name]).values())
            for clear in [getattr(value, "cache_clear", None) for value in values]:
                if clear is not None:
                    clear()
    from shared.platforms import managed_clusters

    managed_clusters._endpoints.clear()  # pyright: ignore[reportPrivateUsage]
