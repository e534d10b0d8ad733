"""Runs as their journals show them, and whether one whose journal has no end still goes on.

On its own machine the process of a run tells. On others a lease that it holds shows that it was
alive when that was renewed last; clocks of two machines are not compared.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from marin_build.apply.journal import FILE, UnreadableJournalError, parse_journal
from marin_build.apply.journal_writer import journal_left_here
from marin_build.apply.run_folder import folder_of
from marin_build.apply.run_summary import RunSummary, summary_of
from marin_build.errors import CorruptStateError, StoreError
from marin_build.operations.loading.loading import current_host
from marin_build.pipeline.names import name_problem
from marin_build.protocol import layout
from marin_build.protocol.builder_note import read_note
from marin_build.protocol.lease import parse_lease, process_start
from marin_build.store.refusals import read_each
from marin_build.text.moments import moment_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.apply.journal import Header, Journal
    from marin_build.apply.run_folder import RunDocument
    from marin_build.apply.run_summary import Outcome, RunTarget
    from marin_build.operations.loading.place import Place
    from marin_build.protocol.lease import Host, Lease


_AT_ONCE = 16
"""Journals that are read in one batch."""


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run.

    Args:
        id: its id.
        outcome: how it ended, or what is known of that.
        why: how that is known, in words, where it did not end; else empty.
        start: when it began, as documents write moments; empty if that is not known.
        by: `user@host`; empty if that is not known.
        argv: the command line, without values of `--set`; empty if that is not known.
        commit, is_dirty: the state of the code; None: not known.
        pid: its process on that machine; 0 if that is not known.
        summary: what its journal says; None if there is none that can be read.
        journal: the path or URL of its journal.
        known_from: its journal; its plan and who ran it; or only the records of what it built.

    """

    id: str
    outcome: Outcome
    why: str = ""
    start: str = ""
    by: str = ""
    argv: tuple[str, ...] = ()
    commit: str | None = None
    is_dirty: bool | None = None
    pid: int = 0
    summary: RunSummary | None = None
    journal: str = ""
    known_from: Literal["journal", "plan", "records"] = "journal"

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.outcome not in ("running", "unfinished")

    @property
    def took_known(self) -> bool:
        """Whether `seconds` are all: a run that died could not write when."""
        return self.is_over and self.outcome != "died"

    @property
    def command(self) -> str:
        """The command line as a user types it; values of `--set` were not kept."""
        return shlex.join([os.path.basename(self.argv[0]), *self.argv[1:]]) if self.argv else ""

    @property
    def targets(self) -> tuple[RunTarget, ...]:
        """What became of its targets; none where that was not read."""
        return self.summary.targets if self.summary is not None else ()

    @property
    def seconds(self) -> float | None:
        """How long it took, or how far its journal goes; None if that is not known."""
        return self.summary.seconds if self.summary is not None else None


def read_runs(
    place: Place, documents: Mapping[str, RunDocument | None], *, whole: bool
) -> Iterator[KeptRun]:
    """Yield runs, in the order given: a few batches for their journals, another for some leases.

    Args:
        place: where they were kept.
        documents: who ran each.
        whole: read what became of each target, also of runs that have ended.

    Raises:
        StoreError: the store cannot be read.

    """
    runs: dict[str, KeptRun] = {}
    headers: dict[str, Header] = {}
    for id_, path, data in _journals_of(place, list(documents)):
        journal = _journal(id_, data, whole=whole)
        runs[id_] = kept_run(
            id_,
            documents[id_],
            path,
            (journal.header, journal.time) if journal is not None else None,
            summary_of(journal) if journal is not None else None,
        )
        if journal is not None:
            headers[id_] = journal.header
    yield from judged_runs(place, runs, headers).values()


def _journals_of(place: Place, ids: list[str]) -> Iterator[tuple[str, str, bytes | None]]:
    """Yield id, path and bytes of journals; few of them are in memory, as each may be long."""
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        paths = [f"{folder_of(place.prefix, id_)}/{FILE}" for id_ in some]
        blobs, _ = read_each(place.store, paths)
        for id_, path, blob in zip(some, paths, blobs, strict=True):
            yield id_, path, blob.data if blob is not None else None


