"""The signature of a webhook: HMAC-SHA256 over the time and the body, so that neither can be exchanged or kept."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

REPLAY_WINDOW = timedelta(minutes=5)
_SCHEME = "v1="
_MOST_SIGNATURES = 5


class SignatureProblem(StrEnum):
    """Why a signature is not accepted; also the words for the sender, who learns nothing about the key."""

    NO_KEY = "no key is declared for this webhook"
    NO_TIME = "the timestamp is missing, or not in whole seconds since 1970"
    OUT_OF_WINDOW = "the timestamp is more than 5 minutes away from now"
    NO_SIGNATURE = "the signature is missing, or not of the form v1=HEX"
    WRONG = "the signature does not fit the timestamp, the body and the key"


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """What the sender puts into its header: `v1=` and HMAC-SHA256 over TIMESTAMP, a full stop and the body, in hex."""
    return _SCHEME + hmac.new(key, timestamp.encode("ascii", "replace") + b"." + body, hashlib.sha256).hexdigest()


def signature_problem(
    keys: Sequence[bytes], timestamp: str | None, signatures: str | None, body: bytes, now: datetime
) -> SignatureProblem | None:
    """Why this delivery is not the owner's of one of the keys, sent just now; None when it is.

    timestamp: seconds since 1970 as text. signatures: one, or several with commas between them; any that fits any key
    is enough, so that a key can be exchanged without a gap. The comparison takes the same time wherever they differ.
    A copy sent again within the window is let in: it has the same fingerprint and times, and so does nothing.
    """
    if not any(keys):
        return SignatureProblem.NO_KEY
    text = (timestamp or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        return SignatureProblem.NO_TIME
    if abs(now - datetime.fromtimestamp(int(text), UTC)) > REPLAY_WINDOW:
        return SignatureProblem.OUT_OF_WINDOW
    given = [part.strip() for part in (signatures or "").split(",")][:_MOST_SIGNATURES]
    given = [part.lower().encode() for part in given if part.startswith(_SCHEME) and part.isascii()]
    if not given:
        return SignatureProblem.NO_SIGNATURE
    right = [signature(key, text, body).encode() for key in keys if key]
    fits = [hmac.compare_digest(one, other) for one in given for other in right]
    return None if any(fits) else SignatureProblem.WRONG
