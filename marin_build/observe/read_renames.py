"""Earlier builds under another name: a renamed step is built again, and a plan says why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.identity.payload import HASH_ID_LENGTH, fingerprint_of
from marin_build.observe.bare_prefix import is_bare
from marin_build.pipeline.recipe import has_chosen_path
from marin_build.plan import reasons as why
from marin_build.plan.difference_text import describe_difference
from marin_build.plan.payload_diff import Difference, without_nulls
from marin_build.plan.renames import RenameSearch, renames_among, with_renames
from marin_build.plan.status_reasons import BEGUN, NEVER_BUILT
from marin_build.protocol import layout
from marin_build.protocol.record_reader import readable_record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from marin_build.pipeline.targets import Target
    from marin_build.plan.decisions import Decision, Plan
    from marin_build.store.base import Store


_MOST_LISTINGS = 50
"""Folders that are listed in a search; it looks in no others."""
_MOST_RECORDS = 100
_OUR_FOLDER = "/.marin-build"
_NOT_BUILT = BEGUN | why.NeverBuilt


def read_renamed(store: Store, plan: Plan, names_now: Callable[[], Collection[str]]) -> Plan:
    """Return a plan that names the older names of steps that are the same but for their names.

    Only for targets without an earlier build of their name, the folders on the way to their outputs
    are listed, and the folders right in these.

    Args:
        store: where the outputs live.
        plan: the plan.
        names_now: returns the names of all steps that the pipeline declares: none of them is an
            older name.

    Raises:
        StoreError: the store cannot be read.

    """
    if is_bare(store, plan.targets):
        return plan
    new = [d.index for d in plan.decisions if _has_no_past(plan, d)]
    ids = {} if len(new) == len(plan.decisions) else renames_among(plan.targets, plan.decisions)
    was, bases = _older_names(store, plan, new, names_now, ids) if new else ({}, {})
    return _with_renames_among_reasons(store, plan, was, ids, bases) if ids else plan


def _older_names(
    store: Store,
    plan: Plan,
    new: Sequence[int],
    names_now: Callable[[], Collection[str]],
    ids: dict[str, str],
) -> tuple[dict[int, str], dict[int, str]]:
    """Return the older names of renamed targets, and the path in front of each name of `new`.

    The older ids join `ids`.
    """
    every = plan.targets.all
    bases = {i: base for i in new if (base := _base(every[i])) is not None}
    found = _folders(store, {i: every[i].name for i in bases}, bases)
    if not found:
        return {}, bases
    now, starts = set(names_now()), {*bases.values()}
    places = [
        path.removeprefix(base)
        for base in starts
        for path in found
        if path.startswith(base) and not path.endswith(_OUR_FOLDER)
    ]
    names = {_name_of(place) for place in places if _is_output(place)} - now
    folders = {place for place in places if not _is_output(place)} - now
    versions = _versions(store, [every[i] for i in bases], starts, folders)
    if not names and not versions:
        return {}, bases
    if versions:
        names |= folders
    search, was = RenameSearch(names, ids), dict[int, str]()
    for index in sorted(bases):  # dependencies first
        target, base = every[index], bases[index]

        def is_known(name: str, payload: str, target: Target = target, base: str = base) -> bool:
            if target.step.version is not None:
                return versions.get(f"{base}{name}/{target.step.version}") == payload
            return f"{base}{name}_{fingerprint_of(payload)[:HASH_ID_LENGTH]}" in found

        if (older := search.find(target.id, target.step.payload, is_known)) is not None:
            was[index] = older
    return was, bases


def _has_no_past(plan: Plan, decision: Decision) -> bool:
    """Return whether a target is to be built, and no earlier build of its name is known."""
    is_new = decision.reason is NEVER_BUILT or isinstance(decision.reason, _NOT_BUILT)
    return is_new and decision.changed is None and decision.index not in plan.snapshot.earlier


def _base(target: Target) -> str | None:
    """Return the path in front of a target's name; None if it has a path of its own."""
    step = target.step
    if has_chosen_path(step):
        return None
    end = target.id if step.version is None else f"{step.name}/{step.version}"
    return target.output_path.removesuffix(end)


def _name_of(place: str) -> str:
    """Return the name of a step by where its output lies: `data/tok` of `data/tok_0123abcd`."""
    return place.rpartition("_")[0]


