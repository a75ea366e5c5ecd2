"""What a live database says of its own writes and of its log, beside Azure's list of backups. Read-only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

from shared.backup_verification.database import Database
from shared.backup_verification.inventory.servers import Archiving, LiveAnswers, Span, Unsaved

_BUSINESS: tuple[LiteralString, ...] = ("account_move", "account_payment", "ir_attachment", "res_partner")
_STAMPED: LiteralString = """
    select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'write_date'
    where c.relkind in ('r', 'p') and c.relnamespace = to_regnamespace('public')"""
_ARCHIVER: LiteralString = "select last_archived_time, last_failed_time from pg_stat_archiver"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one database answered."""

    unsaved: tuple[Unsaved, ...]
    archiving: Archiving


def ask(database: Database, spans: Sequence[Span], now: datetime) -> Answer:
    """Ask for writes in the spans that no backup took up, and how the log leaves the server.

    The server's own statistics of archiving say nothing before the first segment, or where the service archives by
    other means: then nothing is concluded.
    """
    writes = ((span, oldest_write(database, span.after, span.until)) for span in spans)
    unsaved = tuple(Unsaved(span, at) for span, at in writes if at is not None)
    ((last, failed),) = database.rows(_ARCHIVER)
    waiting = oldest_write(database, last, now) if last is not None else None
    return Answer(unsaved, Archiving(last, failed, waiting))


def together(answers: Sequence[Answer], unreadable: Mapping[str, str]) -> LiveAnswers:
    """What the databases of one server say together: of each span and of the log, the oldest write counts."""
    oldest: dict[Span, datetime] = {}
    archiving = Archiving()
    for answer in answers:
        for each in answer.unsaved:
            oldest[each.span] = min(each.write, oldest.get(each.span, each.write))
        waits = [at for at in (archiving.waiting, answer.archiving.waiting) if at is not None]
        archiving = Archiving(answer.archiving.last, answer.archiving.failed, min(waits, default=None))
    unsaved = tuple(Unsaved(span, at) for span, at in sorted(oldest.items(), key=lambda item: item[0].after))
    return LiveAnswers(unsaved, archiving, unreadable)


def oldest_write(database: Database, after: datetime, until: datetime) -> datetime | None:
    """The oldest business write after one instant and not after another; None when none is left to see: a row shows
    its newest write only."""
    stamped = {table for (table,) in database.rows(_STAMPED)}
    between = [instant.astimezone(UTC).replace(tzinfo=None) for instant in (after, until)]
    oldest: list[datetime] = []
    for table in _BUSINESS:
        if table in stamped:
            ((at,),) = database.rows(
                f"select min(write_date) from {table} where write_date > %s and write_date <= %s", between
            )
            if at is not None:
                oldest.append(at.replace(tzinfo=UTC))
    return min(oldest, default=None)
