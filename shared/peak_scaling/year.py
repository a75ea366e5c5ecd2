"""The plan of a year: who needs what when, why, and at what cost; and what is new in it since the last one. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from shared.changes.change import State
from shared.peak_scaling.lead_times import LeadTimes
from shared.peak_scaling.money import burst, hourly, stays
from shared.peak_scaling.needs import Hold, Need, Scaling
from shared.peak_scaling.targets import Kind, Target, at_least, shown

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.estate import Estate
    from shared.finance_calendar.calendar import FinanceCalendar

FAST_PATH, SLOW_PATH = "40-60 s", "2-10 min"
"""What scaling a PostgreSQL server costs its connections (concepts-scaling-resources, 2025-11-18)."""


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """One target for one peak. before: the declared baseline, empty when that is what is found then."""

    name: str
    before: State
    after: State
    begin: datetime
    until: datetime
    interruption: str
    cost: float | None
    impossible: str


@dataclass(frozen=True, slots=True)
class PlannedPeak:
    """One peak with all its targets. who: the recipients that are told. cost: above the baseline, None: not known."""

    environment: str
    need: Need
    who: tuple[str, ...]
    targets: tuple[PlannedTarget, ...]

    @property
    def key(self) -> str:
        """The same peak in another plan."""
        return f"{self.environment}/{self.need.key}"

    @property
    def cost(self) -> float:
        """What its known part costs; overlapping peaks share, and no hour is counted twice."""
        return sum(target.cost or 0.0 for target in self.targets)

    @property
    def unpriced(self) -> list[str]:
        """Targets whose price is not declared."""
        return [target.name for target in self.targets if target.cost is None and not target.impossible]


@dataclass(frozen=True, slots=True)
class Year:
    """The plan of [start, end). continuity: what the declared baselines cost in that time, by environment."""

    estate: str
    version: str
    currency: str
    start: datetime
    end: datetime
    peaks: tuple[PlannedPeak, ...]
    continuity: Mapping[str, float]

    @property
    def burst(self) -> float:
        """What all peaks cost above the baselines."""
        return sum(peak.cost for peak in self.peaks)


def plan_year(
    estate: "Estate",
    calendar: "FinanceCalendar",
    start: datetime,
    end: datetime,
    leads: Mapping[str, LeadTimes] | None = None,
    environments: Iterable[str] | None = None,
) -> Year:
    """Every peak of every environment (or of these) that begins in [start, end)."""
    peaks: list[PlannedPeak] = []
    continuity: dict[str, float] = {}
    for name in sorted(environments if environments is not None else estate.peak_scaling):
        scaling = Scaling(estate, name, calendar, (leads or {}).get(name))
        peaks += _peaks(estate, scaling, start, end)
        hours = (end - start).total_seconds() / 3600
        prices = [hourly(scaling.targets[each], level, estate.rates) for each, level in scaling.baseline.items()]
        continuity[name] = sum(price or 0.0 for price in prices) * hours
    currency = estate.rates.currency if estate.rates else ""
    peaks.sort(key=lambda peak: (peak.need.start, peak.environment, peak.need.key))
    return Year(estate.estate, estate.version, currency, start, end, tuple(peaks), continuity)


def _peaks(estate: "Estate", scaling: Scaling, start: datetime, end: datetime) -> Iterable[PlannedPeak]:
    holds = scaling.holds(start, end)
    costs, unpriced = burst(stays(holds, start, end), scaling.baseline, estate.rates)
    who = _who(estate, scaling.environment)
    by_need: dict[str, list[Hold]] = {}
    for hold in holds:
        if start <= hold.need.start < end:
            by_need.setdefault(hold.need.key, []).append(hold)
    for key, mine in by_need.items():
        targets = tuple(
            _planned(scaling, hold, None if hold.target.name in unpriced else costs.get((key, hold.target.name), 0.0))
            for hold in mine
        )
        yield PlannedPeak(scaling.environment, mine[0].need, who, targets)


def _planned(scaling: Scaling, hold: Hold, cost: float | None) -> PlannedTarget:
    target = hold.target
    before = scaling.baseline.get(target.name, {})
    return PlannedTarget(
        name=target.name,
        before=before,
        after=at_least(before, hold.level),
        begin=hold.begin,
        until=hold.until,
        interruption=interruption(target, scaling.targets),
        cost=None if hold.impossible else cost,
        impossible=hold.impossible,
    )


def interruption(target: Target, targets: Mapping[str, Target]) -> str:
    """What scaling it costs those who are connected, each way."""
    match target.kind:
        case Kind.REPLICA:
            return f"readers of it, {SLOW_PATH}"
        case Kind.POSTGRES if any(each.startswith("replica ") for each in target.below):
            return f"{SLOW_PATH}: a server with replicas takes the slow path; running transactions roll back"
        case Kind.POSTGRES:
            return f"{FAST_PATH}, {SLOW_PATH} when it falls back to the slow path; running transactions roll back"
        case Kind.STORAGE:
            return "never shrinks again"
        case _:
            return ""


def _who(estate: "Estate", environment: str) -> tuple[str, ...]:
    named = list(estate.environments[environment].recipients)
    for name, recipient in estate.recipients.items():
        concerned = not recipient.environments or environment in recipient.environments
        if concerned and "peaks" in map(str, recipient.topics):
            named.append(name)
    return tuple(dict.fromkeys(named))


# --- what people read ------------------------------------------------------------------------------------------------


def as_json(year: Year) -> dict[str, Any]:
    """The plan as data: what is kept to be compared with the next one."""
    return {
        "estate": year.estate,
        "version": year.version,
        "currency": year.currency,
        "from": year.start.isoformat(),
        "to": year.end.isoformat(),
        "burst": round(year.burst, 2),
        "continuity": {name: round(cost, 2) for name, cost in year.continuity.items()},
        "peaks": {peak.key: _peak_json(peak) for peak in year.peaks},
    }


def _peak_json(peak: PlannedPeak) -> dict[str, Any]:
    need = peak.need
    return {
        "environment": peak.environment,
        "event": need.event,
        "title": need.title,
        "region": need.region,
        "period": need.period,
        "who": list(peak.who),
        "ready_by": need.ready_by.isoformat(),
        "start": need.start.isoformat(),
        "end": need.end.isoformat(),
        "cost": round(peak.cost, 2),
        "unpriced": peak.unpriced,
        "targets": {
            target.name: {
                "before": dict(target.before),
                "after": dict(target.after),
                "begin": target.begin.isoformat(),
                "until": target.until.isoformat(),
                "interruption": target.interruption,
                "cost": None if target.cost is None else round(target.cost, 2),
                "impossible": target.impossible,
            }
            for target in peak.targets
        },
    }


def as_text(year: Year) -> str:
    """The plan for people, peak by peak, in the time zone of each event."""
    lines: list[str] = []
    for peak in year.peaks:
        need, zone = peak.need, peak.need.zone
        money = f"{peak.cost:,.2f} {year.currency}".rstrip()
        lines.append(
            f"{_at(need.start, zone)} to {_at(need.end, zone)} {zone.key}  {peak.environment}  {need.title}"
            f" ({need.event} {need.period}), for {', '.join(peak.who) or 'nobody'}, costs {money}"
            + (f" and the unknown price of {', '.join(peak.unpriced)}" if peak.unpriced else "")
        )
        lines.append(f"    ready by {_at(need.ready_by, zone)}")
        for target in peak.targets:
            if target.impossible:
                lines.append(f"    NOT POSSIBLE: {target.name} to {shown(target.after)}: {target.impossible}")
                continue
            before = shown(target.before) or "what is found"
            note = f"; interrupts {target.interruption}" if target.interruption else ""
            lines.append(
                f"    {_at(target.begin, zone)}  {target.name}: {before} -> {shown(target.after)},"
                f" back from {_at(target.until, zone)}{note}"
            )
    total = f"{year.burst:,.2f} {year.currency}".rstrip()
    baseline = f"{sum(year.continuity.values()):,.2f} {year.currency}".rstrip()
    lines.append(f"{len(year.peaks)} peaks cost {total} above the baseline of {baseline}")
    return "\n".join(lines) + "\n"


def _at(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M}"


def differences(new: Mapping[str, Any], last: Mapping[str, Any]) -> list[str]:
    """What the new plan (as `as_json`) says that the last one did not, and the reverse, of the time both cover."""
    lines: list[str] = []
    begins, ends = max(new["from"], last["from"]), min(new["to"], last["to"])
    was = {key: peak for key, peak in last["peaks"].items() if begins <= peak["start"] < ends}
    now = {key: peak for key, peak in new["peaks"].items() if begins <= peak["start"] < ends}
    for key in sorted({*was, *now}):
        if key not in was:
            lines.append(f"+ {key} from {now[key]['start']}, {now[key]['cost']:.2f}")
        elif key not in now:
            lines.append(f"- {key} from {was[key]['start']}, {was[key]['cost']:.2f}")
        else:
            said = [*_altered(was[key], now[key])]
            lines += [f"~ {key}: {each}" for each in said]
    return lines


def _altered(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    for field in ("start", "end", "ready_by", "cost", "who"):
        if was[field] != now[field]:
            yield f"{field} {was[field]} -> {now[field]}"
    old, new = was["targets"], now["targets"]
    for name in sorted({*old, *new}):
        if name not in old:
            yield f"{name} is new: {shown(new[name]['after'])}"
        elif name not in new:
            yield f"{name} is no longer scaled"
        else:
            yield from (
                f"{name} {field} {_words(old[name][field])} -> {_words(new[name][field])}"
                for field in ("after", "begin", "until", "impossible")
                if old[name][field] != new[name][field]
            )


def _words(value: object) -> str:
    return shown(value) if isinstance(value, Mapping) else str(value) or "possible"  # pyright: ignore[reportUnknownArgumentType]
