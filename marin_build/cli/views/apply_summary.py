"""The end of a run in words: what became of the targets, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import ApplyFinished, CriticalPath

_WORTH_TELLING = 10.0
"""Seconds; of less nobody asks where they went, or is glad that they were saved."""
_SHOWN = 5
"""How many steps of a critical path are named, the slowest ones."""


def totals_line(totals: ApplyFinished, duration: Callable[[float], str]) -> str:
    """Return the line that ends every run: `3 built, 5 reused in 12 s`."""
    parts = [f"{totals.succeeded} built"]
    for count, word in (
        (totals.reused, "reused"),
        (totals.failed, "failed"),
        (totals.blocked, "blocked"),
        (totals.stopped, "stopped"),
        (totals.interrupted, "cut short"),
        (totals.not_started, "not started"),
    ):
        if count or word == "reused":
            parts.append(f"{count} {word}")
    line = f"{', '.join(parts)} in {duration(totals.seconds)}"
    if (totals.saved_seconds or 0.0) >= _WORTH_TELLING:
        line += f"; reuse saved {duration(totals.saved_seconds or 0.0)}"
    return line


def where_time_went(totals: ApplyFinished, duration: Callable[[float], str]) -> list[str]:
    """Return lines about the slowest steps and the critical path; none for a short run."""
    if totals.seconds < _WORTH_TELLING:
        return []
    lines = []
    if len(totals.slowest) > 1:  # of one step the line above has told all
        slowest = (f"{one.target} {duration(one.seconds)}" for one in totals.slowest)
        lines.append(f"  slowest:       {', '.join(slowest)}")
    if totals.critical_path is not None and totals.critical_path.count > 1:
        lines.append(f"  critical path: {_path(totals.critical_path, duration)}")
    return lines


def _path(path: CriticalPath, duration: Callable[[float], str]) -> str:
    by_time = sorted(path.steps, key=lambda step: step.seconds, reverse=True)
    slowest = set(by_time[:_SHOWN])
    shown = [step for step in path.steps if step in slowest]
    words = " > ".join(f"{step.target} {duration(step.seconds)}" for step in shown)
    left = path.count - len(shown)
    more = f", and {left} quicker ones" if left else ""
    return f"{duration(path.seconds)} in {path.count} steps: {words}{more}"
