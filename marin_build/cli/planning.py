"""From a loaded pipeline to its plan: read the store, then decide. The edge of planning."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.assumptions import NOTHING_ASSUMED
from marin_build.cli.loading import without_collections
from marin_build.observe import list_tainted, observe
from marin_build.plan import Plan, cascade_of, make_plan
from marin_build.store.syncing import doubter, runs_cut_short
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.assumptions import Assumptions
    from marin_build.cli.loading import Loaded
    from marin_build.reasons import Unreadable
    from marin_build.snapshot import Snapshot, Taint


def plan_for(
    loaded: Loaded,
    selectors: Sequence[str],
    *,
    forced: Sequence[str] = (),
    rerun_failed: bool = True,
    history: bool = False,
    assumed: Assumptions = NOTHING_ASSUMED,
) -> Plan:
    """Observe the store and plan; with `history`, say what changed since earlier builds."""
    with without_collections():
        return _plan(
            loaded, selectors, forced, rerun_failed=rerun_failed, history=history, assumed=assumed
        )


def _plan(
    loaded: Loaded,
    selectors: Sequence[str],
    forced: Sequence[str],
    *,
    rerun_failed: bool,
    history: bool,
    assumed: Assumptions,
) -> Plan:
    targets = loaded.targets
    requested, forced_targets = targets.requested, frozenset[int]()
    if selectors or forced:
        from marin_build.cli.choosing import choose

        requested = choose(loaded, selectors)
        forced_targets = frozenset(choose(loaded, forced)) if forced else forced_targets
    snapshot = observe_tainted(loaded, requested, forced_targets, history=history, assumed=assumed)
    return make_plan(
        targets,
        snapshot,
        requested,
        forced=forced_targets,
        rerun_failed=rerun_failed,
        assumed=assumed,
    )


def observe_tainted(
    loaded: Loaded,
    requested: Sequence[int],
    forced: frozenset[int] = frozenset(),
    *,
    history: bool = False,
    assumed: Assumptions = NOTHING_ASSUMED,
) -> Snapshot:
    """Read what planning needs, the marks of tainted targets included.

    Those marks decide how far down is read. They are rare: a remote store is asked for them while
    everything else is read as if there were none, and if there are some, it is read again.
    """
    store, targets = loaded.store, loaded.targets
    cascade = cascade_of(targets, requested, forced, assumed)

    def read(cascade: AbstractSet[int]) -> Snapshot:
        return observe_for(loaded, requested, cascade, history=history, assumed=assumed)

    if store.is_local:
        marked, snapshot = list_tainted(store, targets), None
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            listing = pool.submit(list_tainted, store, targets)
            snapshot = read(cascade)
            marked = listing.result()
    tainted: Mapping[int, Taint] = {}
    damaged: dict[int, Unreadable] = {}
    if marked:
        from marin_build.taints import read_taints

        tainted = read_taints(store, targets, marked, damaged=damaged.__setitem__)
    known, cascade = cascade, cascade_of(targets, requested, forced | tainted.keys(), assumed)
    if snapshot is None or cascade != known:
        snapshot = read(cascade)
    if damaged:
        from marin_build.taints import with_damaged_marks

        snapshot = with_damaged_marks(targets, snapshot, requested, damaged)
    return replace(snapshot, tainted=tainted)


def observe_for(
    loaded: Loaded,
    requested: Sequence[int],
    cascade: AbstractSet[int] = frozenset(),
    *,
    history: bool = False,
    assumed: Assumptions = NOTHING_ASSUMED,
) -> Snapshot:
    """Read what planning needs, with doubts about what a power cut may have taken."""
    return observe(
        loaded.store,
        loaded.targets,
        requested,
        cascade,
        loaded.host,
        history=history,
        is_doubtful=doubt_of(loaded),
        assumed=assumed,
    )


def doubt_of(loaded: Loaded) -> Callable[[str, str], bool] | None:
    """Return what tells by run and end whether a power cut may have taken what was built."""
    prefix = loaded.workspace.prefix
    if is_url(prefix):
        return None
    name = os.uname().nodename
    return doubter(runs_cut_short(prefix, boot=loaded.host.boot, host=name))
