"""Policy of backup verification: what is checked hourly and nightly, and how restores are drilled."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from shared.estate.azure_ids import PostgresServerId, PrivateDnsZoneId, ResourceGroupId, SubnetId
from shared.estate.declared import Declared
from shared.estate.inventory.places import ContainerReference
from shared.estate.policies.recipients import Severity
from shared.estate.secret_references import SecretReference
from shared.estate.values import Duration, Fraction, Host, Percent, Text
from shared.estate.windows import TimeOfDay, WeeklyWindows
from shared.finance_calendar.declaration import Kind, Name


class BackupInventory(Declared):
    """The hourly look at every backup that there is."""

    dump_size_change: Percent = Fraction(0.5)
    """How far a dump's size may be from the median of its own history until that is a finding."""

    writes_without_backup: Duration = timedelta(hours=26)
    """How old the newest backup of a server that is written to may be. Azure makes none of idle servers."""

    secondary_behind: Duration = timedelta(hours=1)
    """How far the secondary region of a storage account may be behind."""


class Anchors(Declared):
    """The nightly look at the live books that drills compare restored books with."""

    at: TimeOfDay = "02:30"
    """When, in the environment's time zone."""

    keep: Duration = timedelta(days=400)
    """How long anchors are kept."""


class DrillKind(StrEnum):
    """What a drill restores from."""

    POINT_IN_TIME = "point-in-time"
    GEO_RESTORE = "geo-restore"
    DUMP = "dump"


class DrillTarget(StrEnum):
    """Which instant a point-in-time drill restores."""

    LATEST = "latest"
    RANDOM = "random"
    BEFORE_EVENT = "before-event"


class DrillNetwork(Declared):
    """Where restored servers are put: a subnet of their own, without a way in from outside."""

    subnet: SubnetId
    """A subnet delegated to flexible servers."""

    dns_zone: PrivateDnsZoneId
    """The private DNS zone in which their names appear."""


class KeptCopies(Declared):
    """Restored copies that people may look at for a while."""

    up_to: Duration
    """How long at most. Then they are removed like any other."""

    neutralise: Literal[True] = True
    """Mail, payments, bank links, crons and jobs are switched off first, and that is proven. It cannot be declined."""


class Drills(Declared):
    """Restore drills. How often each server's turn comes is said by its tier."""

    resource_group: ResourceGroupId
    """Where restored servers are created; nothing else may be in it, and no lock may be on it."""

    network: DrillNetwork | None = None
    """Where restored servers are reached. Without it they get a public address that only the app is let in to."""

    paired_network: DrillNetwork | None = None
    """The same in the paired region, for geo-restores."""

    at_once: Annotated[int, Field(ge=1, le=50)] = 1
    """The most restored servers at a time."""

    not_during: tuple[Kind, ...] = (Kind.PEAK, Kind.FREEZE)
    """What of the finance calendar keeps drills from starting."""

    within: WeeklyWindows | None = None
    """When drills may start, in the time zone of the server's environment. Without it at any time."""

    kinds: tuple[DrillKind, ...] = (DrillKind.POINT_IN_TIME,)
    """What is drilled, in turn."""

    targets: tuple[DrillTarget, ...] = (DrillTarget.LATEST, DrillTarget.RANDOM)
    """Which instants are restored, in turn."""

    target_events: tuple[Name, ...] = ()
    """For `before-event`: the calendar events just before which the restored instant is."""

    always_before: Mapping[Name, Duration] = {}
    """Calendar events before which every server is drilled, and how long before, such as year-end: 10d."""

    time_limit: Duration = timedelta(hours=6)
    """A drill that takes longer has failed, and is torn down."""

    cost_limit: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """The most that one drill may cost, in the currency of `rates`. A dearer one does not begin."""

    documents: Literal["sample", "full"] = "sample"
    """Whether a sample of the attachments is read and hashed, or every one. All are looked for in either case."""

    sample_size: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """How many attachments a sample is."""

    secondary_documents: bool = False
    """Whether attachments are looked for in the secondary region too."""

    self_test_every: Annotated[int, Field(ge=1, le=1000)] | None = None
    """In every n-th drill known faults are put into the copy after the verdict; the checks must find them."""

    keep_copies: KeptCopies | None = None
    """Whether people may keep a restored copy. Without it every copy is removed at once."""


