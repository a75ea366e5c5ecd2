"""How AKS refuses.

Documented or seen in public reports: OperationNotAllowed with 409 while another operation runs, Throttled with 429 and
Retry-After (quotas-skus-regions), 412 for a stale ETag (azure-mgmt-containerservice raises ResourceModifiedError),
AllocationFailed and QuotaExceeded of a failed operation, that a stopped cluster can only be started or deleted, that a
system pool has a node at least, that a cluster whose nodes AKS provisions itself cannot be stopped.
Inferred, as no source was found: the words of the messages, the status of each but the first two, that a count outside
the autoscaler's bounds is refused (clients differ: Azure/AKS#1758), and the refusal of a start soon after a stop.
"""

from local.azure.errors import ArmError


def not_found(group: str, name: str) -> ArmError:
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource 'Microsoft.ContainerService/managedClusters/{name}' under resource group '{group}' was not "
        "found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def pool_not_found(cluster: str, pool: str) -> ArmError:
    return ArmError(404, "NotFound", f"Could not find the agentpool '{pool}' in the managed cluster '{cluster}'.")


def in_progress(what: str, name: str, operation: str) -> ArmError:
    return ArmError(
        409,
        "OperationNotAllowed",
        f"Operation is not allowed because there's an in progress {operation} operation on the {what} '{name}'. "
        "Please wait for it to finish before starting a new operation.",
    )


def stopped(name: str) -> ArmError:
    return ArmError(
        409,
        "OperationNotAllowed",
        f"The managed cluster '{name}' is stopped: it can only be started or deleted.",
    )


def too_soon(name: str) -> ArmError:
    return ArmError(
        409, "OperationNotAllowed", f"The managed cluster '{name}' was stopped just now; wait before starting it again."
    )


def not_settled(pool: str, state: str) -> ArmError:
    return ArmError(409, "OperationNotAllowed", f"The agent pool '{pool}' is in provisioning state {state}.")


def provisions_itself(name: str) -> ArmError:
    return ArmError(
        400,
        "BadRequest",
        f"Cannot stop the managed cluster '{name}' or its agent pools while node auto provisioning is enabled.",
    )


def stale(pool: str) -> ArmError:
    return ArmError(412, "PreconditionFailed", f"The ETag given does not match the one of the agent pool '{pool}'.")


def invalid(parameter: str, why: str) -> ArmError:
    return ArmError(400, "InvalidParameter", f"The value of parameter {parameter} is invalid. Error details: {why}.")


def unchangeable(parameter: str) -> ArmError:
    return ArmError(400, "PropertyChangeNotAllowed", f"Changing property '{parameter}' is not allowed.")


def throttled(what: str, seconds: int) -> ArmError:
    return ArmError(
        429,
        "Throttled",
        f"The {what} request limit has been exceeded. Please retry after {seconds} seconds.",
        {"Retry-After": str(seconds)},
    )


def allocation_failed(pool: str, got: int, wanted: int) -> ArmError:
    return ArmError(
        500,
        "AllocationFailed",
        f"Allocation failed for the agent pool '{pool}': {got} of {wanted} nodes. We do not have sufficient capacity "
        "for the requested VM size in this region.",
    )


def insufficient_quota(requested: int, remaining: int, family: str, region: str) -> ArmError:
    return ArmError(
        400,
        "ErrCode_InsufficientVCPUQuota",
        f"Insufficient vcpu quota requested {requested}, remaining {remaining} for family {family} "
        f"for region {region}. Surge nodes would also consume vcpu quota.",
    )


def quota_exceeded(pool: str, got: int, wanted: int) -> ArmError:
    return ArmError(
        500,
        "QuotaExceeded",
        f"The agent pool '{pool}' has {got} of {wanted} nodes. Operation could not be completed as it results in "
        "exceeding approved Total Regional Cores quota.",
    )
