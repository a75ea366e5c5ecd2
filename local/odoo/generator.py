"""Fills an empty database with an Odoo that has kept its books for a while."""

from random import Random

from psycopg import Connection

from local.odoo import foundation, operations, schema
from local.odoo.documents import Documents
from local.odoo.ledger import Instant, Ledger
from local.odoo.profile import Profile, Summary, Upload
from local.odoo.rates import Rates
from local.odoo.rows import RowWriter
from local.odoo.settling import Cashier
from local.odoo.story import Story

_MEMORY_FOR_INDEXES = "128MB"


def generate(connection: Connection, profile: Profile, upload: Upload | None = None) -> Summary:
    """Write the profile's database through a connection to an empty one, in one transaction.

    Memory stays flat in the number of journal items. `upload` receives every document before the rows are committed,
    so that none is ever missing. Raises psycopg.errors.DuplicateTable when the database is not empty.
    """
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute(f"SET LOCAL maintenance_work_mem = '{_MEMORY_FOR_INDEXES}'")
        schema.create_tables(connection, profile.version, profile.attachment_layouts)
        rates = Rates(profile.seed, profile.begin, profile.as_of)
        base = foundation.lay(connection, profile, rates)
        ledger = Ledger(RowWriter(connection), profile.version, profile.hash_history[0], profile.unverifiable)
        documents = Documents(profile, ledger, upload)
        documents.add_special_cases(Instant.of(profile.begin))
        story = Story(
            profile,
            ledger,
            base.books,
            base.customers,
            base.vendors,
            documents,
            rates,
            Cashier(ledger, rates),
            Random(f"{profile.seed}:story"),
        )
        story.tell()
        ledger.writer.flush()
        operations.set_up(connection, profile, ledger)
        schema.add_constraints(connection, profile.version)
        connection.execute("ANALYZE")
    return Summary(
        database=profile.database,
        version=profile.version,
        database_uuid=base.database_uuid,
        newest_write=profile.as_of,
        moves=ledger.ids["account_move"],
        posted_moves=ledger.counts["posted"],
        hashed_moves=ledger.counts["hashed"],
        journal_items=ledger.ids["account_move_line"],
        partial_reconciles=ledger.ids["account_partial_reconcile"],
        payments=ledger.ids["account_payment"],
        attachments=ledger.counts["attachments"],
        documents=documents.stored,
        document_bytes=documents.stored_bytes,
        legal_gaps=tuple(ledger.gaps),
        unverifiable=tuple(ledger.unverifiable),
    )
