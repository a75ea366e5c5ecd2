"""What a restore does not carry: what the copy must have of its source and of its drill, and what it lacks. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

_RULE = "closekeeper-drill-"


class Administrator(BaseModel):
    """An Entra principal that administers a server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    object_id: str
    name: str
    type: str
    tenant: str


class Wanted(BaseModel):
    """What the copy must have. `unread` says what of the source could not be read, and is therefore not carried."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tags: Mapping[str, str]
    parameters: Mapping[str, str] = {}
    """Those that somebody changed on the source, the allow-list of extensions among them."""
    administrators: tuple[Administrator, ...] = ()
    let_in: tuple[str, ...] | None = None
    """The only addresses that the firewall lets in; None: the copy is in a subnet, and has no firewall."""
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Actual:
    """What the copy has."""

    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    restart_pending: bool
    administrators: Collection[str]
    """Their object ids."""
    rules: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the copy; a server takes one at a time. `value` is what it is set to."""

    what: str
    name: str = ""
    value: str = ""
    administrator: Administrator | None = None

    @property
    def key(self) -> str:
        """The same for the same change."""
        return f"{self.what} {self.name}".strip()


def missing(wanted: Wanted, actual: Actual, given_up: Collection[str] = ()) -> list[Step]:
    """The changes that the copy needs still, in order: who may get in first, then how it behaves. Without those whose
    key is in `given_up`: Azure refused them."""
    steps: list[Step] = []
    if not wanted.tags.items() <= actual.tags.items():
        steps.append(Step("tags"))
    if wanted.let_in is not None:
        rules = {f"{_RULE}{number}": address for number, address in enumerate(wanted.let_in, 1)}
        steps += [Step("shut out", name) for name, at in actual.rules.items() if at != (rules.get(name),) * 2]
        steps += [Step("let in", name, at) for name, at in rules.items() if actual.rules.get(name) != (at, at)]
    steps += [
        Step("administrator", one.object_id, one.name, one)
        for one in wanted.administrators
        if one.object_id.lower() not in {known.lower() for known in actual.administrators}
    ]
    steps += [
        Step("parameter", name, value)
        for name, value in wanted.parameters.items()
        if actual.parameters.get(name) != value
    ]
    found = [step for step in steps if step.key not in given_up]
    if not any(step.what == "parameter" for step in found) and actual.restart_pending:
        found += [step for step in [Step("restart")] if step.key not in given_up]
    return found


def described(wanted: Wanted, given_up: Mapping[str, str]) -> list[str]:
    """What was set on the copy, and what could not be, in words."""
    words = ["tags of the drill"]
    if wanted.let_in is not None:
        words.append(f"firewall: {', '.join(wanted.let_in)} only")
    words += [f"administrator {one.name}" for one in wanted.administrators]
    words += [f"parameter {name} = {value}" for name, value in wanted.parameters.items()]
    words += [f"not carried: {what}" for what in wanted.unread]
    words += [f"not set: {what} ({why})" for what, why in given_up.items()]
    return words
