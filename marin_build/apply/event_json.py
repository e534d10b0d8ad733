"""Events in JSON: their names and fields, as `--json` prints them and the journal keeps them."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, get_args

from marin_build.apply.events import ApplyFinished, Event, StepEnded
from marin_build.plan.outcomes import Blocked, Failed, Interrupted, Reused, Stopped, Succeeded

_NESTED = frozenset({ApplyFinished})


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


_KINDS: dict[type, tuple[str, tuple[str, ...]]] = {
    kind: (_snake(kind.__name__), tuple(field.name for field in fields(kind)))
    for kind in get_args(Event)
    if kind is not StepEnded
}
_ENDS: dict[type, tuple[str, tuple[str, ...]]] = {
    Succeeded: ("step_succeeded", ("attempt", "seconds")),
    Reused: ("step_reused", ()),
    Failed: (
        "step_failed",
        ("attempt", "exit_code", "message", "log", "seconds", "retries_left", "hint", "cause",
         "retry_in", "peak_memory_bytes", "is_finished"),
    ),
    Stopped: ("step_stopped", ("message", "hint")),
    Interrupted: ("step_interrupted", ()),
    Blocked: ("step_blocked", ("upstream", "reason")),
}  # fmt: skip
"""What `step_...` events say of an outcome."""

DOCUMENTED: dict[str, tuple[str, ...]] = {
    **dict(_KINDS.values()),
    **{name: ("name", "target", *said) for name, said in _ENDS.values()},
}
"""Name of an event in JSON -> its fields: docs/reference/events.md."""


def event_name(event: Event) -> str:
    """Return the name of an event in JSON: `step_succeeded`."""
    return (_ENDS[type(event.outcome)] if isinstance(event, StepEnded) else _KINDS[type(event)])[0]


def event_fields(event: Event) -> dict[str, Any]:
    """Return the fields of an event as JSON values."""
    if isinstance(event, StepEnded):
        outcome = event.outcome
        said = {name: getattr(outcome, name) for name in _ENDS[type(outcome)][1]}
        return {"name": event.name, "target": event.target, **said}
    kind = type(event)
    if kind in _NESTED:
        return asdict(event)
    return {name: getattr(event, name) for name in _KINDS[kind][1]}
