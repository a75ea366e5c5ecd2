"""The documents that a restored database refers to, looked for where the estate says they are."""

from functions import estate_in_force
from shared.backup_verification.books import Books
from shared.backup_verification.catalogue import read_catalogue
from shared.backup_verification.database import Database
from shared.backup_verification.documents.places import Place, places_of
from shared.backup_verification.documents.ports import DocumentContainer
from shared.backup_verification.documents.report import CHECKS, Documents, findings
from shared.backup_verification.documents.verification import verify_documents
from shared.platforms import blob_reading, settings


def with_documents(books: Books, database: Database, environment: str, seed: str) -> Books:
    """The same books with what was found of their documents; a tenant that declares none is not looked at.

    `seed` draws the sample: the drill's id, so that the same drill reads the same documents.
    """
    estate = estate_in_force.get()
    policy = estate.backup_verification
    places = places_of(estate, environment, books.tenant, books.database)
    if policy is None or not places or not read_catalogue(database).has("ir_attachment", "store_fname", "checksum"):
        return books
    documents = look(
        database,
        places,
        sample_size=None if policy.drills.documents == "full" else policy.drills.sample_size,
        seed=seed,
        secondary=policy.drills.secondary_documents,
    )
    return books.model_copy(
        update={
            "documents": documents,
            "checks": (*books.checks, *CHECKS[: 4 if documents.secondary_files is not None else 3]),
            "findings": (*books.findings, *findings(documents)),
        }
    )


def look(database: Database, places: list[Place], *, sample_size: int | None, seed: str, secondary: bool) -> Documents:
    """Look for the documents; what Blob does not answer is a problem of its own, and no document is blamed for it."""
    from azure.core.exceptions import AzureError

    try:
        return verify_documents(
            database,
            places,
            _open,
            sample_size=sample_size,
            seed=seed,
            secondary=secondary,
            seconds=float(settings.optional("DOCUMENT_SECONDS", "300")),
        )
    except AzureError as error:
        return Documents(seed=seed, problems=(f"the documents could not be looked at: {str(error).splitlines()[0]}",))


def _open(place: Place, secondary: bool) -> DocumentContainer:
    return blob_reading.readable(blob_reading.secondary_url(place.url) if secondary else place.url)
