"""References beside a listing, both in the order of names: each is looked at once, and memory does not grow."""

from collections.abc import Iterable, Iterator

from shared.backup_verification.documents.layouts import Reference
from shared.blob_container import BlobFacts


def side_by_side(
    references: Iterable[Reference], listing: Iterable[BlobFacts]
) -> Iterator[tuple[Reference | None, BlobFacts | None]]:
    """Every reference with its blob: None as the blob where the listing has none, None as the reference of a blob that
    nothing refers to."""
    blobs = iter(listing)
    blob = next(blobs, None)
    for reference in references:
        place = reference.name.encode()
        while blob is not None and blob.name.encode() < place:
            yield None, blob
            blob = next(blobs, None)
        if blob is not None and blob.name == reference.name:
            yield reference, blob
            blob = next(blobs, None)
        else:
            yield reference, None
    while blob is not None:
        yield None, blob
        blob = next(blobs, None)
