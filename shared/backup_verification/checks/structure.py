"""What PostgreSQL itself knows of a copy: indexes, constraints, collation, sequences, and the pages underneath."""

from typing import LiteralString, cast

from shared.backup_verification.checks.check import Check, Situation
from shared.backup_verification.findings import Severity


def _id_sequences(situation: Situation) -> LiteralString | None:
    # The server wrote and quoted these queries itself.
    return cast(LiteralString, "\nunion all ".join(situation.catalogue.id_sequences)) or None


def _collation(situation: Situation) -> LiteralString | None:
    if situation.catalogue.server_version < 150_000:
        return None
    return """
        select null::integer, datcollversion || ', the system has ' || pg_database_collation_actual_version(oid),
               'collation'
        from pg_database
        where datname = current_database() and datcollversion <> pg_database_collation_actual_version(oid)"""


def _btrees(situation: Situation) -> LiteralString | None:
    """Every index of the schema is read; one that is broken makes the server complain, which names it."""
    if not situation.catalogue.may_run_amcheck:
        return None
    return """
        select null::integer, i.relname, i.relname from (
            select i.relname, bt_index_check(i.oid)::text as nothing
            from pg_class i join pg_index x on x.indexrelid = i.oid join pg_am a on a.oid = i.relam
            where a.amname = 'btree' and i.relkind = 'i' and i.relpersistence = 'p' and x.indisvalid
              and i.relnamespace = to_regnamespace('public')
        ) as i where nothing is null"""


def _heaps(situation: Situation) -> LiteralString | None:
    if not situation.catalogue.may_run_amcheck:
        return None
    return """
        select null::integer, t.relname || ' block ' || v.blkno || ': ' || v.msg, t.relname || ':' || v.blkno
        from pg_class t cross join lateral verify_heapam(t.oid, on_error_stop => true) as v
        where t.relkind = 'r' and t.relpersistence = 'p' and t.relnamespace = to_regnamespace('public')"""


CHECKS = (
    Check(
        "ids are ahead",
        Severity.ERROR,
        "tables whose next id is taken",
        "The sequence of every id stands behind the largest id of its table: else the next insert fails.",
        _id_sequences,
    ),
    Check(
        "indexes are valid",
        Severity.ERROR,
        "indexes that are not valid",
        "An index that was not built to its end enforces and finds nothing.",
        """
        select null::integer, i.relname, i.relname from pg_index x
        join pg_class i on i.oid = x.indexrelid
        where i.relnamespace = to_regnamespace('public') and not (x.indisvalid and x.indisready)
        order by i.relname""",
    ),
    Check(
        "constraints are validated",
        Severity.ERROR,
        "constraints that were never checked against the rows",
        "Foreign keys and check constraints that are not valid promise nothing of the rows that were there before.",
        """
        select null::integer, c.relname || '.' || k.conname, c.relname || '.' || k.conname from pg_constraint k
        join pg_class c on c.oid = k.conrelid
        where c.relnamespace = to_regnamespace('public') and not k.convalidated
        order by 2""",
    ),
    Check(
        "collation is the one of the indexes",
        Severity.ERROR,
        "indexes were built with another version of the collation",
        "Where the operating system sorts differently than when the indexes were built, they find rows no more and let "
        "duplicates in: rebuild them on such a host.",
        _collation,
    ),
    Check(
        "indexes are sound",
        Severity.CRITICAL,
        "broken indexes",
        "amcheck walks every B-tree and compares its pages. Needs the extension and the right to run it.",
        _btrees,
    ),
    Check(
        "tables are sound",
        Severity.CRITICAL,
        "broken pages",
        "amcheck reads every page of every table. Needs the extension and the right to run it.",
        _heaps,
    ),
)
