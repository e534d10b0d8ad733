"""The runs that were kept under a prefix, by anyone on any machine: a list, and one of them.

Each run that builds something keeps who ran it, its plan and its journal under the prefix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from marin_build.apply.run_folder import run_documents
from marin_build.apply.run_summary import Outcome, RunSummary, RunTarget
from marin_build.errors import StoppedError, StoreError, UsageError
from marin_build.operations.loading.loading import current_host
from marin_build.operations.loading.place import open_place
from marin_build.operations.runs.kept_runs import KeptRun, leases_of, read_runs
from marin_build.pipeline.glob_patterns import compile_patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.loading.place import Place
    from marin_build.plan.document import PlanDocument
    from marin_build.protocol.lease import Lease


_AT_ONCE = 32
"""Journals that are read in one batch."""
DEFAULT_LIMIT = 20


@dataclass(frozen=True, slots=True)
class ListedRuns:
    """Runs, the one that started last first.

    Args:
        place: where they were kept.
        runs: those that are listed.
        more: how many older ones were not looked at.
        is_narrowed: whether only some outcomes, or runs of a target, were asked for.

    """

    place: Place
    runs: tuple[KeptRun, ...]
    more: int
    is_narrowed: bool


@dataclass(frozen=True, slots=True)
class ShownRun:
    """One run with its plan; `plan_error`: why that cannot be read, empty if it can."""

    place: Place
    run: KeptRun
    plan: PlanDocument | None
    plan_error: str = ""
    leases: Mapping[str, Lease] = field(default_factory=dict)
    """Target id -> its lease, of targets that the run had begun and that it holds still."""


def list_runs(
    options: PipelineOptions,
    *,
    limit: int = DEFAULT_LIMIT,
    outcomes: Collection[str] = (),
    target: str | None = None,
    records: bool = False,
) -> ListedRuns:
    """List the runs that were kept under a prefix; no pipeline is loaded, and nothing is written.

    Args:
        options: name the prefix.
        limit: how many are listed.
        outcomes: only runs that ended so; none: all.
        target: only runs that began, found or gave up a target: a name, an id or a glob.
        records: those, too, of which nothing but records of what they built is left. All records
            under the prefix are read for that.

    Raises:
        UsageError: no run ends so.
        StoreError: the store cannot be read.

    """
    for outcome in outcomes:
        if outcome not in get_args(Outcome):
            raise UsageError(
                f"no run ends `{outcome}`", hint=f"one of {', '.join(get_args(Outcome))}"
            )
    place = open_place(options)
    documents = run_documents(place.store, place.prefix)
    ids = list(documents)
    matches = _matcher(target) if target is not None else None
    found: list[KeptRun] = []
    seen = 0
    while seen < len(ids) and len(found) < limit:
        batch = ids[seen : seen + max(limit - len(found), _AT_ONCE if target or outcomes else 1)]
        for run in read_runs(
            place, {id_: documents[id_] for id_ in batch}, whole=target is not None
        ):
            seen += 1
            if _is_wanted(run, outcomes, matches):
                found.append(run)
                if len(found) == limit:
                    break
    is_narrowed = bool(outcomes) or target is not None
    if records:
        others = [r for r in _of_records(place, ids) if _is_wanted(r, outcomes, matches)]
        merged = sorted([*found, *others], key=lambda run: (run.start, run.id), reverse=True)
        left = len(ids) - seen + len(merged[limit:])
        return ListedRuns(place, tuple(merged[:limit]), left, is_narrowed)
    return ListedRuns(place, tuple(found), len(ids) - seen, is_narrowed)


def show_run(options: PipelineOptions, name: str) -> ShownRun:
    """Return one run, with all that its journal says, and its plan.

    Args:
        options: name the prefix.
        name: its id, the first digits of that, or `latest`.

    Raises:
        UsageError: there is no such run, or there are several.
        StoreError: the store cannot be read.

    """
    from marin_build.apply.run_folder import LATEST, find_runs, may_be_run

    place = open_place(options)
    documents = run_documents(place.store, place.prefix)
    is_whole = may_be_run(name) and name != LATEST
    if is_whole and name not in documents:
        for run in _of_records(place, ()):
            if run.id == name:
                return ShownRun(place, run, None, "it left none")
    id_ = run_named(place, documents, name, "nothing is shown")
    (run,) = read_runs(place, {id_: documents[id_]}, whole=True)
    leases = leases_of(place, {run.id: run}).get(run.id, {}) if run.outcome != "died" else {}
    try:
        kept = find_runs(place.store, place.prefix, [id_]).get(id_)
        return ShownRun(place, run, kept.plan if kept is not None else None, "", leases)
    except (StoppedError, StoreError) as error:
        return ShownRun(place, run, None, error.what, leases)


def run_named(place: Place, documents: Collection[str], name: str, consequence: str) -> str:
    """Return the id of the run that a name stands for.

    Args:
        place: where runs were kept.
        documents: their ids, the one that started last first.
        name: an id, the first digits of one, or `latest`.
        consequence: what it means for the work if there is none.

    Raises:
        UsageError: there is no such run, or there are several.
        StoreError: the store cannot be read.

    """
    from marin_build.apply.run_folder import LATEST, no_such_run

    if name == LATEST:
        ids = list(documents)[:1]
    else:
        ids = [id_ for id_ in documents if id_.startswith(name)] if name else []
    if not ids:
        raise no_such_run(place.store, place.prefix, name, consequence)
    if len(ids) > 1:
        raise UsageError(
            f"`{name}` may stand for {len(ids)} runs",
            facts=[("runs", ", ".join(ids[:5]))],
            consequence=consequence,
            hint="write more digits of the run",
        )
    return ids[0]


def _matcher(target: str) -> Callable[[RunTarget], bool]:
    match = compile_patterns([target])
    return lambda each: target in (each.name, each.target) or match(each.name) or match(each.target)


def _is_wanted(
    run: KeptRun, outcomes: Collection[str], matches: Callable[[RunTarget], bool] | None
) -> bool:
    if outcomes and run.outcome not in outcomes:
        return False
    return matches is None or any(map(matches, run.targets))


def _of_records(place: Place, known: Sequence[str]) -> list[KeptRun]:
    """Return the runs that records name and that left nothing else: jobs, `run`, old folders."""
    from marin_build.observe.read_inventory import read_inventory

    inventory = read_inventory(place.store, place.prefix, current_host(), sizes=False)
    built: dict[str, list[tuple[str, str, str, RunTarget]]] = {}
    for each in inventory.targets:
        if each.built is None or not each.built.run or each.built.run in known:
            continue
        target = RunTarget(
            each.name, each.target, "built", each.built.attempt, seconds=each.built.seconds
        )
        built.setdefault(each.built.run, []).append(
            (each.built.end, each.built.worker, each.path, target)
        )
    found = []
    for id_, builds in built.items():
        builds.sort(key=lambda build: build[0])
        targets = tuple(target for *_, target in builds)
        summary = RunSummary("built", 0.0, {"built": len(targets)}, None, targets)
        by = ", ".join(dict.fromkeys(worker for _, worker, _, _ in builds))
        why = "known from records of what it built, and from nothing else"
        found.append(
            KeptRun(id_, "built", why, builds[-1][0], by, summary=summary, known_from="records")
        )
    return found
