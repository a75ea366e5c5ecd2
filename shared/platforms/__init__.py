"""Adapters, one module per outside system. The only place that imports an SDK, and only when it is first used."""

import logging

# The SDKs' pipelines write two lines for every request; what went wrong comes as an exception anyway.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
logging.getLogger("azure.identity").setLevel(logging.WARNING)
