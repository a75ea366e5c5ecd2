"""What loading promises beside its messages."""

from datetime import timedelta

import pytest

from shared.estate.loading import load_estate, read_estate
from shared.estate.problems import EstateInvalidError, Problem, nearest
from tests.estate.files import SINGLE_COMPANY, SMALL


def problems(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(EstateInvalidError) as raised:
        load_estate(text, "estate.yaml")
    return raised.value.problems


def test_values_have_their_types() -> None:
    estate = load_estate(SINGLE_COMPANY.read_bytes())
    production = estate.environments["production"]
    assert estate.tiers["critical"].rpo == timedelta(minutes=5)
    assert production.postgres["erp"].id.name == "pg-erp"
    assert production.odoo["main"].api_key.name == "ODOO_API_KEY"
    assert production.storage["documents"].blob_address == "https://sterpdocs.blob.core.windows.net"
    assert estate.changes.gate_of("production").at_once == 4
    assert estate.changes.gate_of("production").attempts_per_target.count == 3
    assert estate.changes.gate_of("staging").at_once == estate.changes.gate.at_once


def test_a_dump_loads_again_as_the_same_estate() -> None:
    estate = load_estate(SINGLE_COMPANY.read_bytes())
    again = type(estate).model_validate(estate.model_dump(mode="json", by_alias=True))
    assert again.model_dump(mode="json", by_alias=True) == estate.model_dump(mode="json", by_alias=True)
    assert again.backup_verification == estate.backup_verification
    assert again.storage_tiering == estate.storage_tiering


def test_an_error_in_one_section_does_not_hide_a_broken_reference_in_another() -> None:
    text = SMALL.replace("rto: 2h", "rto: soon").replace("database: erp/contoso", "database: erp/fabrikam")
    assert [problem.path for problem in problems(text)] == [
        "tiers.critical.rto",
        "environments.production.tenants.contoso.database",
    ]


def test_a_reference_to_a_part_that_is_wrong_is_no_second_problem() -> None:
    text = SMALL.replace("databases: [contoso]", "databases: [contoso]\n        geo_redundant: perhaps\n        id_: x")
    assert [problem.path for problem in problems(text)] == [
        "environments.production.postgres.erp.geo_redundant",
        "environments.production.postgres.erp.id_",
    ]
    text = SMALL.replace("flexibleServers/pg-erp", "flexibleServers")
    assert [problem.path for problem in problems(text)] == ["environments.production.postgres.erp.id"]


def test_anchors_and_merges_are_data_like_any_other() -> None:
    written_out = SMALL
    with_anchor = SMALL.replace("critical: {", "critical: &best {") + "x-: 1\n"
    assert [problem.path for problem in problems(with_anchor)] == ["x-"]
    merged = SMALL.replace("critical: {", "critical: &best {").replace(
        "environments:\n", "  spare: { <<: *best, rto: 4h }\nenvironments:\n"
    )
    estate = load_estate(merged)
    assert estate.tiers["spare"].rpo == timedelta(minutes=5)
    assert estate.tiers["spare"].rto == timedelta(hours=4)
    assert estate.tiers["critical"].rto == load_estate(written_out).tiers["critical"].rto


def test_a_problem_under_a_merge_is_shown_where_it_is_written() -> None:
    text = SMALL.replace("critical: { rpo: 5m", "critical: &best { rpo: soon").replace(
        "environments:\n", "  spare: { <<: *best, rto: 4h }\nenvironments:\n"
    )
    assert {problem.line for problem in problems(text)} == {SMALL.split("\n").index("tiers:") + 2}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("22:00", "22:00"),
        ("on", "on"),
        ("2026-12-31", "2026-12-31"),
        ("0777", "0777"),
        ("1_000", "1_000"),
        ("yes", "yes"),
    ],
)
def test_what_yaml_1_1_would_take_for_something_else_is_text(written: str, meant: str) -> None:
    estate = load_estate(SMALL + f"recipients: {{ team: {{ who: {written!s} }} }}\n") if written != "0777" else None
    if estate is None:  # a number by YAML 1.2: refused as text, not read as an octal
        assert "is not text" in problems(SMALL + "recipients: { team: { who: 0777 } }\n")[0].what
    else:
        assert estate.recipients["team"].who == meant


def test_bytes_that_are_not_utf_8_are_a_problem_with_a_place() -> None:
    (problem,) = problems(b"estate: contoso\ncalendar: { time_zone: Europe/Z\xfcrich }\n")
    assert (problem.line, problem.column) == (2, 32)
    assert "UTF-8" in problem.what


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter() -> None:
    plain = load_estate(SMALL)
    assert load_estate(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode()).version == plain.version


def test_advice_is_placed_by_path() -> None:
    read = read_estate(SMALL, "here.yaml")
    problem = read.problem(("tiers", "critical", "rto"), "what", "remedy")
    assert str(problem) == "here.yaml:8:29: tiers.critical.rto: what; remedy"


def test_among_many_names_the_nearest_is_still_found() -> None:
    names = {f"tenant-{number:04}-{kind}" for number in range(2000) for kind in ("files", "dumps")}
    assert nearest("tenant-0815-fils", names) == "tenant-0815-files"
    assert nearest("tennant-0815-files", names) == "tenant-0815-files"
    assert nearest("Tenant-1999-dumps", names) == "tenant-1999-dumps"
    assert nearest("zzzz", names) is None


def test_a_long_value_does_not_flood_the_message() -> None:
    text = SMALL.replace("rto: 2h", f"rto: {'long ' * 2000}").replace("last business day of month", "last " * 2000)
    assert {problem.path for problem in problems(text)} == {"tiers.critical.rto", "calendar.events.month-end.when"}
    assert all(len(str(problem)) < 1000 for problem in problems(text))
