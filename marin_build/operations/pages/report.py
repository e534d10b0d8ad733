"""The report on a pipeline: plans it, reads what was built and how, and renders the page."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from marin_build._version import __version__
from marin_build.emit.graph.details import about_plan, details_of
from marin_build.emit.graph.picture import Picture, picture_of
from marin_build.emit.report.facts import Build, Report, ReportedTarget, WaitingExpansion
from marin_build.emit.report.page import as_report
from marin_build.emit.templates import Templates
from marin_build.observe.read_history import read_history
from marin_build.observe.read_made import read_made
from marin_build.operations.loading.known_secrets import secrets_of
from marin_build.operations.loading.options import command_line
from marin_build.operations.pages.graph import commands_for_targets, looked_at
from marin_build.operations.pages.report_contents import contents_of
from marin_build.operations.pages.report_metrics import tables_of
from marin_build.operations.planning.plan import make_planned
from marin_build.operations.planning.planned import PlanRequest
from marin_build.plan.estimate import Duration, typical
from marin_build.plan.reason_text import NOT_READ, describe
from marin_build.plan.reasons import Adopted, BuiltBefore, LetGo
from marin_build.protocol.provenance import Environment, provenance
from marin_build.protocol.status import STATUS_LET_GO
from marin_build.text.readable import bytes_text
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.graph.picture import Node
    from marin_build.emit.report.facts import Absent
    from marin_build.observe.read_made import MadeOutput
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.planning.planned import Planned
    from marin_build.plan.snapshot import Earlier
    from marin_build.redaction import Redactor


_EARLIER = 20
"""How many earlier builds of a name are read to say what was expected."""
_LONGEST_RETURNED = 64 << 10
"""Bytes of the longest artifact whose beginning is shown."""
_LEAST_DEPTH = 3
"""Slashes in the path of a project's folder that stands nowhere else by chance."""


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report, and what a person who made it should know.

    Args:
        text: the page.
        targets: how many targets it is about.
        left_out: files of outputs that are only named in it, each with the reason.

    """

    text: str
    targets: int
    left_out: tuple[str, ...]


def report_on(
    loaded: Loaded, selectors: Sequence[str], options: PipelineOptions | None
) -> WrittenReport:
    """Return the report on some targets and all that they need.

    Args:
        loaded: the pipeline and its store.
        selectors: which targets; empty: what the pipeline requests.
        options: name the pipeline in the page's command lines; None: a page without these.

    Raises:
        UsageError: a selector selects nothing, or there is no such engine.
        SpecificationError: a template is missing or malformed.
        StoreError: the store cannot be read.

    """
    planned = make_planned(loaded, PlanRequest(tuple(selectors)))
    report = _facts(planned, selectors, options)
    templates = Templates(loaded.workspace, loaded.settings.templates)
    redactor = _without_places(secrets_of(loaded), loaded.workspace.project)
    text = as_report(report, templates, redactor)
    left_out = tuple(
        f"{target.node.id}/{preview.path}: {preview.problem}"
        for target in report.targets
        if target.contents is not None
        for preview in target.contents.previews
        if preview.problem
    )
    return WrittenReport(text, len(report.targets), left_out)


def _without_places(redactor: Redactor, project: str) -> Redactor:
    """Return a redactor that also shortens paths in the project and the home folder.

    They mean nothing on other machines, where the page is read.
    """
    home = os.path.expanduser("~").rstrip("/")
    if home.startswith("/"):
        redactor = replace(redactor, words=((os.fsencode(home), b"~"), *redactor.words))
    folder = f"{project.rstrip('/')}/"
    if folder.count("/") >= _LEAST_DEPTH:
        redactor = replace(redactor, secrets=((os.fsencode(folder), b""), *redactor.secrets))
    return redactor


def _facts(planned: Planned, selectors: Sequence[str], options: PipelineOptions | None) -> Report:
    """Read all that a report says."""
    loaded = planned.loaded
    document, live = looked_at(planned)
    live = replace(live, project="")  # the page is read on other machines
    picture = _expansions_last(picture_of(document, live))
    details = details_of(document, picture, live, {})
    nodes = [node for node in picture.nodes if node.state != "later"]
    index_of = {target.id: index for index, target in enumerate(loaded.targets.all)}
    indices = [index_of[node.id] for node in nodes]
    chosen = [loaded.targets.all[index] for index in indices]
    places = [(target.name, target.id, target.output_path) for target in chosen]
    made = list(read_made(loaded.store, places))
    earlier = planned.plan.snapshot.earlier or {}
    earlier = {**read_history(loaded.store, loaded.targets, indices, most=_EARLIER), **earlier}
    requested = [loaded.targets.all[index].id for index in planned.plan.requested]
    contents = contents_of(loaded.store, [m for m in made if m.output.target in set(requested)])
    targets = tuple(
        ReportedTarget(
            node=node_of(node, one),
            details=more,
            absent=_absent(node, one),
            needs=tuple(loaded.targets.all[dep].id for dep in loaded.targets.deps[index]),
            build=build_of(one) if one.output.is_built else None,
            expected=_expected(earlier.get(index, ()), one),
            returned=value,
            returned_problem=problem,
            contents=contents.get(node.id),
        )
        for node, more, index, one in zip(nodes, details[: len(nodes)], indices, made, strict=True)
        for value, problem in [returned_of(one)]
    )
    here = provenance(loaded.workspace.project, ())
    named = _with_bucket(options, loaded.workspace.prefix) if options is not None else None
    return Report(
        about=about_plan(document, live, commands_for_targets(named) if named is not None else ()),
        targets=targets,
        edges=picture.edges,
        requested=tuple(requested),
        waiting=tuple(
            WaitingExpansion(node=node, details=more)
            for node, more in zip(picture.nodes, details, strict=True)
            if node.state == "later"
        ),
        parameters=dict(loaded.pipeline.parameters),
        commit=here.commit or "",
        is_dirty=here.dirty,
        commands=_commands(named, selectors, targets) if named is not None else (),
        metrics=tables_of(loaded, indices, targets, set(requested)),
        version=__version__,
    )


def _expansions_last(picture: Picture) -> Picture:
    """Return a picture with the expansions after all targets; nothing in it needs an expansion."""
    old = range(len(picture.nodes))
    order = sorted(old, key=lambda index: picture.nodes[index].state == "later")
    place = dict(zip(order, old, strict=True))
    edges = tuple((place[source], place[target]) for source, target in picture.edges)
    return Picture(tuple(picture.nodes[index] for index in order), edges)


def _absent(node: Node, made: MadeOutput) -> Absent | None:
    """Return how a target stands that the plan did not read; None if its output is there."""
    if node.reason != NOT_READ or made.output.is_built:
        return None
    return "let go" if made.output.status == STATUS_LET_GO else "not built"


def node_of(node: Node, made: MadeOutput) -> Node:
    """Return a node whose reason says how a target stands that the plan did not read."""
    if node.reason != NOT_READ:
        return node
    if made.output.status == STATUS_LET_GO:
        return replace(node, reason=describe(LetGo()))
    if not made.output.is_built:
        why = "not built, and nothing needs it: all targets that are made from it are built"
        return replace(node, reason=why)
    built = made.output.built
    if built is None:
        return replace(node, reason="built")
    if (place := built.adopted_from) is not None:
        why = describe(Adopted(place, built.files, built.size, built.worker, built.end))
    else:
        why = describe(BuiltBefore(built.run, built.worker, built.end))
    return replace(node, reason=why)


def returned_of(made: MadeOutput) -> tuple[Any, str]:
    """Return what a step returned, and why it is not on the page although there is something."""
    if made.artifact is not None and len(made.artifact) > _LONGEST_RETURNED:
        return None, f"{bytes_text(len(made.artifact))} of JSON"
    try:
        return made.returned(), ""
    except ValueError as error:
        return None, f"not readable: {error}"


def build_of(made: MadeOutput) -> Build | None:
    """Return how an output came to be, as its record says it; None without one that is readable."""
    built, recipe = made.output.built, made.recipe
    if built is None:
        return None
    environment = Environment.of_record(built.environment)
    return Build(
        end=built.end,
        seconds=built.seconds,
        by=built.worker,
        run=built.run,
        attempt=built.attempt,
        made_by=(recipe.made_by or "") if recipe is not None else "",
        commit=(recipe.commit or "") if recipe is not None else "",
        is_dirty=recipe.is_dirty if recipe is not None else None,
        argv=recipe.argv if recipe is not None else (),
        code=built.code_digest or "",
        written_by=recipe.written_by if recipe is not None else "",
        python=environment.python or "",
        image=environment.image or "",
        distributions=dict(environment.distributions or {}),
        locks=dict(environment.locks or {}),
        adopted_from=built.adopted_from or "",
        note=built.note or "",
    )


def _expected(earlier: Sequence[Earlier], made: MadeOutput) -> Duration | None:
    """Return what builds of a name took that ended before this one, or all if it is not built."""
    end = made.output.end if made.output.is_built else ""
    return typical(
        each.built.seconds
        for each in earlier
        if each.built.seconds and (not end or each.built.end < end)
    )


def _with_bucket(options: PipelineOptions, prefix: str) -> PipelineOptions:
    """Return options that name the prefix if it is a bucket: others find the outputs there."""
    return replace(options, prefix=prefix) if is_url(prefix) else options


def _commands(
    options: PipelineOptions, selectors: Sequence[str], targets: Sequence[ReportedTarget]
) -> tuple[tuple[str, str], ...]:
    """Return the command lines that build it all again: what for, and the line."""
    builds = [t.build for t in targets if t.build is not None and t.build.commit]
    commits = {build.commit for build in builds}
    lines = []
    if len(commits) == 1:
        dirty = ", but for changes that were not committed"
        what = f"take the code that built it{dirty if any(b.is_dirty for b in builds) else ''}"
        lines.append((what, shlex.join(["git", "checkout", commits.pop()])))
    return (
        *lines,
        ("see what would be built", command_line("plan", options, selectors)),
        ("build what is not there", command_line("apply", options, selectors)),
        ("write this page again", command_line("report", options, selectors)),
    )
