"""The command line: `python -m functions.command_line COMMAND`; --help lists the commands.

Exit codes: 0 all is well, 1 there are problems (they are printed), 2 it was called wrongly or a file cannot be read.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from zoneinfo import ZoneInfo

from shared.platforms import settings

if TYPE_CHECKING:
    from shared.estate.loading import EstateFile
    from shared.finance_calendar.calendar import FinanceCalendar
    from shared.finance_calendar.occurrences import Occurrence

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "estate.schema.json"
WELL, PROBLEMS, MISUSED = 0, 1, 2


def main(arguments: Sequence[str], now: datetime, out: TextIO, errors: TextIO) -> int:
    """Run one command; returns its exit code. `now` is aware."""
    parser = _parser()
    try:
        asked = parser.parse_args(arguments)
    except SystemExit as leaving:
        return int(leaving.code or WELL)
    from shared.estate.problems import EstateInvalidError

    try:
        match asked.command:
            case "validate":
                return _validate(asked, now, out)
            case "schema":
                return _schema(check=asked.check, out=out, errors=errors)
            case "peaks":
                return _peaks(asked, now, out, errors)
            case "rates":
                return _rates(asked, now, out, errors)
            case "playbook-test":
                return _playbook_test(asked, out, errors)
            case "playbooks":
                return _playbooks(out)
            case _:
                return _plan(asked, now, out, errors)
    except EstateInvalidError as error:
        for problem in error.problems:
            out.write(f"{problem}\n")
        return PROBLEMS
    except OSError as error:
        errors.write(f"{error.filename or ''}: {error.strerror or error}\n")
        return MISUSED
    except settings.MissingSettingError as error:
        errors.write(f"{error}\n")
        return MISUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m functions.command_line", description="Closekeeper's command line.")
    commands = parser.add_subparsers(dest="command", required=True)

    validate = commands.add_parser("validate", help="check an estate: every problem, and advice on what is unwise")
    validate.add_argument("file", help="the estate's YAML file")
    validate.add_argument("--strict", action="store_true", help="exit with 1 when there is advice")

    schema = commands.add_parser("schema", help="print the JSON Schema of the estate, for editors")
    schema.add_argument("--check", action="store_true", help=f"compare with docs/{SCHEMA.name} instead")

    plan = commands.add_parser("plan", help="print the finance calendar as the automations see it")
    plan.add_argument("--days", type=_days, default=90, help="how many days (default: 90)")
    plan.add_argument(
        "--from", dest="start", type=date.fromisoformat, metavar="DATE", help="first day (default: today)"
    )
    plan.add_argument("--estate", metavar="FILE", help="the estate's YAML file (default: setting ESTATE_FILE)")
    plan.add_argument("--format", choices=("text", "json", "ics"), default="text")

    peaks = commands.add_parser("peaks", help="print what is scaled for peaks: who, what, when, why, at what cost")
    peaks.add_argument("--days", type=_days, default=365, help="how many days (default: 365)")
    peaks.add_argument(
        "--from", dest="start", type=date.fromisoformat, metavar="DATE", help="first day (default: today)"
    )
    peaks.add_argument("--estate", metavar="FILE", help="the estate's YAML file (default: setting ESTATE_FILE)")
    peaks.add_argument("--environment", action="append", help="only this one; may be repeated (default: all)")
    peaks.add_argument("--format", choices=("text", "json"), default="text")
    peaks.add_argument("--against", metavar="FILE", help="print what changed since this plan, written as json before")

    rates = commands.add_parser("rates", help="print what blobs cost, for the estate, from Azure's public price list")
    rates.add_argument("--region", required=True, help="such as westeurope")
    rates.add_argument("--redundancy", default="LRS", help="LRS, ZRS, GRS, RA-GRS, ... (default: LRS)")
    rates.add_argument("--currency", default="EUR", help="ISO 4217 code (default: EUR)")
    rates.add_argument("--url", help="the price list's address (default: the public one)")

    commands.add_parser("playbooks", help="print the reference of the shipped playbooks, as Markdown")
    tested = commands.add_parser("playbook-test", help="run the recorded cases of a playbook, offline")
    tested.add_argument("file", help="the playbook's YAML file")
    return parser


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 3660:
        raise argparse.ArgumentTypeError("give 1 to 3660 days")
    return days


def _validate(asked: argparse.Namespace, now: datetime, out: TextIO) -> int:
    from shared.estate.lint import lint

    read = _read(Path(asked.file))
    calendar, _ = _calendar(read, Path(asked.file))
    _check_playbooks(read, Path(asked.file))
    advice = lint(read.estate, calendar, now)
    for each in sorted(read.problem(*found) for found in advice):
        out.write(f"{each.located('advice: ')}\n")
    environments = read.estate.environments
    tenants = sum(len(environment.tenants) for environment in environments.values())
    out.write(
        f"{asked.file}: valid: {len(environments)} environments, {tenants} tenants,"
        f" {len(read.estate.calendar.events)} events; {read.estate.version}\n"
    )
    return PROBLEMS if advice and asked.strict else WELL


def _check_playbooks(read: "EstateFile", file: Path) -> None:
    """Raises EstateInvalidError when the user's own playbooks, beside the estate, are none."""
    from shared.estate.problems import EstateInvalidError
    from shared.job_remediation import library

    policy = read.estate.job_remediation
    if policy is None or not policy.playbooks.own:
        return
    try:
        library.with_own(library.read_playbook(one) for one in library.own_files(policy.playbooks.own, file.parent))
    except library.PlaybookInvalidError as error:
        path = ("job_remediation", "playbooks", "own")
        raise EstateInvalidError([read.problem(path, str(error), "mend the playbook")]) from None


