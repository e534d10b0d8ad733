"""A running body as its template knows it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.run_step.fork.messages import pack

if TYPE_CHECKING:
    import socket

    from marin_build.run_step.body import Request
    from marin_build.run_step.fork.leaving import Leaving
    from marin_build.run_step.fork.printed import Printed
    from marin_build.run_step.kept_work import Word


_STILL = "it is held still: the store gives no answer, and its lease may be another's by now"
_GOES_ON = "it goes on: its lease was renewed"


@dataclass(slots=True)
class Body:
    """A running body: its request, the slot that takes its answer, what it prints.

    `began`: when, on the monotonic clock; `alone`: whether its process runs no other body; `asked`:
    whether it was asked to end; `leaving`: what it left, once it has ended; `is_still`: whether the
    keeper holds it still; `killed`: why the keeper killed it; `answer`: what its process said of it
    at last.
    """

    request: Request
    channel: socket.socket
    output: str
    printed: Printed
    began: float
    alone: bool
    kept: bool = False
    asked: bool = False
    leaving: Leaving | None = None
    is_still: bool = False
    killed: str = ""
    answer: bytes | None = None

    def hear(self, word: Word) -> None:
        """Take note of what the keeper does with it, and say so."""
        self.is_still, self.killed = word.is_still, word.killed
        if not word.killed:
            said = _STILL if word.is_still else _GOES_ON
            self.printed.log.write(f"{said}\n".encode())
            with suppress(OSError):
                self.channel.send(pack(("keeper", said)))
