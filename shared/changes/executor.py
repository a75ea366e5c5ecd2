"""The steps of an execution, each of which may come twice, late, from anywhere: every one checks before it acts."""

from dataclasses import replace
from datetime import datetime

from shared.changes import claims, execution
from shared.changes.change import Change, Originals, State
from shared.changes.errors import ConflictError, NotKnownError, StateContentionError
from shared.changes.execution import Execution, Permission, Result, Verdict
from shared.changes.gate import Decision, GateInputs, Outcome, decide
from shared.changes.originals import Originals as SavedOriginals
from shared.changes.originals import Verdict as Comparison
from shared.changes.plan import Plan
from shared.changes.policy import Policy
from shared.changes.ports import Act, Acted, Entry, Services, UnknownActionError, Verified
from shared.changes.progress import ActAnswer, Admitted, Checked, Gated, Pace, Rehearsed
from shared.changes.reasons import instant
from shared.changes.state import Store
from shared.events import Event
from shared.evidence.canonical import Json, plain

_CLAIM_RACES = 5


class AttemptOverError(Exception):
    """The attempt ended without a known outcome, so this late delivery of it must not act."""


def execution_name(change_id: str) -> str:
    """Where the execution of a change is kept."""
    return f"executions/{change_id}"


def plan_name(plan_hash: str) -> str:
    """Where the content of a plan is kept."""
    return f"plans/{plan_hash}"


def admit(
    services: Services,
    change: Change,
    *,
    plan_hash: str,
    owner: str,
    instance: str,
    requested_by: str,
    joined: int,
) -> Admitted:
    """Ask to run the change; see `execution.admit`."""
    said = Verdict.JOIN

    def admitted(known: Execution | None) -> Execution:
        nonlocal said
        new, said = execution.admit(
            known,
            change,
            plan_hash=plan_hash,
            owner=owner,
            instance=instance,
            requested_by=requested_by,
            joined=joined,
            now=services.clock(),
        )
        return new

    now_known = services.store.update(execution_name(change.id), Execution, admitted)
    return Admitted(said, now_known.run, now_known.result, now_known.detail)


def gate(services: Services, change_id: str, run: int, attempt: int) -> Gated:
    """Decide whether the attempt may act now. All that it then needs is taken; approval is asked for."""
    known = _current(services.store, change_id, run)
    if known is None:
        return Gated(current=False)
    change = known.change
    attempt_id = _attempt_id(change_id, run, attempt)
    try:
        adapter = services.adapters.find(change)
        inputs, decision = _decide(services, known, attempt_id)
    except (UnknownActionError, NotKnownError) as error:
        return Gated(current=False, error=str(error))
    pace = _pace(inputs.policy, change)
    if decision.dry_run:
        return Gated(current=True, decision=decision, pace=pace)
    ready_at, requested = None, None
    for _ in range(_CLAIM_RACES):
        if decision.outcome is not Outcome.ALLOW or claims.claim(services.store, change, decision, inputs):
            break
        inputs, decision = _decide(services, known, attempt_id)
    else:
        raise StateContentionError(f"others were faster {_CLAIM_RACES} times in a row; try again later")
    if decision.outcome is Outcome.ALLOW:
        ready_at = claims.reserve(services.store, tuple(adapter.tolls(change)), attempt_id, inputs.now)
    elif decision.outcome is Outcome.NEEDS_APPROVAL:
        requested, decision = _ask(services, known, decision, inputs)
    _keep_alive(services, known, inputs.now, ready_at)
    return Gated(current=True, decision=decision, pace=pace, ready_at=ready_at, requested=requested)


