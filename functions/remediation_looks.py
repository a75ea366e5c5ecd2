"""One look of a remediation: evidence is collected, the playbook is asked, and what was seen and decided is kept."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from functions import estate_in_force
from functions import remediation_storms as storms
from functions.change_execution import services
from functions.own_playbooks import playbooks
from functions.remediation_evidence import collect
from functions.remediation_rulings import is_frozen
from shared.changes.ports import Entry
from shared.changes.state import to_data
from shared.job_remediation import library, register
from shared.job_remediation.actions import AUTOMATION, Context
from shared.job_remediation.decision import Circumstances, Course, Decision, Why, decide
from shared.job_remediation.evidence import FACTS, Collector, Evidence
from shared.job_remediation.playbook import fits
from shared.job_remediation.register import Known


@dataclass(frozen=True, slots=True)
class Look:
    """The input of a look. `number` counts the looks of a remediation, `attempts` what was tried before it."""

    fingerprint: str
    occurrence: int
    number: int
    attempts: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of it. `resolved`: the senders say that the fault is over. `requested_by`: who can never approve what
    follows: the person who told of the fault, or the automation."""

    decision: Decision
    resolved: bool = False
    requested_by: str = AUTOMATION
    evidence: Evidence = field(default_factory=Evidence)


@dataclass(frozen=True, slots=True)
class Well:
    """Whether the facts are as the playbook wants them after a repair; None when that could not be seen."""

    well: bool | None
    seen: str


def look(order: Look) -> Looked:
    """Look at the fault once: the same look again answers what it answered, whatever the world is like then."""
    store = services().store
    name = f"remediation/looks/{order.fingerprint}/{order.occurrence:06}-{order.number:04}"
    kept = store.get(name, Looked)
    if kept is None:
        store.create(name, Looked, _look(order))
        kept = store.get(name, Looked)
    if kept is None:
        raise RuntimeError(f"{name} was written and is not there")
    _record(order, kept)
    return kept


def check(fingerprint: str, playbook: str) -> Well:
    """Look again after a repair."""
    known = register.look_up(services().store, fingerprint)
    try:
        book = playbooks().get(playbook)
    except library.PlaybookInvalidError as error:
        return Well(None, str(error))
    if book is None:
        return Well(None, f"the playbook {playbook} is no longer there")
    telling = [one for one in book.collect if FACTS[one].keys() & book.well.keys()]
    seen = collect(telling, known.signal)
    facts = ", ".join(f"{fact} is {seen.facts.get(fact, 'not known')}" for fact in book.well)
    if seen.missing:
        return Well(None, "; ".join(f"{collector}: {what}" for collector, what in seen.missing.items()))
    return Well(fits(book.well, seen), facts)


def _look(order: Look) -> Looked:
    known = register.look_up(services().store, order.fingerprint)
    if not known.fault.is_open or known.fault.occurrences > order.occurrence:
        says = f"{known.signal.title}: its sender says that it is over."
        return Looked(Decision(course=Course.OVER, why=Why.NOTHING_WRONG, says=says), resolved=True)
    policy = estate_in_force.get().job_remediation
    try:
        playbook = library.playbook_for(playbooks(), known.signal.symptom)
    except library.PlaybookInvalidError as error:
        return Looked(_cannot_say(known, str(error)))
    evidence = collect(playbook.collect, known.signal) if playbook else Evidence()
    weather = storms.weather_of(known.signal.environment)
    around = Circumstances(
        now=order.at,
        attempts=order.attempts,
        disabled=frozenset(policy.playbooks.disabled) if policy else frozenset(),
        propose_only=frozenset(policy.playbooks.propose_only) if policy else frozenset(),
        weather=weather,
        spread=storms.common_cause_of(weather, order.fingerprint),
        context=_context(known, order),
    )
    decision = decide(known.signal, playbook, evidence, around)
    if decision.why is Why.STORM:
        storms.tell_storm(known.signal.environment, weather)
    if decision.course in (Course.ACT, Course.HUMAN):  # who waits or is done needs no explanation, and many may wait
        evidence = evidence.merged(collect((Collector.CIRCUMSTANCES,), known.signal))
        decision = replace(decision, around=tuple(_around(evidence)))
    return Looked(decision, evidence=evidence, requested_by=known.begun_by or AUTOMATION)


def _around(evidence: Evidence) -> Iterator[str]:
    """What goes on around it, in lines for whoever reads the diagnosis."""
    for fact, words in _AROUND.items():
        if said := evidence.facts.get(fact):
            yield f"{words}: {said}"


_AROUND = {
    "around.calendar": "the finance calendar",
    "around.sleep": "sleeps on purpose",
    "around.changed": "changed by us in the last two hours",
    "around.operations": "in Azure's activity log of the last two hours",
    "around.rollouts": "rolled out in the last two hours",
    "around.maintenance": "maintenance",
    "around.unseen": "could not be seen",
}


def _cannot_say(known: Known, why: str) -> Decision:
    """Nothing is done while nobody knows what the user's playbooks mean."""
    return Decision(
        course=Course.HUMAN,
        why=Why.NO_PLAYBOOK,
        says=f"{known.signal.title}: the playbooks cannot be read, so nothing is done about anything.",
        ask="Look at it, and mend the playbooks.",
        commands=("make playbook-test FILE=...",),
        left=(why,),
    )


def _context(known: Known, order: Look) -> Context | None:
    """What a proposal depends on; None where the estate does not say whose the fault is, or nothing is to be done."""
    estate, signal = estate_in_force.get(), known.signal
    if estate.job_remediation is None or signal.environment is None or signal.environment not in estate.environments:
        return None
    return Context(
        remediation=register.remediation_id(order.fingerprint, order.occurrence),
        attempt=order.attempts + 1,
        environment=signal.environment,
        tenant=signal.tenant,
        policy=estate.job_remediation,
        frozen=is_frozen(estate, signal.environment, signal.tenant, order.at),
    )


def _record(order: Look, looked: Looked) -> None:
    """Record what was seen and decided, also that nothing is done."""
    known = register.look_up(services().store, order.fingerprint)
    decision = looked.decision
    services().recorder.record(
        Entry(
            automation=AUTOMATION,
            kind="diagnosed",
            subject=f"{register.remediation_id(order.fingerprint, order.occurrence)}:{order.number}",
            time=order.at,
            environment=known.signal.environment,
            tenant=known.signal.tenant,
            body={
                "title": known.signal.title,
                "target": str(known.signal.target),
                "symptom": known.signal.symptom,
                "course": decision.course,
                "why": decision.why,
                "playbook": decision.playbook,
                "case": decision.case,
                "cause": decision.cause,
                "says": decision.says,
                "left": list(decision.left),
                "around": list(decision.around),
                "changes": [{"id": change.id, "what": change.description} for change in decision.changes],
                "facts": to_data(looked.evidence)["facts"],
                "missing": dict(looked.evidence.missing),
            },
        )
    )
