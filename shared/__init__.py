"""What the entry points in `functions/` share: pure domains, and the adapters in `shared/platforms`."""
