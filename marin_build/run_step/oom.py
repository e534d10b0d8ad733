"""Whether the kernel killed a process because memory ran out: it counts such kills.

`oom_kill` in /proc/vmstat counts those of the whole machine, of every control group, too. So what
somebody else killed while memory ran out elsewhere is taken for one of them.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.exit_meaning import KILLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.run_step.body import Done

VMSTAT = "/proc/vmstat"
UNKNOWN = " (out of memory, or killed by somebody)"
"""What is said of a kill about which nothing more is known."""
_FRESH = 1.0
"""Seconds for which a count serves those that begin: workers start thousands a second."""
_FIELD = b"\noom_kill "


class OomKills:
    """The kernel's count, asked when processes begin, and when they were killed."""

    def __init__(self, path: str = VMSTAT, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._count, self._read_at = self._read(), clock()

    def before(self) -> int | None:
        """Return the count for a process that begins now; None: it cannot be read."""
        if self._clock() - self._read_at >= _FRESH:
            self._read_again()
        return self._count

    def since(self, before: int | None) -> bool | None:
        """Return whether the kernel killed anything for memory since; None: that is not known."""
        now = self._read_again()
        return None if now is None or before is None else now > before

    def _read_again(self) -> int | None:
        self._count, self._read_at = self._read(), self._clock()
        return self._count

    def _read(self) -> int | None:
        try:
            with open(self._path, "rb") as stream:
                text = stream.read()
        except OSError:
            return None
        value = text.partition(_FIELD)[2].partition(b"\n")[0]
        return int(value) if value.isdigit() else None


def explained(done: Done, kills: OomKills, before: int | None) -> Done:
    """Return how a body ended, and why it or a program it ran was killed, where that is known.

    Args:
        done: how it ended.
        kills: the kernel's count.
        before: what that was when the body began.

    """
    if done.exit_code != KILLED or (for_memory := kills.since(before)) is None:
        return done
    message = done.message.removesuffix(UNKNOWN)
    if for_memory:
        return replace(done, message=f"{message}: out of memory", cause="oom")
    return replace(done, message=f"{message} by somebody") if message != done.message else done
