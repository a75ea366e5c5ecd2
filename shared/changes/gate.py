"""The gate: whether a change may act now. Pure: the inputs are data, the answer explains itself."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.changes.approvals import Approval, ApprovalState
from shared.changes.breakers import Breaker, BreakerState
from shared.changes.budgets import Attempts
from shared.changes.change import Change
from shared.changes.exceptions import FreezeException
from shared.changes.freeze import Effect, Window
from shared.changes.limits import Places
from shared.changes.overrides import Override, StopSwitch
from shared.changes.policy import Budget, OverrideKind, Policy
from shared.changes.reasons import Reason, ReasonCode, instant, spell_duration, spell_moment


class Outcome(StrEnum):
    """What the gate says, from the mildest to the strictest; the strictest finding wins."""

    ALLOW = "allow"
    WAIT_UNTIL = "wait-until"
    NEEDS_APPROVAL = "needs-approval"
    REFUSE = "refuse"


_STRICTNESS = list(Outcome)


@dataclass(frozen=True)
class BudgetUse:
    """A budget that the change draws on: what it is of (`staging target X`), its rule, what was counted."""

    of: str
    budget: Budget
    attempts: Attempts


@dataclass(frozen=True, kw_only=True)
class GateInputs:
    """All that a decision depends on.

    plan_hash: the plan that the change is executed from. attempt_id: what would be counted.
    since: when this run began; what nobody answered after that is not asked again.
    windows: those in force and, for maintenance, those to come; None when the calendar cannot be read, which counts
        as frozen.
    targets: how many targets of the change's kind the environment has.
    dry_run: why nothing shall be done (`DRY_RUN is set`), or None.
    """

    now: datetime
    plan_hash: str
    run: int
    attempt_id: str
    since: datetime
    policy: Policy
    windows: tuple[Window, ...] | None = ()
    overrides: tuple[Override, ...] = ()
    exceptions: tuple[FreezeException, ...] = ()
    approvals: tuple[Approval, ...] = ()
    budgets: tuple[BudgetUse, ...] = ()
    breaker: Breaker = field(default_factory=Breaker)
    places: Places = field(default_factory=Places)
    targets: int = 1
    stop_switch: StopSwitch | None = None
    dry_run: str | None = None


@dataclass(frozen=True)
class Decision:
    """What the gate says, and all the reasons, the deciding ones first.

    until: when to look again; with WAIT_UNTIL only.
    exceptions, approval: ids of what has to be used up before the act; with ALLOW only.
    dry_run: nothing may be written but the record.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]
    until: datetime | None = None
    exceptions: tuple[str, ...] = ()
    approval: str | None = None
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """The decision for people: `refused: month-end-close freeze until 2026-12-03 20:00 Europe/Berlin; ...`."""
        said = {
            Outcome.ALLOW: "allowed",
            Outcome.WAIT_UNTIL: f"waits until {spell_moment(self.until)}" if self.until else "waits",
            Outcome.NEEDS_APPROVAL: "needs approval",
            Outcome.REFUSE: "refused",
        }[self.outcome]
        return f"{said}: {'; '.join(reason.sentence for reason in self.reasons)}" if self.reasons else said


@dataclass(frozen=True)
class _Finding:
    outcome: Outcome
    reason: Reason
    until: datetime | None = None
    exception: str | None = None
    approval: str | None = None


def decide(change: Change, inputs: GateInputs) -> Decision:
    """Whether the change may act now. Every guard speaks, so that the answer names all that stands in the way."""
    findings = list(_freeze(change, inputs))
    asks = [f.reason for f in findings if f.outcome is Outcome.NEEDS_APPROVAL]
    findings = [
        *_stop_switch(inputs),
        *_policy(change, inputs),
        *_times(change, inputs),
        *(f for f in findings if f.outcome is not Outcome.NEEDS_APPROVAL),
        *_maintenance(change, inputs),
        *_overrides(change, inputs),
        *_approval(change, inputs, asks),
        *_budgets(inputs),
        *_breaker(change, inputs),
        *_places(change, inputs),
    ]
    findings = _impatient(change, inputs, findings)
    if inputs.dry_run:
        findings.append(_Finding(Outcome.ALLOW, Reason(ReasonCode.DRY_RUN, f"dry run: {inputs.dry_run}")))
    outcome = max((f.outcome for f in findings), key=_STRICTNESS.index, default=Outcome.ALLOW)
    findings.sort(key=lambda f: -_STRICTNESS.index(f.outcome))
    allowed = outcome is Outcome.ALLOW
    return Decision(
        outcome=outcome,
        reasons=tuple(f.reason for f in findings),
        until=max(f.until for f in findings if f.until) if outcome is Outcome.WAIT_UNTIL else None,
        exceptions=tuple(sorted({f.exception for f in findings if f.exception})) if allowed else (),
        approval=next((f.approval for f in findings if f.approval), None) if allowed else None,
        dry_run=inputs.dry_run is not None,
    )


