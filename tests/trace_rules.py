"""The rules of the "Trace Event Format" (Google, 2016), for what a trace of ours contains."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

PALETTE = {"good", "bad", "terrible", "grey", "yellow", "generic_work", "rail_response"}
"""Names of the viewer's reserved colours that may be used."""
METADATA = {"process_name": "name", "thread_name": "name", "thread_sort_index": "sort_index"}
"""Kinds of metadata, and the argument that each must have."""


def check_trace(trace: Any) -> list[dict[str, Any]]:
    """Fail if a trace breaks a rule; return its complete events."""
    assert isinstance(trace, dict)
    assert trace["displayTimeUnit"] in ("ms", "ns")
    assert isinstance(trace["traceEvents"], list)
    assert isinstance(trace["otherData"], dict)
    for event in trace["traceEvents"]:
        _check_event(event)
    complete = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    _check_nesting(complete)
    named = {e["tid"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
    assert {event["tid"] for event in complete} <= named
    return complete


def _check_event(event: Any) -> None:
    assert isinstance(event, dict)
    for name in ("pid", "tid", "ts"):
        assert type(event[name]) is int, event
    assert event["ts"] >= 0, event
    assert isinstance(event["name"], str), event
    assert isinstance(event.get("args", {}), dict), event
    if "cname" in event:
        assert event["cname"] in PALETTE, event
    match event["ph"]:
        case "X":
            assert type(event["dur"]) is int, event
            assert event["dur"] >= 0, event
            assert isinstance(event["cat"], str), event
        case "i":
            assert event["s"] in ("g", "p", "t"), event
        case "M":
            assert METADATA[event["name"]] in event["args"], event
        case other:
            raise AssertionError(f"another kind of event: {other}")


def _check_nesting(complete: list[dict[str, Any]]) -> None:
    """In one row, an event begins after the one before it, or lies inside; ours never do that."""
    for row in {event["tid"] for event in complete}:
        inside = sorted((e["ts"], e["ts"] + e["dur"]) for e in complete if e["tid"] == row)
        for (_, end), (start, _) in pairwise(inside):
            assert start >= end, f"two at once in the row {row}"
