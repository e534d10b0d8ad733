"""Traces: the one that `apply --trace` writes, and those made later of the journals of runs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Literal

from marin_build.apply.events import Warned
from marin_build.apply.journal import FILE, UnreadableJournalError, parse_journal
from marin_build.apply.journal_writer import journal_left_here, read_private
from marin_build.apply.trace import empty_trace, trace_of
from marin_build.errors import UsageError
from marin_build.workspace.places import refuse_url
from marin_build.workspace.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from marin_build.apply.events import Event
    from marin_build.apply.journal import Journal
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.loading.place import Place


TraceFormat = Literal["chrome", "openlineage"]
_NOTHING_WRITTEN = "no trace was written"


def begin_trace(file: str) -> None:
    """Write the trace of a run in which nothing has happened yet.

    Raises:
        UsageError: the file cannot be written; better now than when days of work are over.

    """
    refuse_url(file, "a trace", "--trace trace.json")
    try:
        _write(empty_trace(), file)
    except OSError as error:
        raise _unwritable(file, error, "nothing was run") from error


def trace_file(journal: str, file: str, on_event: Callable[[Event], None]) -> None:
    """Write the trace of a run to a file; a failure is a warning.

    Args:
        journal: the local file that holds its journal; empty if there is none.
        file: the file to write.
        on_event: gets the warning.

    """
    try:
        _write(trace_of(parse_journal(read_private(journal))), file)
    except (OSError, UnreadableJournalError) as error:
        on_event(Warned(f"{_NOTHING_WRITTEN}: {error}"))


def trace_kept_run(name: str, options: PipelineOptions, form: TraceFormat = "chrome") -> str:
    """Return the trace of a run that was kept.

    Args:
        name: its id, or `latest`.
        options: say under which prefix.
        form: JSON in Chrome's trace event format; or events of OpenLineage, a line of JSON each.

    Raises:
        UsageError: there is no such run, or it has no journal that can be read.
        StoppedError: its plan, which only OpenLineage needs, is damaged.
        StoreError: the store cannot be read.

    """
    place, run, journal = _kept_journal(name, options)
    if form == "chrome":
        return _text(trace_of(journal))
    from marin_build.apply.open_lineage import lineage_events
    from marin_build.apply.run_folder import find_runs, no_such_run

    kept = find_runs(place.store, place.prefix, [run]).get(run)
    if kept is None:
        raise no_such_run(place.store, place.prefix, name, _NOTHING_WRITTEN)
    events = lineage_events(journal, kept.plan, lambda path: place.output_of(kept.plan, path))
    return "".join(f"{json.dumps(event)}\n" for event in events)


def _kept_journal(name: str, options: PipelineOptions) -> tuple[Place, str, Journal]:
    """Return where a run was kept, its id, and its journal; raises as `trace_kept_run`."""
    from marin_build.apply.run_folder import folder_of, may_be_run, no_such_run, run_id
    from marin_build.operations.loading.place import open_place

    place = open_place(options)
    store, prefix = place.store, place.prefix
    run = run_id(store, prefix, name) if may_be_run(name) else ""
    path = f"{folder_of(prefix, run)}/{FILE}"
    data = journal_left_here(run) if run else None
    if data is None:
        blob = store.get(path) if run else None
        if blob is None:
            raise no_such_run(store, prefix, name, _NOTHING_WRITTEN)
        data = blob.data
    try:
        return place, run, parse_journal(data)
    except UnreadableJournalError as error:
        raise UsageError(
            f"the journal of the run `{run}` cannot be read",
            facts=[("reason", str(error)), ("file", path)],
            consequence=_NOTHING_WRITTEN,
        ) from error


def write_trace(text: str, file: str) -> None:
    """Write a trace to a file.

    Raises:
        UsageError: it cannot be written.

    """
    refuse_url(file, "a trace", "-o trace.json")
    try:
        write_whole(file, text)
    except OSError as error:
        raise _unwritable(file, error, _NOTHING_WRITTEN) from error


def _write(trace: dict[str, Any], file: str) -> None:
    write_whole(file, _text(trace))


def _text(trace: dict[str, Any]) -> str:
    """Return a trace with an event a line, for people and `grep`."""
    events = ",\n".join(json.dumps(event) for event in trace["traceEvents"])
    rest = json.dumps({key: value for key, value in trace.items() if key != "traceEvents"})
    return f'{{"traceEvents": [\n{events}\n], {rest[1:]}\n'


def _unwritable(file: str, error: OSError, consequence: str) -> UsageError:
    return UsageError(
        f"cannot write the trace to `{os.fspath(file)}`",
        facts=[("reason", (error.strerror or str(error)).lower())],
        consequence=consequence,
    )
