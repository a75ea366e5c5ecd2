"""Policy of job remediation: which jobs may be repeated, within which limits, and when a human is asked."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from shared.estate.declared import Declared, fitting
from shared.estate.inventory.postgres import RoleName
from shared.estate.secret_references import SecretReference
from shared.estate.values import ByteCount, Duration, Fraction, Percent, Size, Text
from shared.finance_calendar.declaration import Name

JobName = Annotated[
    str,
    fitting(
        r"[A-Za-z0-9_./-]{1,200}\*?", "name of a job", "account.move._autopost_draft_entries", "cronjob/odoo/dump*"
    ),
]


class JobClass(StrEnum):
    """Whether a job may be repeated: A at will, B after a check that it was not applied, C with an approval and the
    proof attached, D never by a machine.
    """

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Job(Declared):
    """Whether a finance job may be repeated, and who knows about it."""

    repeat: JobClass
    """A: at will. B: after a check that it was not applied. C: with an approval. D: never by a machine."""

    changes_ledger: bool = True
    """Whether it changes the books. In a freeze B becomes C for jobs that do."""

    proof: Name | None = None
    """The probe that tells whether it was applied already, by its name in `probes`. B needs one."""

    owner: Name | None = None
    """The recipient who is asked about it."""


class Probe(Declared):
    """A query that tells whether a job was applied already. It runs read-only on the tenant's database."""

    sql: Text
    """A single select. %(job)s is the record that the job is about."""

    applied_when: Literal["rows", "no rows"] = "rows"
    """What it returns when the job was applied."""


class Playbooks(Declared):
    """Which playbooks are used."""

    disabled: tuple[Name, ...] = ()
    """Shipped playbooks that are not used."""

    propose_only: tuple[Name, ...] = ()
    """Playbooks that diagnose and propose, and never act."""

    own: tuple[Text, ...] = ()
    """Files, folders or patterns of your own playbooks, from the estate's file; tested by `make playbook-test`."""


class Storm(Declared):
    """When so much is wrong that single repairs would make it worse."""

    share: Percent = Fraction(0.3)
    """The share of an environment's declared targets of one kind (workloads, databases, servers) that is faulty at
    once, at least three of them."""

    signals: Annotated[int, Field(ge=2, le=100_000)] = 10
    """Or so many signals of different faults within 5 minutes."""

    cool_down: Duration = timedelta(minutes=30)
    """How long nothing is repaired then; one incident is told."""


class Sessions(Declared):
    """When a blocking PostgreSQL session is ended."""

    idle_in_transaction: Duration = timedelta(minutes=10)
    """How long it was idle in its transaction."""

    waiting: Duration = timedelta(minutes=1)
    """And how long another one has waited for it."""

    idle_in_transaction_tight: Duration = timedelta(minutes=3)
    """The same, while the finance calendar tightens."""

    waiting_tight: Duration = timedelta(seconds=30)
    """The same, while the finance calendar tightens."""

    one_in: Duration = timedelta(seconds=30)
    """Of one server, one session is ended in so long, so that what follows can be seen."""

    protected_users: tuple[RoleName, ...] = ()
    """Roles whose sessions are never ended. Those of the platform and of replication never are."""

    protected_applications: tuple[Text, ...] = ("pg_dump", "pg_restore", "pgbackrest")
    """Application names whose sessions are never ended."""


class Memory(Declared):
    """The one raise of memory that an OOM-killed job gets."""

    factor: Annotated[float, Field(gt=1, le=4)] = 1.5
    """How many times as much."""

    most: Size = ByteCount(8 * 1024**3)
    """Never more than this."""


class Webhook(Declared):
    """A tool that sends alerts by a signed webhook."""

    format: Literal["alertmanager", "plain"]
    """What it sends."""

    key: SecretReference
    """Where the key is kept with which it signs (HMAC-SHA256)."""


class JobRemediation(Declared):
    """Job remediation."""

    jobs: Mapping[JobName, Job] = {}
    """Finance jobs by MODEL.METHOD of Odoo, or by cronjob/NAMESPACE/NAME; * at the end fits any ending, and the longest
    name that fits wins. A job that is not named is C."""

    probes: Mapping[Name, Probe] = {}
    """Queries that tell whether a job was applied already."""

    playbooks: Playbooks = Playbooks()
    """Which playbooks are used."""

    stabilise: Duration = timedelta(minutes=10)
    """How long the world must stay well until a repair counts as verified."""

    reconcile_every: Duration = timedelta(minutes=10)
    """How often faults are looked for that no alert told of."""

    cron_overdue: Duration = timedelta(minutes=30)
    """How late an Odoo cron may be."""

    queue_stuck: Duration = timedelta(minutes=30)
    """How long a queue job may be started or enqueued without a worker that has it."""

    canary: Annotated[int, Field(ge=1, le=100)] = 1
    """How many failed queue jobs of one cause are tried before the rest."""

    storm: Storm = Storm()
    """When nothing is repaired any more."""

    sessions: Sessions = Sessions()
    """When a blocking PostgreSQL session is ended."""

    memory: Memory = Memory()
    """The one raise of memory that an OOM-killed job gets."""

    keep_deliveries: Duration = timedelta(days=90)
    """How long what was sent is kept as it came. What was done about it is evidence, and is kept as evidence is."""

    webhooks: Mapping[Name, Webhook] = {}
    """Other tools that send alerts. Azure's own need no declaration."""

    escalate_after: Duration = timedelta(minutes=30)
    """How long until a fault that is not repaired goes to a human, with the diagnosis."""
