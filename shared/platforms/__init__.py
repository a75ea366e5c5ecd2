"""Adapters, one module per outside system. The only place that imports an SDK, and only when it is first used."""