class DumpLevel(StrEnum):
    """How far a dump is checked. Each level includes the ones before it."""

    LISTED = "listed"
    CHECKSUM = "checksum"
    DECODED = "decoded"
    RESTORED = "restored"


class Dumps(Declared):
    """Dumps of single databases in Blob."""

    document_class: Name
    """The class of documents that dumps are."""

    level: DumpLevel = DumpLevel.DECODED
    """How far every new dump is checked."""

    restore_every: Duration | None = None
    """How often one dump of each tenant is restored wholly, when `level` is less."""

    scratch: PostgresServerId | None = None
    """The server that dumps are restored on; never one that is declared in an environment."""

    key: SecretReference | None = None
    """Where the key of encrypted dumps is kept."""


def _reads_only(sql: str) -> str:
    statement = re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL).strip().rstrip(";").strip()
    if ";" in re.sub(r"'(?:[^']|'')*'", "", statement):
        raise ValueError("is more than one statement; an assertion is a single select")
    if not re.match(r"(select|with|table|values)\b", statement, re.IGNORECASE):
        raise ValueError("is not a query; an assertion is a single select")
    return sql


class Assertion(Declared):
    """A query of your own that must hold in every restored database. It runs read-only."""

    sql: Annotated[str, StringConstraints(min_length=1, max_length=20000), AfterValidator(_reads_only)]
    """A single select."""

    expect: Literal["no rows", "rows", "same as anchor"] = "no rows"
    """What makes it true: it returns nothing; it returns something; it returns what it returned on the live database
    when the anchor was taken."""

    tenants: tuple[Name, ...] = ()
    """The tenants whose databases it is for; empty is all."""

    severity: Severity = Severity.ERROR
    """How much it matters when it does not hold."""

    time_limit: Duration = timedelta(seconds=30)
    """How long the query may take."""


class Accepted(Declared):
    """A finding that is known and accepted, so that drills are red for what is new only."""

    check: Text
    """The check's name, as findings show it."""

    why: Text
    """Why it is accepted, and by whom."""

    tenants: tuple[Name, ...] = ()
    """In whose databases; empty is in all."""

    until: date
    """The last day of the acceptance."""


class RecoveryHost(Declared):
    """A name that users type, after the recovery."""

    host: Host
    """The name."""

    target: Host
    """What it must lead to in the paired region."""

    certificate_left: Duration = timedelta(days=14)
    """How long its certificate must be valid still."""


class RecoveryRunbook(Declared):
    """A rehearsal of the recovery into the paired region: its steps are walked, timed and reported."""

    every: Duration = timedelta(days=183)
    """How often it is rehearsed."""

    manifests: ContainerReference | None = None
    """Where the export of the repository with the Kubernetes manifests is, as ACCOUNT/CONTAINER."""

    objects: tuple[Text, ...] = ()
    """Objects that the manifests must contain, as KIND/NAMESPACE/NAME."""

    vault: Name | None = None
    """The Key Vault of the paired region."""

    secret_names: tuple[Name, ...] = ()
    """Secrets that must be in it. Their values are never read."""

    hosts: tuple[RecoveryHost, ...] = ()
    """Names, certificates and where they lead."""


class BackupVerification(Declared):
    """Backup verification."""

    inventory: BackupInventory = BackupInventory()
    """The hourly look at every backup."""

    anchors: Anchors = Anchors()
    """The nightly look at the live books."""

    drills: Drills
    """Restore drills."""

    dumps: Dumps | None = None
    """Dumps in Blob."""

    assertions: Mapping[Name, Assertion] = {}
    """Queries of your own that must hold in restored databases."""

    accepted: Mapping[Name, Accepted] = {}
    """Findings that are known and accepted."""

    recovery: Mapping[Name, RecoveryRunbook] = {}
    """Rehearsals of the regional recovery, by environment."""
