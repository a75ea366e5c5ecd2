"""Storage accounts and their containers, with the class of the documents in them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from shared.estate.azure_ids import StorageAccountId
from shared.estate.declared import Declared, fitting
from shared.estate.inventory.places import ContainerReference
from shared.estate.values import Duration, WebAddress
from shared.finance_calendar.declaration import Name

ContainerName = Annotated[
    str, fitting(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]|\$logs|\$web", "name of a container", "attachments")
]
BlobPrefix = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class AttachmentLayout(StrEnum):
    """How Odoo's attachments are laid out as blobs."""

    FILESTORE = "filestore"
    CLOUD_STORAGE = "cloud-storage"
    FS_ATTACHMENT = "fs-attachment"
    ATTACHMENT_AZURE = "attachment-azure"


class Container(Declared):
    """A container of one storage account."""

    model_config = ConfigDict(validate_by_alias=True, validate_by_name=True)

    document_class: Annotated[Name, Field(alias="class")]
    """What kind of documents it holds; `storage_tiering.classes` says how long they are kept and where."""

    folders: Mapping[BlobPrefix, Name] = {}
    """Document classes of parts of it, by the beginning of the blobs' names. The longest beginning that fits wins."""

    layout: AttachmentLayout | None = None
    """For attachments: how they are laid out. `filestore` is a mirror of Odoo's filestore, `cloud-storage` is core
    cloud_storage_azure, the others are the OCA and Camptocamp modules of that name."""

    prefix: str = ""
    """For attachments: what comes before the database's files; {database} stands for the database's name."""


class StorageAccount(Declared):
    """A storage account."""

    id: StorageAccountId
    """Azure resource id."""

    containers: Mapping[ContainerName, Container]
    """The containers that are cared for; others are left alone."""

    blob_endpoint: WebAddress | None = None
    """The address of its blob service, when it is not https://NAME.blob.core.windows.net."""

    secondary: Literal["none", "replicated", "readable"] = "none"
    """What there must be in the paired region: nothing, a copy (GRS, GZRS), or one that can be read (RA-GRS)."""

    soft_delete: Duration | None = None
    """How long deleted blobs must be recoverable. For attachments at least as long as the point-in-time window of the
    databases: a restored database needs the files that were deleted since."""

    versioning: bool = False
    """Whether former versions of blobs must be kept."""

    inventory: ContainerReference | None = None
    """Where the account's blob inventory reports arrive; without them its containers are listed."""

    @property
    def blob_address(self) -> str:
        """The address of its blob service, without a slash at the end."""
        return self.blob_endpoint or f"https://{self.id.name.lower()}.blob.core.windows.net"
