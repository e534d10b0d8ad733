"""What lies under a prefix, for people and programs: a row for each output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.cli.terminal import echo
from marin_build.cli.views.columns import columns
from marin_build.plan.target_state import State
from marin_build.text.moments import moment_text
from marin_build.text.readable import bytes_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.operations.outputs.ls import ListedOutputs
    from marin_build.operations.outputs.read_stored import Stored
    from marin_build.plan.inventory import InventoryTarget


_SCHEMA_VERSION = 1
_MOST_NEEDING = 2
_MOST_LOOSE = 3
_NOTHING = "-"
_HEADING = ("target", "state", "size", "built (UTC)", "last used", "needed by", "")


def show_listed(listed: ListedOutputs) -> None:
    """Print a row for each output, and what was left out."""
    stored, inventory = listed.stored, listed.stored.inventory
    several = {name for name, identities in inventory.by_name() if len(identities) > 1}
    rows = [_row(each, stored, name_has_several=each.name in several) for each in listed.targets]
    prefix = f"{inventory.prefix}/"
    rows += [
        (each.path.removeprefix(prefix), "not ours", "", "", "", "", each.why)
        for each in listed.foreign
    ]
    if rows:
        for number, line in enumerate(columns(_HEADING, rows, right={"size"})):
            echo(line, bold=not number or None)
    size = sum(each.size_here for each in listed.targets)
    if rows:
        many = _many(len(listed.targets), "output")
        echo(f"{many}, {bytes_text(size)}, under {inventory.prefix}")
    else:
        echo(f"no output lies under {inventory.prefix}")
    for note in _notes(listed):
        echo(note)


def _row(target: InventoryTarget, stored: Stored, *, name_has_several: bool) -> tuple[str, ...]:
    built = target.built is not None and target.is_built
    used = stored.inventory.last_used(target)
    return (
        target.target,
        target.state.state.value,
        bytes_text(target.size) if target.size is not None else _NOTHING,
        _moment(target.end) if built else _NOTHING,
        _moment(used),
        _needing(stored.needed_by(target)),
        "; ".join(_remarks(target, stored, name_has_several=name_has_several)),
    )


def _moment(written: str) -> str:
    return moment_text(written, "minutes").removesuffix(" UTC") or _NOTHING


def _needing(needed_by: Mapping[str, bool | None]) -> str:
    """Return who needs an output: one that the pipeline declares first."""
    names = list(needed_by)
    more = len(names) - _MOST_NEEDING
    return ", ".join(names[:_MOST_NEEDING]) + (f" +{more}" if more > 0 else "") or _NOTHING


def _remarks(target: InventoryTarget, stored: Stored, *, name_has_several: bool) -> Iterator[str]:
    lease, taint = target.state.lease, target.state.taint
    if stored.is_declared(target) is False:
        yield "not declared"
    if name_has_several and target.is_latest:
        yield "latest"
    if target.data != target.path:
        yield f"adopted from {target.data}"
    elif target.holds_adopted:
        yield "adopted"
    if (tombstone := target.state.tombstone) is not None:
        yield f"marked by gc {moment_text(tombstone.at, 'minutes')}"
    if lease is not None and not target.is_built:
        is_gone = target.state.state is State.GONE
        yield f"{'its holder is gone:' if is_gone else 'held by'} {lease.describe()}"
    if taint is not None:
        yield f"tainted: {taint.reason}"
    if target.state.damage is not None:
        yield f"the {target.state.damage.what} cannot be read"
    if stored.waits_for_commit(target):
        yield "finished, waits for `marin-build commit`"


def _notes(listed: ListedOutputs) -> Iterator[str]:
    inventory = listed.stored.inventory
    if listed.left_out:
        size = bytes_text(sum(each.size_here for each in listed.left_out))
        many = _many(
            len(listed.left_out), "output of an older identity", "outputs of older identities"
        )
        it = "it" if len(listed.left_out) == 1 else "them"
        yield f"not shown: {many}, {size} (--all shows {it})"
    if inventory.loose and not listed.is_narrowed:
        shown = ", ".join(inventory.loose[:_MOST_LOOSE])
        more = ", ..." if len(inventory.loose) > _MOST_LOOSE else ""
        yield f"{_many(len(inventory.loose), 'file')} there, not ours: {printable(shown)}{more}"
    if inventory.not_looked_into:
        yield f"{_many(inventory.not_looked_into, 'folder')} were not looked into: too many"


def _many(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def listed_json(listed: ListedOutputs) -> dict[str, Any]:
    """Return the document of `--json`."""
    stored, inventory = listed.stored, listed.stored.inventory
    return {
        "schema_version": _SCHEMA_VERSION,
        "prefix": inventory.prefix,
        "pipeline_loaded": stored.declared is not None,
        "outputs": [_target_json(each, stored) for each in listed.targets],
        "older_left_out": len(listed.left_out),
        "not_ours": [
            {"path": each.path, "why": each.why or None, "size": each.size, "files": each.files}
            for each in listed.foreign
        ],
        "files_not_ours": list(inventory.loose),
        "not_looked_into": inventory.not_looked_into,
        "notes": list(stored.notes),
    }


def _target_json(target: InventoryTarget, stored: Stored) -> dict[str, Any]:
    built, lease = target.built, target.state.lease
    needed_by = stored.needed_by(target)
    return {
        "name": target.name,
        "target": target.target,
        "output_path": target.path,
        "data": target.data,
        "state": target.state.state.value.replace(" ", "_"),
        "is_declared": stored.is_declared(target),
        "is_latest": target.is_latest,
        "is_adopted": target.holds_adopted,
        "waits_for_commit": stored.waits_for_commit(target),
        "size": target.size,
        "files": target.files,
        "size_from": target.size_source,
        "built": (target.end or None) if target.is_built else None,
        "run": (built.run or None) if built is not None else None,
        "worker": (built.worker or None) if built is not None else None,
        "fingerprint": built.fingerprint if built is not None else None,
        "last_used": stored.inventory.last_used(target) or None,
        "needed_by": [
            {"target": id_, "is_declared": declared} for id_, declared in needed_by.items()
        ],
        "held_by": {
            "worker": lease.worker,
            "run": lease.run,
            "attempt": lease.attempt,
            "renewed": lease.written_at,
        }
        if lease is not None and not target.is_built
        else None,
    }
