"""A trace of a run, made of its journal: what ran where and when, for Perfetto or Chrome. Pure.

The format is the "Trace Event Format" (Google, 2016), its JSON object form: complete events (`X`)
with `ts` and `dur` in microseconds, instants (`i`) and metadata (`M`). The process is the machine,
a thread is a slot; targets that wait for another run's lease have rows below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.apply.journal import Entry, Journal


_PID = 1
_RUN_ROW = 0
_WAITING_ROWS = 1_000_000
"""Rows from here on are of targets that wait; a machine has fewer slots."""
_CRITICAL_COLOUR = "rail_response"
_COLOURS = {
    "step_succeeded": "good",
    "step_failed": "terrible",
    "step_stopped": "terrible",
    "step_reused": "grey",
    "step_waiting": "yellow",
}
"""Names of Chrome's palette: blue for the critical path, green, red, grey and yellow."""
_OTHER_COLOUR = "generic_work"
UNFINISHED = "unfinished"
_ENDS = frozenset({
    "step_succeeded", "step_reused", "step_failed", "step_stopped", "step_interrupted",
    "step_waiting",
})  # fmt: skip
_INSTANTS = {"interrupting": "interrupted", "failing_fast": "failing fast"}
_SAID = (
    "attempt", "exit_code", "message", "log", "seconds", "retries_left", "cause", "retry_in",
    "held_by",
)  # fmt: skip


@dataclass(slots=True)
class _Span:
    """A target in a slot, or waiting; times in seconds."""

    target: str
    row: int
    start: float
    said: dict[str, Any]
    end: float | None = None
    how: str = UNFINISHED


@dataclass(slots=True)
class _Reading:
    """What the journal says of each target, gathered line by line."""

    running: dict[str, _Span] = field(default_factory=dict)
    waiting: dict[str, _Span] = field(default_factory=dict)
    tries: list[_Span] = field(default_factory=list)
    waits: list[_Span] = field(default_factory=list)
    instants: list[tuple[str, float]] = field(default_factory=list)
    after: dict[str, str] = field(default_factory=dict)
    totals: Mapping[str, Any] | None = None
    end: float = 0.0

    def take(self, entry: Entry) -> None:
        """Take in the next line."""
        fields, self.end = entry.fields, max(self.end, entry.at)
        target = str(fields.get("target", ""))
        if entry.event in _INSTANTS:
            self.instants.append((_INSTANTS[entry.event], entry.at))
        elif entry.event == "apply_finished":
            self.totals = fields
        elif entry.event == "step_started":
            self._end_waiting(target, entry.at)
            after = str(fields.get("after", ""))
            self.after.setdefault(target, after)
            said = {"after": after, "queued": fields.get("queued", 0.0)}
            self._start(_Span(target, _slot(fields), entry.at, said))
        elif entry.event in _ENDS:
            if (span := self.running.pop(target, None)) is not None:
                span.end, span.how = entry.at, entry.event
                span.said |= {key: fields[key] for key in _SAID if key in fields}
            if entry.event == "step_waiting" and target not in self.waiting:
                self._begin_waiting(target, entry.at, fields)

    def close(self) -> None:
        """End what the journal does not end: at the time of its last line."""
        for target in list(self.waiting):
            self._end_waiting(target, self.end)
        for span in self.running.values():
            span.end = self.end

    def _start(self, span: _Span) -> None:
        for other in [one for one in self.running.values() if one.row == span.row]:
            other.end = span.start  # its end was not written: the disk was full for a while
            del self.running[other.target]
        self.running[span.target] = span
        self.tries.append(span)

    def critical(self) -> set[str]:
        """Return the targets of the chain that decided when the last one ended."""
        if not self.tries:
            return set()
        last = max(self.tries, key=lambda span: (span.end or 0.0, -span.start)).target
        found: dict[str, None] = {}
        while last and last not in found:
            found[last] = None
            last = self.after.get(last, "")
        return set(found)

    def _begin_waiting(self, target: str, at: float, fields: Mapping[str, Any]) -> None:
        taken = {span.row for span in self.waiting.values()}
        row = next(row for row in range(_WAITING_ROWS, _WAITING_ROWS * 2) if row not in taken)
        said = {"held_by": fields.get("held_by", "")}
        self.waiting[target] = _Span(target, row, at, said, how="step_waiting")
        self.waits.append(self.waiting[target])

    def _end_waiting(self, target: str, at: float) -> None:
        if (span := self.waiting.pop(target, None)) is not None:
            span.end = at


def trace_of(journal: Journal) -> dict[str, Any]:
    """Return the trace of a run as a JSON value; of a run that died, until its last line."""
    reading = _Reading()
    for entry in journal.entries:
        reading.take(entry)
    reading.close()
    head, critical = journal.header, reading.critical()
    slots = {span.row for span in reading.tries}
    rows = {
        _RUN_ROW: f"run {head.run}",
        **{slot: f"slot {slot}" for slot in sorted(slots)},
        **{span.row: "waiting for another run" for span in reading.waits},
    }
    events = [_about("process_name", 0, {"name": head.worker})]
    for order, (row, name) in enumerate(rows.items()):
        events.append(_about("thread_name", row, {"name": name}))
        events.append(_about("thread_sort_index", row, {"sort_index": order}))
    events.append(_whole_run(reading, head.run))
    for name, at in reading.instants:
        instant = {"name": name, "cat": "run", "ph": "i", "s": "p", "ts": _micros(at)}
        events.append({**instant, "pid": _PID, "tid": _RUN_ROW})
    events += [
        _complete(span, "step", is_critical=span.target in critical) for span in reading.tries
    ]
    events += [_complete(span, "waiting") for span in reading.waits]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"run": head.run, "start": journal.time, "marin_build": head.marin_build},
    }


def empty_trace() -> dict[str, Any]:
    """Return the trace of a run that found nothing to do."""
    return {"traceEvents": [], "displayTimeUnit": "ms", "otherData": {}}


def _about(what: str, row: int, args: dict[str, Any]) -> dict[str, Any]:
    return {"name": what, "ph": "M", "ts": 0, "pid": _PID, "tid": row, "args": args}


def _whole_run(reading: _Reading, run: str) -> dict[str, Any]:
    totals = reading.totals
    numbers = {key: value for key, value in (totals or {}).items() if type(value) is int}
    return {
        "name": run if totals is not None else f"{run} ({UNFINISHED})",
        "cat": "run",
        "ph": "X",
        "ts": 0,
        "dur": _micros(reading.end),
        "pid": _PID,
        "tid": _RUN_ROW,
        "args": {**numbers, UNFINISHED: totals is None},
    }


def _complete(span: _Span, category: str, *, is_critical: bool = False) -> dict[str, Any]:
    ts, is_failure = _micros(span.start), span.how in {"step_failed", "step_stopped"}
    colour = _COLOURS.get(span.how, _OTHER_COLOUR)
    return {
        "name": f"{span.target} ({span.how[5:]})" if is_failure else span.target,
        "cat": f"{category},critical" if is_critical else category,
        "ph": "X",
        "ts": ts,
        "dur": max(0, _micros(span.end or 0.0) - ts),
        "pid": _PID,
        "tid": span.row,
        "cname": _CRITICAL_COLOUR if is_critical and not is_failure else colour,
        "args": {"ended": span.how, "critical": is_critical, **span.said},
    }


def _slot(fields: Mapping[str, Any]) -> int:
    slot = fields.get("slot")
    return slot if type(slot) is int else 1


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
