"""What the look at the backups says: a finding about one thing, and the line that shows the thing itself."""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.backup_verification.findings import Severity


class BackupFinding(BaseModel):
    """Something wrong with a backup. `subject` is `servers/NAME`, `storage/NAME`, `tenants/NAME/dumps` or such.

    The message holds instants and settings, never ages: while nothing changes it stays the same, and is told once.
    """

    model_config = ConfigDict(frozen=True)

    subject: str
    check: str
    severity: Severity
    message: str
    explanation: str = ""

    @property
    def key(self) -> str:
        """What makes it the same finding an hour later."""
        return f"{self.subject}: {self.check}"

    @property
    def fails(self) -> bool:
        """Whether it is an error or worse."""
        return self.severity in {Severity.ERROR, Severity.CRITICAL}


class Shown(BaseModel):
    """One line of the overview. `newest` is the newest completed backup (or dump, or the instant up to which the
    secondary region has everything), `reaches_back_to` the earliest instant that can be restored."""

    model_config = ConfigDict(frozen=True)

    subject: str
    state: str = ""
    newest: AwareDatetime | None = None
    reaches_back_to: AwareDatetime | None = None


class Told:
    """The findings about one subject, as they are added."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.findings: list[BackupFinding] = []

    def add(self, check: str, severity: Severity, message: str, explanation: str = "") -> None:
        """Add one; a check is told once for a subject."""
        self.findings.append(
            BackupFinding(
                subject=self.subject, check=check, severity=severity, message=message, explanation=explanation
            )
        )


def written(instant: datetime) -> str:
    """An instant (UTC) for people, to the minute."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def in_days(seconds: float) -> str:
    """A length of time for people."""
    hours = seconds / 3600
    return f"{hours:g} h" if hours < 72 else f"{hours / 24:g} d"