def act(services: Services, change_id: str, run: int, attempt: int) -> ActAnswer:
    """Bring the target to the wanted state: gate once more, look, save the original, note the act, act."""
    known = _current(services.store, change_id, run)
    if known is None:
        return ActAnswer(current=False)
    change, attempt_id = known.change, _attempt_id(change_id, run, attempt)
    inputs, decision = _decide(services, known, attempt_id)
    if decision.outcome is not Outcome.ALLOW or decision.dry_run:
        return ActAnswer(held=True)
    if not claims.hold_place(services.store, change, run, inputs.policy, inputs.targets, inputs.now, again=True):
        return ActAnswer(held=True)
    adapter, now = services.adapters.find(change), inputs.now
    observed = adapter.read_state(change)
    # What was noted is read after the target: whoever's effect was seen there has noted its act before.
    known = _current(services.store, change_id, run)
    if known is None:
        return ActAnswer(current=False)
    wanted, drift = _wanted(services.store, change, observed)
    body: dict[str, Json] = {"observed": plain(observed), "wanted": plain(wanted), "drift": drift}
    permission = execution.may_act(known, attempt, now, inputs.policy.redelivery_grace)
    if permission is Permission.KNOWN and known.delivery is not None:
        return ActAnswer(acted=known.delivery.acted, body=body)
    if not wanted and known.delivery is None:
        return ActAnswer(left_alone=True, body={**body, "detail": _why_left_alone(drift)})
    if _is_so(observed, wanted):
        # Whoever noted an act before may have died after its effect: then this is that act's success.
        return ActAnswer(unchanged=known.delivery is None, acted=Acted(Act.DONE, detail="as wanted"), body=body)
    if change.originals is Originals.SAVE:
        _save_original(services.store, change, observed, wanted, now)
    try:
        _note(services, known, attempt, wanted, inputs.policy)
    except ConflictError as error:
        again = inputs.policy.busy_recheck
        return ActAnswer(acted=Acted(Act.BUSY, again_after=again, detail=str(error)), body=body)
    try:
        outcome = adapter.apply(change, wanted, attempt_id)
    except Exception:
        _remember(services, known, attempt, None)
        raise
    _remember(services, known, attempt, outcome)
    if outcome.act is Act.BUSY and outcome.again_after is not None:
        claims.close_queues(services.store, tuple(adapter.tolls(change)), now + outcome.again_after)
    return ActAnswer(acted=outcome, body=body)


def poll(services: Services, change_id: str, run: int, operation: str) -> ActAnswer:
    """How the operation stands."""
    known = _current(services.store, change_id, run)
    if known is None:
        return ActAnswer(current=False)
    _keep_alive(services, known, services.clock())
    outcome = services.adapters.find(known.change).poll(known.change, operation)
    if outcome.act is Act.SHORT:
        outcome = _once_more(services, known, replace(outcome, act=Act.RUNNING, operation=operation))
    return ActAnswer(acted=outcome)


def _once_more(services: Services, known: Execution, waiting: Acted) -> Acted:
    """Ask for capacity that was not there once more, after a pause and as the gate allows.

    It is the same attempt. Meanwhile its place is free: what waits for capacity holds up nothing else.
    """
    store, change, now = services.store, known.change, services.clock()
    policy = _policy(services, change.environment)
    if known.delivery is None or claims.hold_place(store, change, known.run, policy, 0, now, again=False):
        claims.give_back_place(store, change, known.run)
        return waiting
    attempt_id = _attempt_id(change.id, known.run, known.delivery.attempt)
    inputs, decision = _decide(services, known, attempt_id)
    if decision.outcome is not Outcome.ALLOW or decision.dry_run:
        return replace(waiting, detail=f"{waiting.detail}; {decision.sentence}")
    if not claims.hold_place(store, change, known.run, policy, inputs.targets, now, again=True):
        return waiting
    outcome = services.adapters.find(change).apply(change, known.wanted or change.after, attempt_id)
    if outcome.act is not Act.BUSY:
        return outcome
    claims.give_back_place(store, change, known.run)
    return replace(waiting, again_after=outcome.again_after or waiting.again_after, detail=outcome.detail)


def verify(services: Services, change_id: str, run: int) -> Checked:
    """Whether what the act set is real."""
    known = _current(services.store, change_id, run)
    if known is None:
        return Checked(False, Verified(False))
    _keep_alive(services, known, services.clock())
    change = known.change
    wanted = change.after if known.wanted is None else known.wanted
    return Checked(True, services.adapters.find(change).verify(change, wanted))


