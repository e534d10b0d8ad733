"""`command(...)`: declare a step that runs a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from marin_build.canonical import FrozenDict
from marin_build.commands import Command, check_command
from marin_build.declared import declaring_place, shown_here
from marin_build.errors import refuse
from marin_build.step_spec import DeclaredStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.options import StepOptions
    from marin_build.sources import Source
    from marin_build.step_spec import StepSpec


def command(
    command: str | Sequence[str],
    *,
    name: str,
    deps: Mapping[str, StepSpec] | None = None,
    inputs: Mapping[str, Source] | None = None,
    params: Mapping[str, Any] | None = None,
    **options: Unpack[StepOptions],
) -> DeclaredStep:
    """Declare a step that runs a program.

    Args:
        command: a list of words, run as they are; or one string, run by `bash -euo pipefail`.
            `{output}`, `{dep}`, `{input}` and `{param}` are replaced, quoted; `{{x}}` is text.
        name: the step's name.
        deps: placeholder -> step; the placeholder becomes the step's output folder.
        inputs: placeholder -> source(...); it becomes the local path or URL.
        params: placeholder -> value; they are identity attributes as well.
        options: the fields of StepSpec that are not given by the above.

    Raises:
        SpecificationError: an unknown placeholder, or one that stands where it cannot be quoted.

    """
    deps, inputs, params = dict(deps or {}), dict(inputs or {}), dict(params or {})
    place = declaring_place()
    text = command if isinstance(command, str) else tuple(command)
    value = Command(text, FrozenDict(deps), FrozenDict(inputs), FrozenDict(params))
    for error in check_command(value, name, shown_here(place)):
        refuse(error)
    return DeclaredStep(
        name=name,
        fn=value,
        deps=tuple(deps.values()),
        inputs=inputs,
        hash_attrs=params,
        declared=place,
        **options,
    )
