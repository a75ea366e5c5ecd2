"""What must survive restarts and is shared by all instances: typed values in blobs, changed by compare-and-swap."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from shared.blob_container import BlobAlreadyExistsError, BlobChangedError, BlobContainer, BlobNotFoundError
from shared.changes.errors import StateContentionError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_TRIES = 40
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.5


class Store:
    """Values of any type that pydantic can validate, one blob each; names without the `.json`.

    `pause` (seconds) is waited between tries to write a blob that others write too.
    """

    def __init__(self, container: BlobContainer, pause: Callable[[float], None] = time.sleep) -> None:
        self._container = container
        self._pause = pause

    def get[T](self, name: str, kind: type[T]) -> T | None:
        """The value, None when there is none. Raises pydantic.ValidationError when the blob is not of that kind."""
        try:
            return adapter(kind).validate_json(self._container.read(f"{name}.json").data)
        except BlobNotFoundError:
            return None

    def update[T](self, name: str, kind: type[T], change: Callable[[T | None], T]) -> T:
        """Replace the value by what `change` makes of it and return that; nothing is written when it is the same.

        `change` may be called several times, each time with what is there then, and may raise to leave it as it is.
        Raises StateContentionError after 40 lost races.
        """
        for tried in range(_TRIES):
            try:
                blob = self._container.read(f"{name}.json")
            except BlobNotFoundError:
                blob = None
            old = None if blob is None else adapter(kind).validate_json(blob.data)
            new = change(old)
            data = adapter(kind).dump_json(new)
            if blob is not None and blob.data == data:
                return new
            try:
                if blob is None:
                    self._container.create(f"{name}.json", data)
                else:
                    self._container.replace(f"{name}.json", data, blob.etag)
            except (BlobAlreadyExistsError, BlobChangedError):
                ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**tried)
                self._pause(random.uniform(0, ceiling))  # noqa: S311 (spreads writers, guards nothing)
                continue
            return new
        raise StateContentionError(f"{name} was changed by others {_TRIES} times in a row: try again later")

    def create[T](self, name: str, kind: type[T], value: T) -> None:
        """Write a value once; one that is there stays."""
        try:
            self._container.create(f"{name}.json", adapter(kind).dump_json(value))
        except BlobAlreadyExistsError:
            return

    def open[T](self, name: str, kind: type[T], value: T) -> T:
        """Write a value once, and return the one that stands: the first."""
        try:
            self._container.create(f"{name}.json", adapter(kind).dump_json(value))
        except BlobAlreadyExistsError:
            return adapter(kind).validate_json(self._container.read(f"{name}.json").data)
        return value

    def change[T](self, name: str, kind: type[T], change: Callable[[T], T]) -> T:
        """`update` of a value that is there. Raises BlobNotFoundError when it is not."""

        def changed(known: T | None) -> T:
            if known is None:
                raise BlobNotFoundError(name)
            return change(known)

        return self.update(name, kind, changed)

    def all[T](self, prefix: str, kind: type[T], *, since: datetime | None = None) -> Iterator[T]:
        """The values whose name begins with `prefix`, by name; one that vanishes meanwhile is left out.

        With `since`, only those that were written at that instant or later, by the container's clock.
        """
        for facts in self._container.list(prefix):
            if since is not None and facts.last_modified < since:
                continue
            value = self.get(facts.name.removesuffix(".json"), kind)
            if value is not None:
                yield value


@cache
def adapter(kind: Any) -> "TypeAdapter[Any]":
    """The validator of a type; building one costs milliseconds."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def to_data(value: object) -> Any:
    """A value as plain JSON data, as orchestrations pass it."""
    return adapter(type(value)).dump_python(value, mode="json")


def from_data[T](kind: type[T], data: object) -> T:
    """The value of plain JSON data; raises pydantic.ValidationError."""
    return adapter(kind).validate_python(data)
