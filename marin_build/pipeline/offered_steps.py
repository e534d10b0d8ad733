"""The steps that a loaded pipeline offers, by the first way of offering some that is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from marin_build.errors import MarinBuildError, SpecificationError, UsageError
from marin_build.identity.callables import StandsForFunction
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.not_a_step import described, how_to_declare
from marin_build.pipeline.parameter_texts import plain_name
from marin_build.pipeline.parameters import parse_settings
from marin_build.pipeline.program_surroundings import own_parameters
from marin_build.pipeline.run_module import raised
from marin_build.pipeline.stands_for import StandsForLaterSteps, StandsForStep
from marin_build.pipeline.step_spec import StepSpec
from marin_build.text.readable import did_you_mean
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from marin_build.pipeline.caught_run import RunCatcher
    from marin_build.pipeline.locate import PipelineModule


_FUNCTION, _LIST = "pipeline", "targets"
_OFFERS = (StepSpec, StandsForStep, StandsForLaterSteps, StandsForFunction, list, tuple, dict)

Offered = StepSpec | StandsForLaterSteps
"""What a pipeline offers: steps, and expansions that return further ones once those are built."""


def offered_steps(
    made: ModuleType,
    module: PipelineModule,
    parameters: Mapping[str, str],
    catcher: RunCatcher,
    *,
    is_program: bool,
) -> tuple[Offered, ...]:
    """Return the steps and expansions of a module, in its order.

    These are the ways, and the first one counts that is there: what `-f` names, `pipeline()`,
    `targets`, the call that would run steps, and the steps among the module's variables.

    Args:
        made: the module, run.
        module: where it lies, and what of it is wanted.
        parameters: `--set` values as text.
        catcher: has the call that would run steps, if there was one, and catches another one.
        is_program: what the file does as a program counts, even if it has steps as variables.

    Raises:
        SpecificationError: what is offered is no step, or the file's own code failed.
        UsageError: it has nothing of the name that is wanted, or does not take the parameters.

    """
    wanted, own = module.wanted, own_parameters(parameters)
    if wanted is not None and not hasattr(made, wanted):
        raise _nothing_called(wanted, made, module)
    offered = getattr(made, wanted or _FUNCTION, None)
    if callable(offered) and not isinstance(offered, Offered | StandsForStep):
        return _called(offered, wanted or _FUNCTION, own, module.file, catcher)
    if wanted is not None or hasattr(made, _LIST):
        _refuse_parameters(own, module)
        return steps_in(getattr(made, wanted or _LIST), f"`{wanted or _LIST}`")
    has_run = catcher.has_caught
    has_steps = any(isinstance(value, Offered) for value in vars(made).values())
    if not has_run and (is_program or not has_steps):
        has_run = _run_as_program(made, catcher)
    if catcher.has_caught:
        return steps_in(list(catcher.taken()), "the call that runs steps")
    if not has_run:  # else the program has parsed its arguments itself
        _refuse_parameters(own, module)
    found = [step for value in vars(made).values() for step in _step_in(value)]
    return tuple(dict.fromkeys(found))


def _called(
    function: Any, name: str, parameters: Mapping[str, str], file: str, catcher: RunCatcher
) -> tuple[Offered, ...]:
    """Return the steps that a function of the pipeline returns, or would run."""
    values = parse_settings(function, parameters, file)
    try:
        return steps_in(function(**values), f"{name}()")
    except (MarinBuildError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if catcher.has_caught:
            return steps_in(list(catcher.taken()), f"{name}()")
        if isinstance(error, Exception | SystemExit):
            raise raised(file, error, current_workspace()) from error
        raise


def _run_as_program(made: ModuleType, catcher: RunCatcher) -> bool:
    """Run what a file does as a program; return whether it does anything."""
    if (file := getattr(made, "__file__", None)) is None:
        return False
    from marin_build.pipeline.main_guard import main_guard, run_guard

    if (code := main_guard(file)) is None:
        return False
    catcher.has_run = True
    run_guard(code, made, catcher)
    return True


def _refuse_parameters(parameters: Mapping[str, str], module: PipelineModule) -> None:
    """Refuse parameters, where nothing takes any."""
    if parameters:
        wanted = module.wanted
        raise UsageError(
            f"`{wanted or os.path.basename(module.file)}` takes no parameters",
            facts=[("given", ", ".join(sorted(map(plain_name, parameters))))],
            hint=f"declare them: def {wanted or _FUNCTION}(vocab: int = 8000)",
        )


def _step_in(value: Any) -> tuple[Offered, ...]:
    """Return the step that a value is or stands for, or the expansion, if any."""
    match value:
        case StepSpec() | StandsForLaterSteps():
            return (value,)
        case StandsForStep():
            return (value.lowered_step,)
    step: StepSpec | None = runtime_calls.step_of_marin(value)
    return () if step is None else (step,)


def _nothing_called(wanted: str, made: ModuleType, module: PipelineModule) -> UsageError:
    own = [
        name
        for name, value in vars(made).items()
        if not name.startswith("_")
        and (isinstance(value, _OFFERS) or getattr(value, "__module__", None) == made.__name__)
    ]
    return UsageError(
        f"the pipeline has no `{wanted}`",
        facts=[("file", module.file), ("it has", ", ".join(own) or "nothing")],
        consequence="nothing was run",
        hint=did_you_mean(wanted, own),
    )


def steps_in(value: Any, where: str) -> tuple[Offered, ...]:
    """Return the steps in what a function returned: one, or any nesting of lists and dicts.

    Args:
        value: what it returned; expansions may be among the steps.
        where: names it in the error.

    Raises:
        SpecificationError: something else is among them.

    """
    match value:
        case StepSpec() | StandsForLaterSteps():
            return (value,)
        case None:
            return ()
        case dict():
            return tuple(step for item in value.values() for step in steps_in(item, where))
        case list() | tuple() | set() | frozenset():
            return tuple(step for item in value for step in steps_in(item, where))
    if found := _step_in(value):
        return found
    if hasattr(value, "__next__"):
        return steps_in(list(value), where)
    raise SpecificationError(
        f"{where} gave {described(value)}, not a step",
        consequence="nothing was run",
        hint=how_to_declare(value),
    )
