"""How long steps may take: for the order in which `apply` starts them, and for people who wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.cli.loading import Loaded
    from marin_build.fingerprint import Targets
    from marin_build.plan import Plan
    from marin_build.snapshot import Earlier

_MOST = 256
"""How many records of earlier builds are read: one batch. Who has more steps to build has quick
ones, or so many that no order leaves a machine idle for long."""


def expected_seconds(
    loaded: Loaded, plan: Plan, jobs: int, *, is_shown: bool = False
) -> dict[int, float]:
    """Return how long targets of a plan may take, those of which that is known.

    That is what `plan` foresees, by the same records if they are not too many. Where there is no
    order to choose, because all that is ready finds a slot, nothing is read unless it `is_shown`.
    """
    count = len(plan.to_build)
    if not (0 if is_shown else jobs) < count <= _MOST:
        return {}
    from marin_build.estimate import typical
    from marin_build.history import read_history

    try:
        earlier = plan.snapshot.earlier or read_history(
            loaded.store, plan.targets, plan.to_build, most=_MOST // count
        )
    except StoreError:
        return {}  # in whatever order, it is built
    found = seconds_by_name(plan.targets, earlier)
    typicals = {name: known.seconds for name, s in found.items() if (known := typical(s))}
    names = {index: plan.targets.all[index].name for index in plan.to_build}
    return {index: typicals[name] for index, name in names.items() if name in typicals}


def seconds_by_name(
    targets: Targets, earlier: Mapping[int, tuple[Earlier, ...]]
) -> dict[str, list[float]]:
    """Return how long earlier builds took, by the name of the step."""
    return {
        # What was adopted took no time here, unless its own record says how long.
        targets.all[index].name: [build.seconds for build in builds if build.seconds]
        for index, builds in earlier.items()
    }
