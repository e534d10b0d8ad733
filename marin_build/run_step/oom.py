"""Whether the kernel killed a process because memory ran out: it counts such kills.

`oom_kill` in /proc/vmstat counts those of the whole machine, of every control group, too. So what
somebody else killed while memory ran out elsewhere is taken for one of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.exit_meaning import KILLED

if TYPE_CHECKING:
    from marin_build.run_step.body import Done

VMSTAT = "/proc/vmstat"
UNKNOWN = " (out of memory, or killed by somebody)"
"""What is said of a kill about which nothing more is known."""
_FIELD = b"\noom_kill "


class OomKills:
    """The kernel's count, as it was when a process began, to be asked when that was killed."""

    def __init__(self, path: str = VMSTAT) -> None:
        self._path = path
        self._before = self._read()

    def since(self) -> bool | None:
        """Return whether the kernel killed anything for memory; None: that cannot be read."""
        now = self._read()
        return None if now is None or self._before is None else now > self._before

    def _read(self) -> int | None:
        try:
            with open(self._path, "rb") as stream:
                text = stream.read()
        except OSError:
            return None
        value = text.partition(_FIELD)[2].partition(b"\n")[0]
        return int(value) if value.isdigit() else None


def explained(done: Done, kills: OomKills) -> Done:
    """Return how a body ended, and why it or a program it ran was killed, where that is known."""
    if done.exit_code != KILLED or (for_memory := kills.since()) is None:
        return done
    message = done.message.removesuffix(UNKNOWN)
    if for_memory:
        return replace(done, message=f"{message}: out of memory", cause="oom")
    return replace(done, message=f"{message} by somebody") if message != done.message else done
