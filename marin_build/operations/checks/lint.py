"""Checks a pipeline for what is legal and probably a mistake; no store is read, nothing is run."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

from marin_build.engines.refused_steps import refused_steps
from marin_build.engines.registry import open_engine
from marin_build.errors import UsageError
from marin_build.operations.loading.loading import declare
from marin_build.operations.loading.second_load import WAY_OUT, difference_words, loading_again
from marin_build.pipeline.expansion import EVERY
from marin_build.pipeline.lint.findings import KINDS, Finding, LintKind, merged
from marin_build.pipeline.lint.rules import check_steps
from marin_build.pipeline.user_output import to_standard_error
from marin_build.plan.selection import select
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from marin_build.operations.loading.loading import Declared
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.plan.targets_diff import TargetDifference


@dataclass(frozen=True, slots=True)
class Linted:
    """What was found in a pipeline.

    Args:
        findings: by file and line.
        ignored: kind -> how many findings of it were silenced.
        steps: how many steps were checked.
        expansions: the names of expansions, which declare steps once others are built: they were
            not called, so these steps were not checked.
        project: the folder that places are shown from.

    """

    findings: tuple[Finding, ...]
    ignored: Mapping[LintKind, int]
    steps: int
    expansions: tuple[str, ...]
    project: str


def lint(
    options: PipelineOptions, selectors: Sequence[str] = (), ignore: Collection[str] = ()
) -> Linted:
    """Check a pipeline without its store: nothing of the prefix is read, and no input either.

    Args:
        options: name the pipeline. An engine that they name is the only one that is asked what it
            would refuse; else these are all that the configuration chooses or has a table for.
        selectors: the steps to check; none: all.
        ignore: kinds of findings to silence, beside those of the configuration.

    Raises:
        MarinBuildError: the pipeline cannot be loaded, here or a second time.
        UsageError: a kind or an engine is unknown, a selector selects nothing or asks for the
            state of the store.

    """
    options = replace(options, unbuilt=(EVERY,))  # an expansion needs what was built
    declared = declare(options, with_inputs=False)
    silent = _known_kinds([*ignore, *declared.settings.lint_ignore])
    targets = declared.targets
    chosen = select(targets, selectors) if selectors else range(len(targets))
    steps = [targets.all[index].step for index in chosen]
    found: list[Finding] = []
    with ExitStack() as stack:
        has_file = options.program is None or options.program.has_file
        again = None
        if has_file and "unsteady" not in silent:
            again = stack.enter_context(loading_again(declared, ["--without-inputs"]))
        with to_standard_error():  # values of the author's classes are asked
            found += check_steps(steps, declared.workspace)
            found += _refused(declared, options.engine, chosen)
        if again is not None:
            found += _unsteady(declared, again(), {step.name for step in steps})
    findings = merged(found)
    ignored = Counter(each.kind for each in findings if each.kind in silent)
    kept = tuple(each for each in findings if each.kind not in silent)
    expansions = tuple(each.name for each in targets.later)
    return Linted(kept, ignored, len(steps), expansions, declared.workspace.project)


def _known_kinds(ignore: Collection[str]) -> frozenset[str]:
    for kind in ignore:
        if kind not in KINDS:
            raise UsageError(
                f"lint finds nothing of the kind `{kind}`",
                facts=[("kinds", ", ".join(get_args(LintKind)))],
                consequence="nothing was checked",
                hint=did_you_mean(kind, KINDS),
            )
    return frozenset(ignore)


def _refused(declared: Declared, only: str | None, chosen: Sequence[int]) -> Iterator[Finding]:
    """Yield what the configured engines would refuse, or the one that was named."""
    settings = declared.settings
    names = [only] if only is not None else [settings.engine, *settings.engines]
    for name in dict.fromkeys(names):
        engine = open_engine(name, settings.engines)
        for step, error in refused_steps(engine, declared.targets, chosen):
            # The step's name stands before the finding, so that equal ones of a sweep are one.
            said = error.what.removeprefix(f"`{step.name}`: ").replace(f"`{step.name}`", "it")
            builder = engine.builder_of(step).name
            what = f"the engine `{builder}` refuses it: {said}"
            yield Finding("refused-by-engine", (step.name,), step.declared, what, error.hint)


def _unsteady(
    declared: Declared, differences: Sequence[TargetDifference], names: Collection[str]
) -> Iterator[Finding]:
    """Yield what is declared otherwise each time; of steps that are checked, or only there."""
    targets = declared.targets
    everything = {target.name for target in targets.all}
    for each in differences:
        name = (each.old or each.entry).name
        if name in names or name not in everything:
            old = targets.by_id.get(each.old.id) if each.old is not None else None
            file, _, line = each.entry.declared.rpartition(":")
            there = os.path.join(declared.workspace.project, file), int(line)
            place = targets.all[old].step.declared if old is not None else there
            what = f"another load declares it otherwise: {', '.join(difference_words(each))}"
            yield Finding("unsteady", (name,), place, what, WAY_OUT)
