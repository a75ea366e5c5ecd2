"""Advice: each case once as it should not be, and the good estate without any."""

from pathlib import Path

import pytest

from shared.estate.lint import lint
from shared.estate.loading import read_estate
from shared.finance_calendar.compilation import compile_calendar
from tests.estate.files import EXAMPLES, NOW, PROVIDERS, SMALL

CLUSTER = f"""\
    clusters:
      main:
        id: {PROVIDERS}/Microsoft.ContainerService/managedClusters/aks-erp
        pools: {{ worker: {{}} }}
"""
STORAGE = f"""\
    storage:
      documents:
        id: {PROVIDERS}/Microsoft.Storage/storageAccounts/sterpdocs
        soft_delete: 7d
        containers: {{ attachments: {{ class: attachment, layout: filestore }} }}
"""
STAGING = f"""\
  staging:
    stage: staging
    tier: critical
    location: westeurope
    postgres:
      erp:
        id: {PROVIDERS}/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp-staging
        databases: [contoso]
    tenants: {{ contoso: {{ placement: shared, database: erp/contoso }} }}
"""
NIGHTS = "shutdown_schedules:\n  nights:\n    covers: { environment: production }\n"
CLOSE = "    close: { when: last business day of month, from: -20 days, to: +5 days, kinds: freeze }\n"


def advice(text: str) -> list[str]:
    read = read_estate(text, "estate.yaml")
    return [str(read.problem(*found)) for found in lint(read.estate, compile_calendar(read.estate.calendar), NOW)]


def changed(*pairs: tuple[str, str], more: str = "") -> str:
    text = SMALL
    for one, other in pairs:
        assert one in text, one
        text = text.replace(one, other, 1)
    return text + more


def in_production(section: str) -> tuple[str, str]:
    return ("    tenants:\n", f"{section}    tenants:\n")


def with_documents(section: str) -> str:
    return changed(
        in_production(section),
        ("database: erp/contoso }", "database: erp/contoso, documents: [documents/attachments] }"),
    )


def recovered(text: str) -> str:
    return (
        text.replace("location: westeurope", "location: westeurope\n    paired_location: northeurope")
        + "  recovery: { production: {} }\n"
    )


def scaled(within: str = "", ready: str = "2h") -> str:
    return (
        "peak_scaling:\n  production:\n    peaks:\n      month-end:\n"
        f"        ready_before: {ready}\n        postgres: {{ erp: {{ sku: Standard_D8ds_v5 }} }}\n{within}"
    )


