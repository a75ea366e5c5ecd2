"""Estates for the tests of this folder."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.estate.yaml_tree import read

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((PROJECT / "examples").glob("*/estate.yaml"))
SINGLE_COMPANY = PROJECT / "examples" / "single-company" / "estate.yaml"
MALFORMED = sorted((Path(__file__).parent / "malformed").glob("*.yaml"))
PROVIDERS = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-erp/providers"
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)

SMALL = f"""
estate: contoso
calendar:
  time_zone: Europe/Berlin
  events:
    month-end: {{ when: last business day of month, kinds: [peak, freeze] }}
tiers:
  critical: {{ rpo: 5m, rto: 2h, drill: monthly }}
environments:
  production:
    stage: production
    tier: critical
    location: westeurope
    postgres:
      erp:
        id: {PROVIDERS}/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp
        databases: [contoso]
    tenants:
      contoso: {{ placement: shared, database: erp/contoso }}
backup_verification:
  drills:
    resource_group: /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-drills
"""
"""A valid estate without any advice."""


def plain(text: str) -> Any:
    """What a text says, without judging it."""
    root, _ = read(text)
    assert root is not None
    return root.plain()
