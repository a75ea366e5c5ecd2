"""When AKS may upgrade a cluster by itself: its channels, and the windows in which it keeps to them (API 2026-08-01).

Sources: "Use planned maintenance to schedule and control upgrades", "Automatically upgrade an AKS cluster",
"Autoupgrade node OS images"; the maintenance configurations' names are Azure's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from shared.platforms import resource_manager
from shared.platforms.managed_clusters import ClusterId

API = "2026-08-01"

_OFF = {"", "none", "unmanaged"}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKS = ("First", "Second", "Third", "Fourth")
_KINDS = {
    "upgradeChannel": ("aksManagedAutoUpgradeSchedule", "an upgrade of Kubernetes"),
    "nodeOSUpgradeChannel": ("aksManagedNodeOSUpgradeSchedule", "an upgrade of the node images"),
}


@dataclass(frozen=True, slots=True)
class Upgrades:
    """What may happen to a cluster by itself, in words, and between which instants (UTC). `at_any_time` is a channel
    without a window; `now` is the cluster's operation, when it is being upgraded."""

    now: str
    at_any_time: tuple[str, ...]
    windows: tuple[tuple[str, datetime, datetime], ...]


def read(cluster_id: str, start: datetime, end: datetime) -> Upgrades | None:
    """What may happen from `start` to `end`; None when there is no such cluster. Raises azure.core's AzureError."""
    at = ClusterId.parse(cluster_id)
    path = (
        f"/subscriptions/{at.subscription}/resourceGroups/{at.resource_group}/providers"
        f"/Microsoft.ContainerService/managedClusters/{at.name}"
    )
    cluster = resource_manager.get(path, API)
    if cluster is None:
        return None
    properties: Mapping[str, Any] = cluster.get("properties") or {}
    profile: Mapping[str, Any] = properties.get("autoUpgradeProfile") or {}
    active = {kind for kind in _KINDS if str(profile.get(kind) or "").lower() not in _OFF}
    schedules: dict[str, Mapping[str, Any]] = {}
    if active:
        for item in resource_manager.pages(f"{path}/maintenanceConfigurations", API):
            shown: Mapping[str, Any] = item.get("properties") or {}
            if window := shown.get("maintenanceWindow"):
                schedules[str(item["name"])] = window
    said = sorted(active)
    provisioning = str(properties.get("provisioningState") or "")
    return Upgrades(
        now=provisioning if provisioning.startswith("Upgrading") else "",
        at_any_time=tuple(_KINDS[kind][1] for kind in said if _KINDS[kind][0] not in schedules),
        windows=tuple(
            (_KINDS[kind][1], *span)
            for kind in said
            if _KINDS[kind][0] in schedules
            for span in spans(schedules[_KINDS[kind][0]], start, end)
        ),
    )


def spans(window: Mapping[str, Any], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The times (UTC) of a maintenance window that touch `start` to `end`.

    Of a window that comes every second week or month, every week or month counts: from when it is counted is not known
    in all cases, and a window too many is looked at by people, while one too few is not.
    """
    hours = timedelta(hours=int(window["durationHours"]))
    offset = _offset(str(window.get("utcOffset") or "+00:00"))
    begins = time.fromisoformat(str(window["startTime"]))
    first = date.fromisoformat(str(window["startDate"])[:10]) if window.get("startDate") else date.min
    barred: Sequence[Mapping[str, str]] = window.get("notAllowedDates") or ()
    found: list[tuple[datetime, datetime]] = []
    for day in _days(start - hours - timedelta(days=1), end + timedelta(days=1)):
        if day < first or not _falls_on(window["schedule"], day) or any(_within(day, span) for span in barred):
            continue
        opens = datetime.combine(day, begins, UTC) - offset
        if opens < end and opens + hours > start:
            found.append((opens, opens + hours))
    return found


def _days(start: datetime, end: datetime) -> Iterator[date]:
    day = start.date()
    while day <= end.date():
        yield day
        day += timedelta(days=1)


def _falls_on(schedule: Mapping[str, Any], day: date) -> bool:
    name = _DAYS[day.weekday()]
    if "weekly" in schedule:
        return schedule["weekly"]["dayOfWeek"] == name
    if "absoluteMonthly" in schedule:
        return schedule["absoluteMonthly"]["dayOfMonth"] == day.day
    if "relativeMonthly" in schedule:
        rule = schedule["relativeMonthly"]
        last = (day + timedelta(days=7)).month != day.month
        which = rule["weekIndex"]
        week = (day.day - 1) // 7
        return rule["dayOfWeek"] == name and (last if which == "Last" else week < 4 and _WEEKS[week] == which)
    return "daily" in schedule


def _within(day: date, span: Mapping[str, str]) -> bool:
    return date.fromisoformat(span["start"][:10]) <= day <= date.fromisoformat(span["end"][:10])


def _offset(text: str) -> timedelta:
    sign = -1 if text.startswith("-") else 1
    hours, _, minutes = text.lstrip("+-").partition(":")
    return sign * timedelta(hours=int(hours), minutes=int(minutes or 0))
