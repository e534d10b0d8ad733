"""What this machine has for steps: cores, memory, accelerators."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.plan.capacity import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


VISIBLE = "CUDA_VISIBLE_DEVICES"
_GPU = re.compile(r"nvidia[0-9]+")
_CHIP = re.compile(r"accel[0-9]+")
_VFIO = re.compile(r"[0-9]+")


def read_machine(environ: Mapping[str, str], root: str = "/") -> Machine:
    """Return what this machine has.

    Args:
        environ: the environment: CUDA_VISIBLE_DEVICES limits the GPUs, as it does for CUDA.
        root: the folder that holds `dev`, `proc` and `sys`.

    """
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        ram=_ram(root),
        gpus=_gpus(environ, root),
        chips=len(_named(f"{root}/dev", _CHIP)) or len(_named(f"{root}/dev/vfio", _VFIO)),
    )


def _gpus(environ: Mapping[str, str], root: str) -> tuple[str, ...]:
    """Return the names of the GPUs that CUDA shows here."""
    if (visible := environ.get(VISIBLE)) is None:
        return tuple(map(str, range(len(_named(f"{root}/dev", _GPU)))))
    names = [name.strip() for name in visible.split(",")]
    shown = []
    for name in names:
        if not name or name.startswith("-") or name == "NoDevFiles":
            break  # CUDA hides this one and all behind it
        shown.append(name)
    return tuple(shown)


def _named(folder: str, pattern: re.Pattern[str]) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if pattern.fullmatch(name)]
    except OSError:
        return []


def _ram(root: str) -> int | None:
    """Return the bytes of memory that may be used; None if that cannot be read."""
    limits = list(_cgroup_limits(root))
    with suppress(OSError, IndexError, ValueError):
        text = _read(f"{root}/proc/meminfo")
        limits.append(int(text.partition("MemTotal:")[2].split()[0]) * 1024)
    return min(limits, default=None)


def _cgroup_limits(root: str) -> Iterator[int]:
    """Yield the limits of memory of the control groups that this process is in, v1 and v2."""
    try:
        lines = _read(f"{root}/proc/self/cgroup").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            base, file = f"{root}/sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            base, file = f"{root}/sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):  # the limits of all groups above hold, too
            with suppress(OSError, ValueError):  # "max": there is none
                yield int(_read("/".join([base, *parts[:depth], file])))


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()
