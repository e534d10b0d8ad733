"""From the words of a user to outputs: by the pipeline, or by what lies under the prefix.

A word that names one identity (`report@latest`, `report_da69ccbb`) needs no pipeline. Any other
word is a selector of the pipeline. If that does not load, or declares no such step any more, a name
stands for the newest build of that name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, NotFoundError, StoppedError, UsageError
from marin_build.observe.read_builds import (
    StoredOutput,
    list_places,
    newest_first,
    read_begun,
    read_outputs,
)
from marin_build.operations.loading.place import open_place, refuse_drifted
from marin_build.pipeline.names import name_problem
from marin_build.plan.identity_words import identity_word
from marin_build.plan.later_selection import as_far_as_known
from marin_build.protocol.layout import output_under
from marin_build.quick_dataclass import dataclass
from marin_build.text.moments import moment_text
from marin_build.text.readable import printable, shortened, some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.loading.place import Place
    from marin_build.store.base import Store


_SHOWN = 5
"""How many builds an error names."""
_GLOB = "*?["


@dataclass(frozen=True, slots=True)
class FoundOutputs:
    """Outputs that a user asked for.

    Args:
        outputs: in the order of the pipeline; those that words named by identity come first.
        store: where they live.
        prefix: where outputs live by default.
        notes: why the pipeline was not asked, or did not know, in words; as a rule none.

    """

    outputs: tuple[StoredOutput, ...]
    store: Store
    prefix: str
    notes: tuple[str, ...] = ()


def find_outputs(options: PipelineOptions, words: Sequence[str]) -> FoundOutputs:
    """Find outputs; they need not be built.

    Args:
        options: name the pipeline and its prefix.
        words: selectors of the pipeline, and words that name one identity; none: the targets that
            the pipeline requests.

    Raises:
        MarinBuildError: the pipeline does not load, and no build stands for a word.
        UsageError: a word selects nothing.
        StoreError: the store cannot be read.

    """
    place = open_place(options)
    named: list[StoredOutput] = []
    rest: list[str] = []
    for word in words:
        found = stored_identity(place, word)
        if found is not None:
            named.append(found)
        else:
            rest.append(word)
    if words and not rest:
        return FoundOutputs(tuple(named), place.store, place.prefix)
    declared = _declared(options, place, rest)
    return replace(declared, outputs=(*named, *declared.outputs))


def find_output(options: PipelineOptions, word: str) -> tuple[StoredOutput, FoundOutputs]:
    """Find one output; the arguments and errors are those of `find_outputs`."""
    found = find_outputs(options, [word])
    if len(found.outputs) != 1:
        raise UsageError(
            f"`{word}` stands for {len(found.outputs)} targets; one is shown at a time",
            hint=f"marin-build path {word}",
        )
    return found.outputs[0], found


def stored_identity(place: Place, word: str) -> StoredOutput | None:
    """Return the output that a word names by identity; None if only the pipeline can know it.

    Raises:
        NotFoundError: it asks for what was built, and nothing like it was.
        UsageError: it may stand for several runs.

    """
    identity = identity_word(word)
    if identity is None:
        return None
    name = identity.name
    path = output_under(place.prefix, name, word)
    (exact,) = read_outputs(place.store, [(name, word, path)])
    if exact.status is not None:
        return exact
    if not (identity.is_latest or identity.is_run):
        return None
    builds = [output for output in read_begun(place.store, place.prefix, name) if output.is_built]
    if identity.is_run:
        run = identity.which or ""
        builds = [o for o in builds if o.built is not None and o.built.run.startswith(run)]
    if identity.is_latest and builds:
        return builds[0]
    runs = {output.built.run for output in builds if output.built is not None}
    if identity.is_run and len(builds) == 1:
        return builds[0]
    if identity.is_run and len(runs) > 1:
        raise UsageError(
            f"`{word}` may stand for {len(runs)} runs",
            facts=[("runs", ", ".join(sorted(runs)[:_SHOWN]))],
            hint="write more digits of the run",
        )
    in_plan = _in_plan_of_run(place, name, identity.which or "") if identity.is_run else None
    if in_plan is not None:
        return in_plan
    raise _not_built(place, word, name)


def _in_plan_of_run(place: Place, name: str, start: str) -> StoredOutput | None:
    """Return the output of a name that a run reused, or that was built again since.

    None if no single run begins so, or its plan does not show such an output.
    """
    from marin_build.apply.run_folder import find_runs, kept_runs

    runs = [run for run in kept_runs(place.store, place.prefix) if run.startswith(start)]
    if len(runs) != 1:
        return None
    try:
        found = find_runs(place.store, place.prefix, runs)
    except StoppedError:  # a damaged plan answers nothing
        return None
    targets = [
        (each.name, each.target, place.output_of(run.plan, each.output_path))
        for run in found.values()
        for each in run.plan.decisions
        if each.name == name
    ]
    return read_outputs(place.store, targets)[0] if len(targets) == 1 else None


def _not_built(place: Place, word: str, name: str) -> NotFoundError:
    begun = read_begun(place.store, place.prefix, name)
    builds = [output for output in begun if output.is_built]
    shown = [
        f"{o.target}, {moment_text(o.end, 'minutes')}" + (f", run {o.built.run}" if o.built else "")
        for o in builds[:_SHOWN]
    ]
    more = [f"and {len(builds) - _SHOWN} more"] if len(builds) > _SHOWN else []
    return NotFoundError(
        f"no build is called `{word}`",
        facts=[
            ("looked in", place.prefix),
            (f"builds of `{name}`", "\n".join(map(printable, shown + more)) or "none"),
        ],
        hint="outputs lie where they were built: see --prefix" if not builds else None,
    )


def _declared(options: PipelineOptions, place: Place, words: Sequence[str]) -> FoundOutputs:
    """Return the outputs that the pipeline's selectors select."""
    from marin_build.operations.loading.kept_analysis import load_to_read
    from marin_build.operations.planning.choose_targets import choose

    try:
        loaded = load_to_read(options, only=words[0] if len(words) == 1 else None, needed=words)
    except MarinBuildError as error:
        if not place.is_pipelines(error):
            raise
        refuse_drifted(words, error)
        return _by_name(place, words, first_line(error), error)
    try:
        chosen = choose(loaded, words)
    except NotFoundError as error:
        why = f"the pipeline declares no `{' '.join(words)}` now"
        return _by_name(place, words, as_far_as_known(why, loaded.targets), error)
    every = loaded.targets.all
    places = [(every[i].name, every[i].id, every[i].output_path) for i in chosen]
    outputs = read_outputs(loaded.store, places)
    return FoundOutputs(tuple(outputs), loaded.store, place.prefix)