def undo(services: Services, change_id: str, run: int, attempt: int) -> ActAnswer:
    """Give the target back what was found, where it still is what we set."""
    known = _current(services.store, change_id, run)
    if known is None:
        return ActAnswer(current=False)
    _keep_alive(services, known, services.clock())
    change = known.change
    adapter = services.adapters.find(change)
    saved = claims.get_originals(services.store, change)
    original = saved.to_give_back(change.automation, adapter.read_state(change))
    outcome = Acted(Act.DONE, detail="nothing to take back")
    if original:
        outcome = adapter.undo(change, original, f"{_attempt_id(change_id, run, attempt)}:undo")
    if outcome.act is Act.DONE:
        _release_original(services.store, change)
    return ActAnswer(acted=outcome, body={"original": plain(original)})


def rehearse(
    services: Services,
    change: Change,
    *,
    plan_hash: str,
    run: int,
    attempt: int,
    since: datetime,
    dry_run: str | None,
) -> Rehearsed:
    """What would happen, with nothing written: the gate's decision and the adapter's prediction."""
    try:
        inputs = claims.gate_inputs(
            services,
            change,
            plan_hash=plan_hash,
            run=run,
            attempt_id=_attempt_id(change.id, run, attempt),
            since=since,
            dry_run=dry_run,
        )
        adapter = services.adapters.find(change)
    except (UnknownActionError, NotKnownError) as error:
        return Rehearsed(f"would fail: {error}")
    decision = decide(change, inputs)
    observed = adapter.read_state(change)
    wanted, drift = _wanted(services.store, change, observed)
    if not wanted:
        effect = _why_left_alone(drift)
    elif _is_so(observed, wanted):
        effect = "would change nothing, it is as wanted"
    else:
        effect = adapter.predict(change, observed)
    body: dict[str, Json] = {
        "decision": {"outcome": decision.outcome, "sentence": decision.sentence, "reasons": plain(decision.reasons)},
        "observed": plain(observed),
        "wanted": plain(wanted),
        "effect": effect,
    }
    return Rehearsed(f"{decision.sentence}; {effect}", body)


def finish(services: Services, change_id: str, run: int, result: Result, detail: str) -> None:
    """End the run: tell the breaker, give the place back, forget originals that were given back."""
    known = services.store.get(execution_name(change_id), Execution)
    if known is None:
        return
    change, now = known.change, services.clock()
    if result is not Result.DRY_RUN:
        policy = _policy(services, change.environment)
        verdicts = {Result.SUCCEEDED: True, Result.FAILED: False}
        claims.report(services.store, change, run, policy, succeeded=verdicts.get(result), now=now)
        claims.give_back_place(services.store, change, run)
    if change.originals is Originals.GIVE_BACK and result in execution.FINAL and execution.is_current(known, run):
        _release_original(services.store, change)

    def ended(latest: Execution | None) -> Execution:
        return execution.finish(latest or known, run, result, detail, now)

    services.store.update(execution_name(change_id), Execution, ended)


def record(services: Services, entry: Entry) -> None:
    """Write evidence, and tell it unless the environment is muted. Twice is once: both have ids of their own."""
    services.recorder.record(entry)
    if services.publisher is None or _is_muted(services, entry):
        return
    parts = [f"environments/{entry.environment}"] if entry.environment else []
    parts += [f"tenants/{entry.tenant}"] if entry.tenant else []
    event = Event(
        id=f"{entry.subject}:{entry.kind}:{instant(entry.time)}",
        type=f"closekeeper.change.{entry.kind}",
        subject="/".join([*parts, entry.subject]),
        time=entry.time,
        data={"automation": entry.automation, **{key: plain(value) for key, value in entry.body.items()}},
    )
    services.publisher.publish([event])


def _decide(services: Services, known: Execution, attempt_id: str) -> tuple[GateInputs, Decision]:
    inputs = claims.gate_inputs(
        services,
        known.change,
        plan_hash=known.plan_hash,
        run=known.run,
        attempt_id=attempt_id,
        since=known.admitted_at,
        dry_run=None,
    )
    return inputs, decide(known.change, inputs)


def _ask(services: Services, known: Execution, decision: Decision, inputs: GateInputs) -> tuple[str, Decision]:
    """Open a request for approval, or find the open one; with the decision that names it."""
    plan = services.store.get(plan_name(known.plan_hash), Plan) or Plan.of([replace(known.change, depends_on=())])
    approval = claims.ensure_approval(services.store, plan, known.change, decision, inputs, known.requested_by)
    reason = claims.pending_reason(approval)
    told = any(r.code is reason.code for r in decision.reasons)
    return approval.id, decision if told else replace(decision, reasons=(*decision.reasons, reason))


