"""What a picture shows, gathered: the plan, statuses, estimates and logs, or a saved plan alone."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from marin_build.emit.graph.page import About, Details, browser_address, shown_attributes
from marin_build.emit.graph.picture import picture_of
from marin_build.emit.graph.saved_plan_page import about_plan, details_of_plan, picture_of_plan
from marin_build.emit.templates import Templates
from marin_build.engines.registry import engine_words
from marin_build.observe.read_causes import with_causes
from marin_build.observe.read_logs import ends_of_logs
from marin_build.operations.budgets import capacity_here, fitted
from marin_build.operations.options import command_line
from marin_build.operations.plan import plan_for
from marin_build.operations.plan_directory import read_plan_directory
from marin_build.plan.graph_shape import critical_path, upstream
from marin_build.plan.reasons import IdentityChanged
from marin_build.protocol import layout
from marin_build.protocol.status import readable_status
from marin_build.redaction import Redactor
from marin_build.text import printable
from marin_build.workspace import Workspace, is_url

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from marin_build.emit.graph.picture import Picture, State
    from marin_build.engines.base import Engine
    from marin_build.operations.loading import Loaded
    from marin_build.operations.options import PipelineOptions
    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.drift import Drift
    from marin_build.plan.estimate import PlanEstimate


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture, the plan it shows, and which targets its nodes are."""

    picture: Picture
    plan: Plan
    indices: tuple[int, ...]


def draw(
    loaded: Loaded, selectors: Sequence[str], engine: Engine[Any], states: Collection[State] = ()
) -> Drawn:
    """Plan as `plan` does, and read the statuses of what planning did not need to read.

    Args:
        loaded: the pipeline and its store.
        selectors: which targets, with what they need.
        engine: where steps with resources are built.
        states: draw these only; empty: all.

    Raises:
        StoreError: the store cannot be read.

    """
    plan = plan_for(loaded, selectors, history=True)
    plan = fitted(plan, engine, capacity_here(loaded.settings.budgets, {}))
    plan = with_causes(loaded.store, plan)
    shown = upstream(loaded.targets, plan.requested)
    unread = sorted(shown - {decision.index for decision in plan.decisions})
    paths = [f"{loaded.targets.all[i].output_path}/{layout.STATUS}" for i in unread]
    read = loaded.store.get_many(paths)
    statuses = {
        i: readable_status(blob.data if blob is not None else None, path)
        for i, path, blob in zip(unread, paths, read, strict=True)
    }
    picture, indices = picture_of(plan, shown, statuses), tuple(sorted(shown))
    if states:
        from marin_build.emit.graph.simplify import only_states

        picture, kept = only_states(picture, states)
        indices = tuple(indices[i] for i in kept)
    return Drawn(picture, plan, indices)


def describe_drawn(
    loaded: Loaded, drawn: Drawn, engine: Engine[Any], options: PipelineOptions
) -> tuple[About, list[Details]]:
    """Return what a page says of a picture: of the whole, and of each node.

    Raises:
        StoreError: the store cannot be read.

    """
    from marin_build.cli.views.plan_view import show
    from marin_build.observe.read_drift import find_drift
    from marin_build.operations.estimate import estimate_for
    from marin_build.operations.loading import environments_for
    from marin_build.plan.plan_id import plan_id

    found = find_drift(loaded.store, drawn.plan, environments_for(loaded, engine))
    estimate = estimate_for(loaded, drawn.plan, engine)
    plan, drift = found.plan, found.drift
    name = plan_id(plan, loaded.file, loaded.pipeline.parameters, engine.name)
    place = {index: i for i, index in enumerate(drawn.indices)}
    path, path_text = _path(plan, estimate)
    about = About(
        title=loaded.file,
        summary=show(plan, name, ("", ""), estimate, drift).summary,
        engine=engine.name,
        prefix=loaded.workspace.prefix,
        prefix_link=_link(loaded.workspace.prefix),
        commands=_commands(options),
        path=tuple(place[index] for index in path if index in place),
        path_text=path_text,
    )
    decisions = {decision.index: decision for decision in plan.decisions}
    logs = ends_of_logs(loaded.store, plan)
    return about, [
        _details(loaded, plan, index, decisions.get(index), drift, estimate, logs)
        for index in drawn.indices
    ]


