"""Targets for commands that only look, also when the pipeline that declares them cannot be asked.

If the pipeline does not load, its targets are those of the newest run: each run keeps its plan.
What that run did not have, or the pipeline declares no more, is found by the records under the
prefix. Such targets have neither functions nor tags: nothing can be planned or built with them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from marin_build.errors import MarinBuildError, NotFoundError, StoppedError
from marin_build.identity.payload import fingerprint_of
from marin_build.operations.loading.find_pipeline import pipeline_file
from marin_build.operations.loading.loading import Loaded, current_host, load
from marin_build.operations.loading.place import open_place, refuse_drifted
from marin_build.operations.outputs.find_outputs import first_line, newest_builds, stored_identity
from marin_build.pipeline.load import Pipeline
from marin_build.pipeline.names import name_problem, version_problem
from marin_build.pipeline.step_spec import StepSpec
from marin_build.pipeline.targets import Target, Targets
from marin_build.pipeline.traits import traits_of
from marin_build.plan.later_selection import as_far_as_known
from marin_build.plan.payload_diff import dependency_name
from marin_build.plan.selection import select
from marin_build.protocol.layout import output_under, version_of
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import some_of
from marin_build.untrusted_json import parse_json, table, text
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.observe.read_builds import StoredOutput
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.loading.place import Place
    from marin_build.plan.document import PlanDocument


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a command looks at.

    Args:
        loaded: the pipeline; or what is known of its targets without it.
        selectors: select in `loaded` what the user named; none: what is requested.
        notes: why the pipeline was not asked, or did not know, in words; as a rule none.
        is_declared: whether the pipeline declares the targets now.

    """

    loaded: Loaded
    selectors: tuple[str, ...]
    notes: tuple[str, ...] = ()
    is_declared: bool = True


def load_or_recall(
    options: PipelineOptions, words: Sequence[str], *, only: str | None = None
) -> Recalled:
    """Load the pipeline; where it cannot be asked, recall its targets.

    Args:
        options: name the pipeline and its prefix.
        words: selectors, and words that name one identity.
        only: as for `load`.

    Raises:
        MarinBuildError: the pipeline does not load, and nothing is known of its targets.
        UsageError: a word selects nothing.
        StoreError: the store cannot be read.

    """
    place = open_place(options)
    try:
        loaded = load(options, only=only, needed=words)
    except MarinBuildError as error:
        if not place.is_pipelines(error):
            raise
        return _without_pipeline(options, place, words, error)
    try:
        _check_names(loaded, words)
    except NotFoundError as error:
        stored = _stored(place, words)
        if stored is None:
            raise
        said = f"the pipeline does not declare {_ids(stored)} now"
        note = as_far_as_known(said, loaded.targets)
        return _of_outputs(options, place, stored, note, error)
    return Recalled(loaded, tuple(words))


def recall(options: PipelineOptions, target: str) -> Recalled:
    """Return one target by its id, without asking the pipeline.

    Raises:
        NotFoundError: nothing is known of it.
        StoreError: the store cannot be read.

    """
    place = open_place(options)
    error = NotFoundError(f"nothing is known of `{target}`", facts=[("looked in", place.prefix)])
    if stored := _stored(place, [target]):
        return _of_outputs(options, place, stored, "", error)
    return replace(_without_pipeline(options, place, [target], error), notes=())


def recall_run(options: PipelineOptions, run: str) -> tuple[str, Loaded]:
    """Return the id of a run and the targets of its plan, without asking the pipeline.

    Args:
        options: name the prefix.
        run: its id, the first digits of that, or `latest`.

    Raises:
        UsageError: no run is called so, or several are.
        StoppedError: its plan was changed after it was written.
        StoreError: the store cannot be read.

    """
    from marin_build.apply.run_folder import find_runs, kept_runs, no_such_run

    place = open_place(options)
    found = find_runs(place.store, place.prefix, [run])
    if not found:
        starting = [id_ for id_ in kept_runs(place.store, place.prefix) if id_.startswith(run)]
        if len(starting) != 1 or not run.startswith("r-"):
            raise no_such_run(place.store, place.prefix, run, "nothing was read")
        found = find_runs(place.store, place.prefix, starting)
    for kept in found.values():
        plan = kept.plan
        return kept.id, _loaded(options, place, _planned_targets(plan, place), plan.requested)
    raise no_such_run(place.store, place.prefix, run, "nothing was read")


def _check_names(loaded: Loaded, words: Sequence[str]) -> None:
    """Refuse words that select nothing by name; neither store, git nor code is asked.

    Raises:
        UsageError: one does.

    """
    select(
        loaded.targets,
        words,
        status_of=lambda _: None,
        changed_since=lambda _: frozenset(),
        drifted=frozenset,
    )


