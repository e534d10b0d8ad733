"""Running one command: its time, its peak memory, how it ended; nothing stays behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SPAWN = Path(__file__).with_name("spawn.py")
GRACE_SECONDS = 2.0
"""How long processes that outlive their command may take to end by themselves."""
PR_SET_CHILD_SUBREAPER = 36
"""From linux/prctl.h."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program (absolute path first), where it runs, and what it gets beside our environment."""

    argv: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run. `status` is the exit code, or minus the signal; `complaint` is its stderr."""

    seconds: float
    peak_bytes: int
    status: int
    timed_out: bool
    complaint: str

    @property
    def problem(self) -> str | None:
        """Why this run does not count, without any path; None if it counts."""
        if self.timed_out:
            return f"stopped after {self.seconds:.0f} s (time-out)"
        if self.status == 0:
            return None
        if self.status < 0:
            return f"died of {signal.Signals(-self.status).name}"
        return f"failed with exit code {self.status}{_gist(self.complaint)}"


def run(command: Command, timeout: float) -> Outcome:
    """Run a command with stdout to /dev/null and wait for it, at most `timeout` seconds."""
    home = command.folder / "home"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(home), **command.environment}
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        environment.pop(variable, None)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or each run compiled all that it imports
    os.sync()  # what an earlier run wrote is not to be written back during this one
    with tempfile.NamedTemporaryFile(prefix="stderr-", dir=home) as complaints:
        argv = [sys.executable, "-I", "-S", str(SPAWN), str(timeout), complaints.name]
        wrapper = subprocess.Popen(
            [*argv, *command.argv],
            cwd=command.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            line, trouble = wrapper.communicate()
        except BaseException:
            wrapper.terminate()
            wrapper.wait()
            raise
        finally:
            _end_leftovers()
        if wrapper.returncode != 0:
            raise RuntimeError(f"cannot spawn `{command.argv[0]}`: {trouble}")
        seconds, peak_kib, status, timed_out = line.split()
        return Outcome(
            seconds=float(seconds),
            peak_bytes=int(peak_kib) * 1024,
            status=int(status),
            timed_out=timed_out == "1",
            complaint=complaints.read().decode(errors="replace"),
        )


def adopt_orphans() -> None:
    """Make this process the parent of every orphan below it, so that none can slip away."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_leftovers() -> None:
    """Wait for the orphans a command has left, then kill those that do not end."""
    deadline = time.monotonic() + GRACE_SECONDS
    while True:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended:
            continue
        if time.monotonic() > deadline:
            for child in _children():
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def _children() -> Iterator[int]:
    """Yield the processes whose parent is this one."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(after_name[1]) == os.getpid():
                    yield int(entry.name)


def _gist(complaint: str) -> str:
    """Return the most telling words of an error output, shortened, or nothing."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()][:2] or lines[-1:]
    words = " ".join(word for word in " ".join(telling).split() if "/" not in word)
    return f": {words[:120]}" if words else ""
