"""The attempt that a user most likely means if he names none: the newest failure, or the newest.

The journals of the runs say which attempts there were; no pipeline is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.apply.journal import FILE, UnreadableJournalError, parse_journal
from marin_build.apply.journal_writer import journal_left_here
from marin_build.apply.run_folder import folder_of, newest_runs
from marin_build.errors import NotFoundError
from marin_build.observe.read_builds import read_outputs
from marin_build.pipeline.names import name_problem
from marin_build.plan.payload_diff import dependency_name
from marin_build.protocol.layout import output_under
from marin_build.untrusted_json import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.apply.journal import Entry
    from marin_build.operations.loading.place import Place


_MOST_RUNS = 20
"""Runs whose journals are read, the newest first."""
_BEGUN = ("step_started", "step_succeeded", "step_failed")


@dataclass(frozen=True, slots=True)
class NewestAttempt:
    """A target, and why it is meant.

    Args:
        target: its id.
        run: the run that made the attempt.
        is_failure: whether it failed and is not built since; else it is the newest of all.

    """

    target: str
    run: str
    is_failure: bool


def newest_attempt(place: Place) -> NewestAttempt:
    """Return the target of the newest failure that no run has mended, else of the newest attempt.

    Args:
        place: where the runs are kept.

    Raises:
        NotFoundError: no run that was kept has begun a step.
        StoreError: the store cannot be read.

    """
    newest: NewestAttempt | None = None
    mended: set[str] = set()
    for run in newest_runs(place.store, place.prefix)[:_MOST_RUNS]:
        entries = _entries(place, run)
        begun = [entry for entry in entries if entry.event in _BEGUN]
        if newest is None and begun and (target := _target(begun[-1])) is not None:
            newest = NewestAttempt(target, run, is_failure=False)
        for target, has_failed in _newest_ends(entries):
            if has_failed and target not in mended and not _is_built(place, target):
                return NewestAttempt(target, run, is_failure=True)
            mended.add(target)
    if newest is None:
        raise NotFoundError(
            "no run that was kept here has begun a step",
            facts=[("looked in", place.prefix)],
            hint="name a target: marin-build logs TARGET",
        )
    return newest


def _entries(place: Place, run: str) -> tuple[Entry, ...]:
    """Return the journal of a run; empty if there is none that can be read."""
    data = journal_left_here(run)
    if data is None:
        blob = place.store.get(f"{folder_of(place.prefix, run)}/{FILE}")
        data = blob.data if blob is not None else b""
    try:
        return parse_journal(data).entries
    except UnreadableJournalError:
        return ()


def _newest_ends(entries: tuple[Entry, ...]) -> Iterator[tuple[str, bool]]:
    """Yield the targets whose attempts ended in a run, the newest first: each, and if it failed."""
    seen: set[str] = set()
    for entry in reversed(entries):
        target = _target(entry) if entry.event in ("step_failed", "step_succeeded") else None
        if target is not None and target not in seen:
            seen.add(target)
            yield target, entry.event == "step_failed"


def _target(entry: Entry) -> str | None:
    """Return the target of an event; None if it names no legal one."""
    try:
        target = text(entry.fields.get("target"))
    except ValueError:
        return None
    return target if name_problem(target.replace("@", "/")) is None else None


def _is_built(place: Place, target: str) -> bool:
    name = dependency_name(target)
    path = output_under(place.prefix, name, target)
    (output,) = read_outputs(place.store, [(name, target, path)])
    return output.is_built
