"""What an environment allows. The declared estate is mapped onto this; the gate knows nothing else of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from shared.identity import Role
from shared.risk import Risk


class OverrideKind(StrEnum):
    """What an operator can set aside for a while."""

    KEEP_AWAKE = "keep-awake"
    PAUSE = "pause"
    MUTE = "mute"


@dataclass(frozen=True)
class Budget:
    """At most `limit` attempts in any stretch of time as long as `window`."""

    limit: int
    window: timedelta


@dataclass(frozen=True)
class BreakerRule:
    """Open for `open_for` after `failures` consecutive failures; then one probe, which has `probe_for` to report."""

    failures: int = 3
    open_for: timedelta = timedelta(hours=1)
    probe_for: timedelta = timedelta(hours=2)


@dataclass(frozen=True)
class Limits:
    """How many changes may act at once: per target, in the environment, and as a share (0 to 1) of its targets.

    `share` never forbids the first target, so an environment of one can be served.
    """

    per_target: int = 1
    per_environment: int = 10
    share: float = 0.25
    lease: timedelta = timedelta(hours=1)
    """How long a place is held by a change of which nothing is heard, which may still be acting: an outage of the app
    that is shorter than this lets nobody else onto its target."""


@dataclass(frozen=True)
class RetryRule:
    """Exponential backoff: `first`, doubled each time up to `longest`, at most `attempts` tries that may have acted."""

    first: timedelta = timedelta(seconds=10)
    longest: timedelta = timedelta(minutes=5)
    attempts: int = 3


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules of one environment. The defaults are the cautious ones.

    enabled_automations: None enables all.
    freeze_holds: risks that a freeze holds back.
    emergency_classes: emergency classes of changes that may act in a freeze; none unless declared.
    exception_ticket: a regular expression that the whole ticket must fit.
    maintenance_only: risks that may act only inside a declared maintenance window.
    longest_wait: a change that would have to wait longer is refused, so that it is planned anew from fresh facts.
    keep_awake_blocks: action classes that a keep-awake holds back.
    """

    enabled_automations: frozenset[str] | None = None
    forbidden_classes: frozenset[str] = frozenset()
    approval_for_risks: frozenset[Risk] = frozenset({Risk.IRREVERSIBLE, Risk.FINANCIAL})
    approval_for_classes: frozenset[str] = frozenset()
    approver_role: Role = Role.APPROVER
    approval_lifetime: timedelta = timedelta(hours=4)
    freeze_holds: frozenset[Risk] = frozenset(Risk)
    emergency_classes: frozenset[str] = frozenset()
    exception_longest: timedelta = timedelta(hours=24)
    exception_most_uses: int = 3
    exception_ticket: str = ".+"
    maintenance_only: frozenset[Risk] = frozenset()
    longest_wait: timedelta = timedelta(hours=12)
    keep_awake_blocks: frozenset[str] = frozenset({"sleep"})
    override_longest: Mapping[OverrideKind, timedelta] = field(
        default_factory=lambda: {
            OverrideKind.KEEP_AWAKE: timedelta(days=3),
            OverrideKind.PAUSE: timedelta(days=7),
            OverrideKind.MUTE: timedelta(hours=24),
        }
    )
    attempts_per_target: Budget = Budget(3, timedelta(hours=24))
    attempts_per_class: Budget = Budget(100, timedelta(hours=24))
    breaker: BreakerRule = BreakerRule()
    limits: Limits = Limits()
    retry: RetryRule = RetryRule()
    recheck: timedelta = timedelta(minutes=5)
    """How often a waiting change looks again, beside being woken: a lost wake-up costs at most this."""
    busy_recheck: timedelta = timedelta(seconds=20)
    """How soon a change looks again that waits for a place."""
    verify_every: timedelta = timedelta(seconds=15)
    redelivery_grace: timedelta = timedelta(minutes=10)
    """How long one delivery of an act is left alone before another may take it over. Not shorter than the
    host's function timeout, or two deliveries could act at the same time."""
    dry_run: bool = False