def _folders(store: Store, names: Mapping[int, str], bases: Mapping[int, str]) -> set[str]:
    """Return the folders near some outputs: those in the folders above them, and right in these."""
    near: dict[str, None] = {}
    above = dict.fromkeys([(bases[i], name.rpartition("/")[0]) for i, name in names.items()])
    for base, folder in above:
        if len(near) >= _MOST_LISTINGS:
            break
        parts = folder.split("/") if folder else []
        near |= dict.fromkeys(
            base + "".join(f"{part}/" for part in parts[:depth]) for depth in range(len(parts) + 1)
        )
    found: set[str] = set()
    listed = list(near)[:_MOST_LISTINGS]
    for folder in listed:
        found.update(store.folders(folder))
    inside = sorted(
        f"{path}/"
        for path in found
        if f"{path}/" not in near and not _is_output(path) and not path.endswith(_OUR_FOLDER)
    )
    for folder in inside[: _MOST_LISTINGS - len(listed)]:
        found.update(store.folders(folder))
    return found


def _is_output(path: str) -> bool:
    end = path.rpartition("_")[2]
    return len(end) == HASH_ID_LENGTH and not set(end) - set("0123456789abcdef")


def _versions(
    store: Store,
    targets: Sequence[Target],
    bases: Collection[str],
    folders: Collection[str],
) -> dict[str, str | None]:
    """Return output path -> payload of builds that have the version of one of some targets."""
    versions = {target.step.version for target in targets} - {None}
    places = {f"{base}{name}/{end}" for base in bases for name in folders for end in versions}
    paths = sorted(places)[:_MOST_RECORDS]
    blobs = store.get_many([f"{path}/{layout.RECORD}" for path in paths])
    return {
        path: built.payload
        for path, blob in zip(paths, blobs, strict=True)
        if blob is not None and (built := readable_record(blob.data)) is not None
    }


def _with_renames_among_reasons(
    store: Store,
    plan: Plan,
    was: Mapping[int, str],
    ids: Mapping[str, str],
    bases: Mapping[int, str],
) -> Plan:
    """Return a plan with renames among its reasons, and with their traces in dependents."""
    targets = plan.targets.all
    shown = list(was)[:_MOST_RECORDS]
    paths = {i: bases[i] + ids[targets[i].id].replace("@", "/") for i in shown}
    blobs = store.get_many([f"{path}/{layout.RECORD}" for path in paths.values()])
    built = {
        i: readable_record(blob.data if blob is not None else None)
        for i, blob in zip(shown, blobs, strict=True)
    }
    words: dict[str, tuple[str, str]] = {}  # id -> its cause as dependents name it, before and now
    decisions: list[Decision] = []
    for decision in plan.decisions:  # dependencies first
        index, target = decision.index, targets[decision.index]
        if index in was:
            change = _change(Difference("name", was[index], target.name))
            it = built.get(index)
            origin = (it.run, it.worker, it.end) if it is not None else ("", "", "")
            reason = why.IdentityChanged((change,), ids[target.id], *origin)
            is_new = isinstance(decision.reason, why.NeverBuilt)
            decisions.append(
                replace(decision, reason=reason) if is_new else replace(decision, changed=reason)
            )
            continue
        root = decision.root
        if root is None or not root.changes:
            decisions.append(decision)
            continue
        changes = tuple(_with_words(c, words) for c in _with_renames(root.changes, ids))
        if changes[0] != root.changes[0]:
            before, now = root.changes[0], changes[0]
            words[target.id] = (before.because or before.text, now.because or now.text)
        decisions.append(decision.with_root(replace(root, changes=changes)))
    return replace(plan, decisions=tuple(decisions))


def _with_renames(changes: Sequence[why.Change], ids: Mapping[str, str]) -> list[why.Change]:
    known = [_difference(change) for change in changes if _is_plain(change)]
    merged = with_renames(known, ids)
    if merged == known:
        return list(changes)
    kept = [c for c in changes if not _is_plain(c) or _difference(c) in merged]
    return kept + [_change(each) for each in merged if each not in known]


def _is_plain(change: why.Change) -> bool:
    """Return whether both sides are texts or nothing: only ids of dependencies can be renamed."""
    return all(value is None or isinstance(value, str) for value in (change.old, change.new))


def _difference(change: why.Change) -> Difference:
    return without_nulls(change.path, change.old, change.new)


def _change(difference: Difference) -> why.Change:
    text = describe_difference(difference)
    return why.Change(difference.path, difference.old, difference.new, text)


def _with_words(change: why.Change, words: Mapping[str, tuple[str, str]]) -> why.Change:
    said = words.get(change.new) if isinstance(change.new, str) else None
    return replace(change, because=said[1]) if said and change.because == said[0] else change
