"""Watches: what happened since a version, one JSON line each, until the time is over."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from local.kubernetes.errors import expired
from local.kubernetes.resources import Resource
from local.kubernetes.store import Change, Object, Store


async def watch(
    store: Store,
    resource: Resource,
    *,
    since: str,
    seconds: float,
    keep: Callable[[Object], bool],
    shown: Callable[[Object], Object],
    bookmarks: bool,
) -> AsyncGenerator[bytes]:
    """`since` empty or 0 begins with the objects that are there. An object that a selector loses is DELETED."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    ends = loop.time() + seconds

    def notice(change: Change) -> None:
        if change.resource is resource:
            loop.call_soon_threadsafe(changed.set)

    store.listen(notice)
    try:
        with store.lock:
            start = [obj for obj in store.all(resource) if keep(obj)] if since in ("", "0") else []
            seen = store.version if since in ("", "0") else int(since)
        for obj in start:
            yield _line("ADDED", shown(obj))
        while True:
            with store.lock:
                too_old = seen < store.oldest
                changes = store.changes_since(seen)
            if too_old:
                # the answer has begun, so that the error is an event and not a status code
                yield _line("ERROR", expired(f"too old resource version: {seen} ({store.oldest})").status)
                return
            for change in changes:
                seen = change.version
                if change.resource is resource and (kind := _kind(change, keep)):
                    yield _line(kind, shown(change.object))
            changed.clear()
            if store.version > seen and store.changes_since(seen):
                continue
            left = ends - loop.time()
            try:
                async with asyncio.timeout(max(left, 0)):
                    await changed.wait()
            except TimeoutError:
                break
        if bookmarks:
            metadata = {"resourceVersion": str(seen), "creationTimestamp": None}
            yield _line("BOOKMARK", {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata})
    finally:
        store.ignore(notice)


def _kind(change: Change, keep: Callable[[Object], bool]) -> str:
    now = keep(change.object)
    before = change.previous is not None and keep(change.previous)
    if change.kind == "DELETED":
        return "DELETED" if before or now else ""
    if now:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else ""


def _line(kind: str, obj: Any) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"
