"""`temp=True`: deletes the data of targets that nothing of the request needs any more.

It is asked at the end of each `apply` of a pipeline that has such steps, also where nothing was
built: so what a run that died left behind goes with the next one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError
from marin_build.plan.graph_shape import upstream
from marin_build.protocol import layout
from marin_build.protocol.builder_note import read_note
from marin_build.protocol.holder import own_lease
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.status import STATUS_LET_GO, STATUS_SUCCESS, readable_status
from marin_build.run_step.delete_output import Deleter, Deletion, holding, new_id
from marin_build.store.kernel_locks import KernelLocks
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.apply.events import Warned
    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.decisions import Plan
    from marin_build.store.base import Blob


def let_go(loaded: Loaded, plan: Plan, on_event: Callable[[Warned], None]) -> None:
    """Delete the data of temp targets whose consumers in the request are all built.

    What was requested itself stays, and what a step that failed or did not run still needs. A
    failure to delete is a warning: the next `apply` tries again.

    Args:
        loaded: the pipeline and its store.
        plan: what was built, or found built.
        on_event: gets a note on what was deleted, or a warning.

    """
    consumers = _consumers(plan)
    if not consumers:
        return
    from marin_build.apply.events import Warned

    gone: list[str] = []
    try:
        gone.extend(
            plan.targets.all[index].id
            for index in _to_delete(loaded, plan, consumers)
            if _delete(loaded, plan, index)
        )
    except (MarinBuildError, OSError) as error:
        why = error.with_reason if isinstance(error, MarinBuildError) else error
        on_event(Warned(f"the output of a step with temp=True could not be deleted: {why}"))
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        said = f"deleted the output of `{gone[0]}`{more}: what needs it is built (temp=True)"
        on_event(Warned(said, kind="note"))


def _consumers(plan: Plan) -> dict[int, list[int]]:
    """Return the temp targets that were not asked for themselves, each with what needs it."""
    targets = plan.targets
    if any(later.targets is None for later in targets.later):
        return {}  # it is not known what the steps of an expansion need
    temp = set(targets.traits.temporary.difference(plan.requested))
    for later in targets.later:  # each loading of the pipeline reads what they returned
        temp.difference_update(later.sources)
    found: dict[int, list[int]] = {}
    if temp:
        for reader in sorted(upstream(targets, plan.requested)):
            for dep in temp.intersection(targets.deps[reader]):
                found.setdefault(dep, []).append(reader)
    return found


def _to_delete(loaded: Loaded, plan: Plan, consumers: dict[int, list[int]]) -> list[int]:
    """Return the temp targets that are built and not needed, or whose deletion was interrupted."""
    involved = sorted({*consumers, *(reader for each in consumers.values() for reader in each)})
    status = dict(zip(involved, _read(loaded, plan, layout.STATUS, involved), strict=True))
    done = {
        index
        for index, blob in status.items()
        if blob is not None and readable_status(blob.data, "") in (STATUS_SUCCESS, STATUS_LET_GO)
    }
    free = [i for i, readers in consumers.items() if i in done and done.issuperset(readers)]
    leases = dict(zip(free, _read(loaded, plan, layout.LEASE, free), strict=True))
    found = []
    for index in free:
        blob = status[index]
        assert blob is not None
        is_whole = readable_status(blob.data, "") == STATUS_SUCCESS
        if is_whole or leases[index] is not None:
            found.append(index)
    return found


def _read(loaded: Loaded, plan: Plan, name: str, indices: Iterable[int]) -> Sequence[Blob | None]:
    paths = [f"{plan.targets.all[index].output_path}/{name}" for index in indices]
    return loaded.store.get_many(paths)


def _delete(loaded: Loaded, plan: Plan, index: int) -> bool:
    """Delete the data of a target that we built; return whether it is gone."""
    target = plan.targets.all[index]
    status, record = loaded.store.get_many(
        [f"{target.output_path}/{name}" for name in (layout.STATUS, layout.RECORD)]
    )
    built = readable_record(record.data if record is not None else None)
    if status is None or built is None or built.adopted_from is not None:
        return False
    if built.target != target.id:
        return False
    is_held = holding(loaded.host)
    readers = [i for i, deps in enumerate(plan.targets.deps) if index in deps]

    def is_used() -> bool:
        for reader, blob in zip(readers, _read(loaded, plan, layout.LEASE, readers), strict=True):
            if blob is not None:
                place = plan.targets.all[reader]
                lease = parse_lease(blob.data, place.output_path)
                if not lease.is_sealed and is_held(place.id, place.output_path, lease):
                    return True
        places = [plan.targets.all[reader] for reader in readers]
        notes = [(it, read_note(loaded.store, it.output_path)) for it in places]
        return any(note and is_held(it.id, it.output_path, note) for it, note in notes)

    lease = replace(own_lease(loaded.host.worker), run=new_id())
    prefix = loaded.workspace.prefix
    locks = None if is_url(prefix) else KernelLocks(prefix, create=False)
    deleter = Deleter(loaded.store, prefix, lease, is_held, locks=locks)
    try:
        done = deleter.let_go(target.output_path, target.id, status.version, is_used)
    finally:
        if locks is not None:
            locks.close()
    return done is Deletion.DONE
