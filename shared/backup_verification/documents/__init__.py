"""The documents that a database refers to: whether each is in Blob, whole, in both regions."""