CASES: dict[str, tuple[str, list[str]]] = {
    "a good estate": (SMALL, []),
    "production whose tier has no drill": (
        changed(("drill: monthly", "drill: never")),
        ["tier: production with no drill: tier `critical`"],
    ),
    "production without backup verification": (
        SMALL.split("backup_verification:")[0],
        ["tier: production with no drill; add a section"],
    ),
    "staging may do without drills": (
        changed(("stage: production", "stage: staging"), ("drill: monthly", "drill: never")),
        [],
    ),
    "an RPO that no backup gives": (changed(("rpo: 5m", "rpo: 1m")), ["tiers.critical.rpo: 1m is less"]),
    "an RTO that no restore meets": (changed(("rto: 2h", "rto: 5m")), ["tiers.critical.rto: 5m is less"]),
    "recovery into another region without anything there": (
        recovered(SMALL),
        ["postgres.erp: is recovered into the paired region, but has neither"],
    ),
    "a promise that a geo-restore cannot keep": (
        recovered(changed(("databases: [contoso]", "databases: [contoso]\n        geo_redundant: true"))),
        ["postgres.erp: promises 5m; a geo-restore loses up to 1h"],
    ),
    "the same with a replica in the paired region": (
        recovered(
            changed(
                (
                    "databases: [contoso]",
                    f"databases: [contoso]\n        replicas: {{ far: {{ location: northeurope, id: {PROVIDERS}"
                    "/Microsoft.DBforPostgreSQL/flexibleServers/pg-far } }",
                )
            )
        ),
        [],
    ),
    "drills that end before the promise does": (
        changed(more="    time_limit: 1h\n"),
        ["drills.time_limit: is shorter than the 2h that tier `critical` promises"],
    ),
    "a cost limit without prices": (
        changed(more="    cost_limit: 20\n"),
        ["drills.cost_limit: the cost of a drill is not"],
    ),
    "a database that is nobody's": (
        changed(("databases: [contoso]", "databases: [contoso, legacy]")),
        ["databases[1]: `legacy` is no tenant's database"],
    ),
    "soft delete as long as the point-in-time window": (with_documents(STORAGE), []),
    "soft delete shorter than the point-in-time window": (
        with_documents(STORAGE.replace("soft_delete: 7d", "soft_delete: 6d")),
        ["documents.soft_delete: keeps deleted files for 6d, but the database of `contoso` can go back 7d"],
    ),
    "no soft delete at all": (
        with_documents(STORAGE.replace("        soft_delete: 7d\n", "")),
        ["storage.documents: keeps deleted files for no time"],
    ),
    "versions instead of soft delete": (with_documents(STORAGE.replace("soft_delete: 7d", "versioning: true")), []),
    "documents looked for in a region that cannot be read": (
        with_documents(STORAGE) + "    secondary_documents: true\n",
        ["storage.documents: drills look for documents in the secondary region"],
    ),
    "a document class without a policy": (
        with_documents(STORAGE) + "storage_tiering: { classes: {} }\n",
        ["containers.attachments.class: class `attachment` has no policy"],
    ),
    "attachments that are archived": (
        with_documents(STORAGE) + "storage_tiering: { classes: { attachment: { archive_after: 1y } } }\n",
        ["classes.attachment.archive_after: Odoo reads these documents"],
    ),
    "a freeze that holds nothing back": (
        changed(more="changes: { gates: { production: { freeze_holds: [] } } }\n"),
        ["changes.gates.production.freeze_holds: a freeze holds nothing back"],
    ),
    "a cluster that cannot be stopped": (
        changed(
            in_production(CLUSTER.replace("pools:", "node_auto_provisioning: true\n        pools:")),
            more="shutdown_schedules:\n  nights:\n    covers: { environment: production, clusters: [main] }\n"
            "    awake: Mon-Sun 00:00-24:00\n    holidays: as any day\n    production_may_sleep: true\n",
        ),
        ["shutdown_schedules.nights.clusters: cluster `main` provisions its nodes itself"],
    ),
    "sleep in a peak that needs capacity": (
        changed(more=NIGHTS + "    awake: Mon-Fri 07:00-20:00\n    production_may_sleep: true\n" + scaled()),
        ["shutdown_schedules.nights: sleeps from 2026-11-30 00:00, in the peak `month-end`"],
    ),
    "no sleep in the peak, since it is needed": (
        changed(
            more=NIGHTS
            + "    awake: Mon-Fri 07:00-20:00\n    needed_for: [month-end]\n    production_may_sleep: true\n"
            + scaled()
        ),
        [],
    ),
    "awake around the clock": (
        changed(more=NIGHTS + "    awake: Mon-Sun 00:00-24:00\n    production_may_sleep: true\n" + scaled()),
        [],
    ),
    "sleep in the peaks of others": (
        changed(
            ("backup_verification:", STAGING + "backup_verification:"),
            more="shutdown_schedules:\n  nights: { covers: { environment: staging }, awake: 'Mon-Fri 07:00-20:00' }\n"
            + scaled(),
        ),
        [],
    ),
    "PostgreSQL scaled on the weekend before the freeze": (
        changed(more=scaled("        postgres_within: Sat 22:00-Sun 04:00\n")),
        [],
    ),
    "PostgreSQL scaled inside the freeze": (
        changed(
            (
                "month-end: { when: last business day of month, ",
                "month-end: { when: last business day of month, from: -1 day, ",
            ),
            (
                "  events:\n",
                "  events:\n" + CLOSE,
            ),
            more=scaled("        postgres_within: Sat 22:00-Sun 04:00\n"),
        ),
        ["peaks.month-end.postgres_within: PostgreSQL could be scaled for 2026-11-30 only inside a freeze"],
    ),
}


@pytest.mark.parametrize(("text", "said"), CASES.values(), ids=CASES.keys())
def test_advice(text: str, said: list[str]) -> None:
    found = advice(text)
    assert len(found) == len(said), found
    for line, words in zip(found, said, strict=True):
        assert words in line


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_the_examples_have_no_advice_but_what_a_comment_accepts(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    read = read_estate(text, "estate.yaml")
    lines = text.split("\n")
    for found in lint(read.estate, compile_calendar(read.estate.calendar), NOW):
        problem = read.problem(*found)
        above = problem.line - 2
        comment = ""
        while lines[above].lstrip().startswith("#"):
            comment = lines[above] + comment
            above -= 1
        assert "`validate` gives advice here" in comment, str(problem)
