"""Secrets that stand where they would be written: in attributes, commands, parameters. Pure."""

from __future__ import annotations

import functools
import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError
from marin_build.pipeline.parameter_texts import is_json, plain_name
from marin_build.pipeline.program_surroundings import VARIABLE
from marin_build.pipeline.recipe import attributes_of_recipe
from marin_build.text.secret_shapes import forms_in, is_called_secret, masked_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.pipeline.step_spec import StepSpec


_DEEPEST = 100
_SHORT = 100
"""Characters of the longest texts of which is remembered what they hold."""
_MAY_HOLD = (str, dict, list, tuple)
"""Values that texts may be in; most are numbers, and are passed by."""


def secrets_of_step(step: StepSpec, declared: Sequence[str] = ()) -> list[SpecificationError]:
    """Return an error for each secret that the documents and scripts of a step would hold.

    Args:
        step: the step.
        declared: patterns of the configuration; `!NAME` says that what is called so is no secret.

    """
    allowed = [each[1:] for each in (*declared, *step.secrets) if each.startswith("!")]
    texts: list[tuple[str, Any]] = [("attrs", step.hash_attrs)] if step.hash_attrs else []
    if step.has_recipe:
        texts.append(("config", attributes_of_recipe(step.fingerprint_payload or "")))
    else:
        texts.append(("fingerprint_payload", step.fingerprint_payload or ""))
    if (command := step.command_text) is not None:
        texts.append(("command", command))
    texts += [(f"inputs.{key}", source.location) for key, source in step.inputs.items()]
    texts += [("output", str(step.override_output_path or "")), ("description", step.description)]
    found = [
        each for path, value in texts if value for each in _found(value, path, path, allowed, 0)
    ]
    return [
        SpecificationError(
            f"`{step.name}.{path}` holds {what}",
            facts=[("declared", step.place)],
            consequence="nothing was run, and nothing was written",
            hint=f'hand on a reference, Secret("env:NAME"), or say `secrets = ["!{name}"]` in the '
            "configuration if it is none",
        )
        for path, name, what in dict.fromkeys(found)
    ]


def secrets_of_parameters(
    parameters: Mapping[str, str], declared: Sequence[str] = ()
) -> list[SpecificationError]:
    """Return an error for each `--set` value that is a secret."""
    allowed = [each[1:] for each in declared if each.startswith("!")]
    return [
        SpecificationError(
            f"`--set {path}=...` holds {what}",
            consequence="nothing was written",
            hint=f"declare `{path}: Secret[str]`, and give a reference: --set {path}=env:NAME",
        )
        for name, value in parameters.items()
        for path, _, what in _in_parameter(name, value, allowed)
    ]


def _in_parameter(name: str, text: str, allowed: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    plain = plain_name(name)
    value = json.loads(text) if is_json(name) else text
    return _found(value, plain, plain.removeprefix(VARIABLE), allowed, 0)


def _found(
    value: Any, path: str, name: str, allowed: Sequence[str], depth: int
) -> Iterator[tuple[str, str, str]]:
    """Yield where secrets stand in a value: the path, the last name in it, and its form."""
    match value:
        case str():
            form = (_known_form if len(value) <= _SHORT else _form)(name, value)
            if form is not None and not _is_allowed(path, name, allowed):
                yield path, name, form
        case dict() if depth < _DEEPEST:
            for key, item in value.items():
                shown, form = _shown_key(str(key))
                if form is not None and not _is_allowed(path, name, allowed):
                    yield f"{path}.{shown}", name, form
                if isinstance(item, _MAY_HOLD):
                    yield from _found(item, f"{path}.{shown}", shown, allowed, depth + 1)
        case list() | tuple() if depth < _DEEPEST:
            for i, item in enumerate(value):
                if isinstance(item, _MAY_HOLD):
                    yield from _found(item, f"{path}[{i}]", name, allowed, depth + 1)


def _form(name: str, text: str) -> str | None:
    """Return what secret a text is or holds, by its form or by what it is called; None: none."""
    if (form := next(forms_in(text), None)) is not None:
        return form
    return "what is called a secret" if is_called_secret(name, text) else None


_known_form = functools.lru_cache(maxsize=1024)(_form)
"""The same; the steps of a sweep share most of their texts."""


@functools.lru_cache(maxsize=1024)  # the steps of a pipeline mostly share their keys
def _shown_key(key: str) -> tuple[str, str | None]:
    """Return a key without what has the form of a secret, and that form if it has one."""
    return masked_text(key), next(forms_in(key), None)


def _is_allowed(path: str, name: str, allowed: Sequence[str]) -> bool:
    """Return whether the author says that what is at a path, or is called so, is no secret."""
    return any(fnmatchcase(name, each) or fnmatchcase(path, each) for each in allowed)
