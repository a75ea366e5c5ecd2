"""Which build acts. Kept equal to pyproject.toml by a test."""

VERSION = "0.1.0"
