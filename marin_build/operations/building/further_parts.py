"""What a run builds next, when steps that were not known are: within what was asked of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from marin_build.operations.building.prepare_apply import plan_to_build, prepare_build
from marin_build.operations.loading.options import PipelineOptions, command_line
from marin_build.operations.planning.budgets import unused_budgets
from marin_build.operations.planning.drifted import refuse_drift
from marin_build.operations.planning.planned_expansions import expanded_anew
from marin_build.workspace.workspace import relative

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event, Warned
    from marin_build.operations.building.prepare_apply import ReadyToBuild
    from marin_build.operations.loading.config import OnDrift
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.planning.planned import Planned
    from marin_build.plan.decisions import Plan
    from marin_build.plan.progress import Progress


class FurtherPart(NamedTuple):
    """The next part of a run, and the names of the expansions whose steps it knows."""

    ready: ReadyToBuild
    expanded: tuple[str, ...]


def further_part(
    ready: ReadyToBuild,
    progress: Progress,
    on_event: Callable[[Event], None],
    on_drift: OnDrift | None = None,
) -> FurtherPart | None:
    """Return what a run builds next; None if no further steps are known.

    The request is the same as before: the same selectors, of which some may select the steps that
    are known now. What the run has built is not built again, and what failed in it is not retried.

    Args:
        ready: what the run built last.
        progress: what it has done.
        on_event: gets warnings for the pipeline's author.
        on_drift: as for the terms of a run.

    Raises:
        SpecificationError: an expansion gives no steps, or steps that clash with others.
        StoppedError: known steps that would be reused drifted, and that is to end the run.
        StoreError: the store cannot be read.

    """
    planned = ready.planned
    loaded = expanded_anew(planned.loaded, unbuilt=frozenset())
    news = _News(planned, on_event)
    request = replace(planned.request, progress=progress)
    further = plan_to_build(loaded, request, news)
    still = set(_waiting(further.decided))
    known = [key.name for key in _waiting(planned.decided) if key not in still]
    if not known:
        return None
    refuse_drift(further, on_drift, _options_of(loaded))
    return FurtherPart(prepare_build(further, on_event=news), tuple(known))


def left_out(planned: Planned) -> Warned | None:
    """Return what to say of the expansions that a saved plan does not contain, now that it is run.

    None: it contains all that was asked for.

    Raises:
        StoreError: the store cannot be read.
        MarinBuildError: the steps of an expansion clash with others.

    """
    from marin_build.apply.events import Warned

    if not planned.decided.waiting:
        return None
    loaded = expanded_anew(planned.loaded, unbuilt=frozenset())
    waits = {later.name for later in loaded.targets.later if later.targets is None}
    said = [
        f"`{name}`, {'not known yet' if name in waits else 'which are known now'}"
        for name in planned.decided.names_waiting
    ]
    return Warned(
        f"the plan does not contain the steps of {'; '.join(said)}",
        hint=f"plan again: {command_line('plan', _options_of(loaded))}",
        kind="note",
    )


def _options_of(loaded: Loaded) -> PipelineOptions:
    """Return the options that name a pipeline in command lines."""
    workspace, engine = loaded.workspace, loaded.settings.engine
    return PipelineOptions(
        file=loaded.file,
        prefix=relative(workspace.prefix, workspace),
        engine=engine if engine != "local" else None,
        parameters=loaded.pipeline.parameters,
        code=workspace.code if workspace.code != "report" else None,
    )


class _Key(NamedTuple):
    """What tells expansions of two plans apart."""

    name: str
    place: str
    sources: tuple[str, ...]


def _waiting(plan: Plan) -> list[_Key]:
    targets = plan.targets
    waiting = (targets.later[index] for index in plan.waiting)
    return [
        _Key(later.name, later.place, tuple(targets.all[index].id for index in later.sources))
        for later in waiting
    ]


class _News:
    """Passes on warnings that were not given when the run began."""

    def __init__(self, planned: Planned, on_event: Callable[[Event], None]) -> None:
        loaded, self._on_event = planned.loaded, on_event
        given = [*loaded.warnings(), *unused_budgets(loaded.targets, planned.request.budgets)]
        self._said = {warning.message for warning in given}

    def __call__(self, warning: Warned) -> None:
        if warning.message not in self._said:
            self._on_event(warning)
