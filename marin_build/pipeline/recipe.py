"""The identity of a step with a version and a recipe: the recipe's text, not its attributes.

Other dialects fingerprint a step's configuration themselves. Where a version gives the step its
path, that text is its identity here, so that plans name the values in it that changed.
"""

from __future__ import annotations

from typing import Any

from marin_build.identity.canonical import FrozenDict
from marin_build.untrusted_json import parse_json


def attributes_of_recipe(recipe: str) -> FrozenDict:
    """Return the JSON of a recipe as attributes; what is no object stands under `config`.

    NaN and infinity, which JSON does not have, become texts.

    Raises:
        ValueError: it is no JSON, or is nested too deeply.

    """
    value: Any = parse_json(recipe, constant=str)
    return FrozenDict(value if isinstance(value, dict) else {"config": value})


def has_chosen_path(step: Any) -> bool:
    """Return whether the author of a StepSpec chose its output path.

    Marin's steps with a version name their path although it is the one that ours have.
    """
    override = step.override_output_path
    if override is None:
        return False
    return not step.has_recipe or str(override) != f"{step.name}/{step.version}"


def recipe_problem(recipe: str) -> str | None:
    """Return why a text is no recipe, or None."""
    try:
        attributes_of_recipe(recipe)
    except ValueError as error:
        return f"with a version, `fingerprint_payload` is JSON: {error}"
    return None
