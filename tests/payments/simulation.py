"""Remediations of a failed payment job, played with every delivery, person and worker in between out of our hands.

Diagnosis, decision, gate, executor and adapter are the real ones; the world is `tests.payments.bank`. One seed is one
exact interleaving, down to single blob operations and single looks at the queue.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import current_thread

from functions.adapters.queue_jobs import QueueJobs, Seen
from shared.changes import claims, executor, governance
from shared.changes.advance import step
from shared.changes.approvals import Approval
from shared.changes.change import Change
from shared.changes.errors import ConflictError, NotPermittedError
from shared.changes.execution import GOOD, Execution
from shared.changes.plan import Plan
from shared.changes.policy import BreakerRule, Budget, Limits, Policy, RetryRule
from shared.changes.progress import Answer, Phase
from shared.changes.state import Store
from shared.estate.policies.job_remediation import Job as Declared
from shared.estate.policies.job_remediation import JobClass, JobRemediation, Probe
from shared.identity import Machine, Person, Role
from shared.job_remediation.actions import AUTOMATION, Context
from shared.job_remediation.decision import Circumstances, Course, Decision, decide
from shared.job_remediation.library import playbook_for, shipped_playbooks
from shared.job_remediation.odoo_jobs import attempt_of, queue_evidence
from shared.job_remediation.repetition import Applied, Standing, job_of
from shared.job_remediation.symptoms import Symptom
from shared.platforms.odoo import OdooSilentError, OdooUnavailableError
from shared.platforms.sql import DatabaseUnavailableError
from tests.changes.simulation import START, Job, Run, Simulation
from tests.changes.simulation import _run as run_of
from tests.job_remediation import deliveries
from tests.job_remediation.places import the_signal
from tests.payments.bank import Bank, Ending

SIGNAL = replace(the_signal(deliveries.azure_alert(deliveries.metric_context())), symptom=Symptom.QUEUE_JOBS_FAILED)
JOB = "account.payment.order.generate_payment_file"
ANNA = Person("anna@example.org", frozenset({Role.APPROVER}))
BERT = Person("bert@example.org", frozenset({Role.APPROVER, Role.OPERATOR}))
ROBOT = Machine("robot", frozenset({Role.APPROVER}))
POLICY = Policy(
    attempts_per_target=Budget(20, timedelta(hours=2)),
    attempts_per_class=Budget(50, timedelta(hours=2)),
    limits=Limits(per_environment=4, share=1.0),
    retry=RetryRule(timedelta(seconds=10), timedelta(minutes=1), 3),
    breaker=BreakerRule(failures=50, open_for=timedelta(hours=1)),
    redelivery_grace=timedelta(minutes=10),
    approval_lifetime=timedelta(hours=1),
)
ENDINGS = (Ending.DONE, Ending.DONE, Ending.PASSES, Ending.LOST, Ending.RETRIED, Ending.DIES)
PROVEN = {"was-paid": Probe(sql="select 1")}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is declared, and how the job failed. redeclared: what somebody declares of it meanwhile. expire_after: of
    approvals. meddles: whether people requeue by hand. stops: whether the stop switch is pulled meanwhile."""

    declared: Declared
    error: tuple[str, str]
    redeclared: Declared | None = None
    freezes: bool = False
    expire_after: timedelta = timedelta(hours=1)
    meddles: bool = True
    stops: bool = False
    crashes: float = 0.0
    faults: float = 0.0
    endings: Sequence[Ending] = ENDINGS


@dataclass
class Incident:
    """One remediation of the fault as one sender tells of it."""

    name: str
    requested_by: str
    number: int = 0
    attempts: int = 0
    job: Job | None = None
    running: list[Run] = field(default_factory=list[Run])
    is_over: bool = False