def _wanted(store: Store, change: Change, observed: State) -> tuple[State, dict[str, Json]]:
    """What to set, and which facts a human has edited since we set them (these are left alone)."""
    if change.originals is not Originals.GIVE_BACK:
        return change.after, {}
    saved = claims.get_originals(store, change)
    verdicts = saved.verdicts(change.automation, observed)
    edited = [fact for fact, verdict in verdicts.items() if verdict is Comparison.EDITED]
    return saved.to_give_back(change.automation, observed), {fact: plain(observed.get(fact)) for fact in edited}


def _is_so(observed: State, wanted: State) -> bool:
    return all(fact in observed and plain(observed[fact]) == plain(value) for fact, value in wanted.items())


def _save_original(store: Store, change: Change, observed: State, wanted: State, now: datetime) -> None:
    def saved(known: SavedOriginals | None) -> SavedOriginals:
        return (known or SavedOriginals(change.target)).saved(change.automation, observed, wanted, now)

    store.update(claims.originals_name(change), SavedOriginals, saved)


def _release_original(store: Store, change: Change) -> None:
    def released(known: SavedOriginals | None) -> SavedOriginals:
        return (known or SavedOriginals(change.target)).released(change.automation)

    store.update(claims.originals_name(change), SavedOriginals, released)


def _note(services: Services, known: Execution, attempt: int, wanted: State, policy: Policy) -> None:
    """Note that the act begins. Raises ConflictError when another delivery may be acting, or the run was overtaken."""

    def noted(latest: Execution | None) -> Execution:
        now = services.clock()
        if latest is None or not execution.is_current(latest, known.run):
            raise ConflictError("another run took over")
        permission = execution.may_act(latest, attempt, now, policy.redelivery_grace)
        if permission is Permission.OVER:
            raise AttemptOverError(f"attempt {attempt} ended before, with unknown outcome")
        if permission is not Permission.GO:
            raise ConflictError("another delivery is acting")
        return execution.acting(latest, attempt, wanted, now)

    services.store.update(execution_name(known.change.id), Execution, noted)


def _remember(services: Services, known: Execution, attempt: int, outcome: Acted | None) -> None:
    def remembered(latest: Execution | None) -> Execution:
        latest = latest or known
        return execution.acted(latest, attempt, outcome) if latest.run == known.run else latest

    services.store.update(execution_name(known.change.id), Execution, remembered)


def _current(store: Store, change_id: str, run: int) -> Execution | None:
    known = store.get(execution_name(change_id), Execution)
    return known if execution.is_current(known, run) else None


def _keep_alive(services: Services, known: Execution, now: datetime, until: datetime | None = None) -> None:
    def kept(latest: Execution | None) -> Execution:
        return execution.kept_alive(latest or known, now, until)

    services.store.update(execution_name(known.change.id), Execution, kept)
    policy = _policy(services, known.change.environment)
    claims.hold_place(services.store, known.change, known.run, policy, 0, now, again=False)


def _policy(services: Services, environment: str) -> Policy:
    """The environment's policy; the cautious one when the environment is no longer declared, so that runs can end."""
    try:
        return services.rules.policy(environment)
    except NotKnownError:
        return Policy()


def _why_left_alone(drift: dict[str, Json]) -> str:
    if drift:
        return "left alone, edited since: " + ", ".join(sorted(drift))
    return "nothing to give back: it is as it was, nothing was saved, or what acted later will give it back"


def _is_muted(services: Services, entry: Entry) -> bool:
    from shared.changes.overrides import Override, mutes

    known = services.store.get(claims.OVERRIDES, dict[str, Override]) or {}
    return entry.environment is not None and mutes(tuple(known.values()), entry.environment, services.clock())


def _pace(policy: Policy, change: Change) -> Pace:
    return Pace(
        retry=policy.retry,
        recheck=policy.recheck,
        verify_every=policy.verify_every,
        apply_within=change.apply_within,
        undo_on_failure=change.undo_on_failure,
    )


def _attempt_id(change_id: str, run: int, attempt: int) -> str:
    return f"{change_id}:{run}:{attempt}"
