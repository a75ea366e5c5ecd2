"""The rehearsal of a recovery into the paired region: a declared runbook, walked step by step, timed and judged."""
