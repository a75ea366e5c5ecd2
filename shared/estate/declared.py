"""The base of everything that is declared, and values that are written as text."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Declared(BaseModel):
    """A part of the estate. Nothing unknown is accepted, nothing changes once it is loaded.

    The text below each field is its meaning: `schema.py` puts it into the JSON Schema that editors show, and the
    errors quote its first sentence. It is read from the source only then, because Python drops it at import.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class HiddenValueError(ValueError):
    """A value is wrong, and must not be repeated in the message: it may be a secret that was put there by mistake."""


@dataclass(frozen=True, slots=True)
class Written[T]:
    """Annotates a type whose values are written as text, with the way back, so that a dump can be loaded again.

    `parse` raises ValueError with what is wrong and what would be right. A value that is of the type already (built by
    a program) is taken as it is. `pattern` is for editors only, `parse` decides.
    """

    type: type[T]
    parse: Callable[[str], T]
    show: Callable[[T], str]
    pattern: str
    examples: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate by `parse`, dump by `show`."""
        return core_schema.no_info_plain_validator_function(
            self._validate, serialization=core_schema.plain_serializer_function_ser_schema(self.show)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Text of that pattern."""
        return {"type": "string", "pattern": self.pattern, "examples": list(self.examples)}

    def _validate(self, value: object) -> T:
        if isinstance(value, str):
            return self.parse(value)
        if isinstance(value, self.type):
            return value
        kind = (
            "has no value"
            if value is None
            else "is a plain number"
            if isinstance(value, int | float)
            else "is not text"
        )
        raise ValueError(f"{kind}; write it as in {', '.join(self.examples)}")


def fitting(pattern: str, what: str, *examples: str) -> Written[str]:
    """Text that fits the pattern wholly; `what` is what it is then."""
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if compiled.fullmatch(text):
            return text
        raise ValueError(f"is no {what}; write it as in {', '.join(examples)}")

    return Written(str, parse, str, f"^(?:{pattern})$", examples)
