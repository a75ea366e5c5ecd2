"""What senders, logs and names may not do: reach further than they are declared to, leak, grow, or be typed unseen."""

import json
import re
import shlex
from datetime import timedelta

import pytest

from shared.job_remediation.decision import Circumstances, decide
from shared.job_remediation.evidence import Evidence, shown
from shared.job_remediation.intake.reading import read
from shared.job_remediation.library import PlaybookInvalidError, parse_playbook, shipped_playbooks
from shared.job_remediation.odoo_jobs import MOST_RECORDS, QueueJob, queue_evidence
from shared.job_remediation.playbook import exact
from shared.job_remediation.signal import Source
from tests.job_remediation import deliveries
from tests.job_remediation.places import NOW, PLACES, the_signal

ESCAPES = ["$(touch x)", "`touch x`", "a; touch x", "a' -p 'b", 'a" b', "a\nb", "a && b", "a | b", "${HOME}", "*"]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_from_outside_is_one_word_of_a_command_and_nothing_of_it_runs(name: str) -> None:
    for playbook in shipped_playbooks().values():
        for case in playbook.cases:
            for template in case.commands:
                facts = {
                    fact: "let-in" if fact.endswith(".access") else name for fact in re.findall(r"{(.*?)}", template)
                }
                for command in exact((template,), Evidence(facts)):
                    if facts and not command.startswith("select "):  # that is typed into psql, and is of numbers
                        assert len(shlex.split(command)) == len(shlex.split(template)), command
                        assert not set("$`;&|*\n") & set(command.replace(shlex.quote(name), "")), command


def test_what_would_be_taken_for_an_option_is_left_out_of_the_commands() -> None:
    commands = ("kubectl logs {job.name}", "kubectl get pods")
    assert exact(commands, Evidence({"job.name": "--kubeconfig=/tmp/x"})) == ("kubectl get pods",)


@pytest.mark.parametrize("command", ["echo '{signal.title}'", 'echo \\"{signal.title}\\"', "echo `x {signal.title}`"])
def test_a_playbook_that_puts_a_fact_in_quotes_is_refused(command: str) -> None:
    text = f"""
name: own
title: own
symptoms: [other]
cases:
  - {{name: always, says: it is, ask: look, commands: ["{command}"]}}
"""
    with pytest.raises(PlaybookInvalidError, match="a fact stands in quotes"):
        parse_playbook(text, "own.yaml")


SECRETS = {
    "postgresql://odoo:s3cr3t-pw@pg/erp": "s3cr3t-pw",
    "Authorization: Bearer abcdefghijklmnopqrstuvwxyz012345": "abcdefghijklmnopqrstuvwxyz012345",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0LXNlY3JldA==;": "c2VjcmV0LXNlY3JldA",
    "https://a.blob.core.windows.net/c?sv=2024&sig=AbC%2Fdef123456789": "AbC%2Fdef123456789",
    "could not connect: host=pg user=odoo password=hunter2hunter2": "hunter2hunter2",
}


@pytest.mark.parametrize(("line", "secret"), SECRETS.items())
def test_secrets_in_logs_errors_and_alerts_are_in_no_diagnosis(line: str, secret: str) -> None:
    seen = shown(Evidence({"job.message": f"Connection refused | {line}"}, missing={"crons": line}))
    assert secret not in repr(seen)
    assert str(seen.facts["job.message"]).startswith("Connection refused")
    signal = the_signal({**deliveries.PLAIN, "title": line, "facts": {"name": line, "kind": "secret"}})
    expiry = shipped_playbooks()["near-expiry"]
    decision = decide(signal, expiry, Evidence(), Circumstances(now=NOW, attempts=0))
    assert secret not in repr(decision)


def test_facts_are_bounded_and_without_what_a_terminal_obeys() -> None:
    seen = shown(Evidence({"job.message": "\x1b[2J\x07gone\r\n" + "x y " * 100_000, "job.memory": 7}))
    message = str(seen.facts["job.message"])
    assert len(message) <= 2_000
    assert message.isprintable()
    assert "gone" in message
    assert seen.facts["job.memory"] == 7


def test_a_sender_of_one_format_cannot_speak_in_another() -> None:
    alert = deliveries.body(deliveries.azure_alert(deliveries.metric_context()))
    found = read(alert, NOW, PLACES, Source.ALERTMANAGER)
    assert found.signals == ()
    assert "declared to send alertmanager, and this is azure-monitor" in found.unrecognised[0].reason
    own = deliveries.body(deliveries.alertmanager(deliveries.crash_loop()))
    assert len(read(own, NOW, PLACES, Source.ALERTMANAGER).signals) == 1


def test_one_delivery_tells_of_so_many_faults_at_most() -> None:
    group = {"receiver": "r", "alerts": [{"status": "firing", "labels": {"a": str(n)}} for n in range(4_000)]}
    found = read(json.dumps([group, group]).encode(), NOW, PLACES)
    assert len(found.signals) == 5_000
    assert len(found.unrecognised) == 3_000
    assert "send smaller batches" in found.unrecognised[0].reason


def test_a_job_of_more_records_than_are_asked_about_is_not_carried_around() -> None:
    job = QueueJob(
        id=1, uuid="u", model="m", method="f", state="failed", exception="E", message="", twin=False,
        records=tuple(range(MOST_RECORDS + 1)), date_started=NOW - timedelta(hours=1),
    )  # fmt: skip
    (item,) = queue_evidence("main", "erp", [job], [], True, lambda _: "unknown").items
    assert item["records"] == ""
