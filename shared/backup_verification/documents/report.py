"""What was found of a database's documents, as numbers and as findings."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from shared.backup_verification.findings import Fault, Finding, Severity, finding

CHECKS = ("documents: present", "documents: content", "documents: declared", "documents: secondary region")
_NAMED = 20


class Faults(BaseModel):
    """Faults of one kind: how many, and the first of them by the attachment's id.

    The blobs' names stay in memory: people name documents after people, and evidence is for ever.
    """

    count: int = 0
    first: tuple[int, ...] = ()
    names: tuple[str, ...] = Field(default=(), exclude=True, repr=False)

    def add(self, id: int, name: str) -> "Faults":
        """One more."""
        return self.plus(Faults(count=1, first=(id,), names=(name,)))

    def plus(self, other: "Faults") -> "Faults":
        """Those of both."""
        return Faults(
            count=self.count + other.count,
            first=(self.first + other.first)[:_NAMED],
            names=(self.names + other.names)[:_NAMED],
        )


class Documents(BaseModel):
    """The documents of one database. Sizes in bytes.

    `recoverable`: deleted or replaced since, and soft delete or a version still has them. `unproven`: nothing in the
    database says what their content should be. `orphans`: blobs that no row refers to, None where others share the
    container. `seed` draws the sample again. `unread`: what time did not allow to read.
    """

    model_config = ConfigDict(frozen=True)

    rows: int = 0
    files: int = 0
    bytes: int = 0
    read: int = 0
    read_bytes: int = 0
    unread: int = 0
    unproven: int = 0
    orphans: int | None = None
    seed: str = ""
    missing: Faults = Field(default_factory=Faults)
    recoverable: Faults = Field(default_factory=Faults)
    wrong_size: Faults = Field(default_factory=Faults)
    changed: Faults = Field(default_factory=Faults)
    undeclared: int = 0
    secondary_files: int | None = None
    secondary_missing: Faults = Field(default_factory=Faults)
    secondary_pending: int = 0
    problems: tuple[str, ...] = ()
    """What could not be looked at."""


def findings(documents: Documents) -> Iterator[Finding]:
    """What is wrong, each kind by its own word."""
    yield from _of(
        documents.missing,
        CHECKS[0],
        Severity.CRITICAL,
        "documents that are gone",
        "Every document of the database is in its container.",
    )
    yield from _of(
        documents.recoverable,
        CHECKS[0],
        Severity.WARNING,
        "documents that were deleted since and can be recovered",
        "A recovery to this instant has to undelete them: soft delete or versioning still has them.",
    )
    yield from _of(
        documents.wrong_size,
        CHECKS[1],
        Severity.CRITICAL,
        "documents of another size than the database says",
        "A document has the size that was stored with it.",
    )
    yield from _of(
        documents.changed,
        CHECKS[1],
        Severity.CRITICAL,
        "documents whose content is another",
        "A document has the SHA-1 that was stored with it.",
    )
    if documents.undeclared:
        yield Finding(
            check=CHECKS[2],
            message=f"{documents.undeclared} attachments are stored in a way that no declared container is",
            severity=Severity.ERROR,
            explanation="Declare the container in the tenant's `documents`, with its `layout`.",
            count=documents.undeclared,
        )
    yield from _of(
        documents.secondary_missing,
        CHECKS[3],
        Severity.ERROR,
        "documents that are not in the secondary region",
        "What was written before the secondary's last synchronisation is there.",
    )
    if documents.secondary_pending:
        yield Finding(
            check=CHECKS[3],
            message=f"{documents.secondary_pending} documents are newer than the secondary's last synchronisation",
            severity=Severity.NOTE,
            count=documents.secondary_pending,
        )
    if documents.unread:
        yield Finding(
            check=CHECKS[1],
            message=f"{documents.unread} documents that were chosen could not be read in the time that there is",
            severity=Severity.WARNING,
            explanation="Read a smaller sample, or allow more by DOCUMENT_SECONDS and functionTimeout.",
            count=documents.unread,
        )
    for problem in documents.problems:
        yield Finding(check=CHECKS[0], message=problem, severity=Severity.ERROR)


def _of(faults: Faults, check: str, severity: Severity, complaint: str, explanation: str) -> Iterator[Finding]:
    if faults.count:
        named = [Fault(id, f"attachment {id}", str(id)) for id in faults.first]
        made = finding(check, severity, complaint, explanation, named)
        more = f" and {faults.count - len(named)} more" if faults.count > len(named) else ""
        yield made.model_copy(update={"count": faults.count, "message": made.message + more})
