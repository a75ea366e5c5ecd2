"""A signal: what one alert or event says, whoever sent it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum

from shared.job_remediation.symptoms import Symptom

type Fact = str | float


class Source(StrEnum):
    """The format in which it was told."""

    AZURE_MONITOR = "azure-monitor"
    EVENT_GRID = "event-grid"
    ALERTMANAGER = "alertmanager"
    PLAIN = "plain"


class Condition(StrEnum):
    """Whether it says that something is wrong, or that it is no longer."""

    FIRED = "fired"
    RESOLVED = "resolved"


class Severity(IntEnum):
    """Azure Monitor's severities; its number is its name there (`Sev2`)."""

    CRITICAL = 0
    ERROR = 1
    WARNING = 2
    INFORMATIONAL = 3
    VERBOSE = 4


@dataclass(frozen=True, slots=True)
class Target:
    """What it is about, as far as the sender says.

    resource: Azure resource id, in the sender's spelling; for something in Kubernetes that of the cluster.
    cluster: the cluster's name, where only that is known.
    namespace: Kubernetes namespace.
    object: KIND/NAME in it, the kind in lower case, such as `job/dump-29381760`.
    """

    resource: str | None = None
    cluster: str | None = None
    namespace: str | None = None
    object: str | None = None

    def __str__(self) -> str:
        """The Azure resource id, or the Kubernetes path CLUSTER/KIND/NAMESPACE/NAME; empty when nothing is known."""
        if self.namespace is None and self.object is None:
            return self.resource or self.cluster or ""
        cluster = self.cluster or (self.resource or "").rpartition("/")[2]
        kind, _, name = (self.object or "").partition("/")
        return "/".join(part for part in (cluster, kind or "namespace", self.namespace, name) if part)

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for the same target in any case, since Azure's services return one id in several cases."""
        parts = (self.resource or self.cluster, self.namespace, self.object)
        return tuple((part or "").casefold() for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that was told. All times are aware UTC.

    fingerprint: which fault it is about, as 32 hexadecimal digits. What fired and what resolved it have the same, and
        so has every further delivery of either; a later occurrence of the same fault too.
    tenant, environment: whose it is, when the declared estate says so.
    fired_at: since when, by the sender's clock. None only for a resolved signal whose sender does not say it.
    resolved_at: until when; None for a fired signal, and where the sender does not say it.
    alert_id: the alert's Azure resource id, by which it is closed; None for what has none.
    facts: what else may matter to a diagnosis, bounded; numbers as numbers.
    notes: what was odd in it and how it was taken.
    raw: the delivery it came in, as `sha256:` and 64 hexadecimal digits of the body as received.
    """

    source: Source
    condition: Condition
    fingerprint: str
    symptom: Symptom
    title: str
    severity: Severity
    target: Target
    tenant: str | None = None
    environment: str | None = None
    fired_at: datetime | None
    resolved_at: datetime | None = None
    received_at: datetime
    alert_id: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])
    notes: tuple[str, ...] = ()
    raw: str

    @property
    def as_of(self) -> datetime:
        """The instant up to which it speaks.

        A resolved signal whose sender does not say when speaks of what it names itself only: of the time it fired. So
        a copy of it that comes late cannot end a later occurrence.
        """
        return self.resolved_at or self.fired_at or self.received_at


def fingerprint(parts: Iterable[str]) -> str:
    """32 hexadecimal digits for these parts, in this order and in any case; no two lists of parts look the same."""
    joined = b"".join(b"%d:%s" % (len(part), part) for part in (_folded(part) for part in parts))
    return hashlib.sha256(joined).hexdigest()[:32]


def _folded(part: str) -> bytes:
    return part.casefold().encode("utf-8", "surrogatepass")