def _path(plan: Plan, estimate: PlanEstimate) -> tuple[Sequence[int], str]:
    """Return the slowest chain of what is to be built; without durations the longest one."""
    from marin_build.text import duration_text

    if estimate.critical_path:
        words = "about" if estimate.is_complete else "at least"
        return estimate.critical_path, f"{words} {duration_text(estimate.critical_seconds)}"
    if not plan.to_build:
        return (), ""
    path = critical_path(plan.targets, plan.to_build)
    return path, f"{len(path)} steps; how long they take is not known"


def _commands(options: PipelineOptions) -> tuple[tuple[str, tuple[str, ...]], ...]:
    def line(command: str, *flags: str) -> str:
        return command_line(command, options, flags) + " "

    return (
        ("build it", (line("apply"), "")),
        ("build it again", (line("apply", "--force"), " ", "")),
        ("run it alone, in the foreground", (line("run"), "")),
        ("why, in full", (line("explain"), "")),
        ("its log", (line("logs").replace("logs -f ", "logs --file ", 1), "")),
    )


def _details(
    loaded: Loaded,
    plan: Plan,
    index: int,
    decision: Decision | None,
    drift: Mapping[int, Drift],
    estimate: PlanEstimate,
    logs: Mapping[int, tuple[str, tuple[str, ...]]],
) -> Details:
    from marin_build.pipeline.declared_at import shown
    from marin_build.pipeline.source_digests import digest_of

    target = plan.targets.all[index]
    step, one = target.step, estimate.steps.get(index)
    reason = decision.reason if decision is not None else None
    changed = reason if isinstance(reason, IdentityChanged) else None
    built = plan.snapshot.of(index).built
    is_usual = target.output_path == f"{loaded.workspace.prefix}/{target.id}"
    log_of, log = logs.get(index, ("", ()))
    return Details(
        fingerprint=target.fingerprint,
        description=step.description,
        declared=shown(step.declared, loaded.workspace.project),
        attributes=shown_attributes(json.loads(step.payload)),
        inputs={source.name: digest_of(source) for source in step.inputs.values()},
        output="" if is_usual else target.output_path,
        link="" if is_usual else _link(target.output_path),
        changes=changed.changes if changed is not None else (),
        since=changed.since if changed is not None else "",
        drift=printable(drift[index].text) if index in drift else "",
        seconds=one.seconds if one is not None else None,
        builds=one.count if one is not None else 0,
        cost=one.cost if one is not None else None,
        took=built.seconds or None if built is not None else None,
        log=log,
        log_of=log_of,
    )


def _link(place: str) -> str:
    """Return where a browser finds a place; empty where it cannot."""
    if is_url(place):
        return browser_address(place)
    return "file://" + quote(os.path.abspath(place))


def secrets_of(loaded: Loaded) -> Redactor:
    """Return what blots out the secrets of this environment, and of those that steps are given."""
    found = Redactor.of(os.environ)
    for variables in {id(t.step.env_vars): t.step.env_vars for t in loaded.targets.all}.values():
        found = found.joined(Redactor.of(variables))
    return found


def draw_saved(
    folder: str, states: Collection[State], start: str, *, with_details: bool
) -> tuple[Picture, About, Sequence[Details], Templates]:
    """Return the picture of a saved plan, and what a page says of it.

    Args:
        folder: the plan's directory.
        states: draw these only; empty: all.
        start: the folder from which links lead to the plan's scripts.
        with_details: whether a page is asked for.

    Raises:
        UsageError: no plan is there.
        StoppedError: it was edited.

    """
    document = read_plan_directory(folder)
    picture = picture_of_plan(document)
    details: Sequence[Details] = ()
    if with_details:
        way = os.path.relpath(folder, start).replace(os.sep, "/")
        details = details_of_plan(document, picture, f"./{way}/", document.files)
    if states:
        from marin_build.emit.graph.simplify import only_states

        picture, kept = only_states(picture, states)
        details = [details[i] for i in kept] if details else ()
    replay = "replay the plan", (shlex.join(["marin-build", "apply", folder]),)
    # Our own templates: the project of the plan may be elsewhere.
    templates = Templates(Workspace(os.path.abspath(folder), document.prefix))
    about = about_plan(document, picture, replay, engine_words(document.engine))
    return picture, about, details, templates
