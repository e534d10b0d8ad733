"""Machines of the stand-in for TPU VMs: a startup script in a process namespace of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .programs import tied
from .slurm import wait_until

_SHUTDOWN = 60.0
"""Seconds between the SIGTERM of a shutdown and the end of a machine."""


@dataclass(eq=False)
class Machine:
    """One VM of a node.

    Args:
        folder: its disk.
        attributes: its metadata.
        environment: what its scripts find.

    """

    folder: Path
    attributes: dict[str, str]
    environment: dict[str, str]
    notes: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start it: it runs its startup script."""
        (self.folder / "tmp").mkdir(exist_ok=True)
        script = self.folder / "startup-script"
        script.write_text(self.attributes["startup-script"])
        isolated = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with (self.folder / "console").open("ab") as out:
            self._process = subprocess.Popen(
                tied([*isolated, "bash", str(script)]),
                cwd="/",
                env={
                    **self.environment,
                    "HOME": str(self.folder),
                    "TMPDIR": str(self.folder / "tmp"),
                    "STATE_DIRECTORY": str(self.folder),
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def shut_down(self) -> None:
        """Ask what runs on it to end, then stop it."""
        asked = self._processes()
        for pid in asked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with suppress(TimeoutError):
            wait_until(lambda: not asked & self._processes(), _SHUTDOWN)
        self.stop()

    def stop(self) -> None:
        """Stop it at once, and all that runs on it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _processes(self) -> set[int]:
        """Return the processes on it, but for its first."""
        if self._process is None or self._process.poll() is not None:
            return set()
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found = set()
        with suppress(OSError, IndexError):
            space = os.readlink(f"/proc/{children[0]}/ns/pid")
            for path in Path("/proc").iterdir():
                if path.name.isdigit() and path.name not in children:
                    with suppress(OSError):
                        if os.readlink(path / "ns/pid") == space:
                            found.add(int(path.name))
        return found
