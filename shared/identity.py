"""Who asks: people known by a login, machines known by a key or a managed identity, and the roles they have."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do. Each role is granted by itself: an approver who shall also operate has both."""

    READER = "reader"
    OPERATOR = "operator"
    APPROVER = "approver"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who logged in. `name` is the user name, the only personal data that enters a record."""

    name: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Machine:
    """A program: a holder of a function key (`function-key`), or a managed identity (its object id).

    No machine can approve, whatever roles it was given.
    """

    name: str
    roles: frozenset[Role]


type Caller = Person | Machine


def may(caller: Caller, role: Role) -> bool:
    """Whether the caller may act in that role."""
    return role in caller.roles and (role is not Role.APPROVER or isinstance(caller, Person))
