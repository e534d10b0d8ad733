"""What can be done about drift, and the error of an `apply` that builds nothing beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import StoppedError
from marin_build.operations.loading.options import command_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from marin_build.emit.plan_rows import WaysOut
    from marin_build.operations.loading.config import OnDrift
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.planning.planned import Planned
    from marin_build.plan.drift import Drift
    from marin_build.plan.drifted_targets import DriftedTargets

    _Drifted = Drift | DriftedTargets

_NAMED = 3
DRIFTED = "drifted"
"""The selector of all that drifted."""


def refuse_drift(
    planned: Planned,
    said: OnDrift | None,
    options: PipelineOptions,
    *,
    saved: str | None = None,
) -> None:
    """Refuse a plan that reuses targets which drifted, if the run or the project says so.

    Args:
        planned: the plan.
        said: what the run says; None: as configured.
        options: name the pipeline in command lines.
        saved: the folder of a saved plan; None: the plan was made now.

    Raises:
        StoppedError: such targets are among what it reuses.

    """
    if (said or planned.loaded.settings.on_drift) != "fail" or not planned.drifted:
        return
    from marin_build.plan.drifted_targets import drift_text

    again = ("plan", ("-o", saved)) if saved is not None else ("apply", ())
    targets = planned.request.targets
    ids = [planned.decided.targets.all[index].id for index in planned.kinds_of_drift]
    which = selector_of(ids) if targets else DRIFTED
    ways = ways_out_of(planned.drifted, options, targets, which=which, again=again)
    raise StoppedError(
        drift_text(planned.drifted),
        facts=[("on_drift", "fail"), *ways],
        consequence="nothing was run",
        hint=f"{command_line('plan', options, targets)} shows what differs",
    )


def selector_of(ids: Collection[str]) -> str:
    """Return a selector of some of the drifted targets: their ids; of many, all that drifted."""
    return ",".join(ids) if len(ids) <= _NAMED else DRIFTED


def ways_out_of(
    drifted: Iterable[_Drifted],
    options: PipelineOptions,
    targets: Sequence[str] = (),
    *,
    which: str = DRIFTED,
    again: tuple[str, Sequence[str]] = ("apply", ()),
) -> WaysOut:
    """Return what can be done about drift.

    Args:
        drifted: how targets drifted.
        options: name the pipeline in command lines.
        targets: the selectors of what is built.
        which: the selector of what drifted.
        again: the command that takes `--force`, and words that end it.

    """
    kinds = {each.kind for each in drifted}
    command, words = again
    rebuild = command_line(command, options, [*targets, "--force", which, *words])
    found = [("to rebuild what drifted", rebuild)]
    if kinds != {"identity"}:
        accept = command_line("accept", options, [which, "--reason"])
        found.append(("to accept it", f"{accept} '...'"))
    if "code" in kinds:
        found.append(("to rebuild on code changes", 'declare the step with code="rebuild"'))
    if "identity" in kinds:
        found.append(("to keep both identities", "declare a new version"))
    return tuple(found)
