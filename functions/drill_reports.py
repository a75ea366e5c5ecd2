"""The report of a drill over HTTP, as HTML or JSON: from the registry, the estate and the evidence."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import azure.durable_functions as df

from functions import estate_in_force
from functions.later import later
from functions.pages import page
from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.identity import Role
from shared.platforms import blobs, settings

if TYPE_CHECKING:
    from functions import drill_admission
    from shared.backup_verification import registry
    from shared.backup_verification.coverage import Covered
    from shared.backup_verification.report import Sealed
    from shared.estate.estate import Estate
else:
    drill_admission, registry = later("functions.drill_admission"), later("shared.backup_verification.registry")

blueprint = df.Blueprint()
_HTML, _JSON = "text/html", "application/json"


async def _get_report(call: Call) -> Answer:
    return await asyncio.to_thread(_report, call.path["id"], call.headers.get("accept", ""))


def _report(drill: str, accept: str) -> Answer:
    from shared.backup_verification.report import DrillDocument, render, told

    wanted = preferred(accept)
    if wanted is None:
        raise Problem(406, "Not acceptable", f"the report comes as {_HTML} or {_JSON}: name one of them in Accept")
    entry = registry.find_entry(drill_admission.state(), drill)
    if entry is None:
        raise Problem(404, "Not found", f"there is no drill {drill}")
    if entry.held is not None:
        raise Problem(409, "Conflict", f"the drill was not begun: {entry.held.reason}")
    if entry.report is None or entry.evidence is None:
        raise Problem(409, "Conflict", "the drill is not over: ask again when it is")
    estate = _estate()
    document = DrillDocument(
        report=entry.report,
        evidence=entry.evidence,
        told=told(entry.report, estate) if estate else None,
        sealed=_sealed(entry.evidence.name),
        coverage=_coverage(entry.plan.environment) if estate else (),
    )
    return page(render(document)) if wanted == _HTML else Answer(document)


def preferred(accept: str) -> str | None:
    """Which of the two forms an Accept header asks for (RFC 9110, 12.5.1): JSON where it leaves the choice."""
    weights = {_JSON: 0.0, _HTML: 0.0}
    ranges = sorted((_range(part) for part in (accept or "*/*").split(",")), key=lambda pair: pair[0].count("*"))
    for form in weights:
        main = form.partition("/")[0]
        weights[form] = next((weight for name, weight in ranges if name in {form, f"{main}/*", "*/*"}), 0.0)
    best = max(weights, key=lambda form: weights[form])
    return best if weights[best] > 0 else None


def _range(part: str) -> tuple[str, float]:
    name, *parameters = [piece.strip().lower() for piece in part.split(";")]
    weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    try:
        return name, float(weight)
    except ValueError:
        return name, 0.0


def _estate() -> "Estate | None":
    """The estate in force, None while there is none: the report is there all the same."""
    from shared.estate.problems import EstateInvalidError
    from shared.estate.source import EstateUnavailableError

    try:
        return estate_in_force.get()
    except (EstateInvalidError, EstateUnavailableError):
        return None


def _coverage(environment: str) -> "tuple[Covered, ...]":
    from functions.drill_requests import covered_servers

    return tuple(one for one in covered_servers(datetime.now(UTC)) if one.environment == environment)


def _sealed(record: str) -> "Sealed | None":
    """The record's proof, None until the next seal."""
    from shared.backup_verification.report import Sealed
    from shared.evidence.log import prove, read_seal

    evidence = blobs.container(settings.required("EVIDENCE_URL", "give the URL of the blob container for evidence"))
    try:
        proof = prove(evidence, record)
    except LookupError:
        return None
    seal = read_seal(evidence, proof.seal)
    return Sealed(proof=proof, seal=seal, seal_sha256=seal.sha256)


add_routes(
    blueprint,
    [Route("get_drill_report", "GET", "drills/{id}/report", Role.READER, "A drill's report and proof.", _get_report)],
)
