"""The journal of a run: what apply reports, one JSON document a line, with the time. Pure.

The first line names the schema. The writer appends whole lines. A reader copes with a last
line that was cut, because the writer may have been killed.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from marin_build.apply.event_json import event_fields, event_name
from marin_build.text.moments import stamp
from marin_build.untrusted_json import number, parse_json, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from marin_build.apply.events import Event


SCHEMA = "marin_build/events"
SCHEMA_VERSION = 1
FILE = "events.jsonl"
FINISHED = "apply_finished"
"""The last event of a run that has ended, in good order or after Ctrl-C."""

_encode = json.JSONEncoder().encode
_PLAIN: dict[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    int: int.__repr__,
    float: lambda number: repr(number) if math.isfinite(number) else _encode(number),
    bool: {False: "false", True: "true"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}

_LONGEST_RUN = 1e10
"""Seconds, 300 years: a line of a later time is damaged, and its time is no date."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a journal.

    Args:
        run: the run's id.
        worker: who runs it where: `user@host`.
        pid: the id of the process that runs it.
        marin_build: its version.
        boot, start: when that process began, as leases have it: the boot of its machine, and clock
            ticks since; empty and 0 in journals of older versions, and where it is not known.

    """

    run: str
    worker: str
    pid: int
    marin_build: str
    boot: str = ""
    start: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Args:
        event: which event, `step_started`.
        at: seconds since the run began, by a clock that is never set.
        fields: those of the event, and `time`.

    """

    event: str
    at: float
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Journal:
    """What was read. `time`: when the run began, as ISO 8601 in UTC."""

    header: Header
    time: str
    entries: tuple[Entry, ...]


class UnreadableJournalError(ValueError):
    """The data is no journal, or one of another schema; the error's text says which."""


def header_line(header: Header, now: datetime) -> bytes:
    """Return the first line."""
    document = {
        "event": "journal",
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "time": stamp(now),
        "at": 0.0,
        "run": header.run,
        "worker": header.worker,
        "pid": header.pid,
        "boot": header.boot,
        "start": header.start,
        "marin_build": header.marin_build,
    }
    return f"{_encode(document)}\n".encode()


def event_line(event: Event, now: datetime, at: float) -> bytes:
    """Return the line of an event that happened `at` seconds after the beginning."""
    head = f'{{"event": "{event_name(event)}", "time": "{stamp(now)}", "at": {at:.6f}'
    members = [f', "{key}": {_text_of(value)}' for key, value in event_fields(event).items()]
    return f"{head}{''.join(members)}}}\n".encode()


def _text_of(value: object) -> str:
    """Return a value as JSON: the encoder takes longer to begin than a plain value takes here."""
    plain = _PLAIN.get(type(value))
    return plain(value) if plain is not None else _encode(value)


def parse_journal(data: bytes, *, only_totals: bool = False) -> Journal:
    """Read a journal, as far as it was written.

    Args:
        data: its bytes.
        only_totals: of a run that has ended, read only its first event, which says how much was to
            be done, and its last one, which has the totals.

    Raises:
        UnreadableJournalError: the first line does not say that it is one that can be read here.

    """
    first, _, rest = data.partition(b"\n")
    header, time = parse_header(first)
    if only_totals:
        rest = _first_and_last(rest)
    return Journal(header, time, tuple(parse_entries(rest)))


def parse_header(line: bytes) -> tuple[Header, str]:
    """Read the first line; return also when the run began, as ISO 8601 in UTC.

    Raises:
        UnreadableJournalError: it does not say that it is of a journal that can be read here.

    """
    head = _parse_line(line)
    if head is None or head.get("schema") != SCHEMA:
        raise UnreadableJournalError("its first line does not name the schema of a journal")
    if head.get("schema_version") != SCHEMA_VERSION:
        raise UnreadableJournalError(f"its schema_version is {head.get('schema_version')}")
    try:
        run, worker, version = (text(head[key]) for key in ("run", "worker", "marin_build"))
        boot, start = text(head.get("boot", "")), whole(head.get("start"))
        header = Header(run, worker, whole(head["pid"]), version, boot, start)
        return header, text(head["time"])
    except KeyError as missing:
        raise UnreadableJournalError(f"its first line lacks {missing}") from None
    except ValueError as error:
        raise UnreadableJournalError(f"its first line has {error}") from None


def parse_entries(lines: bytes) -> Iterator[Entry]:
    """Yield the entries among some lines after the first one; what is damaged is left out."""
    for line in lines.splitlines():
        document = _parse_line(line)
        with suppress(ValueError):
            if document is not None and "at" in document:
                at = number(document.pop("at"))
                if at <= _LONGEST_RUN:
                    yield Entry(text(document.pop("event", "")), at, document)


def _first_and_last(lines: bytes) -> bytes:
    """Return the first and the last line, if the last one has the totals of a run; else all."""
    first, last = lines.partition(b"\n")[0], lines.rstrip(b"\n").rpartition(b"\n")[2]
    document = _parse_line(last)
    is_over = document is not None and document.get("event") == FINISHED
    return b"\n".join([first, last]) if is_over else lines


def _parse_line(line: bytes) -> dict[str, Any] | None:
    """Return the document of a line; None if it was cut, or is none."""
    try:
        document = parse_json(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
