"""Microsoft.Storage: storage accounts as Resource Manager shows them. The blobs themselves are Azurite's."""
