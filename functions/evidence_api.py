"""Evidence over HTTP: records by time, the proof of one, and packs that verify offline."""

import asyncio
from datetime import UTC, datetime, timedelta
from io import BytesIO

import azure.durable_functions as df

from functions.routing import Answer, Call, Problem, Route, add_routes, instant_of
from shared.blob_container import BlobContainer, BlobNotFoundError
from shared.identity import Role
from shared.platforms import blobs, settings

blueprint = df.Blueprint()
_PAGE = 100


async def _list_evidence(call: Call) -> Answer:
    """`from`, `to` (RFC 3339; the last day by default), `environment`, `tenant`, `automation`, `kind`, `subject`."""
    return await asyncio.to_thread(_records, call)


async def _get_proof(call: Call) -> Answer:
    return await asyncio.to_thread(_proof, call.path["record"])


async def _get_pack(call: Call) -> Answer:
    return await asyncio.to_thread(_pack, call)


def _records(call: Call) -> Answer:
    from shared.evidence.search import Query, find_records

    start, end = _span(call)
    query = Query(start, end, *(call.query.get(name) for name in _FILTERS))
    try:
        page = find_records(_evidence(), query, limit=_PAGE, continuation=call.query.get("continuation"))
    except ValueError as error:
        raise Problem(400, "Bad request", str(error), [("continuation", str(error))]) from error
    value = [{"name": name, **record.model_dump(mode="json")} for name, record in page.records]
    return Answer({"value": value, "continuation": page.continuation})


_FILTERS = ("environment", "tenant", "automation", "kind", "subject")


def _proof(record: str) -> Answer:
    from shared.evidence.log import prove

    try:
        return Answer(prove(_evidence(), record))
    except (LookupError, BlobNotFoundError) as error:
        raise Problem(404, "Not found", f"{record} is not sealed, or is no record: {error}") from error


def _pack(call: Call) -> Answer:
    from shared.evidence.pack import Choice, write_pack

    start, end = _span(call)
    packed = BytesIO()
    try:
        write_pack(_evidence(), Choice(start, end, call.query.get("environment"), call.query.get("tenant")), packed)
    except LookupError as error:
        raise Problem(409, "Conflict", f"nothing is sealed yet: {error}") from error
    name = f"evidence-{start:%Y%m%dT%H%M}-{end:%Y%m%dT%H%M}.zip"
    headers = {"Content-Type": "application/zip", "Content-Disposition": f'attachment; filename="{name}"'}
    return Answer(packed.getvalue(), headers=headers)


def _span(call: Call) -> tuple[datetime, datetime]:
    end = instant_of(call, "to", datetime.now(UTC))
    start = instant_of(call, "from", end - timedelta(days=1))
    if start >= end:
        raise Problem(400, "Bad request", "", [("from", "must be before to")])
    return start, end


def _evidence() -> BlobContainer:
    return blobs.container(settings.required("EVIDENCE_URL", "give the URL of the blob container for evidence"))


add_routes(
    blueprint,
    [
        Route("list_evidence", "GET", "evidence", Role.READER, "Records by time.", _list_evidence),
        Route("get_pack", "GET", "evidence/pack", Role.READER, "A pack that verifies offline.", _get_pack),
        Route("get_proof", "GET", "evidence/proofs/{*record}", Role.READER, "The proof of one record.", _get_proof),
    ],
)
