"""executor_main: the last line of an experiment file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.arguments import ExecutorMainConfig, parse_arguments
from marin_build.compat.executor.executor import Executor
from marin_build.compat.executor.in_jobs import experiments_folder, prefix_in_force

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.compat.executor.values import ExecutorStep, InputName


def executor_main(*args: Any, **kwargs: Any) -> None:
    """Build the steps of an experiment, as its command line says.

    `executor_main(steps=[...], description=...)`. A config as the first argument stands for the
    command line, which is not read then.

    Args:
        config: an ExecutorMainConfig, or nothing.
        steps: steps, or places in their outputs.
        description: of the experiment, for people.
        max_concurrent: steps that run at once; goes before the command line.

    Raises:
        UsageError: an argument has an illegal value.
        StepFailedError: a step failed.

    """
    if args and isinstance(args[0], ExecutorMainConfig):
        config, *args = args  # type: ignore[assignment]
    elif isinstance(kwargs.get("config"), ExecutorMainConfig):
        config = kwargs.pop("config")
    else:
        config = parse_arguments(sys.argv[1:])
    _run(config, *args, **kwargs)


def _run(
    config: ExecutorMainConfig,
    steps: Sequence[ExecutorStep[Any] | InputName],
    description: str | None = None,
    max_concurrent: int | None = None,
) -> None:
    prefix = prefix_in_force(config.prefix or None)
    base = config.executor_info_base_path
    executor = Executor(
        prefix, base if base is not None else experiments_folder(prefix), description
    )
    executor.run(
        steps,
        dry_run=config.dry_run,
        run_only=config.run_only,
        force_run_failed=config.force_run_failed,
        max_concurrent=max_concurrent if max_concurrent is not None else config.max_concurrent,
    )
