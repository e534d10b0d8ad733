"""A failure with all its facts, so that people need not open a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.observe.read_logs import log_tail
from marin_build.pipeline.retries import KILLED, exited_with, unsaid_meaning
from marin_build.text.readable import bytes_text, first_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.plan.outcomes import Failed

_CAUSES = {"oom": "out of memory", "infra": "infrastructure, not the step itself"}
"""Causes that get a line; the exit code and the message explain the others."""
_SHOWN_NAMES = 5


def failure_block(
    name: str,
    failure: Failed,
    *,
    blocked: Sequence[str],
    went_on: int,
    not_started: int,
    hint: str,
    tries: int = 1,
) -> str:
    """Return all facts about a failed attempt as lines, without a trailing newline.

    Args:
        name: the name of the step.
        failure: how it failed.
        blocked: ids of the targets that need it.
        went_on: how many targets were built after it failed.
        not_started: how many targets the run did not start because of it.
        hint: what to do next.
        tries: how often this run tried it.

    """
    attempt = f" (attempt {failure.attempt})" if failure.attempt else ""
    message, tail = first_line(failure.message), log_tail(failure.log)
    head = f"\nerror: `{name}` failed with exit code {failure.exit_code}{attempt}"
    is_said = any(line.endswith(message) for line in tail)  # a traceback ends with it
    if message and not is_said and message != exited_with(failure.exit_code):
        head += f": {message}"
    lines = [head, *(f"  | {line}" for line in tail)]
    if meaning := unsaid_meaning(failure.exit_code, failure.message):
        lines.append(f"  means:   {meaning}")
    if (words := _CAUSES.get(failure.cause, "")) and words not in failure.message:
        lines.append(f"  cause:   {words}")
    if failure.peak_memory_bytes and (failure.cause == "oom" or failure.exit_code == KILLED):
        lines.append(f"  memory:  {bytes_text(failure.peak_memory_bytes)} at its peak")
    if tries > 1:
        lines.append(f"  tried:   {tries} times")
    if failure.log:
        lines.append(f"  log:     {failure.log}")
    if blocked:
        lines.append(f"  blocked: {some_of(blocked)}")
    if went_on:
        lines.append(f"  went on: {went_on} target{'s' if went_on != 1 else ''} built since")
    if not_started:
        lines.append(f"  not started: {not_started} (-k goes on with what can be built)")
    return "\n".join([*lines, f"hint: {hint}"])


def some_of(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are: `a, b, c, d, e and 12 more`."""
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
