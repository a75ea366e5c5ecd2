"""The effects of the intake of signals, each of which may come twice, late, or after all is over."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime

from functions import estate_in_force
from functions.change_execution import services
from shared.blob_container import BlobContainer, BlobNotFoundError
from shared.changes.ports import Entry
from shared.events import Event
from shared.job_remediation.actions import AUTOMATION
from shared.job_remediation.intake import reception
from shared.job_remediation.intake.signature import signature_problem
from shared.job_remediation.places import DeclaredPlaces, Places, declared_places
from shared.job_remediation.signal import Source
from shared.platforms import blobs, settings, vaults

_LOG = logging.getLogger("closekeeper.job_remediation")
_MOST_TOLD = 50
_NO_PLACES = DeclaredPlaces()


def state() -> BlobContainer:
    """The container that holds what must survive restarts."""
    return blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))


def receive(body: bytes, now: datetime, by: str = "", only: Source | None = None) -> reception.Received:
    """Keep a delivery, and enter its signals into the register. Whatever the body is, it raises for the store only.

    by: as in `register.tell`. only: as in `reading.read`.
    """
    return reception.receive(state(), services().store, body, now, _places(now), by, only)


def format_of(webhook: str) -> Source:
    """What the webhook is declared to send; the plain format where none is declared.

    Raises EstateInvalidError and EstateUnavailableError.
    """
    declared = estate_in_force.get().job_remediation
    hook = declared.webhooks.get(webhook) if declared else None
    return Source(hook.format) if hook else Source.PLAIN


def signature_problem_of(webhook: str, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """Why the delivery is not the webhook's own; empty when it is. Who sends learns nothing about the declaration.

    Raises EstateInvalidError, EstateUnavailableError, VaultError and MissingSettingError while that cannot be known.
    """
    declared = estate_in_force.get().job_remediation
    hook = declared.webhooks.get(webhook) if declared else None
    keys = [vaults.secret(hook.key.vault, hook.key.name).encode()] if hook else []
    problem = signature_problem(
        keys, headers.get("x-closekeeper-timestamp"), headers.get("x-closekeeper-signature"), body, now
    )
    return problem or ""


def purge_deliveries(now: datetime) -> int:
    """Delete the deliveries that are older than the estate in force wants them kept; returns how many."""
    from shared.estate.policies.job_remediation import JobRemediation

    policy = estate_in_force.get().job_remediation or JobRemediation()
    purged = reception.purge(state(), policy.keep_deliveries, now)
    if purged:
        _LOG.info("purged %d deliveries older than %s", purged, policy.keep_deliveries)
    return purged


def tell_unrecognised(now: datetime) -> None:
    """Record and tell what could not be read since the last time, all of it at once.

    The notes are removed last: a crash before that tells the same again, under the same id.
    """
    names = reception.untold(state())
    if not names:
        return
    notes: list[reception.Untold] = []
    for name in names[:_MOST_TOLD]:
        try:
            notes.append(reception.note_of(state(), name))
        except BlobNotFoundError:  # another instance has told it
            continue
    occasion = hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]
    body: dict[str, object] = {
        "count": len(names),
        "deliveries": [
            {"reason": one.reason, "missing": list(one.missing), "raw": one.raw, "at": one.received_at.isoformat()}
            for one in notes
        ],
    }
    at = max((one.received_at for one in notes), default=now)
    services().recorder.record(
        Entry(automation=AUTOMATION, kind="unrecognised", subject=f"unrecognised:{occasion}", time=at, body=body)
    )
    publisher = services().publisher
    if publisher is not None:
        event = Event(
            id=f"unrecognised:{occasion}",
            type="Closekeeper.JobRemediation.SignalsUnrecognised",
            subject="signals/unrecognised",
            time=at,
            data=body,
        )
        publisher.publish([event])
    for name in names:
        state().delete(name)


_places_of_version: tuple[str, DeclaredPlaces] | None = None


def _places(now: datetime) -> Places:
    """Whose what is, by the estate in force. Without one, signals are kept all the same, as nobody's."""
    from shared.estate.problems import EstateInvalidError
    from shared.estate.source import EstateUnavailableError

    global _places_of_version
    try:
        estate = estate_in_force.with_faults(now).estate
    except (EstateInvalidError, EstateUnavailableError) as error:
        _LOG.warning("no estate is in force, so nobody knows whose the signals are: %s", error)
        return _NO_PLACES
    if _places_of_version is None or _places_of_version[0] != estate.version:
        _places_of_version = (estate.version, declared_places(estate))
    return _places_of_version[1]
