"""The app's own identity: one credential for every SDK client."""

from functools import cache
from typing import TYPE_CHECKING

from shared.platforms import settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


@cache
def credential() -> "TokenCredential":
    """The managed identity, user-assigned when AZURE_CLIENT_ID is set.

    Never a chain of guesses: a credential that falls back to a developer's login would act with rights that nobody
    granted to the app.
    """
    from azure.identity import ManagedIdentityCredential

    client_id = settings.optional("AZURE_CLIENT_ID", "")
    return ManagedIdentityCredential(client_id=client_id) if client_id else ManagedIdentityCredential()
