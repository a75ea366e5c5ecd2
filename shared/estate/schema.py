"""The JSON Schema of the estate, for editors: generated from the models, never written by hand."""

import json
from typing import Any, cast, override

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from shared.estate.estate import Estate
from shared.estate.models import field_words


class _WithWords(GenerateJsonSchema):
    """Adds the words below each field as its description, and refuses entries whose names are no names."""

    @override
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        generated = super().model_schema(schema)
        words = field_words(cast(type[BaseModel], schema["cls"]))
        for name, entry in cast(dict[str, dict[str, Any]], generated.get("properties", {})).items():
            entry.pop("title", None)
            if text := words.get(name):
                entry["description"] = text
        return generated

    @override
    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        generated = super().dict_schema(schema)
        if "patternProperties" in generated:
            generated["additionalProperties"] = False
        return generated


def schema_text() -> str:
    """The schema as it is committed."""
    schema = Estate.model_json_schema(schema_generator=_WithWords, mode="validation")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
