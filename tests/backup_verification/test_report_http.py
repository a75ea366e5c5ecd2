"""A real drill's report from the running app: in both forms, before and after it is sealed."""

import hashlib
import time
from pathlib import Path

import pytest

from functions.drill_reports import preferred
from local.embedded_estate import EmbeddedEstate
from shared.backup_verification.drill import Phase
from shared.backup_verification.report import DrillDocument
from tests.drills.running import app

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def test_a_real_drill_is_reported_in_both_forms(estate: EmbeddedEstate, tmp_path: Path) -> None:
    with app(estate, tmp_path) as running:
        drill = running.start_drill("reported")
        assert running.api.get(f"/api/drills/{drill}/report").status_code in {404, 409}  # not begun, or not over
        report = running.await_drill(drill)["report"]
        place = f"/api/drills/{drill}/report"
        unsealed = running.api.get(place)
        assert unsealed.headers["content-type"] == "application/json"
        document = DrillDocument.model_validate_json(unsealed.content)
        assert (document.report.id, document.evidence.name) == (drill, report["evidence"]["name"])
        assert document.told is not None
        assert "controlling" in {one.name for one in document.told.recipients}
        proven = {one.server: one.proven_at for one in document.coverage}
        assert proven.get("erp") == document.report.phases[Phase.REQUESTED]

        running.fire("evidence_sealing_tick")
        deadline = time.monotonic() + 30
        while (document := DrillDocument.model_validate_json(running.api.get(place).content)).sealed is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        record = estate.evidence.download_blob(document.evidence.name).readall()
        assert hashlib.sha256(record).hexdigest() == document.evidence.sha256
        assert document.sealed.proof.record == document.evidence.name

        page = running.api.get(place, headers={"Accept": BROWSER})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert "Passed: the books came back." in page.text
        assert document.sealed.seal.root in page.text

        assert running.api.get("/api/drills/drill:no:such:one/report").status_code == 404
        assert running.api.get(place, headers={"Accept": "application/pdf"}).status_code == 406


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        (BROWSER, "text/html"),
        ("application/json", "application/json"),
        ("text/*", "text/html"),
        ("text/html;q=0.4, application/json;q=0.5", "application/json"),
        ("text/html;q=0", None),
        ("*/*, application/json;q=0", "text/html"),
        ("application/pdf", None),
        ("text/html;q=much", None),
    ],
)
def test_the_form_is_the_one_that_is_asked_for(accept: str, form: str | None) -> None:
    assert preferred(accept) == form
