"""Docker with a daemon of its own; the programs of this machine are mounted into an empty image.

The daemon ends with the test process, even if it is killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .programs import CHECKOUT, answer_of, tied
from .slurm import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "empty:1"
_UP_WITHIN = 240.0
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def find_docker() -> bool:
    """Return whether docker can be run here: the programs are there, and we are root."""
    return os.geteuid() == 0 and all(
        shutil.which(name, path=_PATH) for name in ("dockerd", "docker", "containerd", "runc")
    )


def volumes() -> list[str]:
    """Return what makes the empty image one with marin-build: this machine's, and no writing."""
    system = [path for path in ("/usr", "/bin", "/lib", "/lib64") if os.path.isdir(path)]
    python = [str(Path(path).resolve()) for path in (sys.base_prefix, sys.prefix, CHECKOUT)]
    found: list[str] = []
    for path in [*system, *python]:
        if not any(Path(path).is_relative_to(other) for other in found):
            found.append(path)
    return [f"{path}:{path}:ro" for path in found]


@dataclass(frozen=True)
class Docker:
    """Docker in a folder."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to use it."""
        return {"DOCKER_HOST": f"unix://{self.folder}/socket"}

    def call(self, *words: str) -> str:
        """Return what docker prints; empty if it fails."""
        return answer_of(["docker", *words], self.environment)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the daemon, without any network, and make the image."""
        words = [f"--{name}={self.folder}/{name}" for name in ("data-root", "exec-root", "pidfile")]
        words += [f"--host=unix://{self.folder}/socket", "--bridge=none", "--iptables=false"]
        words += ["--ip-forward=false", "--ip-masq=false"]
        with (self.folder / "log").open("ab") as log:
            daemon = subprocess.Popen(
                tied(["dockerd", *words]),
                env={**os.environ, "PATH": _PATH},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(lambda: self.call("version", "--format", "{{.Server.Version}}"), _UP_WITHIN)
            (self.folder / "root").mkdir()
            tar = self.folder / "root.tar"
            subprocess.run(["tar", "-C", self.folder / "root", "-cf", tar, "."], check=True)
            assert self.call("import", str(tar), IMAGE)
        except BaseException:
            _end(daemon)
            raise
        return daemon


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(_UP_WITHIN)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


@contextmanager
def private_docker(folder: Path) -> Iterator[Docker]:
    """Run docker in a folder; at the end its containers are removed."""
    docker = Docker(folder)
    daemon = docker.start()
    try:
        yield docker
    finally:
        if left := docker.call("ps", "--all", "--quiet").split():
            docker.call("rm", "--force", *left)
        _end(daemon)
