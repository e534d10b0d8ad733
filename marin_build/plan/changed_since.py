"""What changed since a target was built. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.plan import reasons as why
from marin_build.plan.nearest_build import nearest_change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.nearest_build import Neighbours
    from marin_build.plan.snapshot import Earlier


def change_since(
    targets: Targets,
    index: int,
    earlier: Sequence[Earlier],
    root_of: Callable[[int], why.IdentityChanged | None],
    neighbours: Neighbours,
) -> why.IdentityChanged | why.OutputVanished | None:
    """Return what changed since the nearest earlier build of a target; None without one.

    Args:
        targets: the pipeline's targets.
        index: the target.
        earlier: the builds of its name.
        root_of: what changed in one of its dependencies; None if that is not known.
        neighbours: one for all targets of a plan.

    Returns:
        `OutputVanished` if one of these builds is that of the target itself.

    """

    def cause_in(dependency: str) -> str:
        above = targets.by_id.get(dependency)
        if above is None:  # dependents of a recipe name it by the hash of its attributes
            named = {targets.all[dep].step.name_with_hash: dep for dep in targets.deps[index]}
            above = named.get(dependency)
        root = root_of(above) if above is not None else None
        first = root.changes[0] if root is not None and root.changes else None
        return first.because or first.text if first is not None else ""

    target = targets.all[index]
    # Another version of the same identity is another target.
    builds = (build.built for build in earlier if build.built.target in ("", target.id))
    same = next((built for built in builds if built.fingerprint == target.fingerprint), None)
    if same is not None:
        return why.OutputVanished(same.run, same.worker, same.end)
    return nearest_change(target.step.payload, earlier, cause_in, target.step.version, neighbours)