def _stop_switch(inputs: GateInputs) -> Iterator[_Finding]:
    switch = inputs.stop_switch
    if switch and switch.pulled:
        sentence = f"the stop switch was pulled by {switch.by} at {spell_moment(switch.at)}: {switch.reason}"
        yield _Finding(
            Outcome.REFUSE, Reason(ReasonCode.STOP_SWITCH, sentence, {"by": switch.by, "at": instant(switch.at)})
        )


def _policy(change: Change, inputs: GateInputs) -> Iterator[_Finding]:
    policy = inputs.policy
    if policy.enabled_automations is not None and change.automation not in policy.enabled_automations:
        yield _Finding(
            Outcome.REFUSE,
            Reason(
                ReasonCode.AUTOMATION_NOT_ENABLED,
                f"{change.automation} is not enabled in {change.environment}",
                {"automation": change.automation, "environment": change.environment},
            ),
        )
    if change.action_class in policy.forbidden_classes:
        yield _Finding(
            Outcome.REFUSE,
            Reason(
                ReasonCode.CLASS_FORBIDDEN,
                f"{change.action_class} is never done by machine in {change.environment}",
                {"class": change.action_class, "environment": change.environment},
            ),
        )


def _times(change: Change, inputs: GateInputs) -> Iterator[_Finding]:
    if change.latest is not None and inputs.now > change.latest:
        reason = Reason(
            ReasonCode.TOO_LATE,
            f"it was to begin by {spell_moment(change.latest)}",
            {"latest": instant(change.latest)},
        )
        yield _Finding(Outcome.REFUSE, reason)
    if change.earliest is not None and inputs.now < change.earliest:
        reason = Reason(
            ReasonCode.TOO_EARLY,
            f"it is not to begin before {spell_moment(change.earliest)}",
            {"earliest": instant(change.earliest)},
        )
        yield _Finding(Outcome.WAIT_UNTIL, reason, change.earliest)


def _freeze(change: Change, inputs: GateInputs) -> Iterator[_Finding]:
    policy = inputs.policy
    if change.risk not in policy.freeze_holds:
        return
    emergency = change.emergency_class in policy.emergency_classes
    exception = next((e for e in inputs.exceptions if e.open_to(change, inputs.run, inputs.now)), None)
    if inputs.windows is None:
        reason = Reason(ReasonCode.CALENDAR_UNKNOWN, "the finance calendar cannot be read, which counts as a freeze")
        yield from _passes_or(_Finding(Outcome.REFUSE, reason), change, emergency, exception)
        return
    for window in inputs.windows:
        if window.effect is not Effect.FREEZE or not window.concerns(change) or not window.holds(inputs.now):
            continue
        until = spell_moment(window.end, window.time_zone)
        data = {"window": window.name, "until": instant(window.end), "time_zone": window.time_zone}
        if change.action_class in window.approval_classes:
            sentence = f"{change.action_class} needs approval in the {window.name} freeze until {until}"
            yield _Finding(Outcome.NEEDS_APPROVAL, Reason(ReasonCode.NEEDS_APPROVAL, sentence, data))
            continue
        sentence = f"{window.name} freeze until {until}; exception needs approval by role {policy.approver_role}"
        frozen = _Finding(Outcome.WAIT_UNTIL, Reason(ReasonCode.FROZEN, sentence, data), window.end)
        yield from _passes_or(frozen, change, emergency, exception)


