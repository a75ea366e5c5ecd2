"""The names that users type: whether the paired region's target answers for them, with a certificate that lasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class HostSeen:
    """What was seen of one name. Addresses are empty when a name does not resolve; `error` is why the target did not
    answer by TLS with a certificate for the host; `certificate_ends` (UTC) is of the one it showed."""

    host: str
    target: str
    addresses: Sequence[str]
    target_addresses: Sequence[str]
    certificate_ends: datetime | None = None
    error: str = ""

    @property
    def switched(self) -> bool:
        """Whether the name leads to the target already."""
        return bool(set(self.addresses) & set(self.target_addresses))


def complaints(seen: HostSeen, certificate_left: timedelta, now: datetime) -> list[str]:
    """What would keep users out after the switch of the name."""
    said: list[str] = []
    if not seen.addresses:
        said.append(f"{seen.host} does not resolve")
    if not seen.target_addresses:
        said.append(f"{seen.target}, where {seen.host} must lead to, does not resolve")
    elif seen.error:
        said.append(f"{seen.target} does not answer for {seen.host}: {seen.error}")
    elif seen.certificate_ends is not None and seen.certificate_ends - now < certificate_left:
        days = (seen.certificate_ends - now).days
        said.append(f"the certificate for {seen.host} at {seen.target} ends in {days} days")
    return said
