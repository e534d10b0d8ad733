"""What a machine has, read from the files of a made-up one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build.observe.read_machine import read_machine

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30
MEMINFO = f"MemTotal:       {16 * GIB // 1024} kB\nMemFree:  1 kB\n"


def _write(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def test_a_machine_about_which_nothing_can_be_read_has_its_cores(tmp_path: Path) -> None:
    machine = read_machine({}, str(tmp_path))
    assert machine.cores == len(os.sched_getaffinity(0))
    assert (machine.ram, machine.gpus, machine.chips) == (None, (), 0)


@pytest.mark.parametrize(
    ("groups", "limits", "gib"),
    [
        ("", {}, 16),
        ("0::/\n", {}, 16),
        ("0::/a/b\n", {"a/memory.max": f"{4 * GIB}\n", "a/b/memory.max": "max\n"}, 4),
        ("0::/a/b\n", {"a/memory.max": "max", "a/b/memory.max": f"{2 * GIB}"}, 2),
        ("0::/a\n", {"a/memory.max": f"{64 * GIB}"}, 16),
        ("5:cpu,memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": f"{3 * GIB}"}, 3),
        ("4:memory:/a\n", {"memory/memory.limit_in_bytes": str(2**63 - 4096)}, 16),
        ("4:memory:/elsewhere:x\n", {"memory/memory.limit_in_bytes": f"{GIB}"}, 1),
        ("nonsense\n", {}, 16),
    ],
)
def test_memory_is_that_of_the_machine_or_of_its_control_group(
    tmp_path: Path, groups: str, limits: dict[str, str], gib: int
) -> None:
    """Else a container of 2 GiB is filled as if it were the whole host, and killed."""
    files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": groups}
    files |= {f"sys/fs/cgroup/{name}": text for name, text in limits.items()}
    assert read_machine({}, _write(tmp_path, files)).ram == gib * GIB


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [(None, ("0", "1")), ("", ()), ("1", ("1",)), ("3, GPU-7f,1", ("3", "GPU-7f", "1")),
     ("-1", ()), ("0,-1,1", ("0",)), ("NoDevFiles", ())],
)  # fmt: skip
def test_gpus_are_those_that_cuda_shows(
    tmp_path: Path, visible: str | None, gpus: tuple[str, ...]
) -> None:
    """Else a job of two GPUs on a shared machine takes the neighbour's."""
    names = ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm")
    root = _write(tmp_path, {f"dev/{name}": "" for name in names})
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert read_machine(environ, root).gpus == gpus


@pytest.mark.parametrize(
    ("names", "chips"),
    [(("accel0", "accel1", "accel10"), 3), (("vfio/0", "vfio/1", "vfio/vfio"), 2), ((), 0)],
)  # fmt: skip
def test_chips_of_a_tpu_are_counted(tmp_path: Path, names: tuple[str, ...], chips: int) -> None:
    root = _write(tmp_path, {f"dev/{name}": "" for name in names})
    assert read_machine({}, root).chips == chips
