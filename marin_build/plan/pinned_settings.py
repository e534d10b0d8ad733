"""How a step runs, apart from its identity and its code: a saved plan pins it. Pure."""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from marin_build.identity.canonical import freeze
from marin_build.pipeline.step_spec import StepSpec
from marin_build.protocol.provenance import variables_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.pipeline.resources import ResourceConfig


_NAMES = ("outputs", "retries", "timeout", "secrets", "budgets", "resumable", "detached")
_DEFAULTS = {
    field.name: field.default
    for field in fields(StepSpec)
    if field.name in _NAMES and field.default is not MISSING
}
_SECRET = "secret"  # noqa: S105 - it stands in the place of one


def pinned_settings(step: StepSpec) -> dict[str, Any]:
    """Return the settings of a step that are not the default, as JSON values.

    Environment variables are given as in records, by a digest of their value; of secrets there is
    only the name, because a secret may be another one each time.
    """
    found: dict[str, Any] = {
        name: freeze({name: value}, step.name)[name]
        for name, default in _DEFAULTS.items()
        if (value := getattr(step, name)) != default
    }
    if step.env_vars:
        digests = variables_of(step.env_vars, step.secrets)
        found["env_vars"] = {name: digests.get(name, _SECRET) for name in sorted(step.env_vars)}
    if step.resources is not None:
        found["resources"] = _resources(step.resources)
    return found


@lru_cache(maxsize=256)
def _resources(resources: ResourceConfig) -> Mapping[str, Any]:
    """Return resources as JSON values; many steps of a plan run on the same."""
    value: Mapping[str, Any] = freeze({"resources": resources}, "resources")["resources"]
    return value