def _by_name(place: Place, words: Sequence[str], why: str, error: MarinBuildError) -> FoundOutputs:
    """Return the newest output of each name, from records alone.

    Raises:
        MarinBuildError: `error`, which kept the pipeline from answering; a word is no name, or
            nothing of that name was ever begun.

    """
    outputs: list[StoredOutput] = []
    for word in words:
        newest = newest_builds(place, word)
        if not newest:
            raise error
        outputs += newest
    if not outputs:
        raise error
    ids = some_of([output.target for output in outputs])
    are = "is the newest of its name" if len(outputs) == 1 else "are the newest of their names"
    note = f"{why}; by the records {ids} {are}"
    return FoundOutputs(tuple(outputs), place.store, place.prefix, (note,))


def newest_builds(place: Place, word: str) -> list[StoredOutput]:
    """Return the newest output of a name, or of each name that a glob matches.

    Raises:
        StoreError: the store cannot be read.

    """
    store, prefix = place.store, place.prefix
    if name_problem(word) is None:
        return read_begun(store, prefix, word)[:1]
    if not any(sign in word for sign in _GLOB):
        return []
    from marin_build.observe.list_names import list_names

    by_name: dict[str, list[StoredOutput]] = {}
    for output in read_outputs(store, list_places(store, prefix, list_names(store, prefix, word))):
        if output.status is not None:
            by_name.setdefault(output.name, []).append(output)
    return [output for outputs in by_name.values() for output in newest_first(outputs)[:1]]


def first_line(error: MarinBuildError) -> str:
    """Return what an error says first, on one line of a bounded length."""
    return shortened(printable(error.what.splitlines()[0]), 200) if error.what else "no reason"
