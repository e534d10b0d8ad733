"""Which targets selectors select: what they ask the store and git is asked when it is needed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from marin_build.operations.loading.loading import chosen_engine
from marin_build.operations.planning.take_snapshot import observe_tainted
from marin_build.plan.decide import make_plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.later_selection import Unknown
    from marin_build.plan.selection import ChangedSince, Drifted, StatusOf
    from marin_build.protocol.status import Status


def choose(
    loaded: Loaded,
    selectors: Sequence[str],
    requested: Sequence[int] = (),
    *,
    unknown: Unknown = "refuse",
) -> tuple[int, ...]:
    """Return the targets that selectors select; the requested ones without selectors.

    Args:
        loaded: the pipeline and its store.
        selectors: which targets.
        requested: targets in whose plan drift is looked for, besides the plan of the pipeline.
        unknown: what becomes of selectors that may only select targets that are not known yet.

    Raises:
        UsageError: selectors that cannot be read or select nothing, all of them together.
        StoreError: the store cannot be read.

    """
    from marin_build.plan.selection import select  # a run without selectors has no use for it

    status_of, changed_since, drifted = states_of(loaded, requested)
    return select(
        loaded.targets,
        selectors,
        status_of=status_of,
        changed_since=changed_since,
        drifted=drifted,
        unknown=unknown,
    )


def states_of(
    loaded: Loaded, requested: Sequence[int] = ()
) -> tuple[StatusOf, ChangedSince, Drifted]:
    """Return what selectors ask the store and git, each asked when it is first needed.

    `requested`: as for `choose`.
    """

    @cache
    def statuses() -> list[Status | None]:
        return _read_statuses(loaded)

    def changed_since(revision: str) -> AbstractSet[int]:
        from marin_build.operations.loading.git_revisions import changed_targets

        return changed_targets(loaded, revision)

    def drifted() -> AbstractSet[int]:
        return _drifted_targets(loaded, requested)

    return lambda index: statuses()[index], changed_since, drifted


def _drifted_targets(loaded: Loaded, requested: Sequence[int]) -> AbstractSet[int]:
    """Return what a plan of the pipeline's requested targets, and of others, reports as drifted."""
    from marin_build.observe.read_drift import find_drift
    from marin_build.operations.loading.loading import environments_for

    wanted = tuple(dict.fromkeys((*loaded.targets.requested, *requested)))
    plan = make_plan(loaded.targets, observe_tainted(loaded, wanted), wanted)
    environments = environments_for(loaded, chosen_engine(loaded))
    return find_drift(loaded.store, plan, environments, parts=False).drift.keys()


def _read_statuses(loaded: Loaded) -> list[Status | None]:
    """Read the statuses of all targets in one batch; an unreadable one counts as none."""
    from marin_build.protocol.layout import STATUS
    from marin_build.protocol.status import readable_status

    paths = [f"{target.output_path}/{STATUS}" for target in loaded.targets.all]
    return [
        readable_status(blob.data if blob is not None else None, path)
        for blob, path in zip(loaded.store.get_many(paths), paths, strict=True)
    ]