def _passes_or(
    finding: _Finding, change: Change, emergency: bool, exception: FreezeException | None
) -> Iterator[_Finding]:
    """The finding, or by what right the change passes it."""
    what = finding.reason.data.get("window", "calendar")
    if emergency:
        sentence = f"emergencies of class {change.emergency_class} pass the {what} freeze"
        data = {**finding.reason.data, "class": change.emergency_class}
        yield _Finding(Outcome.ALLOW, Reason(ReasonCode.EMERGENCY, sentence, data))
    elif exception is not None and exception.granted is not None:
        sentence = (
            f"exception {exception.id} ({exception.ticket}), granted by {exception.granted.by}, "
            f"passes the {what} freeze"
        )
        data = {
            **finding.reason.data,
            "exception": exception.id,
            "ticket": exception.ticket,
            "granted_by": exception.granted.by,
        }
        yield _Finding(Outcome.ALLOW, Reason(ReasonCode.EXCEPTION_USED, sentence, data), exception=exception.id)
    else:
        yield finding


def _maintenance(change: Change, inputs: GateInputs) -> Iterator[_Finding]:
    if change.risk not in inputs.policy.maintenance_only:
        return
    windows = [w for w in inputs.windows or () if w.effect is Effect.MAINTENANCE and w.concerns(change)]
    if any(window.holds(inputs.now) for window in windows):
        return
    coming = min((w for w in windows if w.start > inputs.now), key=lambda w: w.start, default=None)
    rule = f"{change.risk} changes act only in a maintenance window"
    if coming is None:
        reason = Reason(ReasonCode.OUTSIDE_MAINTENANCE, f"{rule}, and none is known to come")
        yield _Finding(Outcome.REFUSE, reason)
        return
    yield _Finding(
        Outcome.WAIT_UNTIL,
        Reason(
            ReasonCode.OUTSIDE_MAINTENANCE,
            f"{rule}; {coming.name} begins {spell_moment(coming.start, coming.time_zone)}",
            {"window": coming.name, "from": instant(coming.start)},
        ),
        coming.start,
    )


def _overrides(change: Change, inputs: GateInputs) -> Iterator[_Finding]:
    codes = {
        OverrideKind.KEEP_AWAKE: (ReasonCode.KEPT_AWAKE, f"{change.environment} is kept awake"),
        OverrideKind.PAUSE: (ReasonCode.PAUSED, f"{change.automation} is paused"),
    }
    for override in inputs.overrides:
        if not override.holds_back(change, inputs.policy, inputs.now):
            continue
        code, what = codes[override.kind]
        sentence = f"{what} by {override.set_by} until {spell_moment(override.end)}: {override.reason}"
        data = {"override": override.id, "by": override.set_by, "until": instant(override.end)}
        yield _Finding(Outcome.WAIT_UNTIL, Reason(code, sentence, data), override.end)


def _approval(change: Change, inputs: GateInputs, asks: list[Reason]) -> Iterator[_Finding]:
    policy = inputs.policy
    asks = list(asks)
    if change.requires_approval:
        asks.append(Reason(ReasonCode.NEEDS_APPROVAL, f"{change.automation} asks for approval of this change"))
    if change.risk in policy.approval_for_risks:
        sentence = f"{change.risk} changes need approval in {change.environment}"
        asks.append(Reason(ReasonCode.NEEDS_APPROVAL, sentence, {"risk": change.risk}))
    if change.action_class in policy.approval_for_classes:
        sentence = f"{change.action_class} needs approval in {change.environment}"
        asks.append(Reason(ReasonCode.NEEDS_APPROVAL, sentence, {"class": change.action_class}))
    if not asks:
        return
    mine = [a for a in inputs.approvals if change.id in a.change_ids and a.plan_hash == inputs.plan_hash]
    granted = next((a for a in mine if a.open_to(change.id, inputs.run, inputs.now)), None)
    if granted is not None and granted.answer is not None:
        sentence = f"approved by {granted.answer.by} at {spell_moment(granted.answer.at)}"
        reason = Reason(ReasonCode.APPROVED, sentence, {"approval": granted.id, "by": granted.answer.by})
        yield _Finding(Outcome.ALLOW, reason, approval=granted.id)
        return
    yield from (_Finding(Outcome.NEEDS_APPROVAL, ask) for ask in asks)
    yield from _where_it_stands(change, inputs, mine)


