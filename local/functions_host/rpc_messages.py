"""The worker protocol's messages as the runtime library reads and makes them.

The library takes a `protos` module from whoever loads it and uses only attributes and `WhichOneof`, so plain objects
do, and no second copy of the Functions protobuf definitions is needed.
"""

from typing import Any, ClassVar


class Message:
    """Any message: its fields are its attributes."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class OneOf(Message):
    """A message of which one field is set."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.kind = next(iter(fields), None)

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802  # the protobuf name
        return self.kind


class TypedData(OneOf):
    """A value with its type."""


class ParameterBinding(Message):
    """A named value that goes to or comes from the function."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802
        return "data"


class StatusResult(Message):
    """How an operation ended."""

    Failure = 0
    Success = 1


class BindingInfo(Message):
    """One binding of a function."""

    undefined, string, binary, stream = range(4)
    out = 1
    inout = 2


setattr(BindingInfo, "in", 0)


class RpcHttpCookie(Message):
    """A cookie of an HTTP response."""

    class SameSite:
        """Values of the attribute of that name."""

        Lax = "Lax"
        Strict = "Strict"
        ExplicitNone = "None"


setattr(RpcHttpCookie.SameSite, "None", "")


class Protos:
    """What the library is given as its `protos` module."""

    _named: ClassVar[dict[str, type[Message]]] = {
        "TypedData": TypedData,
        "ParameterBinding": ParameterBinding,
        "StatusResult": StatusResult,
        "BindingInfo": BindingInfo,
        "RpcHttpCookie": RpcHttpCookie,
    }

    def __getattr__(self, name: str) -> type[Message]:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._named.get(name, Message)
