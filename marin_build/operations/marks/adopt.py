"""Adopts existing data as the output of a target, after a look at the target and at the data."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.apply.events import Warned
from marin_build.errors import NOTHING_WRITTEN, StoppedError, UsageError
from marin_build.observe.existing_data import read_existing, refuse_unfit
from marin_build.operations.building.run_session import end_syncing, make_session, syncing_of
from marin_build.operations.planning.choose_targets import choose
from marin_build.operations.planning.refuse_secrets import refuse_secrets
from marin_build.plan.decisions import Plan
from marin_build.plan.selection import only_one
from marin_build.plan.snapshot import Snapshot
from marin_build.protocol import layout
from marin_build.protocol.foreign_data import ForeignData, find_data
from marin_build.protocol.lease import ADOPTING
from marin_build.protocol.look import look
from marin_build.protocol.record_reader import built_of, readable_record
from marin_build.protocol.status import STATUS_SUCCESS
from marin_build.protocol.tombstone_writes import take_all_away
from marin_build.run_step.commit_existing import adopt, held
from marin_build.run_step.supervisor import claimant_of
from marin_build.run_step.workers import Start
from marin_build.store.local import lasting
from marin_build.store.open_store import open_store
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import absolute_prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event
    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.targets import Target
    from marin_build.protocol.record_reader import Built
    from marin_build.run_step.session import Session


_ALIASES = {"gcs": "gs", "s3a": "s3", "abfss": "abfs"}


@dataclass(frozen=True, slots=True)
class AdoptedOutput:
    """An adopted output and its `record`; `already`: an earlier `adopt` had registered it."""

    target: Target
    record: Built
    already: bool


def adopt_target(
    loaded: Loaded,
    selector: str,
    place: str | None = None,
    note: str | None = None,
    *,
    force: bool = False,
    lease: bool = True,
    on_event: Callable[[Event], None],
) -> AdoptedOutput:
    """Register existing data as the output of a target that is not built.

    Args:
        loaded: the pipeline and its store.
        selector: which target.
        place: where the data lies, a folder or a URL; nothing is ever written or deleted there.
            None: at the target's output path.
        note: why; kept in the record.
        force: adopt what looks unfinished or damaged, or what was adopted before.
        lease: whether the store must have conditional writes; without, no other run may build.
        on_event: gets warnings.

    Raises:
        UsageError: the selector selects several targets, or none; the target is built; or the
            data cannot be its output.
        StoppedError: another run holds the target, or the data looks unfinished.
        StoreError: a store cannot be read or written.

    """
    index = only_one(selector, choose(loaded, [selector]), "is adopted at a time", NOTHING_WRITTEN)
    target = loaded.targets.all[index]
    location = _location_of(target, place)
    if not is_url(location) and is_url(target.output_path):
        on_event(Warned(f"`{location}` is on this machine: no other can read it"))
    return _register(loaded, index, location, note, force=force, lease=lease, on_event=on_event)


def _location_of(target: Target, place: str | None) -> str:
    """Return where the data of a target lies; the output path if `place` is another name for it.

    Raises:
        UsageError: `place` is no place, or lies inside the output or around it; or the target is
            rebuilt each time.

    """
    if target.step.is_dev:
        raise UsageError(
            f"`{target.id}` is a dev version: it is rebuilt each time",
            consequence=NOTHING_WRITTEN,
            hint="give it a version that stays",
        )
    output = target.output_path
    if place is None:
        return output
    if not place or not place.isprintable():
        raise UsageError(f"`--from {place!r}` names no place", consequence=NOTHING_WRITTEN)
    place = absolute_prefix(place, os.getcwd())
    here, there = _comparable(output), _comparable(place)
    if here == there:
        return output
    if f"{here}/".startswith(f"{there}/") or f"{there}/".startswith(f"{here}/"):
        raise UsageError(
            f"`{place}` and the output of `{target.id}` lie inside each other",
            facts=[("output", output)],
            consequence=NOTHING_WRITTEN,
            hint="without --from, what lies at the output itself is adopted",
        )
    return place


def _comparable(place: str) -> str:
    """Return a place in the form in which two of them can be compared."""
    scheme, _, rest = place.partition("://")
    return f"{_ALIASES.get(scheme, scheme)}://{rest}" if is_url(place) else os.path.realpath(place)


def _register(
    loaded: Loaded,
    index: int,
    location: str,
    note: str | None,
    *,
    force: bool,
    lease: bool,
    on_event: Callable[[Event], None],
) -> AdoptedOutput:
    """Adopt what lies at a place as the output of a target, unless that was done already."""
    target = loaded.targets.all[index]
    refuse_secrets(loaded, [index])
    nothing = Plan(loaded.targets, (), (), frozenset(), Snapshot())
    session = make_session(loaded, nothing, {}, lease=lease)
    # What a power cut leaves must say that no build made the data: else the next one deletes it.
    run = ADOPTING + session.run.partition("-")[2]
    session = replace(session, run=run, store=lasting(session.store))
    if _is_finished(session, index):
        blob = loaded.store.get(f"{target.output_path}/{layout.RECORD}")
        record = readable_record(blob.data if blob is not None else None)
        if not force and record is not None and _is_same(record, target, location):
            return AdoptedOutput(target, record, already=True)
        _refuse_built(target, record, location, force=force)
        session = replace(session, forced=frozenset([index]))
    is_here = location == target.output_path
    store = loaded.store if is_here else open_store(location)
    take_all_away(store, [location])  # else `gc` deletes what is adopted
    existing = read_existing(store, location)
    refuse_unfit(existing, target.step.outputs, force=force)
    if not is_here:
        _refuse_foreign(loaded, target)
    syncing = syncing_of(loaded, session.run)
    try:
        adopted = adopt(session, index, existing, note)
    finally:
        end_syncing(syncing, on_event)
    if adopted is None:
        raise StoppedError(
            f"`{target.id}` was built or adopted by another run meanwhile",
            consequence=NOTHING_WRITTEN,
            hint="marin-build plan shows what is there now",
        )
    return AdoptedOutput(target, built_of(adopted.model_dump(mode="json")), already=False)


def _refuse_foreign(loaded: Loaded, target: Target) -> None:
    """Refuse to leave files of ours beside data at the output path: a later build would clear it.

    Raises:
        StoppedError: such data lies there.

    """
    output = target.output_path
    data = find_data(loaded.store, output)
    if isinstance(data, ForeignData):
        raise StoppedError(
            f"at the output path of `{target.id}` lies data that no build left",
            facts=[("output", output), ("files", "\n".join(data.paths))],
            consequence=NOTHING_WRITTEN,
            hint="without --from, adopt takes that; or move it away",
        )


def _is_finished(session: Session, index: int) -> bool:
    """Return whether a target is finished.

    If a run committed the target without publishing it, it is published first.

    Raises:
        StoppedError: another run holds the target.

    """
    target = session.targets.all[index]
    seen = look(session.store, target.output_path)
    if seen.lease is not None and seen.lease.is_sealed:
        claimant_of(session, Start(index, os.urandom(8).hex())).acquire()
        seen = look(session.store, target.output_path)
    if seen.status != STATUS_SUCCESS:
        if seen.lease is not None and not session.is_abandoned(index, seen.lease):
            raise held(target.id, seen.lease)
        return False
    return True


def _is_same(record: Built, target: Target, location: str) -> bool:
    """Return whether a record says that this target was adopted from this place."""
    return (record.fingerprint, record.adopted_from) == (target.fingerprint, location)


def _is_override(target: Target) -> bool:
    return target.step.override_output_path is not None


def _refuse_built(target: Target, record: Built | None, location: str, *, force: bool) -> None:
    """Refuse to adopt over what was built or, without `force`, over most other finished outputs."""
    output = target.output_path
    recorded = record.fingerprint if record is not None else target.fingerprint
    before = record.adopted_from if record is not None else None
    if recorded != target.fingerprint:
        if not force and (location != output or target.step.version or _is_override(target)):
            raise StoppedError(
                f"`{output}` holds another target",
                facts=[("recorded", recorded), ("declared", target.fingerprint)],
                consequence=NOTHING_WRITTEN,
                hint="--force adopts it all the same; then plans of the other target report drift",
            )
    elif before is None:
        raise UsageError(
            f"`{target.id}` is built already",
            facts=[("output", output)],
            consequence=NOTHING_WRITTEN,
            hint="plan reuses it as it is",
        )
    elif not force:
        raise UsageError(
            f"`{target.id}` was adopted already, from another place",
            facts=[("adopted", before)],
            consequence=NOTHING_WRITTEN,
            hint="--force adopts it anew",
        )
    if before == output != location:
        raise UsageError(
            f"`{target.id}` was adopted where it lies, and its data is still there",
            facts=[("output", output)],
            consequence=NOTHING_WRITTEN,
            hint=f"move `{output}` away, or delete it yourself",
        )
