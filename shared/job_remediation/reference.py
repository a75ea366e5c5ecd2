"""The reference of the playbooks and of the facts that they may speak of, written from their definitions."""

from collections.abc import Iterator, Mapping

from shared.job_remediation.evidence import FACTS
from shared.job_remediation.playbook import Case, Condition, Playbook, When


def reference(playbooks: Mapping[str, Playbook]) -> str:
    """As Markdown."""
    return "\n".join([*_introduction(), *_all(playbooks), *_facts(), ""])


def _introduction() -> Iterator[str]:
    yield "# Playbooks"
    yield ""
    yield "Written from their definitions by `python -m functions.command_line playbooks > docs/playbooks.md`; how they"
    yield "work, and how to write your own, is in [job remediation](job-remediation.md#playbooks). Of the cases of a"
    yield "playbook the first that fits counts."


def _all(playbooks: Mapping[str, Playbook]) -> Iterator[str]:
    for playbook in playbooks.values():
        yield from ("", f"## {playbook.name}", "", f"{playbook.title}.", "")
        yield f"- answers {_listed(playbook.symptoms)}"
        if playbook.collect:
            yield f"- collects {_listed(playbook.collect)}"
        if playbook.well:
            times = "once" if playbook.attempts == 1 else f"{playbook.attempts} times"
            yield f"- mended when {_when(playbook.well)}; tried at most {times}"
        yield from ("", "| case | when | kind of error | then |", "| --- | --- | --- | --- |")
        yield from (_row(case) for case in playbook.cases)


def _row(case: Case) -> str:
    then = "nothing is wrong" if case.over else f"`{case.do}`, at most {case.most} at once" if case.do else ""
    then = f"{then}; else a human: {case.ask}" if then and case.ask else then or f"a human: {case.ask}"
    cause = "" if case.over else case.cause
    return f"| {case.name} | {_when(case.when) or 'always'} | {cause} | {' '.join(then.split())} |"


def _facts() -> Iterator[str]:
    yield from ("", "## Facts", "", "What the collectors find out. `signal.*` are the facts of the signal itself.")
    for collector, facts in FACTS.items():
        yield from ("", f"### {collector}", "", "| fact | meaning |", "| --- | --- |")
        yield from (f"| `{name}` | {meaning} |" for name, meaning in facts.items())


def _when(when: When) -> str:
    return " and ".join(f"`{fact}` is {_condition(condition)}" for fact, condition in when.items())


def _condition(condition: Condition) -> str:
    said = [
        "" if condition.equals is None else _value(condition.equals),
        " or ".join(_value(one) for one in condition.one_of),
        "" if condition.at_least is None else f"at least {condition.at_least:g}",
        "" if condition.at_most is None else f"at most {condition.at_most:g}",
        {None: "", True: "known", False: "not known"}[condition.known],
    ]
    return " and ".join(one for one in said if one)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
