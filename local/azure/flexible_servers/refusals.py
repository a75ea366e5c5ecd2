"""What Microsoft.DBforPostgreSQL refuses, in its own codes and words.

Documented (Microsoft Learn's how-to pages for flexible server): ServerIsNotReady, ServerIsNotStopped,
SeverBusyWithOtherOperation (so spelt, by Azure), InternalServerError for an on-demand backup of a name that exists or
while another one runs. Seen in users' reports (GitHub issues of azure-cli, bicep, terraform-provider-azurerm):
ServerIsBusy, ServerNameAlreadyExists, ServerGroupDropping, InvalidParameterValue with its one sentence,
InternalServerError for a point in time that is no RFC 3339 time; "occured" and "Seever" are theirs too.
Inferred, as no source was found: the HTTP status of each (409 for states, 400 for parameters), that a point in time
out of range is an InvalidParameterValue of pointInTimeUTC, that of source, location and version likewise,
QuotaExceeded, and RestoreFailed for a log that cannot be replayed.
"""

import uuid

from local.azure.errors import ArmError


def invalid_parameter(name: str) -> ArmError:
    """Azure says no more than which parameter it is."""
    return ArmError(
        400, "InvalidParameterValue", f"Invalid value given for parameter {name}. Specify a valid parameter value."
    )


def missing_location() -> ArmError:
    return ArmError(400, "LocationRequired", "The location property is required for this definition.")


def name_taken() -> ArmError:
    return ArmError(409, "ServerNameAlreadyExists", "Specified server name is already used.")


def not_found(resource_type: str, name: str, group: str) -> ArmError:
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource 'Microsoft.DBforPostgreSQL/{resource_type}/{name}' under resource group '{group}' was not "
        "found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def busy(server: str) -> ArmError:
    return ArmError(
        409,
        "ServerIsBusy",
        f"Cannot complete operation while server '{server}' is busy processing another operation. Try again later.",
    )


def busy_with_other(server: str, operation: str) -> ArmError:
    """What start, stop and restart answer, whose code is misspelt."""
    return ArmError(
        409,
        "SeverBusyWithOtherOperation",
        f"Cannot perform '{operation}' server operation because server '{server}' is busy processing other operation.",
    )


def not_ready(server: str, state: str) -> ArmError:
    return ArmError(
        409,
        "ServerIsNotReady",
        f"Restart or Stop Server can only be performed on Started servers. Server Name = {server}, "
        f"Current Server State = {state}",
    )


def not_stopped(server: str, state: str) -> ArmError:
    return ArmError(
        409,
        "ServerIsNotStopped",
        f"Start Server can only be performed on Stopped servers. Seever Name = {server}, "
        f"Current Server State = {state}",
    )


def dropping() -> ArmError:
    return ArmError(409, "ServerGroupDropping", "Operations on a server group in dropping state are not allowed.")


def quota_exceeded(region: str, needed: int, left: int) -> ArmError:
    return ArmError(
        409,
        "QuotaExceeded",
        f"The requested {needed} vCores exceed the {left} that are left of the quota in {region}.",
    )


def internal() -> ArmError:
    return ArmError(
        500,
        "InternalServerError",
        f"An unexpected error occured while processing the request. Tracking ID: '{uuid.uuid4()}'",
    )


def restore_failed(reason: str) -> ArmError:
    return ArmError(500, "RestoreFailed", f"The server could not be restored: {reason}")


def not_simulated(what: str) -> ArmError:
    """Ours, not Azure's: said plainly, so that nobody takes it for Azure's behaviour."""
    return ArmError(501, "NotSimulated", f"The local estate does not simulate {what}.")
