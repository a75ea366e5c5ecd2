"""Azure's error answers."""

from collections.abc import Mapping
from typing import Any


class ArmError(Exception):
    """A refusal with Azure's own code and message, as Resource Manager and its providers word it."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    @property
    def error(self) -> dict[str, Any]:
        return {"code": self.code, "message": str(self)}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}
