"""Why a request about changes was turned down, by what a caller can do about it."""


class NotPermittedError(Exception):
    """The caller may not do that (403): a role is missing, or somebody else has to do it."""


class NotKnownError(Exception):
    """There is no such thing (404)."""


class ConflictError(Exception):
    """It no longer is in a state that allows this (409)."""


class InvalidRequestError(Exception):
    """A field of the request is wrong (422). The message names the field and the remedy."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class InvalidPlanError(Exception):
    """Changes that cannot be one plan: a dependency is missing or circular, or one intent has two contents."""


class StateContentionError(Exception):
    """So many writers changed one state blob that ours never got its turn. Nothing was written; try again later."""
