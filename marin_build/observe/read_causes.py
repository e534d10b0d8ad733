"""Causes that only records know: changed code, and what changed in a reused dependency."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.pipeline.source_digests import content_of
from marin_build.pipeline.source_listings import changed_in_words, files_listed, listing_path
from marin_build.plan.decisions import Kind
from marin_build.plan.nearest_build import changes_between
from marin_build.plan.payload_diff import dependency_name
from marin_build.protocol import layout
from marin_build.protocol.record_reader import readable_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.pipeline.source_digests import Content
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.drift import Drift
    from marin_build.plan.reasons import Change
    from marin_build.protocol.record_reader import Built
    from marin_build.store.base import Store


_CODE = "code"
"""Path of the code digest in a payload."""
_INPUTS = "inputs"
"""How paths of input digests begin; a name that is no plain word stands in brackets."""


def with_causes(store: Store, plan: Plan) -> Plan:
    """Return a plan whose reasons name what changed at the root.

    Root causes are changed functions, where code is part of identity, and changes in dependencies
    that are built already. The sources and records of earlier builds are read in one batch each,
    and only if a reason needs them.

    Raises:
        StoreError: the store cannot be read.

    """
    if not any(decision.root is not None for decision in plan.decisions):
        return plan
    changed = [d for d in plan.decisions if _code_change(d) is not None]
    # Target id -> the cause that reasons of its dependents name, and the one to name instead.
    causes = {id_: ("", text) for id_, text in reused_causes(store, plan).items()}
    files = input_causes(store, plan)
    if not changed and not causes and not files:
        return plan
    drift = drift_since_earlier(store, plan, changed)
    decisions: list[Decision] = []
    for decision in plan.decisions:  # dependencies first
        root = decision.root
        if root is None:
            decisions.append(decision)
            continue
        changes = tuple(
            _with_cause(change, drift.get(decision.index), causes, files) for change in root.changes
        )
        if changes and changes[0] != root.changes[0]:
            before, after = root.changes[0], changes[0]
            target = plan.targets.all[decision.index].id
            causes[target] = (before.because or before.text, _as_cause(after))
        decisions.append(decision.with_root(replace(root, changes=changes)))
    return replace(plan, decisions=tuple(decisions))


def drift_since_earlier(
    store: Store, plan: Plan, decisions: Iterable[Decision]
) -> dict[int, Drift]:
    """Return how code changed since the earlier builds that decisions compare with, by target.

    Raises:
        StoreError: the store cannot be read.

    """
    earlier = {d.index: build for d in decisions if (build := _compared_with(plan, d)) is not None}
    if not earlier:
        return {}
    from marin_build.identity.code.document import parse_sources, source_paths
    from marin_build.plan.find_drift import drift_of

    keys = [build.code_document for build in earlier.values()]
    paths = source_paths(plan.targets.workspace.prefix, keys)
    blobs = store.get_many(list(paths.values()))
    documents = parse_sources(
        {key: blob.data if blob else None for key, blob in zip(paths, blobs, strict=True)}
    )
    return {
        index: drift_of(
            build, documents.get(build.code_document or ""), plan.targets.all[index].step.fn
        )
        for index, build in earlier.items()
    }


def _compared_with(plan: Plan, decision: Decision) -> Built | None:
    if decision.root is None:
        return None
    builds = plan.snapshot.earlier.get(decision.index, ())
    since = decision.root.since, decision.root.run
    return next((e.built for e in builds if (e.built.target, e.built.run) == since), None)


def _code_change(decision: Decision) -> Change | None:
    """Return the change of code among the changes of a decision, or None."""
    if decision.root is None:
        return None
    return next((c for c in decision.root.changes if c.path == _CODE), None)


def input_causes(store: Store, plan: Plan) -> dict[tuple[str, str], str]:
    """Return which files changed in folders that are inputs, in words, by their digests.

    Args:
        store: has the listings of then, below the prefix.
        plan: names the inputs that changed.

    Returns:
        By the digests of then and now; what is not known is left out.

    Raises:
        StoreError: the store cannot be read.

    """
    now: dict[tuple[str, str], Content] = {}
    for decision in plan.decisions:
        for change in decision.root.changes if decision.root is not None else ():
            if not change.path.startswith(_INPUTS) or not (change.old and change.new):
                continue
            sources = plan.targets.all[decision.index].step.inputs.values()
            contents = [content_of(source) for source in sources]
            now |= {(change.old, it.digest): it for it in contents if it.digest == change.new}
    if not now:
        return {}
    prefix = plan.targets.workspace.prefix
    paths = [listing_path(prefix, old) for old, _ in now]
    return {
        key: words
        for (key, content), blob in zip(now.items(), store.get_many(paths), strict=True)
        if blob is not None and content.files is not None
        if (words := changed_in_words(files_listed(blob.data), content.files))
    }


def _with_cause(
    change: Change,
    drift: Drift | None,
    causes: dict[str, tuple[str, str]],
    files: Mapping[tuple[str, str], str],
) -> Change:
    """Return a change with its cause, as far as that is known."""
    if change.path.startswith(_INPUTS) and isinstance(change.old, str):
        return replace(change, because=files.get((change.old, str(change.new)), change.because))
    if change.path == _CODE and drift is not None and drift.code:
        return replace(change, because=drift.code)
    said = causes.get(change.new) if isinstance(change.new, str) else None
    if said is not None and change.because == said[0]:
        return replace(change, because=said[1])
    return change


def _as_cause(change: Change) -> str:
    """Return a change as dependents name it: `code changed: tokenizer.batch() +3 -1`."""
    if change.because and (change.path == _CODE or change.path.startswith(_INPUTS)):
        return f"{change.text}: {change.because}"
    return change.because or change.text


_DEEPEST = 16
"""How many levels a change is followed to its root; each is a batch of reads."""


def causes_below(store: Store, targets: Targets, were: Mapping[str, str]) -> dict[str, str]:
    """Return what changed at the root of dependencies that replaced others, in words.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        were: id of a dependency of today -> id of the one it replaced; both are of one name, with
            a hash.

    Returns:
        Id of today -> words; dependencies of which nothing is known are left out.

    Raises:
        StoreError: the store cannot be read.

    """
    causes: dict[str, str] = {}
    pending = {id_: (id_, old) for id_, old in were.items()}  # asked for -> how far down we are
    for _ in range(_DEEPEST):
        pending = {id_: at for id_, at in pending.items() if _is_sibling(targets, *at)}
        if not pending:
            break
        paths = [_path_of(targets, *at) for at in pending.values()]
        deeper: dict[str, tuple[str, str]] = {}
        for (id_, (now, _)), blob in zip(pending.items(), store.get_many(paths), strict=True):
            built = readable_record(blob.data if blob is not None else None)
            target = targets.all[targets.by_id[now]]
            before = built.hashed if built is not None else None
            changes = changes_between(before, target.step.payload)
            if changes:
                causes[id_] = changes[0].text
                if changes[0].path.startswith("deps."):
                    deeper[id_] = (str(changes[0].new), str(changes[0].old))
        pending = deeper
    return causes


def _is_sibling(targets: Targets, now: str, old: str) -> bool:
    """Return whether a dependency and the one it replaced lie side by side, named by hashes."""
    index = targets.by_id.get(now)
    if index is None or "@" in now or len(now) != len(old):
        return False
    return targets.all[index].output_path.endswith(now)


def _path_of(targets: Targets, now: str, old: str) -> str:
    folder = targets.all[targets.by_id[now]].output_path.removesuffix(now)
    return f"{folder}{old}/{layout.RECORD}"


_MOST = 100
"""How many dependencies are looked up; those of a larger sweep have the same cause, as a rule."""


def reused_causes(store: Store, plan: Plan) -> dict[str, str]:
    """Return target id -> what changed in a reused dependency since its dependents were built.

    The records of the dependencies they were built from are read, and only if something is built
    again because of a changed dependency.

    Raises:
        StoreError: the store cannot be read.

    """
    before = _replaced(plan)
    return causes_below(store, plan.targets, before) if before else {}


def _replaced(plan: Plan) -> Mapping[str, str]:
    """Return id of a reused dependency with a changed identity -> id of the one it replaced."""
    reused = {plan.targets.all[d.index].id for d in plan.of_kind(Kind.REUSE)}
    found: dict[str, str] = {}
    for decision in plan.of_kind(Kind.RUN, Kind.WAIT, Kind.BLOCKED):
        if len(found) >= _MOST or decision.root is None:
            continue
        for change in decision.root.changes:
            new, old = change.new, change.old
            is_one = isinstance(new, str) and isinstance(old, str) and len(new) == len(old)
            is_one = is_one and dependency_name(new) == dependency_name(old)
            if is_one and change.path.startswith("deps.") and new in reused and "@" not in new:
                found[new] = old
    return found
