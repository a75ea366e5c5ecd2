"""What the models say about themselves: the model at a path, and the words below its fields."""

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from textwrap import dedent
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from shared.estate.problems import Path


def model_at(root: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model whose fields are the names at that path of a document, or None where there is none."""
    here: Any = root
    for step in path:
        here = _inside(here, step)
        if here is None:
            return None
    return _model(here)


def names_of(model: type[BaseModel]) -> list[str]:
    """The fields' names as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


@cache
def field_words(model: type[BaseModel]) -> dict[str, str]:
    """The words below each field, by its name as it is written. Read from the source, so only when they are needed."""
    words: dict[str, str] = {}
    for ancestor in reversed(model.__mro__):
        if not (issubclass(ancestor, BaseModel) and ancestor.__module__.startswith("shared.")):
            continue
        tree = ast.parse(dedent(inspect.getsource(ancestor))).body[0]
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for said, below in pairwise(body):
            match said, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    words[name] = " ".join(text.split())
                case _:
                    pass
    fields = model.model_fields
    described = {name: field.description for name, field in fields.items() if field.description}
    return {fields[name].alias or name: text for name, text in (words | described).items() if name in fields}


def _inside(annotation: Any, step: str | int) -> Any:
    """The type of what is under that name, or at that place of a list."""
    if model := _model(annotation):
        found = [field.annotation for name, field in model.model_fields.items() if step == (field.alias or name)]
        return found[0] if found else None
    for part in _alternatives(annotation):
        origin, arguments = get_origin(part), get_args(part)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return arguments[1]
        if origin in (tuple, list) and isinstance(step, int):
            return arguments[0]
    return None


def _model(annotation: Any) -> type[BaseModel] | None:
    for part in _alternatives(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _alternatives(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin is Union or type(annotation).__name__ == "UnionType":
        return [part for choice in get_args(annotation) for part in _alternatives(choice)]
    return [annotation]
