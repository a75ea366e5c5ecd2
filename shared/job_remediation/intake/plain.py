"""The plain webhook, for tools that can send any JSON; its fields are in docs/job-remediation.md."""

from shared.job_remediation.intake.observation import Found, Observation, Unreadable
from shared.job_remediation.intake.values import Fields
from shared.job_remediation.signal import Condition, Severity, Source, Target
from shared.job_remediation.symptoms import Symptom

_LABELS = ("tenant", "environment", "symptom", "database")


def is_plain(item: Fields) -> bool:
    """Whether it is meant as a plain signal."""
    return "condition" in item and ("fault" in item or "title" in item)


def read_plain(item: Fields) -> Found:
    """What it says. `fault` names what fired and what resolved it alike; without it the title does."""
    condition = {one.value: one for one in Condition}.get((item.text("condition") or "").casefold())
    fault = item.text("fault", "title")
    if condition is None or fault is None:
        absent = (("condition", condition is None), ("fault", fault is None))
        return [Unreadable("a signal that does not say what of, or its condition", tuple(p for p, no in absent if no))]
    severity = (item.text("severity") or "").upper()
    target = Target(
        resource=item.text("resource"),
        cluster=item.text("cluster"),
        namespace=item.text("namespace"),
        object=item.text("object"),
    )
    return [
        Observation(
            source=Source.PLAIN,
            condition=condition,
            symptom=Symptom.OTHER,
            title=item.text("title") or fault,
            identity=(*target.key, fault),
            severity=Severity[severity] if severity in Severity.__members__ else Severity.WARNING,
            target=target,
            fired_at=item.time("fired_at"),
            resolved_at=item.time("resolved_at") if condition is Condition.RESOLVED else None,
            labels={name: text for name in _LABELS if (text := item.text(name))},
            facts=dict(item.fields("facts").words()),
        )
    ]
