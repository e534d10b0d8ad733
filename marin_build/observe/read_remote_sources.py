"""The digests of sources in stores; objects whose digest is unknown are read, several at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from marin_build.errors import MarinBuildError, StoreAwayError, StoreError
from marin_build.observe.remote_objects import (
    Found,
    cache_of,
    content_found,
    keep,
    look,
    read_object,
)
from marin_build.pipeline.source_digests import Content, is_known, remember_content
from marin_build.store.open_reader import open_reader
from marin_build.store.slow_requests import keep_silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from marin_build.pipeline.digest_cache import DigestCache
    from marin_build.pipeline.source import Source
    from marin_build.store.objects import ObjectReader, StoredObject

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 16
"""Sources that are asked for, or objects that are read, at once."""
_PATIENCE, _EVERY = 2.0, 10.0
"""Seconds until the first report of progress, and between two reports."""


@dataclass(frozen=True, slots=True)
class ReadingInputs:
    """How far the reading of inputs is.

    Args:
        done: bytes read.
        size: bytes to be read; None if that is not known of all, or not yet.
        sources: how many sources are read.

    """

    done: int
    size: int | None
    sources: int


def read_remote_digests(
    sources: Iterable[Source], on_progress: Callable[[ReadingInputs], None] | None = None
) -> list[MarinBuildError]:
    """Read and remember the digests of sources behind URLs that this process does not know yet.

    Nothing is read whole before everything was found.

    Args:
        sources: the sources to read, several at once.
        on_progress: called in this thread after two seconds, and every ten seconds from then on.

    Returns:
        An error for each source that cannot be read.

    """
    wanted = {(s.location, s.include, s.exclude): s for s in sources if not is_known(s)}
    if not wanted:
        return []
    progress = _Progress(on_progress, len(wanted))
    pool = ThreadPoolExecutor(_AT_ONCE, "inputs", initializer=keep_silent)
    is_done = False
    try:
        found, errors = _look_at_all(pool, list(wanted.values()), progress)
        errors = errors or _read_all(pool, found, progress)
        is_done = True
        return errors
    finally:
        progress.stop.set()
        # An interrupt does not wait: threads end after the piece they read. Else none is left, for
        # this process may fork.
        pool.shutdown(wait=is_done, cancel_futures=True)


def _look_at_all(
    pool: ThreadPoolExecutor, sources: Sequence[Source], progress: _Progress
) -> tuple[list[Found], list[MarinBuildError]]:
    """Return what lies behind the URLs, and what cannot be found."""
    readers: dict[str, ObjectReader] = {}
    caches: dict[str, DigestCache] = {}
    looking: list[tuple[Source, Future[Found | Content]]] = []
    found, errors = list[Found](), list[MarinBuildError]()
    for source in sources:
        try:
            reader = _reader_of(source, readers)
            if source.location not in caches:
                caches[source.location] = cache_of(source)
            cache = caches[source.location]
            looking.append((source, pool.submit(look, source, reader, cache)))
        except StoreError as error:
            errors.append(_reading_error(source, error))
    for source, future in progress.ended(looking):
        try:
            result = future.result()
        except StoreError as error:
            errors.append(_reading_error(source, error))
        except MarinBuildError as error:
            errors.append(error)
        else:
            if isinstance(result, Content):
                remember_content(source, result)
            else:
                found.append(result)
    return found, errors


def _read_all(
    pool: ThreadPoolExecutor, found: Sequence[Found], progress: _Progress
) -> list[MarinBuildError]:
    """Read the objects that no cache and no store knows, and remember all contents.

    Sources of one place differ in their patterns; an object of several of them is read once.
    """
    unread: dict[tuple[str, str, StoredObject], list[Found]] = {}
    for it in found:
        for path, one in it.objects.items():
            if path not in it.digests:
                unread.setdefault((it.source.location, path, one), []).append(it)
    objects = sorted(unread, key=lambda key: key[2].size or 0, reverse=True)  # the longest first
    progress.expect([it.size for *_, it in objects])
    reading = [
        (key, pool.submit(read_object, unread[key][0], key[1], progress.add)) for key in objects
    ]
    errors: dict[str, MarinBuildError] = {}
    try:
        for key, future in progress.ended(reading):
            readers = unread[key]
            try:
                digest = future.result()
            except StoreError as error:
                source = readers[0].source
                errors.setdefault(source.location, _reading_error(source, error))
                continue
            for it in readers:
                keep(it, key[1], digest)
    finally:
        for cache in {it.source.location: it.cache for it in found}.values():
            cache.save()
    if not errors:
        for it in found:
            remember_content(it.source, content_found(it))
    return list(errors.values())


class _StoppedReading(Exception):  # noqa: N818 - not an error
    """The reading was interrupted."""


class _Progress:
    """Counts bytes as threads read them, and reports them from the thread that waits."""

    def __init__(self, tell: Callable[[ReadingInputs], None] | None, sources: int) -> None:
        self.stop = threading.Event()
        self._tell = tell
        self._next = time.monotonic() + _PATIENCE
        self._lock = threading.Lock()
        self._done, self._sources = 0, sources
        self._size: int | None = None

    def expect(self, sizes: Sequence[int | None]) -> None:
        """Note the sizes of the objects that will be read."""
        known = [size for size in sizes if size is not None]
        self._size = sum(known) if len(known) == len(sizes) else None

    def add(self, count: int) -> None:
        """Count bytes that were read; raises in the reading thread when that shall end."""
        if self.stop.is_set():
            raise _StoppedReading
        with self._lock:
            self._done += count

    def ended(self, work: Sequence[tuple[R, Future[T]]]) -> Iterator[tuple[R, Future[T]]]:
        """Yield work in the order given, each when it has ended; report progress meanwhile."""
        for item, future in work:
            while not future.done():
                wait([future], max(0.0, self._next - time.monotonic()))
                if not future.done() and time.monotonic() >= self._next:
                    self._next = time.monotonic() + _EVERY
                    if self._tell is not None:
                        self._tell(ReadingInputs(self._done, self._size, self._sources))
            yield item, future


def _reader_of(source: Source, readers: dict[str, ObjectReader]) -> ObjectReader:
    """Return the reader of a source; those of one bucket or server share one."""
    place = "/".join(source.location.split("/")[:3])
    if place not in readers:
        readers[place] = open_reader(source.location)
    return readers[place]


def _reading_error(source: Source, error: StoreError) -> MarinBuildError:
    """Return the error for a source that its store does not give."""
    facts = dict(error.facts)
    reason = error.what + (f": {facts['reason']}" if "reason" in facts else "")
    kind = StoreAwayError if isinstance(error, StoreAwayError) else StoreError
    return kind(
        f"cannot read the source `{source.name}`",
        facts=[
            ("location", source.location),
            ("reason", reason),
            ("declared", source.declared),
        ],
        consequence="nothing was run",
        hint=error.hint,
    )
