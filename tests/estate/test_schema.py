"""The JSON Schema that editors use: committed, complete, and of the same mind as the loader."""

import json
import re
from typing import Any

import pytest

from shared.estate.estate import Estate
from shared.estate.loading import load_estate
from shared.estate.models import field_words, model_at, names_of
from shared.estate.problems import EstateInvalidError
from shared.estate.schema import schema_text
from tests.estate.files import EXAMPLES, PROJECT, SMALL, plain

COMMITTED = PROJECT / "docs" / "estate.schema.json"
SCHEMA: dict[str, Any] = json.loads(schema_text())


def test_the_committed_schema_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == schema_text()


def test_every_field_of_the_estate_says_what_it_means() -> None:
    models = {**SCHEMA["$defs"], "Estate": SCHEMA}
    of_the_calendar = model_names("shared.finance_calendar")
    silent = [
        f"{model}.{name}"
        for model, schema in models.items()
        if model not in of_the_calendar
        for name, field in schema.get("properties", {}).items()
        if not field.get("description", "").endswith(".")
    ]
    assert silent == []
    assert len(models) > 60


def test_unknown_names_are_errors_for_editors_too() -> None:
    models = [schema for schema in [*SCHEMA["$defs"].values(), SCHEMA] if schema.get("type") == "object"]
    assert all(schema["additionalProperties"] is False for schema in models)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_the_examples_name_the_schema_and_fit_it(file: Any) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../../docs/estate.schema.json\n")
    assert misfits(plain(text), SCHEMA, "") == []


def test_what_does_not_fit_the_schema_is_seen() -> None:
    """The checker below would be worthless if it accepted everything."""
    assert misfits(plain(SMALL), SCHEMA, "") == []
    for wrong in ("rto: soon", "rto: 2", "rtoo: 2h", "rto: 2h }\n  High End: { rpo: 1h, rto: 2h"):
        assert misfits(plain(SMALL.replace("rto: 2h", wrong)), SCHEMA, "")
        with pytest.raises(EstateInvalidError):
            load_estate(SMALL.replace("rto: 2h", wrong))


def test_models_are_found_by_the_path_of_a_document() -> None:
    found = model_at(Estate, ("environments", "production", "storage", "documents", "containers", "attachments"))
    assert found is not None
    assert "class" in names_of(found)
    assert field_words(found)["class"].startswith("What kind of documents")
    assert model_at(Estate, ("environments", "production", "nothing")) is None


def model_names(module: str) -> set[str]:
    """Names of the models that a module's part of the estate consists of."""
    names: set[str] = set()
    waiting = [("calendar",), ("calendar", "business_days"), ("calendar", "fiscal_year")]
    waiting += [("calendar", part, "x") for part in ("regions", "events", "subscriptions")]
    for path in waiting:
        model = model_at(Estate, path)
        assert model is not None
        assert model.__module__.startswith(module)
        names.add(model.__name__)
    return names


def misfits(value: Any, schema: dict[str, Any], path: str) -> list[str]:
    """Where a value does not fit a schema; as much of JSON Schema as pydantic writes."""
    if "$ref" in schema:
        schema = {
            **SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]],
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
    if "anyOf" in schema:
        tries = [misfits(value, choice, path) for choice in schema["anyOf"]]
        return [] if any(not each for each in tries) else min(tries, key=len)
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        return [f"{path}: {value!r}"]
    kinds = {"string": str, "integer": int, "number": int | float, "boolean": bool, "object": dict, "array": list}
    kind = schema.get("type")
    if kind == "null":
        return [] if value is None else [f"{path}: not null"]
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{path}: no {kind}: {value!r}"]
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return [f"{path}: {value!r} is not {schema['pattern']}"]
    found: list[str] = []
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        patterns = schema.get("patternProperties", {})
        found += [f"{path}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            fitting = [entry for pattern, entry in patterns.items() if re.search(pattern, name)]
            if name in known:
                found += misfits(inner, known[name], f"{path}.{name}")
            elif fitting:
                found += misfits(inner, fitting[0], f"{path}.{name}")
            elif rest is False:
                found.append(f"{path}.{name}: unknown")
            elif isinstance(rest, dict):
                found += misfits(inner, rest, f"{path}.{name}")
                found += misfits(name, {"type": "string", **schema.get("propertyNames", {})}, f"{path}.{name}!")
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += misfits(item, schema.get("items", {}), f"{path}[{index}]")
    return found
