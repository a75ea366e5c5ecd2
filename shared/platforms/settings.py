"""Application settings, read where they are needed. The same names point the app at Azure and at the local estate."""

import os


class MissingSettingError(Exception):
    """An application setting that the app cannot do without is absent."""

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(f"application setting {name} is not set: {remedy}")


def required(name: str, remedy: str) -> str:
    """The setting's value; raises MissingSettingError with the remedy when it is absent or empty."""
    value = os.environ.get(name, "")
    if not value:
        raise MissingSettingError(name, remedy)
    return value


def optional(name: str, default: str) -> str:
    """The setting's value, or the default when it is absent or empty."""
    return os.environ.get(name) or default


def switched_on(name: str) -> bool:
    """Whether a switch such as DRY_RUN is on: `1` or `true`, in any case."""
    return os.environ.get(name, "").strip().lower() in {"1", "true"}
