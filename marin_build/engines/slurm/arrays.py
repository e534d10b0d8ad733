"""Arrays: many batch scripts of one shape, submitted to Slurm by one request. Pure.

A task of an array has no name of its own in Slurm. So the script of the array says which task is
which job, and Slurm keeps that script: `scontrol write batch_script` reads it on any machine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from marin_build.plan.plan_id import text_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.engines.jobs import JobRequest

ARRAY = "mb-array-"
"""How the names of arrays begin."""
_LARGEST = 256 << 10
"""Bytes of a script: Slurm sends all of it to the node of each task."""
_MOST = 1000
"""Tasks of one array; Slurm's own limit, MaxArraySize, is 1001 unless a site says otherwise."""
_SHELL = re.compile(r"#!\S*(?:/|\s)(?:ba|da|k|z)?sh(?:\s|$)")
_OWN = ("#SBATCH --job-name=", "#SBATCH --comment=")
"""The lines in which scripts of one shape differ."""
_TASK = re.compile(r"^# task (\d+): (\S+)$", re.MULTILINE)
_Shape: TypeAlias = "tuple[str, ...]"


def batches_of(jobs: Iterable[JobRequest]) -> list[list[JobRequest]]:
    """Return jobs in groups that one request can submit: of one shape, and after the same jobs."""
    found: list[list[JobRequest]] = []
    open_: dict[tuple[_Shape, tuple[str, ...]], tuple[list[JobRequest], int]] = {}
    for job in jobs:
        shape = shape_of(job.spec)
        group, size = open_.get((shape, job.after), ([], 0)) if shape else ([], 0)
        size += len(job.spec.encode())
        if not group or size > _LARGEST or len(group) == _MOST:
            group, size = [], len(job.spec.encode())
            found.append(group)
        group.append(job)
        open_[shape, job.after] = group, size
    return found


def shape_of(script: str) -> _Shape:
    """Return what scripts must have in common to be tasks of one array; empty: it can be in none.

    These are the shell that runs them, and the options that Slurm reads: `#SBATCH` lines before the
    first command.
    """
    shell, *lines = script.splitlines()[: _header_of(script)]
    options = [line for line in lines if line.startswith("#SBATCH") and not line.startswith(_OWN)]
    if not _SHELL.match(shell) or any(
        word.startswith("--array") for word in " ".join(options).split()
    ):
        return ()
    return (shell, *options)


def array_name(names: Sequence[str]) -> str:
    """Return the name of the array of these jobs: the same for the same jobs, always."""
    return f"{ARRAY}{text_digest(chr(10).join(names))[:16]}"


def array_script(jobs: Sequence[JobRequest]) -> str:
    """Return the script of an array of jobs of one shape: a task runs the script of one of them."""
    shell, *options = shape_of(jobs[0].spec)
    lines = [shell, *options, "# Each task of this array runs the batch script of one step."]
    lines += [f"# task {number}: {job.name}" for number, job in enumerate(jobs)]
    lines.append('case "$SLURM_ARRAY_TASK_ID" in')
    for number, job in enumerate(jobs):
        own = [line for line in job.spec.splitlines()[1:] if not line.startswith("#SBATCH")]
        lines += [f"{number})", *own, ";;"]
    return "\n".join([*lines, "esac", ""])


def jobs_in(script: str) -> tuple[str, ...]:
    """Return the names of the jobs in the script of an array, in the order of its tasks."""
    header = "\n".join(script.splitlines()[: _header_of(script)])
    found = _TASK.findall(header)
    if [int(number) for number, _ in found] != list(range(len(found))):
        return ()
    return tuple(name for _, name in found)


def _header_of(script: str) -> int:
    """Return how many lines Slurm reads options from: comments and empty lines."""
    lines = script.splitlines()
    ends = (i for i, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    return next(ends, len(lines))
