"""The report of a drill: what an auditor reads, as HTML and as JSON."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from local.memory_blobs import MemoryBlobContainer
from shared.backup_verification.coverage import Covered
from shared.backup_verification.drill import DrillReport
from shared.backup_verification.registry import EvidenceReference
from shared.backup_verification.report import DrillDocument, Sealed, Told, render, told
from shared.estate.loading import load_estate
from shared.evidence.log import prove, read_seal
from shared.evidence.record import Kind, Record, write
from shared.evidence.seal import seal_records
from tests.backup_verification.sample_report import T, examined, report_of
from tests.browser import needs_chromium, seen
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase

PROJECT = Path(__file__).resolve().parents[2]
ESTATE = load_estate((PROJECT / "examples" / "single-company" / "estate.yaml").read_text())


def documented(report: DrillReport, *, sealed: bool, told_by: Told | None) -> DrillDocument:
    """The document of a report whose record is in the evidence."""
    evidence = MemoryBlobContainer()
    written = write(
        evidence,
        Record(
            automation="backup_verification",
            kind=Kind.DRILL,
            subject=report.id,
            time=report.concluded_at,
            environment=report.environment,
            estate_version=report.estate_version,
            app_version="1",
            body=report.model_dump(mode="json"),
        ),
    )
    proven = None
    if sealed:
        seal_records(evidence, now=T + timedelta(hours=1), app_version="1")
        proof = prove(evidence, written.name)
        seal = read_seal(evidence, proof.seal)
        proven = Sealed(proof=proof, seal=seal, seal_sha256=seal.sha256)
    reference = EvidenceReference(name=written.name, sha256=written.sha256)
    return DrillDocument(report=report, evidence=reference, told=told_by, sealed=proven)


@pytest.fixture(scope="module")
def passed(generated: GenerateDatabase) -> DrillDocument:
    connection, _ = generated(**VARIANTS["version 16"])
    books, self_test = examined(connection)
    report = report_of([books], self_test)
    return documented(report, sealed=True, told_by=told(report, ESTATE))


@pytest.fixture(scope="module")
def failed(generated: GenerateDatabase) -> DrillDocument:
    connection, _ = generated(**VARIANTS["version 18"])
    books, self_test = examined(connection, ["change_amount", "delete_tail", "deactivate_cron", "set_lock_date_ahead"])
    report = report_of([books], self_test)
    return documented(report, sealed=False, told_by=told(report, ESTATE))


class Page(HTMLParser):
    """Texts, and what makes a page fit for everybody."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tables, self.headers_without_scope = "", 0, 0
        self.headings: list[int] = []
        self.fetched: list[str | None] = []
        self._open: list[str] = []
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.fetched += [value for name, value in attrs if name in {"src", "href", "action", "data"}]
        self.tables += tag == "table"
        self.headers_without_scope += tag == "th" and "scope" not in given
        if tag in {"h1", "h2", "h3", "h4"}:
            self.headings.append(int(tag[1]))
        if tag not in {"meta", "br", "col"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"{tag} closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data + " "


def test_a_passed_drill_tells_all_that_an_auditor_asks(passed: DrillDocument) -> None:
    page = Page(render(passed))
    report = passed.report
    assert "Passed: the books came back." in page.text
    for said in (
        report.source_id,
        report.restored_server_id,
        "2026-11-21 23:00:00 UTC (a random instant of the last 14 days)",
        "12 min 43 s until the first good answer (RTO); 1 h allowed",
        "21 s from the newest write to the target (RPO); 5 min may be lost",
        "0.41 EUR",
        "53 files behind 61 attachments were looked for; 20 of them read and compared with their stored SHA-1",
        "100 % found",
        "Kept until 2026-11-22 10:00:00 UTC",
        passed.evidence.name,
        passed.evidence.sha256,
        "The controllers who close the books",
    ):
        assert said in page.text, said
    assert passed.sealed is not None
    assert passed.sealed.seal.root in page.text


def test_every_check_is_listed_with_its_result_and_meaning(passed: DrillDocument, failed: DrillDocument) -> None:
    for document in (passed, failed):
        html = render(document)
        (books,) = document.report.books
        findings = {finding.check: finding.severity for finding in books.findings}
        accepted = {each.check for each in books.accepted}
        for check in books.checks:
            result = findings.get(check, "accepted" if check in accepted else "held")
            row = rf'<th scope="row">{re.escape(check)}</th>\s*<td class="result \w+">{result}</td>\s*<td>[A-Z][^<]+\.'
            assert re.search(row, html), check


def test_a_check_with_a_note_and_a_fault_is_as_bad_as_the_fault(failed: DrillDocument) -> None:
    books = failed.report.books[0]
    (fault,) = [finding for finding in books.findings if finding.check == "hash chain"]
    note = fault.model_copy(update={"severity": "note"})
    report = failed.report.model_copy(update={"books": (books.model_copy(update={"findings": (note, fault, note)}),)})
    assert '<th scope="row">hash chain</th>\n    <td class="result bad">critical</td>\n    <td>Every' in render(
        failed.model_copy(update={"report": report})
    )


def test_what_is_accepted_is_shown_with_the_reason(passed: DrillDocument) -> None:
    accepted = {each.check: each for each in passed.report.books[0].accepted}
    assert accepted.keys() == {"journals have no gap", "hash chain"}
    assert accepted["hash chain"].count == 5
    text = Page(render(passed)).text
    assert accepted["hash chain"].message in text
    assert accepted["hash chain"].why in text


def test_a_failed_drill_says_what_stands_against_it(failed: DrillDocument) -> None:
    page = Page(render(failed))
    assert "Passed" not in page.text
    assert len(failed.report.failures) >= 5
    for failure in failed.report.failures:
        assert " ".join(failure.split()) in page.text
    assert "waits for the next seal" in page.text
    finding = next(each for each in failed.report.books[0].findings if each.check == "hash chain")
    assert f"ids: {', '.join(map(str, finding.rows))}" in page.text


def test_what_is_proven_until_when_and_what_is_overdue_is_said(passed: DrillDocument) -> None:
    proven = Covered(
        environment="production",
        server="erp",
        tier="critical",
        every_days=30,
        proven_at=T,
        proven_until=T + timedelta(days=30),
        due_by=T + timedelta(days=30),
        before_event="year-end 2026",
        overdue=False,
    )
    never = {
        "server": "ledger",
        "proven_at": None,
        "due_by": T - timedelta(days=3),
        "before_event": "",
        "overdue": True,
    }
    page = Page(render(passed.model_copy(update={"coverage": (proven, proven.model_copy(update=never))})))
    assert "erp 30 days (critical) 2026-11-22 02:00:00 UTC 2026-12-22 02:00:00 UTC before year-end 2026 in time" in (
        page.text
    )
    assert "ledger 30 days (critical) never 2026-11-19 02:00:00 UTC overdue" in page.text


def test_nothing_comes_from_elsewhere_and_tables_have_headers(passed: DrillDocument, failed: DrillDocument) -> None:
    for document in (passed, failed):
        html = render(document)
        page = Page(html)
        assert page.fetched == []
        assert "<script" not in html
        assert "url(" not in html
        assert page.tables >= 4
        assert page.headers_without_scope == 0
        assert all(later - before <= 1 for before, later in zip(page.headings, page.headings[1:], strict=False))
        assert page.headings.count(1) == 1


def test_what_a_name_says_is_text_and_no_markup(failed: DrillDocument) -> None:
    evil = "<script>alert(1)</script>"
    books = failed.report.books[0]
    injured = books.findings[0].model_copy(update={"message": evil})
    report = failed.report.model_copy(update={"books": (books.model_copy(update={"findings": (injured,)}),)})
    assert evil not in render(failed.model_copy(update={"report": report}))


def test_a_drill_of_which_nothing_is_known_has_a_report(failed: DrillDocument) -> None:
    report = failed.report.model_copy(
        update={
            "books": (),
            "phases": {},
            "rto_seconds": None,
            "rpo_seconds": None,
            "removed": False,
            "trend": None,
            "cost": None,
            "self_test": (),
            "kept": None,
            "preflight": (),
        }
    )
    page = Page(render(failed.model_copy(update={"report": report, "told": None})))
    assert "No phase was reached." in page.text
    assert "No database was checked." in page.text
    assert "not proven the temporary server" in page.text


def test_the_json_form_is_the_same_document(passed: DrillDocument) -> None:
    assert DrillDocument.model_validate_json(passed.model_dump_json()) == passed


def test_who_is_told_is_who_the_estate_names(passed: DrillDocument, failed: DrillDocument) -> None:
    assert passed.told is not None
    assert failed.told is not None
    assert (passed.told.severity, [one.name for one in passed.told.recipients]) == ("information", ["controlling"])
    assert (failed.told.severity, {one.name for one in failed.told.recipients}) == (
        "critical",
        {"controlling", "finance-it"},
    )
    elsewhere = told(passed.report.model_copy(update={"environment": "nowhere"}), ESTATE)
    assert elsewhere.recipients == ()


@needs_chromium
def test_a_browser_shows_both(passed: DrillDocument, failed: DrillDocument, tmp_path: Path) -> None:
    for name, document in (("passed", passed), ("failed", failed)):
        (tmp_path / f"{name}.html").write_text(render(document))
        dom = seen((tmp_path / f"{name}.html").as_uri(), tmp_path / "profile")
        assert document.evidence.sha256 in dom
        assert dom.count("<table>") == render(document).count("<table>")
