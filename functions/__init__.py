"""Entry points: triggers, orchestrations and activities. They wire pure domains to adapters and compute nothing."""
