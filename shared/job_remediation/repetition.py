"""Whether a job may be repeated: its declared class, the proof that it was not applied already, and the freeze."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.estate.policies.job_remediation import Job, JobClass

_UNDECLARED = Job(repeat=JobClass.C)


class Applied(StrEnum):
    """What the probe says about the attempt that failed."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """There is no probe, or it could not be asked."""


class Permission(StrEnum):
    """What may be done about a failed job."""

    REPEAT = "repeat"
    APPROVAL = "approval"
    """By the word of a person who sees the proof."""
    NEVER = "never"
    """Not by a machine, whoever approves."""
    NEEDLESS = "needless"
    """It was applied already."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether a job may be repeated, and why, in one sentence."""

    permission: Permission
    why: str


def job_of(jobs: Mapping[str, Job], name: str) -> Job:
    """What is declared for a job by its name; the longest pattern that fits wins. A job that nothing names is C."""
    fitting = [pattern for pattern in jobs if _fits(pattern, name)]
    return jobs[max(fitting, key=len)] if fitting else _UNDECLARED


def rule(job: Job, applied: Applied, *, frozen: bool, ambiguous: bool) -> Ruling:
    """Whether the job may be repeated.

    frozen: a freeze of the finance calendar is in force. ambiguous: nobody knows how the failed attempt ended.
    """
    if job.repeat is JobClass.D:
        return Ruling(Permission.NEVER, "a job of class D is never repeated by a machine")
    if applied is Applied.YES:
        return Ruling(Permission.NEEDLESS, "the probe says that it was applied")
    if job.repeat is JobClass.A:
        return Ruling(Permission.REPEAT, "a job of class A may be repeated at will")
    if job.repeat is JobClass.C:
        return Ruling(Permission.APPROVAL, "a job of class C is repeated by approval only")
    if frozen and job.changes_ledger:
        return Ruling(Permission.APPROVAL, "it changes the ledger, and in a freeze class B counts as C")
    if applied is Applied.UNKNOWN:
        return Ruling(Permission.APPROVAL, "nothing proves that it was not applied, so class B counts as C")
    if ambiguous:
        return Ruling(Permission.APPROVAL, "its attempt may still be taking effect, so class B counts as C")
    return Ruling(Permission.REPEAT, "a job of class B may be repeated, since the probe says that it was not applied")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is declared of a job and in force now. frozen: see `rule`."""

    job: Job
    frozen: bool


def objection(standing: Standing, applied: Applied, *, ambiguous: bool, approved: bool, proven: bool) -> str:
    """Why what was permitted when it was planned may not be done any more, just before it is done; empty when it may.

    approved: a person agreed to it. proven: that the job was not applied was known when it was planned.
    """
    ruling = rule(standing.job, applied, frozen=standing.frozen, ambiguous=ambiguous)
    if ruling.permission in (Permission.NEVER, Permission.NEEDLESS):
        return f"{ruling.why}: left alone"
    if ruling.permission is Permission.APPROVAL and not approved:
        return f"by now it needs an approval: {ruling.why}"
    if proven and applied is Applied.UNKNOWN:
        return "it was known not to be applied when it was planned, and by now the probe cannot tell: left alone"
    return ""


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
