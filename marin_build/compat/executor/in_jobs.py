"""Configs and output paths outside of an Executor: in a job that builds what its config needs."""

from __future__ import annotations

from typing import Any, TypeVar

from marin_build.compat.executor.config_walk import upstream_steps
from marin_build.compat.executor.errors import UnresolvedError
from marin_build.compat.executor.executor import Executor
from marin_build.compat.executor.instantiate import instantiate_config
from marin_build.compat.executor.values import ExecutorStep, OutputName
from marin_build.compat.executor.version import Versions
from marin_build.workspace.workspace import current_workspace

ConfigT = TypeVar("ConfigT")


def prefix_in_force(prefix: str | None = None) -> str:
    """Return a prefix that was given, else the one of the workspace in force."""
    return prefix if prefix is not None else current_workspace().prefix


def compute_output_path(
    name: str,
    config: Any,
    *,
    override_output_path: str | None = None,
    prefix: str | None = None,
) -> str:
    """Return the output path of a step with this name and config. Nothing is read or written.

    Args:
        name: the step's name.
        config: its config; may hold other steps.
        override_output_path: the path in place of the computed one.
        prefix: where outputs live; None: the prefix in force.

    """
    known = Versions(prefix_in_force(prefix))
    step = ExecutorStep(name, None, config, override_output_path=override_output_path)
    known.add(step)
    return known.output_paths[step]


def materialize(
    config: ConfigT, *, prefix: str | None = None, output_path: str | None = None
) -> ConfigT:
    """Build the steps that a config names, and return the config with their paths.

    Args:
        config: may hold steps, places and versioned values.
        prefix: where outputs live; None: the prefix in force.
        output_path: of the step whose config it is; None: `config.output_path`.

    Raises:
        TypeError: that is still a placeholder.
        StepFailedError: a step failed.

    """
    prefix = prefix_in_force(prefix)
    own = output_path if output_path is not None else getattr(config, "output_path", None)
    if isinstance(own, OutputName):
        raise UnresolvedError(
            f"`output_path` of the config is still an OutputName, {own!r}, not a path",
            hint="resolve it before the job starts, with resolve_local_placeholders",
        )
    paths: dict[ExecutorStep[Any], str] = {}
    if steps := upstream_steps(config):
        paths = Executor(prefix).run(steps)
    return instantiate_config(config, own, paths, prefix)
