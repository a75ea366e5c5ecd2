"""The simulated Azure Managed Redis."""
