"""Calls the function of an expansion as a pipeline's file is run: for the steps it returns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import (
    MarinBuildError,
    SpecificationError,
    SpecificationErrors,
    StoreAwayError,
    collected_errors,
    combined,
    refuse,
)
from marin_build.pipeline.caught_run import catching_runs
from marin_build.pipeline.expansion import expansions_in
from marin_build.pipeline.offered_steps import steps_in
from marin_build.pipeline.run_module import raised
from marin_build.pipeline.step_spec import StepSpec
from marin_build.pipeline.user_output import to_standard_error
from marin_build.workspace.workspace import current_workspace, noting_asked

if TYPE_CHECKING:
    from inspect import BoundArguments

    from marin_build.pipeline.expansion import Expanded, Expansion
    from marin_build.pipeline.load import Pipeline
    from marin_build.pipeline.offered_steps import Offered


def call_expansion(pipeline: Pipeline, found: Expanded) -> Pipeline:
    """Return a pipeline with the steps of an expansion, or with the error of its function.

    The workspace that the pipeline was loaded in must be in force, and all that the expansion
    needs must be built.

    Raises:
        StoreAwayError: the store gives no answer.

    """
    try:
        values = found.expansion.values()
        with noting_asked() as asked:
            offered = _offered(pipeline.file, found.expansion, values)
    except StoreAwayError:
        raise  # that says nothing about the expansion
    except MarinBuildError as error:
        return _with(pipeline, found, replace(found, error=_named(error, found.expansion)))
    steps = tuple(step for step in dict.fromkeys(offered) if isinstance(step, StepSpec))
    pipeline = _with(pipeline, found, replace(found, steps=steps))
    noted = (step for step in asked if isinstance(step, StepSpec))
    return replace(
        pipeline,
        expansions=(*pipeline.expansions, *expansions_in(offered, found.expansion)),
        asked=tuple(dict.fromkeys((*pipeline.asked, *noted))),
    )


def _with(pipeline: Pipeline, before: Expanded, now: Expanded) -> Pipeline:
    """Return a pipeline with something else known of one of its expansions."""
    return replace(
        pipeline, expansions=tuple(now if each is before else each for each in pipeline.expansions)
    )


def _offered(file: str, expansion: Expansion, values: BoundArguments) -> tuple[Offered, ...]:
    """Return what the function returns for its values.

    Raises:
        MarinBuildError: it raises, it returns something else than steps, or all that is wrong
            with these.

    """
    with collected_errors() as errors, to_standard_error(), catching_runs(file) as catcher:
        try:
            made = expansion.function(*values.args, **values.kwargs)
            if made is None and not catcher.has_caught:
                refuse(SpecificationError("it returned nothing, not [] for no steps"))
            offered = steps_in(made, f"`{expansion.name}`")
        except MarinBuildError as error:
            errors.append(error)
            offered = ()
        except BaseException as error:
            if catcher.has_caught:
                offered = steps_in(list(catcher.taken()), f"`{expansion.name}`")
            elif not isinstance(error, Exception | SystemExit):
                raise
            elif not errors:  # else the mistakes already found explain it
                raise raised(file, error, current_workspace()) from error
    if errors:
        raise combined(errors)
    return offered


def _named(error: MarinBuildError, expansion: Expansion) -> MarinBuildError:
    """Return an error that names the expansion it comes from, and what its values came from."""
    sources = ", ".join(f"`{step.name}`" for step in expansion.sources)
    errors = error.errors if isinstance(error, SpecificationErrors) else (error,)
    reasons = "\n".join(each.what for each in errors)
    return SpecificationError(
        f"the expansion `{expansion.name}` gives no steps for what {sources} returned",
        facts=[
            ("declared", expansion.place),
            ("reason", reasons),
            *(fact for each in errors for fact in each.facts if fact[0] != "reason"),
        ],
        consequence="none of its steps is built",
        hint="correct its function; or, if the value is wrong, build that again: "
        f"marin-build apply --force {expansion.sources[0].name}",
    )