class Payments(Simulation):
    """Two senders' alerts about one failed payment job, each possibly told again, and all who meddle."""

    def __init__(self, seed: int, case: Case) -> None:
        policy = replace(POLICY, approval_lifetime=case.expire_after)
        super().__init__(seed, [], crashes=case.crashes, faults=case.faults, policy=policy)
        self.case = case
        self.bank = Bank(self.random, START, case.endings)
        self.bank.fail(case.error)
        self.declared = JobRemediation(jobs={JOB: case.declared}, probes=PROVEN)
        self.is_frozen = False
        self.in_flight: list[Callable[[], None]] = []
        self.incidents = [Incident("one", AUTOMATION), Incident("two", BERT.name)]
        self.alerts_left = 2
        self.about_to_act = 0
        self.stopped = False
        self._stopped_at_begin: dict[int, bool] = {}
        self.requesters: dict[str, str] = {}
        self.requeued: list[str] = []
        self.services.adapters.register("odoo-queue-job", "requeue", QueueJobs(SimulatedQueue(self)))

    def play_payments(self, moves: int = 60_000) -> None:
        """Until all remediations and all jobs are over; AssertionError when that does not come."""
        for _ in range(moves):
            over = all(incident.is_over for incident in self.incidents)
            if over and self.bank.is_quiet and not self.baton.busy and not self.in_flight:
                return
            self.bank.now = self.now
            choice = self.random.random()
            if self.baton.busy and choice < 0.7:
                self.baton.move()
            elif self.late and choice < 0.73:
                self._deliver(Job(self.random.choice(self.late)))
            elif choice < 0.83:
                self._meddle()
            else:
                self._go_on(self.random.choice(self.incidents))
        raise AssertionError(f"not over: {self.incidents} {self.bank.rows}")

    # --- who comes in between

    def _meddle(self) -> None:
        if (self.about_to_act or self.in_flight) and self.random.random() < 0.3:
            self._rush()
            return
        match self.random.randrange(9):
            case 0 | 1 | 2:
                self.bank.work()
            case 3 if self.random.random() < 0.1:
                self._person()
            case 4:
                self.bank.bank_tells()
            case 5:
                self._answer()
            case 6 if self.in_flight:
                self.in_flight.pop(self.random.randrange(len(self.in_flight)))()
            case 7 if self.random.random() < (0.5 if self._is_due_to_act() else 0.05):
                self._redeclare()
            case 8 if self._quiet_moment():
                self.now += timedelta(minutes=self.random.choice([1, 10, 45, 70]))
            case _:
                self._alert()

    def _rush(self) -> None:
        """While a machine is about to act, a person does, and the worker is fast."""
        self._person()
        for _ in range(self.random.randrange(5)):
            self.bank.work()

    def _is_due_to_act(self) -> bool:
        return any(step(run.progress) is Phase.ACT for run in self.runs)

    def _person(self) -> None:
        if self.case.meddles:
            self.bank.person()

    def _alert(self) -> None:
        """A copy does nothing, as the register has it; what is told after the end begins anew."""
        ended = [incident for incident in self.incidents if incident.is_over]
        if ended and self.alerts_left and self.random.random() < 0.1:
            self.alerts_left -= 1
            incident = self.random.choice(ended)
            self.incidents.append(Incident(f"{incident.name}-{self.alerts_left}", incident.requested_by))

    def _redeclare(self) -> None:
        if self.case.redeclared is not None:
            self.declared = JobRemediation(jobs={JOB: self.case.redeclared}, probes=PROVEN)
        self.is_frozen = self.is_frozen or self.case.freezes
        if self.case.stops and not self.stopped:
            governance.pull_stop_switch(self.services, BERT, reason="wait", now=self.now)
            self.stopped = True

    def _answer(self) -> None:
        """Somebody answers what is open: another person, now and then with no; the requester; a machine."""
        by, granted = self.random.choice(
            [(ANNA, True), (ANNA, True), (ANNA, True), (ANNA, False), (BERT, True), (ROBOT, True)]
        )
        for approval in governance.list_approvals(self.services):
            with suppress(ConflictError, NotPermittedError):
                _, instances = governance.answer_approval(
                    self.services, by, approval.id, plan_hash=approval.plan_hash, granted=granted, note="", now=self.now
                )
                self.wake(instances)
                if by is ROBOT or (approval.requested_by == by.name):
                    self.bank.wrong.append(f"{by} answered what {approval.requested_by} asked for")

    # --- a remediation, step by step

    def _go_on(self, incident: Incident) -> None:
        if incident.is_over:
            return
        if incident.running:
            for run in incident.running:
                self._orchestrate(run)
            if all(step(run.progress) is Phase.DONE for run in incident.running):
                well = any(run.progress.result in GOOD for run in incident.running)
                incident.is_over = not well  # the gate had its say, or it failed: a human has it
                incident.running, incident.job = [], None
                incident.attempts += 1
            return
        if incident.job is None:
            incident.number += 1
            incident.job = Job(self._look(incident, incident.number, incident.attempts))
        if incident.job.answer is None:
            if incident.job.started == 0 or self.random.random() < 0.1:
                self._deliver(incident.job)
            return
        decision: Decision = incident.job.answer  # type: ignore[assignment]
        if not isinstance(decision, Decision):  # a fault of the look: the host delivers it again
            incident.job.answer = None
        elif decision.course is Course.ACT:
            plan = Plan.of(decision.changes)
            self.store.create(executor.plan_name(plan.hash), Plan, plan)
            owner = f"{incident.name}:{incident.attempts}"
            incident.running = [run_of(change, plan.hash, owner) for change in plan.changes]
            self.runs += incident.running
            self.requesters[owner] = incident.requested_by
        else:
            incident.is_over = True

    def _look(self, incident: Incident, number: int, attempts: int) -> Callable[[], Answer]:
        name = f"looks/{incident.name}-{number}"

        def look() -> Answer:
            kept = self.store.get(name, Decision)
            if kept is None:
                self.store.create(name, Decision, self._decide(incident, attempts))
                kept = self.store.get(name, Decision)
            return kept  # type: ignore[return-value]

        return look

    def _decide(self, incident: Incident, attempts: int) -> Decision:
        self.baton.switch()
        failed = self.bank.failed()
        policy, applied = self.declared, self.applied()
        evidence = queue_evidence("main", "books", failed, [], True, lambda _: applied)
        self.baton.switch()
        context = Context(
            remediation=f"remediation:{incident.name}",
            attempt=attempts + 1,
            environment="production",
            tenant="contoso",
            policy=policy,
            frozen=self.is_frozen,
        )
        playbook = playbook_for(shipped_playbooks(), Symptom.QUEUE_JOBS_FAILED)
        return decide(SIGNAL, playbook, evidence, Circumstances(now=self.now, attempts=attempts, context=context))

    def applied(self) -> Applied:
        """What the probe says: the bank's word, where a probe is declared."""
        if job_of(self.declared.jobs, JOB).proof is None:
            return Applied.UNKNOWN
        return Applied.YES if self.bank.told else Applied.NO

    # --- the executor's side

    def _activity(self, run: Run, phase: Phase) -> Callable[[], Answer]:
        p = run.progress
        if phase is Phase.POLL:
            return lambda: executor.poll(self.services, p.change_id, p.run, p.operation or "0")
        if phase is Phase.ADMIT:
            return lambda: executor.admit(
                self.services,
                run.change,
                plan_hash=run.plan_hash,
                owner=run.owner,
                instance=self._instance(run),
                requested_by=self.requesters[run.owner],
                joined=p.run,
            )
        activity = super()._activity(run, phase)
        if phase is Phase.ACT:

            def act() -> Answer:
                self._stopped_at_begin[current_thread().ident or 0] = self.stopped
                return activity()

            return act
        return activity

    def check_act(self, change: Change, asked: Standing, sent_at: datetime) -> None:
        """What must be true of a machine's requeue that takes effect: what was declared, and who had said yes."""
        wrong, job = self.bank.wrong, asked.job
        self.requeued.append(change.id)
        if job.repeat is JobClass.D:
            wrong.append("a machine repeated a job of class D")
        if self._stopped_at_begin.get(current_thread().ident or 0):
            wrong.append("it acts though the stop switch was pulled before")
        needs = job.repeat is JobClass.C or (job.repeat is JobClass.B and asked.frozen and job.changes_ledger)
        if needs and not change.requires_approval:
            wrong.append(f"class {job.repeat}, frozen {asked.frozen}, was repeated without being asked for")
        if change.requires_approval:
            quiet = Store(self._quiet(), pause=lambda _: None)
            known = quiet.get(executor.execution_name(change.id), Execution)
            grants = quiet.get(claims.APPROVALS, dict[str, Approval]) or {}
            good = [
                grant
                for grant in grants.values()
                if known is not None
                and grant.plan_hash == known.plan_hash
                and grant.answer is not None
                and grant.answer.granted
                and grant.answer.by in {ANNA.name, BERT.name} - {grant.requested_by}
                and grant.answer.at < grant.expires_at
                and sent_at < grant.expires_at
                and grant.uses.get(change.id) == known.run
            ]
            if len(good) != 1:
                wrong.append(f"it acts with {len(good)} approvals")


