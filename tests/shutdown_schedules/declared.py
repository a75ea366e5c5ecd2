"""An estate with a staging environment that sleeps, as an engineer would declare it."""

from textwrap import indent

from shared.estate.estate import Estate
from shared.estate.loading import load_estate
from shared.finance_calendar.calendar import FinanceCalendar
from shared.finance_calendar.compilation import compile_calendar
from shared.shutdown_schedules.considering import Sleep

PROVIDERS = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-staging/providers"
CLUSTER = f"{PROVIDERS}/Microsoft.ContainerService/managedClusters/aks-staging"
SERVER = f"{PROVIDERS}/Microsoft.DBforPostgreSQL/flexibleServers/pg-staging"
REPLICAS = [f"{SERVER}-r1", f"{SERVER}-r2"]
POOL = f"{CLUSTER}/agentPools/work"
WEB, WORKER, CRON = (
    f"{CLUSTER}//{each}" for each in ("deployment/odoo/web", "deployment/odoo/worker", "cronjob/odoo/dump")
)

ESTATE = """
estate: contoso
calendar:
  time_zone: {zone}
  business_days: {{ holidays: DE-BE }}
  regions: {{ america: {{ holidays: FED, time_zone: America/New_York }} }}
  events:
    month-end: {{ when: last business day of month, from: "06:00", to: +1 business day 20:00, kinds: [peak, freeze] }}
tiers:
  relaxed: {{ rpo: 1d, rto: 8h, drill: quarterly }}
rates:
  currency: EUR
  postgres_hour: {{ Standard_D4ds_v5: 0.5 }}
  node_hour: {{ Standard_D8s_v5: 0.4 }}
  cluster_hour: 0.1
environments:
  staging:
    stage: {stage}
    tier: relaxed
    location: westeurope
    postgres:
      erp:
        id: {server}
        databases: [contoso, fabrikam]
        replicas: {{ r1: {{ id: {server}-r1 }}, r2: {{ id: {server}-r2 }} }}
    clusters:
      main:
        id: {cluster}
        pools: {{ system: {{ mode: system }}, work: {{ mode: user }} }}
        namespaces: [odoo]
        workloads:
          web: {{ object: deployment/odoo/web, role: web, pool: work }}
          worker: {{ object: deployment/odoo/worker, role: worker, pool: work }}
          dump: {{ object: cronjob/odoo/dump, role: cron, pool: work }}
    tenants:
      contoso: {{ placement: shared, database: erp/contoso }}
      fabrikam: {{ placement: shared, database: erp/fabrikam, workloads: [main/web] }}
shutdown_schedules:
{schedules}
"""
NIGHTS = """
nights:
  covers: { environment: staging }
  awake: Mon-Fri 07:00-20:00
  wake_ahead: 30m
"""


def estate(schedules: str = NIGHTS, *, zone: str = "Europe/Berlin", stage: str = "staging") -> Estate:
    """The estate with these schedules."""
    text = ESTATE.format(
        zone=zone, stage=stage, server=SERVER, cluster=CLUSTER, schedules=indent(schedules.strip(), "  ")
    )
    return load_estate(text, "test")


def calendar(declared: Estate) -> FinanceCalendar:
    return compile_calendar(declared.calendar)


def sleep(schedules: str = NIGHTS, **more: str) -> Sleep:
    """What sleeps in staging."""
    declared = estate(schedules, **more)
    return Sleep(declared, "staging", calendar(declared))
