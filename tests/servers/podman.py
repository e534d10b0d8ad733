"""Podman with a store and settings of its own; the host's root serves as the image."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .programs import answer_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def find_podman() -> bool:
    """Return whether containers can be run here: the programs are there, and we are root."""
    return os.geteuid() == 0 and all(map(shutil.which, ("podman", "runc")))


@dataclass(frozen=True)
class Podman:
    """Podman in a folder.

    Args:
        folder: its settings and its store.
        runroot: what it keeps while containers run.

    """

    folder: Path
    runroot: str

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to use it."""
        return {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
        }

    def write(self) -> None:
        """Write its settings."""
        (self.folder / "containers.conf").write_text(
            '[containers]\ncgroups = "enabled"\n'
            'default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]\n'
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        (self.folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\nrunroot = "{self.runroot}"\n'
            f'graphroot = "{self.folder}/graph"\n'
        )

    def call(self, *words: str) -> str:
        """Return what podman prints; empty if it fails."""
        return answer_of(["podman", *words], self.environment)


@contextmanager
def private_podman(folder: Path) -> Iterator[Podman]:
    """Use podman in a folder; at the end its containers are removed."""
    # Below a path of more than 50 characters podman never learns that a container has ended.
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as runroot:
        podman = Podman(folder, runroot)
        podman.write()
        try:
            yield podman
        finally:
            podman.call("rm", "--all", "--force", "--time", "0")
