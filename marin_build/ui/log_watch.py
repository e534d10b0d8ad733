"""The log of an attempt as it grows, for all the pages that show it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.observe.read_logs import without_escapes
from marin_build.text.readable import printable, shortened, visible
from marin_build.ui.log_source import MOST_OF_A_PART, LogBytes, LogFacts, LogPart, find_log
from marin_build.ui.watch import Watch

if TYPE_CHECKING:
    from marin_build.operations.loading.place import Place
    from marin_build.ui.log_source import LogName


_LOOK_EVERY = 0.3
_LOOK_SELDOM = 5.0
"""Seconds between two looks at a log, while it grows and afterwards."""
_FACTS_EVERY = 1.0
_FACTS_AFAR_EVERY = 10.0
"""Seconds between two looks at whether its attempt has ended, on a disk and in a bucket."""
_LONGEST_LINE = 10_000
_MOST_ENDS = 1000


class LogLook(NamedTuple):
    """What a look showed: facts, and what was added; `is_whole`: it begins anew."""

    facts: LogFacts
    part: LogPart | None
    is_whole: bool


class LogWatch(Watch):
    """Reads a log while it grows.

    Args:
        place: the prefix and its store.
        name: which log.

    """

    def __init__(self, place: Place, name: LogName) -> None:
        super().__init__()
        self._place, self.log = place, name
        self._bytes = LogBytes(place, name)
        self._facts: LogFacts | None = None
        self._facts_at = float("-inf")
        self._position = -1  # that the next look begins at; -1: nothing was read
        self._start, self._text = 0, b""  # what pages begin with, and its position
        self._ends: dict[int, int] = {}  # number of a change -> the position after it
        self._shown: LogFacts | None = None

    def read(self) -> LogLook:
        """Look at the log, and now and then at its attempt."""
        facts, now = self._facts, time.monotonic()
        every = _FACTS_EVERY if self._place.store.is_local else _FACTS_AFAR_EVERY
        if facts is None or (not facts.is_over and now - self._facts_at >= every):
            # Before its bytes: what is over by then grows no more.
            facts, self._facts_at = find_log(self._place, self.log), now
        self._facts = facts
        if facts.problem or facts.number is None:
            return LogLook(facts, None, is_whole=False)
        if self._position < 0:
            part, is_whole = self._bytes.end_of(facts), True
        else:
            part = self._bytes.after(facts, self._position)
            is_whole = part.start != self._position
        lines = part.data if facts.is_over else part.data[: part.data.rfind(b"\n") + 1]
        self._position = part.start + len(lines)
        return LogLook(facts, replace(part, data=lines), is_whole)

    def take(self, found: LogLook) -> bool:
        """Take what a look showed."""
        is_new = found.facts != self._shown
        self._shown = found.facts
        part = found.part
        if part is not None and (part.data or found.is_whole):
            is_new = True
            if found.is_whole:
                self._start, self._text = part.start, part.data
                self._ends.clear()
            else:
                self._text += part.data
                self._forget_beginning()
        if is_new:
            self._ends[self.number + 1] = self._start + len(self._text)
            while len(self._ends) > _MOST_ENDS:
                del self._ends[next(iter(self._ends))]
        return is_new

    def _forget_beginning(self) -> None:
        if len(self._text) <= 2 * MOST_OF_A_PART:
            return
        cut = self._text.find(b"\n", len(self._text) - MOST_OF_A_PART) + 1
        self._start, self._text = self._start + cut, self._text[cut:]

    @property
    def pause(self) -> float | None:
        """Seconds until the next look; None: as for a bucket."""
        facts = self._shown
        if facts is not None and facts.path is None and not self._place.store.is_local:
            return None
        return _LOOK_SELDOM if facts is not None and facts.is_over else _LOOK_EVERY

    def since(self, number: int) -> dict[str, Any]:
        """Return the facts, and the lines that were added after a change."""
        facts = self._shown
        if facts is None:
            return {"trouble": self.trouble}
        begin = self._ends.get(number, -1)
        is_all = begin < self._start
        text = self._text if is_all else self._text[begin - self._start :]
        return {
            "log": log_facts(facts),
            "is_all": is_all,
            "start": self._start,
            "end": self._start + len(self._text),
            "ends": _ends_of_lines(self._start, text) if is_all else [],
            "lines": shown_lines(text),
            "trouble": self.trouble,
        }

    def earlier(self, position: int) -> dict[str, Any]:
        """Return the lines before a position; it may block."""
        facts = self._facts
        if facts is None or facts.problem:
            return {"start": 0, "lines": []}
        part = self._bytes.before(facts, position)
        return {"start": part.start, "lines": shown_lines(part.data)}


def _ends_of_lines(start: int, data: bytes) -> list[int]:
    """Return the position after each line: a page that was away finds what it has by them."""
    ends = [start + newline.end() for newline in re.finditer(b"\n", data)]
    return ends if data.endswith(b"\n") or not data else [*ends, start + len(data)]


def log_facts(facts: LogFacts) -> dict[str, Any]:
    """Return what a page says of a log, as JSON values."""
    one = facts.attempt
    return {
        "number": facts.number,
        "how": one.how if one is not None else "",
        "result": one.ended.result if one is not None and one.ended is not None else "",
        "attempts": [[each.number, shortened(each.how, 200)] for each in facts.attempts],
        "ranks": facts.ranks,
        "path": printable(facts.path or ""),
        "is_over": facts.is_over,
        "problem": printable(facts.problem),
    }


def shown_lines(data: bytes) -> list[str]:
    """Return lines of a log as a page shows them: each with its time, and harmless characters."""
    text = without_escapes(data.decode("utf-8", "replace")).removesuffix("\n")
    return [shortened(visible(line), _LONGEST_LINE) for line in text.split("\n")] if text else []
