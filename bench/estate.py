"""An estate of 2,000 tenants: how long it takes to load and validate, beside only reading its YAML.

Run as `python -m bench.estate`; `--smoke` uses 100 tenants and judges nothing.
"""

import argparse
import sys
import time
import tracemalloc
from collections.abc import Callable

import yaml

from shared.estate.loading import load_estate
from shared.estate.problems import EstateInvalidError

BUDGET = 2.0
PROVIDERS = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-erp/providers"
HEAD = """\
estate: managed-hosting
calendar:
  time_zone: Europe/Berlin
  events:
    month-end: { when: last business day of month, from: -2 business days, to: +3 business days, kinds: [peak, freeze] }
tiers:
  critical: { rpo: 5m, rto: 2h, drill: monthly }
  standard: { rpo: 1h, rto: 8h, drill: quarterly }
recipients:
  platform: { who: The platform team }
  finance: { who: The customers' controllers, at_least: error }
backup_verification:
  drills:
    resource_group: /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-drills
environments:
  production:
    stage: production
    tier: standard
    location: westeurope
"""


def estate(tenants: int) -> str:
    """Ten tenants to a server, ten servers to a cluster, a container of documents for each tenant."""
    servers = "".join(
        f"      pg-{server}:\n"
        f"        id: {PROVIDERS}/Microsoft.DBforPostgreSQL/flexibleServers/pg-{server}\n"
        f"        databases: [{_databases(server, tenants)}]\n"
        "        point_in_time_window: 14d\n"
        for server in range((tenants + 9) // 10)
    )
    clusters = "".join(
        f"      aks-{cluster}:\n"
        f"        id: {PROVIDERS}/Microsoft.ContainerService/managedClusters/aks-{cluster}\n"
        "        pools: { worker: { role: worker } }\n        namespaces: [odoo]\n        workloads:\n"
        + "".join(
            f"          {role}: {{ object: deployment/odoo/{role}, role: {role}, pool: worker }}\n"
            for role in ("web", "worker", "cron")
        )
        for cluster in range((tenants + 99) // 100)
    )
    containers = "".join(f"          t{tenant}-files: {{ class: attachment }}\n" for tenant in range(tenants))
    owned = "".join(
        f"      t{tenant}:\n"
        "        placement: shared\n"
        f"        database: pg-{tenant // 10}/t{tenant}\n"
        f"        workloads: [aks-{tenant // 100}/web, aks-{tenant // 100}/worker]\n"
        f"        documents: [documents/t{tenant}-files]\n"
        f"        host: t{tenant}.erp.example\n"
        "        tier: critical\n"
        "        time_zone: Europe/Vienna\n"
        "        recipients: [platform, finance]\n"
        for tenant in range(tenants)
    )
    return (
        f"{HEAD}    postgres:\n{servers}    clusters:\n{clusters}    storage:\n      documents:\n"
        f"        id: {PROVIDERS}/Microsoft.Storage/storageAccounts/stdocuments\n"
        f"        soft_delete: 14d\n        containers:\n{containers}    tenants:\n{owned}"
    )


def _databases(server: int, tenants: int) -> str:
    return ", ".join(f"t{tenant}" for tenant in range(server * 10, min(server * 10 + 10, tenants)))


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def refused(text: str) -> int:
    try:
        load_estate(text)
    except EstateInvalidError as error:
        return len(error.problems)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    tenants = 100 if parser.parse_args().smoke else 2000
    text = estate(tenants)
    wrong = text.replace("tier: critical", "tier: critcal").replace("host: t1", "hots: t1")
    load_estate(estate(1))  # imports and holidays, which a running app has loaded
    load = min(seconds(lambda: load_estate(text)) for _ in range(3))
    events = min(seconds(lambda: sum(1 for _ in yaml.parse(text, Loader=yaml.CSafeLoader))) for _ in range(3))
    plain = min(seconds(lambda: yaml.load(text, Loader=yaml.CSafeLoader)) for _ in range(3))
    problems = refused(wrong)
    refuse = seconds(lambda: refused(wrong))
    tracemalloc.start()
    load_estate(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{tenants} tenants, {text.count(chr(10)):,} lines, {len(text) / 1e6:.2f} MB")
    print(f"load and validate        {load:7.3f} s   (goal: under {BUDGET} s for 2,000 tenants)")
    print(f"only yaml.parse (C)      {events:7.3f} s   ratio {load / events:5.1f}")
    print(f"only yaml.load (C)       {plain:7.3f} s   ratio {load / plain:5.1f}")
    print(f"refuse {problems:,} problems    {refuse:7.3f} s")
    print(f"peak memory              {peak / 1e6:7.1f} MB")
    return 0 if tenants < 2000 or load < BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