def _without_pipeline(
    options: PipelineOptions, place: Place, words: Sequence[str], error: MarinBuildError
) -> Recalled:
    refuse_drifted(words, error)
    planned = _newest_plan(options, place)
    if planned is not None:
        run, plan = planned
        loaded = _loaded(options, place, _planned_targets(plan, place), plan.requested)
        try:
            _check_names(loaded, words)
        except NotFoundError:
            pass
        else:
            note = f"{first_line(error)}; these are the targets of run {run}"
            return Recalled(loaded, tuple(words), (note,), is_declared=False)
    stored = _stored(place, words)
    if not stored:
        raise error
    note = f"{first_line(error)}; {_ids(stored)} by the records"
    return _of_outputs(options, place, stored, note, error)


def _stored(place: Place, words: Sequence[str]) -> list[StoredOutput] | None:
    """Return the outputs that words stand for; None if nothing under the prefix stands for one."""
    found: list[StoredOutput] = []
    for word in words:
        try:
            output = stored_identity(place, word)
        except NotFoundError:
            return None
        outputs = [output] if output is not None else newest_builds(place, word)
        if not outputs:
            return None
        found += outputs
    return found


def _ids(outputs: Sequence[StoredOutput]) -> str:
    return some_of([f"`{output.target}`" for output in outputs])


class _Known(NamedTuple):
    """What is known of a target without its pipeline; `deps` are ids."""

    name: str
    target: str
    path: str
    fingerprint: str
    deps: tuple[str, ...] = ()


def _of_outputs(
    options: PipelineOptions,
    place: Place,
    outputs: Sequence[StoredOutput],
    note: str,
    error: MarinBuildError,
) -> Recalled:
    if not outputs:
        raise error
    known = [
        _Known(o.name, o.target, o.path, o.built.fingerprint if o.built is not None else "")
        for o in outputs
    ]
    ids = tuple(dict.fromkeys(output.target for output in outputs))
    loaded = _loaded(options, place, known, ids)
    return Recalled(loaded, ids, (note,) if note else (), is_declared=False)


def _loaded(
    options: PipelineOptions, place: Place, known: Iterable[_Known], requested: Iterable[str]
) -> Loaded:
    """Return targets as if a pipeline without functions had declared them."""
    module, project, settings = pipeline_file(options)
    if options.engine:
        settings = replace(settings, engine=options.engine)
    workspace = Workspace(project, place.prefix, options.code or settings.code)
    every = {each.target: each for each in known}
    by_id = {id_: index for index, id_ in enumerate(every)}
    all_ = tuple(_target(each, module.file) for each in every.values())
    targets = Targets(
        all_,
        tuple(tuple(by_id[d] for d in each.deps if d in by_id) for each in every.values()),
        tuple(by_id[id_] for id_ in requested if id_ in by_id),
        workspace,
        by_id,
        traits_of([target.step for target in all_]),
    )
    pipeline = Pipeline(module, (), options.parameters or {})
    return Loaded(settings, workspace, pipeline, targets, place.store, current_host())


def _target(known: _Known, file: str) -> Target:
    version = version_of(known.name, known.target)
    step = StepSpec(name=known.name, version=version, declared=(file, 0))
    return Target(step, known.target, known.fingerprint, known.path)


_MOST_RUNS = 20
"""Runs whose plans are read in a search for the newest one of this pipeline."""


def _newest_plan(options: PipelineOptions, place: Place) -> tuple[str, PlanDocument] | None:
    """Return the newest run and its plan: of this pipeline, else of any under the prefix."""
    from marin_build.apply.run_folder import find_runs, newest_runs

    module, project, _ = pipeline_file(options)
    own = module.named_from(project)
    newest = None
    for run in newest_runs(place.store, place.prefix)[:_MOST_RUNS]:
        try:
            found = find_runs(place.store, place.prefix, [run])
        except StoppedError:  # a damaged plan answers nothing
            continue
        for kept in found.values():
            if kept.plan.pipeline == own:
                return run, kept.plan
            newest = newest or (run, kept.plan)
    return newest


def _planned_targets(plan: PlanDocument, place: Place) -> list[_Known]:
    """Return the targets of a plan, dependencies first where the plan says so."""
    known = [
        _Known(each.name, each.target, place.output_of(plan, each.output_path), each.fingerprint,
               each.deps)
        for each in plan.decisions
    ]  # fmt: skip
    for pruned in plan.pruned:
        name = dependency_name(pruned.target)
        deps: tuple[str, ...] = ()
        try:
            deps = tuple(map(text, table(parse_json(pruned.payload)).get("deps") or ()))
        except (ValueError, TypeError):
            continue
        path = output_under(place.prefix, name, pruned.target)
        known.append(_Known(name, pruned.target, path, fingerprint_of(pruned.payload), deps))
    return [each for each in known if _is_legal(each)]


def _is_legal(known: _Known) -> bool:
    """Return whether a step may be called so: another program may have written the plan."""
    version = version_of(known.name, known.target)
    return name_problem(known.name) is None and (version is None or not version_problem(version))
