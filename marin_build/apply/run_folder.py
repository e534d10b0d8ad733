"""What a run leaves under the prefix: its plan, and who ran it, when.

Both are written to `{prefix}/.marin-build/runs/<run>/` before the first step; the plan is written
anew only as steps become known that were not. The journal beside them, which grows, is written by
`apply/journal_writer.py`. It is not the note of `store/durability.py`: that one is gone when the
run is over, so that planning, which looks for such notes every time, has to list an empty folder
only.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from marin_build.apply.events import Warned
from marin_build.errors import StoppedError, StoreError, UsageError
from marin_build.plan.document import PLAN_FILE, PlanDocument, is_intact, parse_plan
from marin_build.protocol.documents import Provenance  # noqa: TC001 - pydantic reads it
from marin_build.store.refusals import read_each
from marin_build.text.moments import moment_text, stamp
from marin_build.text.readable import did_you_mean
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.apply.events import Event
    from marin_build.run_step.session import Session
    from marin_build.store.base import Store


FOLDER = ".marin-build/runs"
RUN_FILE = "run.json"
LATEST = "latest"
_FILES = (PLAN_FILE, RUN_FILE)
_RUN = re.compile(r"r-[0-9a-f]{8}")


class RunDocument(BaseModel):
    """Who ran a plan, when and from which code; plan.json must not depend on these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    run: str
    start: str
    provenance: Provenance

    @property
    def shown(self) -> str:
        """When and by whom, for people."""
        who = self.provenance
        return f"{moment_text(self.start, 'minutes')} by {who.user}@{who.host}"


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was kept; `who` is None where that cannot be read."""

    id: str
    plan: PlanDocument
    who: RunDocument | None


def folder_of(prefix: str, run: str) -> str:
    """Return where a run leaves what it keeps."""
    return f"{prefix}/{FOLDER}/{run}"


def keep_run(
    store: Store, plan: PlanDocument, session: Session, on_event: Callable[[Event], None]
) -> bool:
    """Write the plan of a run, and who runs it. Return whether they are kept.

    A failure is a warning. What fails here fails for the journal too, so one warning is of both.

    Args:
        store: of the prefix.
        plan: the plan as a document, code digests included.
        session: the run.
        on_event: gets the warning.

    """
    who = RunDocument(
        run=session.run,
        start=stamp(session.now()),
        provenance=session.provenance(),
    )
    folder = folder_of(session.targets.workspace.prefix, session.run)
    files = {
        f"{folder}/{PLAN_FILE}": _encoded(plan.sealed_pieces({})),
        f"{folder}/{RUN_FILE}": (who.model_dump_json(indent=1) + "\n").encode(),
    }
    try:
        _write(store, files)
    except StoreError as error:
        on_event(Warned(f"neither plan nor journal of {session.run} is kept: {error.with_reason}"))
        return False
    return True


def keep_plan(
    store: Store, plan: PlanDocument, session: Session, on_event: Callable[[Event], None]
) -> None:
    """Write the plan of a run in place of the one that was kept: more of its steps are known.

    A failure is a warning, and the one before stays.
    """
    path = f"{folder_of(session.targets.workspace.prefix, session.run)}/{PLAN_FILE}"
    try:
        store.put(path, _encoded(plan.sealed_pieces({})))
    except StoreError as error:
        on_event(Warned(f"the plan of {session.run} is kept in part: {error.with_reason}"))


def _encoded(pieces: Iterable[str]) -> bytes:
    """Return a text as bytes, without having all of it twice."""
    stream = io.BytesIO()
    stream.writelines(piece.encode() for piece in pieces)
    return stream.getvalue()


def _write(store: Store, files: dict[str, bytes]) -> None:
    if store.is_local:
        for path, data in files.items():
            store.put(path, data)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(files)) as pool:  # one round trip
        list(pool.map(store.put, files, files.values()))


def may_be_run(name: str) -> bool:
    """Return whether a name looks like that of a run."""
    return name == LATEST or _RUN.fullmatch(name) is not None


def run_id(store: Store, prefix: str, name: str) -> str:
    """Return the id of a run by its id or `latest`; empty if none was kept.

    Raises:
        StoreError: the store cannot be read.

    """
    return _latest(store, prefix) if name == LATEST else name


def find_runs(store: Store, prefix: str, names: Iterable[str]) -> dict[str, Run]:
    """Return name -> run, for those that were kept under the prefix; `latest` is one, too.

    Raises:
        StoreError: the store cannot be read.
        StoppedError: a plan that was changed, or is of another schema.

    """
    ids = {name: run_id(store, prefix, name) for name in names}
    ids = {name: id_ for name, id_ in ids.items() if id_}
    paths = [f"{folder_of(prefix, id_)}/{file}" for id_ in ids.values() for file in _FILES]
    blobs = iter(store.get_many(paths))
    found = {}
    for (name, id_), plan, who in zip(ids.items(), blobs, blobs, strict=True):
        if plan is not None:
            found[name] = Run(id_, _plan(plan.data, id_), _who(who.data) if who else None)
    return found


def _plan(data: bytes, id_: str) -> PlanDocument:
    what = f"the plan of the run `{id_}`"
    with suppress(ValidationError):
        plan = parse_plan(data, what)
        if is_intact(data, plan):
            return plan
    raise StoppedError(
        f"{what} was changed after it was written", consequence="nothing was compared"
    )


def no_such_run(
    store: Store, prefix: str, name: str, consequence: str = "nothing was compared"
) -> UsageError:
    """Return the error for a run that was not kept under the prefix."""
    known = kept_runs(store, prefix)
    return UsageError(
        f"there is no run `{name}`",
        facts=[("looked in", prefix), ("kept there", f"{len(known)} runs")],
        consequence=consequence,
        hint=did_you_mean(name, known) or "runs are kept where they were built: see --prefix",
    )


def kept_runs(store: Store, prefix: str) -> list[str]:
    """Return the ids of the runs that were kept, from one listing."""
    folders = store.folders(f"{prefix}/{FOLDER}/")
    return [name for folder in folders if _RUN.fullmatch(name := folder.rpartition("/")[2])]


def _latest(store: Store, prefix: str) -> str:
    """Return the id of the run that started last; empty if there is none."""
    return next(iter(newest_runs(store, prefix)), "")


def newest_runs(store: Store, prefix: str) -> list[str]:
    """Return the ids of the runs that were kept, the one that started last first.

    Runs of which nobody can read when they started are left out.
    """
    return [id_ for id_, who in run_documents(store, prefix).items() if who is not None]


def run_documents(store: Store, prefix: str) -> dict[str, RunDocument | None]:
    """Return who ran what, by run, the one that started last first; None: it cannot be read.

    All of these small documents are read: ids are random, and clocks of machines are compared here
    for convenience only.

    Raises:
        StoreError: the folder of the runs cannot be listed, or the bucket cannot be read.

    """
    return documents_of(store, prefix, kept_runs(store, prefix))


def documents_of(store: Store, prefix: str, ids: Sequence[str]) -> dict[str, RunDocument | None]:
    """Return who ran some runs, the one that started last first; None: it cannot be read.

    Raises:
        StoreError: the bucket cannot be read.

    """
    blobs, _ = read_each(store, [f"{folder_of(prefix, id_)}/{RUN_FILE}" for id_ in ids])
    found = [
        (id_, _who(blob.data) if blob is not None else None)
        for id_, blob in zip(ids, blobs, strict=True)
    ]
    found.sort(key=lambda each: (each[1].start if each[1] is not None else "", each[0]))
    return dict(reversed(found))


def _who(data: bytes) -> RunDocument | None:
    try:
        return RunDocument.model_validate(parse_json(data))
    except ValueError:
        return None  # it is only shown to people
