"""The declared estate and its finance calendar, as the gate knows them. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from shared.changes.errors import NotKnownError
from shared.changes.freeze import Effect, Window
from shared.changes.policy import BreakerRule, Budget, Limits, OverrideKind, Policy, RetryRule
from shared.finance_calendar.declaration import DEFAULT_REGION, Kind

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.estate import Estate
    from shared.estate.inventory.environments import Environment
    from shared.finance_calendar.calendar import FinanceCalendar
    from shared.finance_calendar.occurrences import Occurrence

_LOOK_AHEAD = timedelta(days=14)
_QUEUE_JOBS = 100
"""Nobody declares queue jobs; an Odoo has so many that those of one cause are a small share of them."""


class DeclaredRules:
    """`Rules` from one version of the estate and its calendar."""

    def __init__(self, estate: "Estate", calendar: "FinanceCalendar") -> None:
        self._estate = estate
        self._calendar = calendar

    def policy(self, environment: str) -> Policy:
        """See `Rules.policy`."""
        self._declared(environment)
        changes = self._estate.changes
        gate = changes.gate_of(environment)
        return Policy(
            enabled_automations=frozenset(map(str, gate.automations)),
            forbidden_classes=frozenset(gate.forbidden),
            approval_for_risks=frozenset(gate.approval_for),
            approval_for_classes=frozenset(gate.approval_for_actions),
            approval_lifetime=changes.approvals.expire_after,
            freeze_holds=frozenset(gate.freeze_holds),
            emergency_classes=frozenset(map(str, gate.emergencies_pass)),
            exception_longest=changes.exceptions.longest,
            exception_most_uses=changes.exceptions.most_uses,
            exception_ticket=changes.exceptions.ticket,
            maintenance_only=frozenset(gate.maintenance_only),
            longest_wait=gate.longest_wait,
            override_longest={
                OverrideKind.KEEP_AWAKE: changes.overrides.keep_awake,
                OverrideKind.PAUSE: changes.overrides.pause,
                OverrideKind.MUTE: changes.overrides.mute,
            },
            attempts_per_target=Budget(gate.attempts_per_target.count, gate.attempts_per_target.per),
            attempts_per_class=Budget(gate.attempts_per_class.count, gate.attempts_per_class.per),
            breaker=BreakerRule(failures=gate.stop_after_failures, open_for=gate.probe_after),
            limits=Limits(
                per_target=gate.at_once_per_target, per_environment=gate.at_once, share=gate.share_at_once.of_one
            ),
            retry=RetryRule(first=gate.retry_after),
            verify_every=gate.verify_every,
            busy_recheck=gate.verify_every,  # a place becomes free when what holds it is verified
            dry_run=gate.dry_run,
        )

    def windows(self, environment: str, now: datetime) -> tuple[Window, ...] | None:
        """See `Rules.windows`. None while a feed is missing: it could hold a freeze that nobody sees."""
        declared = self._declared(environment)
        if self._calendar.missing_feeds:
            return None
        windows = [self._freeze(environment, None, cause, end) for cause, end in self._freezes(declared.region, now)]
        everywhere = {window.name for window in windows}
        for name, tenant in declared.tenants.items():
            if tenant.region not in (None, declared.region):
                windows += [
                    self._freeze(environment, name, cause, end)
                    for cause, end in self._freezes(tenant.region, now)
                    if cause.event not in everywhere
                ]
        return (*windows, *self._maintenance(environment, declared, now))

    def _freezes(self, region: str | None, now: datetime) -> "list[tuple[Occurrence, datetime]]":
        """The freezes in force for that region, each until the first moment without any: who waits, waits once."""
        current = self._calendar.for_region(region or DEFAULT_REGION).in_force(now)
        return [(cause, current.stretches[Kind.FREEZE].end) for cause in current.causes_of(Kind.FREEZE)]

    def _freeze(self, environment: str, tenant: str | None, cause: "Occurrence", end: datetime) -> Window:
        return Window(
            name=cause.event,
            effect=Effect.FREEZE,
            start=cause.start,
            end=end,
            time_zone=cause.zone.key,
            environment=environment,
            tenant=tenant,
        )

    def _maintenance(self, environment: str, declared: "Environment", now: datetime) -> Iterator[Window]:
        weekly = self._estate.changes.gate_of(environment).maintenance
        if weekly is None:
            return
        zone = declared.time_zone or self._estate.calendar.time_zone
        for window in weekly.windows(now, now + _LOOK_AHEAD, ZoneInfo(zone)):
            yield Window(
                name="maintenance",
                effect=Effect.MAINTENANCE,
                start=window.start,
                end=window.end,
                time_zone=zone,
                environment=environment,
            )

    def targets(self, environment: str, kind: str) -> int:
        """See `Rules.targets`. A kind that the estate does not count is one target."""
        declared = self._declared(environment)
        workloads = sum(len(cluster.workloads) for cluster in declared.clusters.values())
        counts = {
            "postgres-server": len(declared.postgres),
            "aks-cluster": len(declared.clusters),
            "aks-node-pool": sum(len(cluster.pools) for cluster in declared.clusters.values()),
            "kubernetes-workload": workloads,
            "kubernetes-job": workloads,
            "storage-account": len(declared.storage),
            "blob-container": sum(len(account.containers) for account in declared.storage.values()),
            "redis": len(declared.redis),
            "odoo": len(declared.odoo),
            "odoo-queue-job": _QUEUE_JOBS * len(declared.odoo),
        }
        return max(1, counts.get(kind, 1))

    def _declared(self, environment: str) -> "Environment":
        try:
            return self._estate.environments[environment]
        except KeyError:
            known = ", ".join(sorted(self._estate.environments))
            raise NotKnownError(f"there is no environment {environment}; the estate declares {known}") from None
