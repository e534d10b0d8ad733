"""What a value is that stands where a step is wanted, and how its author gets a step from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.identity.callables import StandsForFunction
from marin_build.pipeline.output_file import OutputFile
from marin_build.pipeline.source import Source
from marin_build.pipeline.stands_for import StandsForLaterSteps

if TYPE_CHECKING:
    from collections.abc import Mapping


def described(value: object) -> str:
    """Return what a value is, with an article: `the step function `words``, `a str`."""
    match value:
        case StandsForFunction():
            return f"the step function `{_name(value.code_function)}`"
        case StandsForLaterSteps():
            return f"the expansion `{_name(value)}`"
        case type():
            return f"the class `{value.__name__}`"
        case Source():
            return f"the source `{value.name}`"
        case OutputFile(step=step, path=path):
            return f"the file `{path}` of the step `{step.name}`"
        case str():
            return f"the text {value!r}"
        case _ if callable(value) and hasattr(value, "__name__"):
            return f"the function `{_name(value)}`"
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"


def how_to_declare(value: object) -> str | None:
    """Return how to get a step from a value that is none; None if that is not known."""
    match value:
        case StandsForFunction():
            return f"call it: `{_name(value.code_function)}()`"
        case StandsForLaterSteps():
            return (
                f"its steps are not known yet: declare what needs them in the function of "
                f"`{_name(value)}`, and return it from there"
            )
        case type():
            return None
        case Source():
            return "a source is an input of a step: give it to one as an argument"
        case OutputFile():
            return "a file is an argument of another step; name the step itself here"
        case list() | tuple() | dict() | set() | frozenset():
            return "give the steps in one list: `[*some, *others]`"
        case str():
            return "a step is meant by the value that declares it: `words()`, `StepSpec(...)`"
        case _ if callable(value) and hasattr(value, "__name__"):
            name = _name(value)
            return f"call it, if it returns steps: `{name}()`; `@step` makes a function declare one"
    return None


def none_declared(names: Mapping[str, object], wanted: str | None, *, has_run: bool) -> str:
    """Return what to do about a pipeline without steps.

    Args:
        names: its variables.
        wanted: the function or list that `-f` names.
        has_run: whether the file was run as a program, and that ran no steps.

    """
    if has_run:
        return (
            "as a program it ran no steps: if an option makes it run them, give it that one: "
            "`--set run=` stands for --run"
        )
    if wanted is not None:
        return f"return steps from `{wanted}()`"
    for value in names.values():
        if isinstance(value, StandsForFunction):
            name = _name(value.code_function)
            return f"`{name}` declares a step when it is called: targets = [{name}()]"
    return "return steps from `pipeline()`, or list them in `targets`"


def _name(function: object) -> str:
    return str(getattr(function, "__name__", None) or getattr(function, "name", "function"))
