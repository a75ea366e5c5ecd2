"""What a caller asks of the verification of dumps."""

from pydantic import BaseModel, ConfigDict, Field

from shared.backup_verification.dumps.levels import Level


class DumpRequest(BaseModel):
    """The newest dump of a tenant, or the one that is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str = Field(min_length=1, max_length=100, description="The environment's name in the estate")
    tenant: str = Field(min_length=1, max_length=100, description="The tenant's name in the environment")
    dump: str = Field(
        default="",
        max_length=1024,
        description="The blob's name, or the folder's with a slash at the end; the newest if left out",
    )
    level: Level | None = Field(default=None, description="How far it is checked; the policy's level if left out")
