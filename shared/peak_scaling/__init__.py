"""Peak scaling: capacity is there before a peak of the finance calendar, proven ready, and given back. Pure."""