def _schema(*, check: bool, out: TextIO, errors: TextIO) -> int:
    from shared.estate.schema import schema_text

    generated = schema_text()
    if not check:
        out.write(generated)
        return WELL
    if SCHEMA.exists() and SCHEMA.read_text(encoding="utf-8") == generated:
        return WELL
    errors.write(
        f"docs/{SCHEMA.name} is stale: write it anew with"
        f" `python -m functions.command_line schema > docs/{SCHEMA.name}` and commit it\n"
    )
    return PROBLEMS


def _plan(asked: argparse.Namespace, now: datetime, out: TextIO, errors: TextIO) -> int:
    from shared.finance_calendar.rendering import as_ics, as_json, as_text

    file = Path(asked.estate or settings.required("ESTATE_FILE", "set it, or give --estate FILE"))
    read = _read(file)
    calendar, missing = _calendar(read, file)
    if missing:
        errors.write(f"without the feeds of {', '.join(missing)}: only files beside the estate are read here\n")
    start, end = _range(asked, now, ZoneInfo(read.estate.calendar.time_zone))
    planned = _planned(calendar, start, end)
    match asked.format:
        case "json":
            document = {
                "estate": read.estate.estate,
                "version": read.estate.version,
                "from": start.isoformat(),
                "to": end.isoformat(),
                "events": as_json(planned),
            }
            out.write(json.dumps(document, indent=2) + "\n")
        case "ics":
            out.write(as_ics(planned, read.estate.estate, now).decode("utf-8"))
        case _:
            out.write(as_text(planned))
    return WELL


def _peaks(asked: argparse.Namespace, now: datetime, out: TextIO, errors: TextIO) -> int:
    from shared.peak_scaling import year

    file = Path(asked.estate or settings.required("ESTATE_FILE", "set it, or give --estate FILE"))
    read = _read(file)
    calendar, missing = _calendar(read, file)
    if missing:
        errors.write(f"without the feeds of {', '.join(missing)}: only files beside the estate are read here\n")
    unknown = [name for name in asked.environment or () if name not in read.estate.peak_scaling]
    if unknown:
        known = ", ".join(sorted(read.estate.peak_scaling)) or "none"
        errors.write(f"--environment {unknown[0]} has no peak_scaling; these have: {known}\n")
        return MISUSED
    start, end = _range(asked, now, ZoneInfo(read.estate.calendar.time_zone))
    planned = year.plan_year(read.estate, calendar, start, end, environments=asked.environment)
    if asked.against:
        changed = year.differences(year.as_json(planned), json.loads(Path(asked.against).read_text(encoding="utf-8")))
        out.write("\n".join(changed or ["nothing changed"]) + "\n")
    elif asked.format == "json":
        out.write(json.dumps(year.as_json(planned), indent=2) + "\n")
    else:
        out.write(year.as_text(planned))
    return WELL


