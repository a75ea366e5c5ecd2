"""The report of a drill, as a controller hands it to an auditor: what the drill found, who was told, and the proof.

The JSON form is `DrillDocument`; the HTML form is one page without anything from elsewhere, to be read and printed.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from shared.backup_verification import anchor_comparison, checks
from shared.backup_verification.books import HASH_CHAIN, Books
from shared.backup_verification.coverage import Covered
from shared.backup_verification.documents.report import CHECKS as DOCUMENT_CHECKS
from shared.backup_verification.drill import DrillReport, Outcome, Phase
from shared.backup_verification.findings import Finding, Severity
from shared.backup_verification.registry import EvidenceReference
from shared.estate.policies.recipients import Severity as EventSeverity
from shared.estate.policies.recipients import Topic
from shared.evidence.log import Proof, Seal

if TYPE_CHECKING:
    from shared.estate.estate import Estate

_PHASES = {
    Phase.ACCEPTED: "Azure accepted the request",
    Phase.READY: "the server is ready",
    Phase.CONFIGURED: "what a restore does not carry is set",
    Phase.RESOLVED: "its name resolves",
    Phase.ANSWERED: "first good answer",
    Phase.VERIFIED: "the books are checked",
    Phase.REMOVED: "the copy is gone",
}
_EXPLANATIONS = {check.name: check.explanation for check in checks.ALL} | dict(anchor_comparison.EXPLANATIONS)
_OTHER_EXPLANATIONS = {
    "ledger present": "The tables of Odoo's accounting came back.",
    HASH_CHAIN: "Every sealed entry still has the hash that Odoo gave it, after the hash of the entry before it.",
    "newest write": "The newest business write in the copy is at most the RPO older than what the live database had.",
} | dict(
    zip(
        DOCUMENT_CHECKS,
        (
            "Every document that the database refers to is in its container.",
            "A document has the size and the SHA-1 that were stored with it.",
            "Every attachment is stored in a way that a declared container is.",
            "What was written before the secondary region's last synchronisation is there.",
        ),
        strict=True,
    )
)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Recipient(_Model):
    """A group of people by the estate's name for it, and who that is."""

    name: str
    who: str


class Told(_Model):
    """The event that told of the drill, and who is told of such events by that version of the estate."""

    event: str
    topic: str
    severity: str
    recipients: tuple[Recipient, ...]
    estate_version: str


class Sealed(_Model):
    """The proof of the record in the evidence, and the seal that it leads to."""

    proof: Proof
    seal: Seal
    seal_sha256: str


class DrillDocument(_Model):
    """Everything that the report says. Without `sealed` the record waits for the next seal; without `told` no estate is
    in force that says who is told."""

    report: DrillReport
    evidence: EvidenceReference
    told: Told | None
    sealed: Sealed | None
    coverage: tuple[Covered, ...] = ()
    """What is proven until when in the drill's environment, as of when the report was asked for."""


def told(report: DrillReport, estate: "Estate") -> Told:
    """Who is told of this drill by an estate: who is named for the environment or a tenant, as they wish to be."""
    severity = _severity(report)
    environment = estate.environments.get(report.environment)
    named: set[str] = set()
    if environment is not None:
        named.update(environment.recipients)
        for books in report.books:
            if tenant := environment.tenants.get(books.tenant):
                named.update(tenant.recipients)
    order = list(EventSeverity)
    recipients = tuple(
        Recipient(name=name, who=recipient.who)
        for name, recipient in estate.recipients.items()
        if (name in named or report.environment in recipient.environments)
        and (not recipient.topics or Topic.DRILLS in recipient.topics)
        and order.index(severity) >= order.index(recipient.at_least)
    )
    return Told(
        event=report.id,
        topic=Topic.DRILLS,
        severity=severity,
        recipients=recipients,
        estate_version=estate.version,
    )