class SimulatedQueue:
    """The queue as the adapter sees it, with everybody getting in between, and answers that are lost."""

    def __init__(self, payments: Payments) -> None:
        self._payments = payments
        self._asked: dict[int, Standing] = {}

    def look(self, change: Change) -> Seen | None:
        self._between()
        if self._draws(0.3):
            raise DatabaseUnavailableError("the server restarts")
        row = self._payments.bank.rows[_id(change)]
        return Seen(
            state=row.state,
            attempt=attempt_of(row.started),
            error=": ".join(row.error),
            twin=self._payments.bank.has_twin(row),
        )

    def standing(self, change: Change) -> Standing:
        payments = self._payments
        payments.about_to_act += 1
        try:
            self._between()
        finally:
            payments.about_to_act -= 1
        standing = Standing(job_of(payments.declared.jobs, JOB), payments.is_frozen)
        self._asked[current_thread().ident or 0] = standing
        return standing

    def applied(self, change: Change) -> Applied:
        self._between()
        return self._payments.applied()

    def requeue(self, change: Change) -> None:
        self._payments.about_to_act += 1
        try:
            self._between()
        finally:
            self._payments.about_to_act -= 1
        asked, sent_at = self._asked.get(current_thread().ident or 0), self._payments.now

        def ask() -> None:
            self._payments.bank.guarded_requeue(_id(change), str(change.before["attempt"]))
            if asked is None:
                self._payments.bank.wrong.append("nobody asked what is declared")
            else:
                self._payments.check_act(change, asked, sent_at)

        if self._draws(0.3):
            raise OdooUnavailableError("connection refused")
        if self._draws(0.2):  # a proxy holds the request, and Odoo gets it when nobody waits any more
            self._payments.in_flight.append(lambda: _quietly(ask))
            raise OdooSilentError("no answer")
        ask()
        for _ in range(4):
            self._between()
        if self._draws(0.3):
            raise OdooSilentError("no answer")
        if self._draws(0.2):
            raise ConnectionResetError("in the middle of the answer")

    def _between(self) -> None:
        self._payments.baton.switch()

    def _draws(self, share: float) -> bool:
        return self._payments.random.random() < self._payments.faults * share


def _id(change: Change) -> int:
    return int(change.target.rpartition("/")[2])


def _quietly(ask: Callable[[], None]) -> None:
    from shared.platforms.odoo import OdooUserError

    with suppress(OdooUserError):
        ask()
