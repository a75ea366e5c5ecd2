"""What the adapters of queue jobs and crons have in common: where their Odoo is, what its answers mean, and acting once
for one attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import uuid4

from functions import estate_in_force
from functions.change_execution import services
from shared.changes.change import Change
from shared.changes.ports import Act, Acted
from shared.platforms import odoo, vaults
from shared.platforms.odoo import Endpoint, Odoo
from shared.platforms.sql import DatabaseUnavailableError


@dataclass(frozen=True, slots=True)
class Record:
    """A target: ODOO//DATABASE/MODEL/ID, the Odoo by its name in the environment."""

    odoo: str
    database: str
    model: str
    id: int

    @classmethod
    def parse(cls, target: str) -> "Record":
        """Raises ValueError for what is not written so."""
        odoo, separator, path = target.partition("//")
        parts = path.split("/")
        if not separator or len(parts) != 3 or not parts[2].isdecimal():
            raise ValueError(f"not a record of an Odoo: {target}; write ODOO//DATABASE/MODEL/ID")
        return cls(odoo, parts[0], parts[1], int(parts[2]))


def odoo_of(change: Change) -> Odoo:
    """The Odoo of the change's target, as the estate declares it. Raises KeyError, VaultError, MissingSettingError."""
    record = Record.parse(change.target)
    declared = estate_in_force.get().environments[change.environment].odoo[record.odoo]
    key = vaults.secret(declared.api_key.vault, declared.api_key.name)
    return _odoo(Endpoint(str(declared.url).rstrip("/"), declared.version, record.database, declared.user, key))


@cache
def _odoo(endpoint: Endpoint) -> Odoo:
    return Odoo(endpoint)


def answered(act: Callable[[], Acted | None], asked: Acted, *, again_after: timedelta | None = None) -> Acted:
    """What came of an act: what it returns; else `asked`, which stands for silence, too: Odoo may have done it, and who
    looks afterwards finds out.

    again_after: what the model itself refuses is refused for now only, as while a cron runs; without it, for good.
    """
    try:
        return act() or asked
    except odoo.OdooSilentError:
        return asked
    except (odoo.OdooUnavailableError, DatabaseUnavailableError) as error:
        return Acted(Act.BUSY, detail=str(error))
    except odoo.OdooError as error:
        if isinstance(error, odoo.OdooUserError) and again_after is not None:
            return Acted(Act.BUSY, again_after=again_after, detail=str(error))
        return Acted(Act.FAILED, detail=str(error))


def claim(key: str) -> bool:
    """Claim the one act of an attempt; returns whether it is ours.

    Whoever finds it claimed must not act: the claim comes before the act, so a crash in between loses the act, which
    shows, and never doubles it, which might not.
    """
    mine = uuid4().hex
    return services().store.update(f"remediation/acts/{key}", str, lambda known: known or mine) == mine


def give_back(key: str) -> None:
    """Give up a claim of ours when it is certain that nothing was done."""
    services().store.update(f"remediation/acts/{key}", str, lambda known: "")
