"""Shutdown schedules: what should be awake at an instant, and the changes that lead there. Pure."""
