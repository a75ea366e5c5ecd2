"""The declared estate as a blob of a running app: what is in force, what is wrong, and who is told."""

import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.embedded_estate import EmbeddedEstate
from tests.browser import needs_chromium, seen
from tests.drills.running import App, app


class Declared:
    """The app with its estate in a blob."""

    def __init__(self, running: App) -> None:
        self.app = running
        self.good = running.estate.local_estate_file.read_text()
        self.blob = running.estate.blobs("closekeeper").get_blob_client("estate", "estate.yaml")

    def declare(self, text: str) -> None:
        self.blob.upload_blob(text.encode(), overwrite=True)

    def shown(self, accept: Any) -> dict[str, Any]:
        """What the API says once it is accepted: the app looks at the blob every half second here."""
        deadline = time.monotonic() + 30
        while True:
            answer = self.app.api.get("/api/estate")
            if answer.status_code == 200 and accept(answer.json()):
                return answer.json()
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)

    def told(self) -> list[dict[str, Any]]:
        received = (kept.event for kept in self.app.estate.azure.events.received)
        return [dict(event.body) for event in received if event.type == "Closekeeper.Estate.Invalid"]


@pytest.fixture(scope="module")
def declared(estate: EmbeddedEstate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Declared]:
    url = f"{estate.azurite.account_url('closekeeper')}/estate/estate.yaml"
    good = estate.local_estate_file.read_bytes()
    estate.blobs("closekeeper").get_blob_client("estate", "estate.yaml").upload_blob(good, overwrite=True)
    data = tmp_path_factory.mktemp("declared")
    with app(estate, data, ESTATE_URL=url, ESTATE_CHECK_SECONDS="0.5") as running:
        yield Declared(running)


def test_an_invalid_newer_estate_is_not_in_force_and_is_told_once(declared: Declared, tmp_path: Path) -> None:
    good = declared.shown(lambda shown: "fault" not in shown)
    declared.declare(declared.good.replace("tiers:", "teirs:", 1))
    faulty = declared.shown(lambda shown: "fault" in shown)
    assert faulty["version"] == good["version"]
    assert any("teirs" in problem and "tiers" in problem for problem in faulty["fault"]["problems"])
    before = len(declared.told())
    for _ in range(3):
        declared.app.fire("declared_estate_tick")
    deadline = time.monotonic() + 30
    while len(declared.told()) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    declared.app.fire("declared_estate_tick")
    time.sleep(1)
    told = declared.told()[before:]
    assert len({event["id"] for event in told}) == 1
    assert told[0]["data"]["in_force"] == good["version"]
    page = declared.app.api.get("/api/status").text
    assert "A newer estate is not in force" in page
    assert "teirs" in page
    declared.declare(declared.good.replace("contoso-finance", "contoso-finance-2", 1))
    mended = declared.shown(lambda shown: shown["version"] != good["version"])
    assert "fault" not in mended
    assert mended["estate"] == "contoso-finance-2"
    declared.declare(declared.good)
    declared.shown(lambda shown: shown["version"] == good["version"])


def test_the_calendar_is_asked_by_span_and_subscribed_to(declared: Declared) -> None:
    api = declared.app.api
    span = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-31T00:00:00Z"}
    events = api.get("/api/calendar", params=span).json()["value"]
    (close,) = [event for event in events if event["event"] == "month-end-close" and event["period"] == "2026-11"]
    assert close["anchor"] == "2026-11-30"
    assert "freeze" in close["kinds"]
    feed = api.get("/api/calendar", params={**span, "format": "ics"})
    assert feed.headers["content-type"].startswith("text/calendar")
    assert feed.text.count("BEGIN:VEVENT") == len(events)
    assert api.get("/api/calendar/now").json()["next_freeze"]
    for parameters, field in [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-01T00:00:00"}, "from"),
        ({"from": span["to"], "to": span["from"]}, "to"),
        ({"format": "pdf"}, "format"),
    ]:
        refused = api.get("/api/calendar", params=parameters)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)


def test_evidence_is_found_proven_and_packed(declared: Declared, tmp_path: Path) -> None:
    running = declared.app
    report = running.drill("for-the-pack")
    found = running.api.get("/api/evidence", params={"subject": report["id"]}).json()["value"]
    assert [record["name"] for record in found] == [report["evidence"]["name"]]
    assert running.api.get("/api/evidence/proofs/records/none.json").status_code == 404
    running.fire("evidence_sealing_tick")
    deadline = time.monotonic() + 30
    while (proof := running.api.get(f"/api/evidence/proofs/{found[0]['name']}")).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert proof.json()["record"] == found[0]["name"]
    pack = running.api.get("/api/evidence/pack", params={"environment": "production"})
    assert pack.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(pack.content)) as packed:
        assert {"verify.py", "report.html", "manifest.json", found[0]["name"]} <= set(packed.namelist())


@needs_chromium
def test_a_person_sees_the_status_page_and_the_report_of_a_pack(declared: Declared, tmp_path: Path) -> None:
    running = declared.app
    report = running.drill("for-the-page")
    page = seen(f"{running.host.url}/api/status?code={running.host.function_key}", tmp_path / "one")
    assert "Restore drills" in page
    assert report["evidence"]["name"].rpartition("/")[2] in page
    assert running.host.function_key not in page
    running.fire("evidence_sealing_tick")
    running.await_idle()
    pack = running.api.get("/api/evidence/pack")
    with zipfile.ZipFile(io.BytesIO(pack.content)) as packed:
        packed.extract("report.html", tmp_path)
    assert "drill" in seen((tmp_path / "report.html").as_uri(), tmp_path / "two")