def _range(asked: argparse.Namespace, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    first = asked.start or now.astimezone(zone).date()
    start, end = (datetime.combine(first + timedelta(days=days), time(), zone) for days in (0, asked.days))
    return start.astimezone(UTC), end.astimezone(UTC)


def _rates(asked: argparse.Namespace, now: datetime, out: TextIO, errors: TextIO) -> int:
    from shared.platforms import retail_prices
    from shared.storage_tiering import price_list

    try:
        items = retail_prices.items(
            price_list.filter_of(asked.region), asked.currency, asked.url or retail_prices.PUBLIC
        )
        rates = price_list.rates_of(items, asked.redundancy)
    except (price_list.PriceListError, retail_prices.PricesNotReadError) as error:
        errors.write(f"{error}\n")
        return MISUSED
    source = f"Azure's public prices, {asked.region}, {asked.redundancy}, first volume band, {now:%Y-%m-%d}"
    out.write(price_list.as_yaml(rates, asked.currency, source))
    return WELL


def _playbooks(out: TextIO) -> int:
    from shared.job_remediation.library import shipped_playbooks
    from shared.job_remediation.reference import reference

    out.write(reference(shipped_playbooks()))
    return WELL


def _playbook_test(asked: argparse.Namespace, out: TextIO, errors: TextIO) -> int:
    from shared.job_remediation import library
    from shared.job_remediation.recorded_cases import run

    file = Path(asked.file)
    try:
        playbook = library.read_playbook(file)
        if not library.is_shipped(file):
            library.with_own([playbook])
    except library.PlaybookInvalidError as error:
        errors.write(f"{error}\n")
        return MISUSED
    if not playbook.tests:
        errors.write(
            f"{file.name}: tests: it has no recorded cases; record a signal, its evidence and what to expect\n"
        )
        return MISUSED
    ran = [run(playbook, case) for case in playbook.tests]
    for each in ran:
        decision = each.decision
        done = f": {', '.join(change.action for change in decision.changes)}" if decision.changes else ""
        out.write(f"{'differs' if each.differences else 'as expected'}: {each.case.name}\n")
        out.write(f"    {decision.case} ({decision.cause}) -> {decision.course}{done}; {decision.why}\n")
        out.write(f"    {decision.says}\n")
        out.writelines(f"    left alone: {why}\n" for why in decision.left)
        out.writelines(f"    asks: {decision.ask}\n" for _ in range(decision.course == "human"))
        out.writelines(f"    ! {difference}\n" for difference in each.differences)
    differing = sum(1 for each in ran if each.differences)
    untested = [case.name for case in playbook.cases if case.name not in {each.decision.case for each in ran}]
    out.write(f"{playbook.name}: {len(ran)} recorded cases, {differing} differ")
    out.write(f"; no record of {', '.join(untested)}\n" if untested else "\n")
    return PROBLEMS if differing else WELL


def _planned(calendar: "FinanceCalendar", start: datetime, end: datetime) -> "list[Occurrence]":
    """What is planned in [start, end). The planners of the automations add their changes here."""
    return calendar.events_between(start, end)


def _read(file: Path) -> "EstateFile":
    from shared.estate.loading import read_estate

    return read_estate(file.read_bytes(), str(file))


def _calendar(read: "EstateFile", file: Path) -> "tuple[FinanceCalendar, list[str]]":
    """The calendar with the feeds that are files beside the estate, and the names of the feeds that are not."""
    from shared.finance_calendar.compilation import compile_calendar
    from shared.finance_calendar.feeds import FeedError

    feeds: dict[str, bytes] = {}
    missing: list[str] = []
    for name, subscription in read.estate.calendar.subscriptions.items():
        place = file.parent / subscription.ics
        if "://" not in subscription.ics and place.is_file():
            feeds[name] = place.read_bytes()
        else:
            missing.append(name)
    try:
        return compile_calendar(read.estate.calendar, feeds), missing
    except FeedError as error:
        from shared.estate.problems import EstateInvalidError

        path = ("calendar", "subscriptions")
        raise EstateInvalidError([read.problem(path, str(error), "ask its owner for a valid iCalendar file")]) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], datetime.now(UTC), sys.stdout, sys.stderr))
