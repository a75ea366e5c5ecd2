"""The estate on a laptop: real PostgreSQL, real Azurite, a functions host and simulators of Azure's control plane."""
