"""The simulated Azure control plane: identity, Resource Manager and Event Grid around real PostgreSQL servers."""