def judged_runs(
    place: Place, runs: Mapping[str, KeptRun], headers: Mapping[str, Header]
) -> dict[str, KeptRun]:
    """Return runs with what is known of those whose journals have no end: some leases are read.

    Args:
        place: where they were kept.
        runs: by id, as their journals show them.
        headers: the first lines of journals, by id.

    Raises:
        StoreError: the store cannot be read.

    """
    host = current_host()
    open_ones = {id_: run for id_, run in runs.items() if run.outcome == "unfinished"}
    judged = {id_: _judged(run, headers.get(id_), host) for id_, run in open_ones.items()}
    unsure = {id_: run for id_, run in judged.items() if run.outcome == "unfinished"}
    for id_, leases in leases_of(place, unsure).items():
        if leases:
            newest = max(leases.values(), key=lambda lease: lease.timestamp)
            renewed = moment_text(newest.written_at)
            why = f"it holds a lease, renewed {renewed} by its own clock"
            judged[id_] = replace(judged[id_], outcome="running", why=why)
    return {id_: judged.get(id_, run) for id_, run in runs.items()}


def _journal(id_: str, data: bytes | None, *, whole: bool) -> Journal | None:
    """Return the journal of a run; a run into a bucket has more of it on its own machine."""
    journal = _parsed(data, whole=whole)
    if journal is None or summary_of(journal).outcome is None:
        journal = _parsed(journal_left_here(id_), whole=whole) or journal
    return journal


def _parsed(data: bytes | None, *, whole: bool) -> Journal | None:
    if data is None:
        return None
    try:
        return parse_journal(data, only_totals=not whole)
    except UnreadableJournalError:
        return None


def kept_run(
    id_: str,
    who: RunDocument | None,
    path: str,
    head: tuple[Header, str] | None,
    summary: RunSummary | None,
) -> KeptRun:
    """Return a run as its journal shows it: without an end there it is `unfinished`.

    Args:
        id_: its id.
        who: who ran it; None if that cannot be read.
        path: of its journal.
        head: what the first line of the journal says; None if there is none that can be read.
        summary: what the journal says; None if there is none.

    """
    origin = who.provenance if who is not None else None
    header, time = head if head is not None else (None, "")
    by = f"{origin.user}@{origin.host}" if origin is not None else ""
    return KeptRun(
        id_,
        (summary.outcome if summary is not None else None) or "unfinished",
        "" if head is not None else "no journal of it can be read",
        who.start if who is not None else time,
        by or (header.worker if header is not None else ""),
        origin.argv if origin is not None else (),
        origin.commit if origin is not None else None,
        origin.dirty if origin is not None else None,
        header.pid if header is not None else 0,
        summary,
        path,
        "journal" if head is not None else "plan",
    )


def _judged(run: KeptRun, header: Header | None, host: Host) -> KeptRun:
    """Return a run whose journal has no end, and what its process on this machine says of it."""
    if header is None or not header.boot or not header.pid or not host.boot:
        return replace(run, why=run.why or "its journal has no end")
    if header.boot == host.boot:
        if process_start(header.pid) == header.start:
            return replace(run, outcome="running", why=f"its process {header.pid} lives")
        return replace(run, outcome="died", why=f"its process {header.pid} is gone")
    is_named_so = header.worker.rpartition("@")[2] == os.uname().nodename
    if is_named_so and header.boot.partition("/")[0] != host.machine_boot:
        return replace(run, outcome="died", why="its machine was started again since")
    return replace(run, why="its journal has no end, and its process is on another machine")


def leases_of(place: Place, runs: Mapping[str, KeptRun]) -> dict[str, dict[str, Lease]]:
    """Return run -> target id -> lease, of what runs had begun and hold still: one batch."""
    wanted = [
        (id_, each.target, layout.output_under(place.prefix, each.name, each.target))
        for id_, run in runs.items()
        for each in (run.summary.open if run.summary is not None else ())
        if _may_be_path(each)
    ]
    found: dict[str, dict[str, Lease]] = {id_: {} for id_ in runs}
    blobs, _ = read_each(place.store, [f"{output}/{layout.LEASE}" for *_, output in wanted])
    for (id_, target, output), blob in zip(wanted, blobs, strict=True):
        try:
            # For a second there may be no lease, but only the note of who builds.
            lease = parse_lease(blob.data, output) if blob else read_note(place.store, output)
        except (CorruptStateError, StoreError):
            continue
        if lease is not None and lease.run == id_:
            found[id_][target] = lease
    return found


def _may_be_path(target: RunTarget) -> bool:
    """Return whether names in a journal lead under the prefix: any program may have written it."""
    return all(
        name_problem(each.replace("@", "/")) is None for each in (target.name, target.target)
    )
