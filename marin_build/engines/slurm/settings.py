"""The settings of the engine `slurm`, from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from marin_build.engines.bundle_setting import BUNDLE_LIMIT, check_bundle_limit
from marin_build.errors import UsageError


@dataclass(frozen=True, slots=True)
class SlurmSettings:
    """`[tool.marin-build.slurm]`.

    Args:
        partition: where jobs run; None: the cluster's default partition.
        account: that jobs are charged to.
        qos: the quality of service.
        constraint: features that nodes must have, as `sbatch --constraint` takes them.
        reservation: that jobs may use.
        time_limit: minutes of a job whose step declares no time-out; None: the partition's own.
        program: the program that jobs run, found in their PATH or in the project.
        setup: lines of shell that a job runs before it, such as `module load cuda` or
            `. .venv/bin/activate`. The environment of the terminal is not passed on.
        options: further options of `sbatch`, such as `--exclusive` or `--mail-type=FAIL`.
        gpu_gres: what the cluster calls GPUs among its generic resources.
        tpu_gres: the same for the chips of a TPU.
        gpu_types: whether jobs ask for the declared type of GPU, or for any.
        requeue: whether Slurm starts a job again itself after a lost node or a preemption.
        max_jobs: how many jobs may wait or run at once.
        code_from: where jobs find the project's code: `project`, its folder, which all nodes see;
            or `bundle`, a copy of it under the prefix.
        bundle_limit: bytes that such a bundle may have.
        poll: seconds between two questions to the controller about all jobs.

    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    reservation: str | None = None
    time_limit: int | None = None
    program: str = "marin-build"
    setup: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    gpu_gres: str = "gpu"
    tpu_gres: str = "tpu"
    gpu_types: bool = True
    requeue: bool = True
    max_jobs: int = 1000
    code_from: Literal["project", "bundle"] = "project"
    bundle_limit: str = BUNDLE_LIMIT
    poll: float = 6.0

    def __post_init__(self) -> None:
        """Refuse what no `sbatch` could read."""
        for key in ("time_limit", "max_jobs", "poll"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                raise UsageError(f"the setting `slurm.{key}` is not a number above 0")
        check_bundle_limit("slurm", self.bundle_limit)
        for key in ("partition", "account", "qos", "constraint", "reservation"):
            _check_word(key, getattr(self, key))
        for option in self.options:
            _check_word("options", option)
            if not option.startswith("-"):
                raise UsageError(f"`{option}` in `slurm.options` is no option: it has no `-`")
        for line in self.setup:
            if "\n" in line or "\0" in line:
                raise UsageError("a line of `slurm.setup` is more than one line")


def is_sbatch_word(value: str) -> bool:
    """Return whether a value stays one word behind `#SBATCH`: sbatch splits it like a shell."""
    is_plain = value.isprintable() and value.isascii()
    return bool(value) and is_plain and not set(value) & set(" \"'\\#`$")


def _check_word(key: str, value: str | None) -> None:
    """Refuse what would not stay one word of an `#SBATCH` line, which has no safe quoting."""
    if value is not None and not is_sbatch_word(value):
        raise UsageError(f"the setting `slurm.{key}` cannot stand in a batch script: `{value}`")