def _severity(report: DrillReport) -> EventSeverity:
    if report.outcome is Outcome.PASSED:
        return EventSeverity.INFORMATION
    worst = {finding.severity for books in report.books for finding in books.findings}
    return EventSeverity.CRITICAL if Severity.CRITICAL in worst else EventSeverity.ERROR


class _Step(NamedTuple):
    """A phase: what was reached, when, how long it took, how long after the request; shares are of the whole."""

    name: str
    at: datetime
    took: float
    since_request: float
    begins: float
    share: float
    counts: bool


class _CheckLine(NamedTuple):
    """One check of one database: how it ended (`held`, `accepted`, `noted`, or the severity) and what must hold."""

    name: str
    result: str
    explanation: str


def render(document: DrillDocument) -> str:
    """The page, as HTML text."""
    from jinja2 import Environment, StrictUndefined

    source = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["time"] = _time
    environment.filters["span"] = _span
    environment.filters["number"] = "{:,}".format
    report = document.report
    return environment.from_string(source).render(
        document=document,
        report=report,
        passed=report.outcome is Outcome.PASSED,
        steps=_steps(report),
        tenants=sorted({books.tenant for books in report.books}),
        checks_run=sum(len(books.checks) for books in report.books),
        failing=[finding for books in report.books for finding in books.findings if finding.fails],
        check_lines={books.database: _check_lines(books) for books in report.books},
        findings={books.database: _by_weight(books.findings) for books in report.books},
        bars=_bars(report),
    )


def _steps(report: DrillReport) -> list[_Step]:
    """The phases in the order in which they were reached."""
    begun = report.phases.get(Phase.REQUESTED)
    if begun is None:
        return []
    reached = sorted((at, list(Phase).index(phase), phase) for phase, at in report.phases.items() if phase in _PHASES)
    whole = max((reached[-1][0] - begun).total_seconds(), 0.001) if reached else 1.0
    steps: list[_Step] = []
    before = begun
    for at, _, phase in reached:
        begins, took = (before - begun).total_seconds(), (at - before).total_seconds()
        steps.append(
            _Step(
                name=_PHASES[phase],
                at=at,
                took=took,
                since_request=(at - begun).total_seconds(),
                begins=round(100 * begins / whole, 2),
                share=round(100 * took / whole, 2),
                counts=list(Phase).index(phase) <= list(Phase).index(Phase.ANSWERED),
            )
        )
        before = at
    return steps


def _check_lines(books: Books) -> list[_CheckLine]:
    worst = {finding.check: finding.severity for finding in reversed(_by_weight(books.findings))}
    accepted = {each.check for each in books.accepted}
    explanations = _EXPLANATIONS | _OTHER_EXPLANATIONS
    return [
        _CheckLine(
            name=name,
            result=worst.get(name, "accepted" if name in accepted else "held"),
            explanation=explanations.get(name, ""),
        )
        for name in books.checks
    ]


def _by_weight(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: -list(Severity).index(finding.severity))


class _Bar(NamedTuple):
    """One drill in the trend: its height is of the larger of all times and the objective, in percent."""

    at: datetime
    seconds: float
    passed: bool
    height: float


def _bars(report: DrillReport) -> Sequence[_Bar]:
    times = [
        (drill.at, drill.rto_seconds, drill.passed)
        for drill in (report.trend.earlier if report.trend else ())
        if drill.rto_seconds is not None
    ]
    if report.rto_seconds is not None:
        times.append((report.concluded_at, report.rto_seconds, report.outcome is Outcome.PASSED))
    highest = max((seconds for _, seconds, _ in times), default=0.0)
    return [
        _Bar(at, seconds, passed, round(100 * seconds / highest, 1) if highest else 0) for at, seconds, passed in times
    ]


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _span(seconds: float | timedelta) -> str:
    """A length of time for people: two units, and tenths of a second below ten."""
    left = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if abs(left) < 10:
        return f"{left:.1f} s"
    if abs(left) < 60:
        return f"{left:.0f} s"
    minutes, rest = divmod(round(left), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"