def _where_it_stands(change: Change, inputs: GateInputs, mine: list[Approval]) -> Iterator[_Finding]:
    """What became of requests for this change that do not let it pass."""
    for approval in mine:
        state = approval.state(inputs.now)
        until = spell_moment(approval.expires_at)
        data = {"approval": approval.id, "expires": instant(approval.expires_at)}
        if state is ApprovalState.REFUSED and approval.answer is not None:
            sentence = f"approval was refused by {approval.answer.by}, which stands until {until}"
            reason = Reason(ReasonCode.APPROVAL_REFUSED, sentence, {**data, "by": approval.answer.by})
            yield _Finding(Outcome.REFUSE, reason)
        elif state is ApprovalState.PENDING:
            reason = Reason(ReasonCode.APPROVAL_PENDING, f"approval {approval.id} is open until {until}", data)
            yield _Finding(Outcome.NEEDS_APPROVAL, reason)
        elif state is ApprovalState.EXPIRED and approval.requested_at >= inputs.since:
            reason = Reason(ReasonCode.APPROVAL_EXPIRED, f"approval {approval.id} expired at {until}", data)
            yield _Finding(Outcome.REFUSE, reason)
    for approval in inputs.approvals:
        if change.id in approval.change_ids and approval.plan_hash != inputs.plan_hash:
            sentence = f"approval {approval.id} is for another plan ({approval.plan_hash[:12]})"
            yield _Finding(Outcome.NEEDS_APPROVAL, Reason(ReasonCode.PLAN_CHANGED, sentence, {"approval": approval.id}))


def _budgets(inputs: GateInputs) -> Iterator[_Finding]:
    for use in inputs.budgets:
        free_at = use.attempts.free_at(use.budget, inputs.attempt_id, inputs.now)
        if free_at <= inputs.now:
            continue
        sentence = (
            f"{use.of} has had its {use.budget.limit} attempts in {spell_duration(use.budget.window)}, "
            f"the next is free {spell_moment(free_at)}"
        )
        data = {"of": use.of, "limit": use.budget.limit, "free_at": instant(free_at)}
        yield _Finding(Outcome.WAIT_UNTIL, Reason(ReasonCode.BUDGET_EXHAUSTED, sentence, data), free_at)


def _breaker(change: Change, inputs: GateInputs) -> Iterator[_Finding]:
    rule, breaker = inputs.policy.breaker, inputs.breaker
    state = breaker.state(rule, inputs.now)
    if state is BreakerState.CLOSED:
        return
    free_at = breaker.free_at(rule, f"{change.id}:{inputs.run}", inputs.now)
    if free_at > inputs.now:
        waits_for = "one probe is under way" if state is BreakerState.HALF_OPEN else "it tries again"
        sentence = f"stopped after {breaker.failures} consecutive failures, {waits_for}, until {spell_moment(free_at)}"
        data = {"failures": breaker.failures, "until": instant(free_at)}
        yield _Finding(Outcome.WAIT_UNTIL, Reason(ReasonCode.BREAKER_OPEN, sentence, data), free_at)
    else:
        sentence = f"the one probe after {breaker.failures} consecutive failures"
        yield _Finding(Outcome.ALLOW, Reason(ReasonCode.PROBE, sentence, {"failures": breaker.failures}))


def _places(change: Change, inputs: GateInputs) -> Iterator[_Finding]:
    soon = inputs.now + inputs.policy.busy_recheck
    for reason in inputs.places.hindrances(change, inputs.policy.limits, inputs.targets, inputs.now):
        yield _Finding(Outcome.WAIT_UNTIL, reason, soon)


def _impatient(change: Change, inputs: GateInputs, findings: list[_Finding]) -> list[_Finding]:
    """A wait beyond what the change or the policy allows is a refusal: it shall be planned anew from fresh facts."""
    patience = inputs.now + inputs.policy.longest_wait
    rule = f"changes wait {spell_duration(inputs.policy.longest_wait)} at most and are planned anew"
    if change.earliest is not None:
        patience = max(patience, change.earliest)
    if change.latest is not None and change.latest < patience:
        patience, rule = change.latest, f"it was to begin by {spell_moment(change.latest)}"
    too_long = [f for f in findings if f.until is not None and f.until > patience]
    if not too_long:
        return findings
    until = max(f.until for f in too_long if f.until)
    reason = Reason(ReasonCode.WAIT_TOO_LONG, f"that is too long to wait: {rule}", {"until": instant(until)})
    stricter = [replace(f, outcome=Outcome.REFUSE) if f in too_long else f for f in findings]
    return [*stricter, _Finding(Outcome.REFUSE, reason)]
