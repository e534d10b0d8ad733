"""executor_main: the last line of an experiment file."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.arguments import ExecutorMainConfig, parse_arguments
from marin_build.compat.executor.executor import Executor
from marin_build.compat.executor.in_jobs import prefix_in_force

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.compat.executor.values import ExecutorStep, InputName


def run_experiment(
    config: ExecutorMainConfig,
    steps: Sequence[ExecutorStep[Any] | InputName],
    description: str | None = None,
    max_concurrent: int | None = None,
) -> None:
    """Build the steps of an experiment; no command line is read.

    Args:
        config: what the command line would say.
        steps: steps, or places in their outputs.
        description: of the experiment, for people.
        max_concurrent: steps that run at once; goes before the config.

    Raises:
        StepFailedError: a step failed.

    """
    prefix = prefix_in_force(config.prefix or None)
    Executor(prefix, config.executor_info_base_path, description).run(
        steps,
        dry_run=config.dry_run,
        run_only=config.run_only,
        force_run_failed=config.force_run_failed,
        max_concurrent=max_concurrent if max_concurrent is not None else config.max_concurrent,
    )


@functools.wraps(run_experiment)  # experiments with another command line call `__wrapped__`
def executor_main(*args: Any, **kwargs: Any) -> None:
    """Build the steps of an experiment, as its command line says.

    `executor_main(steps=[...], description=...)`. A config as the first argument stands for the
    command line, which is not read then.

    Args:
        args, kwargs: those of `run_experiment`, with a config or without.

    Raises:
        UsageError: an argument has an illegal value.
        StepFailedError: a step failed.

    """
    if not (args and isinstance(args[0], ExecutorMainConfig)) and "config" not in kwargs:
        args = (parse_arguments(sys.argv[1:]), *args)
    run_experiment(*args, **kwargs)
