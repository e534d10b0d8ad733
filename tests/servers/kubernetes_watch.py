"""Watches of the tests' Kubernetes: every change since a version, bookmarks, and 410.

Source: the API concepts of Kubernetes, "Efficient detection of changes". A version that is too old
comes as an event ERROR, as servers send it once a watch is accepted. A streaming list (kubectl asks
for them) is a watch that begins with all there is, and marks its end.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from .kubernetes_resources import ApiError, Object, Resource, bad_request, expired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .kubernetes_store import Change, Store

_LONGEST = 1800.0
_LISTED = "k8s.io/initial-events-end"


class Watch:
    """What one watch sends. `bookmarks` are seconds between bookmarks, where they are allowed."""

    bookmarks = 1.0

    def __init__(
        self,
        store: Store,
        resource: Resource,
        namespace: str,
        chosen: Callable[[Object], bool],
        query: Mapping[str, str],
    ) -> None:
        self._store, self._resource, self._namespace = store, resource, namespace
        self._chosen = chosen
        self._seconds = float(query.get("timeoutSeconds") or _LONGEST)
        self._has_bookmarks = query.get("allowWatchBookmarks") in ("true", "True", "1")
        self._is_list = query.get("sendInitialEvents") in ("true", "True", "1")
        asked = "0" if self._is_list else query.get("resourceVersion") or "0"
        if not asked.isdigit():
            raise bad_request(f"strconv.ParseUint: parsing {asked!r}: invalid syntax")
        self._from = int(asked)

    def lines(self, is_over: Callable[[], bool]) -> Iterator[bytes]:
        """Yield events until the time is up, or it is over; waits between them."""
        try:
            yield from self._events(is_over)
        except ApiError as error:
            yield _line("ERROR", error.status)

    def _events(self, is_over: Callable[[], bool]) -> Iterator[bytes]:
        store, end = self._store, time.monotonic() + self._seconds
        with store.changed:
            version = self._from or store.version
            first = store.list(self._resource.name, self._namespace) if not self._from else []
        for thing in filter(self._chosen, first):
            yield _line("ADDED", thing)
        if self._is_list and self._has_bookmarks:
            yield _line("BOOKMARK", self._bookmark(version, {_LISTED: "true"}))
        marked = time.monotonic()
        while not is_over():
            with store.changed:
                if version < store.oldest:
                    raise expired(version, store.oldest)
                news = store.since(version)
                now = time.monotonic()
                if not news and now < end:
                    next_mark = marked + self.bookmarks if self._has_bookmarks else end
                    store.changed.wait(max(0.0, min(end, next_mark) - now))
            for change in news:
                version = change.version
                if (line := self._event(change)) is not None:
                    yield line
            now = time.monotonic()
            if self._has_bookmarks and (now - marked >= self.bookmarks or now >= end):
                marked = now
                yield _line("BOOKMARK", self._bookmark(version))
            if now >= end and not news:
                return

    def _event(self, change: Change) -> bytes | None:
        if change.resource != self._resource.name:
            return None
        if self._namespace not in ("", change.after["metadata"].get("namespace", "")):
            return None
        was = change.before is not None and self._chosen(change.before)
        is_now = not change.is_gone and self._chosen(change.after)
        if is_now:
            return _line("MODIFIED" if was else "ADDED", change.after)
        return _line("DELETED", change.after) if was else None

    def _bookmark(self, version: int, annotations: Mapping[str, str] | None = None) -> Object:
        meta: Object = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations is not None:
            meta["annotations"] = annotations
        head = {"kind": self._resource.kind, "apiVersion": self._resource.api_version}
        return {**head, "metadata": meta}


def _line(kind: str, thing: Object) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"
