"""The one governed way to act: what a change is, whether it may happen now, and what is remembered about it."""
