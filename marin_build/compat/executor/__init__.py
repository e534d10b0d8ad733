"""Marin's executor as it was until the summer of 2026: steps that are functions of configs.

A step is lowered onto a StepSpec (`lowering.py`); from there on it is planned, built and explained
like any other. What Marin infers about regions on Iris is not part of it: resources say where a
step runs.
"""

from marin_build.compat.executor.arguments import ExecutorMainConfig
from marin_build.compat.executor.config_walk import (
    Dependencies,
    InputNameEvent,
    VersionedEvent,
    collect_dependencies_and_version,
    upstream_steps,
    walk_config,
)
from marin_build.compat.executor.executor import Executor
from marin_build.compat.executor.in_jobs import compute_output_path, materialize
from marin_build.compat.executor.instantiate import (
    instantiate_config,
    resolve_local_placeholders,
    unwrap_versioned_value,
)
from marin_build.compat.executor.json_encoder import CustomJsonEncoder
from marin_build.compat.executor.lifting import as_executor_step
from marin_build.compat.executor.main import executor_main
from marin_build.compat.executor.records import (
    ExecutorInfo,
    ExecutorStepInfo,
    asdict_without_description,
    function_name,
    info_path,
)
from marin_build.compat.executor.resolve import resolve_executor_step
from marin_build.compat.executor.values import (
    THIS_OUTPUT_PATH,
    ExecutorStep,
    InputName,
    MirroredValue,
    OutputName,
    VersionedValue,
    ensure_versioned,
    get_executor_step,
    mirrored,
    output_path_of,
    this_output_path,
    versioned,
)

# Under the names that Marin has for them.
_Dependencies = Dependencies
_get_info_path = info_path
get_fn_name = function_name

__all__ = [
    "THIS_OUTPUT_PATH",
    "CustomJsonEncoder",
    "Dependencies",
    "Executor",
    "ExecutorInfo",
    "ExecutorMainConfig",
    "ExecutorStep",
    "ExecutorStepInfo",
    "InputName",
    "InputNameEvent",
    "MirroredValue",
    "OutputName",
    "VersionedEvent",
    "VersionedValue",
    "as_executor_step",
    "asdict_without_description",
    "collect_dependencies_and_version",
    "compute_output_path",
    "ensure_versioned",
    "executor_main",
    "get_executor_step",
    "get_fn_name",
    "instantiate_config",
    "materialize",
    "mirrored",
    "output_path_of",
    "resolve_executor_step",
    "resolve_local_placeholders",
    "this_output_path",
    "unwrap_versioned_value",
    "upstream_steps",
    "versioned",
    "walk_config",
]
