"""Microsoft.DBforPostgreSQL/flexibleServers, API version 2026-10-01: each server is a real PostgreSQL cluster."""
