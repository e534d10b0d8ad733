"""The work under a lease that is kept: held still while it is not known whose it is, or killed."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from marin_build.protocol.lease import boot_clock
from marin_build.protocol.living_work import living_work
from marin_build.run_step.commit_retry import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.protocol.renewal import Keeping


LOST = 5
"""Exit code of a keeper that lost the lease of work it cannot kill."""


class Word(NamedTuple):
    """What the keeper says of work that it holds still, lets go on, or kills.

    Args:
        output: the output path.
        is_still: whether it is held still from now on.
        killed: why it is killed; empty if it is not.

    """

    output: str
    is_still: bool
    killed: str = ""


@dataclass(slots=True)
class Work:
    """A lease being kept, and the process, or process group, that dies with it; 0: none.

    `reports_end`: the holder reports when the process has ended. If the lease is gone before that,
    a person or another program deleted it, and another run may build. `still_since`: when it was
    stopped, on the clock that counts sleep; None: it goes on.
    """

    keeping: Keeping
    pid: int
    group: bool
    reports_end: bool
    nonce: str
    log: str
    still_since: float | None = None

    def hold_still(self, say: Callable[[Word], None]) -> bool:
        """Stop it, for its lease may be another's by now; return whether to go on keeping that.

        A thread cannot be stopped: its process ends. What is only to be committed does no harm.

        Args:
            say: tells the run.

        """
        now = boot_clock()
        if not self.pid:
            return True
        if self.still_since is None and self.group:
            self.still_since = now
            say(Word(self.keeping.output, is_still=True))
            self._signal(signal.SIGSTOP)
        if self.still_since is not None and now - self.still_since < LONGEST:
            return True
        self.kill(say, "the store gave no answer for too long")
        return False

    def let_go_on(self, say: Callable[[Word], None]) -> None:
        """Let it go on, for its lease turned out to be ours: no other run has written meanwhile."""
        if self.still_since is not None:
            self.still_since = None
            say(Word(self.keeping.output, is_still=False))
            self._signal(signal.SIGCONT)

    def kill(self, say: Callable[[Word], None], why: str) -> None:
        """Kill a body with all it started; of threads, the keeper's end tells their process to end.

        Args:
            say: tells the run.
            why: for people.

        """
        if not self.pid:
            return
        if not self.group:
            os._exit(LOST)
        say(Word(self.keeping.output, is_still=False, killed=why))
        signal_group(self.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """Signal a body's group and all that it started besides, until nothing new is found."""
        signal_group(self.pid, number)
        known: set[int] = set()
        while new := {it.pid for it in living_work(self.nonce, self.log)} - known - {0}:
            for pid in new:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            known |= new


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a process group, if it is still there."""
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
