"""One verification of one dump: what was asked, what is planned, what was found, and the verdict. Times aware UTC."""

import hashlib
from collections.abc import Sequence
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.books import Books
from shared.backup_verification.dumps.content import Content
from shared.backup_verification.dumps.damage import Damage
from shared.backup_verification.dumps.levels import Level
from shared.backup_verification.findings import Finding, Severity

SCRATCH_PREFIX = "closekeeper_dump_"
"""What every scratch database's name begins with. Nothing else is ever dropped."""


_WRITTEN_ANEW = ("anchor: schema", "anchor: collation and extensions", "collation is the one of the indexes")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DumpPlan(_Model):
    """Everything that the verification needs, fixed before its first act.

    `tenant` and `database` are empty when the dump's name does not say whose it is. `key` is a reference, never a key.
    """

    id: str
    environment: str
    tenant: str
    database: str
    container_url: str
    dump: str
    signature: str
    manifest: str
    size: int
    last_modified: AwareDatetime
    level: Level
    key: str
    scratch_id: str
    scratch_database: str
    requested_at: AwareDatetime
    estate_version: str


class Restored(_Model):
    """What pg_restore and the scratch server said. `absent_roles` and `absent_extensions` are named by the dump, and
    the scratch server does not have them."""

    complaints: tuple[str, ...] = ()
    errors: int = 0
    absent_roles: tuple[str, ...] = ()
    absent_extensions: tuple[str, ...] = ()
    seconds: float = 0.0


class Outcome(StrEnum):
    """The verdict."""

    PASSED = "passed"
    FAILED = "failed"


class DumpReport(_Model):
    """What became of one verification. `level` is the level that was reached, None when not even a listing was."""

    id: str
    environment: str
    tenant: str
    database: str
    container_url: str
    dump: str
    size: int
    last_modified: AwareDatetime
    wanted: Level
    level: Level | None
    outcome: Outcome
    damage: Damage | None
    failures: tuple[str, ...]
    findings: tuple[Finding, ...]
    content: Content
    restored: Restored | None
    books: Books | None
    dropped: bool
    """Whether the scratch database is proven to be gone; also when there was none."""
    estate_version: str
    requested_at: AwareDatetime
    concluded_at: AwareDatetime


def dump_id(environment: str, tenant: str, container_url: str, dump: str, signature: str, level: str, key: str) -> str:
    """The verification's id, its orchestration's instance id too: the same bytes to the same level are one
    verification. `key` sets those apart that are asked for by hand or by a drill."""
    digest = hashlib.sha256("\0".join([container_url, dump, signature, level, key]).encode()).hexdigest()[:20]
    return f"dump:{environment}:{tenant or '-'}:{digest}"


def scratch_name(verification: str) -> str:
    """The scratch database's name, derived from the id, so that asking twice asks for the same one."""
    return SCRATCH_PREFIX + hashlib.sha256(verification.encode()).hexdigest()[:20]


def conclude(
    plan: DumpPlan,
    content: Content,
    restored: Restored | None,
    books: Books | None,
    failures: Sequence[str],
    dropped: bool,
    concluded_at: AwareDatetime,
) -> DumpReport:
    """The verdict: a dump passes when it reached the wanted level, and nothing that fails was found in it."""
    found = [*content.failures, *failures]
    damage = content.damage
    level = content.level
    findings: list[Finding] = []
    if content.level is not None and content.level is not Level.LISTED and not content.checksum:
        findings.append(
            _finding(
                "checksum",
                Severity.WARNING,
                "no checksum was stored with the dump: a changed table of contents would pass unseen",
                "Store DUMP.sha256 beside it as sha256sum writes it, or the blob's metadata sha256.",
            )
        )
    if restored is not None:
        findings.extend(_of_restore(restored))
        if restored.errors:
            damage = damage or Damage.RESTORE_FAILED
            found.append(f"pg_restore reported {restored.errors} errors: {restored.complaints[0]}")
        elif books is not None:
            level = Level.RESTORED
    if books is not None:
        found.extend(f"{finding.check}: {finding.message}" for finding in books.findings if finding.fails)
    if not found and (level is None or not level.reaches(plan.level)):
        why = " since no checksum was stored with it" if plan.level is Level.CHECKSUM else ""
        found.append(f"{plan.level} was asked for, and {level or 'nothing'} was reached{why}")
    if not dropped:
        found.append("the scratch database's absence is not proven: the reaper goes on trying")
    return DumpReport(
        id=plan.id,
        environment=plan.environment,
        tenant=plan.tenant,
        database=plan.database or content.database,
        container_url=plan.container_url,
        dump=plan.dump,
        size=plan.size,
        last_modified=plan.last_modified,
        wanted=plan.level,
        level=level,
        outcome=Outcome.FAILED if found else Outcome.PASSED,
        damage=damage,
        failures=tuple(found),
        findings=tuple(findings),
        content=content,
        restored=restored,
        books=books,
        dropped=dropped,
        estate_version=plan.estate_version,
        requested_at=plan.requested_at,
        concluded_at=concluded_at,
    )


def written_anew(books: Books) -> Books:
    """The books of a logical restore: PostgreSQL writes definitions in its own words again, and the scratch server has
    its own collation, so that a difference in these is for people to judge."""
    return books.model_copy(
        update={
            "findings": tuple(
                finding.model_copy(update={"severity": Severity.WARNING})
                if finding.check in _WRITTEN_ANEW and finding.fails
                else finding
                for finding in books.findings
            )
        }
    )


def _of_restore(restored: Restored) -> list[Finding]:
    findings: list[Finding] = []
    if restored.absent_roles:
        findings.append(
            _finding(
                "roles",
                Severity.NOTE,
                f"the dump names roles that the scratch server does not have: {', '.join(restored.absent_roles)}",
                "A dump of one database holds no roles: a recovery creates them first, then restores.",
            )
        )
    if restored.absent_extensions:
        findings.append(
            _finding(
                "extensions",
                Severity.WARNING,
                f"the dump needs extensions that the scratch server cannot create: "
                f"{', '.join(restored.absent_extensions)}",
                "Allow them in azure.extensions there, as they must be where a recovery restores to.",
            )
        )
    return findings


def _finding(check: str, severity: Severity, message: str, explanation: str) -> Finding:
    return Finding(check=check, message=message, severity=severity, explanation=explanation)
