"""Odoo endpoints: where jobs are asked for and repaired."""

from typing import Literal

from shared.estate.declared import Declared
from shared.estate.secret_references import SecretReference
from shared.estate.values import Text, WebAddress


class OdooEndpoint(Declared):
    """An Odoo installation with its external API."""

    url: WebAddress
    """The address, without a path."""

    version: Literal[16, 17, 18, 19]
    """The major version: 16 to 18 are spoken to by XML-RPC, 19 by JSON-2."""

    user: Text
    """The login of the app's own user."""

    api_key: SecretReference
    """Where that user's API key is kept."""
