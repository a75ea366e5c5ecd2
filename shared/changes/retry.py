"""Backoff between tries: exponential, spread by a jitter that the same try always draws alike."""

from datetime import datetime, timedelta
from hashlib import sha256

from shared.changes.policy import RetryRule


def next_try(
    rule: RetryRule,
    seed: str,
    tries: int,
    now: datetime,
    *,
    retry_after: timedelta | None = None,
    deadline: datetime,
) -> datetime | None:
    """When to try again after `tries` tries (1 after the first), None when that would be past the deadline.

    Deterministic, so that an orchestration may call it in replay; the jitter (half to the whole of the backoff)
    comes from the seed. Retry-After is a floor: earlier is refused again, a little later spreads the callers.
    """
    backoff = min(rule.first * 2 ** min(tries - 1, 30), rule.longest)
    draw = int.from_bytes(sha256(f"{seed}/{tries}".encode()).digest()[:4]) / 2**32
    wait = backoff * (0.5 + draw / 2)
    if retry_after is not None:
        wait = retry_after + min(wait, rule.first)
    moment = now + wait
    return moment if moment < deadline else None
