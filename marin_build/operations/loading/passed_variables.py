"""Environment variables that a pipeline's file reads: parameters, which every worker is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.pipeline.program_surroundings import VARIABLE, is_parameter_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.operations.loading.config import Settings


def passed_variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the setting `pass_env` names, as parameters `env:NAME`.

    Args:
        settings: the configuration.
        environ: the environment; what it lacks is left out.

    Raises:
        UsageError: one is no name of a variable, or holds a secret, which a plan must not record.

    """
    if not settings.pass_env:
        return {}
    from marin_build.redaction import without_secrets

    found = {name: environ[name] for name in settings.pass_env if name in environ}
    plain = without_secrets(found, settings.secrets)
    for name in settings.pass_env:
        if not is_parameter_name(f"{VARIABLE}{name}") or (name in found and name not in plain):
            is_name = is_parameter_name(f"{VARIABLE}{name}")
            raise UsageError(
                f"the setting `pass_env` names `{name}`, "
                f"{'which holds a secret' if is_name else 'which no environment variable is'}",
                consequence="nothing was run",
                hint='a step reads it where it runs; or say `secrets = ["!NAME"]` if it is none'
                if is_name
                else None,
            )
    return {f"{VARIABLE}{name}": text for name, text in found.items()}
