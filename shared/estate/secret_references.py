"""Where a secret is, never what it is."""

import re
from dataclasses import dataclass
from typing import Annotated

from shared.estate.declared import HiddenValueError, Written

_SETTING = re.compile(r"@setting:([A-Za-z][A-Za-z0-9_]{0,126})")
_KEY_VAULT = re.compile(r"@keyvault:([A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9])/([A-Za-z0-9-]{1,127})")


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """An application setting (`vault` is empty), or a secret of a Key Vault."""

    name: str
    vault: str = ""

    def __str__(self) -> str:
        return f"@keyvault:{self.vault}/{self.name}" if self.vault else f"@setting:{self.name}"


def parse_secret_reference(text: str) -> SecretPlace:
    """The place; raises ValueError, without the text: it may be the secret itself."""
    if match := _SETTING.fullmatch(text):
        return SecretPlace(match[1])
    if match := _KEY_VAULT.fullmatch(text):
        return SecretPlace(match[2], match[1])
    raise HiddenValueError("is not a reference to a secret; write @setting:NAME or @keyvault:VAULT/SECRET")


SecretReference = Annotated[
    SecretPlace,
    Written(
        SecretPlace,
        parse_secret_reference,
        str,
        r"^@(setting:[A-Za-z][A-Za-z0-9_]*|keyvault:[A-Za-z][A-Za-z0-9-]*/[A-Za-z0-9-]+)$",
        ("@setting:ODOO_API_KEY", "@keyvault:kv-erp/odoo-api-key"),
    ),
]
"""A secret by the place where it is kept: an application setting or a Key Vault."""
