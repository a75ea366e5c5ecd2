"""Objects, their versions, and the history that watches read. Objects are never changed in place."""

import bisect
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from local.kubernetes.resources import RESOURCES, Resource

type Object = dict[str, Any]
type Key = tuple[str, str]
"""Namespace (empty for cluster-wide objects) and name."""

FIRST_VERSION = 1000
"""A server that has run before: resource versions start above those that it has already forgotten."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to an object: ADDED, MODIFIED or DELETED, with what was there before."""

    version: int
    kind: str
    resource: Resource
    object: Object
    previous: Object | None = None


def key_of(obj: Object) -> Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


class Store:
    """Hold `lock` around anything that reads and then writes. `history` is the number of changes kept for watches."""

    def __init__(self, history: int = 5000) -> None:
        self.lock = threading.RLock()
        self.version = FIRST_VERSION
        self.oldest = FIRST_VERSION
        """Watches may start at this version and later ones."""
        self._objects: dict[Resource, dict[Key, Object]] = {resource: {} for resource in RESOURCES}
        self._owned: dict[str, set[tuple[Resource, Key]]] = {}
        self._changes: list[Change] = []
        self._history = history
        self._listeners: list[Callable[[Change], None]] = []

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Tell of each change, with the lock held."""
        self._listeners.append(listener)

    def ignore(self, listener: Callable[[Change], None]) -> None:
        with self.lock:
            self._listeners.remove(listener)

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self._objects[resource].get((namespace, name))

    def all(self, resource: Resource, namespace: str = "") -> list[Object]:
        """In the order of their keys, as etcd has them."""
        with self.lock:
            objects = self._objects[resource]
            keys = sorted(key for key in objects if not namespace or key[0] == namespace)
            return [objects[key] for key in keys]

    def owned_by(self, owner: Object, resource: Resource | None = None) -> list[Object]:
        found = self._owned.get(owner["metadata"]["uid"], ())
        return [
            self._objects[kind][key] for kind, key in sorted(found, key=_order) if resource is None or kind is resource
        ]

    def owned_keys(self, uid: str) -> list[tuple[Resource, Key]]:
        return sorted(self._owned.get(uid, ()), key=_order)

    def put(self, resource: Resource, obj: Object) -> Object:
        """Write an object under the next version."""
        key = key_of(obj)
        previous = self._objects[resource].get(key)
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self._objects[resource][key] = obj
        self._index(resource, key, previous, obj)
        self._tell(Change(self.version, "MODIFIED" if previous else "ADDED", resource, obj, previous))
        return obj

    def remove(self, resource: Resource, obj: Object) -> Object:
        key = key_of(obj)
        previous = self._objects[resource].pop(key)
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self._index(resource, key, previous, None)
        self._tell(Change(self.version, "DELETED", resource, obj, previous))
        return obj

    def changes_since(self, version: int) -> list[Change]:
        with self.lock:
            return self._changes[bisect.bisect_right(self._changes, version, key=lambda change: change.version) :]

    def compact(self) -> None:
        """Forget the history, as etcd does every few minutes."""
        with self.lock:
            self._changes.clear()
            self.oldest = self.version

    def _index(self, resource: Resource, key: Key, before: Object | None, after: Object | None) -> None:
        old, new = _owners(before), _owners(after)
        for uid in old - new:
            self._owned[uid].discard((resource, key))
            if not self._owned[uid]:
                del self._owned[uid]
        for uid in new - old:
            self._owned.setdefault(uid, set()).add((resource, key))

    def _tell(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) > 2 * self._history:
            self.oldest = self._changes[self._history - 1].version
            del self._changes[: self._history]
        for listener in list(self._listeners):
            listener(change)


def _owners(obj: Object | None) -> set[str]:
    references: Iterable[Object] = (obj or {}).get("metadata", {}).get("ownerReferences") or ()
    return {reference["uid"] for reference in references}


def _order(item: tuple[Resource, Key]) -> tuple[str, Key]:
    return item[0].plural, item[1]
